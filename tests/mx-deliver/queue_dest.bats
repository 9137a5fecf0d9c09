#!/usr/bin/env bats
# The queue's destinations: a slow or dead one delays nobody else; limits,
# feedback, rate delay.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }

runner() { spawn mx-deliver --queue-run --watch "$@"; RUNNER=$SPAWNED; }

@test "a destination that hangs takes initial_destination_concurrency places, the rest goes on" {
  conf 'queue_process_limit = 4' 'initial_destination_concurrency = 2' 'smtp_helo_timeout = 600s'
  # (one connection is wait_port's)
  peer silent-greeting; local slow=$PEER_LOG; to_peer slow.example
  peer ok; to_peer remote.example
  local i
  for i in 1 2 3 4 5 6; do submit joe@virt.example "s$i@slow.example"; done
  runner
  wait_for 20 bash -c "[ \$(grep -c connect $slow) -eq 3 ]"
  for i in 1 2 3 4 5 6; do submit joe@virt.example "r$i@remote.example"; done
  wait_for 30 bash -c "[ \$(grep -c '\"event\": \"message\"' $PEER_LOG) -eq 6 ]"
  [ "$(grep -c connect "$slow")" -eq 3 ]
  [ "$(queued)" -eq 6 ]
}

@test "success opens places, up to the limit" {
  conf 'initial_destination_concurrency = 1' 'smtp_destination_concurrency_limit = 3' 'queue_process_limit = 10'
  peer ok; to_peer remote.example
  local i; for i in $(seq 10); do submit joe@virt.example "b$i@remote.example"; done
  run_queue
  [ "$(taken)" -eq 10 ]; [ "$(queued)" -eq 0 ]
}

@test "a host that worked is given up after a round of failures, not after one" {
  local port; port=$(free_port)
  conf 'queue_process_limit = 1' 'default_destination_concurrency_negative_feedback = 1/concurrency'
  echo "remote.example smtp:[127.0.0.1]:$port" > "$T/transport"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$port" --log "$T/l"; local p=$SPAWNED
  wait_port "$port"
  runner
  local i; for i in $(seq 3); do submit joe@virt.example "a$i@remote.example"; done
  wait_for 20 bash -c "[ \$(grep -c 'status=sent' $MX_LOG) -eq 3 ]"
  kill "$p"; wait "$p" 2>/dev/null || true
  for i in $(seq 12); do submit joe@virt.example "b$i@remote.example"; done
  wait_for 30 bash -c "[ \$(grep -c 'status=deferred' $MX_LOG) -eq 12 ]"
  local tried; tried=$(grep -c 'status=deferred (connect to' "$MX_LOG")
  echo "tried $tried"
  [ "$tried" -gt 2 ]; [ "$tried" -lt 12 ]
  grep -q 'status=deferred (delivery temporarily suspended: connect to' "$MX_LOG"
}

@test "rate delay: one at a time, and time between them" {
  conf 'smtp_destination_rate_delay = 1s'
  peer ok; to_peer remote.example
  local i; for i in 1 2 3 4; do submit joe@virt.example "b$i@remote.example"; done
  runner
  wait_for 30 bash -c "[ \$(grep -c '\"event\": \"message\"' $PEER_LOG) -eq 4 ]"
  # four different seconds
  [ "$(grep -o '^.* status=sent' "$MX_LOG" | wc -l)" -eq 4 ]
  [ "$(grep 'status=sent' "$MX_LOG" | cut -c1-19 | sort -u | wc -l)" -ge 3 ] || { grep status=sent "$MX_LOG"; false; }
  [ "$(queued)" -eq 0 ]
}

@test "TRANSPORT_destination_recipient_limit" {
  peer ok; to_peer remote.example
  conf 'smtp_destination_recipient_limit = 2'
  submit joe@virt.example $(seq -f 'u%g@remote.example' 5)
  run_queue
  [ "$(taken)" -eq 3 ]; [ "$(queued)" -eq 0 ]
}
