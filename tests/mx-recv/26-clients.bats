# Real clients of others, each with STARTTLS and AUTH where it can: swaks,
# curl, msmtp, Python's smtplib, exim, OpenSMTPD.
load ../lib/common
load recv

setup() {
  common_setup
  make_cert mx.test
  recv_conf "smtpd_tls_cert_file = $T/mx.test.crt" "smtpd_tls_key_file = $T/mx.test.key" \
    "auth_socket = exec:mx-auth" "passdb = passwd-file:$T/users" "auth_failure_delay = 0" \
    "mail_owner = $(id -un)" "auth_user = $([ "$(id -u)" -eq 0 ] && echo nobody || id -un)" \
    "auth_mechanisms = plain login scram-sha-1 scram-sha-256" \
    "smtpd_sender_login_maps = inline:{a@x.test=joe}" "smtpd_peername_lookup = no"
  printf 'joe:{PLAIN}secret\n' > "$T/users"; chmod 644 "$T/users"
  printf 'From: a@x.test\nTo: joe@mx.test\nSubject: hello\n\n.one dot\nlast line\n' > "$T/m"
  deliver_start
  recv_start --mode submission
}
teardown() { common_teardown; }

# came MECHANISM: one message, whole, by TLS, with that login
came() {
  wait_for 30 test -s "$T/box/msg.1"
  tr -d '\r' < "$T/box/msg.1" > "$T/got"
  cat "$T/got" "$T/box/env.1"
  grep -q 'ESMTPSA id' "$T/got"
  grep -qx 'Subject: hello' "$T/got"
  grep -qx '\.\.*one dot' "$T/got"
  [ "$(grep -v '^$' "$T/got" | tail -n 1)" = "last line" ]
  grep -q 'LOGIN=joe' "$T/box/env.1" || grep -q 'LOGIN=joe' "$T/box/log"
  grep -qi "sasl_method=$1, sasl_username=joe" "$RECV_LOG"
}

@test "swaks" {
  swaks --server 127.0.0.1 --port "$PORT" --tls --auth PLAIN --auth-user joe --auth-password secret \
    --from a@x.test --to joe@mx.test --data - < "$T/m"
  came PLAIN
}

@test "swaks: a wrong password, and a sender that is another's" {
  run swaks --server 127.0.0.1 --port "$PORT" --tls --auth LOGIN --auth-user joe --auth-password wrong \
    --from a@x.test --to joe@mx.test
  [ "$status" -ne 0 ]
  [[ $output == *"535 5.7.8"* ]]
  run swaks --server 127.0.0.1 --port "$PORT" --tls --auth LOGIN --auth-user joe --auth-password secret \
    --from b@x.test --to joe@mx.test
  [[ $output == *"553 5.7.1 <b@x.test>"* ]]
  [ "$(mails)" -eq 0 ]
}

@test "curl, with SCRAM-SHA-256" {
  curl -sS --url "smtp://127.0.0.1:$PORT/curl.test" --ssl-reqd --insecure --user joe:secret \
    --login-options AUTH=SCRAM-SHA-256 --mail-from a@x.test --mail-rcpt joe@mx.test --upload-file "$T/m" --crlf ||
    curl -sS --url "smtp://127.0.0.1:$PORT/curl.test" --ssl-reqd --insecure --user joe:secret \
      --mail-from a@x.test --mail-rcpt joe@mx.test --upload-file "$T/m" --crlf
  came '\(SCRAM-SHA-256\|PLAIN\|LOGIN\)'
}

