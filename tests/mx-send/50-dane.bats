#!/usr/bin/env bats
# DANE (RFC 7672): zones signed by ldns-signzone, served by NSD, validated by
# Unbound.  $TLS is a peer's port with a certificate, $PLAIN one without TLS.
load ../lib/common
load ../lib/send
load ../lib/dnssec

leaf() { # NAME: a certificate that the test's authority signed; chain in $T/NAME.crt
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/$1.key" \
    -out "$T/$1.csr" -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$T/$1.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days 30 \
    -extfile <(echo "subjectAltName=DNS:$1") -out "$T/$1.leaf" 2>/dev/null
  cat "$T/$1.leaf" "$T/ca.crt" > "$T/$1.crt"
}

setup_file() {
  common_setup
  make_cert peer.example
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" \
    -out "$T/ca.crt" -days 30 -subj "/CN=ca" -addext basicConstraints=critical,CA:true 2>/dev/null
  leaf ta.example; leaf other.example
  mapfile -t p < <(free_port 2); NSD=${p[0]} DNS=${p[1]}
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"; TLS=$PEER
  peer ok; PLAIN=$PEER
  peer ok --cert "$T/ta.example.crt" --key "$T/ta.example.key"; TA=$PEER
  peer ok --cert "$T/other.example.crt" --key "$T/other.example.key"; OTHER=$PEER
  local key ca zero
  key=$(openssl x509 -in "$T/peer.example.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
  ca=$(openssl x509 -in "$T/ca.crt" -outform DER | sha256sum | cut -d' ' -f1)
  zero=$(printf '%064d' 0)
  soa='@ 60 IN SOA ns h 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1'
  { printf '$ORIGIN example.\n$TTL 60\n%s\n' "$soa"
    printf '%s 60 IN MX 10 %s\n' usable mx1 wrong wrong1 unusable old1 none none1 cname alias \
      icname ialias badcname badalias bogus mx.bogus.test. exp mx.expired.test. ta ta nota other
    printf '%s 60 IN A 127.0.0.1\n' mx1 wrong1 old1 none1 ta other direct
    printf 'alias 60 IN CNAME mx1\nialias 60 IN CNAME host.plain.test.\nbadalias 60 IN CNAME host.plain.test.\n'
    for port in $TLS $PLAIN; do
      printf '_%s._tcp.%s 60 IN TLSA %s\n' "$port" mx1 "3 1 1 $key" "$port" wrong1 "3 1 1 $zero" \
        "$port" old1 "1 1 1 $zero" "$port" ialias "3 1 1 $key" "$port" badalias "3 1 1 $zero" \
        "$port" direct "3 1 1 $key" "$port" mx1 "3 1 1 $zero"
    done
    printf '_%s._tcp.ta 60 IN TLSA 2 0 1 %s\n_%s._tcp.other 60 IN TLSA 2 0 1 %s\n' "$TA" "$ca" "$OTHER" "$ca"
    printf 'ta2 60 IN MX 10 other2\nother2 60 IN A 127.0.0.1\n_%s._tcp.other2 60 IN TLSA 2 0 1 %s\n' "$OTHER" "$ca"
  } > "$T/zone"
  printf '$ORIGIN plain.test.\n$TTL 60\n%s\nhost 60 IN A 127.0.0.1\n@ 60 IN MX 10 mx1.example.\n' "$soa" > "$T/zplain"
  printf '$ORIGIN bogus.test.\n$TTL 60\n%s\nmx 60 IN A 127.0.0.1\n_%s._tcp.mx 60 IN TLSA 3 1 1 %s\n' "$soa" "$TLS" "$key" > "$T/zbogus"
  printf '$ORIGIN expired.test.\n$TTL 60\n%s\nmx 60 IN A 127.0.0.1\n' "$soa" > "$T/zexpired"
  : > "$T/anchors"
  zone_sign example "$T/zone"
  zone_sign bogus.test "$T/zbogus"
  zone_sign expired.test "$T/zexpired" 20210101
  # the record was changed behind the signature
  sed -i "s/\(IN\tTLSA\t3 1 1 \)$key/\1$zero/" "$T/zbogus.signed"
  grep -q "TLSA.*$zero" "$T/zbogus.signed"
  dns_serve "$NSD" example "$T/zone.signed" plain.test "$T/zplain" \
    bogus.test "$T/zbogus.signed" expired.test "$T/zexpired.signed"
  resolver_serve "$DNS" "$NSD" example plain.test bogus.test expired.test
  chmod 644 "$T"/*.crt "$T"/*.key
  export TLS PLAIN TA OTHER DNS NSD
  FILE_T=$T; export FILE_T; export FILE_PIDS="${PIDS[*]}"
}
teardown_file() { read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }
setup() { T=$FILE_T; }

to() { # DOMAIN PORT [OPTION...]
  local domain=$1 port=$2; shift 2
  run send --resolver "127.0.0.1:$DNS" -o "smtp_tcp_port=$port" -o inet_interfaces=127.0.0.7 \
    -o smtp_host_lookup=dns -o smtp_tls_security_level=dane --trace "$@" "b@$domain" < <(printf 'Subject: x\n\nbody\n')
  echo "$output"
}
sent_verified() { [ "$status" -eq 0 ] && grep -q '^\* Verified TLS' <<<"$output"; }
waits() { [ "$status" -eq 75 ] && grep -q " deferred $1 " <<<"$output" && ! grep -q '^> MAIL' <<<"$output"; }

@test "usable: the key in the record; two records, one of them fits" { to usable.example "$TLS"; sent_verified; }
@test "usable, but no STARTTLS there: the mail waits" { to usable.example "$PLAIN"; waits 4.7.4; }
@test "wrong: the mail waits, nothing is said to the stranger" { to wrong.example "$TLS"; waits 4.7.5; }
@test "unusable (PKIX-EE): any certificate, but TLS" {
  to unusable.example "$TLS"
  [ "$status" -eq 0 ]; grep -q '^\* Untrusted TLS.*level encrypt' <<<"$output"
  to unusable.example "$PLAIN"; waits 4.7.4
  to unusable.example "$TLS" -o smtp_tls_security_level=dane-only; waits 4.7.5
}
@test "no records: as may; dane-only: the mail waits" {
  to none.example "$TLS"; [ "$status" -eq 0 ]; grep -q '^\* Untrusted TLS.*level may' <<<"$output"
  to none.example "$PLAIN"; [ "$status" -eq 0 ]
  to none.example "$TLS" -o smtp_tls_security_level=dane-only; waits 4.7.5
  grep -q 'no TLSA records' <<<"$output"
}
@test "a trust anchor in the record: the chain and the name count" {
  to ta.example "$TA"; sent_verified
  to nota.example "$OTHER"; sent_verified
  # signed by it, but another's name
  to ta2.example "$OTHER"; waits 4.7.5
}
@test "CNAME: the records of its target; an insecure target: those of the alias" {
  to cname.example "$TLS"; sent_verified
  to icname.example "$TLS"; sent_verified
  to badcname.example "$TLS"; waits 4.7.5
}
@test "bogus records and expired signatures are trouble, never 'none'" {
  to bogus.example "$TLS"; waits 4.7.5; grep -q 'TLSA lookup error' <<<"$output"
  to exp.example "$TLS"; waits 4.4.3
}
@test "unsigned MX records: smtp_tls_dane_insecure_mx_policy" {
  to plain.test "$TLS"; sent_verified
  to plain.test "$TLS" -o smtp_tls_dane_insecure_mx_policy=encrypt
  [ "$status" -eq 0 ]; grep -q 'level encrypt' <<<"$output"
  to plain.test "$TLS" -o smtp_tls_dane_insecure_mx_policy=may
  [ "$status" -eq 0 ]; grep -q 'level may' <<<"$output"
}
@test "a host named in brackets has its own records" {
  run send --resolver "127.0.0.1:$DNS" -o smtp_host_lookup=dns -o smtp_tls_security_level=dane --trace \
    --nexthop "[direct.example]:$TLS" b@else.test < <(printf 'Subject: x\n\nbody\n')
  echo "$output"; sent_verified
}
@test "without a validating resolver there are no authenticated records" {
  to usable.example "$TLS" -o smtp_tls_policy_maps=inline:{usable.example=dane-only} --resolver "127.0.0.1:$NSD"
  waits 4.7.5; grep -q 'no TLSA records' <<<"$output"
}
@test "smtp_tls_policy_maps: the destination, then its parents" {
  to none.example "$PLAIN" -o 'smtp_tls_policy_maps=inline:{.example=encrypt}'; waits 4.7.4
  to none.example "$PLAIN" -o 'smtp_tls_policy_maps=inline:{.example=encrypt, none.example=may}'; [ "$status" -eq 0 ]
  to none.example "$PLAIN" -o 'smtp_tls_policy_maps=inline:{.none.example=encrypt, .test=encrypt}'; [ "$status" -eq 0 ]
}
@test "where DANE decides, MTA-STS does not; where there are no records, it does" {
  mkdir -p "$T/data/mta-sts"
  printf "mta-sts $(date +%s) $(date +%s) x\nversion: STSv1\nmode: enforce\nmax_age: 86400\nmx: mx.else.test\n" > "$T/data/mta-sts/usable.example"
  cp "$T/data/mta-sts/usable.example" "$T/data/mta-sts/none.example"
  to usable.example "$TLS" -o "data_directory=$T/data"; sent_verified; grep -q 'level dane$' <<<"$output"
  to usable.example "$TLS" -o "data_directory=$T/data" -o smtp_tls_security_level=may; waits 4.7.5
  to none.example "$TLS" -o "data_directory=$T/data"; waits 4.7.5; grep -q 'MTA-STS policy' <<<"$output"
}
