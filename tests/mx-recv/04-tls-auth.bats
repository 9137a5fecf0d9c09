# mx-recv: STARTTLS, implicit TLS, AUTH, the submission modes (THREATS 8 to
# 12, 28, 48 to 59).
load ../lib/common
load recv

setup() {
  common_setup
  make_cert mx.test
  recv_conf "smtpd_tls_cert_file = $T/mx.test.crt" "smtpd_tls_key_file = $T/mx.test.key" \
    "auth_socket = exec:mx-auth" "passdb = passwd-file:$T/users" "auth_failure_delay = 0" \
    "mail_owner = $(id -un)" "auth_user = $([ "$(id -u)" -eq 0 ] && echo nobody || id -un)"
  printf 'joe:{PLAIN}secret\nann:{PLAIN}other\n' > "$T/users"; chmod 644 "$T/users"
  deliver_start
}
teardown() { common_teardown; }

plain() { printf '\0%s\0%s' "$1" "$2" | base64; }

@test "STARTTLS: everything said before is forgotten, facts go on" {
  recv_start
  talk <<'X'
< 220
> EHLO before.test
<- STARTTLS
> STARTTLS
< 220 2.0.0 Ready to start TLS
tls
> MAIL FROM:<a@x.test>
< 250
> RSET
< 250
> EHLO after.test
< 250
> STARTTLS
< 554 5.5.1 Error: TLS already active
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
> x
> .
< 250
> QUIT
< 221
eof
X
  tr -d '\r\n' <"$T/box/msg.1" | tr '\t' ' ' | grep -q 'from after.test (localhost \[127.0.0.1\]) (using TLSv1.3 with cipher [A-Z0-9_]* (256/256 bits)) by mx.test (mx) with ESMTPS id'
  grep -q 'TLS=TLSv1.3+20TLS_' "$T/box/env.1"
  wait_for 5 grep -q 'Anonymous TLS connection established from localhost\[127.0.0.1\]: TLSv1.3 with cipher' "$RECV_LOG"
}

@test "STARTTLS with words behind it, argument, garbage, twice" {
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
= "STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n"
< 554 5.5.0 Error: SMTP protocol synchronization
eof
X
  talk <<'X'
< 220
> STARTTLS now
< 501 5.5.4
> STARTTLS
< 220
> EHLO in.the.clear
eof
X
  wait_for 5 grep -q 'SSL_accept error from localhost\[127.0.0.1\]' "$RECV_LOG"
}

@test "smtpd_tls_security_level = encrypt: 530 for all but a few" {
  recv_start -o smtpd_tls_security_level=encrypt
  talk <<'X'
< 220
> EHLO me.test
< 250
> NOOP
< 250
> MAIL FROM:<a@x.test>
< 530 5.7.0 Must issue a STARTTLS command first
= "BDAT 6 LAST\r\nNOOP\r\n"
< 530 5.7.0
> RSET
< 530
> STARTTLS
< 220
tls
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
X
}

@test "the key stays in the monitor: RSA and EC, in no worker's memory" {
  need_root
  recv_start
  talk <<'X'
< 220
> STARTTLS
< 220
tls
> QUIT
< 221
X
  # the private scalar of the key, as bytes
  hex=$(openssl ec -in "$T/mx.test.key" -noout -text 2>/dev/null | sed -n '/^priv:/,/^pub:/p' | grep '^ ' | tr -d ' :\n')
  worker=$(pgrep -P "$RECV" | head -1)
  python3 - "$worker" "$hex" "$(sed -n 2p "$T/mx.test.key")" <<'PY'
import re, sys
pid, key = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
assert len(key) >= 32
mem = open("/proc/%d/mem" % pid, "rb")
for l in open("/proc/%d/maps" % pid):
    m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", l)
    if not m or "vvar" in l or "vsyscall" in l: continue
    a, b = int(m[1], 16), int(m[2], 16)
    if b - a > 1 << 32: continue  # a sanitizer's shadow, terabytes of it
    mem.seek(a)
    try: data = mem.read(b - a)
    except OSError: continue
    assert sys.argv[3].encode() not in data, l
    assert key not in data and key[::-1] not in data and key[-32:] not in data, l
PY
}

