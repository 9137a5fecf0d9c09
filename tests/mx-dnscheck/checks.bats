# mx-dnscheck: SPF, DKIM, DMARC, auth, mx, ptr against a real NSD.
load ../lib/common

setup() {
  common_setup
  PORT=$(free_port); R="--resolver 127.0.0.1:$PORT"
  mx-dkimsign --genkey -d ex.test -s k -D "$T" >/dev/null
  cat > "$T/zone" <<ZONE
\$ORIGIN ex.test.
@ 60 IN SOA ns hostmaster 1 3600 600 86400 5
@ IN NS ns
ns IN A 127.0.0.1
@ IN A 192.0.2.10
@ IN MX 20 mx2
@ IN MX 10 mx1
mx1 IN A 192.0.2.11
mx2 IN AAAA 2001:db8::12
@ IN TXT "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32 -all"
a IN TXT "v=spf1 a -all"
a IN A 198.51.100.1
a24 IN TXT "v=spf1 a:a.ex.test/24 -all"
amx IN TXT "v=spf1 mx:ex.test ~all"
inc IN TXT "v=spf1 include:ex.test ?all"
incnone IN TXT "v=spf1 include:nothing.ex.test -all"
red IN TXT "v=spf1 redirect=ex.test"
rednone IN TXT "v=spf1 redirect=nothing.ex.test"
exists IN TXT "v=spf1 exists:%{ir}.%{l}.e.ex.test -all"
1.100.51.198.joe.e IN A 127.0.0.2
ptr IN TXT "v=spf1 ptr:ex.test -all"
exp IN TXT "v=spf1 -all exp=why.ex.test"
why IN TXT "%{i} may not send for %{d}: %{s}, helo %{h}"
two IN TXT "v=spf1 -all"
two IN TXT "v=spf1 +all"
split IN TXT "v=spf1 ip4:192.0" ".2.0/24 -all"
bad1 IN TXT "v=spf1 ipv4:1.2.3.4 -all"
bad2 IN TXT "v=spf1 a:%{x}.ex.test -all"
bad3 IN TXT "v=spf1 ip4:1.2.3.4/33 -all"
bad4 IN TXT "v=spf1 all:x"
bad5 IN TXT "v=spf1 redirect=ex.test redirect=ex.test"
bad6 IN TXT "v=spf1 include -all"
mod IN TXT "v=spf1 unknown=%{d} +all"
v10 IN TXT "v=spf10 -all"
upper IN TXT "V=SPF1 IP4:192.0.2.1 -ALL"
loop IN TXT "v=spf1 include:loop.ex.test -all"
void IN TXT "v=spf1 a:n1.ex.test a:n2.ex.test a:n3.ex.test +all"
void2 IN TXT "v=spf1 a:n1.ex.test a:n2.ex.test +all"
neutral IN TXT "v=spf1 ?all"
empty IN TXT "v=spf1"
late IN TXT "v=spf1 +all foo"
_dmarc IN TXT "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:d@ex.test"
strict IN A 192.0.2.30
_dmarc.strict IN TXT "v=DMARC1; p=quarantine; adkim=s; aspf=s"
test IN A 192.0.2.31
_dmarc.test IN TXT "v=DMARC1; p=reject; t=y"
dup IN A 192.0.2.32
_dmarc.dup IN TXT "v=DMARC1; p=none"
_dmarc.dup IN TXT "v=DMARC1; p=reject"
sub IN A 192.0.2.33
_dmarc.org.sub IN TXT "v=DMARC1; p=none; psd=n"
org.sub IN A 192.0.2.34
revoked._domainkey IN TXT "v=DKIM1; p="
noemail._domainkey IN TXT "v=DKIM1; s=tlsrpt; " "p=$(sed -n 's/.*p=\([^"]*\)".*/\1/p' "$T/k.txt")"
\$INCLUDE $T/k.txt
ZONE
  printf '$ORIGIN 2.0.192.in-addr.arpa.\n@ 60 IN SOA ns.ex.test. h.ex.test. 1 2 3 4 5\n@ IN NS ns.ex.test.\n11 IN PTR mx1.ex.test.\n12 IN PTR mx1.ex.test.\n' > "$T/rev"
  dns_serve "$PORT" ex.test "$T/zone" 2.0.192.in-addr.arpa "$T/rev"
  printf 'From: a@ex.test\nTo: b@c.d\nSubject: hello\n\nbody\n' > "$T/m"
}
teardown() { common_teardown; }

