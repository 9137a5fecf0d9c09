# mx-recv: restriction lists, access tables, policy servers, DNS.
load ../lib/common
load recv

setup() { common_setup; recv_conf; deliver_start; }
teardown() { common_teardown; }

# reply FROM TO [HELO]: what RCPT (or MAIL) was answered with
reply() {
  python3 - "$PORT" "$1" "$2" "${3:-me.test}" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo(sys.argv[4])
code, text = s.docmd("MAIL FROM:<%s>" % sys.argv[2])
if code == 250: code, text = s.docmd("RCPT TO:<%s>" % sys.argv[3])
print(code, text.decode()); s.close()
PY
}

@test "rules in order: the first that decides ends the list" {
  recv_start -o 'smtpd_recipient_restrictions=reject_non_fqdn_sender, reject_non_fqdn_recipient, permit, reject'
  [ "$(reply a@x.test b@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply a b@mx.test)" = "504 5.5.2 <a@mx.test>: Sender address rejected: need fully-qualified address" ]
  [ "$(reply a@x b@mx.test)" = "504 5.5.2 <a@x>: Sender address rejected: need fully-qualified address" ]
  [ "$(reply '' b@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply a@x.test b)" = "504 5.5.2 <b@mx.test>: Recipient address rejected: need fully-qualified address" ]
  [ "$(reply a@x.test postmaster)" = "250 2.1.5 Ok: taken" ]
}

@test "HELO rules, and a refusal before RCPT without smtpd_delay_reject" {
  recv_start -o 'smtpd_helo_restrictions=reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname'
  [ "$(reply a@x.test b@mx.test 'bad_name!')" = "501 5.5.2 <bad_name!>: Helo command rejected: Invalid name" ]
  [ "$(reply a@x.test b@mx.test short)" = "504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname" ]
  [ "$(reply a@x.test b@mx.test '[192.0.2.1]')" = "250 2.1.5 Ok: taken" ]
  recv_start -o smtpd_delay_reject=no -o smtpd_helo_restrictions=reject_non_fqdn_helo_hostname -o smtpd_sender_restrictions=reject_non_fqdn_sender
  talk <<'X'
< 220
> EHLO short
< 504 5.5.2 <short>: Helo command rejected
> EHLO me.test
< 250
> MAIL FROM:<a@x>
< 504 5.5.2 <a@x>: Sender address rejected
> MAIL FROM:<a@x.test>
< 250
X
  recv_start -o smtpd_delay_reject=no -o smtpd_client_restrictions=reject
  talk <<'X'
< 554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied
eof
X
}

@test "access tables: client, HELO, sender, recipient; what they may say" {
  cat > "$T/client" <<'X'
127.0 WARN near
192.0.2 REJECT
X
  cat > "$T/sender" <<'X'
spam.test REJECT no spam here
bad@x.test 550 5.7.2 not you
slow@ DEFER later please
fine.spam.test OK
num.test 450 busy
<> DUNNO
X
  cat > "$T/rcpt" <<'X'
closed@mx.test REJECT
X
  recv_start -o "smtpd_recipient_restrictions=check_client_access texthash:$T/client, check_sender_access texthash:$T/sender, check_recipient_access texthash:$T/rcpt, check_helo_access inline:{ evil.test=REJECT }"
  [ "$(reply a@x.test b@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply a@spam.test b@mx.test)" = "554 5.7.1 <a@spam.test>: Sender address rejected: no spam here" ]
  [ "$(reply a@fine.spam.test closed@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply bad@x.test b@mx.test)" = "550 5.7.2 <bad@x.test>: Sender address rejected: not you" ]
  [ "$(reply slow@y.test b@mx.test)" = "450 4.7.1 <slow@y.test>: Sender address rejected: later please" ]
  [ "$(reply a@num.test b@mx.test)" = "450 4.7.1 <a@num.test>: Sender address rejected: busy" ]
  [ "$(reply '' closed@mx.test)" = "554 5.7.1 <closed@mx.test>: Recipient address rejected: Access denied" ]
  [ "$(reply a@x.test b@mx.test evil.test)" = "554 5.7.1 <evil.test>: Helo command rejected: Access denied" ]
  wait_for 5 grep -q 'NOQUEUE: warn: RCPT from localhost\[127.0.0.1\]: near' "$RECV_LOG"
}

