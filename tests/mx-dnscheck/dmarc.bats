# mx-dnscheck dmarc: RFC 9989's records, tree walk and alignment.
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
_dmarc.rej TXT "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:r@rej.test"
rej A 192.0.2.1
sub.rej A 192.0.2.1
empty.rej TXT "here"
_dmarc.plain TXT "v=DMARC1; p=quarantine"
www.plain A 192.0.2.1
_dmarc.strict TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
_dmarc.t TXT "v=DMARC1; p=reject; t=y"
_dmarc.tq TXT "v=DMARC1; p=quarantine; t=y"
_dmarc.pct0 TXT "v=DMARC1; p=reject; pct=0"
_dmarc.pct50 TXT "v=DMARC1; p=reject; pct=50; rf=afrf; ri=86400"
_dmarc.nop TXT "v=DMARC1; rua=mailto:a@nop.test"
_dmarc.badp TXT "v=DMARC1; p=maybe"
_dmarc.badprua TXT "v=DMARC1; p=maybe; rua=mailto:a@badprua.test"
_dmarc.badsp TXT "v=DMARC1; p=reject; sp=maybe"
_dmarc.junk TXT "v=DMARC1; p=reject; what; =x; adkim=q; ;; x=y"
_dmarc.case TXT "v=DMARC1; P=REJECT"
_dmarc.two TXT "v=DMARC1; p=reject"
_dmarc.two TXT "v=DMARC1; p=none"
_dmarc.other TXT "something"
_dmarc.other TXT "v=DMARC1; p=reject"
_dmarc.late TXT "p=reject; v=DMARC1"
_dmarc.v2 TXT "v=DMARC2; p=reject"
_dmarc.lower TXT "v=dmarc1; p=reject"
_dmarc.nosemi TXT "v=DMARC1 p=reject"
_dmarc.split TXT "v=DMARC1; p=re" "ject"
_dmarc.alias CNAME _dmarc.plain
; a public suffix, an organisation of its own below it
_dmarc.psd TXT "v=DMARC1; p=reject; psd=y; np=quarantine"
org.psd A 192.0.2.1
_dmarc.has.psd TXT "v=DMARC1; p=quarantine"
_dmarc.dept.big TXT "v=DMARC1; p=none; psd=n"
_dmarc.big TXT "v=DMARC1; p=reject"
; deep
_dmarc.deep TXT "v=DMARC1; p=reject"
_dmarc.i.j.mail.deep TXT "v=DMARC1; p=quarantine; psd=n"
_dmarc.c.d.e.f.g.h.i.j.k.lost TXT "v=DMARC1; p=reject"
xn--mnchen-3ya A 192.0.2.1
_dmarc.xn--mnchen-3ya TXT "v=DMARC1; p=reject"
broken NS ns.elsewhere.invalid.
ZONE
  echo broken > "$T/broken.zone"
  dns_serve "$DNS" . "$T/root.zone" broken.test "$T/broken.zone"
}
teardown() { common_teardown; }

dmarc() { mx-dnscheck dmarc --resolver "127.0.0.1:$DNS" "$@"; }

@test "results, policies, alignment: table" {
  local bad=0 from spf dkim want status policy applied domain out got
  while read -r from spf dkim want status policy applied domain; do
    out=$(dmarc --from "$from" --spf "$spf" --dkim "$dkim" 2>"$T/err") && got=0 || got=$?
    case $out in "$want policy=$policy applied=$applied domain=$domain record="*) ;; *) echo "$from $spf $dkim: $out"; bad=1 ;; esac
    [ "$got" -eq "$status" ] || { echo "$from $spf $dkim: status $got"; bad=1; }
  done <<'TABLE'
