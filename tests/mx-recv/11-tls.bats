# mx-recv: TLS beyond the handshake: SNI, tickets, client certificates,
# protocols and ciphers of required and of opportunistic TLS.
load ../lib/common
load recv

setup() {
  common_setup; recv_conf "smtpd_peername_lookup = no"; deliver_start
  for n in mx.test one.test two.test sub.test; do
    make_cert $n "DNS:$n"; cat "$T/$n.key" "$T/$n.crt" > "$T/$n.pem"
  done
  tls=(-o "smtpd_tls_chain_files=$T/mx.test.pem")
}
teardown() { common_teardown; }
# s_client ARG...: what openssl says of a handshake
s_client() { printf 'QUIT\r\n' | timeout 20 openssl s_client -connect "127.0.0.1:$PORT" -starttls smtp "$@" 2>&1 || true; }
subject() { s_client "$@" | sed -n 's/^subject=CN *= *//p'; }

@test "SNI: exact names, names below, others; many names cost nothing; a bad file stops the start" {
  cat > "$T/sni" <<X
one.test $T/one.test.pem
TWO.test $T/two.test.key, $T/two.test.crt
.sub.test $T/sub.test.pem
X
  recv_start "${tls[@]}" -o "tls_server_sni_maps=texthash:$T/sni"
  [ "$(subject -servername one.test)" = one.test ]
  [ "$(subject -servername Two.Test)" = two.test ]
  [ "$(subject -servername a.b.sub.test)" = sub.test ]
  [ "$(subject -servername sub.test)" = mx.test ]
  [ "$(subject -servername other.test)" = mx.test ]
  [ "$(subject -servername ../../etc/passwd)" = mx.test ]
  [ "$(subject -noservername)" = mx.test ]
  # implicit TLS too
  recv_start "${tls[@]}" -o smtpd_tls_wrappermode=yes -o "tls_server_sni_maps=inline:{ {one.test = $T/one.test.pem} }"
  [ "$(openssl s_client -connect "127.0.0.1:$PORT" -servername one.test </dev/null 2>/dev/null | sed -n 's/^subject=CN *= *//p')" = one.test ]
  # the key of each stays in the monitor
  for p in $(pgrep -P "$RECV"); do
    python3 - "$p" "$T/one.test.key" <<'PY'
import re, subprocess, sys
der = subprocess.run(["openssl", "pkey", "-in", sys.argv[2], "-outform", "DER"], stdout=subprocess.PIPE).stdout
priv = der[der.index(b"\x04\x20") + 2:][:32]
for line in open("/proc/%s/maps" % sys.argv[1]):
    m = re.match(r"(\w+)-(\w+) r", line)
    if not m or "[v" in line: continue
    if int(m[2], 16) - int(m[1], 16) > 1 << 32: continue  # a sanitizer's shadow
    with open("/proc/%s/mem" % sys.argv[1], "rb") as f:
        f.seek(int(m[1], 16))
        try: data = f.read(int(m[2], 16) - int(m[1], 16))
        except OSError: continue
    assert priv not in data and priv[::-1] not in data, line
PY
  done
  echo "bad.test $T/one.test.key $T/two.test.crt" > "$T/sni"
  run mx-recv -c "$T/mx.conf" "${tls[@]}" -o "tls_server_sni_maps=texthash:$T/sni" </dev/null
  [ "$status" -eq 78 ]
  [[ "$output" == *"bad.test"*"does not belong"* ]]
  run mx-recv -c "$T/mx.conf" "${tls[@]}" -o "tls_server_sni_maps=pcre:$T/sni" </dev/null
  [ "$status" -eq 78 ]
}

@test "tickets: good at any worker, TLS 1.2 and 1.3; not for another listener" {
  recv_start "${tls[@]}" -o max_use=1
  for v in -tls1_2 -tls1_3; do
    # with 1.3 the ticket comes behind the handshake: stay for a reply
    (printf 'NOOP\r\n'; for _ in $(seq 300); do [ -s "$T/sess" ] && break; sleep 0.1; done; printf 'QUIT\r\n') | openssl s_client -connect "127.0.0.1:$PORT" -starttls smtp $v -sess_out "$T/sess" >/dev/null 2>&1 || true
    [ -s "$T/sess" ]
    for _ in 1 2 3; do s_client $v -sess_in "$T/sess" | grep -q '^Reused'; done
    rm "$T/sess"
  done
  s_client -tls1_2 -sess_out "$T/sess" > /dev/null
  recv_start "${tls[@]}" -o smtpd_tls_wrappermode=yes
  openssl s_client -connect "127.0.0.1:$PORT" -tls1_2 -sess_in "$T/sess" </dev/null 2>/dev/null | grep -q '^New'
}

