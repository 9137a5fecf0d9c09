# mx-recv: every restriction with what it says, every action of access(5),
# tables from elsewhere, in one session each against one server a test.
load ../lib/common
load recv

setup() { common_setup; recv_conf "smtpd_peername_lookup = no"; deliver_start; }
teardown() { common_teardown; }

# reply FROM TO [HELO] [SOURCE]: the answer to the first refused command, or
# to RCPT
reply() {
  python3 - "$PORT" "$1" "$2" "${3:-me.test}" "${4:-127.0.0.1}" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), source_address=(sys.argv[5], 0))
code, text = s.ehlo(sys.argv[4])
if code == 250: code, text = s.docmd("MAIL FROM:<%s>" % sys.argv[2])
if code == 250: code, text = s.docmd("RCPT TO:<%s>" % sys.argv[3])
print(code, text.decode().split("\n")[-1]); s.close()
PY
}
# mail FROM TO...: a whole message; the last answer
mail() {
  python3 - "$PORT" "$@" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test")
s.docmd("MAIL FROM:<%s>" % sys.argv[2])
for r in sys.argv[3:]: code, text = s.docmd("RCPT TO:<%s>" % r)
if code == 250:
    code, text = s.docmd("DATA")
    if code == 354:
        s.send("Subject: x\r\n\r\nbody\r\n.\r\n"); code, text = s.getreply()
print(code, text.decode()); s.close()
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; return 1; }; }
taken='250 2.1.5 Ok: taken'
# a delivery side that knows XACTION: mx-deliver
real_deliver() {
  mkdir -p "$T"/{spool,vm}
  owner=$(id -un); [ "$(id -u)" -ne 0 ] || { owner=nobody; chown nobody "$T"/{spool,vm}; }
  cat >> "$T/mx.conf" <<X
queue_directory = $T/spool
data_directory = $T/data
mail_owner = $owner
filter_user = $owner
alias_maps =
virtual_mailbox_domains = virt.test
virtual_mailbox_maps = inline:{ {joe@virt.test = joe/} {ann@virt.test = ann/} }
virtual_mailbox_base = $T/vm
delivery = unix:$T/real
X
  spawn mx-deliver -c "$T/mx.conf" --lmtp --listen "deliver=unix:$T/real"
  wait_for 5 test -S "$T/real"
}