@test "a table that does not open: 451, never taken for no" {
  recv_start -o "smtpd_recipient_restrictions=check_sender_access texthash:$T/nothing"
  [ "$(reply a@x.test b@mx.test)" = "451 4.3.5 <a@x.test>: Sender address rejected: Server configuration error" ]
  recv_start -o mynetworks= -o "relay_domains=texthash:$T/nothing"
  [ "$(reply a@x.test b@else.test)" = "451 4.3.0 <b@else.test>: Temporary lookup failure" ]
}

@test "warn_if_reject logs and goes on; restriction classes" {
  printf 'smtpd_restriction_classes = strict\nstrict = reject_non_fqdn_sender\n' >> "$T/mx.conf"
  recv_start -o 'smtpd_recipient_restrictions=warn_if_reject reject_non_fqdn_recipient, strict'
  [ "$(reply a@x.test b)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply a b@mx.test)" = "504 5.5.2 <a@mx.test>: Sender address rejected: need fully-qualified address" ]
  wait_for 5 grep -q 'reject_warning: RCPT from' "$RECV_LOG"
}

@test "a word that is no restriction stops the start and is named" {
  for r in reject_everything 'check_sender_access' 'sleep long'; do
    run mx-recv -c "$T/mx.conf" -o "smtpd_recipient_restrictions=$r" </dev/null
    [ "$status" -eq 78 ]
    [[ "$output" == *"smtpd_recipient_restrictions: "*"${r%% *}"* ]]
  done
}

@test "policy server: its action counts; away: 451" {
  cat > "$T/policy.py" <<'PY'
import sys
while True:
    req = {}
    while True:
        line = sys.stdin.readline()
        if not line: sys.exit()
        line = line.rstrip("\n")
        if not line: break
        k, v = line.split("=", 1); req[k] = v
    open(sys.argv[1], "a").write(repr(req) + "\n")
    if req["sender"].startswith("grey"): a = "DEFER_IF_PERMIT greylisted"
    elif req["sender"].startswith("bad"): a = "REJECT bad policy"
    else: a = "DUNNO"
    print("action=%s\n" % a, flush=True)
PY
  chmod 755 "$T/policy.py"
  recv_start -o "smtpd_recipient_restrictions=check_policy_service {exec:python3 $T/policy.py $T/requests}, reject_non_fqdn_sender"
  : > "$T/requests"; chmod 666 "$T/requests"
  [ "$(reply a@x.test b@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply bad@x.test b@mx.test)" = "554 5.7.1 <b@mx.test>: Recipient address rejected: bad policy" ]
  [ "$(reply grey@x.test b@mx.test)" = "450 4.7.1 <b@mx.test>: Recipient address rejected: greylisted" ]
  [ "$(reply grey@x b@mx.test)" = "504 5.5.2 <grey@x>: Sender address rejected: need fully-qualified address" ]
  grep -q "'request': 'smtpd_access_policy', 'protocol_state': 'RCPT', 'protocol_name': 'ESMTP', 'helo_name': 'me.test'" "$T/requests"
  recv_start -o "smtpd_recipient_restrictions=check_policy_service unix:$T/away"
  [[ "$(reply a@x.test b@mx.test)" == "451 4.3.5 "* ]]
}

