# fail2ban with the filters of its package, as they are: with syslog_name =
# postfix each failed login is found, by every mechanism, and its address is
# the client's, whatever name a client sends.
load ../lib/common
load ../lib/mailbox

setup() {
  common_setup
  for f in postfix dovecot; do [ -e /etc/fail2ban/filter.d/$f.conf ] || skip "no fail2ban here"; done
  chmod 755 "$T"
}
teardown() { common_teardown; }

# found FILTER [MODE]: the addresses that the filter finds in the log, sorted
found() { fail2ban-regex -v "$MX_LOG" "$1[mode=$2]" | sed -n 's/^|  *\([0-9a-f.:]*\)  [A-Z][a-z][a-z] .*/\1/p' | sort; }
addresses() { seq -f '127.0.0.%g' "$1" "$2" | sort; }
py() { timeout 60 python3 -c "$(cat "$BATS_TEST_DIRNAME/failed_logins.py")
$(cat)"; }
host() {
  mailbox_host 'syslog_name = postfix' 'myhostname = mx.test' "auth_socket = unix:$T/run/auth" \
    'auth_mechanisms = plain login scram-sha-1 scram-sha-256' \
    'smtpd_sasl_auth_enable = yes' 'smtpd_tls_auth_only = no' \
    "smtpd_tls_cert_file = $T/localhost.crt" "smtpd_tls_key_file = $T/localhost.key" \
    'smtpd_error_sleep_time = 0' 'ssl = yes' 'disable_plaintext_auth = no' 'smtpd_peername_lookup = no' "$@"
}

@test "mx-recv: a line for each of twelve mechanisms, modes auth and aggressive" {
  export MX_CONFIG=$T/mx.conf MX_LOG=$T/mail.log
  : > "$MX_LOG"; chmod 666 "$MX_LOG"
  make_cert localhost
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=joe \
    -keyout "$T/joe.key" -out "$T/joe.crt" 2>/dev/null
  spawn python3 "$BATS_TEST_DIRNAME/refuse_all.py" "$T/auth"
  wait_for 5 test -S "$T/auth"
  cat > "$T/mx.conf" <<CF
run_directory = $T
myhostname = mx.test
net_user = $([ "$(id -u)" -eq 0 ] && echo nobody)
syslog_name = postfix
auth_socket = unix:$T/auth
smtpd_sasl_auth_enable = yes
smtpd_tls_ask_ccert = yes
smtpd_tls_CAfile = $T/joe.crt
smtpd_tls_cert_file = $T/localhost.crt
smtpd_tls_key_file = $T/localhost.key
smtpd_sasl_security_options =
smtpd_sasl_tls_security_options =
smtpd_error_sleep_time = 0
smtpd_client_auth_rate_limit = 0
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
CF
  PORT=$(free_port)
  spawn mx-recv --listen "127.0.0.1:$PORT"
  wait_listen "$PORT"
  PORT=$PORT py <<'PY'
mechs = ("PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS "
         "SCRAM-SHA-256-PLUS OAUTHBEARER XOAUTH2 EXTERNAL ANONYMOUS").split()
for n, m in enumerate(mechs):
    s = smtp(n + 1, cert=True)
    code, text = s.docmd("AUTH", m + " " + b64("joe"))
    assert code == 535, (m, code, text)
s = smtp(90, cert=True)
assert s.docmd("XCLIENT", "ADDR=IPV6:2001:db8::90 NAME=[UNAVAILABLE]")[0] == 220
s.ehlo()
assert s.docmd("AUTH", "SCRAM-SHA-256 " + b64("joe"))[0] == 535
PY
  cat "$MX_LOG"
  [ "$(found postfix auth)" = "$({ addresses 1 12; echo 2001:db8::90; } | sort)" ]
  [ "$(found postfix extra)" = "$(found postfix auth)" ]
  # aggressive counts the lines of the disconnected, too
  [ "$(found postfix aggressive | sort -u)" = "$({ addresses 1 12; echo 2001:db8::90; } | sort)" ]
  grep -q 'warning: unknown\[127.0.0.1\]: SASL PLAIN authentication failed: ' "$MX_LOG"
  grep -q 'warning: unknown\[127.0.0.6\]: SASL login authentication failed: SCRAM-SHA-256: ' "$MX_LOG"
}

@test "mx-auth behind mx-recv, mx-imapd, mx-pop3d and mx-sieved: dovecot's filter" {
  host
  S=$(free_port); spawn mx-recv --listen "127.0.0.1:$S"
  I=$(free_port); spawn mx-imapd --listen "127.0.0.1:$I"
  P=$(free_port); spawn mx-pop3d --listen "127.0.0.1:$P"
  V=$(free_port); spawn mx-sieved --listen "127.0.0.1:$V"
  for p in $S $I $P $V; do wait_listen "$p"; done
  PORT=$S I=$I P=$P V=$V py <<'PY'
# each login fails once at mx-auth
auth_fails("PLAIN", lambda n: imap(n, "AUTHENTICATE PLAIN " + plain("joe@x.test", "wrong")), 1)
auth_fails("LOGIN", lambda n: imap(n, "LOGIN ghost@x.test wrong"), 2)
auth_fails("LOGIN", lambda n: pop3(n, "USER joe@x.test", "PASS wrong"), 3)
auth_fails("PLAIN", lambda n: sieve(n, 'AUTHENTICATE "PLAIN" "%s"' % plain("joe@x.test", "wrong")), 4)
for n, (md, user) in enumerate((("1", "joe@x.test"), ("256", "joe@x.test"), ("256", "ghost@x.test"))):
    imap_scram(5 + n, md, user)
# names that would blame somebody else
for n, name in enumerate(("x,192.0.2.66): unknown user", "a,192.0.2.66", "auth(x,192.0.2.66): Password mismatch",
                          "b rip=192.0.2.66)", "(,192.0.2.66): Password mismatch")):
    imap(8 + n, "AUTHENTICATE PLAIN " + plain(name, "wrong"))
s = smtp(13); assert s.docmd("AUTH", "PLAIN " + plain("joe@x.test", "wrong"))[0] == 535
s = smtp(14); assert s.docmd("AUTH", "PLAIN " + plain("x[192.0.2.66]: SASL PLAIN authentication failed", "wrong"))[0] == 535
PY
  cat "$MX_LOG"
  wait_for 10 sh -c "[ \$(grep -c 'Aborted login' '$MX_LOG') -ge 12 ]"
  # mx-auth tells each; the mailbox servers tell each connection
  [ "$(grep auth: "$MX_LOG" > "$T/auth.log"; MX_LOG=$T/auth.log found dovecot normal)" = "$(addresses 1 14)" ]
  grep -- -login: "$MX_LOG" > "$T/login.log"
  [ "$(MX_LOG=$T/login.log found dovecot normal)" = "$(addresses 1 12)" ]
  for p in imap pop3 managesieve; do grep -q "dovecot\[[0-9]*\]: $p-login: Aborted login (auth failed, 1 attempts): user=<>, method=" "$MX_LOG"; done
  [ "$(found postfix auth)" = "$(addresses 13 14)" ]
  ! grep -q 'wrong$' "$MX_LOG"
}

@test "a user of the second database has not failed at the first" {
  host
  echo 'kim@x.test:{PLAIN}secret' > "$T/more"; chmod 644 "$T/more"
  sed -i "s,^passdb.*,passdb = passwd-file:$T/users passwd-file:$T/more," "$T/mx.conf"
  kill -HUP "${PIDS[0]}"
  S=$(free_port); spawn mx-recv --listen "127.0.0.1:$S"
  wait_listen "$S"
  PORT=$S py <<'PY'
import time
for i in range(50):
    if smtp(1).docmd("AUTH", "PLAIN " + plain("kim@x.test", "secret"))[0] == 235: break
    time.sleep(.1)
else:
    sys.exit("no login")
PY
  : > "$MX_LOG"
  PORT=$S py <<'PY'
assert smtp(2).docmd("AUTH", "PLAIN " + plain("kim@x.test", "secret"))[0] == 235
assert smtp(3).docmd("AUTH", "PLAIN " + plain("kim@x.test", "wrong"))[0] == 535
PY
  cat "$MX_LOG"
  [ "$(found dovecot normal)" = 127.0.0.3 ]
}
