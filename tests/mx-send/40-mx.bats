#!/usr/bin/env bats
# mx-send: where it goes. A real NSD serves the zones.
load ../lib/common
load ../lib/send
setup() {
  common_setup
  DNS=$(free_port)
  cat > "$T/zone" <<'Z'
$ORIGIN example.
$TTL 60
@ SOA ns.example. root.example. 1 3600 600 86400 60
@ NS ns.example.
ns A 127.0.0.1
two MX 20 good.example.
two MX 10 dead.example.
dead A 127.0.0.9
good A 127.0.0.1
good A 127.0.0.1
plain A 127.0.0.1
null MX 0 .
self MX 10 me.example.
selfback MX 10 good.example.
selfback MX 20 me.example.
selfback MX 30 dead.example.
me A 127.0.0.7
lost MX 10 nowhere.example.
many MX 1 m1.example.
many MX 2 m2.example.
m1 A 127.0.0.11
m1 A 127.0.0.12
m1 A 127.0.0.13
m2 A 127.0.0.1
txt TXT "no address here"
dual MX 5 d1.example.
dual MX 5 d2.example.
dual MX 9 d3.example.
d1 A 127.0.0.31
d1 AAAA ::1
d2 A 127.0.0.32
d2 AAAA ::1
d3 A 127.0.0.33
d3 AAAA ::1
Z
  dns_serve "$DNS" example "$T/zone"
}
teardown() { common_teardown; }

msg() { printf 'Subject: x\n\nbody\n'; }
by_dns() {
  send --resolver "127.0.0.1:$DNS" -o "smtp_tcp_port=$PEER" \
    -o inet_interfaces=127.0.0.7 -o smtp_host_lookup=dns "$@" < <(msg)
}

@test "the best MX is down: the next one takes it" {
  peer ok
  run by_dns b@two.example
  echo "$output"
  [ "$status" -eq 0 ]
  grep -q "sent 2.0.0 good.example\[127.0.0.1\]:$PEER" <<<"$output"
}

@test "no MX: the address" {
  peer ok
  run by_dns b@plain.example
  [ "$status" -eq 0 ]
  grep -q 'sent 2.0.0 plain.example\[127.0.0.1\]' <<<"$output"
}

@test "null MX, no such domain, no address: for good; each with its code" {
  peer ok
  run by_dns b@null.example; echo "$output"
  [ "$status" -eq 69 ]; grep -q 'bounced 5.1.10 none Domain null.example does not accept mail (nullMX)' <<<"$output"
  run by_dns b@nothere.example; echo "$output"
  [ "$status" -eq 69 ]; grep -q 'bounced 5.4.4 none Host or domain name not found' <<<"$output"
  run by_dns b@txt.example; [ "$status" -eq 69 ]
  run by_dns b@lost.example; [ "$status" -eq 69 ]
}

@test "trouble with DNS is never no such domain" {
  peer ok
  local none; none=$(free_port)
  run send --resolver "127.0.0.1:$none" -o smtp_host_lookup=dns b@two.example < <(msg)
  echo "$output"
  [ "$status" -eq 75 ]; grep -q 'deferred 4.4.3 none' <<<"$output"
  # nobody answers for this zone: REFUSED
  run by_dns b@other.test
  echo "$output"
  [ "$status" -eq 75 ]; grep -q 'deferred 4.4.3 none' <<<"$output"
}

@test "loops: we are the best MX; we are one of them" {
  peer ok
  run by_dns b@self.example; echo "$output"
  [ "$status" -eq 69 ]; grep -q 'bounced 5.4.6 none mail for self.example loops back to myself' <<<"$output"
  run by_dns b@selfback.example
  [ "$status" -eq 0 ]
}

@test "smtp_mx_address_limit and smtp_mx_session_limit" {
  peer ok
  run by_dns b@many.example
  [ "$status" -eq 0 ]
  run by_dns -o smtp_mx_address_limit=2 b@many.example
  echo "$output"
  [ "$status" -eq 75 ]
  # two servers that take connections and refuse: the third is not asked
  peer 451-mail --host 0.0.0.0
  run by_dns b@many.example
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq 2 ]
}

@test "later at one host: the next is asked; refused: it is not" {
  peer ok --host 127.0.0.1
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PEER" --host 127.0.0.9 --mode 451-rcpt --log "$T/first"
  wait_port "$PEER" 127.0.0.9
  run by_dns b@two.example
  echo "$output"
  [ "$status" -eq 0 ]; grep -q 'good.example' <<<"$output"
  kill "$SPAWNED"; wait "$SPAWNED" || true
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PEER" --host 127.0.0.9 --mode 550-rcpt --log "$T/first"
  wait_port "$PEER" 127.0.0.9
  run by_dns b@two.example
  echo "$output"
  [ "$status" -eq 69 ]; grep -q 'bounced 5.7.1 dead.example' <<<"$output"
}

