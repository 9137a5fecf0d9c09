# passdb and userdb sql: Dovecot's dovecot-sql.conf.ext on PostgreSQL, MySQL and
# SQLite, beside Dovecot's own auth service.
load ../lib/common
load ../lib/databases
load ../lib/dovecot
load auth

setup_file() {
  D=$BATS_FILE_TMPDIR; export D
  chmod 711 "$BATS_RUN_TMPDIR" "$D"
  { read -r PGP; read -r MYP; } < <(free_port 2)
  export PGP MYP
  pg_make & maria_make & wait
  pg_run "$PGP"; maria_run "$MYP"
  echo "$PG $MARIA" > "$D/pids"
  local six; six=$(openssl passwd -6 -salt abc 'p w;"x')
  cat > "$D/rows.sql" <<SQL
CREATE TABLE mailbox (username varchar(200), password varchar(200), maildir varchar(200), quota int, local_part varchar(99), domain varchar(99), active char(1));
INSERT INTO mailbox VALUES ('joe@ex.org', '$(openssl passwd -1 -salt abc secret)', 'ex.org/joe/', 100, 'joe', 'ex.org', '1');
INSERT INTO mailbox VALUES ('ann@ex.org', '{SHA512-CRYPT}$six', 'ex.org/ann/', 200, 'ann', 'ex.org', '1');
INSERT INTO mailbox VALUES ('plain@ex.org', '{PLAIN}o''clock', 'ex.org/plain/', 0, 'plain', 'ex.org', '1');
INSERT INTO mailbox VALUES ('off@ex.org', '{PLAIN}secret', 'ex.org/off/', 0, 'off', 'ex.org', '0');
INSERT INTO mailbox VALUES ('null@ex.org', NULL, 'ex.org/null/', 0, 'null', 'ex.org', '1');
INSERT INTO mailbox VALUES ('twice@ex.org', '{PLAIN}secret', 'a/', 0, 'twice', 'ex.org', '1');
INSERT INTO mailbox VALUES ('twice@ex.org', '{PLAIN}secret', 'b/', 0, 'twice', 'ex.org', '1');
CREATE TABLE users (username varchar(99), domain varchar(99), password varchar(99), home varchar(99), uid int, gid int);
INSERT INTO users VALUES ('kim', 'ex.org', '$(printf secret | md5sum | cut -d' ' -f1)', '/home/kim', 1001, 1002);
SQL
  { echo "CREATE USER mail PASSWORD 'db pw'; CREATE DATABASE maildb;"; printf '\\c maildb\n'; cat "$D/rows.sql"; echo "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mail;"; } | pg_sql "$PGP"
  { echo "CREATE DATABASE maildb; CREATE USER mail@127.0.0.1 IDENTIFIED BY 'dbpw'; GRANT SELECT ON maildb.* TO mail@127.0.0.1; USE maildb;"; cat "$D/rows.sql"; } | maria_sql
  sqlite3 "$D/maildb" < "$D/rows.sql"
  chmod 644 "$D/maildb"
}
teardown_file() { read -r p m < "$D/pids"; stop "$p" INT; stop "$m"; }
setup() { common_setup; auth_conf; sed -i '/^passdb/d' "$T/mx.conf"; }
teardown() { common_teardown; }

# ext KIND LINE...: $T/sql.ext, and mx-auth with it
ext() {
  local kind=$1; shift
  {
    echo "driver = $kind"
    case $kind in
      pgsql) echo "connect = host=127.0.0.1 port=$PGP dbname=maildb user=mail password='db pw'" ;;
      mysql) echo "connect = host=127.0.0.1 port=$MYP dbname=maildb user=mail password=dbpw" ;;
      sqlite) echo "connect = $D/maildb" ;;
    esac
    printf '%s\n' "$@"
  } > "$T/sql.ext"
  chmod 600 "$T/sql.ext"
  sed -i '/^passdb\|^userdb/d' "$T/mx.conf"
  echo "passdb = sql:$T/sql.ext" >> "$T/mx.conf"
  grep -q ^mail_location "$T/mx.conf" || echo "mail_location =" >> "$T/mx.conf"
}
# dove: Dovecot's auth service with the same file
dove() {
  need_root
  [ -z "${DOVE:-}" ] || { kill "$DOVE"; wait "$DOVE" 2>/dev/null || true; }
  rm -rf "$T/dove"
  local sql; sql=$(printf '  driver = sql
  args = %s
' "$T/sql.ext")
  dovecot_auth "$sql" "$sql" "${1:-}" 'service auth {
  user = root
}
service auth-worker {
  user = root
}'
  DOVE=$SPAWNED
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; cat "$T"/err "$T/dovecot.log" 2>/dev/null; return 1; }; }
ours() { local s=0; auth_try "$1" "$2" > "$T/err" 2>&1 || s=$?; echo $s; }
theirs() { if doveadm -c "$T/dovecot.conf" auth test -a "$T/dove/auth-test" "$1" "$2" > /dev/null 2>&1; then echo 0; else echo 1; fi; }
# same USER PASSWORD STATUS
same() { is "$1 $2: $(ours "$1" "$2")" "$1 $2: $3"; is "dovecot $1 $2: $(theirs "$1" "$2")" "dovecot $1 $2: $(($3 > 0))"; }
# user USER: ours and Dovecot's fields, sorted
user_same() {
  local a b
  a=$(mx-auth user "$1" 2>&1 | sort) || true
  b=$(mx-auth user --socket "unix:$T/dove/auth-userdb" "$1" 2>&1 | sort) || true
  is "$a" "$b"
}

