# mx-recv: one command line, one reply: the table of right and wrong ones.
load ../lib/common
load recv

setup() { common_setup; recv_conf; deliver_start; recv_start -o smtpd_hard_error_limit=1000; }
teardown() { common_teardown; }

# table < LINES of "STATE|COMMAND|REPLY": STATE is what was said before:
# - nothing, E EHLO, H HELO, M EHLO and MAIL, R and RCPT too.  Each case is a
# session of its own.
table() {
  local st cmd want n=0
  while IFS='|' read -r st cmd want; do
    [ -n "$want" ] || continue
    {
      echo '< 220'
      case $st in
      E) printf '> EHLO me.test\n< 250\n' ;;
      H) printf '> HELO me.test\n< 250\n' ;;
      M) printf '> EHLO me.test\n< 250\n> MAIL FROM:<a@x.test>\n< 250\n' ;;
      R) printf '> EHLO me.test\n< 250\n> MAIL FROM:<a@x.test>\n< 250\n> RCPT TO:<b@mx.test>\n< 250\n' ;;
      U) printf '> EHLO me.test\n< 250\n> MAIL FROM:<a@x.test> SMTPUTF8\n< 250\n' ;;
      esac
      case $cmd in =*) echo "= ${cmd#=}" ;; *) echo "> $cmd" ;; esac
      echo "< $want"
    } > "$T/case"
    talk < "$T/case" > "$T/case.out" || { echo "case $st|$cmd|$want"; cat "$T/case.out"; return 1; }
    n=$((n + 1))
  done
  echo "$n cases"
}

@test "hello, state, syntax" {
  table <<'X'
-|HELO|501 5.5.4 Syntax: HELO hostname
-|EHLO|501 5.5.4 Syntax: EHLO hostname
-|EHLO a b|501
-|="EHLO a\tb\r\n"|501
-|="EHLO a\x00b\r\n"|500 5.5.2
-|="EHLO a\rNOOP\r\n"|500 5.5.2
-|="\r\n"|500 5.5.2 Error: bad syntax
-|FOO|500 5.5.2 Error: command not recognized
-|RCPT TO:<b@mx.test>|503 5.5.1 Error: need MAIL command
-|DATA|503 5.5.1 Error: need MAIL command
-|noop|250 2.0.0
-|NOOP anything at all|250 2.0.0
-|quit|221 2.0.0
-|QUIT now|501 5.5.4 Syntax: QUIT
-|RSET|250 2.0.0
-|RSET x|501 5.5.4
-|HELP|214 2.0.0
-|VRFY|501 5.5.4 Syntax: VRFY address [SMTPUTF8]
-|VRFY b|252 2.0.0
-|EXPN b|502 5.5.1
-|ETRN x|502 5.5.1
-|STARTTLS|502 5.5.1
-|AUTH PLAIN|503 5.5.1 Error: authentication not enabled
E|AUTH PLAIN AGEAYg==|503 5.5.1
M|MAIL FROM:<c@x.test>|503 5.5.1 Error: nested MAIL command
M|DATA|554 5.5.1 Error: no valid recipients
R|DATA now|501 5.5.4 Syntax: DATA
M|EHLO again|250
H|MAIL FROM:<a@x.test> SIZE=10|250
X
}

