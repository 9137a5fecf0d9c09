# AUTH: which mechanisms are offered, SCRAM with mx-auth and with Dovecot, the
# log that fail2ban reads.
load ../lib/common
load ../lib/dovecot
load recv

setup() {
  common_setup
  make_cert mx.test
  recv_conf "smtpd_tls_cert_file = $T/mx.test.crt" "smtpd_tls_key_file = $T/mx.test.key" \
    "smtpd_sasl_auth_enable = yes" "smtpd_tls_auth_only = no" "syslog_name = postfix" \
    "auth_socket = exec:mx-auth" "passdb = passwd-file:$T/users" "auth_failure_delay = 0" \
    "auth_mechanisms = plain login scram-sha-1 scram-sha-256" \
    "mail_owner = $(id -un)" "auth_user = $([ "$(id -u)" -eq 0 ] && echo nobody || id -un)"
  {
    echo "joe:{PLAIN}secret"
    for s in SCRAM-SHA-1 SCRAM-SHA-256; do echo "${s,,}:$(printf 'pässword\n' | mx-auth hash -c "$T/mx.conf" -s $s)"; done
    echo "crypt:$(printf 'secret\n' | mx-auth hash -c "$T/mx.conf" -s SHA512-CRYPT)"
    echo "nets:{PLAIN}secret::::::allow_nets=192.0.2.0/24"
    echo "locked:!"
  } > "$T/users"
  chmod 644 "$T/users"
  deliver_start
}
teardown() { common_teardown; }
scram() { python3 "$HERE/scram.py" "127.0.0.1:$PORT" "$@"; }
offers() { talk "$@" <<<$'< 220\n> EHLO me.test\n<- 250' | sed -n 's/^S: 250.AUTH[ =]//p'; }

@test "SCRAM: plain and SCRAM passwords, the server's proof; the rest fails alike" {
  recv_start
  scram SHA1 joe secret
  scram SHA256 joe secret tls
  scram SHA1 scram-sha-1 pässword
  scram SHA256 scram-sha-256 pässword
  # PLAIN against a SCRAM hash
  swaks --server "127.0.0.1:$PORT" --auth PLAIN --auth-user scram-sha-256 --auth-password pässword --quit-after AUTH
  for who in "joe wrong" "nobody secret" "crypt secret" "scram-sha-1 pässword" "nets secret" "locked x"; do
    run scram SHA256 $who
    [ "$status" -ne 0 ]
    [[ $output == *"535 5.7.8 Error: authentication failed"* ]]
  done
  grep -q 'sasl_method=SCRAM' "$RECV_LOG" || true
}

