# mx-dnscheck spf: RFC 7208, against zones that NSD serves, and the published
# test suite.
load ../lib/common
bats_require_minimum_version 1.5.0

setup() {
  common_setup
  DNS=$(free_port)
  cat > "$T/root.zone" <<'ZONE'
$ORIGIN .
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
ns.test. A 127.0.0.1
$ORIGIN test.
pass TXT "v=spf1 ip4:192.0.2.0/24 -all"
plus TXT "v=spf1 +ip4:192.0.2.1 -all"
split TXT "v=spf1 ip4:192." "0.2.1 -all"
long TXT "v=spf1 " "ip4:198.51.100.1 ip4:198.51.100.2 ip4:198.51.100.3 ip4:198.51.100.4 ip4:198.51.100.5 ip4:198.51.100.6 ip4:198.51.100.7 ip4:198.51.100.8 " "ip4:198.51.100.11 ip4:198.51.100.12 ip4:198.51.100.13 ip4:198.51.100.14 ip4:198.51.100.15 ip4:198.51.100.16 ip4:198.51.100.17 " "ip4:198.51.100.21 ip4:198.51.100.22 ip4:198.51.100.23 ip4:198.51.100.24 ip4:198.51.100.25 ip4:198.51.100.26 ip4:198.51.100.27 " "ip4:198.51.100.31 ip4:198.51.100.32 ip4:198.51.100.33 ip4:198.51.100.34 ip4:198.51.100.35 ip4:198.51.100.36 ip4:198.51.100.37 " "ip4:198.51.100.41 ip4:198.51.100.42 ip4:198.51.100.43 ip4:198.51.100.44 ip4:198.51.100.45 ip4:198.51.100.46 ip4:198.51.100.47 " "ip4:198.51.100.51 ip4:198.51.100.52 ip4:198.51.100.53 ip4:198.51.100.54 ip4:198.51.100.55 ip4:198.51.100.56 ip4:198.51.100.57 " "ip4:198.51.100.61 ip4:198.51.100.62 ip4:198.51.100.63 ip4:198.51.100.64 ip4:198.51.100.65 ip4:198.51.100.66 ip4:198.51.100.67 " "ip4:192.0.2.1 -all"
soft TXT "v=spf1 ~all"
ctlbad TXT "v=spf1 \027[31mx -all"
longlabel TXT "v=spf1 exists:%{l}.a.test exists:%{l}.b.test exists:%{l}.c.test ip4:192.0.2.1 -all"
neutral TXT "v=spf1 ?all"
implied TXT "v=spf1 ip4:198.51.100.1"
nospf TXT "something else"
two TXT "v=spf1 +all"
two TXT "v=spf1 -all"
v10 TXT "v=spf10 -all"
six TXT "v=spf1 ip6:2001:db8::/32 -all"
typo TXT "v=spf1 ipv4:192.0.2.1 -all"
typolate TXT "v=spf1 ip4:192.0.2.1 -all ipv4:1.2.3.4"
a TXT "v=spf1 a -all"
a A 192.0.2.1
acidr TXT "v=spf1 a:a.test/24 -all"
aboth TXT "v=spf1 a:both.test/24//64 -all"
both A 192.0.2.77
both AAAA 2001:db8::77
mx TXT "v=spf1 mx -all"
mx MX 5 a.test.
ptr TXT "v=spf1 ptr:host.test -all"
good.host A 192.0.2.1
incl TXT "v=spf1 include:pass.test -all"
inclfail TXT "v=spf1 include:six.test ?all"
inclnone TXT "v=spf1 include:nospf.test -all"
incltemp TXT "v=spf1 include:broken.test -all"
redir TXT "v=spf1 redirect=pass.test"
redirnone TXT "v=spf1 redirect=nospf.test"
exists TXT "v=spf1 exists:%{ir}.%{l1r-}.allow.test -all"
1.2.0.192.alice.allow A 127.0.0.2
exp TXT "v=spf1 -all exp=why.test"
why TXT "%{i} is not of %{d}: see http://%{d}/why?s=%{S} \"quoted\""
expctl TXT "v=spf1 -all exp=ctl.test"
ctl TXT "line\010break"
exptwo TXT "v=spf1 -all exp=two.test"
inclexp TXT "v=spf1 include:exp.test -all exp=own.test"
own TXT "own words"
helo TXT "v=spf1 ip4:192.0.2.1 -all exp=helowhy.test"
helowhy TXT "%{s} %{h} %{o} %{l}"
loop TXT "v=spf1 include:loop.test -all"
redirloop TXT "v=spf1 redirect=redirloop.test"
ten TXT "v=spf1 a:x.test a:a.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test ip4:192.0.2.9 -all"
eleven TXT "v=spf1 a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test a:b.test ip4:192.0.2.9 -all"
x A 198.51.100.1
b A 198.51.100.2
voids TXT "v=spf1 a:n1.test a:n2.test ip4:192.0.2.1 -all"
voids3 TXT "v=spf1 a:n1.test a:n2.test a:n3.test ip4:192.0.2.1 -all"
manymx TXT "v=spf1 mx -all"
manymx MX 1 m1.test.
manymx MX 2 m2.test.
manymx MX 3 m3.test.
manymx MX 4 m4.test.
manymx MX 5 m5.test.
manymx MX 6 m6.test.
manymx MX 7 m7.test.
manymx MX 8 m8.test.
manymx MX 9 m9.test.
manymx MX 10 m10.test.
manymx MX 11 a.test.
alias CNAME pass
nul TXT "v=spf1 +all\000 -all"
xn--mnchen-3ya TXT "v=spf1 ip4:192.0.2.1 -all"
slash TXT "v=spf1 exists:%{l}.slash.test/24 -all"
_spf TXT "v=spf1 ip4:192.0.2.1 -all"
1.2.0.192.in-addr.arpa. PTR evil.test.
1.2.0.192.in-addr.arpa. PTR good.host.test.
broken NS ns.elsewhere.invalid.
ZONE
  echo "; unreadable, so that NSD says SERVFAIL" > "$T/broken.zone"
  dns_serve "$DNS" . "$T/root.zone" broken.test "$T/broken.zone"
}
teardown() { common_teardown; }

