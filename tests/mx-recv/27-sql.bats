# mx-recv: data bases as tables, asked from inside the sandbox.
load ../lib/common
load ../lib/databases
load recv

setup_file() {
  D=$BATS_FILE_TMPDIR; export D
  chmod 711 "$BATS_RUN_TMPDIR" "$D"
  PGP=$(free_port); export PGP
  pg_make; pg_run "$PGP"; echo "$PG" > "$D/pid"
  pg_sql "$PGP" <<'SQL'
CREATE USER mail PASSWORD 'OpenSesame42'; CREATE DATABASE maildb;
\c maildb
CREATE TABLE mailbox (username text, maildir text, active boolean);
INSERT INTO mailbox VALUES ('jo@mx.test', 'jo/', true), ('off@mx.test', 'off/', false), ('it''s@mx.test', 'its/', true);
CREATE TABLE domain (domain text); INSERT INTO domain VALUES ('rel.test');
CREATE TABLE login (address text, username text); INSERT INTO login VALUES ('jo@mx.test', 'jo');
GRANT SELECT ON ALL TABLES IN SCHEMA public TO mail;
SQL
}
teardown_file() { stop "$(cat "$D/pid")" INT; }
setup() {
  common_setup; recv_conf "smtpd_peername_lookup = no"; deliver_start
  for q in "mailbox:SELECT 'OK' FROM mailbox WHERE username='%s' AND active = true" "domain:SELECT domain FROM domain WHERE domain='%s'" "login:SELECT username FROM login WHERE address = '%s'"; do
    printf '%s\n' "user = mail" "password = OpenSesame42" "hosts = 127.0.0.1:$PGP" "dbname = maildb" "query = ${q#*:}" > "$T/${q%%:*}.cf"
    chmod 600 "$T/${q%%:*}.cf"
  done
}
teardown() { common_teardown; }

# reply SENDER RECIPIENT
reply() {
  python3 - "$PORT" "$1" "$2" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test"); s.docmd("MAIL FROM:<%s>" % sys.argv[2])
code, text = s.docmd("RCPT TO:<%s>" % sys.argv[3]); print(code, text.decode()); s.close()
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; cat "$RECV_LOG"; return 1; }; }
taken='250 2.1.5 Ok: taken'

@test "pgsql: recipients and domains; down is 451, up again is good" {
  recv_start -o "smtpd_recipient_restrictions=reject_unauth_destination, check_recipient_access proxy:pgsql:$T/mailbox.cf, check_recipient_access inline:{rel.test=OK}, reject" -o "relay_domains=proxy:pgsql:$T/domain.cf" -o mynetworks=
  unknown='554 5.7.1 <%s>: Recipient address rejected: Access denied'
  is "$(reply a@x.test jo@mx.test)" "$taken"
  is "$(reply a@x.test "it's@mx.test")" "$taken"
  is "$(reply a@x.test off@mx.test)" "$(printf "$unknown" off@mx.test)"
  is "$(reply a@x.test "x'or'1'='1@mx.test")" "$(printf "$unknown" "x'or'1'='1@mx.test")"
  is "$(reply a@x.test b@rel.test)" "$taken"
  is "$(reply a@x.test b@else.test)" "554 5.7.1 <b@else.test>: Relay access denied"
  stop "$(cat "$D/pid")" INT
  [[ "$(reply a@x.test jo@mx.test)" == "451 4."* ]]
  [[ "$(reply a@x.test nobody@mx.test)" == "451 4."* ]]
  [[ "$(reply a@x.test b@rel.test)" == "451 4."* ]]
  grep -q 'pgsql:.*mailbox.cf: 127.0.0.1: .*refused' "$RECV_LOG"
  pg_run "$PGP"; echo "$PG" > "$D/pid"
  is "$(reply a@x.test jo@mx.test)" "$taken"
  is "$(reply a@x.test off@mx.test)" "$(printf "$unknown" off@mx.test)"
  is "$(reply a@x.test b@rel.test)" "$taken"
  ! grep -q OpenSesame "$RECV_LOG"
}