logins() {
  same joe@ex.org secret 0
  same JOE@ex.org secret 0
  same joe@ex.org Secret 1
  same ann@ex.org 'p w;"x' 0
  same plain@ex.org "o'clock" 0
  # (Dovecot lets each of those wait)
  for u in plain@ex.org off@ex.org nobody@ex.org "x'or'1'='1" "joe@ex.org' -- "; do is "$(ours "$u" secret)" 1; done
  is "$(ours null@ex.org x)" 1
  is "$(ours twice@ex.org secret)" 75
  grep -q "several rows" "$T/err"
}

@test "pgsql: PostfixAdmin's queries, as in Dovecot" {
  ext pgsql 'default_pass_scheme = MD5' \
    "password_query = SELECT username AS user,password FROM mailbox WHERE username = '%Lu' AND active='1'" \
    "user_query = SELECT '/var/mail/vmail/' || maildir AS home, 5000 AS uid, 5001 AS gid, '*:bytes=' || quota AS quota_rule \\" \
    "  FROM mailbox WHERE username = '%Lu' AND active = '1'" \
    "iterate_query = SELECT username AS user FROM mailbox WHERE active = '1' AND quota > 0 ORDER BY 1"
  dove
  logins
  for u in joe@ex.org ann@ex.org off@ex.org nobody@ex.org; do user_same $u; done
  is "$(mx-auth user joe@ex.org | tr '\n' ' ')" "user=joe@ex.org uid=5000 gid=5001 home=/var/mail/vmail/ex.org/joe/ quota_rule=*:bytes=100 "
  is "$(mx-auth user '*' | tr '\n' ' ')" "ann@ex.org joe@ex.org "
  is "$(doveadm -c "$T/dovecot.conf" user -a "$T/dove/auth-userdb" '*' | tr '\n' ' ')" "ann@ex.org joe@ex.org "
}

@test "mysql: MD5-CRYPT, prefetch, user_query" {
  ext mysql 'default_pass_scheme = MD5-CRYPT' \
    "password_query = SELECT username AS user, password, concat('/var/vmail/', maildir) AS userdb_home, concat('maildir:/var/vmail/', maildir) AS userdb_mail, 8 AS userdb_uid, 12 AS userdb_gid FROM mailbox WHERE username = '%u' AND active = '1'" \
    "user_query = SELECT concat('/other/', maildir) AS home, 'nobody' AS uid, 'nogroup' AS gid, concat('dirsize:storage=', quota) AS quota FROM mailbox WHERE username = '%n@%d' AND active = '1'"
  dove
  logins
  for u in joe@ex.org off@ex.org nobody@ex.org; do user_same $u; done
  [[ "$(mx-auth user joe@ex.org)" == *"home=/other/ex.org/joe/"*"quota=dirsize:storage=100"* ]]
  echo "userdb = prefetch, sql:$T/sql.ext" >> "$T/mx.conf"
  is "$(mx-auth user joe@ex.org | tr '\n' ' ')" "user=joe@ex.org uid=8 gid=12 home=/var/vmail/ex.org/joe/ mail=maildir:/var/vmail/ex.org/joe/ "
  run mx-auth user nobody@ex.org
  [ "$status" -eq 67 ]
}

@test "sqlite: the default queries, username and domain make the name" {
  ext sqlite 'default_pass_scheme = PLAIN-MD5'
  dove
  same kim@ex.org secret 0
  same kim@ex.org wrong 1
  same kim secret 1
  user_same kim@ex.org
  is "$(mx-auth user kim@ex.org | tr '\n' ' ')" "user=kim@ex.org uid=1001 gid=1002 home=/home/kim "
  is "$(mx-auth user '*')" "kim@ex.org"
  ext sqlite "password_query = SELECT NULL AS password, 'y' AS nopassword FROM users WHERE username = '%n'"
  dove
  same kim@ex.org anything 0
  ext sqlite "password_query = SELECT 'other' AS username, '{PLAIN}pw' AS password, '127.0.0.0/8' AS allow_nets FROM users WHERE username = '%n' AND '%w' = 'pw'"
  is "$(ours kim@ex.org pw)" 1
  printf 'pw\n' | mx-auth test --remote 127.0.0.1 kim@ex.org
}

