# mx-recv: clients that mean harm, or cannot do better (THREATS 1 to 13, 32,
# 33, 40).
load ../lib/common
load recv

setup() { common_setup; recv_conf; deliver_start; recv_start; }
teardown() { common_teardown; }

# smuggle LITERAL: the bytes behind DATA hold a second message behind a false
# end; exactly one message may come of it
smuggle() {
  talk <<X
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
= "Subject: outer\\r\\n\\r\\nfirst$1MAIL FROM:<evil@x.test>\\r\\nRCPT TO:<b@mx.test>\\r\\nDATA\\r\\nSubject: inner\\r\\n\\r\\nsecond\\r\\n.\\r\\n"
< 250 2.0.0
> QUIT
< 221
eof
X
}

@test "smuggling: nothing but CRLF.CRLF ends a message" {
  n=0
  for end in '\n.\n' '\n.\r\n' '\r\n.\n' '\r.\r' '\r\n.\r' '\r.\r\n' '\n.\r' '\r.\n' \
      '\r\n.\0\r\n' '\r\n\0.\r\n' '\r\n.\r\r\n' '\r\r\n.\r\r\n' '\n\n.\r\n' '\r\n. \r\n' '\r\n\r.\r\n'; do
    n=$((n + 1))
    smuggle "$end"
    [ "$(mails)" -eq "$n" ]
    grep -q 'Subject: inner' "$T/box/msg.$n"
    # and on the wire to the next there is no stray CR or LF left
    python3 - "$T/box/msg.$n" <<'PY'
import sys
b = open(sys.argv[1], "rb").read().replace(b"\r\n", b"")
assert b"\r" not in b and b"\n" not in b, b
PY
  done
  ! grep -q 'evil' "$T"/box/env.*
}

@test "smuggling through a delivery side without chunks: dots are doubled" {
  kill "$DELIVER"; wait_for 5 sh -c "! kill -0 $DELIVER"
  deliver_start nochunk
  smuggle '\n.\n'
  smuggle '\r.\r'
  smuggle '\n.\r\n'
  [ "$(mails)" -eq 3 ]
}

@test "smtpd_forbid_bare_newline = reject: 521 and close" {
  recv_start -o smtpd_forbid_bare_newline=reject
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
= "a\nb\r\n.\r\n"
< 521 5.5.2
eof
X
  talk <<'X'
< 220
= "EHLO me.test\n"
< 521 5.5.2
eof
X
  [ "$(mails)" -eq 0 ]
}

@test "unauthorised pipelining: 554 and close" {
  talk <<'X'
< 220
= "EHLO me.test\r\nMAIL FROM:<a@x.test>\r\n"
< 554 5.5.0 Error: SMTP protocol synchronization
eof
X
  talk <<'X'
< 220
= "HELO me.test\r\n"
< 250
= "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@mx.test>\r\n"
< 554 5.5.0
eof
X
  talk <<'X'
< 220
> EHLO me.test
< 250
= "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\nearly\r\n.\r\n"
< 250
< 250
< 554 5.5.0
eof
X
  [ "$(mails)" -eq 0 ]
}

@test "BDAT: refused chunks are read, never executed" {
  talk <<'X'
< 220
> EHLO me.test
< 250
= "BDAT 22 LAST\r\nMAIL FROM:<e@x.test>\r\nNOOP\r\n"
< 503 5.5.1
< 250 2.0.0
> MAIL FROM:<a@x.test>
< 250
= "BDAT 6\r\nQUIT\r\nNOOP\r\n"
< 554 5.5.1 Error: no valid recipients
< 250
> RCPT TO:<b@mx.test>
< 503 5.5.1
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
= "BDAT 5\r\nabc\r\n"
< 250
> DATA
< 503 5.5.1 Error: DATA after BDAT
> RCPT TO:<b@mx.test>
< 503
> QUIT
< 221
X
  [ "$(mails)" -eq 0 ]
}

@test "BDAT: sizes that are none end the session" {
  for size in -1 '' x 0x10 18446744073709551616 '4 FIRST' '4 LAST LAST' '+4' '4.0' 99999999999999999999999; do
    talk <<X
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> BDAT $size
< 501 5.5.4
eof
X
  done
}

