# mx-dnscheck DOMAIN, rbl, tlsa, mta-sts, tlsrpt: against NSD, a live mail host
# with TLS, and a live HTTPS server.
load ../lib/common
load ../lib/send
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  make_cert good.test "DNS:mail.good.test,DNS:mta-sts.good.test,DNS:mta-sts.bad.test,DNS:mta-sts.other.test,DNS:mta-sts.html.test"
  openssl genrsa -out "$T/dkim.pem" 2048 2>/dev/null
  openssl genrsa -out "$T/other.pem" 2048 2>/dev/null
  openssl genrsa -out "$T/k1024.pem" 1024 2>/dev/null
  local p tlsa
  p=$(openssl pkey -in "$T/dkim.pem" -pubout -outform DER | base64 -w0)
  tlsa=$(openssl x509 -in "$T/good.test.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
  {
    printf '$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\n@ NS ns2\nns A 127.0.0.1\nns2 A 127.0.0.1\n'
    # all is well
    printf 'good MX 10 mail.good\nmail.good A 127.0.0.1\nmail.good TXT "v=spf1 a -all"\n'
    printf 'good TXT "v=spf1 mx -all"\n_dmarc.good TXT "v=DMARC1; p=reject; rua=mailto:d@good.test"\n'
    printf '_25._tcp.mail.good TLSA 3 1 1 %s\n' "$tlsa"
    printf 'sel._domainkey.good TXT "v=DKIM1; k=rsa; p=%s" "%s"\n' "${p:0:200}" "${p:200}"
    printf '_mta-sts.good TXT "v=STSv1; id=20261121"\nmta-sts.good A 127.0.0.1\n_smtp._tls.good TXT "v=TLSRPTv1; rua=mailto:t@good.test"\n'
    printf 'default._bimi.good TXT "v=BIMI1; l=https://good.test/l.svg"\ngood CAA 0 issue "ca.test"\n'
    # nothing is there but an address
    printf 'bare A 127.0.0.9\n'
    # everything is wrong
    printf 'bad MX 10 alias.bad\nbad MX 20 gone.bad\nalias.bad CNAME mail.bad\nmail.bad A 127.0.0.1\nbad TXT "v=spf1 ptr a:gone.bad.test +all"\n'
    printf '_dmarc.bad TXT "v=DMARC1; p=none; pct=50; rua=mailto:x@far.away.example"\n_25._tcp.alias.bad TLSA 3 1 1 %s\n' "${tlsa//[0-7]/0}"
    printf '_mta-sts.bad TXT "v=STSv1; id=1"\nmta-sts.bad A 127.0.0.1\n_smtp._tls.bad TXT "v=TLSRPTv1; x=1"\n'
    printf 'mail._domainkey.bad TXT "v=DKIM1; t=y; p=%s"\n' "$(openssl pkey -in "$T/k1024.pem" -pubout -outform DER | base64 -w0)"
    # the parts by themselves
    printf 'other MX 10 mx.other\nmx.other A 127.0.0.1\n_mta-sts.other TXT "v=STSv1; id=2"\nmta-sts.other A 127.0.0.1\n'
    printf 'html MX 10 mx.other\n_mta-sts.html TXT "v=STSv1; id=2"\nmta-sts.html A 127.0.0.1\n'
    printf 'two MX 0 .\n_mta-sts.two TXT "v=STSv1; id=2"\n_mta-sts.two TXT "v=STSv1; id=3"\n_mta-sts.badid TXT "v=STSv1; id=a-b"\n_mta-sts.noaddr TXT "v=STSv1; id=a"\n'
    printf '_smtp._tls.two TXT "v=TLSRPTv1; rua=mailto:a@b"\n_smtp._tls.two TXT "v=TLSRPTv1; rua=mailto:a@c"\n_smtp._tls.web TXT "v=TLSRPTv1;rua=https://x.test/y,mailto:a@b"\n'
    printf 'lo%s\n' 'okups TXT "v=spf1 include:i1 -all"' | sed 's/include:i1/include:l1.test include:l2.test include:l3.test include:l4.test include:l5.test include:l6.test/'
    for i in 1 2 3 4 5 6; do printf 'l%s TXT "v=spf1 a:ns.test -all"\n' $i; done
    printf 'twospf TXT "v=spf1 -all"\ntwospf TXT "v=spf1 mx -all"\nsyntax TXT "v=spf1 ip4:1.2.3 -all"\nnoall TXT "v=spf1 mx"\nbehind TXT "v=spf1 -all mx"\nredir TXT "v=spf1 redirect=good.test"\nloop TXT "v=spf1 include:loop.test -all"\n'
    printf '2.0.0.127.bl A 127.0.0.2\n2.0.0.127.bl TXT "spam source"\n9.0.0.127.bl A 127.0.0.3\n2.0.0.127.refuse A 127.255.255.254\n1.0.0.127.refuse A 127.255.255.254\n9.0.0.127.refuse A 10.1.1.1\n'
    printf '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl A 127.0.0.4\nbl A 127.0.0.1\nclean A 127.0.0.1\n'
  } > "$T/test.zone"
  printf '$ORIGIN 127.in-addr.arpa.\n$TTL 60\n@ SOA ns.test. root.test. 1 3600 600 86400 60\n@ NS ns.test.\n1.0.0 PTR mail.good.test.\n9.0.0 PTR nobody.test.\n' > "$T/rev.zone"
  printf '$ORIGIN example.\n$TTL 60\n@ SOA ns.test. root.test. 1 3600 600 86400 60\n@ NS ns.test.\n' > "$T/example.zone"
  DNS=$(free_port)
  dns_serve "$DNS" example "$T/example.zone" test "$T/test.zone" 127.in-addr.arpa "$T/rev.zone"
  peer ok --cert "$T/good.test.crt" --key "$T/good.test.key"
  HTTPS=$(free_port)
  mkdir -p "$T/www/.well-known"
  printf 'version: STSv1\r\nmode: enforce\r\nmx: mail.good.test\r\nmx: *.spare.test\r\nmax_age: 604800\r\n' > "$T/www/.well-known/mta-sts.txt"
  spawn /usr/bin/python3 "$ROOT/tests/lib/https_server.py" "$HTTPS" "$T/good.test.crt" "$T/good.test.key" "$T/www"
  wait_port "$HTTPS"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS PEER HTTPS
}
teardown_file() {
  T=$FILE_T
  read -ra PIDS <<< "$FILE_PIDS"
  BATS_TEST_COMPLETED=1 common_teardown
}
setup() { T=$FILE_T; }

check() { mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=probe.test "$@"; }
# audit DOMAIN...: with our servers in the place of the world's
audit() { check "$@" --smtp-port $PEER --https-port $HTTPS --ca-file "$T/good.test.crt" --rbl bl.test; }
# id WORD: the finding's level in JSON
level() { jq -r --arg id "$1" '[.findings[] | select(.id == $id) | .level] | unique | join(",")'; }

@test "a domain where all is well: every part ok, 0, nearly ten points" {
  run audit good.test --selector sel --json
  echo "$output"
  for id in mx spf spf-host dkim dmarc mta-sts tlsrpt bimi ptr tls caa rbl; do
    [ "$(level $id <<< "$output")" = ok ] || { echo "$id"; false; }
  done
  [ "$status" -eq 0 ]
  # only DNSSEC is missing: this resolver is the zone's own server
  [ "$(jq -r .score <<< "$output")" = 9.3 ]
  [ "$(jq -r .result <<< "$output")" = pass ]
}

@test "a domain where all is wrong: each finding is there, 1, no points" {
  run -1 audit bad.test --selector mail --json
  echo "$output"
  for id in spf-ptr spf-void spf-all-pass dmarc-none dmarc-old-tag dmarc-external dkim-1024 dkim-testing mta-sts-mx tlsrpt-broken dane-mismatch mx-cname mx-address cert-name; do
    [ -n "$(level $id <<< "$output")" ] || { echo "$id"; false; }
  done
  [ "$(jq -r .result <<< "$output")" = fail ]
  # what to publish, in both forms
  jq -e '.findings[] | select(.id == "dmarc-external") | .records[0] | .zone == "bad.test._report._dmarc.far.away.example. 3600 IN TXT \"v=DMARC1;\"" and .value == "v=DMARC1;"' <<< "$output"
  # under the name of the record, for a name below it, too (RFC 9990 4)
  run audit mail.bad.test --json
  jq -e '.findings[] | select(.id == "dmarc-external") | .records[0].name == "bad.test._report._dmarc.far.away.example"' <<< "$output"
  run -1 audit bad.test --selector mail --json
  jq -e '.findings[] | select(.id == "dane-mismatch") | .records[0].value | startswith("3 1 1 ")' <<< "$output"
}

