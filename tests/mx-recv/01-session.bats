# mx-recv: a session from greeting to QUIT, alone and on a socket.
load ../lib/common
load recv

setup() { common_setup; recv_conf; deliver_start; }
teardown() { common_teardown; }

@test "one message on a pipe, with no daemon but the delivery side" {
  pipe >"$T/out" <<'X'
EHLO me.test
MAIL FROM:<a@x.test>
RCPT TO:<b@mx.test>
DATA
Subject: hi

..one
.
QUIT
X
  grep -q '^220 mx.test ESMTP' "$T/out"
  grep -q '^250 2.0.0 Ok: stored' "$T/out"
  grep -q '^221 2.0.0 Bye' "$T/out"
  [ "$(mails)" -eq 1 ]
  tr -d '\r' <"$T/box/msg.1" | tail -3 >"$T/tail"
  printf 'Subject: hi\n\n.one\n' | diff - "$T/tail"
  tr -d '\r' <"$T/box/msg.1" | grep -q '^Received: from me.test (unknown \[unknown\]) by mx.test (mx) with ESMTP'
}

@test "EHLO offers what there is" {
  recv_start
  talk <<'X'
< 220 mx.test
> EHLO me.test
<- PIPELINING
> QUIT
< 221 2.0.0
eof
X
  talk >"$T/o" <<'X'
< 220
> EHLO me.test
< 250
X
  for w in PIPELINING SIZE 8BITMIME SMTPUTF8 CHUNKING DSN ENHANCEDSTATUSCODES; do
    grep -q "250.$w" "$T/o"
  done
  ! grep -q STARTTLS "$T/o"
}

@test "XFORWARD carries the facts, and the queue ID of the log" {
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=e+3D1
< 250 2.1.0
> RCPT TO:<b@mx.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@mx.test
< 250 2.1.5
> DATA
< 354
> x
> .
< 250 2.0.0
> QUIT
< 221
X
  grep -q "NAME=localhost ADDR=127.0.0.1 PORT=[0-9]* PROTO=ESMTP HELO=me.test IDENT=[0-9A-Za-z]* SOURCE=REMOTE" "$T/box/env.1"
  grep -q '^MAIL FROM:<a@x.test> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=e+3D1' "$T/box/env.1"
  grep -q '^RCPT TO:<b@mx.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@mx.test' "$T/box/env.1"
  id=$(sed -n 's/.*IDENT=\([^ ]*\).*/\1/p' "$T/box/env.1")
  wait_for 5 grep -q "$id: client=localhost\[127.0.0.1\]" "$RECV_LOG"
  tr -d '\r' <"$T/box/msg.1" | tr -d '\n' | grep -q "id.$id.for <b@mx.test>"
  wait_for 5 grep -q 'disconnect from localhost\[127.0.0.1\] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5' "$RECV_LOG"
  grep -q 'connect from localhost\[127.0.0.1\]' "$RECV_LOG"
}

@test "the answers of the delivery side are the answers" {
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<unknown@mx.test>
< 550 5.1.1 <unknown>: Recipient address rejected: User unknown in local recipient table
> RCPT TO:<full@mx.test>
< 452 4.2.2 Mailbox full
> DATA
< 554 5.5.1 Error: no valid recipients
> RCPT TO:<b@mx.test>
< 250 2.1.5 Ok: taken
> RSET
< 250
> QUIT
< 221
X
  [ "$(mails)" -eq 0 ]
  wait_for 5 grep -q 'NOQUEUE: reject: RCPT from localhost\[127.0.0.1\]: 550 5.1.1 <unknown>: .*; from=<a@x.test> to=<unknown@mx.test> proto=ESMTP helo=<me.test>' "$RECV_LOG"
}

@test "a final refusal is passed on word by word, all lines" {
  kill "$DELIVER"; deliver_start 'final=554-5.7.1 no|554 5.7.1 spam'
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
> x
> .
<- 554-5.7.1 no
> MAIL FROM:<a@x.test>
< 250
X
}

@test "everything pipelined comes back in order, whole replies in few writes" {
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
= "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@mx.test>\r\nRCPT TO:<unknown@mx.test>\r\nDATA\r\n"
< 250 2.1.0
< 250 2.1.5
< 550 5.1.1
< 354
= "x\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nBDAT 3 LAST\r\ny\r\nQUIT\r\n"
< 250 2.0.0
< 250 2.0.0 Ok
< 250 2.1.0
< 250 2.1.5
< 250 2.0.0 Ok: stored
< 221
eof
X
  [ "$(mails)" -eq 2 ]
  # one link for both messages
  [ "$(grep -c EHLO "$T/box/log")" -eq 1 ]
}

