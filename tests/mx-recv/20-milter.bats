# The milter client: events, macros, verdicts, modifications, and what happens
# when a milter is away; then real milters.
load ../lib/common
load recv

setup() {
  common_setup
  deliver_start
}
teardown() { common_teardown; }

# milter NAME [RULE...]: a milter; sets $NAME to its port, log in $T/NAME.log
milter() {
  local name=$1; shift
  printf -v "$name" %s "$(free_port)"
  : > "$T/$name.log"
  spawn python3 "$ROOT/tests/lib/milter_peer.py" "${!name}" "$T/$name.log" "$@"
  wait_listen "${!name}"
}

start() {
  recv_conf "smtpd_peername_lookup = no" "$@"
  recv_start
}

# deliver EXPECTED [FROM [TO]]: one small message, and what the end says
deliver() {
  talk <<<"< 220
> EHLO me.test
<- 250
> MAIL FROM:<${2-a@x.test}>
< 250
> RCPT TO:<${3-joe@mx.test}>
< 250
> DATA
< 354
> Subject: s
> X-A: 1
> X-A: 2
= '\r\nbody\r\n.\r\n'
< $1
> QUIT"
}

mail='< 220
> EHLO me.test
<- 250
> MAIL FROM:<a@x.test> SIZE=100
< 250
> RCPT TO:<joe@mx.test>
< 250
> DATA
< 354
> Subject:  two blanks
> X-Folded: one
>   two
> To: joe@mx.test
= "\r\n"
> line
> ..dot
> .
'

# events LOG: the events of the log without macros
events() { grep -v '^macros' "$1" | sed 's/^\(connect [^ ]*\) 4.*/\1 4PORT/'; }

@test "every event in its order, with macros; the message as it came" {
  milter m
  start "smtpd_milters = inet:127.0.0.1:$m"
  talk <<<"$mail< 250 2.0.0
> QUIT
< 221"
  cat "$T/m.log"
  wait_for 5 grep -q '^quit' "$T/m.log"
  diff - <(events "$T/m.log") <<'E'
negotiate 6 1ff 1fffff
connect unknown 4PORT
helo me.test 
mail <a@x.test> SIZE=100 
rcpt <joe@mx.test> 
data 
header Subject  two blanks 
header X-Folded one\n  two 
header To joe@mx.test 
eoh 
body 12 b'line\r\n.dot\r\n'
eom 
quit
E
}

@test "verdicts at each event, as replies and in the log" {
  milter m 'mail@no@=reply 550 5.7.1 not 100%% you' 'mail@later@=tempfail' 'mail@drop@=discard' \
    'mail@accept@=accept' 'rcpt@bad@=reject' 'rcpt@two@=reply 451-4.7.1 one\r\n451 4.7.1 two' \
    'header@X-Bad=reject' 'body@virus=reply 554 5.7.1 virus' 'eom=add X-Seen: y' 'helo@evil=reject' \
    'mail@bye@=shutdown' 'unknown@XYZ=reply 550 5.5.1 what'
  start "smtpd_milters = inet:127.0.0.1:$m"
  talk <<'S'
< 220
> EHLO me.test
<- 250
> XYZZY
< 550 5.5.1 what
> MAIL FROM:<no@x.test>
< 550 5.7.1 not 100% you
> MAIL FROM:<later@x.test>
< 451 4.7.1 Service unavailable - try again later
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<bad@mx.test>
< 550 5.7.1 Command rejected
> RCPT TO:<two@mx.test>
<- 451 4.7.1 two
> DATA
< 554 5.5.1
> RCPT TO:<good@mx.test>
< 250
> DATA
< 354
= 'Subject: x\r\n\r\nbody\r\n.\r\n'
< 250 2.0.0
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<good@mx.test>
< 250
> DATA
< 354
= 'Subject: x\r\nX-Bad: x\r\n\r\nbody\r\n.\r\n'
< 550 5.7.1 Command rejected
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<good@mx.test>
< 250
> BDAT 31 LAST
= 'Subject: x\r\n\r\nhere is virus\r\n\r\n'
< 554 5.7.1 virus
> MAIL FROM:<drop@x.test>
< 250
> RCPT TO:<good@mx.test>
< 250
> DATA
< 354
= 'Subject: drop\r\n\r\nbody\r\n.\r\n'
< 250 2.0.0 Ok: discarded
> MAIL FROM:<accept@x.test>
< 250
> RCPT TO:<bad@mx.test>
< 250
> DATA
< 354
= 'Subject: accept\r\nX-Bad: x\r\n\r\nvirus\r\n.\r\n'
< 250 2.0.0
> MAIL FROM:<bye@x.test>
< 421 4.7.0
eof
S
  [ "$(mails)" -eq 2 ]
  # the refused recipients are not in it
  grep RCPT "$T/box/env.1"
  [ "$(grep -c RCPT "$T/box/env.1")" -eq 1 ]
  grep -q 'X-Seen: y' "$T/box/msg.1"
  ! grep -q 'X-Seen' "$T/box/msg.2"
  grep -q 'NOQUEUE: milter-reject: MAIL from unknown\[127.0.0.1\]: 550 5.7.1 not 100% you; from=<no@x.test> proto=ESMTP helo=<me.test>' "$RECV_LOG"
  grep -q 'milter-reject: RCPT from .*: 550 5.7.1 Command rejected; from=<a@x.test> to=<bad@mx.test>' "$RECV_LOG"
  grep -q 'milter-reject: END-OF-MESSAGE from .*: 554 5.7.1 virus' "$RECV_LOG"
  talk <<'S'
< 220
> EHLO evil.test
< 550 5.7.1
> HELO good.test
< 250
> MAIL FROM:<a@x.test>
< 550 5.7.1 Command rejected
S
}