@test "a domain with an address alone: missing parts, each with its record" {
  run -1 audit bare.test --json
  echo "$output"
  for id in mx-missing spf-missing dmarc-missing mta-sts-missing tlsrpt-missing smtp-unreachable ptr-unconfirmed rbl-listed dkim-none; do
    [ -n "$(level $id <<< "$output")" ] || { echo "$id"; false; }
  done
  jq -e '.findings[] | select(.id == "spf-missing") | .records[0].value == "v=spf1 ip4:127.0.0.9 -all"' <<< "$output"
  jq -e '.findings[] | select(.id == "ptr-unconfirmed") | .records[0].name == "9.0.0.127.in-addr.arpa"' <<< "$output"
}

@test "the page: expected, found, why, publish; no colour in a pipe, colour on a terminal" {
  run -1 audit bad.test
  echo "$output"
  [[ $output == *"Score "*" of 10"* ]]
  [[ $output == *"expected"*"found"*"why"*"publish   "* ]]
  [[ $output != *$'\033'* ]]
  TERM=xterm run script -qec "$(declare -f check audit); T=$T DNS=$DNS PEER=$PEER HTTPS=$HTTPS; audit bad.test" /dev/null
  [[ $output == *$'\033[1;31mFAIL'* ]]
}

@test "a record that is printed can be published: NSD reads every zone line" {
  run -1 audit bare.test
  { printf '$ORIGIN .\n$TTL 60\n@ SOA a. b. 1 1 1 1 1\n@ NS a.\n'; sed -n 's/^ *publish   //p' <<< "$output"; } > "$BATS_TEST_TMPDIR/zone"
  nsd-checkzone . "$BATS_TEST_TMPDIR/zone"
  [ "$(grep -c ' IN ' "$BATS_TEST_TMPDIR/zone")" -ge 6 ]
}

@test "the keys that mx.conf names: DNS holds another one" {
  cat > "$BATS_TEST_TMPDIR/keys" <<X
# name domain:selector:file
k good.test:sel:$T/other.pem
X
  run -1 audit good.test -o dkim_key_table="$BATS_TEST_TMPDIR/keys" --json
  [ "$(level dkim-other-key <<< "$output")" = fail ]
  run -0 audit good.test -o dkim_domain=good.test -o dkim_selector=sel -o dkim_key_file="$T/dkim.pem" --json
  [ "$(level dkim <<< "$output")" = ok ]
}

@test "no such domain is 1; DNS that is away is 75 and no fault; usage 64" {
  run -1 check nowhere.test
  [[ $output == *"no such domain"* ]]
  run -75 mx-dnscheck --resolver 127.0.0.1:1 good.test
  run -64 check spff
  [[ $output == *"unknown command"* ]]
  run -64 check good.test bad.test
  run -64 check good.test --smtp-port x
}

@test "a mail host that hangs costs seconds, not the audit" {
  peer silent-greeting
  run -1 check good.test --smtp-port $PEER --https-port $HTTPS --ca-file "$T/good.test.crt" --selector sel --rbl bl.test --json
  kill $PEER_PID
  [ -n "$(level smtp-refuses <<< "$output")$(level dns-trouble <<< "$output")" ]
  [ "$(level spf <<< "$output")" = ok ]
}

@test "SPF lint: table" {
  while IFS='|' read -r domain st want; do
    run -"$st" check spf --lint "$domain.test" --json
    for id in $want; do
      [ -n "$(level "$id" <<< "$output")" ] || { echo "$domain: $id: $output"; false; }
    done
  done <<'TABLE'
good|0|spf
redir|0|spf
lookups|1|spf-lookups
twospf|1|spf-several
syntax|1|spf-syntax
noall|0|spf-all spf-void
behind|0|spf-behind-all
loop|1|spf-lookups
bad|1|spf-ptr spf-void spf-all-pass
ns|1|spf-missing
TABLE
}