@test "policy server: one instance a message: the same at each stage of it, another for the next" {
  cat > "$T/policy.py" <<'PY'
import sys
for line in sys.stdin:
    k, _, v = line.rstrip("\n").partition("=")
    if k in ("protocol_state", "instance"): open(sys.argv[1], "a").write(v + ("\n" if k == "instance" else " "))
    if not k: print("action=DUNNO\n", flush=True)
PY
  chmod 755 "$T/policy.py"; : > "$T/i"; chmod 666 "$T/i"
  p="check_policy_service {exec:python3 $T/policy.py $T/i}"
  recv_start -o default_process_limit=1 -o "smtpd_recipient_restrictions=$p" -o "smtpd_data_restrictions=$p" -o "smtpd_end_of_data_restrictions=$p"
  m="> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> RCPT TO:<c@mx.test>
< 250
> DATA
< 354
> .
< 250"
  talk <<<"< 220
> EHLO me.test
<- 250
$m
$m
> MAIL FROM:<other@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> RSET
< 250
> QUIT
< 221"
  talk <<<"< 220
> EHLO me.test
<- 250
$m"
  cat "$T/i"
  # RCPT, RCPT, DATA, END-OF-MESSAGE; twice; RCPT; and once more
  [ "$(cut -d' ' -f1 "$T/i" | tr '\n' ' ')" = "RCPT RCPT DATA END-OF-MESSAGE RCPT RCPT DATA END-OF-MESSAGE RCPT RCPT RCPT DATA END-OF-MESSAGE " ]
  [ "$(cut -d' ' -f2 "$T/i" | uniq -c | sed 's/ *\([0-9]*\) .*/\1/' | tr '\n' ' ')" = "4 4 1 4 " ]
  [ "$(cut -d' ' -f2 "$T/i" | sort -u | wc -l)" -eq 4 ]
  ! grep -q 0x "$T/i"
}

@test "DNS: sender domains, client names, block lists; trouble is not no" {
  dns=$(free_port)
  cat > "$T/z" <<'Z'
$ORIGIN test.
@ 60 SOA ns h 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
mail MX 10 ns
addr A 192.0.2.1
null MX 0 .
2.0.0.127.bl A 127.0.0.2
2.0.0.127.bl TXT "see example"
Z
  cat > "$T/r" <<'Z'
$ORIGIN 127.in-addr.arpa.
@ 60 SOA ns.test. h.test. 1 60 60 60 60
@ NS ns.test.
2.0.0 PTR liar.test.
Z
  dns_serve "$dns" test "$T/z" 127.in-addr.arpa "$T/r"
  recv_start --resolver "127.0.0.1:$dns" -o smtpd_recipient_restrictions=reject_unknown_sender_domain
  [ "$(reply a@mail.test b@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply a@addr.test b@mx.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply a@null.test b@mx.test)" = "550 5.7.27 <a@null.test>: Sender address rejected: Domain null.test does not accept mail (nullMX)" ]
  [ "$(reply a@none.test b@mx.test)" = "450 4.1.8 <a@none.test>: Sender address rejected: Domain not found" ]
  # another zone: the server refuses, so nobody knows
  [ "$(reply a@x.other b@mx.test)" = "450 4.1.8 <a@x.other>: Sender address rejected: Domain not found" ]
  recv_start --resolver "127.0.0.1:$dns" -o 'smtpd_client_restrictions=reject_rbl_client bl.test' -o mynetworks=
  python3 - "$PORT" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), source_address=("127.0.0.2", 0))
s.ehlo("me.test"); s.docmd("MAIL FROM:<a@x.test>")
code, text = s.docmd("RCPT TO:<b@mx.test>")
assert (code, text) == (554, b"5.7.1 Service unavailable; Client host [127.0.0.2] blocked using bl.test; see example"), (code, text)
PY
  grep -q 'connect from unknown\[127.0.0.2\]' "$RECV_LOG"
}

@test "mode lines: submission/NAME is for that mode alone" {
  echo 'submission/smtpd_banner = $myhostname for users' >> "$T/mx.conf"
  recv_start
  talk <<'X'
< 220 mx.test ESMTP
X
  recv_start --mode submission
  talk <<'X'
< 220 mx.test for users
X
}
