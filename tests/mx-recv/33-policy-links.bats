# mx-recv: the link to a policy server, whatever the server does to it.  The
# stand-in says PREPEND at the first question about a sender and DUNNO at each
# later one, as postgrey does: a question that is asked twice loses the field.
load ../lib/common
load recv

setup() {
  common_setup
  recv_conf "smtpd_peername_lookup = no" "default_process_limit = 1"
  deliver_start
}
teardown() { common_teardown; }

# The sender's local part up to the first digit tells what to do:
#   close  answers, closes;  idle  closes a moment after the answer
#   twice  answers twice at once;  late  a second answer a moment later
#   lost   closes without an answer once a sender;  once  closes each new link
#          at once until one has been refused
#   split  gives the answer byte by byte;  junk  attributes around the action
policy_start() {
  POLICY=$(free_port); : > "$T/seen"
  spawn python3 -c '
import socket, sys, threading, time, re, os
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(50)
seen, lost = set(), set()
def serve(c, n):
    f = c.makefile("r")
    while True:
        q = {}
        for l in f:
            l = l.rstrip("\n")
            if not l: break
            k, v = l.split("=", 1); q[k] = v
        if "sender" not in q: return
        who = q["sender"]; what = re.match("[a-z]*", who).group(0)
        open(sys.argv[2], "a").write("%d %s\n" % (n, who))
        if what == "lost" and who not in lost: lost.add(who); c.shutdown(2); return
        a = "DUNNO" if who in seen else "PREPEND X-First: " + who
        seen.add(who); a = "action=%s\n\n" % a
        if what == "split":
            for b in a: c.sendall(b.encode()); time.sleep(0.01)
        elif what == "junk": c.sendall(("note=1\n" + a[:-1] + "action=REJECT second\nx=y\n\n").encode())
        else: c.sendall((a + ("action=REJECT stale\n\n" if what == "twice" else "")).encode())
        if what == "late": time.sleep(0.1); c.sendall(b"action=REJECT stale\n\n"); open(sys.argv[2] + ".late", "a").write("x\n")
        if what in ("close", "idle"):
            if what == "idle": time.sleep(0.1)
            c.shutdown(2); c.close(); open(sys.argv[2] + ".closed", "a").write("x\n"); return
n = 0
while True:
    c, _ = s.accept(); n += 1
    if os.path.exists(sys.argv[2] + ".once"): os.unlink(sys.argv[2] + ".once"); c.close(); continue
    threading.Thread(target=serve, args=(c, n), daemon=True).start()
' "$POLICY" "$T/seen"
  wait_listen "$POLICY"
}

# mail FROM: the answer to a whole message
mail() {
  python3 - "$PORT" "$1" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test")
for c in ("MAIL FROM:<%s>" % sys.argv[2], "RCPT TO:<b@mx.test>", "DATA"):
    code, text = s.docmd(c)
    if code not in (250, 354): break
if code == 354: s.send("Subject: x\r\n\r\nbody\r\n.\r\n"); code, text = s.getreply()
print(code, text.decode()); s.close()
PY
}
# taken FROM: it is let in at the first try, with the field of the first answer
taken() {
  local r
  r=$(mail "$1"); [[ "$r" == "250 2.0.0 "* ]] || { echo "$1: $r"; tail -5 "$RECV_LOG"; return 1; }
  [ "$(grep -c "^X-First: $1" "$T/box/msg.$(mails)")" -eq 1 ] || { echo "$1: no field"; cat "$T/box/msg.$(mails)" "$T/seen"; return 1; }
}

@test "each message has the action of its own question, however the server treats the link" {
  policy_start
  recv_start -o smtpd_policy_service_retry_delay=0 -o "smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:$POLICY"
  taken plain1@x.test; taken plain2@x.test
  [ "$(cut -d' ' -f1 "$T/seen" | tr '\n' ' ')" = "1 1 " ]
  # closed between two questions: seen before the next one is sent
  closed() { [ "$(grep -c x "$T/seen.closed")" -ge "$1" ]; }
  for i in 1 2 3; do
    taken "close$i@x.test"; wait_for 10 closed $((2 * i - 1))
    taken "idle$i@x.test"; wait_for 10 closed $((2 * i))
  done
  # an answer too many is nobody's
  for i in 1 2 3; do
    taken "twice$i@x.test"
    rm -f "$T/seen.late"; taken "late$i@x.test"; wait_for 10 test -s "$T/seen.late"
  done
  taken plain3@x.test; taken split1@x.test; taken junk1@x.test; taken plain4@x.test
  # nobody was asked about twice
  [ -z "$(cut -d' ' -f2 "$T/seen" | sort | uniq -d)" ] || { cat "$T/seen"; false; }
}

@test "a question without an answer is asked again, on a new link; a new link that ends at once, too" {
  policy_start
  recv_start -o smtpd_policy_service_retry_delay=0 -o "smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:$POLICY"
  taken plain1@x.test
  taken lost1@x.test
  [ "$(grep -c lost1 "$T/seen")" -eq 2 ]
  [ "$(grep lost1 "$T/seen" | cut -d' ' -f1 | sort -u | wc -l)" -eq 2 ]
  taken close1@x.test; : > "$T/seen.once"
  wait_for 10 test -s "$T/seen.closed"
  taken plain2@x.test
  [ ! -e "$T/seen.once" ]
  [ "$(grep -c plain2 "$T/seen")" -eq 1 ]
}

@test "DNS trouble defers behind the policy server's question, as in Postfix: what it said then is spent" {
  policy_start
  dns=$(free_port)
  printf '@ 60 SOA ns h 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n@ MX 10 ns\n' > "$T/good"
  dns_serve "$dns" good.test "$T/good"
  recv_start --resolver "127.0.0.1:$dns" -o "smtpd_sender_restrictions=reject_unknown_sender_domain" \
    -o "smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:$POLICY"
  taken plain@good.test
  # no server answers for this zone
  [[ "$(mail plain@dead.test)" == "450 4."*"Domain not found"* ]]
  [ "$(grep -c plain@dead.test "$T/seen")" -eq 1 ]
}