rej.test pass:rej.test none: pass 0 reject none rej.test
rej.test none: pass:rej.test pass 0 reject none rej.test
REJ.test none: pass:Rej.Test pass 0 reject none rej.test
rej.test none: none: fail 1 reject reject rej.test
rej.test fail:rej.test fail:rej.test fail 1 reject reject rej.test
rej.test pass:other.test pass:evil.test fail 1 reject reject rej.test
rej.test pass:notrej.test none: fail 1 reject reject rej.test
rej.test pass:a.b.rej.test none: pass 0 reject none rej.test
rej.test fail:rej.test pass:x.test,pass:sub.rej.test pass 0 reject none rej.test
rej.test softfail:rej.test policy:rej.test fail 1 reject reject rej.test
rej.test temperror:rej.test none: temperror 75 reject none rej.test
rej.test temperror:rej.test pass:rej.test pass 0 reject none rej.test
rej.test temperror:other.test none: fail 1 reject reject rej.test
sub.rej.test none: none: fail 1 quarantine quarantine rej.test
empty.rej.test none: none: fail 1 quarantine quarantine rej.test
nx.rej.test none: none: fail 1 reject reject rej.test
sub.rej.test pass:rej.test none: pass 0 quarantine none rej.test
sub.rej.test pass:nx.rej.test none: pass 0 quarantine none rej.test
www.plain.test none: none: fail 1 quarantine quarantine plain.test
nx.plain.test none: none: fail 1 quarantine quarantine plain.test
strict.test pass:sub.strict.test pass:sub.strict.test fail 1 reject reject strict.test
strict.test none: pass:strict.test pass 0 reject none strict.test
t.test none: none: fail 1 reject quarantine t.test
tq.test none: none: fail 1 quarantine none tq.test
t.test pass:t.test none: pass 0 reject none t.test
pct0.test none: none: fail 1 reject quarantine pct0.test
pct50.test none: none: fail 1 reject reject pct50.test
nop.test none: none: fail 1 none none nop.test
badp.test none: none: none 1 none none ""
badprua.test none: none: fail 1 none none badprua.test
badsp.test none: none: none 1 none none ""
junk.test none: none: fail 1 reject reject junk.test
junk.test none: pass:a.junk.test pass 0 reject none junk.test
case.test none: none: fail 1 reject reject case.test
two.test none: none: none 1 none none ""
other.test none: none: fail 1 reject reject other.test
late.test none: none: none 1 none none ""
v2.test none: none: none 1 none none ""
lower.test none: none: none 1 none none ""
nosemi.test none: none: none 1 none none ""
split.test none: none: fail 1 reject reject split.test
alias.test none: none: fail 1 quarantine quarantine alias.test
nowhere.test pass:nowhere.test none: none 1 none none ""
org.psd.test none: none: fail 1 reject reject psd.test
nx.psd.test none: none: fail 1 quarantine quarantine psd.test
a.org.psd.test pass:b.org.psd.test none: pass 0 quarantine none psd.test
org.psd.test pass:evil.psd.test none: fail 1 reject reject psd.test
has.psd.test pass:evil.psd.test none: fail 1 quarantine quarantine has.psd.test
a.has.psd.test pass:b.has.psd.test none: pass 0 quarantine none has.psd.test
psd.test pass:psd.test none: pass 0 reject none psd.test
dept.big.test pass:big.test none: fail 1 none none dept.big.test
x.dept.big.test pass:dept.big.test none: pass 0 none none dept.big.test
big.test pass:dept.big.test none: fail 1 reject reject big.test
other.big.test pass:big.test none: pass 0 reject none big.test
a.b.c.d.e.f.g.h.i.j.mail.deep.test none: none: fail 1 quarantine quarantine i.j.mail.deep.test
a.b.c.d.e.f.g.h.mail.deep.test none: none: fail 1 reject reject deep.test
a.b.c.d.e.f.g.h.i.j.k.lost.test none: none: none 1 none none ""
münchen.test pass:münchen.test none: pass 0 reject none xn--mnchen-3ya.test
broken.test none: none: temperror 75 none none ""
rej.test none: pass:broken.test fail 1 reject reject rej.test
TABLE
  [ "$bad" -eq 0 ]
}

@test "the line and --json" {
  run -1 dmarc --from rej.test --spf none: --dkim none:
  [ "$output" = 'fail policy=reject applied=reject domain=rej.test record="v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:r@rej.test"' ]
  run -1 dmarc --from rej.test --json
  [ "$output" = '{"result":"fail","policy":"reject","applied":"reject","domain":"rej.test","record":"v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:r@rej.test"}' ]
  run -1 dmarc --from nowhere.test
  [ "$output" = 'none policy=none applied=none domain="" record=""' ]
}

@test "usage: an unknown result is 64" {
  run -64 dmarc --from rej.test --spf good:rej.test
  run -64 dmarc --from rej.test --spf pass
  run -64 dmarc --from rej.test --dkim pass:rej.test,hm:x.test
  run -64 dmarc --spf pass:rej.test
  run -64 dmarc --from 'a b' extra
}