@test "a client refused at CONNECT hears 554 and the connection is closed" {
  milter m 'connect=reject'
  start "smtpd_milters = inet:127.0.0.1:$m"
  talk <<<'< 554 5.7.1
eof'
  grep -q 'milter-reject: CONNECT from unknown\[127.0.0.1\]: 550 5.7.1' "$RECV_LOG"
}

@test "header: insert, add, change, delete, folds; nothing can be smuggled in" {
  milter m 'eom=insert 0 X-Top: top' 'eom=insert 2 X-Under: u' 'eom=add X-Last: one\n two\nX-Evil: 3\r\n\r\nbody' \
    'eom=change 2 X-A: changed' 'eom=change 1 X-A:' 'eom=change 9 X-New: new' 'eom=change 1 Received: r' \
    'eom=progress'
  milter n 'eom=add X-Second: 2'
  start "smtpd_milters = inet:127.0.0.1:$m, inet:127.0.0.1:$n"
  deliver '250 2.0.0'
  cat -A "$T/box/msg.1"
  # our own Received is at place 0, and no filter sees or changes it
  tr -d '\r' < "$T/box/msg.1" | awk '/^Received: from/ { skip = 1; next } /^[^ \t]/ { skip = 0 } !skip' > "$T/got"
  grep -q '^Received: from me.test' "$T/box/msg.1"
  diff - "$T/got" <<'E'
X-Top: top
X-Under: u
Subject: s
X-A: changed
X-Last: one
 two
	X-Evil: 3
	body
X-New: new
Received: r
X-Second: 2

body
E
  # the second filter saw what the first one did
  grep -q '^header X-Under u' "$T/n.log"
  grep -q '^header X-A changed' "$T/n.log"
  ! grep -q '^header X-A 1' "$T/n.log"
  ! grep -q '^header Received from' "$T/n.log"
}

@test "a filter that breaks off while it replaces the body has replaced nothing" {
  milter m 'eom=body half of ' 'eom=raw 000000015a'
  start "smtpd_milters = inet:127.0.0.1:$m" "milter_default_action = accept"
  deliver '250 2.0.0'
  [ "$(tr -d '\r' < "$T/box/msg.1" | sed '1,/^$/d')" = body ]
  grep -q 'END-OF-MESSAGE: an answer that makes no sense' "$RECV_LOG"
}