# spf IP SENDER [HELO]
spf() { mx-dnscheck spf --resolver "127.0.0.1:$DNS" --ip "$1" --sender "$2" --helo "${3:-helo.test}" "${@:4}"; }

@test "results and exit statuses, table" {
  local bad=0 ip who want status mech out got
  while read -r ip who want status mech; do
    out=$(spf "$ip" "$who" 2>/dev/null) && got=0 || got=$?
    case $out in "$want mechanism=$mech "*) ;; *) echo "$ip $who: $out"; bad=1 ;; esac
    [ "$got" -eq "$status" ] || { echo "$ip $who: status $got"; bad=1; }
  done <<'TABLE'
192.0.2.1 u@pass.test pass 0 ip4:192.0.2.0/24
192.0.3.1 u@pass.test fail 1 -all
192.0.2.1 u@PASS.Test pass 0 ip4:192.0.2.0/24
192.0.2.1 u@plus.test pass 0 ip4:192.0.2.1
192.0.2.1 u@split.test pass 0 ip4:192.0.2.1
192.0.2.1 u@long.test pass 0 ip4:192.0.2.1
::ffff:192.0.2.1 u@pass.test pass 0 ip4:192.0.2.0/24
192.0.2.1 u@soft.test softfail 1 ~all
192.0.2.1 u@neutral.test neutral 1 ?all
192.0.2.1 u@implied.test neutral 1 -
192.0.2.1 u@nospf.test none 1 -
192.0.2.1 u@nowhere.test none 1 -
192.0.2.1 u@[192.0.2.1] none 1 -
192.0.2.1 u@localhost none 1 -
192.0.2.1 u@two.test permerror 65 -
192.0.2.1 u@v10.test none 1 -
192.0.2.1 u@alias.test pass 0 ip4:192.0.2.0/24
2001:db8::1 u@six.test pass 0 ip6:2001:db8::/32
2001:db9::1 u@six.test fail 1 -all
192.0.2.1 u@typo.test permerror 65 -
192.0.2.1 u@typolate.test permerror 65 -
192.0.2.1 u@a.test pass 0 a
192.0.2.2 u@a.test fail 1 -all
192.0.2.2 u@acidr.test pass 0 a:a.test/24
192.0.2.2 u@aboth.test pass 0 a:both.test/24//64
2001:db8::99 u@aboth.test pass 0 a:both.test/24//64
2001:db8:1::99 u@aboth.test fail 1 -all
192.0.2.1 u@mx.test pass 0 mx
192.0.2.2 u@mx.test fail 1 -all
192.0.2.1 u@ptr.test pass 0 ptr:host.test
192.0.2.3 u@ptr.test fail 1 -all
192.0.2.1 u@incl.test pass 0 include:pass.test
192.0.9.1 u@incl.test fail 1 -all
192.0.2.1 u@inclfail.test neutral 1 ?all
192.0.2.1 u@inclnone.test permerror 65 -
192.0.2.1 u@incltemp.test temperror 75 -
192.0.2.1 u@broken.test temperror 75 -
192.0.2.1 u@redir.test pass 0 ip4:192.0.2.0/24
192.0.9.1 u@redir.test fail 1 -all
192.0.2.1 u@redirnone.test permerror 65 -
192.0.2.1 alice-list@exists.test pass 0 exists:%{ir}.%{l1r-}.allow.test
192.0.2.1 bob@exists.test fail 1 -all
192.0.2.1 u@loop.test permerror 65 -
192.0.2.1 u@redirloop.test permerror 65 -
192.0.2.9 u@ten.test pass 0 ip4:192.0.2.9
192.0.2.9 u@eleven.test permerror 65 -
192.0.2.1 u@voids.test pass 0 ip4:192.0.2.1
192.0.2.1 u@voids3.test permerror 65 -
192.0.2.1 u@manymx.test permerror 65 -
192.0.2.1 u@nul.test permerror 65 -
192.0.2.1 u@münchen.test pass 0 ip4:192.0.2.1
192.0.2.1 u@slash.test permerror 65 -
192.0.2.1 u@_spf.test pass 0 ip4:192.0.2.1
TABLE
  [ "$bad" -eq 0 ]
}