@test "msmtp: each mechanism; it checks the certificate" {
  for m in plain login scram-sha-1 scram-sha-256; do
    rm -f "$T"/box/*
    printf '%s\n' defaults "host 127.0.0.1" "port $PORT" "from a@x.test" "auth $m" "user joe" "password secret" \
      "tls on" "tls_trust_file $T/ca.crt" "tls_host_override mx.test" "domain msmtp.test" "account default" > "$T/msmtprc"
    [ -e "$T/ca.crt" ] || sed -i "s,^tls_trust_file.*,tls_trust_file $T/mx.test.crt," "$T/msmtprc"
    chmod 600 "$T/msmtprc"
    msmtp -C "$T/msmtprc" --debug joe@mx.test < "$T/m"
    wait_for 10 test -s "$(ls "$T"/box/msg.* | head -1)"
    grep -qi "sasl_method=$m, sasl_username=joe" "$RECV_LOG"
  done
  sed -i 's/^tls_host_override.*/tls_host_override other.test/' "$T/msmtprc"
  run msmtp -C "$T/msmtprc" joe@mx.test < "$T/m"
  [ "$status" -ne 0 ]
}

@test "Python's smtplib" {
  python3 - "$PORT" "$T/m" <<'P'
import smtplib, ssl, sys
c = ssl.create_default_context()
c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="py.test")
s.starttls(context=c)
s.login("joe", "secret")
s.sendmail("a@x.test", ["joe@mx.test"], open(sys.argv[2]).read(), mail_options=["BODY=8BITMIME"])
s.quit()
P
  came '\(PLAIN\|LOGIN\|CRAM-MD5\)'
}

@test "exim" {
  exim=/usr/sbin/exim4
  [ -x "$exim" ] || { peers=$("$ROOT/tests/packages" unpack exim4-daemon-heavy) && exim=$peers/usr/sbin/exim4; }
  [ -x "$exim" ] || skip "exim4 cannot be had"
  "$exim" --version >/dev/null 2>&1 || skip "exim4 does not run here: its libraries are missing"
  mkdir "$T/exim"; chmod 777 "$T" "$T/exim"
  cat > "$T/exim.conf" <<C
primary_hostname = exim.test
spool_directory = $T/exim
log_file_path = $T/exim/%slog
exim_user = nobody
exim_group = nogroup
never_users =
keep_environment =
qualify_domain = x.test
begin routers
all:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1
  self = send
begin transports
out:
  driver = smtp
  port = $PORT
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_hosts =
  tls_try_verify_hosts =
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^joe^secret
C
  chmod 644 "$T/exim.conf"
  "$exim" -C "$T/exim.conf" -odf -oi -f a@x.test joe@mx.test < "$T/m" || { cat "$T"/exim/mainlog; false; }
  cat "$T"/exim/mainlog
  came PLAIN
}

@test "OpenSMTPD" {
  [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null || skip "a mount namespace is needed for its users and folders"
  peers=$("$ROOT/tests/packages" unpack opensmtpd) || skip "opensmtpd cannot be had"
  local in; in=$(free_port)
  cp /etc/passwd "$T/passwd"; cp /etc/group "$T/group"
  for u in opensmtpd:9001 opensmtpq:9002; do
    echo "${u%:*}:x:${u#*:}:${u#*:}::/var/lib/opensmtpd/empty:/usr/sbin/nologin" >> "$T/passwd"
    echo "${u%:*}:x:${u#*:}:" >> "$T/group"
  done
  chmod 755 "${BATS_RUN_TMPDIR:-/tmp}" "$T" 2>/dev/null || true
  echo "lab joe:secret" > "$T/secrets"; chmod 644 "$T/secrets"
  cat > "$T/smtpd.conf" <<C
table secrets file:$T/secrets
listen on 127.0.0.1 port $in
action "out" relay host "smtp+tls://lab@127.0.0.1:$PORT" tls no-verify auth <secrets>
match from any for any action "out"
C
  cat > "$T/opensmtpd.sh" <<C
mount --bind $T/passwd /etc/passwd && mount --bind $T/group /etc/group &&
mount -t tmpfs none /var/lib && mount -t tmpfs none /var/spool && mount -t tmpfs none /run &&
mkdir -p /var/lib/opensmtpd/empty && mkdir -m 711 /var/spool/smtpd &&
exec $peers/usr/sbin/smtpd -d -f $T/smtpd.conf
C
  spawn unshare -m bash "$T/opensmtpd.sh"
  wait_listen "$in"
  swaks --server 127.0.0.1 --port "$in" --from a@x.test --to joe@mx.test --data - < "$T/m"
  came PLAIN
}
