#!/usr/bin/env bats
# Whole lives of messages, by a clock that the test sets: back-off, the delay
# warning, the end.
load queue
setup() { queue_setup; START=$(date +%s); }
teardown() { common_teardown; }

# When the entry is due, in seconds from the start of the test.
due() { echo $(($(stat -c %Y "$(the_entry)") - START)); }

@test "24 hours: the gaps grow, one warning after four of them, one report at the end" {
  peer 451-rcpt; to_peer remote.example
  conf 'maximal_queue_lifetime = 1d' 'delay_warning_time = 4h' 'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s'
  submit joe@virt.example b@remote.example
  local now=0 n=0 gap last=0 warned= ended= most
  while [ "$(entries | wc -l)" -gt 0 ]; do
    [ "$n" -lt 60 ]
    later "$now" run_queue
    n=$((n + 1))
    [ "$(grep -c '"hello"' "$PEER_LOG")" -eq "$n" ]
    # reports are delivered here, by the same pass or the next
    later "$now" run_queue
    if [ -z "$warned" ] && inbox joe | grep -q '^Action: delayed'; then warned=$now; fi
    if inbox joe | grep -q '^Action: failed'; then ended=$now; break; fi
    gap=$(($(due) - now))
    echo "attempt $n at $now: gap $gap"
    # the time that the test itself takes is in it
    most=$((4100 + $(date +%s) - START))
    [ "$gap" -ge 290 ]; [ "$gap" -le "$most" ]; [ "$gap" -ge $((last - 100)) ]
    last=$gap now=$((now + gap + 5))
  done
  echo "warned at $warned, ended at $ended after $n attempts"
  [ "$(queued)" -eq 0 ]
  [ "$warned" -ge 14400 ]; [ "$warned" -le $((14400 + most)) ]
  [ "$ended" -ge 86400 ]; [ "$ended" -le $((86400 + most)) ]
  # each once
  [ "$(inbox joe | grep -c '^Action: delayed')" -eq 1 ]
  [ "$(inbox joe | grep -c '^Action: failed')" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 2 ]
  [ "$(grep -c 'status=expired' "$MX_LOG")" -eq 1 ]
  [ "$(grep -c 'status=deferred' "$MX_LOG")" -ge 20 ]
  [ "$(taken)" -eq 0 ]
}

@test "a bounce lives bounce_queue_lifetime, and nobody is told of its end" {
  peer 451-rcpt; to_peer remote.example
  conf 'bounce_queue_lifetime = 2h' 'maximal_queue_lifetime = 1d' 'delay_warning_time = 1h'
  submit '' b@remote.example
  submit joe@virt.example c@remote.example
  run_queue
  later 6000 run_queue
  [ "$(queued)" -eq 2 ]
  later 14000 run_queue
  later 18000 run_queue
  cat "$MX_LOG"
  # the null sender's is gone, the other's is there; only its sender was warned
  [ "$(queued)" -eq 1 ]
  grep -q '^sender: joe@virt.example$' "$(the_entry)"
  [ "$(count vm/joe/new)" -eq 1 ]
}
