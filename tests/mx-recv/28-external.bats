# EXTERNAL: a client certificate logs in, through mx-auth and through Dovecot.
load ../lib/common
load ../lib/dovecot
load recv

setup_file() {
  D=$BATS_FILE_TMPDIR; export D
  chmod 711 "$BATS_RUN_TMPDIR" "$D"
  cd "$D"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=ca 2>/dev/null
  cert() { # cert FILE SUBJECT
    openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -utf8 -subj "$2" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" 2>/dev/null
  }
  cert joe "/CN=joe@ex.org/emailAddress=ann@ex.org"
  cert locked /CN=locked@ex.org
  cert nologin /CN=nologin@ex.org
  cert unknown /CN=unknown@ex.org
  cert two "/CN=joe@ex.org/CN=ann@ex.org"
  cert nocn "/O=joe@ex.org"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.crt -days 30 -subj /CN=joe@ex.org 2>/dev/null
}
setup() {
  common_setup; recv_conf "smtpd_peername_lookup = no"; deliver_start
  make_cert mx.test; cat "$T/mx.test.key" "$T/mx.test.crt" > "$T/mx.pem"
  cat > "$T/users" <<'U'
joe@ex.org:{PLAIN}joepw:1:1
ann@ex.org:{PLAIN}annpw:1:1
locked@ex.org:!:1:1
nologin@ex.org:{PLAIN}x:1:1::::nologin
U
  chmod 644 "$T/users"
  cat > "$T/auth.conf" <<CF
run_directory = $T
passdb = passwd-file:$T/users
auth_mechanisms = plain external
auth_failure_delay = 0
login_trusted_networks = 127.0.0.0/8
CF
  [ "$(id -u)" -ne 0 ] || echo 'auth_user = nobody' >> "$T/auth.conf"
  sub=(--mode submission -o "smtpd_tls_chain_files=$T/mx.pem" -o smtpd_tls_ask_ccert=yes -o "smtpd_tls_CAfile=$D/ca.crt" -o "auth_socket=unix:$T/auth" -o mynetworks= -o smtpd_sasl_auth_enable=yes)
}
teardown() { common_teardown; }
auth_serve() { rm -f "$T/auth"; spawn mx-auth -c "$T/auth.conf" --listen "unix:$T/auth" "$@"; AUTH=$SPAWNED; wait_for 5 test -S "$T/auth"; }

# login CERT HOW [NAME]: whether EXTERNAL is offered, the answer, and to MAIL and RCPT
login() {
  python3 - "$PORT" "$D" "$@" <<'PY'
import base64, smtplib, ssl, sys
port, D, cert, how = sys.argv[1:5]
name = sys.argv[5].encode() if sys.argv[5:] else b""
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
if cert != "none": ctx.load_cert_chain("%s/%s.crt" % (D, cert), "%s/%s.key" % (D, cert))
s = smtplib.SMTP("127.0.0.1", int(port), timeout=30); s.ehlo("me.test")
assert "auth" not in s.esmtp_features
s.starttls(context=ctx); s.ehlo("me.test")
words = s.esmtp_features.get("auth", "").split()
b = base64.b64encode
if how == "initial": r = s.docmd("AUTH EXTERNAL " + (b(name).decode() or "="))
elif how == "later":
    r = s.docmd("AUTH EXTERNAL")
    if r[0] == 334: assert r[1] == b"", r; r = s.docmd(b(name).decode())
print("EXTERNAL" if "EXTERNAL" in words else "-", r[0], end="")
if r[0] == 235:
    print("", s.docmd("MAIL FROM:<a@ex.org>")[0], s.docmd("RCPT TO:<b@far.test>")[0], end="")
    s.docmd("DATA"); s.send("Subject: x\r\n\r\nx\r\n.\r\n"); s.getreply()
print()
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; cat "$T"/out.*; return 1; }; }

matrix() {
  is "$(login joe initial)" "EXTERNAL 235 250 250"
  wait_for 5 grep -q "sasl_method=EXTERNAL, sasl_username=joe@ex.org" "$RECV_LOG"
  is "$(login joe later)" "EXTERNAL 235 250 250"
  is "$(login joe initial joe@ex.org)" "EXTERNAL 235 250 250"
  is "$(login joe later ann@ex.org)" "EXTERNAL 535"
  is "$(login locked initial)" "EXTERNAL 535"
  is "$(login unknown initial)" "EXTERNAL 535"
  # no certificate, one that nobody signed, one that names nobody or two
  is "$(login none initial)" "- 504"
  is "$(login self initial)" "- 504"
  is "$(login nocn initial)" "- 504"
  is "$(login two initial)" "- 504"
}

@test "mx-auth: the certificate's name logs in, and nobody else's" {
  echo 'auth_ssl_username_from_cert = yes' >> "$T/auth.conf"
  auth_serve; recv_start "${sub[@]}"
  matrix
  is "$(login nologin initial)" "EXTERNAL 535"
  # TLS 1.2, and openssl alone
  (sleep 1; printf 'EHLO me.test\r\n'; sleep 1; printf 'AUTH EXTERNAL =\r\n'; sleep 1; printf 'QUIT\r\n') |
    openssl s_client -quiet -tls1_2 -starttls smtp -connect "127.0.0.1:$PORT" -cert "$D/joe.crt" -key "$D/joe.key" > "$T/said" 2>/dev/null
  grep -q '^235 2.7.0' "$T/said"
}