@test "SPF: results, one line each" {
  local want ip sender n=0
  while read -r want ip sender; do
    case $want in '#'*|'') continue ;; esac
    n=$((n + 1))
    run bash -c "mx-dnscheck spf $R --ip $ip --sender $sender --helo helo.ex.test 2>/dev/null"
    [ "${output%% *}" = "$want" ] || { echo "$sender from $ip: $output, wanted $want" >&2; false; }
  done <<'CASES'
pass 192.0.2.1 u@ex.test
fail 192.0.2.99 u@ex.test
pass 2001:db8::5 u@ex.test
fail 2001:db9::5 u@ex.test
pass 198.51.100.1 u@a.ex.test
fail 198.51.100.2 u@a.ex.test
pass 198.51.100.2 u@a24.ex.test
pass 192.0.2.11 u@amx.ex.test
pass 2001:db8::12 u@amx.ex.test
softfail 192.0.2.12 u@amx.ex.test
pass 192.0.2.3 u@inc.ex.test
neutral 203.0.113.1 u@inc.ex.test
permerror 203.0.113.1 u@incnone.ex.test
pass 192.0.2.3 u@red.ex.test
fail 203.0.113.1 u@red.ex.test
permerror 192.0.2.3 u@rednone.ex.test
pass 198.51.100.1 joe@exists.ex.test
fail 198.51.100.1 jim@exists.ex.test
pass 192.0.2.11 u@ptr.ex.test
fail 192.0.2.12 u@ptr.ex.test
permerror 192.0.2.1 u@two.ex.test
pass 192.0.2.200 u@split.ex.test
permerror 192.0.2.1 u@bad1.ex.test
permerror 192.0.2.1 u@bad2.ex.test
permerror 192.0.2.1 u@bad3.ex.test
permerror 192.0.2.1 u@bad4.ex.test
permerror 192.0.2.1 u@bad5.ex.test
permerror 192.0.2.1 u@bad6.ex.test
pass 192.0.2.1 u@mod.ex.test
none 192.0.2.1 u@v10.ex.test
pass 192.0.2.1 u@upper.ex.test
permerror 192.0.2.1 u@loop.ex.test
permerror 192.0.2.1 u@void.ex.test
pass 192.0.2.1 u@void2.ex.test
neutral 192.0.2.1 u@neutral.ex.test
neutral 192.0.2.1 u@empty.ex.test
permerror 192.0.2.1 u@late.ex.test
none 192.0.2.1 u@mx1.ex.test
none 192.0.2.1 u@nothing.ex.test
none 192.0.2.1 u@localhost
temperror 192.0.2.1 u@elsewhere.example
CASES
  [ "$n" -eq 41 ]
}

@test "SPF: the whole line, explanation, null sender, exit codes, JSON" {
  run mx-dnscheck spf $R --ip 203.0.113.7 --sender joe@exp.ex.test --helo h.ex.test
  [ "$status" -eq 1 ]
  [ "$output" = 'fail mechanism=-all lookups=0 voids=0 explanation="203.0.113.7 may not send for exp.ex.test: joe@exp.ex.test, helo h.ex.test"' ]
  run mx-dnscheck spf $R --ip 192.0.2.1 --sender '' --helo ex.test
  [ "$status" -eq 0 ]
  [ "$output" = 'pass mechanism=ip4:192.0.2.0/28 lookups=0 voids=0 explanation=""' ]
  run bash -c "mx-dnscheck spf $R --ip 192.0.2.1 --sender u@bad1.ex.test --helo h 2>/dev/null"
  [ "$status" -eq 65 ]
  run bash -c "mx-dnscheck spf $R --ip 192.0.2.1 --sender u@elsewhere.example --helo h 2>/dev/null"
  [ "$status" -eq 75 ]
  run mx-dnscheck spf $R --ip nonsense --sender u@ex.test --helo h
  [ "$status" -eq 64 ]
  run bash -c "mx-dnscheck spf $R --json --ip 192.0.2.1 --sender u@red.ex.test --helo h | python3 -c 'import json,sys; j=json.load(sys.stdin); print(j[\"result\"], j[\"lookups\"])'"
  [ "$output" = "pass 1" ]
}