@test "a filter whose changes never end makes no sense: no memory is filled" {
  cat > "$T/endless.py" <<'PY'
import socket, struct, sys
l = socket.socket(); l.bind(("127.0.0.1", int(sys.argv[1]))); l.listen(5)
p = lambda c, d=b"": struct.pack("!I", len(d) + 1) + c + d
while True:
    c, _ = l.accept(); f = c.makefile("rb")
    try:
        while True:
            n = struct.unpack("!I", f.read(4))[0]; b = f.read(n)
            if b[:1] == b"O": c.sendall(p(b"O", struct.pack("!III", 6, 0x1ff, 0)))
            elif b[:1] == b"E":
                while True: c.sendall(p(b"h", b"X-Long\0" + b"x" * 60000 + b"\0") * 10)
            elif b[:1] not in b"DQA": c.sendall(p(b"c"))
    except (OSError, struct.error): pass
PY
  m=$(free_port)
  spawn python3 "$T/endless.py" "$m"; wait_listen "$m"
  start "smtpd_milters = inet:127.0.0.1:$m" "milter_default_action = tempfail"
  deliver '451 4.7.1'
  grep -q 'an answer that makes no sense' "$RECV_LOG"
  [ "$(mails)" -eq 0 ]
}

@test "LMTP: a recipient that a filter added is not lost because only another one is answered for" {
  kill "$DELIVER"; deliver_start lmtp 'final=250 2.0.0 Ok|451 4.2.0 eve has no room'
  milter m 'eom=addrcpt <eve@mx.test>'
  recv_conf "smtpd_peername_lookup = no" "smtpd_milters = inet:127.0.0.1:$m"
  recv_start --mode lmtp
  talk <<<"< 220
> LHLO me.test
<- 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<joe@mx.test>
< 250
> DATA
< 354
= 'Subject: s\r\n\r\nb\r\n.\r\n'
< 451 4.2.0 eve has no room
> NOOP
< 250
> QUIT
< 221"
}

@test "values with their leading blank where the filter asks for it" {
  milter m --protocol 0x100000 'eom=raw 0000000868582d4100313200' 'eom=continue' 
  start "smtpd_milters = inet:127.0.0.1:$m"
  deliver '250 2.0.0'
  grep -q '^header Subject  s $' "$T/m.log"
  grep -q '^X-A:12' "$T/box/msg.1"
}

@test "sender, recipients, quarantine and body are changed" {
  kill "$DELIVER"; deliver_start xaction
  milter m 'eom=from <new@x.test> RET=HDRS X=y' 'eom=delrcpt <joe@MX.TEST>' 'eom=addrcpt <eve@mx.test>' \
    'eom=addrcpt <zoe@mx.test> NOTIFY=NEVER BAD=1' 'eom=quarantine why' 'eom=body new ' 'eom=body body\r\n.\r\nend'
  start "smtpd_milters = inet:127.0.0.1:$m"
  deliver '250 2.0.0'
  grep -v XFORWARD "$T/box/env.1" | tr -d '\r' > "$T/env"
  diff - "$T/env" <<'E'
MAIL FROM:<new@x.test> RET=HDRS
RCPT TO:<eve@mx.test>
RCPT TO:<zoe@mx.test> NOTIFY=NEVER
XACTION HOLD
E
  [ "$(tr -d '\r' < "$T/box/msg.1" | sed '1,/^$/d')" = $'new body\n.\nend' ]
  grep -q 'milter-hold: END-OF-MESSAGE' "$RECV_LOG"
}

@test "no recipient is left: the message is discarded; an added one is refused" {
  milter m 'mail@none@=continue' 'rcpt@gone@=continue' 'eom=delrcpt <gone@mx.test>' 'eom=addrcpt <unknown@mx.test>'
  milter n 'eom=delrcpt <unknown@mx.test>'
  start "smtpd_milters = inet:127.0.0.1:$m, inet:127.0.0.1:$n"
  deliver '250 2.0.0 Ok: discarded' none@x.test gone@mx.test
  [ "$(mails)" -eq 0 ]
  start "smtpd_milters = inet:127.0.0.1:$m"
  deliver '250 2.0.0 Ok: stored'
  grep -q 'recipient <unknown@mx.test> of a milter is refused: 550' "$RECV_LOG"
  [ "$(grep -c '^RCPT' "$T/box/env.1")" -eq 1 ]
}