@test "SIGHUP: a pair that does not match is refused, the old one stays; then a new one" {
  recv_start
  talk <<<'< 220'  # it has read its keys
  openssl ecparam -genkey -name prime256v1 -noout -out "$T/other.key" 2>/dev/null
  cp "$T/mx.test.key" "$T/good.key"; cat "$T/other.key" >"$T/mx.test.key"
  kill -HUP "$RECV"
  wait_for 5 grep -q 'does not belong to this certificate' "$RECV_LOG"
  s='< 220
> STARTTLS
< 220
tls
> QUIT
< 221'
  talk <<<"$s"
  make_cert mx.test
  kill -HUP "$RECV"
  sleep 1
  talk <<<"$s"
  fp=$(openssl x509 -in "$T/mx.test.crt" -noout -fingerprint -sha256)
  got=$(openssl s_client -starttls smtp -connect "127.0.0.1:$PORT" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256)
  [ "$fp" = "$got" ]
}

@test "a pair that does not match stops the start with both file names" {
  openssl ecparam -genkey -name prime256v1 -noout -out "$T/other.key" 2>/dev/null
  run mx-recv -c "$T/mx.conf" -o "smtpd_tls_key_file=$T/other.key" </dev/null
  [ "$status" -eq 78 ]
  [[ "$output" == *"$T/mx.test.crt: the private key in $T/other.key does not belong"* ]]
}

@test "ALPN: another protocol's client is turned away" {
  recv_start
  openssl s_client -starttls smtp -alpn smtp -connect "127.0.0.1:$PORT" </dev/null 2>&1 | grep -q 'ALPN protocol: smtp'
  openssl s_client -starttls smtp -alpn http/1.1 -connect "127.0.0.1:$PORT" </dev/null 2>&1 | grep -qi 'no application protocol'
  openssl s_client -starttls smtp -tls1_1 -cipher 'ALL:@SECLEVEL=0' -connect "127.0.0.1:$PORT" </dev/null 2>&1 | grep -q 'Cipher is (NONE)'
}

@test "tickets of one worker are good at another, none without a match" {
  recv_start
  openssl s_client -starttls smtp -connect "127.0.0.1:$PORT" -sess_out "$T/sess" < <(sleep 1; printf 'QUIT\r\n'; sleep 0.5) >/dev/null 2>&1
  for _ in 1 2 3; do
    openssl s_client -starttls smtp -connect "127.0.0.1:$PORT" -sess_in "$T/sess" < <(printf 'QUIT\r\n'; sleep 0.5) 2>/dev/null | grep -q '^Reused'
  done
}

@test "submissions: TLS from the first byte, AUTH PLAIN and LOGIN" {
  recv_start --mode submissions
  talk tls <<X
< 220 mx.test
> EHLO me.test
<- AUTH PLAIN LOGIN
> AUTH PLAIN $(plain joe secret)
< 235 2.7.0 Authentication successful
> AUTH PLAIN $(plain joe secret)
< 503 5.5.1 Error: already authenticated
> MAIL FROM:<joe@mx.test>
< 250
> RCPT TO:<c@other.test>
< 250
> DATA
< 354
> x
> .
< 250
X
  grep -q 'LOGIN=joe' "$T/box/env.1"
  tr -d '\r\n' <"$T/box/msg.1" | tr '\t' ' ' | grep -q 'with ESMTPSA id'
  wait_for 5 grep -q ': client=localhost\[127.0.0.1\], sasl_method=PLAIN, sasl_username=joe' "$RECV_LOG"
  talk tls <<X
< 220
> EHLO me.test
< 250
> AUTH LOGIN
< 334 VXNlcm5hbWU6
> $(printf joe | base64)
< 334 UGFzc3dvcmQ6
> $(printf secret | base64)
< 235
X
}