@test "actions of access tables on the message: HOLD, REDIRECT, FILTER, BCC, PREPEND, DISCARD" {
  real_deliver
  cat > "$T/s" <<'X'
hold@x.test HOLD
hold2@x.test HOLD because of this
redirect@x.test REDIRECT ann@virt.test
filter@x.test FILTER smtp:[127.0.0.1]:10024
bcc@x.test BCC ann@virt.test
prepend@x.test PREPEND X-Note: seen by the table
discard@x.test DISCARD
bad1@x.test REDIRECT nowhere
bad2@x.test FILTER nothing
bad3@x.test PREPEND no field
bad4@x.test BCC
X
  recv_start -o "smtpd_sender_restrictions=check_sender_access texthash:$T/s"
  [[ "$(mail hold@x.test joe@virt.test)" == "250 2.0.0 "* ]]
  grep -q '^status: held\|^H' "$T"/spool/queue/*/* || mx-deliver -c "$T/mx.conf" --list 2>&1 | grep -qi 'hold\|!'
  [ ! -e "$T/vm/joe" ]
  rm -f "$T"/spool/queue/*/*
  [[ "$(mail redirect@x.test joe@virt.test)" == "250 "* ]]
  [ "$(ls "$T/vm/ann/new" | wc -l)" -eq 1 ] && [ ! -e "$T/vm/joe" ]
  [[ "$(mail filter@x.test joe@virt.test)" == "250 "* ]]
  grep -q '^transport: smtp:\[127.0.0.1\]:10024' "$T"/spool/queue/*/*
  rm -f "$T"/spool/queue/*/*
  [[ "$(mail bcc@x.test joe@virt.test)" == "250 "* ]]
  grep -q 'ann@virt.test' "$T"/spool/queue/*/*; grep -q 'joe@virt.test' "$T"/spool/queue/*/*
  rm -f "$T"/spool/queue/*/*
  [[ "$(mail prepend@x.test joe@virt.test joe@virt.test)" == "250 "* ]]
  [ "$(cat "$T"/vm/joe/new/* | grep -c '^X-Note: seen by the table$')" -eq 1 ]
  is "$(mail discard@x.test joe@virt.test | sed 's/as .*/as/')" "250 2.0.0 Ok: discarded as"
  [ "$(ls "$T/vm/joe/new" | wc -l)" -eq 1 ]
  [ -z "$(find "$T/spool/queue" -type f)" ]
  for n in 1 2 3 4; do
    is "$(reply bad$n@x.test joe@virt.test)" "451 4.3.5 <bad$n@x.test>: Sender address rejected: Server configuration error"
  done
  wait_for 5 grep -q 'NOQUEUE: hold: RCPT from unknown\[127.0.0.1\]: <hold@x.test>: Sender address triggers HOLD action; from=<hold@x.test> to=<joe@virt.test> proto=ESMTP helo=<me.test>' "$RECV_LOG"
  for w in 'redirect: .*triggers REDIRECT ann@virt.test' 'filter: .*triggers FILTER smtp' 'bcc: .*triggers BCC' 'prepend: .*triggers PREPEND X-Note' 'discard: .*triggers DISCARD action'; do
    wait_for 5 grep -q "$w" "$RECV_LOG"
  done
}

@test "actions at the end of the data, and where the delivery side has no XACTION" {
  real_deliver
  recv_start -o "smtpd_end_of_data_restrictions=check_sender_access inline:{ {hold@x.test = HOLD} {no@x.test = REJECT too much} {to@x.test=REDIRECT ann@virt.test} }"
  [[ "$(mail hold@x.test joe@virt.test)" == "250 "* ]]
  [ "$(find "$T/spool/queue" -type f | wc -l)" -eq 1 ] && [ ! -e "$T/vm/joe" ]
  is "$(mail no@x.test joe@virt.test)" "554 5.7.1 <no@x.test>: Sender address rejected: too much"
  [ ! -e "$T/vm/joe/new" ] || [ -z "$(ls "$T/vm/joe/new")" ]
  [[ "$(mail to@x.test joe@virt.test)" == "250 "* ]]
  [ "$(ls "$T/vm/ann/new" | wc -l)" -eq 1 ]
  [[ "$(mail ok@x.test joe@virt.test)" == "250 "* ]]
  [ "$(ls "$T/vm/joe/new" | wc -l)" -eq 1 ]
  recv_start -o "delivery=unix:$T/deliver" -o "smtpd_sender_restrictions=check_sender_access inline:{ {hold@x.test = HOLD} {gone@x.test = DISCARD} }"
  is "$(mail hold@x.test b@mx.test)" "451 4.3.5 Server configuration error"
  [[ "$(mail gone@x.test b@mx.test)" == "250 2.0.0 Ok: discarded"* ]]
  [ "$(mails)" -eq 0 ]
  wait_for 5 grep -q 'does not know XACTION, which HOLD needs' "$RECV_LOG"
}

