#!/usr/bin/env bats
# Hosts that failed of late: two addresses of a destination, the better one does
# not answer; BAD and GOOD are the logs of the two.
load queue
setup() {
  queue_setup
  mapfile -t p < <(free_port 2); DNS=${p[0]} PORT=${p[1]}
  printf '$ORIGIN remote.test.\n$TTL 60\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n@ MX 10 one\n@ MX 20 two\none A 127.0.0.2\ntwo A 127.0.0.3\nalone MX 10 one\n' > "$T/zone"
  dns_serve "$DNS" remote.test "$T/zone"
  # no kept connections: each message has a session of its own
  conf "resolver = 127.0.0.1:$DNS" "smtp_tcp_port = $PORT" 'inet_interfaces = 127.0.0.7' 'smtp_host_lookup = dns' \
    'queue_process_limit = 1' 'smtp_connection_cache_on_demand = no'
}
teardown() { common_teardown; }

host() { # ADDR MODE: a peer there; its log is $T/ADDR, its pid SPAWNED
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PORT" --host "$1" --mode "$2" --log "$T/$1"
  wait_for 20 bash -c "[ -n \"\$(ss -Hltn 'src $1:$PORT')\" ]"
}
asked() { grep -c '"event": "connect"' "$T/$1" || true; }

@test "it is asked once, the others at once from then on; for all messages of the runner" {
  host 127.0.0.2 drop-greeting; host 127.0.0.3 ok
  for i in 1 2 3 4 5; do submit joe@virt.example "b$i@remote.test"; done
  run_queue
  cat "$MX_LOG"
  [ "$(taken "$T/127.0.0.3")" -eq 5 ]
  [ "$(asked 127.0.0.2)" -eq 1 ]
  conf 'smtp_failed_host_time = 0'
  for i in 1 2 3; do submit joe@virt.example "b$i@remote.test"; done
  run_queue
  [ "$(taken "$T/127.0.0.3")" -eq 8 ]
  [ "$(asked 127.0.0.2)" -eq 4 ]
}

@test "who is alone is asked all the same; an answer is the end of it" {
  host 127.0.0.2 421-greeting; local bad=$SPAWNED; host 127.0.0.3 ok
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b1@alone.remote.test
  wait_for 20 grep -q status=deferred "$MX_LOG"
  # what another destination has learnt
  submit joe@virt.example b2@remote.test
  wait_for 20 bash -c "[ \$(grep -c status=sent '$MX_LOG') -eq 1 ]"
  [ "$(asked 127.0.0.2)" -eq 1 ]
  kill "$bad"; wait "$bad" 2>/dev/null || true
  : > "$T/127.0.0.2"
  host 127.0.0.2 ok
  # the second first, though the first is well again
  submit joe@virt.example b3@remote.test
  wait_for 20 bash -c "[ \$(grep -c status=sent '$MX_LOG') -eq 2 ]"
  [ "$(asked 127.0.0.2)" -eq 0 ]
  mx-deliver --flush >/dev/null
  wait_for 20 grep -q 'to=<b1@alone.remote.test>.*status=sent' "$MX_LOG"
  # the better one is asked first again
  submit joe@virt.example b4@remote.test
  wait_for 20 bash -c "[ \$(grep -c status=sent '$MX_LOG') -eq 4 ]"
  [ "$(taken "$T/127.0.0.2")" -eq 2 ]
}

@test "after smtp_failed_host_time it is asked first again" {
  conf 'smtp_failed_host_time = 1s'
  host 127.0.0.2 drop-greeting; host 127.0.0.3 ok
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b@remote.test
  wait_for 20 bash -c "[ \$(grep -c status=sent '$MX_LOG') -eq 1 ]"
  [ "$(asked 127.0.0.2)" -eq 1 ]
  again() { submit joe@virt.example b@remote.test; sleep 1; [ "$(asked 127.0.0.2)" -ge 2 ]; }
  wait_for 2 again
}

@test "the order within one run of mx-send, and what --trace shows" {
  host 127.0.0.2 drop-greeting; host 127.0.0.3 ok
  run mx-send --trace -f a@x b@remote.test c@alone.remote.test < "$T/m"
  echo "$output"
  [ "$status" -eq 75 ]
  grep -q '^b@remote.test sent' <<< "$output"
  grep -q '^c@alone.remote.test deferred' <<< "$output"
  grep -q 'one.remote.test.127.0.0.2.:[0-9]*: connecting; it failed of late' <<< "$output"
}