@test "BDAT: chunks of any size, an empty last one, a CR at the border" {
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
= "BDAT 2\r\na\rBDAT 1\r\n\nBDAT 3\r\n.\r\nBDAT 0 LAST\r\n"
< 250
< 250
< 250
< 250 2.0.0 Ok: stored
X
  tail -c 6 "$T/box/msg.1" | od -c | grep -q 'a  *\\r  *\\n  *\.  *\\r  *\\n'
}

@test "BDAT: a chunk that the delivery side refuses ends the transaction" {
  kill "$DELIVER"; wait_for 5 sh -c "! kill -0 $DELIVER"
  deliver_start 'bdat=552 5.3.4 no room'
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
= "BDAT 5 LAST\r\nabc\r\n"
< 552 5.3.4 no room
> RCPT TO:<b@mx.test>
< 503
X
}

@test "message_size_limit: SIZE=, DATA in step, BDAT, far too large" {
  recv_start -o message_size_limit=1000
  talk <<'X'
< 220
> EHLO me.test
<- 250-SIZE 1000
> MAIL FROM:<a@x.test> SIZE=1001
< 552 5.3.4 Message size exceeds fixed limit
> MAIL FROM:<a@x.test> SIZE=10
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
= "0123456789\r\n" * 300 + ".\r\n"
< 552 5.3.4 Error: message file too big
> NOOP
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
= "BDAT 3600\r\n" + "0123456789\r\n" * 300 + "NOOP\r\n"
< 552 5.3.4
< 250 2.0.0
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> BDAT 99999999 LAST
< 552 5.3.4
eof
X
  [ "$(mails)" -eq 0 ]
}

@test "over-long lines: one 500 each, the tail is no command" {
  talk <<'X'
< 220
> EHLO me.test
< 250
= "NOOP " + "x" * 100000 + "QUIT\r\nNOOP\r\n"
< 500 5.5.2 Error: line too long
< 250 2.0.0
= "MAIL FROM:<" + "x" * 3000 + "@x.test>\r\nNOOP\r\n"
< 500 5.5.2
< 250
= "x" * 3000000
< 500
eof
X
}

@test "twenty errors end the session, a hundred junk commands too" {
  {
    echo '< 220'
    for _ in $(seq 20); do echo '> FOO'; echo '< 500 5.5.2'; done
    echo '< 421 4.7.0 mx.test Error: too many errors'; echo eof
  } > "$T/s"
  talk < "$T/s" >/dev/null
  {
    echo '< 220'
    for _ in $(seq 101); do echo '> NOOP'; echo '< 250'; done
    for _ in $(seq 20); do echo '> NOOP'; echo '< 250'; done
    echo '< 421 4.7.0'; echo eof
  } > "$T/s"
  talk < "$T/s" >/dev/null
}

@test "somebody else's protocol: 221 and close" {
  for l in 'GET / HTTP/1.1' 'POST /x HTTP/1.0' 'CONNECT a:25 HTTP/1.1' 'Host: mx.test' 'Subject: x'; do
    talk <<X
< 220
> $l
< 221 2.7.0
eof
X
  done
  wait_for 5 grep -q 'non-SMTP command from localhost' "$RECV_LOG"
}

@test "recipients beyond the limit get 452" {
  recv_start -o smtpd_recipient_limit=3
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
= "RCPT TO:<b@mx.test>\r\n" * 4
< 250
< 250
< 250
< 452 4.5.3 Error: too many recipients
> DATA
< 354
> .
< 250
X
  ! grep -q ' for <' "$T/box/msg.1"
}

@test "many clients: one address too many times gets 421" {
  recv_start -o smtpd_client_connection_count_limit=2 -o smtpd_client_event_limit_exceptions=
  talk >/dev/null <<'X' &
< 220
sleep 3
X
  talk >/dev/null <<'X' &
< 220
sleep 3
X
  sleep 1
  talk <<'X'
< 421 4.7.0 mx.test Error: too many connections from 127.0.0.1
eof
X
}

@test "smtpd_timeout: 421 4.4.2 and the log line, whatever trickles in" {
  recv_start -o smtpd_timeout=2s
  talk <<'X'
< 220
= "EH"
sleep 1
= "LO "
< 421 4.4.2 mx.test Error: timeout exceeded
eof
X
  wait_for 5 grep -q 'timeout after CONNECT from localhost\[127.0.0.1\]' "$RECV_LOG"
}