@test "actions that answer: codes, texts, DEFER_IF, lists of restrictions, classes" {
  cat > "$T/s" <<'X'
c421@x.test 421 4.7.0 go away
c550@x.test 550 no
c521@x.test 521 5.3.0 nothing here
rej@x.test REJECT
def@x.test DEFER
dip@x.test DEFER_IF_PERMIT later
dir@x.test DEFER_IF_REJECT perhaps
digits@x.test 1234567
list@x.test reject_non_fqdn_recipient, reject
class@x.test strict
word@x.test NONSENSE here
warn@x.test WARN look at this
info@x.test INFO only that
X
  echo 'smtpd_restriction_classes = strict' >> "$T/mx.conf"
  echo 'strict = reject_non_fqdn_helo_hostname, check_recipient_access inline:{ {b@mx.test=450 strictly} }' >> "$T/mx.conf"
  recv_start -o "smtpd_recipient_restrictions=check_sender_access texthash:$T/s, reject_non_fqdn_recipient" -o access_map_reject_code=551 -o access_map_defer_code=451 -o reject_code=553
  is "$(reply c421@x.test b@mx.test)" "421 4.7.0 <c421@x.test>: Sender address rejected: go away"
  is "$(reply c550@x.test b@mx.test)" "550 5.7.1 <c550@x.test>: Sender address rejected: no"
  is "$(reply c521@x.test b@mx.test)" "521 5.3.0 <c521@x.test>: Sender address rejected: nothing here"
  is "$(reply rej@x.test b@mx.test)" "551 5.7.1 <rej@x.test>: Sender address rejected: Access denied"
  is "$(reply def@x.test b@mx.test)" "451 4.7.1 <def@x.test>: Sender address rejected: Access denied"
  is "$(reply dip@x.test b@mx.test)" "451 4.7.1 <dip@x.test>: Sender address rejected: later"
  is "$(reply dip@x.test b@mx)" "504 5.5.2 <b@mx>: Recipient address rejected: need fully-qualified address"
  is "$(reply dir@x.test b@mx.test)" "$taken"
  is "$(reply dir@x.test b@mx)" "451 4.7.1 <dir@x.test>: Sender address rejected: perhaps"
  is "$(reply digits@x.test b@mx)" "$taken"
  is "$(reply list@x.test b@mx.test)" "553 5.7.1 <b@mx.test>: Recipient address rejected: Access denied"
  is "$(reply list@x.test b@mx)" "504 5.5.2 <b@mx>: Recipient address rejected: need fully-qualified address"
  is "$(reply class@x.test b@mx.test)" "450 4.7.1 <b@mx.test>: Recipient address rejected: strictly"
  is "$(reply class@x.test c@mx.test)" "$taken"
  is "$(reply class@x.test c@mx.test short)" "504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname"
  is "$(reply word@x.test c@mx.test)" "451 4.3.5 <word@x.test>: Sender address rejected: Server configuration error"
  is "$(reply warn@x.test c@mx.test)" "$taken"
  is "$(reply info@x.test c@mx.test)" "$taken"
  wait_for 5 grep -q 'warn: RCPT from unknown\[127.0.0.1\]: look at this; from=<warn@x.test>' "$RECV_LOG"
  wait_for 5 grep -q 'info: RCPT from unknown\[127.0.0.1\]: only that; from=<info@x.test>' "$RECV_LOG"
}

@test "421 and 521 from a table end the session" {
  recv_start -o "smtpd_sender_restrictions=check_sender_access inline:{ {a@x.test=421 bye} }"
  talk <<'X'
< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 421 4.7.1 <a@x.test>: Sender address rejected: bye
eof
X
}

@test "which keys are asked: address, extension, domain, parent, user; null sender; client, login, helo" {
  cat > "$T/t" <<'X'
a+e@x.test 551 full
b@x.test 551 base
x.test 551 domain
parent.test 551 parent
.dot.test 551 dotted
user@ 551 user
<> 551 null
192.0.2 551 net
127.0.0.9 551 addr
127.0 551 near
X
  recv_start -o recipient_delimiter=+ -o "smtpd_sender_restrictions=check_sender_access texthash:$T/t"
  while read -r from want; do
    case $want in ok) is "$(reply "$from" b@mx.test)" "$taken" ;;
      *) is "$(reply "$from" b@mx.test)" "551 5.7.1 <$from>: Sender address rejected: $want" ;; esac
  done <<'X'
