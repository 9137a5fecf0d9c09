#!/usr/bin/env bats
# mx-send and one server: what it prints, what it sends, what it returns.
load ../lib/common
load ../lib/send
setup() { common_setup; }
teardown() { common_teardown; }

msg() { printf 'Subject: x\n\n.dot\nlast\n'; }

@test "a line per recipient, dots doubled, status 0" {
  peer ok
  run send --host "127.0.0.1:$PEER" -f a@example.org b@example.com c@example.net < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = "b@example.com sent 2.0.0 127.0.0.1[127.0.0.1]:$PEER 250 2.0.0 taken" ]
  [ "${#lines[@]}" -eq 2 ]
  grep -q '"body": "Subject: x\\n\\n.dot\\nlast"' "$PEER_LOG"
  grep -q '"name": "client.example"' "$PEER_LOG"
  grep -q 'FROM:<a@example.org> SIZE=26' "$PEER_LOG"
}

@test "refused, later and taken in one message" {
  peer ok
  run send --host "127.0.0.1:$PEER" nobody@x.example later@x.example yes@x.example < <(msg)
  echo "$output"
  [ "$status" -eq 75 ]
  grep -q "^nobody@x.example bounced 5.1.1 .* host 127.0.0.1\[127.0.0.1\] said: 550 5.1.1 no such user (in reply to RCPT TO command)" <<<"$output"
  grep -q "^later@x.example deferred 4.2.1 " <<<"$output"
  grep -q "^yes@x.example sent 2.0.0 " <<<"$output"
  [ "$(taken)" -eq 1 ]
}

@test "only refused: 69 and nothing sent" {
  peer ok
  run send --host "127.0.0.1:$PEER" nobody@x.example < <(msg)
  [ "$status" -eq 69 ]
  [ "$(taken)" -eq 0 ]
}

@test "--json, --times, --trace, --probe" {
  peer ok
  send --json --times --host "127.0.0.1:$PEER" b@example.com < <(msg) > "$T/out"
  grep "^{" "$T/out" | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d["status"]=="sent", d'
  grep -qE '^\. [0-9]+ [0-9]+ dsn$' "$T/out"
  send --trace --host "127.0.0.1:$PEER" b@example.com < <(msg) 2> "$T/err" > /dev/null
  grep -q '^> RCPT TO:<b@example.com>' "$T/err"
  grep -q '^< 354' "$T/err"
  run send --probe --host "127.0.0.1:$PEER" b@example.com nobody@x.example
  echo "$output"
  [ "$status" -eq 69 ]
  grep -q '^b@example.com deliverable 2.1.5' <<<"$output"
  grep -q '^nobody@x.example undeliverable 5.1.1' <<<"$output"
  [ "$(taken)" -eq 2 ]
}

@test "LMTP: a reply per recipient; over a unix socket too" {
  peer ok --lmtp
  run send --lmtp --host "127.0.0.1:$PEER" b@example.com full@x.example < <(msg)
  echo "$output"
  [ "$status" -eq 75 ]
  grep -q '^b@example.com sent' <<<"$output"
  grep -q '^full@x.example deferred 4.2.2 .*452 4.2.2 over quota (in reply to end of DATA command)' <<<"$output"
  chmod 777 "$T"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$T/sock" --lmtp --log "$T/unix.log"
  wait_for 5 test -S "$T/sock"
  run send --lmtp --host "unix:$T/sock" b@example.com < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(taken "$T/unix.log")" -eq 1 ]
}

@test "DSN options go to servers that know them, and to no other" {
  peer ok
  send --host "127.0.0.1:$PEER" --ret HDRS --envid 'a+b' \
    --rcpt-options 'NOTIFY=NEVER ORCPT=rfc822;b@example.com' b@example.com < <(msg)
  grep -q 'RET=HDRS ENVID=a+2Bb' "$PEER_LOG"
  grep -q 'TO:<b@example.com> NOTIFY=NEVER ORCPT=rfc822;b@example.com' "$PEER_LOG"
  peer ok --caps PIPELINING
  send --host "127.0.0.1:$PEER" --ret HDRS --envid 'a+b' \
    --rcpt-options 'NOTIFY=NEVER' b@example.com < <(msg)
  grep -q '"FROM:<>"' "$PEER_LOG"
  grep -q '"TO:<b@example.com>"' "$PEER_LOG"
}

@test "8BITMIME, SMTPUTF8 and SIZE: used where offered, for good where not" {
  printf 'Subject: x\n\n\xc3\xa4\n' > "$T/m8"
  peer ok
  send --host "127.0.0.1:$PEER" b@example.com < "$T/m8"
  grep -q 'BODY=8BITMIME' "$PEER_LOG"
  ! grep -q SMTPUTF8 "$PEER_LOG"
  send --host "127.0.0.1:$PEER" bär@example.com < "$T/m8"
  grep -q SMTPUTF8 "$PEER_LOG"
  peer ok --caps 'PIPELINING,SIZE 10'
  run send --host "127.0.0.1:$PEER" bär@example.com < <(msg)
  [ "$status" -eq 69 ]; grep -q ' bounced 5.6.7 ' <<<"$output"
  run send --host "127.0.0.1:$PEER" b@example.com < <(msg)
  [ "$status" -eq 69 ]; grep -q ' bounced 5.3.4 ' <<<"$output"
  [ "$(taken)" -eq 0 ]
}

@test "a server of RFC 821: HELO, no pipelining" {
  peer 502-ehlo
  run send --host "127.0.0.1:$PEER" b@example.com c@example.com < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(taken)" -eq 1 ]
}

