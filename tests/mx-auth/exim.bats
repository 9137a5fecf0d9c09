# exim4 takes mx-auth as its auth server, by its authenticator `dovecot`.
load ../lib/common
load auth

setup() {
  common_setup; need_root
  EXIM=$(command -v exim4 || echo /usr/sbin/exim4)
  [ -x "$EXIM" ] || EXIM=$("$ROOT/tests/packages" unpack exim4-daemon-heavy)/usr/sbin/exim4 || skip "exim4 cannot be had"
  auth_conf 'auth_mechanisms = plain login scram-sha-256' 'login_trusted_networks = 127.0.0.0/8'
  printf 'joe@ex.org:{PLAIN}p w;"x:1:1\noff@ex.org:!:1:1\nshut@ex.org:{PLAIN}pw:1:1::::nologin\n' > "$T/users"
  mkdir -p "$T/spool"; chmod 777 "$T/spool"
  cat > "$T/exim.conf" <<C
primary_hostname = exim.test
exim_user = nobody
exim_group = nogroup
spool_directory = $T/spool
log_file_path = $T/spool/exim.%slog
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
auth_advertise_hosts = *
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept authenticated = *
         logwrite = AUTH \$authenticated_id \$sender_host_authenticated
  deny message = log in first
begin routers
hole:
  driver = redirect
  data = :blackhole:
begin authenticators
plain:
  driver = dovecot
  public_name = PLAIN
  server_socket = $T/run/auth
  server_set_id = \$auth1
login:
  driver = dovecot
  public_name = LOGIN
  server_socket = $T/run/auth
  server_set_id = \$auth1
scram:
  driver = dovecot
  public_name = SCRAM-SHA-256
  server_socket = $T/run/auth
  server_set_id = \$auth1
C
  chmod 644 "$T/exim.conf"
}
teardown() { common_teardown; }

exim_start() {
  PORT=$(free_port)
  spawn "$EXIM" -C "$T/exim.conf" -bdf -oX "127.0.0.1:$PORT" -oP "$T/exim.pid"
  wait_port "$PORT"
}
# try MECH USER PASSWORD: what exim says to AUTH
try() { swaks --server "127.0.0.1:$PORT" --helo me.test --from a@x.test --to b@y.test --auth "$1" --auth-user "$2" --auth-password "$3" --quit-after RCPT 2>&1 | sed -n 's/^<[-~*]* *\([25][0-9][0-9]\) .*/\1/p' | tail -n +3 | tr '\n' ' ' || true; }
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; cat "$T"/spool/exim.*log "$T"/out.*; return 1; }; }

@test "PLAIN and LOGIN: the right password logs in, others do not" {
  auth_serve; exim_start
  is "$(try PLAIN joe@ex.org 'p w;"x')" "235 250 250 221 "
  is "$(try LOGIN joe@ex.org 'p w;"x')" "235 250 250 221 "
  grep -q 'AUTH joe@ex.org plain' "$T/spool/exim.mainlog"
  grep -q 'AUTH joe@ex.org login' "$T/spool/exim.mainlog"
  for m in PLAIN LOGIN; do
    [[ "$(try $m joe@ex.org wrong)" != *235* ]]
    [[ "$(try $m off@ex.org x)" != *235* ]]
    [[ "$(try $m shut@ex.org pw)" != *235* ]]
    [[ "$(try $m nobody@ex.org x)" != *235* ]]
  done
  grep -q '535 Incorrect authentication data' "$T/spool/exim.mainlog"
  # the name in the databases' form is what exim knows the client by
  is "$(try PLAIN JOE@ex.org 'p w;"x')" "235 250 250 221 "
  [ "$(grep -c 'AUTH joe@ex.org plain' "$T/spool/exim.mainlog")" -eq 2 ]
}

@test "SCRAM-SHA-256 goes through exim step by step" {
  auth_serve; exim_start
  python3 "$ROOT/tests/mx-recv/scram.py" "127.0.0.1:$PORT" SHA256 joe@ex.org 'p w;"x'
  ! python3 "$ROOT/tests/mx-recv/scram.py" "127.0.0.1:$PORT" SHA256 joe@ex.org wrong
}

@test "mx-auth away: exim says try again, and logs in when it is back; users of a data base" {
  exim_start
  [[ "$(try PLAIN joe@ex.org 'p w;"x')" != *235* ]]
  swaks --server "127.0.0.1:$PORT" --auth PLAIN --auth-user joe@ex.org --auth-password 'p w;"x' --quit-after AUTH 2>&1 | grep -q '435 Unable to authenticate'
  sqlite3 "$T/db" "CREATE TABLE users (username, domain, password); INSERT INTO users VALUES ('kim', 'ex.org', '{PLAIN}kimpw')"
  chmod 644 "$T/db"
  printf 'driver = sqlite\nconnect = %s\n' "$T/db" > "$T/sql.ext"
  sed -i "s,^passdb.*,passdb = passwd-file:$T/users\, sql:$T/sql.ext," "$T/mx.conf"
  auth_serve
  is "$(try PLAIN joe@ex.org 'p w;"x')" "235 250 250 221 "
  is "$(try LOGIN kim@ex.org kimpw)" "235 250 250 221 "
  [[ "$(try PLAIN kim@ex.org joepw)" != *235* ]]
}
