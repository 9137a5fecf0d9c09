#!/usr/bin/env bats
# mx-deliver: routes from data bases: aliases, mailboxes, transports.
load deliver
load ../lib/databases

setup() { deliver_setup; }
teardown() { [ -z "${PG:-}" ] || stop "$PG" INT; common_teardown; }

# cf NAME QUERY: $T/NAME.cf for PostgreSQL
cf() { printf '%s\n' "hosts = 127.0.0.1:$PGP" "user = mx" "dbname = postgres" "query = $2" > "$T/$1.cf"; }
rcpt() {
  { echo '> LHLO x'; echo '> MAIL FROM:<a@b>'; printf '> RCPT TO:<%s>\n' "$@"; } |
    talk | tail -n "$#"
}
send() {
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; printf '> RCPT TO:<%s>\n' "$@"; echo "# $T/m"; } |
    talk | tail -n 1
}

@test "pgsql: PostfixAdmin's tables route mail; a server that is away defers it" {
  D=$T PGP=$(free_port)
  pg_make; pg_run "$PGP"
  pg_sql "$PGP" <<'SQL'
CREATE TABLE alias (address text, goto text, active boolean);
INSERT INTO alias VALUES ('info@sql.example', 'joe@sql.example,ann@virt.example', true), ('joe@sql.example', 'joe@sql.example', true);
CREATE TABLE alias_domain (alias_domain text, target_domain text); INSERT INTO alias_domain VALUES ('other.example', 'sql.example');
CREATE TABLE mailbox (username text, maildir text); INSERT INTO mailbox VALUES ('joe@sql.example', 'sql.example/joe/');
CREATE TABLE domain (domain text); INSERT INTO domain VALUES ('sql.example'), ('other.example');
SQL
  cf domain "SELECT domain FROM domain WHERE domain='%s'"
  cf alias "SELECT goto FROM alias WHERE address='%s' AND active = true"
  cf aliasdomain "SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain='%d' AND alias.address=concat('%u','@',alias_domain.target_domain) AND alias.active"
  cf mailbox "SELECT maildir FROM mailbox WHERE username='%s'"
  conf "virtual_mailbox_domains = virt.example, proxy:pgsql:$T/domain.cf" \
    "virtual_alias_maps = proxy:pgsql:$T/alias.cf, proxy:pgsql:$T/aliasdomain.cf" \
    "virtual_mailbox_maps = inline:{ {ann@virt.example = ann/} }, proxy:pgsql:$T/mailbox.cf"
  serve
  run rcpt joe@sql.example joe+ext@sql.example info@sql.example info@other.example none@sql.example "o'x@sql.example" ann@virt.example
  [[ ${lines[0]} == 250* && ${lines[1]} == 250* && ${lines[2]} == 250* && ${lines[3]} == 250* ]]
  [[ ${lines[4]} == 550* && ${lines[5]} == 550* && ${lines[6]} == 250* ]]
  [[ $(send joe@other.example) == *delivered* ]]
  [ "$(count vm/sql.example/joe/new)" -eq 1 ]
  [[ $(send info@other.example) == *queued* ]]
  for to in joe@sql.example ann@virt.example; do grep -rq "^Q recipient: .*$to" "$T/spool/queue"; done
  stop "$PG" INT; PG=
  run rcpt joe@sql.example none@sql.example
  [[ ${lines[0]} == 451* && ${lines[1]} == 451* ]]
  pg_run "$PGP"
  run rcpt joe@sql.example none@sql.example
  [[ ${lines[0]} == 250* && ${lines[1]} == 550* ]]
}

@test "sqlite: aliases(5) from a data base, and a transport" {
  sqlite3 "$T/m.db" "CREATE TABLE a (k text, v text); INSERT INTO a VALUES ('list', 'joe@virt.example'), ('list', 'ann@virt.example'), ('far.example', 'error:5.1.1 no such place')"
  printf '%s\n' "dbpath = $T/m.db" "query = SELECT v FROM a WHERE k = '%s'" > "$T/m.cf"
  conf "alias_maps = sqlite:$T/m.cf" "transport_maps = sqlite:$T/m.cf" 'local_recipient_maps = $alias_maps'
  run rcpt list@local.example nolist@local.example x@far.example
  [[ ${lines[0]} == 250* && ${lines[1]} == 550* && ${lines[2]} == 550*"no such place"* ]]
  [[ $(send list@local.example) == *queued* ]]
  for to in joe@virt.example ann@virt.example; do grep -rq "^Q recipient: .*$to" "$T/spool/queue"; done
}