a+e@x.test full
a+f@x.test domain
b+any@x.test base
c@x.test domain
c@sub.x.test domain
c@deep.sub.parent.test parent
c@y.dot.test dotted
c@dot.test ok
user@else.test user
user+ext@else.test user
other@else.test ok
X
  is "$(reply '' b@mx.test)" "551 5.7.1 <>: Sender address rejected: null"
  recv_start -o "smtpd_client_restrictions=check_client_access texthash:$T/t"
  is "$(reply a@b.test b@mx.test)" "551 5.7.1 <unknown[127.0.0.1]>: Client host rejected: near"
  is "$(reply a@b.test b@mx.test me.test 127.0.0.9)" "551 5.7.1 <unknown[127.0.0.9]>: Client host rejected: addr"
  recv_start -o "smtpd_helo_restrictions=texthash:$T/t"
  is "$(reply a@b.test b@mx.test mail.parent.test)" "551 5.7.1 <mail.parent.test>: Helo command rejected: parent"
}

@test "tables of other types: pcre, regexp, cidr, static, unionmap, lists" {
  printf '/^spam.*@/ REJECT pattern $0\n/./ DUNNO\n' > "$T/p"
  printf '127.0.0.0/30 DUNNO\n127.0.0.0/24 REJECT cidr\n' > "$T/c"
  recv_start -o "smtpd_recipient_restrictions=check_sender_access pcre:$T/p, check_client_access cidr:$T/c, check_recipient_access unionmap:{static:DUNNO}"
  is "$(reply spam1@x.test b@mx.test)" "554 5.7.1 <spam1@x.test>: Sender address rejected: pattern spam1@"
  is "$(reply ok@x.test b@mx.test)" "$taken"
  is "$(reply ok@x.test b@mx.test me.test 127.0.0.77)" "554 5.7.1 <unknown[127.0.0.77]>: Client host rejected: cidr"
}

@test "small rules: permit_inet_interfaces, plaintext, multi-recipient bounce, sleep, defer, reject" {
  recv_start -o 'smtpd_recipient_restrictions=permit_inet_interfaces, reject' -o mynetworks= -o smtpd_relay_restrictions=
  is "$(reply a@x.test b@mx.test)" "$taken"
  is "$(reply a@x.test b@mx.test me.test 127.0.0.5)" "554 5.7.1 <b@mx.test>: Recipient address rejected: Access denied"
  recv_start -o 'smtpd_recipient_restrictions=sleep 0, reject_plaintext_session'
  is "$(reply a@x.test b@mx.test)" "450 4.7.1 <b@mx.test>: Recipient address rejected: Session encryption is required"
  recv_start -o 'smtpd_recipient_restrictions=defer'
  is "$(reply a@x.test b@mx.test)" "450 4.7.1 <b@mx.test>: Recipient address rejected: Access denied"
  recv_start -o 'smtpd_recipient_restrictions=warn_if_reject defer_if_permit, permit'
  is "$(reply a@x.test b@mx.test)" "$taken"
  recv_start -o 'smtpd_data_restrictions=reject_multi_recipient_bounce'
  is "$(mail '' a@mx.test b@mx.test)" "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce"
  [[ "$(mail '' a@mx.test)" == "250 "* ]]
  [[ "$(mail a@x.test a@mx.test b@mx.test)" == "250 "* ]]
  recv_start -o 'smtpd_helo_restrictions=reject_invalid_hostname'
  is "$(reply a@x.test b@mx.test '[1.2.3]')" "501 5.5.2 <[1.2.3]>: Helo command rejected: Invalid address"
  is "$(reply a@x.test b@mx.test '[IPv6:2001:db8::1]')" "$taken"
}