@test "a big message and many recipients over a pipe" {
  peer ok
  python3 - > "$T/big" <<'PY'
print("Subject: big\n")
for i in range(40000): print(".%d " % i + "x" * 60)
PY
  cat "$T/big" | send --host "127.0.0.1:$PEER" $(seq -f 'u%g@example.com' 230) > "$T/out"
  [ "$(grep -c ' sent ' "$T/out")" -eq 230 ]
  python3 - "$PEER_LOG" "$T/big" <<'PY'
import json, sys
m = [json.loads(l) for l in open(sys.argv[1]) if '"message"' in l][0]
assert m["body"] + "\n" == open(sys.argv[2]).read() and len(m["rcpts"]) == 230
PY
}

@test "--size takes that many bytes; fewer are an error and nothing is sent" {
  peer ok
  printf 'Subject: x\n\nbody\nJOURNAL\n' > "$T/m"
  send --size 17 --host "127.0.0.1:$PEER" b@example.com < "$T/m"
  ! grep -q JOURNAL "$PEER_LOG"
  run send --size 1000 --host "127.0.0.1:$PEER" b@example.com < "$T/m"
  [ "$status" -eq 75 ]
  [ "$(taken)" -eq 1 ]
}

@test "usage, empty message, line break in an address" {
  run send < /dev/null; [ "$status" -eq 64 ]
  run send --no-such-option x@y < /dev/null; [ "$status" -eq 64 ]
  run send --host 127.0.0.1:1 b@example.com < /dev/null; [ "$status" -eq 65 ]
  run send --host 127.0.0.1:1 $'b@x\r\nDATA' < <(msg); [ "$status" -eq 64 ]
  run send --host 127.0.0.1:1 -f $'b@x\nDATA' b@example.com < <(msg); [ "$status" -eq 64 ]
}

@test "against a real Postfix sink (smtp-sink)" {
  local port; port=$(free_port)
  mkdir "$T/sink"; chmod 777 "$T/sink"
  (cd "$T/sink" && exec smtp-sink $([ "$(id -u)" -ne 0 ] || echo -u nobody) -d "%H%M%S." "127.0.0.1:$port" 10) > /dev/null 2>&1 3>&- &
  PIDS+=($!)
  wait_port "$port"
  run send --host "127.0.0.1:$port" -f a@example.org b@example.com < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]
  grep -q '^\.dot' "$T"/sink/*
}

@test "options that make no sense are said at once: 64, and nobody is asked" {
  local o n=0
  peer ok
  while IFS= read -r o; do
    run send --probe $o b@example.com
    echo "$o: $status $output"
    [ "$status" -eq 64 ]
    grep -q "^mx-send: ${o%% *}" <<<"$output"
    n=$((n + 1))
  done <<ROWS
--host 127.0.0.1:
--host 127.0.0.1:0
--host 127.0.0.1:99999
--host 127.0.0.1:no-such-service
--host [127.0.0.1]$PEER
--host [::1
--host ::1:99999
--host smtp://127.0.0.1:$PEER
--host unix:
--host ,
--host 127.0.0.1:$PEER,127.0.0.1:x
--host 127.0.0.1:$PEER --host=,
--ret ALL --host 127.0.0.1:$PEER
--rcpt-options NOTIFY= --host 127.0.0.1:$PEER
--rcpt-options NOTIFY=NEVER,DELAY --host 127.0.0.1:$PEER
--rcpt-options ORCPT=b@example.com --host 127.0.0.1:$PEER
--rcpt-options SIZE=1 --host 127.0.0.1:$PEER
--rcpt-options NOTIFY=NEVER --rcpt-options NOTIFY=NEVER --host 127.0.0.1:$PEER
ROWS
  [ "$n" -eq 18 ]
  for o in $'NOTIFY=NEVER\r\nDATA' $'ORCPT=rfc822;x\rDATA'; do
    run send --probe --host "127.0.0.1:$PEER" --rcpt-options "$o" b@example.com
    [ "$status" -eq 64 ]
  done
  run send --probe --host "127.0.0.1:$PEER" --envid $'a\nDATA' b@example.com
  [ "$status" -eq 64 ]
  run send --host "" b@example.com < <(msg)
  [ "$status" -eq 64 ]
  [ "$(grep -c 'b@example.com' "$PEER_LOG")" -eq 0 ]
  # and what makes sense does
  for o in "127.0.0.1:$PEER" "[127.0.0.1]:$PEER" "localhost:$PEER" "127.0.0.1:1,127.0.0.1:$PEER"; do
    run send --probe --host "$o" --ret hdrs --rcpt-options 'notify=success,DELAY orcpt=rfc822;b@c' b@example.com
    echo "$output"; [ "$status" -eq 0 ]
  done
}

@test "--trace: our own address, and whose fault a broken handshake is" {
  peer ok
  run send --probe --trace --host "127.0.0.1:$PEER" b@example.com
  grep -qxF "* 127.0.0.1[127.0.0.1]:$PEER: connected, from [127.0.0.1]" <<<"$output"
  run send --probe -o smtp_bind_address=127.0.0.9 --trace --host "127.0.0.1:$PEER" b@example.com
  grep -q 'connected, from \[127.0.0.9\]$' <<<"$output"
  run send --probe -o smtp_tls_wrappermode=yes --host "127.0.0.1:$PEER" b@example.com
  echo "$output"; [ "$status" -eq 75 ]
  grep -q ' 4.7.5 .*does not speak TLS from the first byte on' <<<"$output"
  make_cert peer.example; chmod 644 "$T"/*
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"
  run send --probe -o smtp_tls_security_level=verify --host "127.0.0.1:$PEER" b@example.com
  echo "$output"; [ "$status" -eq 75 ]
  grep -q 'certificate: self-signed certificate: TLS handshake: certificate verify failed$' <<<"$output"
}