@test "no delivery side: 451 4.3.0, and the log says what to start" {
  kill "$DELIVER"; wait_for 5 sh -c "! kill -0 $DELIVER"; rm -f "$T/deliver"
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 451 4.3.0
> RCPT TO:<b@other.test>
< 451
> QUIT
< 221
X
  wait_for 5 grep -q "delivery = unix:$T/deliver: .*" "$RECV_LOG"
  deliver_start
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
X
}

@test "a delivery side that dies at any point: 451, never 250" {
  for at in CONNECT RCPT DATA FINAL; do
    kill "$DELIVER"; wait_for 5 sh -c "! kill -0 $DELIVER"
    deliver_start "die=$at"
    pipe >"$T/out" <<'X' || true
EHLO me.test
MAIL FROM:<a@x.test>
RCPT TO:<b@mx.test>
BDAT 4 LAST
xx
QUIT
X
    grep -q '^451 4.3.0' "$T/out"
    ! grep -q 'stored' "$T/out"
  done
}

@test "a kept link that died is opened again without the client's notice" {
  recv_start -o default_process_limit=1
  s='< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250 2.1.5
> DATA
< 354
> x
> .
< 250 2.0.0
> QUIT
< 221'
  talk <<<"$s"
  kill "$DELIVER"; wait_for 5 sh -c "! kill -0 $DELIVER"
  deliver_start
  talk <<<"$s"
}

@test "LMTP without pipelining or chunks: one recipient a transaction" {
  kill "$DELIVER"; wait_for 5 sh -c "! kill -0 $DELIVER"
  deliver_start lmtp nochunk nopipe noxforward
  recv_start
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250 2.1.5
> RCPT TO:<c@mx.test>
< 452 4.5.3
> DATA
< 354
= "a\r\n..b\r\n.\r\n"
< 250 2.0.0
X
  tr -d '\r' <"$T/box/msg.1" | tail -2 | diff - <(printf 'a\n.b\n')
  grep -q LHLO "$T/box/log"
}

@test "a client that goes away in the middle leaves nothing behind" {
  recv_start
  for m in DATA 'BDAT 100' 'BDAT 2\r\nxyBDAT 100 LAST'; do
    talk >/dev/null <<X
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
$([ "$m" != DATA ] || printf '> DATA\n< 354')
= "${m#DATA}\r\nhalf a message\r\n"
sleep 0.2
X
  done
  wait_for 5 sh -c "[ \$(grep -c 'lost connection after' '$RECV_LOG') -ge 3 ]"
  [ "$(mails)" -eq 0 ]
  # and the link is in step for the next one
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
= "BDAT 6 LAST\r\nwhole\n"
< 250 2.0.0
X
  [ "$(mails)" -eq 1 ]
  tail -1 "$T/box/msg.1" | grep -q whole
}

@test "a large message arrives byte for byte" {
  recv_start -o message_size_limit=50000000
  python3 - "$PORT" "$T/big" <<'PY'
import random, smtplib, sys
random.seed(1)
lines = []
for i in range(40000):
    lines.append(random.choice([".", "..", "", "x" * random.randint(1, 900), ".y"]))
body = "\r\n".join(lines) + "\r\n"
open(sys.argv[2], "w", newline="").write(body)
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
s.ehlo("me.test")
s.sendmail("a@x.test", ["b@mx.test"], body)
s.quit()
PY
  python3 - "$T/big" "$T/box/msg.1" <<'PY'
import sys
a = open(sys.argv[1], "rb").read(); b = open(sys.argv[2], "rb").read()
assert b.startswith(b"Received: ")
assert b.endswith(a), (len(a), len(b))
PY
}

@test "SIGTERM: an idle session hears 421, the server ends with 0" {
  recv_start
  before=$(grep -c ': connect from' "$RECV_LOG" || true)
  talk >"$T/o" <<'X' &
< 220
> EHLO me.test
< 250
< 421 4.3.2
eof
X
  talker=$!
  wait_for 10 bash -c "[ \$(grep -c ': connect from' '$RECV_LOG') -gt $before ]"
  sleep 1
  kill -TERM "$RECV"
  wait "$talker"
  st=0; wait "$RECV" || st=$?
  [ "$st" -eq 0 ]
}
