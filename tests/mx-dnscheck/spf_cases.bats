# mx-dnscheck spf: a case for every rule of RFC 7208 (spf_cases.txt), against
# zones that NSD serves.
load ../lib/common
bats_require_minimum_version 1.5.0

setup() {
  common_setup
  DNS=$(free_port)
  cat > "$T/zone" <<'ZONE'
$ORIGIN .
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
ns.test. A 127.0.0.1
$ORIGIN test.
host A 192.0.2.1
host AAAA 2001:db8::1
alias CNAME host
many A 192.0.2.10
many A 192.0.2.20
many A 192.0.2.30
nothing TXT "x"
v6only AAAA 2001:db8::1
mx MX 10 host
mx MX 20 m1
m1 A 192.0.2.11
nullmx MX 0 .
good TXT "v=spf1 ip4:192.0.2.1 -all"
soft TXT "v=spf1 ip4:192.0.2.1 ~all"
neutral TXT "v=spf1 ip4:192.0.2.1 ?all"
none TXT "no spf"
bad TXT "v=spf1 ip4:x -all"
two TXT "v=spf1 -all"
two TXT "v=spf1 +all"
why TXT "because"
ten TXT "v=spf1 a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test a:b.ten.test ip4:192.0.2.1 -all"
b.ten A 198.51.100.1
good.ptr A 203.0.113.1
liar A 198.51.100.9
192.0.2.1.allow A 127.0.0.2
user.user A 127.0.0.2
1.2.0.192.rev A 127.0.0.2
192.one A 127.0.0.2
in-addr.v A 127.0.0.2
ip6.v A 127.0.0.2
helo.test.h A 127.0.0.2
b.a.minus A 127.0.0.2
ZONE
  for i in $(seq 10); do printf 'mx10 MX 1 h%s.mx10\nh%s.mx10 A 192.0.2.%s\n' $i $i $((10 + i)); done >> "$T/zone"
  for i in $(seq 11); do printf 'mx11 MX 1 h%s.mx11\nh%s.mx11 A 198.51.100.%s\n' $i $i $i; done >> "$T/zone"
  printf '$ORIGIN 113.0.203.in-addr.arpa.\n1 PTR good.ptr.test.\n2 PTR liar.test.\n' >> "$T/zone"
}
teardown() { common_teardown; }

@test "the table" {
  n=0
  while IFS='|' read -r record client want note; do
    n=$((n + 1)) name=c$n.test
    record=${record% } record=${record//%D/$name}
    printf '%s. TXT "%s"\n' "$name" "$(sed 's/["\\]/\\&/g' <<< "$record")"
    client=${client// /} ip=${client%%,*} sender=user@$name
    case $client in *,*) sender=${client#*,} sender=${sender//%D/$name} ;; esac
    printf '%s|%s|%s|%s|%s\n' "$ip" "$sender" "${want// /}" "$record" "$note" >&3
  done < <(grep -v '^#' "$BATS_TEST_DIRNAME/spf_cases.txt") >> "$T/zone" 3> "$T/cases"
  [ "$n" -ge 150 ]
  # a zone that cannot be loaded is SERVFAIL
  dns_serve "$DNS" . "$T/zone" temp.test "$T/none"
  bad=0
  while IFS='|' read -r ip sender want record note; do
    got=$(mx-dnscheck --resolver 127.0.0.1:$DNS spf --ip "$ip" --sender "$sender" --helo helo.test 2>/dev/null | cut -d' ' -f1)
    [ "$got" = "$want" ] || { echo "$record, $ip: $got, not $want ($note)"; bad=$((bad + 1)); }
  done < "$T/cases"
  echo "$n cases, $bad bad"
  [ "$bad" -eq 0 ]
}
