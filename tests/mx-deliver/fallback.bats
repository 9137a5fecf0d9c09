#!/usr/bin/env bats
# smtp_fallback_relay: who gets what a destination's own hosts do not take now.
load queue
setup() {
  queue_setup
  mapfile -t p < <(free_port 2); DNS=${p[0]} PORT=${p[1]}
  printf '$ORIGIN remote.test.\n$TTL 60\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n@ MX 10 one\none A 127.0.0.2\nnull MX 0 .\nme MX 10 me\nme A 127.0.0.7\n' > "$T/zone"
  dns_serve "$DNS" remote.test "$T/zone"
  peer ok; FALL=$PEER FALL_LOG=$PEER_LOG
  peer drop-greeting; DEAD=$PEER
  conf "resolver = 127.0.0.1:$DNS" "smtp_tcp_port = $PORT" 'inet_interfaces = 127.0.0.7' 'smtp_host_lookup = dns' \
    "smtp_fallback_relay = [127.0.0.1]:$DEAD, [127.0.0.1]:$FALL"
}
teardown() { common_teardown; }
to() { spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PORT" --host 127.0.0.2 --mode "$1" --log "$T/own"
  wait_for 20 bash -c "[ -n \"\$(ss -Hltn 'src 127.0.0.2:$PORT')\" ]"; }
gone() { local s; s=$(grep -o "to=<$1>.*status=[a-z]*" "$MX_LOG" | tail -n 1); echo "$s"; [[ $s == *"status=$2" ]]; }

@test "nobody there, a domain that does not exist: the relay has it" {
  submit joe@virt.example b@remote.test b@nothere.remote.test
  run_queue; cat "$MX_LOG"
  gone b@remote.test sent; gone b@nothere.remote.test sent
  grep -q "to=<b@remote.test>, relay=127.0.0.1.127.0.0.1.:$FALL," "$MX_LOG"
  [ "$(taken "$FALL_LOG")" -eq 2 ]; [ "$(queued)" -eq 0 ]
}
@test "4xx to some recipients: the relay is asked for them, not for who was taken; 5xx is for good" {
  to ok
  submit joe@virt.example good@remote.test later@remote.test nobody@remote.test
  run_queue; cat "$MX_LOG"
  gone good@remote.test sent; gone nobody@remote.test bounced
  # (this relay knows the same two names)
  grep -q "to=<later@remote.test>, relay=127.0.0.1.127.0.0.1.:$FALL,.*status=deferred" "$MX_LOG"
  ! grep -q "to=<\(good\|nobody\)@remote.test>, relay=127.0.0.1.127.0.0.1.:$FALL," "$MX_LOG"
  [ "$(taken "$T/own")" -eq 1 ]; [ "$(taken "$FALL_LOG")" -eq 0 ]
}
@test "4xx to the whole message: the relay has it" {
  to 450-mail
  submit joe@virt.example a@remote.test b@remote.test
  run_queue; cat "$MX_LOG"
  gone a@remote.test sent; gone b@remote.test sent
  [ "$(taken "$FALL_LOG")" -eq 1 ]; [ "$(queued)" -eq 0 ]
}
@test "the end of the message without a reply: nobody else is asked" {
  to drop-dot
  submit joe@virt.example b@remote.test
  run_queue; cat "$MX_LOG"
  gone b@remote.test deferred
  [ "$(taken "$FALL_LOG")" -eq 0 ]
}
@test "no mail taken there (null MX), ourselves: bounced; transport relay has no fallback, nor has LMTP" {
  submit joe@virt.example b@null.remote.test b@me.remote.test
  run_queue; cat "$MX_LOG"
  gone b@null.remote.test bounced; gone b@me.remote.test bounced
  conf "relay_domains = remote.test"
  submit joe@virt.example b@remote.test; run_queue
  gone b@remote.test deferred
  echo "lm.test lmtp:inet:127.0.0.1:$DEAD" >> "$T/transport"
  submit joe@virt.example b@lm.test; run_queue
  gone b@lm.test deferred
  [ "$(taken "$FALL_LOG")" -eq 0 ]
}
@test "the older name; without any the mail waits" {
  sed -i '/^smtp_fallback_relay/d' "$MX_CONFIG"
  submit joe@virt.example b@remote.test; run_queue
  gone b@remote.test deferred
  conf "fallback_relay = [127.0.0.1]:$FALL"
  later 4000 run_queue
  gone b@remote.test sent
}
