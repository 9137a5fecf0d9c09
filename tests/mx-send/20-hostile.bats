#!/usr/bin/env bats
# mx-send and servers that break off, lie or never end: the verdict is always
# "try again", in bounded time, and nothing is counted as sent.
load ../lib/common
load ../lib/send
setup() { common_setup; }
teardown() { common_teardown; }

msg() { printf 'Subject: x\n\nbody\n'; }

# try MODE STATUS WORD DSN: runs against that peer
try() {
  peer "$1"
  run timeout 60 mx-send -o net_user=nobody -o myhostname=client.example \
    -o smtp_helo_timeout=2 -o smtp_mail_timeout=2 -o smtp_rcpt_timeout=2 \
    -o smtp_data_init_timeout=2 -o smtp_data_done_timeout=2 \
    -o smtp_starttls_timeout=2 --host "127.0.0.1:$PEER" b@example.com < <(msg)
  echo "$1: $status: $output"
  [ "$status" -eq "$2" ]
  [[ "${lines[0]}" == "b@example.com $3 $4 "* ]]
  kill "$PEER_PID"
}

@test "the connection breaks at each step" {
  try drop-greeting 75 deferred 4.4.2
  try drop-ehlo 75 deferred 4.4.2
  try drop-mail 75 deferred 4.4.2
  try drop-rcpt 75 deferred 4.4.2
  try drop-data 75 deferred 4.4.2
  try drop-body 75 deferred 4.4.2
  try drop-dot 75 deferred 4.4.2
  [[ "$output" == *"while sending end of data -- message may be sent more than once" ]]
}

@test "half a reply at each step" {
  for s in greeting ehlo mail rcpt data dot; do
    try half-$s 75 deferred 4.4.2
  done
}

@test "silence at each step" {
  for s in greeting ehlo mail rcpt data dot; do
    try silent-$s 75 deferred 4.4.2
    [[ "$output" == *"timed out while"* ]]
  done
}

@test "a byte at a time does not stretch the time" {
  try slow-greeting 75 deferred 4.4.2
  try slow-dot 75 deferred 4.4.2
}

@test "replies without end" {
  for s in greeting ehlo mail rcpt dot; do
    try endless-$s 75 deferred 4.5.0
    try long-$s 75 deferred 4.5.0
  done
}

@test "no SMTP at all" {
  for s in greeting ehlo mail rcpt data dot; do
    try garbage-$s 75 deferred 4.5.0
  done
}

@test "codes that fit no step are no verdict" {
  try 250-data 75 deferred 4.5.0
  try 354-mail 75 deferred 4.5.0
  try 354-dot 75 deferred 4.5.0
}

@test "a reply before the message is there does not make it sent" {
  peer early-body
  python3 -c 'print("Subject: x\n\n" + ("x" * 70 + "\n") * 100000)' > "$T/big"
  run send --host "127.0.0.1:$PEER" b@example.com < "$T/big"
  echo "$output"
  [ "$status" -eq 75 ]
}

@test "refusals at each step, temporary and for good" {
  try 421-greeting 75 deferred 4.7.1
  try 554-greeting 75 deferred 4.7.1
  try 451-mail 75 deferred 4.7.1
  try 550-mail 69 bounced 5.7.1
  try 451-rcpt 75 deferred 4.7.1
  try 550-rcpt 69 bounced 5.7.1
  try 451-data 75 deferred 4.7.1
  try 554-data 69 bounced 5.7.1
  try 452-dot 75 deferred 4.7.1
  try 552-dot 69 bounced 5.7.1
}

@test "two replies to one command never make a message sent" {
  peer two-rcpt
  run send --host "127.0.0.1:$PEER" b@example.com < <(msg)
  echo "$output"
  [ "$status" -eq 75 ]
  [ "$(taken)" -eq 0 ]
}

@test "control bytes of a reply do not reach the terminal" {
  peer nul-rcpt
  send --host "127.0.0.1:$PEER" b@example.com < <(msg) > "$T/out" || true
  [ "$(tr -d '\n' < "$T/out" | LC_ALL=C grep -c '[[:cntrl:]]')" -eq 0 ]
  grep -q '550 5.1.1 a' "$T/out"
}