@test "after the final dot nobody else is asked" {
  peer ok --host 127.0.0.1
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PEER" --host 127.0.0.9 --mode drop-dot --log "$T/first"
  wait_port "$PEER" 127.0.0.9
  run by_dns b@two.example
  echo "$output"
  [ "$status" -eq 75 ]
  [ "$(taken)" -eq 0 ]
}

@test "several domains in one call; the hosts file serves bare names" {
  peer ok
  run by_dns b@two.example c@null.example d@plain.example
  echo "$output"
  [ "$status" -eq 69 ]
  [ "$(grep -c ' sent ' <<<"$output")" -eq 2 ]
  run by_dns -o smtp_host_lookup=native --host "localhost:$PEER" b@x
  [ "$status" -eq 0 ]
}

@test "relayhost: domain with MX, [host], list" {
  peer ok
  run by_dns -o relayhost=two.example b@nothere.example
  [ "$status" -eq 0 ]
  run by_dns -o "relayhost=[good.example]:$PEER" b@nothere.example
  [ "$status" -eq 0 ]
  run by_dns -o "relayhost=[dead.example], [good.example]" b@nothere.example
  [ "$status" -eq 0 ]
  run by_dns --nexthop "[127.0.0.1]:$PEER" b@nothere.example
  [ "$status" -eq 0 ]
  [ "$(taken)" -eq 4 ]
}

# the families of the hosts tried, in their order: nobody is there
families() {
  by_dns -o smtp_mx_address_limit=0 -o "smtp_address_preference=$1" --trace b@dual.example 2>&1 |
    sed -nE 's/.*(d[123])\.example\[([0-9a-f.:]*)\].*[Rr]efused.*/\1 \2/p' | uniq | sed 's/127.*/4/; s/::1/6/' | tr '\n' ' '
}

@test "smtp_address_preference: the family that is tried first, within one preference" {
  PEER=$(free_port)
  for i in 1 2 3; do
    run families ipv4
    echo "$output"
    grep -qE '^(d[12] 4 ){2}(d[12] 6 ){2}d3 4 d3 6 ?$' <<<"$output"
    run families ipv6
    echo "$output"
    grep -qE '^(d[12] 6 ){2}(d[12] 4 ){2}d3 6 d3 4 ?$' <<<"$output"
  done
}

@test "a host that calls itself by our name is ourselves: no message goes round" {
  peer ok
  run send -o myhostname=Peer.Example -o "smtp_tcp_port=$PEER" --host "127.0.0.1:$PEER" b@x.example < <(msg)
  echo "$output"
  [ "$status" -eq 69 ]
  grep -q '^b@x.example bounced 5.4.6 .* mail for .* loops back to myself: host .* greeted me with my own hostname' <<< "$output"
  [ "$(taken)" -eq 0 ]
  # a probe, and LMTP into our own store, are no loop
  run send -o myhostname=peer.example -o "smtp_tcp_port=$PEER" --probe --host "127.0.0.1:$PEER" b@x.example
  [ "$status" -eq 0 ]
  kill "$PEER_PID"; wait "$PEER_PID" || true
  peer ok --lmtp
  run send -o myhostname=peer.example -o "smtp_tcp_port=$PEER" --lmtp --host "127.0.0.1:$PEER" b@x.example < <(msg)
  [ "$status" -eq 0 ]
}

@test "our name at another port than SMTP's is a content filter's, or a second instance's: delivered" {
  peer ok
  run send -o myhostname=peer.example --nexthop "[127.0.0.1]:$PEER" b@x.example < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(taken)" -eq 1 ]
}

@test "smtp_bind_address and 6; one that is not ours: smtp_bind_address_enforce" {
  local to
  peer ok; to=127.0.0.1:$PEER
  run send --probe --trace -o smtp_bind_address=127.0.0.7 --host "$to" b@example.com
  [ "$status" -eq 0 ]; grep -q 'from \[127.0.0.7\]$' <<<"$output"
  # the other family's is not asked
  run send --probe --trace -o smtp_bind_address6=2001:db8::7 -o smtp_bind_address_enforce=yes --host "$to" b@example.com
  [ "$status" -eq 0 ]; grep -q 'from \[127.0.0.1\]$' <<<"$output"
  run send --probe --trace -o smtp_bind_address=192.0.2.77 --host "$to" b@example.com
  echo "$output"; [ "$status" -eq 0 ]
  grep -q 'smtp_bind_address 192.0.2.77: ' <<<"$output"; grep -q 'from \[127.0.0.1\]$' <<<"$output"
  run send --probe -o smtp_bind_address=192.0.2.77 -o smtp_bind_address_enforce=yes --host "$to" b@example.com
  echo "$output"; [ "$status" -eq 75 ]; grep -q ' deferred 4.4.1 .*smtp_bind_address 192.0.2.77' <<<"$output"
  run send --probe -o smtp_bind_address=::1 --host "$to" b@example.com
  echo "$output"; [ "$status" -eq 75 ]; grep -q ' deferred 4.3.5 .*not an address of the family' <<<"$output"
}