@test "submission: no AUTH in the clear, none without a login" {
  recv_start --mode submission
  talk <<X
< 220
> EHLO me.test
< 250
> AUTH PLAIN $(plain joe secret)
< 538
> MAIL FROM:<joe@mx.test>
< 250
> RCPT TO:<b@mx.test>
< 554 5.7.1 <b@mx.test>: Recipient address rejected: Access denied
X
  talk >"$T/o" <<'X'
< 220
> EHLO me.test
< 250
> QUIT
< 221
X
  ! grep -q AUTH "$T/o"
  run swaks --server "127.0.0.1:$PORT" --tls --auth PLAIN --auth-user joe --auth-password secret \
    --from joe@mx.test --to c@other.test --helo me.test
  [ "$status" -eq 0 ]
  [ "$(mails)" -eq 1 ]
  run swaks --server "127.0.0.1:$PORT" --tls --auth LOGIN --auth-user joe --auth-password wrong \
    --from joe@mx.test --to c@other.test --helo me.test
  [ "$status" -ne 0 ]
}

@test "AUTH: wrong, broken, cancelled, nothing, another mechanism" {
  recv_start --mode submissions -o smtpd_hard_error_limit=100
  talk tls <<X
< 220
> EHLO me.test
< 250
> AUTH
< 501 5.5.4 Syntax: AUTH mechanism
> AUTH FOO
< 504 5.5.4
> AUTH ANONYMOUS
< 504
> AUTH PLAIN $(plain joe wrong)
< 535 5.7.8 Error: authentication failed
> AUTH PLAIN $(plain nobody wrong)
< 535 5.7.8 Error: authentication failed
> AUTH PLAIN $(plain joe '')
< 535
> AUTH PLAIN =
< 5
> AUTH PLAIN !!!
< 501 5.5.2 Error: malformed base64 data
> AUTH PLAIN AAAA AAAA
< 501
> AUTH PLAIN $(printf 'joe' | base64)
< 535
> AUTH PLAIN $(printf 'ann\0joe\0secret' | base64)
< 535
> AUTH LOGIN
< 334
> *
< 501 5.7.0 Authentication aborted
> AUTH LOGIN
< 334
> not base64
< 501 5.5.2
= "AUTH PLAIN " + "A" * 20000 + "\r\n"
< 500 5.5.2
> AUTH PLAIN
< 334
> $(plain joe secret)
< 235
> MAIL FROM:<joe@mx.test>
< 250
> AUTH PLAIN
< 503
X
  wait_for 5 grep -q 'localhost\[127.0.0.1\]: SASL PLAIN authentication failed' "$RECV_LOG"
  ! grep -qE 'secret|wrong' "$RECV_LOG"
}

@test "no auth server: AUTH is not offered, and the log says why" {
  recv_start --mode submissions -o "auth_socket=unix:$T/none"
  talk tls >"$T/o" <<X
< 220
> EHLO me.test
< 250
> AUTH PLAIN $(plain joe secret)
< 454 4.7.0 Temporary authentication failure
X
  ! grep -q 'AUTH PLAIN LOGIN' "$T/o"
  wait_for 5 grep -q "auth_socket = unix:$T/none" "$RECV_LOG"
}

@test "reject_sender_login_mismatch is on for submission where maps say who owns what" {
  recv_start --mode submissions -o 'smtpd_sender_login_maps=inline:{joe@mx.test=joe, {sales@mx.test = joe, ann}}'
  talk tls <<X
< 220
> EHLO me.test
< 250
> AUTH PLAIN $(plain ann other)
< 235
> MAIL FROM:<joe@mx.test>
< 250
> RCPT TO:<c@other.test>
< 553 5.7.1 <joe@mx.test>: Sender address rejected: not owned by user
> RSET
< 250
> MAIL FROM:<stranger@mx.test>
< 250
> RCPT TO:<c@other.test>
< 553
> RSET
< 250
> MAIL FROM:<sales@mx.test>
< 250
> RCPT TO:<c@other.test>
< 250
X
}