@test "from the sandboxed server: the socket, the master's LIST, the log, down and up again" {
  ext pgsql "password_query = SELECT username AS user,password FROM mailbox WHERE username = '%u' AND active='1'" \
    "user_query = SELECT '/m/' || maildir AS home, 5000 AS uid, 5001 AS gid FROM mailbox WHERE username = '%u'" \
    "iterate_query = SELECT username FROM mailbox WHERE quota = 100"
  auth_serve
  log=$T/out.$((${#PIDS[@]} - 1))
  auth_try ann@ex.org 'p w;"x' --socket "unix:$T/run/auth"
  run auth_try ann@ex.org wrong --socket "unix:$T/run/auth"; [ "$status" -eq 1 ]
  [[ "$(mx-auth user --socket "unix:$T/run/auth-master" joe@ex.org)" == *"home=/m/ex.org/joe/"* ]]
  is "$(auth_talk "$T/run/auth-master" <<< $'VERSION\t1\t1\nLIST\t7\tservice=doveadm' | grep -E 'LIST|DONE')" $'LIST\t7\tjoe@ex.org\nDONE\t7'
  read -r p m < "$D/pids"; stop "$p" INT
  run auth_try ann@ex.org 'p w;"x' --socket "unix:$T/run/auth"; [ "$status" -eq 75 ]
  run auth_try none@ex.org x --socket "unix:$T/run/auth"; [ "$status" -eq 75 ]
  run mx-auth user --socket "unix:$T/run/auth-master" none@ex.org; [ "$status" -eq 75 ]
  pg_run "$PGP"; echo "$PG $m" > "$D/pids"
  auth_try ann@ex.org 'p w;"x' --socket "unix:$T/run/auth"
  ! grep -q 'db pw\|p w;' "$log" || { cat "$log"; false; }
}

@test "SCRAM and LMTP users by sql: credentials of the data base" {
  local hash; hash=$(printf 'sesame\n' | mx-auth hash -s SCRAM-SHA-256)
  sqlite3 "$T/db" "CREATE TABLE u (n text, p text); INSERT INTO u VALUES ('joe', '$hash')"
  ext sqlite "connect = $T/db" "password_query = SELECT p AS password FROM u WHERE n = '%u'"
  chmod 644 "$T/db"
  echo 'auth_mechanisms = plain scram-sha-256' >> "$T/mx.conf"
  auth_serve
  python3 - "$T/run/auth" <<'PY' || { cat "$T"/out.*; false; }
import base64, hashlib, hmac, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile("rwb")
f.write(b"VERSION\t1\t2\nCPID\t%d\n" % os.getpid())
b = base64.b64encode
first = b"n=joe,r=abcdefghijklmnopqrstuvwx"
f.write(b"AUTH\t1\tSCRAM-SHA-256\tservice=smtp\tresp=" + b(b"n,," + first) + b"\n"); f.flush()
while True:
    l = f.readline().rstrip(b"\n").split(b"\t")
    if l[0] == b"CONT": break
    assert l[0] != b"FAIL", l
server = base64.b64decode(l[2]); p = dict(x.split(b"=", 1) for x in server.split(b","))
salted = hashlib.pbkdf2_hmac("sha256", b"sesame", base64.b64decode(p[b"s"]), int(p[b"i"]))
key = hmac.digest(salted, b"Client Key", "sha256"); without = b"c=biws,r=" + p[b"r"]
sig = hmac.digest(hashlib.sha256(key).digest(), first + b"," + server + b"," + without, "sha256")
f.write(b"CONT\t1\t" + b(without + b",p=" + b(bytes(x ^ y for x, y in zip(key, sig)))) + b"\n"); f.flush()
l = f.readline().rstrip(b"\n").split(b"\t")
assert l[0] in (b"OK", b"CONT"), l
PY
}

@test "a wrong file: where and why" {
  bad() { local want=$1; shift; printf '%s\n' "$@" > "$T/sql.ext"; run mx-auth -o "passdb=sql:$T/sql.ext" test joe <<< x; [ "$status" -eq 78 ] && { [[ "$output" == *"$want"* ]] || { echo "$output"; false; }; }; }
  bad 'driver = oracle: expected' 'driver = oracle' 'connect = x'
  bad 'sql.ext:2' 'driver = pgsql' 'conect = x'
  bad "connect: expected" 'driver = sqlite' 'connect = relative'
  bad "connect: expected" 'driver = pgsql' 'connect = host'
  bad '"%q" is no variable' 'driver = sqlite' 'connect = /x' "password_query = SELECT '%q'"
  bad 'in a comment' 'driver = sqlite' 'connect = /x' "user_query = SELECT 1 -- %u"
  bad 'sql:/etc/mx/sql.conf.ext' || true
  run mx-auth -o "passdb=sql:relative" test joe <<< x
  [ "$status" -eq 78 ]
}