@test "client certificates: permit by fingerprint, of the key, any that verifies; access by fingerprint; log and Received" {
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/ca.key" -out "$T/ca.crt" -days 30 -subj /CN=ca 2>/dev/null
  for n in good other; do
    openssl req -newkey rsa:2048 -nodes -keyout "$T/$n.key" -out "$T/$n.csr" -subj "/CN=$n.client" 2>/dev/null
  done
  openssl x509 -req -in "$T/good.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days 30 -out "$T/good.crt" 2>/dev/null
  openssl x509 -req -in "$T/other.csr" -signkey "$T/other.key" -days 30 -out "$T/other.crt" 2>/dev/null
  fp=$(openssl x509 -in "$T/other.crt" -noout -fingerprint -sha256 | cut -d= -f2)
  kfp=$(openssl x509 -in "$T/good.crt" -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c | sed 's/.*= *//' | tr a-f A-F)
  rcpt() { # rcpt CERT: the answer to a relay attempt
    python3 - "$PORT" "$T" "$1" "${2:-}" <<'PY'
import smtplib, ssl, sys
port, T, n, x = sys.argv[1:]
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
if n != "none": ctx.load_cert_chain(T + "/" + n + ".crt", T + "/" + n + ".key")
s = smtplib.SMTP("127.0.0.1", int(port)); s.starttls(context=ctx); s.ehlo("me.test")
if x: assert s.docmd("XCLIENT ADDR=192.0.2.1")[0] == 220; s.ehlo("me.test")
s.docmd("MAIL FROM:<a@x.test>"); code, text = s.docmd("RCPT TO:<b@far.test>"); print(code)
if code == 250: s.docmd("DATA"); s.send("x\r\n.\r\n"); s.getreply()
PY
  }
  o=("${tls[@]}" -o mynetworks= -o smtpd_tls_ask_ccert=yes -o "smtpd_tls_CAfile=$T/ca.crt")
  recv_start "${o[@]}" -o smtpd_relay_restrictions=permit_tls_clientcerts,reject -o "relay_clientcerts=inline:{$fp=other}"
  [ "$(rcpt other)" = 250 ]; [ "$(rcpt good)" = 554 ]; [ "$(rcpt none)" = 554 ]
  wait_for 5 grep -q "Untrusted TLS connection established from unknown\[127.0.0.1\]: TLSv1" "$RECV_LOG"
  wait_for 5 grep -q "Trusted: subject_CN=good.client, fingerprint=" "$RECV_LOG"
  tr -s '\r\n\t ' ' ' < "$T"/box/msg.1 | grep -q '(Client CN "other.client" (not verified))'
  recv_start "${o[@]}" -o smtpd_relay_restrictions=permit_tls_clientcerts,reject -o "relay_clientcerts=inline:{$kfp=good}"
  [ "$(rcpt other)" = 554 ]; [ "$(rcpt good)" = 250 ]
  recv_start "${o[@]}" -o smtpd_relay_restrictions=permit_tls_all_clientcerts,reject
  [ "$(rcpt other)" = 554 ]; [ "$(rcpt good)" = 250 ]; [ "$(rcpt none)" = 554 ]
  recv_start "${o[@]}" -o "smtpd_relay_restrictions=check_ccert_access inline:{$fp=OK},reject"
  [ "$(rcpt other)" = 250 ]; [ "$(rcpt good)" = 554 ]
  # the certificate of a proxy is not that of those it speaks for
  x=(-o smtpd_authorized_xclient_hosts=127.0.0.1)
  recv_start "${o[@]}" "${x[@]}" -o "smtpd_relay_restrictions=check_ccert_access inline:{$fp=OK},permit_tls_all_clientcerts,reject"
  [ "$(rcpt other)" = 250 ]; [ "$(rcpt good)" = 250 ]
  [ "$(rcpt other XCLIENT)" = 554 ]; [ "$(rcpt good XCLIENT)" = 554 ]
  recv_start "${o[@]}" -o smtpd_tls_req_ccert=yes -o smtpd_tls_security_level=encrypt -o smtpd_relay_restrictions=
  [ "$(rcpt good)" = 250 ]
  ! rcpt none; ! rcpt other
}

@test "protocols and ciphers: those of required TLS where it is required; exclusions, misspelt names warn" {
  recv_start "${tls[@]}" -o 'smtpd_tls_protocols=!SSLv2, !SSLv3' -o smtpd_tls_mandatory_protocols=TLSv1.3 -o 'smtpd_tls_exclude_ciphers=aNULL, eNULL, EXPORT, DES, RC4, MD5, PSK, aECDH, EDH-DSS-DES-CBC3-SHA, EDH-RSA-DES-CDC3-SHA, KRB5-DE5, CBC3-SHA, AESGCM'
  s_client -tls1_2 | grep -q 'Cipher is [A-Z]'
  ! s_client -tls1_2 -cipher AESGCM | grep -q 'Cipher is [A-Z]'
  s_client -tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305 | grep -q 'Cipher is ECDHE'
  grep -q 'OpenSSL knows no cipher "KRB5-DE5"' "$RECV_LOG"
  recv_start "${tls[@]}" -o smtpd_tls_security_level=encrypt -o 'smtpd_tls_protocols=!SSLv2' -o smtpd_tls_mandatory_protocols=TLSv1.3
  ! s_client -tls1_2 | grep -q 'Cipher is [A-Z]'
  s_client -tls1_3 | grep -q 'Cipher is TLS_'
}

@test "rate of new TLS sessions; the handshake has its own deadline" {
  recv_start "${tls[@]}" -o smtpd_client_new_tls_session_rate_limit=2 -o mynetworks= -o smtpd_starttls_timeout=1s
  s_client | grep -q 'Cipher is'; s_client | grep -q 'Cipher is'
  ! s_client | grep -q 'Cipher is [A-Z]'
  wait_for 5 grep -q 'New TLS session rate limit exceeded: 3 from' "$RECV_LOG"
  recv_start "${tls[@]}" -o smtpd_starttls_timeout=1s
  talk <<'X'
< 220
> EHLO x
< 250
> STARTTLS
< 220
eof
X
  wait_for 5 grep -q 'SSL_accept error from .*timeout' "$RECV_LOG"
}