@test "a milter that is away, breaks off, or makes no sense: as configured" {
  milter close 'eom=close'
  milter odd 'mail@a@x=raw 00000001ff' 
  milter hang 'mail=wait'
  milter huge 'mail=raw 7fffffff63'
  read -r away < <(free_port)
  start
  while read -r port action greet from end; do
    kill "$RECV"; wait "$RECV" || true
    recv_start -o "milter_default_action=$action" -o "smtpd_milters=inet:127.0.0.1:$port" -o milter_command_timeout=1s
    echo "== $port $action"
    talk <<S
< $greet
> EHLO me.test
<- 250
> MAIL FROM:<a@x.test>
< $from
S
    [ "$from" != 250 ] || deliver "$end"
  done <<E
$away tempfail 220 451 -
$away accept 220 250 250
$close tempfail 220 250 451
$close reject 220 250 550
$close accept 220 250 250
$odd tempfail 220 451 -
$odd shutdown 220 421 -
$hang tempfail 220 451 -
$huge reject 220 550 -
E
  grep -q "milter inet:127.0.0.1:$huge: MAIL: " "$RECV_LOG"
  kill "$RECV"; wait "$RECV" || true
  recv_start -o milter_default_action=reject -o "smtpd_milters=inet:127.0.0.1:$away"
  talk <<<'< 554 5.5.0
eof'
}

@test "settings of one milter; bad ones are refused with words" {
  read -r away < <(free_port)
  milter m --version 2
  start "milter_default_action = tempfail" \
    "smtpd_milters = { inet:127.0.0.1:$away, default_action=accept connect_timeout=1s } {inet:127.0.0.1:$m protocol=2}"
  deliver 250
  grep -q '^negotiate 2 1ff 7f$' "$T/m.log"
  ! grep -q '^data' "$T/m.log"
  for bad in 'inet:127.0.0.1:1, color=red' 'inet:127.0.0.1:1 protocol=5' 'inet:127.0.0.1:1 default_action=x' 'exec:x'; do
    run mx-recv -c "$T/mx.conf" -o "smtpd_milters={$bad}" </dev/null
    echo "$output"
    [ "$status" -eq 78 ]
    [[ $output == *smtpd_milters* ]]
  done
}

@test "macros: of the site, of the filter, and defaults; unknown ones are not sent" {
  milter m --symlist '3:i {client_addr} {nobody} {site}' --symlist '2:'
  start "smtpd_milters = inet:127.0.0.1:$m" "milter_connect_macros = j {client_name} b {daemon_port} {nobody}" \
    "milter_macro_daemon_name = ORIGINATING" "milter_macro_defaults = {{site} = here}, other=1" \
    "milter_data_macros = {client_resolve} {daemon_name} r s" "milter_helo_macros = {other}"
  deliver 250
  cat "$T/m.log"
  grep -q '^macros connect j=mx.test {client_name}=unknown b=[A-Z].* {daemon_port}='"$PORT"'$' "$T/m.log"
  grep -q '^macros helo {other}=1$' "$T/m.log"
  grep -q '^macros rcpt i=[0-9A-Za-z]* {client_addr}=127.0.0.1 {site}=here$' "$T/m.log"
  grep -q '^macros data {client_resolve}=FAIL {daemon_name}=ORIGINATING r=ESMTP s=me.test$' "$T/m.log"
  ! grep -q '^macros mail' "$T/m.log"
}

@test "events a filter does not want are not sent, answers it does not give not waited for" {
  milter m --protocol $((0x1 | 0x2 | 0x10 | 0x80 | 0x4000 | 0x8000 | 0x40000))  # no connect, helo, body; no answers
  start "smtpd_milters = inet:127.0.0.1:$m"
  deliver 250
  grep -v ^macros "$T/m.log"
  [ "$(grep -v ^macros "$T/m.log" | cut -d' ' -f1 | tr '\n' ' ')" = "negotiate mail rcpt data header header header eoh eom quit " ]
}

