#!/usr/bin/env bats
# BDAT (RFC 3030): towards a peer, and towards mx-deliver's own LMTP.
load ../lib/common
load ../lib/send
setup() { common_setup; CAPS=PIPELINING,8BITMIME,CHUNKING,ENHANCEDSTATUSCODES; }
teardown() { common_teardown; }

body() { python3 -c 'import json,sys
for l in open(sys.argv[1]):
    j = json.loads(l)
    if j["event"] == "message": sys.stdout.write(j["body"] + "\n")' "$PEER_LOG"; }

@test "one chunk, many chunks, dots as they are, a message without a last line end" {
  peer ok --caps $CAPS
  printf 'Subject: x\n\n.\n..dot\nend' > "$T/m"
  send --host "127.0.0.1:$PEER" b@example.com < "$T/m"
  [ "$(grep -c '"bdat"' "$PEER_LOG")" -eq 1 ]; ! grep -q DATA "$PEER_LOG"
  body | cmp - <(cat "$T/m"; echo)
  : > "$PEER_LOG"
  { printf 'Subject: x\n\n'; seq 300000; } > "$T/big"
  send --host "127.0.0.1:$PEER" b@example.com < "$T/big"
  [ "$(grep -c '"bdat"' "$PEER_LOG")" -gt 3 ]; [ "$(grep -c '"last": true' "$PEER_LOG")" -eq 1 ]
  body | cmp - "$T/big"
  : > "$PEER_LOG"
  send --host "127.0.0.1:$PEER" -o smtp_chunking=no b@example.com < "$T/m"
  ! grep -q '"bdat"' "$PEER_LOG"; [ "$(taken)" -eq 1 ]
}

@test "refused in the middle, refused at the end, cut off" {
  { printf 'Subject: x\n\n'; seq 300000; } > "$T/big"
  peer 452-bdat --caps $CAPS
  run send --host "127.0.0.1:$PEER" b@example.com < "$T/big"; echo "$output"
  [ "$status" -eq 75 ]; grep -q 'said: 452 .*in reply to BDAT command' <<<"$output"
  peer 554-dot --caps $CAPS
  run send --host "127.0.0.1:$PEER" b@example.com < "$T/big"; [ "$status" -eq 69 ]
  peer drop-body --caps $CAPS
  run send --host "127.0.0.1:$PEER" b@example.com < "$T/big"; [ "$status" -eq 75 ]
  peer drop-dot --caps $CAPS
  run send --host "127.0.0.1:$PEER" b@example.com < "$T/big"; echo "$output"
  [ "$status" -eq 75 ]; grep -q 'message may be sent more than once' <<<"$output"
}

@test "LMTP: a reply a recipient" {
  peer ok --lmtp --caps $CAPS
  run send --lmtp --host "127.0.0.1:$PEER" a@x.example full@x.example < <(printf 'Subject: x\n\nb\n')
  echo "$output"
  [ "$status" -eq 75 ]
  grep -q '^a@x.example sent' <<<"$output"; grep -q '^full@x.example deferred 4.2.2' <<<"$output"
}
