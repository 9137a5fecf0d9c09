#!/usr/bin/env bats
# --why: the queue's entry and the log, in sentences; --list, seen whole.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }
why() { run mx-deliver --why "$@"; echo "$output"; }

@test "--why ID: who waits and why, who has it, when it is tried again, what the log says" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example later@remote.example ann@virt.example
  local id; id=$(the_id)
  why "$id"
  [[ "$output" == "$id: in the queue, "*" bytes, from joe@virt.example, arrived "*" ago)"* ]]
  [[ "$output" == *"<b@remote.example>: waits; not tried yet"*"0 attempts so far; the next as soon as the queue's runner gets to it"* ]]
  run_queue
  why "$id"
  [[ "$output" == *"<b@remote.example>: delivered; last attempt "*": 250 2.0.0 taken"* ]]
  [[ "$output" == *"<later@remote.example>: waits; last attempt "*"said: 450 4.2.1 later (in reply to RCPT TO command)"* ]]
  [[ "$output" == *"1 attempt so far; the next "*" (in "[45]" minutes); it goes back to its sender after "*" (in 1"??" hours)."* ]]
  [[ "$output" == *"The log:"*"status=sent (250 2.0.0 taken)"* ]]
  mx-deliver --hold "$id"
  why "$id"
  [[ "$output" == *"It is on hold until somebody says mx-deliver --release $id."* ]]
}

@test "--why ID of what is gone: from the log alone" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example nobody@remote.example
  local id; id=$(the_id)
  run_queue
  why "$id"
  [ "$status" -eq 0 ]
  [[ "$output" == "$id: not in the queue any more: everything about it is done"* ]]
  [[ "$output" == *"<b@remote.example>: delivered (250 2.0.0 taken)"* ]]
  [[ "$output" == *"<nobody@remote.example>: refused (host "*"550 5.1.1 no such user"* ]]
}

@test "--why ADDR: each message of an address, as sender or recipient" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example; run_queue
  submit joe@virt.example later@remote.example; run_queue
  submit ann@virt.example c@remote.example; run_queue
  why joe@virt.example
  [ "$(grep -c 'in the queue' <<<"$output")" -eq 2 ]
  [[ "$output" == *"<b@remote.example>: delivered"*"<later@remote.example>: waits"* ]]
  ! grep -q 'c@remote' <<<"$output"
  why c@remote.example
  [ "$(grep -c 'in the queue' <<<"$output")" -eq 1 ]
  why nobody.knows@x.example
  [ "$status" -eq 66 ]; [[ "$output" == *"neither the queue nor the log knows it"* ]]
  why '../x'; [ "$status" -eq 64 ]
}

@test "--why joins the rotated logs, packed ones too, oldest first" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example later@remote.example
  local id; id=$(the_id)
  run_queue
  gzip -c "$MX_LOG" > "$MX_LOG.2.gz"; : > "$MX_LOG"
  mx-deliver --flush; run_queue
  mv "$MX_LOG" "$MX_LOG.1"; : > "$MX_LOG"
  mx-deliver --delete "$id"
  why "$id"
  [ "$status" -eq 0 ]
  [[ "$output" == *"<b@remote.example>: delivered (250 2.0.0 taken)"* ]]
  [ "$(grep -c 'to=<later@remote.example>.*status=deferred' <<<"$output")" -eq 2 ]
  [[ "$output" == *"to=<b@remote.example>"*"to=<later@remote.example>"*"to=<later@remote.example>"* ]]
  why b@remote.example
  [[ "$output" == "$id: not in the queue"* ]]
}

@test "--why without a log: what the queue knows; log_format = json is read, too" {
  peer ok; to_peer remote.example
  conf 'log_format = json'
  submit joe@virt.example b@remote.example later@remote.example
  local id; id=$(the_id)
  run_queue
  why b@remote.example
  [[ "$output" == *"$id: in the queue"*'"status":"sent"'* ]]
  MX_LOG=$T/nowhere why "$id"
  [ "$status" -eq 0 ]; [[ "$output" == *"waits; last attempt"* ]]; [[ "$output" != *"The log"* ]]
}

@test "the retry life of a message: back-off, delay warning, final bounce, in no time" {
  peer 451-rcpt; to_peer remote.example
  conf 'delay_warning_time = 4h' 'maximal_queue_lifetime = 1d' 'maximal_backoff_time = 4000s'
  submit joe@virt.example b@remote.example
  local now=0 n=0 warned=
  while [ "$(queued)" -gt 0 ]; do
    later "$now" run_queue; n=$((n + 1))
    [ -n "$warned" ] || [ "$(count vm/joe/new)" -eq 0 ] || warned=$now
    [ "$(queued)" -eq 0 ] || now=$(( $(stat -c %Y "$(the_entry)") - $(date +%s) + 2 ))
    [ "$n" -lt 60 ]
  done
  echo "$n attempts, warned after $warned s, returned after $now s"
  [ "$n" -ge 20 ]; [ "$n" -le 35 ]
  [ "$warned" -ge 14400 ]; [ "$warned" -lt 18500 ]
  [ "$now" -ge 86400 ]; [ "$now" -lt 90500 ]
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq "$n" ]
  [ "$(grep -l '^Action: delayed' "$T"/vm/joe/new/* | wc -l)" -eq 1 ]
  [ "$(grep -l '^Action: failed' "$T"/vm/joe/new/* | wc -l)" -eq 1 ]
}
