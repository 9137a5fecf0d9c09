# The audit's DNSSEC and DANE: signed zones in NSD, validated by Unbound, a live
# mail host with TLS.
load ../lib/common
load ../lib/send
load ../lib/dnssec
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  make_cert mail.signed.test "DNS:mail.signed.test,DNS:wrong.signed.test,DNS:none.signed.test,DNS:mail.plain.test,DNS:mx.bogus.test,DNS:old.signed.test"
  { read -r NSD; read -r DNS; } < <(free_port 2)
  local key zero soa ca
  # leaves that a CA signed; liar's says so by sending the CA's certificate along
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" -out "$T/ca.crt" \
    -days 30 -subj "/CN=ca" -addext basicConstraints=critical,CA:true 2>/dev/null
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ta.key" -out "$T/ta.csr" -subj "/CN=ta" 2>/dev/null
  openssl x509 -req -in "$T/ta.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days 30 -out "$T/ta.crt" \
    -extfile <(echo "subjectAltName=DNS:ta.signed.test") 2>/dev/null
  make_cert liar.signed.test "DNS:liar.signed.test"
  cat "$T/ca.crt" >> "$T/ta.crt"; cat "$T/ca.crt" >> "$T/liar.signed.test.crt"
  ca=$(openssl x509 -in "$T/ca.crt" -outform DER | sha256sum | cut -d' ' -f1)
  key=$(openssl x509 -in "$T/mail.signed.test.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
  zero=$(printf '%064d' 0)
  soa='@ 60 IN SOA ns h 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1'
  {
    printf '$ORIGIN signed.test.\n$TTL 60\n%s\n' "$soa"
    printf '@ 60 IN MX 10 mail\n@ 60 IN TXT "v=spf1 mx -all"\n_dmarc 60 IN TXT "v=DMARC1; p=reject; rua=mailto:d@signed.test"\n'
    printf 'wrongs 60 IN MX 10 wrong\nnones 60 IN MX 10 none\nolds 60 IN MX 10 old\nbogus 60 IN MX 10 mx.bogus.test.\n'
    printf '%s 60 IN A 127.0.0.1\n' mail wrong none old ta liar
    printf '_25._tcp.ta 60 IN TLSA 2 0 1 %s\n_25._tcp.liar 60 IN TLSA 2 0 1 %s\n' "$ca" "$ca"
    # a key to come beside the one in use
    printf '_25._tcp.mail 60 IN TLSA 3 1 1 %s\n_25._tcp.mail 60 IN TLSA 3 1 1 %s\n' "$key" "$zero"
    printf '_25._tcp.wrong 60 IN TLSA 3 1 1 %s\n_25._tcp.old 60 IN TLSA 1 1 1 %s\n' "$zero" "$key"
  } > "$T/zone"
  printf '$ORIGIN plain.test.\n$TTL 60\n%s\n@ 60 IN MX 10 mail\nmail 60 IN A 127.0.0.1\n_25._tcp.mail 60 IN TLSA 3 1 1 %s\n' "$soa" "$key" > "$T/zplain"
  printf '$ORIGIN bogus.test.\n$TTL 60\n%s\n@ 60 IN MX 10 mx\n@ 60 IN TXT "v=spf1 -all"\nmx 60 IN A 127.0.0.1\n_25._tcp.mx 60 IN TLSA 3 1 1 %s\n' "$soa" "$key" > "$T/zbogus"
  : > "$T/anchors"
  zone_sign signed.test "$T/zone"
  zone_sign bogus.test "$T/zbogus"
  # changed behind the signature
  sed -i "s/$key/$zero/; s/v=spf1 -all/v=spf1 +all/" "$T/zbogus.signed"
  dns_serve "$NSD" signed.test "$T/zone.signed" plain.test "$T/zplain" bogus.test "$T/zbogus.signed"
  resolver_serve "$DNS" "$NSD" signed.test plain.test bogus.test
  peer ok --cert "$T/mail.signed.test.crt" --key "$T/mail.signed.test.key"
  MAIL=$PEER
  peer ok --cert "$T/ta.crt" --key "$T/ta.key"; TA=$PEER
  peer ok --cert "$T/liar.signed.test.crt" --key "$T/liar.signed.test.key"; LIAR=$PEER
  PEER=$MAIL FILE_T=$T FILE_PIDS="${PIDS[*]}" KEY=$key
  export FILE_T FILE_PIDS DNS NSD PEER TA LIAR KEY
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T; }

check() { mx-dnscheck --resolver "${R:-127.0.0.1:$DNS}" -o myhostname=probe.test "$@"; }
audit() { check "$@" --smtp-port "$PEER" --https-port 1 --ca-file "$T/mail.signed.test.crt" --rbl bl.test --json; }
level() { jq -r --arg id "$1" '[.findings[] | select(.id == $id) | .level] | unique | join(",")' <<< "$output"; }

@test "a signed zone, a TLSA record that fits: both ok" {
  run audit signed.test
  echo "$output"
  [ "$(level dnssec)" = ok ]
  [ "$(level dane)" = ok ]
  run -0 check tlsa mail.signed.test --smtp-port "$PEER"
  [[ ${lines[0]} == "pass name=_25._tcp.mail.signed.test dnssec=yes publish=\"3 1 1 $KEY\""* ]]
}

@test "a signed record that does not fit: senders turn away, and the one to paste fits" {
  run -1 audit wrongs.signed.test
  [ "$(level dane-mismatch)" = fail ]
  jq -e --arg k "3 1 1 $KEY" '.findings[] | select(.id == "dane-mismatch") | .records[0].value == $k' <<< "$output"
  run -1 check tlsa wrong.signed.test --smtp-port "$PEER"
}

@test "no TLSA record in a signed zone: a note, with the record" {
  run audit nones.signed.test
  [ "$(level dane-missing)" = note ]
  jq -e --arg k "3 1 1 $KEY" '.findings[] | select(.id == "dane-missing") | .records[0] | .name == "_25._tcp.none.signed.test" and .value == $k' <<< "$output"
}

@test "an unsigned zone: not signed; a TLSA record there is of no use" {
  run audit plain.test
  echo "$output"
  [ "$(level dnssec-missing)" = warn ]
  [ "$(level dane-unsigned)" = warn ]
  run check tlsa mail.plain.test --smtp-port "$PEER"
  [[ ${lines[0]} == *" dnssec=no "* ]]
}

@test "signed, asked at a server that does not validate: not taken for secure" {
  R=127.0.0.1:$NSD run audit signed.test
  echo "$output"
  [ "$(level dnssec-unverified)" = note ]
  [ "$(level dane-unsigned)" = warn ]
}

@test "a trust anchor (RFC 7672 3.1.2): it fits where the chain leads to it, not where it is only sent along" {
  run -0 check tlsa ta.signed.test --smtp-port "$TA"
  [[ $output == *"pass usage=2 "* ]] || { echo "$output"; false; }
  run -1 check tlsa liar.signed.test --smtp-port "$LIAR"
  [[ $output == *"fail usage=2 "* ]] || { echo "$output"; false; }
}

@test "bogus answers are trouble, never an answer: SPF temperror, DANE not ok, 75 of tlsa" {
  run -75 check spf --ip 192.0.2.1 --sender a@bogus.test --helo h.test
  [[ $output == *temperror* ]] || { echo "$output"; false; }
  run -75 check tlsa mx.bogus.test --smtp-port "$PEER"
  run audit bogus.test
  echo "$output"
  [ "$status" -ne 0 ]
  [ -z "$(level dane)" ]
  [ -z "$(level spf-all-pass)" ]
}