sign() { mx-dkimsign -d ex.test -s k -k "$T/k.private" "$@" < "$T/m"; }
dkim() { mx-dnscheck dkim $R "$@"; }

@test "DKIM: pass, and every way to fail" {
  sign > "$T/s"
  run dkim < "$T/s"
  [ "$status" -eq 0 ]
  [ "$output" = 'pass d=ex.test s=k a=rsa-sha256 reason=""' ]
  check() { # WANT-WORD STATUS (message on stdin)
    run dkim
    [ "${output%% *}" = "$1" ] && [ "$status" -eq "$2" ] || { echo "$output ($status), wanted $1 $2" >&2; false; }
  }
  sed 's/^body/bodies/' "$T/s" | { check fail 1; }
  sed 's/hello/hallo/' "$T/s" | { check fail 1; }
  sed 's/s=k;/s=none;/' "$T/s" | { check permerror 65; }
  sed 's/s=k;/s=revoked;/' "$T/s" | { check permerror 65; }
  sed 's/s=k;/s=noemail;/' "$T/s" | { check permerror 65; }
  sed 's/a=rsa-sha256/a=rsa-sha1/' "$T/s" | { check permerror 65; }
  sed 's/a=rsa-sha256/a=ed25519-sha256/' "$T/s" | { check permerror 65; }
  sed 's/v=1;/v=2;/' "$T/s" | { check permerror 65; }
  sed 's/d=ex.test/d=elsewhere.example/' "$T/s" | { check temperror 75; }
  sed '0,/^From: /s//From: evil@else.test\nFrom: /' "$T/s" | { check fail 1; }
  cat "$T/m" | { check none 1; }
  sign -t 1000 -x 60 > "$T/old"
  check permerror 65 < "$T/old"
  run dkim --time 1030 < "$T/old"
  [ "$status" -eq 0 ]
  sed 's/$/\r/' "$T/s" > "$T/crlf"
  run dkim < "$T/crlf"
  [ "$status" -eq 0 ]
  run dkim < /dev/null
  [ "$status" -eq 65 ]
}

@test "DKIM: a second From that is not signed is policy" {
  sign -H From:Subject > "$T/s"
  sed '0,/^From: /s//From: evil@else.test\nFrom: /' "$T/s" > "$T/s2"
  run dkim < "$T/s2"
  [[ "$output" == policy\ * ]]
  [ "$status" -eq 1 ]
}

@test "DMARC: tree walk, alignment, policies" {
  local want from spf dkimr
  while read -r want from spf dkimr; do
    run mx-dnscheck dmarc $R --from "$from" --spf "$spf" --dkim "$dkimr"
    got=$(sed -E 's/^([a-z]+) policy=([a-z]+) applied=([a-z]+) domain=([^ ]*) .*/\1,\2,\3,\4/' <<<"$output" | tr -d '"')
    [ "$got" = "$want" ] || { echo "$from $spf $dkimr: $output, wanted $want" >&2; false; }
  done <<'CASES'
pass,reject,none,ex.test ex.test pass:ex.test none:
pass,reject,none,ex.test ex.test pass:sub.ex.test none:
pass,reject,none,ex.test ex.test fail:x pass:mx1.ex.test
fail,reject,reject,ex.test ex.test pass:else.example fail:ex.test
fail,quarantine,quarantine,ex.test mx1.ex.test none: none:
fail,reject,reject,ex.test nosuchname.ex.test none: none:
fail,quarantine,quarantine,strict.ex.test strict.ex.test pass:ex.test pass:ex.test
pass,quarantine,none,strict.ex.test strict.ex.test none: pass:strict.ex.test
fail,reject,quarantine,test.ex.test test.ex.test none: none:
fail,quarantine,quarantine,ex.test dup.ex.test none: none:
fail,none,none,org.sub.ex.test org.sub.ex.test pass:ex.test none:
CASES
  run mx-dnscheck dmarc $R --from ex.test --spf maybe:x
  [ "$status" -eq 64 ]
  run mx-dnscheck dmarc $R --from ex.test --spf fail:x
  [ "$status" -eq 1 ]
}