@test "mx-auth: PLAIN with a certificate is its user's password; require_client_cert" {
  plain() {
    python3 - "$PORT" "$D" "$@" <<'PY'
import base64, smtplib, ssl, sys
port, D, cert, user, pw = sys.argv[1:]
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
if cert != "none": ctx.load_cert_chain("%s/%s.crt" % (D, cert), "%s/%s.key" % (D, cert))
s = smtplib.SMTP("127.0.0.1", int(port), timeout=30); s.starttls(context=ctx); s.ehlo("me.test")
print(s.docmd("AUTH PLAIN " + base64.b64encode(("\0%s\0%s" % (user, pw)).encode()).decode())[0])
PY
  }
  printf '%s\n' 'auth_ssl_username_from_cert = yes' 'auth_ssl_require_client_cert = yes' >> "$T/auth.conf"
  auth_serve; recv_start "${sub[@]}"
  is "$(plain joe joe@ex.org joepw)" 235
  is "$(plain joe ann@ex.org annpw)" 535
  is "$(plain joe ann@ex.org joepw)" 235
  is "$(plain none joe@ex.org joepw)" 535
  is "$(plain self joe@ex.org joepw)" 535
}

@test "without auth_ssl_username_from_cert it names nobody; another field; a field that is none" {
  auth_serve; recv_start "${sub[@]}"
  is "$(login joe initial)" "EXTERNAL 535"
  is "$(login joe initial joe@ex.org)" "EXTERNAL 535"
  kill "$AUTH"; wait "$AUTH" 2>/dev/null || true
  echo 'auth_ssl_username_from_cert = yes' >> "$T/auth.conf"
  auth_serve; recv_start "${sub[@]}" -o ssl_cert_username_field=emailAddress
  is "$(login joe initial)" "EXTERNAL 235 250 250"
  wait_for 5 grep -q "sasl_method=EXTERNAL, sasl_username=ann@ex.org" "$RECV_LOG"
  is "$(login unknown initial)" "- 504"
  run mx-recv -c "$T/mx.conf" "${sub[@]}" -o ssl_cert_username_field=shoeSize </dev/null
  [ "$status" -eq 78 ]; [[ "$output" == *"ssl_cert_username_field = shoeSize"* ]]
}

@test "smtpd_tls_fingerprint_digest: certificates and keys by sha1, sha512, md5, as openssl prints them" {
  relay() {
    python3 - "$PORT" "$D" <<'PY'
import smtplib, ssl, sys
port, D = sys.argv[1:]
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
ctx.load_cert_chain(D + "/self.crt", D + "/self.key")
s = smtplib.SMTP("127.0.0.1", int(port), timeout=30); s.starttls(context=ctx); s.ehlo("me.test")
s.docmd("MAIL FROM:<a@x.test>"); print(s.docmd("RCPT TO:<b@far.test>")[0])
PY
  }
  o=(-o "smtpd_tls_chain_files=$T/mx.pem" -o smtpd_tls_ask_ccert=yes -o mynetworks= -o smtpd_relay_restrictions=permit_tls_clientcerts,reject)
  for d in sha1 sha512 md5; do
    fp=$(openssl x509 -in "$D/self.crt" -noout -fingerprint -$d | cut -d= -f2)
    recv_start "${o[@]}" -o smtpd_tls_fingerprint_digest=$d -o "relay_clientcerts=inline:{$fp=joe}"
    is "$d $(relay)" "$d 250"
    wait_for 5 grep -q "fingerprint=$fp" "$RECV_LOG"
    kill "$RECV"
  done
  kfp=$(openssl x509 -in "$D/self.crt" -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha512 -c | sed 's/.*= *//' | tr a-f A-F)
  recv_start "${o[@]}" -o smtpd_tls_fingerprint_digest=sha512 -o "relay_clientcerts=inline:{$kfp=joe}"
  is "$(relay)" 250
  recv_start "${o[@]}" -o "relay_clientcerts=inline:{$fp=joe}"
  is "$(relay)" 554
  run mx-recv -c "$T/mx.conf" "${o[@]}" -o smtpd_tls_fingerprint_digest=crc9 </dev/null
  [ "$status" -eq 78 ]; [[ "$output" == *"smtpd_tls_fingerprint_digest = crc9"* ]]
}

@test "Dovecot's auth service behind mx-recv answers the same" {
  need_root
  cat > "$T/dusers" <<'U'
joe@ex.org:::::::nopassword
ann@ex.org:::::::nopassword
locked@ex.org:!:1:1
U
  dovecot_auth "$(dovecot_file "$T/dusers")" "$(dovecot_file "$T/dusers")" 'auth_mechanisms = plain external' \
    'auth_ssl_username_from_cert = yes'
  recv_start "${sub[@]}" -o "auth_socket=unix:$T/dove/auth-test"
  matrix
}