@test "the line: lookups, voids, explanation; one line whatever it holds" {
  run -0 spf 192.0.2.9 u@ten.test
  [ "$output" = 'pass mechanism=ip4:192.0.2.9 lookups=10 voids=0 explanation=""' ]
  run -0 spf 192.0.2.1 u@voids.test
  [ "$output" = 'pass mechanism=ip4:192.0.2.1 lookups=2 voids=2 explanation=""' ]
  run -1 spf 192.0.2.7 'a b@exp.test'
  [ "$output" = 'fail mechanism=-all lookups=0 voids=0 explanation="192.0.2.7 is not of exp.test: see http://exp.test/why?s=a%20b%40exp.test \"quoted\""' ]
  run -1 spf 192.0.2.7 u@exptwo.test
  [ "$output" = 'fail mechanism=-all lookups=0 voids=0 explanation=""' ]
  run -1 spf 192.0.2.7 u@expctl.test
  [ "${#lines[@]}" -eq 1 ]
  # the explanation of an included domain is not ours (6.2)
  run -1 spf 192.0.2.7 u@inclexp.test
  [ "$output" = 'fail mechanism=-all lookups=1 voids=0 explanation="own words"' ]
}

@test "names that are none are no void lookups; a sentence holds no controls" {
  run -0 spf 192.0.2.1 "$(printf '%064d' 0)@longlabel.test"
  [ "$output" = 'pass mechanism=ip4:192.0.2.1 lookups=3 voids=0 explanation=""' ]
  run -65 --separate-stderr spf 192.0.2.1 u@ctlbad.test
  [[ $stderr == *'"?[31mx" is not SPF'* ]]
}

@test "null sender: postmaster at the HELO name" {
  run -0 spf 192.0.2.1 '' helo.test
  [ "$output" = 'pass mechanism=ip4:192.0.2.1 lookups=0 voids=0 explanation=""' ]
  run -1 spf 192.0.2.2 '' helo.test
  [ "$output" = 'fail mechanism=-all lookups=0 voids=0 explanation="postmaster@helo.test helo.test helo.test postmaster"' ]
  run -1 spf 192.0.2.2 @helo.test other.test
  [ "$output" = 'fail mechanism=-all lookups=0 voids=0 explanation="postmaster@helo.test other.test helo.test postmaster"' ]
}

@test "--json: one object with the words of the line" {
  run -1 spf 192.0.2.7 u@exp.test helo.test --json
  [ "$output" = '{"result":"fail","mechanism":"-all","lookups":0,"voids":0,"explanation":"192.0.2.7 is not of exp.test: see http://exp.test/why?s=u%40exp.test \"quoted\""}' ]
}

@test "usage: 64 and a sentence" {
  run -64 spf 192.0.2 u@pass.test
  [[ $output == *'--ip 192.0.2: expected an IP address'* ]]
  run -64 mx-dnscheck spf --ip 192.0.2.1
  run -64 mx-dnscheck spf --bogus
  run -64 mx-dnscheck spf --ip 192.0.2.1 --sender '' --helo h.test extra
}

@test "no name server: temperror, 75" {
  run -75 --separate-stderr mx-dnscheck spf --resolver "127.0.0.1:$(free_port)" --ip 192.0.2.1 --sender u@pass.test --helo h.test
  [ "$output" = 'temperror mechanism=- lookups=0 voids=0 explanation=""' ]
  [ -n "$stderr" ]
}

@test "the published test suite of RFC 7208" {
  run -0 /usr/bin/python3 "$ROOT/tests/mx-dnscheck/spf_suite.py" /usr/share/doc/python3-spf/rfc7208-tests.yml.gz
  [ "${#lines[@]}" -gt 200 ]
}