@test "auth: forged results removed, ours on top, DMARC in a field of its own" {
  {
    printf 'Authentication-Results: mail.me.test; dkim=pass\n'
    printf 'Authentication-Results: (a (b) comment)\n\tMAIL.me.test ; spf=pass\n'
    printf 'Authentication-Results: "mail.me.test"; x=pass\n'
    printf 'Authentication-Results: other.test; spf=pass\n'
    sign
  } > "$T/in"
  run bash -c "mx-dnscheck auth $R --authserv-id mail.me.test --client-addr 192.0.2.1 --sender u@ex.test --helo h.ex.test < $T/in"
  [ "$status" -eq 0 ]
  [ "$(grep -ci '^Authentication-Results:.*mail.me.test' <<<"$output")" -eq 2 ]
  [ "$(grep -c '^Authentication-Results: other.test; spf=pass' <<<"$output")" -eq 1 ]
  [[ "${lines[0]}" == "Authentication-Results: mail.me.test; spf=pass smtp.mailfrom=u@ex.test;"* ]]
  grep -q '^Authentication-Results: mail.me.test; dmarc=pass (p=reject dis=none)' <<<"$output"
  grep -q '^Received-SPF: pass (mail.me.test: ' <<<"$output"
  tr -d '\n\t' <<<"$output" | grep -q 'dkim=pass *header.d=ex.test header.s=k'
  # what came is still there, byte for byte
  sign -t 1 > "$T/s"
  mx-dnscheck auth $R --authserv-id x --client-addr 192.0.2.1 --sender u@ex.test --helo h < "$T/s" | tail -c "$(stat -c %s "$T/s")" | cmp - "$T/s"
}

@test "auth: p=reject refuses only where it is asked to" {
  auth() { mx-dnscheck auth $R "$@" --authserv-id me --client-addr 203.0.113.1 --sender u@else.example --helo h < "$T/m"; }
  run auth
  [ "$status" -eq 0 ]
  grep -q '^Authentication-Results: me; dmarc=fail (p=reject dis=reject)' <<<"$output"
  run auth -o dmarc_reject_failures=yes
  [ "$status" -eq 69 ]
  [[ "$output" == *"rejected by the DMARC policy of ex.test"* ]]
  run auth -o "dmarc_history_file=$T/history"
  grep -q '^mx-dmarc-1 time=.* ip=203.0.113.1 from=ex.test policy-domain=ex.test policy=reject' "$T/history"
}

@test "mx and ptr" {
  run mx-dnscheck mx $R ex.test
  [ "$status" -eq 0 ]
  [ "$output" = $'10 mx1.ex.test 192.0.2.11\n20 mx2.ex.test 2001:db8::12' ]
  run mx-dnscheck mx $R nothing.ex.test
  [ "$status" -eq 1 ]
  run mx-dnscheck ptr $R 192.0.2.11
  [ "$output" = 'pass name=mx1.ex.test' ]
  run mx-dnscheck ptr $R 192.0.2.12
  [ "$status" -eq 1 ]
  [ "$output" = 'fail name=mx1.ex.test' ]
  run mx-dnscheck ptr $R 192.0.2.13
  [ "$status" -eq 1 ]
  run mx-dnscheck bogus
  [ "$status" -eq 64 ]
}