@test "paths of MAIL" {
  table <<'X'
-|MAIL FROM:<a@x.test>|250 2.1.0 Ok
E|MAIL FROM:<>|250 2.1.0
E|mail from:<a@x.test>|250
E|MAIL FROM: <a@x.test>|250
E|MAIL FROM:<"a b"@x.test>|250
E|MAIL FROM:<@r1,@r2:a@x.test>|250
E|MAIL FROM:<a@[192.0.2.1]>|250
E|MAIL|501 5.5.4 Syntax: MAIL FROM:<address>
E|MAIL FROM|501 5.5.4
E|MAIL FROM:|501 5.5.4
E|MAIL TO:<a@x.test>|501 5.5.4
E|MAIL FROM:<a@x.test|501 5.1.7 Bad sender address syntax
E|MAIL FROM:<a@x.test>>|501 5.1.7
E|MAIL FROM:<a@@x.test>|501 5.1.7
E|MAIL FROM:<a@x..test>|501 5.1.7
E|MAIL FROM:<a b@x.test>|501 5.1.7
E|MAIL FROM:<-oQ/tmp@x.test>|501 5.1.7
E|="MAIL FROM:<a\x01@x.test>\r\n"|501 5.1.7
E|="MAIL FROM:<\\xc3\\xa9@x.test>\r\n"|501 5.1.7
E|="MAIL FROM:<\xc3\xa9@x.test> SMTPUTF8\r\n"|250 2.1.0
E|="MAIL FROM:<\xc0\xaf@x.test> SMTPUTF8\r\n"|501 5.1.7
E|MAIL FROM:<a@x.test> SIZE=|501 5.5.4
E|MAIL FROM:<a@x.test> SIZE=-1|501 5.5.4
E|MAIL FROM:<a@x.test> SIZE=1e9|501 5.5.4
E|MAIL FROM:<a@x.test> SIZE=99999999999999999999|501 5.5.4
E|MAIL FROM:<a@x.test> SIZE=1 SIZE=2|501 5.5.4
E|MAIL FROM:<a@x.test> BODY=9BIT|501 5.5.4
E|MAIL FROM:<a@x.test> BODY=7BIT|250
E|MAIL FROM:<a@x.test> SMTPUTF8=x|501 5.5.4
E|MAIL FROM:<a@x.test> RET=ALL|501 5.5.4
E|MAIL FROM:<a@x.test> ENVID=a+zz|501 5.5.4
E|MAIL FROM:<a@x.test> ENVID=a+0Ab|501 5.5.4
E|MAIL FROM:<a@x.test> AUTH=<>|250
E|MAIL FROM:<a@x.test> FOO=1|555 5.5.4 Unsupported option: FOO=1
X
}

@test "paths of RCPT" {
  table <<'X'
M|RCPT TO:<b@mx.test>|250 2.1.5
M|RCPT TO:<B@MX.TEST>|250 2.1.5
M|RCPT TO:<postmaster>|250 2.1.5
M|RCPT TO:<@r1:b@mx.test>|250 2.1.5
M|RCPT TO:<"b c"@mx.test>|250 2.1.5
M|RCPT|501 5.5.4 Syntax: RCPT TO:<address>
M|RCPT TO:|501 5.5.4
M|RCPT FROM:<b@mx.test>|501 5.5.4
M|RCPT TO:<>|501 5.1.3 Bad recipient address syntax
M|RCPT TO:<b@mx.test|501 5.1.3
M|RCPT TO:<-bs@mx.test>|501 5.1.3
M|RCPT TO:<@mx.test>|501 5.1.3
M|RCPT TO:<b@mx.test> NOTIFY=|501 5.5.4
M|RCPT TO:<b@mx.test> NOTIFY=NEVER,SUCCESS|501 5.5.4
M|RCPT TO:<b@mx.test> NOTIFY=NEVER|250
M|RCPT TO:<b@mx.test> ORCPT=b@mx.test|501 5.5.4
M|RCPT TO:<b@mx.test> ORCPT=rfc822;b+0Ax|501 5.5.4
M|RCPT TO:<b@mx.test> FOO|555 5.5.4
R|RCPT TO:<c@mx.test>|250 2.1.5
U|="RCPT TO:<\xc3\xa9@mx.test>\r\n"|250
M|="RCPT TO:<\xc3\xa9@mx.test>\r\n"|501 5.1.3
X
}

@test "relay: no trick gives a stranger a way out" {
  recv_start -o mynetworks=192.0.2.0/24 -o relay_domains=relay.test -o smtpd_hard_error_limit=1000
  table <<'X'
M|RCPT TO:<c@other.test>|554 5.7.1 <c@other.test>: Relay access denied
M|RCPT TO:<c%other.test@mx.test>|554 5.7.1
M|RCPT TO:<other.test!c@mx.test>|554 5.7.1
M|RCPT TO:<"c@other.test"@mx.test>|554 5.7.1
M|RCPT TO:<@mx.test:c@other.test>|554 5.7.1
M|RCPT TO:<c@other.test@mx.test>|501 5.1.3
M|RCPT TO:<c@[192.0.2.1]>|554 5.7.1
M|RCPT TO:<c@mx.test.other.test>|554 5.7.1
M|RCPT TO:<c@[127.0.0.1]>|250
M|RCPT TO:<c@relay.test>|250
M|RCPT TO:<c@sub.relay.test>|250
M|RCPT TO:<c@mx.test>|250
X
  recv_start -o smtpd_hard_error_limit=1000
  table <<'X'
M|RCPT TO:<c@other.test>|250
X
}