@test "rbl: listed, clean, refused, IPv6, several lists" {
  run -1 check rbl 127.0.0.2 --rbl bl.test --rbl clean.test
  [ "${lines[0]}" = 'listed zone=bl.test answer=127.0.0.2 text="spam source"' ]
  [ "${lines[1]}" = 'clean zone=clean.test answer=- text=""' ]
  run -0 check rbl 127.0.0.5 --rbl bl.test
  run -1 check rbl 2001:db8::1 --rbl bl.test
  run -0 check rbl 127.0.0.2 --rbl refuse.test
  [[ $output == "refused zone=refuse.test answer=127.255.255.254"* ]]
  run -0 check rbl 127.0.0.9 -o rbl_domains=refuse.test
  run -1 check rbl 127.0.0.2 --rbl bl.test --json
  [ "$(jq -r '.[0].result' <<< "$output")" = listed ]
  run -75 mx-dnscheck --resolver 127.0.0.1:1 rbl 127.0.0.2 --rbl bl.test
  run -64 check rbl nonsense
}

@test "tlsa: match, mismatch, none; what to publish" {
  run -0 check tlsa mail.good.test --smtp-port $PEER
  [[ ${lines[0]} == 'pass name=_25._tcp.mail.good.test dnssec=no publish="3 1 1 '* ]]
  [[ ${lines[1]} == 'pass usage=3 selector=1 matching=1 data='* ]]
  run -1 check tlsa alias.bad.test --smtp-port $PEER
  [[ ${lines[0]} == fail* && ${lines[1]} == fail* ]]
  run -1 check tlsa mx.other.test:$HTTPS --json
  [ "$(jq -r '.result + .publish[0:6]' <<< "$output")" = "none3 1 1 " ]
  run -75 check tlsa mail.good.test --smtp-port 1
}

@test "mta-sts: policy, its hosts, and every way to be broken" {
  sts() { check mta-sts "$1" --https-port $HTTPS --ca-file "$T/good.test.crt" "${@:2}"; }
  run sts good.test
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = 'pass mode=enforce id=20261121 max_age=604800 mx="mail.good.test,*.spare.test" reason=""' ] ||
    [ "$output" = 'pass mode=enforce id=20261121 max_age=604800 mx=mail.good.test,*.spare.test reason=""' ]
  run -1 sts other.test
  [[ $output == fail*'does not name the MX mx.other.test'* ]]
  run -1 sts bare.test
  [[ $output == none* ]]
  run -65 sts two.test
  run -65 sts badid.test
  run -1 sts noaddr.test
  # the certificate is nobody's
  run -1 check mta-sts good.test --https-port $HTTPS
  [[ $output == fail* ]]
  touch "$T/www/html"
  run -1 sts html.test
  [[ $output == *"media type"* ]]
  rm "$T/www/html"; touch "$T/www/redirect"
  run -1 sts html.test
  [[ $output == *"HTTP status 301"* ]]
  rm "$T/www/redirect"
  cp "$T/www/.well-known/mta-sts.txt" "$BATS_TEST_TMPDIR/saved"
  while IFS='|' read -r text why; do
    printf "$text" > "$T/www/.well-known/mta-sts.txt"
    run -65 sts good.test
    [[ $output == permerror*"$why"* ]] || { echo "$text: $output"; false; }
  done <<'TABLE'
version: STSv2\nmode: enforce\nmx: a.b\nmax_age: 1\n|STSv1
version: STSv1\nmode: enforced\nmx: a.b\nmax_age: 1\n|mode
version: STSv1\nmode: enforce\nmax_age: 1\n|no mx
version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 99999999999\n|max_age
version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1\n|host name
version: STSv1\nmode: enforce\nmx: a.b\n|lacks max_age
<html>|colon
TABLE
  head -c 100000 /dev/zero | tr '\0' 'a' > "$T/www/.well-known/mta-sts.txt"
  run -1 sts good.test
  [[ $output == *"more than 65536"* ]]
  rm "$T/www/.well-known/mta-sts.txt"
  run -1 sts good.test
  [[ $output == *"HTTP status 404"* ]]
  cp "$BATS_TEST_TMPDIR/saved" "$T/www/.well-known/mta-sts.txt"
  run -75 check mta-sts good.test --https-port 1
}

@test "tlsrpt: one record, several, without rua" {
  run check tlsrpt good.test
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = 'pass rua=mailto:t@good.test record="v=TLSRPTv1; rua=mailto:t@good.test" reason=""' ]
  run -0 check tlsrpt web.test --json
  [ "$(jq -r '.rua | length' <<< "$output")" = 2 ]
  run -65 check tlsrpt bad.test
  run -65 check tlsrpt two.test
  run -1 check tlsrpt bare.test
  run -75 mx-dnscheck --resolver 127.0.0.1:1 tlsrpt good.test
}
