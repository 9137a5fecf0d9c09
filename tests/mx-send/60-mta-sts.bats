#!/usr/bin/env bats
# MTA-STS (RFC 8461): records of a real NSD, policies over a local HTTPS
# server, fetched by mx-fetch; a domain a test.
load ../lib/common
load ../lib/send

leaf() { # NAME ALTNAMES
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/$1.key" -out "$T/$1.csr" -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$T/$1.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days 30 \
    -extfile <(echo "subjectAltName=$2") -out "$T/$1.crt" 2>/dev/null
}

setup_file() {
  common_setup
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" \
    -out "$T/ca.crt" -days 30 -subj "/CN=ca" -addext basicConstraints=critical,CA:true 2>/dev/null
  leaf mx.mail.test DNS:mx.mail.test
  leaf web "$(printf 'DNS:mta-sts.d%s.test,' 1 2 3 4 5 6 7 8)DNS:x.test"
  make_cert self DNS:self.mail.test
  mapfile -t p < <(free_port 2); DNS=${p[0]} WEB=${p[1]}
  peer ok --cert "$T/mx.mail.test.crt" --key "$T/mx.mail.test.key"; TLS=$PEER
  peer ok; PLAIN=$PEER
  local d; : > "$T/zones"
  for d in 1 2 3 4 5 6 7 8 9; do
    { printf '$ORIGIN d%s.test.\n$TTL 1\n@ SOA ns h 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n' "$d"
      printf '@ MX 10 mx.mail.test.\nmta-sts A 127.0.0.1\n'
      [ "$d" -eq 8 ] || printf '_mta-sts TXT "v=STSv1; id=a1;"\n'; } > "$T/z$d"
    echo "d$d.test $T/z$d" >> "$T/zones"
  done
  printf '$ORIGIN mail.test.\n$TTL 1\n@ SOA ns h 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\nmx A 127.0.0.1\n' > "$T/zmail"
  dns_serve "$DNS" mail.test "$T/zmail" $(cat "$T/zones")
  mkdir -p "$T/www/.well-known" "$T/data"; chmod 755 "$T/data"
  spawn python3 "$ROOT/tests/lib/https_server.py" "$WEB" "$T/web.crt" "$T/web.key" "$T/www"
  wait_port "$WEB"
  chmod 644 "$T"/*.crt "$T"/*.key
  FILE_T=$T; export FILE_T TLS PLAIN DNS WEB FILE_PIDS="${PIDS[*]}"
}
teardown_file() { read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }
setup() { T=$FILE_T; }

policy() { # MODE MAX_AGE MX...
  local m; { printf 'version: STSv1\r\nmode: %s\r\nmax_age: %s\r\n' "$1" "$2"; shift 2
    for m; do printf 'mx: %s\r\n' "$m"; done; } > "$T/www/.well-known/mta-sts.txt"
}
to() { # DOMAIN PORT [OPTION...]
  local domain=$1 port=$2; shift 2
  run send --resolver "127.0.0.1:$DNS" -o "smtp_tcp_port=$port" -o inet_interfaces=127.0.0.7 -o smtp_host_lookup=dns \
    -o "data_directory=$T/data" -o "mta_sts_port=$WEB" -o "smtp_tls_CAfile=$T/ca.crt" --trace "$@" "b@$domain" \
    < <(printf 'Subject: x\n\nbody\n')
  echo "$output"
}
never() { [ "$status" -eq 69 ] && grep -q " bounced $1 " <<<"$output" && ! grep -q '^> MAIL' <<<"$output"; }
waits() { [ "$status" -eq 75 ] && grep -q " deferred $1 " <<<"$output" && ! grep -q '^> MAIL' <<<"$output"; }

@test "enforce: the policy's host with its certificate; never in clear" {
  policy enforce 86400 mx.mail.test
  to d1.test "$TLS"; [ "$status" -eq 0 ]; grep -q '^\* Verified TLS.*level verify, MTA-STS' <<<"$output"
  to d1.test "$PLAIN"; waits 4.7.4
  # the same without policies
  to d1.test "$PLAIN" -o mta_sts=no; [ "$status" -eq 0 ]
  # the certificate of nobody we know
  to d1.test "$TLS" -o "smtp_tls_CAfile=$T/self.crt"; waits 4.7.5
}
@test "enforce: a host that the policy does not name; a wildcard does" {
  policy enforce 86400 other.mail.test '*.mx.mail.test'
  to d2.test "$TLS"; waits 4.7.5; grep -q 'the MTA-STS policy of d2.test does not name host mx.mail.test' <<<"$output"
  policy enforce 86400 '*.mail.test'
  rm "$T/data/mta-sts/d2.test"
  to d2.test "$TLS"; [ "$status" -eq 0 ]
}
@test "testing and none ask for nothing" {
  policy testing 86400 other.mail.test
  to d3.test "$TLS"; [ "$status" -eq 0 ]; grep -q 'level may, MTA-STS' <<<"$output"
  to d3.test "$PLAIN"; [ "$status" -eq 0 ]
  policy none 86400
  rm "$T/data/mta-sts/d3.test"
  to d3.test "$PLAIN"; [ "$status" -eq 0 ]
}
@test "a policy that is cached holds while it lives, whatever becomes of its server" {
  policy enforce 5000 mx.mail.test
  to d4.test "$TLS"; [ "$status" -eq 0 ]
  rm "$T/www/.well-known/mta-sts.txt"
  to d4.test "$PLAIN"; waits 4.7.4
  MX_TEST_TIME=+4000 to d4.test "$PLAIN"; waits 4.7.4
  # a changed record and no new policy: the old one
  sed -i '1s/a1$/a0/' "$T/data/mta-sts/d4.test"
  to d4.test "$PLAIN"; waits 4.7.4
  # and then it is over
  MX_TEST_TIME=+6000 to d4.test "$PLAIN"; [ "$status" -eq 0 ]
}
@test "a changed record brings the new policy" {
  policy enforce 86400 mx.mail.test
  to d5.test "$PLAIN"; waits 4.7.4
  policy testing 86400 mx.mail.test
  to d5.test "$PLAIN"; waits 4.7.4
  sed -i '1s/a1$/a0/' "$T/data/mta-sts/d5.test"
  to d5.test "$PLAIN"; [ "$status" -eq 0 ]
  grep -q 'mode: testing' "$T/data/mta-sts/d5.test"
}
@test "no policy: broken, redirected, of the wrong type; nobody asks again at once" {
  echo nonsense > "$T/www/.well-known/mta-sts.txt"
  to d6.test "$PLAIN"; [ "$status" -eq 0 ]; grep -q '^\* MTA-STS: d6.test:' <<<"$output"
  policy enforce 86400 mx.mail.test
  to d6.test "$PLAIN"; [ "$status" -eq 0 ]
  MX_TEST_TIME=+400 to d6.test "$PLAIN"; waits 4.7.4
  : > "$T/www/redirect"
  to d7.test "$PLAIN"; rm "$T/www/redirect"; [ "$status" -eq 0 ]
  # the server's certificate does not stand for it
  to d9.test "$PLAIN"; [ "$status" -eq 0 ]; grep -q '^\* MTA-STS: d9.test:' <<<"$output"
}
@test "no record any more: what is cached holds; without a cache there is none" {
  policy enforce 86400 mx.mail.test
  to d8.test "$PLAIN"; [ "$status" -eq 0 ]
  { echo "mta-sts $(date +%s) $(date +%s) x1"; cat "$T/www/.well-known/mta-sts.txt"; } > "$T/data/mta-sts/d8.test"
  to d8.test "$PLAIN"; waits 4.7.4
  # a damaged cache is none
  echo garbage > "$T/data/mta-sts/d8.test"
  to d8.test "$PLAIN"; [ "$status" -eq 0 ]
}
@test "a cache that cannot be written, a table that says verify: mail goes all the same" {
  policy enforce 86400 mx.mail.test
  to d1.test "$TLS" -o data_directory=/nonexistent; [ "$status" -eq 0 ]; grep -q MTA-STS <<<"$output"
  to d2.test "$PLAIN" -o smtp_tls_policy_maps=inline:{d2.test=none}; [ "$status" -eq 0 ]
}

@test "REQUIRETLS (RFC 8689 4.2.1, 2): MX records that nobody signed need a policy that names the host" {
  # the certificate is good; whose mail server it is, the policy alone proves
  policy testing 60 other.mail.test
  rm -f "$T/data/mta-sts/"*
  to d1.test "$TLS" --requiretls -f me@sender.test; never 5.7.10; grep -q 'REQUIRETLS: the MX records of d1.test are not signed' <<<"$output"
  to d9.test "$TLS" --requiretls -f me@sender.test -o mta_sts=no; never 5.7.10
  # its policy cannot be had today
  to d9.test "$TLS" --requiretls -f me@sender.test; waits 4.7.10
  to d8.test "$TLS" --requiretls -f me@sender.test; never 5.7.10
  # named: what is missing now is the server's REQUIRETLS, which is for good
  policy testing 60 mx.mail.test
  rm -f "$T/data/mta-sts/"*
  to d1.test "$TLS" --requiretls -f me@sender.test; [ "$status" -eq 69 ]; grep -q ' bounced 5.7.30 ' <<<"$output"
  # our own policy says what the certificate must show
  to d9.test "$TLS" --requiretls -f me@sender.test -o smtp_tls_security_level=secure -o smtp_tls_secure_cert_match=mx.mail.test
  [ "$status" -eq 69 ]; grep -q ' bounced 5.7.30 ' <<<"$output"
}
