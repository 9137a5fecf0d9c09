# mx-recv --explain: a session is rehearsed and told; nothing happens.
load ../lib/common
load recv

setup() { common_setup; recv_conf; deliver_start; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }
conf() { printf '%s\n' "$@" >> "$T/mx.conf"; }
ex() { timeout 60 mx-recv --explain "$@"; }

@test "each list, rule, look-up and verdict in order; exit 0, 1, 75; nothing delivered or logged" {
  conf 'smtpd_client_restrictions = check_client_access inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }' \
    'smtpd_helo_restrictions = warn_if_reject reject_non_fqdn_helo_hostname' \
    'smtpd_restriction_classes = cls' 'cls = reject_non_fqdn_sender' 'smtpd_recipient_restrictions = cls' 'smtpd_peername_lookup = no'
  ex client=203.0.113.1 name=h.test helo=short from=a@x.test rcpt=b@mx.test </dev/null > "$T/o"
  cat "$T/o"
  diff <(grep -v '^server\|^client' "$T/o" | tr -s ' ' | sed "s,unix:$T/,,") - <<'X'
session client h.test[203.0.113.1], not in mynetworks
list smtpd_client_restrictions
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: h.test: not found
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: .test: not found
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: test: not found
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: 203.0.113.1: not found
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: 203.0.113: not found
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: 203.0: not found
 table inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: 203: not found
 rule check_client_access inline:{ {192.0.2=REJECT go} {198.51.100=DEFER} }: next
list smtpd_helo_restrictions
 rule reject_non_fqdn_helo_hostname: (warning only) 504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname
list smtpd_relay_restrictions
 rule permit_mynetworks: next
 rule permit_sasl_authenticated: next
 rule reject_unauth_destination: next
list smtpd_recipient_restrictions
 rule reject_non_fqdn_sender: next
 rule end of the class: next
delivery deliver: b@mx.test: 252 not told
verdict b@mx.test: 250 2.1.5 Ok: if the delivery side agrees
verdict all: accepted
X
  [ "$(mails)" -eq 0 ]
  ! grep -q 'MAIL\|RCPT' "$T/box/log"
  run ex client=192.0.2.1 helo=x from=a@x.test rcpt=b@mx.test </dev/null; [ "$status" -eq 1 ]
  [[ "$output" == *"found: REJECT go"*"554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: go"*"verdict  all: refused" ]]
  run ex client=198.51.100.1 helo=x from=a@x.test rcpt=b@mx.test </dev/null; [ "$status" -eq 75 ]
  run ex login=joe client=203.0.113.1 helo=x from=a@x.test rcpt=b@far.test </dev/null; [ "$status" -eq 0 ]
  run ex client=203.0.113.1 frob=1; [ "$status" -eq 64 ]
}

@test "a message on stdin reaches the data rules; actions and policy answers are told; --json" {
  cat > "$T/p.py" <<'PY'
import sys
q = {}
for l in sys.stdin:
    l = l.rstrip("\n")
    if l: k, v = l.split("=", 1); q[k] = v; continue
    print("action=PREPEND X-Policy: %s\n" % q["protocol_state"], flush=True)
PY
  conf "smtpd_data_restrictions = check_policy_service {exec:python3 $T/p.py}" \
    'smtpd_end_of_data_restrictions = check_sender_access inline:{a@x.test=HOLD}' 'smtpd_peername_lookup = no'
  printf 'Subject: x\n\nbody\n' | ex --json client=203.0.113.1 helo=x from=a@x.test rcpt=b@mx.test > "$T/o"
  python3 - "$T/o" <<'PY'
import json, sys
s = [json.loads(l) for l in open(sys.argv[1])]
t = [(x["step"], x["text"]) for x in s]
assert any(k == "policy" and "PREPEND X-Policy: DATA" in v for k, v in t), t
assert ("actions", "XACTION HOLD LATE") in t, t
assert t[-1] == ("verdict", "all: accepted") and t[-2] == ("verdict", "message: 250 2.0.0 Ok: would be passed on"), t
PY
  [ "$(mails)" -eq 0 ]
}

@test "DNS answers, and that there was none; TLS and modes count" {
  dns=$(free_port)
  printf '$ORIGIN test.\n@ 60 SOA ns h 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n1.113.0.203.bl A 127.0.0.4\nmail MX 10 ns\n' > "$T/z"
  dns_serve "$dns" test "$T/z"
  conf 'smtpd_sender_restrictions = reject_unknown_sender_domain' 'smtpd_client_restrictions = reject_rbl_client bl.test' 'smtpd_recipient_restrictions = reject_plaintext_session'
  run ex --resolver "127.0.0.1:$dns" client=203.0.113.1 helo=x from=a@mail.test rcpt=b@mx.test </dev/null
  [ "$status" -eq 1 ]
  [[ "$output" == *"dns      1.113.0.203.bl.test A: 127.0.0.4"* ]]
  run ex --resolver "127.0.0.1:$dns" client=203.0.113.2 name=h tls=yes helo=x from=a@mail.test rcpt=b@mx.test </dev/null
  [ "$status" -eq 0 ]
  [[ "$output" == *"dns      mail.test MX: ns.test"* ]]
  run ex --resolver "127.0.0.1:$dns" client=203.0.113.2 name=h helo=x from=a@other rcpt=b@mx.test </dev/null
  [ "$status" -eq 75 ]
  run ex --mode lmtp --resolver "127.0.0.1:$dns" -o smtpd_recipient_restrictions= client=203.0.113.2 name=h helo=x from=a@mail.test rcpt=b@mx.test rcpt=c@mx.test <<<$'\nx'
  [ "$status" -eq 0 ]
  [ "$(grep -c '^verdict  message: 250' <<<"$output")" -eq 2 ]
}

@test "milters and their answers are told; ask=no asks neither them nor policy servers" {
  m=$(free_port) p=$(free_port)
  : > "$T/m.log"
  spawn python3 "$ROOT/tests/lib/milter_peer.py" "$m" "$T/m.log" 'rcpt@b@=reply 451 4.7.1 wait a while'
  wait_listen "$m"
  conf "smtpd_milters = inet:127.0.0.1:$m" 'smtpd_peername_lookup = no' \
    "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:$p"
  run ex client=203.0.113.1 helo=x from=a@x.test rcpt=b@mx.test ask=no </dev/null
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"policy   inet:127.0.0.1:$p: not asked"* && "$output" == *"milter   inet:127.0.0.1:$m: not asked"* ]]
  [ ! -s "$T/m.log" ]
  sed -i '/policy_service/d' "$T/mx.conf"
  run ex client=203.0.113.1 helo=x from=a@x.test rcpt=b@mx.test </dev/null
  echo "$output"
  [ "$status" -eq 75 ]
  [[ "$output" == *"inet:127.0.0.1:$m: MAIL: continue"*"inet:127.0.0.1:$m: RCPT: 451 4.7.1 wait a while"* ]]
}