@test "a message of some megabytes is held in a file, and leaves nothing behind" {
  mkdir "$T/data"
  milter m 'eom=add X-Big: y' 'body=skip'
  milter n
  start "data_directory = $T/data" "smtpd_milters = inet:127.0.0.1:$m, inet:127.0.0.1:$n"
  python3 - "$PORT" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
body = "".join("%07d line of a large message\r\n" % i for i in range(120000))
s.sendmail("a@x.test", ["joe@mx.test"], "Subject: big\r\n\r\n" + body)
open(sys.argv[0] if False else "/dev/null", "w")
PY
  tr -d '\r' < "$T/box/msg.1" > "$T/got"
  grep -q '^X-Big: y' "$T/got"
  [ "$(sed '1,/^$/d' "$T/got" | wc -l)" -eq 120000 ]
  [ "$(tail -n 1 "$T/got")" = "0119999 line of a large message" ]
  [ -z "$(ls -A "$T/data")" ]
  # the first was content with one piece, the second has all
  [ "$(grep -c ^body "$T/m.log")" -eq 1 ]
  [ "$(awk '/^body/ { n += $2 } END { print n }' "$T/n.log")" -eq $((120000 * 33)) ]
}

@test "mail on a pipe is of non_smtpd_milters" {
  milter m 'eom=add X-Net: y'
  milter n 'eom=add X-Pipe: y'
  start "smtpd_milters = inet:127.0.0.1:$m" "non_smtpd_milters = inet:127.0.0.1:$n"
  printf 'EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<joe@mx.test>\r\nDATA\r\nSubject: p\r\n\r\nb\r\n.\r\nQUIT\r\n' |
    mx-recv -c "$T/mx.conf" -o smtpd_forbid_unauth_pipelining=no > "$T/pipe"
  grep -q '^250 2.0.0 Ok: stored' "$T/pipe"
  grep -q X-Pipe "$T/box/msg.1"
  ! grep -q X-Net "$T/box/msg.1"
  grep -q '^connect localhost 4.*127.0.0.1 $' "$T/n.log"
}

# big FILL-LINES LAST-FIELD REPLY: a header of so many lines of 100 bytes
big() {
  python3 - "$T/big" "$1" "$2" <<'P'
import sys
with open(sys.argv[1], "wb") as f:
    f.write(b"Subject: big\n")
    for i in range(int(sys.argv[2])):
        f.write(b"X-Fill-%06d: %s\n" % (i, b"x" * 83))
    f.write(sys.argv[3].encode() + b"\n\nbody\n")
P
  curl -sv --max-time 60 --crlf -T "$T/big" --mail-from a@x.test --mail-rcpt joe@mx.test \
    "smtp://127.0.0.1:$PORT/me.test" > "$T/curl.out" 2>&1 || true
  grep '^< ' "$T/curl.out"
  grep -q "^< $3" "$T/curl.out"
}

@test "a header beyond 1 MB, where a From could hide from filters, is refused" {
  milter m
  start "smtpd_milters = inet:127.0.0.1:$m"
  big 10000 "From: first@x.test" "250 2.0.0"
  grep -q '^header From first@x.test' "$T/m.log"
  [ "$(mails)" = 1 ]
  big 10600 "From: hidden@x.test" "552 5.3.4"
  ! grep -q hidden "$T/m.log"
  [ "$(mails)" = 1 ]
  grep -h 'milter-reject' "$T"/out.* | grep -q '5.3.4'
  # a large body is none of it, and neither is a line without end in it
  { printf 'Subject: b\n\n'; head -c 1500000 /dev/zero | tr '\0' x; echo; } > "$T/body"
  curl -s --max-time 60 --crlf -T "$T/body" --mail-from a@x.test --mail-rcpt joe@mx.test \
    "smtp://127.0.0.1:$PORT/me.test"
  [ "$(mails)" = 2 ]
}

@test "a filter that is not told of the message refuses none for its header" {
  milter m 'mail@a@=accept'
  start "smtpd_milters = inet:127.0.0.1:$m"
  big 10600 "From: later@x.test" "250 2.0.0"
  [ "$(mails)" = 1 ]
}