@test "sqlite: access by sender; a file that is replaced counts at once" {
  sqlite3 "$T/a.db" "CREATE TABLE access (who text, what text); INSERT INTO access VALUES ('bad@x.test', 'REJECT one'), ('ok.test', 'OK'), ('bad@ok.test', '550 5.7.1 two')"
  printf '%s\n' "dbpath = $T/a.db" "query = SELECT what FROM access WHERE who = '%s'" > "$T/a.cf"
  recv_start -o "smtpd_sender_restrictions=check_sender_access sqlite:$T/a.cf"
  is "$(reply bad@x.test jo@mx.test)" "554 5.7.1 <bad@x.test>: Sender address rejected: one"
  is "$(reply bad@ok.test jo@mx.test)" "550 5.7.1 <bad@ok.test>: Sender address rejected: two"
  is "$(reply good@ok.test jo@mx.test)" "$taken"
  sqlite3 "$T/b.db" "CREATE TABLE access (who text, what text); INSERT INTO access VALUES ('bad@x.test', 'REJECT three')"
  mv "$T/b.db" "$T/a.db"
  is "$(reply bad@x.test jo@mx.test)" "554 5.7.1 <bad@x.test>: Sender address rejected: three"
  rm "$T/a.db"
  [[ "$(reply bad@x.test jo@mx.test)" == "451 4."* ]]
}

@test "a worker knows no password of a data base; all tables of a session share one connection" {
  need_root
  recv_start -o "relay_domains=pgsql:$T/domain.cf" -o "smtpd_sender_login_maps=pgsql:$T/login.cf" -o "smtpd_recipient_restrictions=check_recipient_access pgsql:$T/mailbox.cf, reject_unauthenticated_sender_login_mismatch,permit" -o mynetworks=
  exec 8<>"/dev/tcp/127.0.0.1/$PORT"
  for say in "" "HELO me.test" "MAIL FROM:<jo@mx.test>" "RCPT TO:<jo@mx.test>" "RCPT TO:<b@rel.test>"; do
    [ -z "$say" ] || printf '%s\r\n' "$say" >&8
    read -r -t 20 -u 8 line
  done
  [[ $line == "553 5.7.1 <jo@mx.test>: Sender address rejected: not logged in"* ]]
  # one connection, of the process that asks for this worker
  [ "$(pg_sql "$PGP" postgres <<<"\\t on
SELECT count(*) FROM pg_stat_activity WHERE usename = 'mail'" | tr -d ' \n')" -eq 1 ]
  python3 - "$RECV" "$PGP" <<'PY'
import os, re, subprocess, sys
monitor, port = sys.argv[1:]
children = subprocess.run(["pgrep", "-P", monitor], stdout=subprocess.PIPE, text=True).stdout.split()
assert len(children) > 1
seen = 0
for pid in children:
    libs = open("/proc/%s/maps" % pid).read()
    if "libpq" in libs: continue  # the one that asks
    seen += 1
    for line in open("/proc/%s/maps" % pid):
        m = re.match(r"(\w+)-(\w+) r", line)
        if not m or "[v" in line: continue
        if int(m[2], 16) - int(m[1], 16) > 1 << 32: continue
        with open("/proc/%s/mem" % pid, "rb") as f:
            f.seek(int(m[1], 16))
            try: data = f.read(int(m[2], 16) - int(m[1], 16))
            except OSError: continue
        assert b"OpenSesame" not in data, (pid, line)
assert seen
PY
  exec 8>&-
}

@test "--explain asks the same tables" {
  run mx-recv -c "$T/mx.conf" -o "smtpd_recipient_restrictions=check_recipient_access pgsql:$T/mailbox.cf, reject" --explain client=192.0.2.1 helo=me.test from=a@x.test rcpt=off@mx.test
  [[ "$output" == *"<off@mx.test>: Recipient address rejected: Access denied"* ]]
  [[ "$output" == *"pgsql:$T/mailbox.cf"* ]]
}