@test "the same salt for an unknown name each time; malformed exchanges" {
  recv_start
  first() { talk <<<"< 220
> EHLO me.test
<- 250
> AUTH SCRAM-SHA-256 $(printf "$1" | base64 -w0)
< ${2:-334}" | sed -n 's/^S: 334 //p' | base64 -d | sed 's/r=[^,]*//'; }
  a=$(first 'n,,n=ghost,r=abcdefghijkl'); b=$(first 'n,,n=ghost,r=abcdefghijkl')
  [ -n "$a" ] && [ "$a" = "$b" ]
  for bad in 'p=tls-unique,,n=joe,r=abcdefghijkl' 'n,,n=,r=abcdefghijkl' 'n,,n=joe,r=short' 'n,,r=abcdefghijkl' 'x' \
    'n,a=other,n=joe,r=abcdefghijkl' 'n,,n=j=3Xoe,r=abcdefghijkl' 'n,,m=x,n=joe,r=abcdefghijkl'; do
    first "$bad" 535
  done
}

@test "smtpd_sasl_security_options with and without TLS; the old form; bad words" {
  recv_start -o smtpd_sasl_security_options=noplaintext,noanonymous -o smtpd_sasl_tls_security_options=noanonymous \
    -o broken_sasl_auth_clients=yes
  [ "$(offers | sort -u)" = "SCRAM-SHA-1 SCRAM-SHA-256" ]
  [ "$(offers | wc -l)" -eq 2 ]
  run swaks --server "127.0.0.1:$PORT" --auth PLAIN --auth-user joe --auth-password secret --quit-after AUTH
  [ "$status" -ne 0 ]
  swaks --server "127.0.0.1:$PORT" --tls --auth PLAIN --auth-user joe --auth-password secret --quit-after AUTH
  talk <<'X'
< 220
> EHLO me.test
<- 250
> AUTH PLAIN AGpvZQBzZWNyZXQ=
< 504 5.5.4
X
  kill "$RECV"
  recv_start -o smtpd_sasl_security_options=mutual_auth
  [ "$(offers)" = "SCRAM-SHA-1 SCRAM-SHA-256" ]
  run mx-recv -c "$T/mx.conf" -o smtpd_sasl_security_options=nonsense < /dev/null
  [ "$status" -eq 78 ]
  [[ $output == *nonsense*noplaintext* ]]
}

@test "SCRAM-PLUS: tls-unique, tls-server-end-point, gsasl's tls-exporter; no downgrade" {
  recv_start -o auth_mechanisms="plain scram-sha-1 scram-sha-256 scram-sha-1-plus scram-sha-256-plus"
  # the mx-auth that exec: starts reads the file
  sed -i 's/^auth_mechanisms.*/auth_mechanisms = plain scram-sha-1 scram-sha-256 scram-sha-1-plus scram-sha-256-plus/' "$T/mx.conf"
  [ "$(offers)" = "PLAIN SCRAM-SHA-1 SCRAM-SHA-256" ]
  scram SHA256 joe secret tls12 tls-unique | tee "$T/said"
  grep -q "SCRAM-SHA-256 SCRAM-SHA-256-PLUS" "$T/said"
  scram SHA1 joe secret tls12 tls-unique
  scram SHA256 scram-sha-256 pässword tls tls-server-end-point
  scram SHA1 joe secret tls12 tls-server-end-point
  scram SHA256 joe secret tls
  for how in wrong y n/plus tls-server-end-point/plain; do
    echo "$how"
    run scram SHA256 joe secret tls "$how"
    [ "$status" -ne 0 ]
    [[ $output == *"535 5.7.8"* ]]
  done
  run scram SHA256 joe wrong tls tls-server-end-point
  [ "$status" -ne 0 ]
  if command -v gsasl >/dev/null; then
    gsasl --smtp --connect="127.0.0.1:$PORT" -m SCRAM-SHA-256-PLUS -a joe -p secret \
      --x509-ca-file="$T/mx.test.crt" --hostname=localhost --no-client-first < /dev/null 2>&1 | tee "$T/gsasl"
    grep -q '^235 2.7.0' "$T/gsasl"
  fi
  # without -PLUS in auth_mechanisms "y" is the truth
  kill "$RECV"
  sed -i 's/^auth_mechanisms.*/auth_mechanisms = plain scram-sha-256/' "$T/mx.conf"
  recv_start
  scram SHA256 joe secret tls y
}

@test "smtpd_sasl_authenticated_header" {
  recv_start -o smtpd_sasl_authenticated_header=yes
  swaks --server "127.0.0.1:$PORT" --from joe@mx.test --to a@mx.test --auth PLAIN --auth-user joe --auth-password secret
  tr -d '\r\n\t' < "$T/box/msg.1" | grep -q '(Authenticated sender: joe)'
}

@test "fail2ban's postfix filter finds the failures" {
  command -v fail2ban-regex >/dev/null && [ -e /etc/fail2ban/filter.d/postfix.conf ] || skip "no fail2ban here"
  recv_start
  for m in PLAIN LOGIN; do
    swaks --server "127.0.0.1:$PORT" --auth $m --auth-user joe --auth-password wrong --quit-after AUTH || true
  done
  grep 'authentication failed' "$RECV_LOG"
  sed 's/^/Nov 21 12:00:00 host /' "$RECV_LOG" | grep 'postfix/' > "$T/mail.log"
  run fail2ban-regex "$T/mail.log" 'postfix[mode=auth]'
  echo "$output"
  [[ $output == *" 2 matched"* ]]
}

@test "Dovecot's auth service behind us: PLAIN and SCRAM" {
  need_root
  command -v dovecot >/dev/null || skip "no dovecot here"
  sed -i '/^nets\|^locked/d' "$T/users"
  dovecot_auth "$(dovecot_file "$T/users")" "$(dovecot_nobody)" 'auth_mechanisms = plain login scram-sha-1 scram-sha-256'
  recv_start -o "auth_socket=unix:$T/dove/auth-test"
  scram SHA1 joe secret
  # what mx-auth hashed, Dovecot reads
  scram SHA256 scram-sha-256 pässword
  scram SHA1 scram-sha-1 pässword
  swaks --server "127.0.0.1:$PORT" --auth LOGIN --auth-user joe --auth-password secret --quit-after AUTH
  run scram SHA256 joe wrong
  [[ $output == *"535 5.7.8"* ]]
}