@test "destination: ours, relayed, routed, literal, mx backup; the codes that were configured" {
  recv_start -o mynetworks= -o relay_domains=relay.test -o relay_domains_reject_code=550
  is "$(reply a@x.test b@mx.test)" "$taken"
  is "$(reply a@x.test b@sub.relay.test)" "$taken"
  is "$(reply a@x.test b@else.test)" "550 5.7.1 <b@else.test>: Relay access denied"
  is "$(reply a@x.test 'b%else.test@mx.test')" "550 5.7.1 <b%else.test@mx.test>: Relay access denied"
  is "$(reply a@x.test 'b@[127.0.0.1]')" "$taken"
  is "$(reply a@x.test 'b@[192.0.2.1]')" "550 5.7.1 <b@[192.0.2.1]>: Relay access denied"
  recv_start -o mynetworks= -o smtpd_relay_restrictions=defer_unauth_destination
  is "$(reply a@x.test b@else.test)" "454 4.7.1 <b@else.test>: Relay access denied"
  recv_start -o mynetworks= -o 'smtpd_recipient_restrictions=permit_auth_destination, reject' -o smtpd_relay_restrictions=
  is "$(reply a@x.test b@mx.test)" "$taken"
  is "$(reply a@x.test b@else.test)" "554 5.7.1 <b@else.test>: Recipient address rejected: Access denied"
  recv_start -o unknown_local_recipient_reject_code=450
  is "$(reply a@x.test unknown@mx.test)" "450 4.1.1 <unknown>: Recipient address rejected: User unknown in local recipient table"
}

@test "owners of senders: the four login_mismatch rules" {
  cat > "$T/own" <<'X'
joe@mx.test joe, boss
@own.test ann
X
  for rule in reject_sender_login_mismatch reject_unauthenticated_sender_login_mismatch reject_known_sender_login_mismatch; do
    recv_start -o "smtpd_sender_login_maps=texthash:$T/own" -o "smtpd_sender_restrictions=$rule"
    is "$(reply joe@mx.test b@mx.test)" "553 5.7.1 <joe@mx.test>: Sender address rejected: not logged in"
    is "$(reply who@own.test b@mx.test)" "553 5.7.1 <who@own.test>: Sender address rejected: not logged in"
    is "$(reply who@x.test b@mx.test)" "$taken"
  done
  recv_start -o "smtpd_sender_login_maps=texthash:$T/own" -o "smtpd_sender_restrictions=reject_authenticated_sender_login_mismatch"
  is "$(reply joe@mx.test b@mx.test)" "$taken"
  recv_start -o "smtpd_sender_login_maps=texthash:$T/none" -o "smtpd_sender_restrictions=reject_sender_login_mismatch"
  is "$(reply joe@mx.test b@mx.test)" "451 4.3.0 <joe@mx.test>: Temporary lookup failure"
}

@test "unlisted sender and recipient: the delivery side is asked" {
  real_deliver
  recv_start -o smtpd_recipient_restrictions=reject_unlisted_recipient,reject_unlisted_sender,defer
  is "$(reply a@x.test no@virt.test)" "550 5.1.1 <no@virt.test>: Recipient address rejected: User unknown"
  is "$(reply no@virt.test joe@virt.test)" "550 5.1.0 <no@virt.test>: Sender address rejected: User unknown"
  is "$(reply ann@virt.test joe@virt.test)" "450 4.7.1 <joe@virt.test>: Recipient address rejected: Access denied"
  recv_start -o smtpd_reject_unlisted_sender=yes
  is "$(reply no@virt.test joe@virt.test)" "550 5.1.0 <no@virt.test>: Sender address rejected: User unknown"
  is "$(reply '' joe@virt.test)" "250 2.1.5 Ok"
}

@test "end_of_data rules ask nothing in the middle of a message (a delivery side without chunks)" {
  kill "$DELIVER"; rm -f "$T/deliver"; deliver_start nochunk
  recv_conf "smtpd_end_of_data_restrictions = reject_unlisted_sender"
  recv_start
  talk <<'X'
< 220
> EHLO me.test
<- 250
> MAIL FROM:<ann@mx.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
= 'Subject: s\r\n\r\nbody\r\n.\r\n'
< 250 2.0.0
X
  ! grep -q VRFY "$T/box/msg.1"
}
