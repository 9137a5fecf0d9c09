# mx-recv: parameters that bend the session (footers, command filter, words
# that do nothing, what EHLO hides, how policy servers are asked), beside the
# real smtpd of Postfix with the same lines.
load ../lib/common
load ../lib/postfix
load recv

setup() { common_setup; }
teardown() { common_teardown; }

# ask PORT < lines: each sent when the reply to the one before is there
ask() {
  python3 -c '
import os, socket, sys
f = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30).makefile("rwb")
def reply():
    while True:
        try: line = f.readline().decode()
        except OSError: line = ""
        if not line: print("(closed)", flush=True); os._exit(0)
        print(line.rstrip("\r\n"))
        if line[3:4] != "-": return
reply()
for line in sys.stdin:
    print("> " + line.rstrip("\n"))
    try: f.write(line.rstrip("\n").encode() + b"\r\n"); f.flush()
    except OSError: pass
    reply()
' "$1"
}

# both LINES... < script: Postfix and mx-recv, configured alike, in $T/postfix
# and $T/mx; what differs by nature is made equal
both() {
  local p
  cat > "$T/script"
  p=$(free_port)
  postfix_start peer "$p" 'default_transport = error' 'smtpd_error_sleep_time = 0' 'smtpd_recipient_restrictions = reject_unauth_destination' \
    'smtpd_relay_restrictions =' 'local_recipient_maps =' "$@"
  recv_conf "myhostname = peer.test" "mydestination = peer.test" "mynetworks = 127.0.0.0/8" "smtpd_peername_lookup = no" "local_recipient_maps =" \
    'smtpd_recipient_restrictions = reject_unauth_destination' 'smtpd_relay_restrictions =' "$@"
  deliver_start
  recv_start
  ask "$p" < "$T/script" > "$T/postfix"
  ask "$PORT" < "$T/script" > "$T/mx"
  for f in postfix mx; do
    sed -Ei -e 's/^220 .*/220/' -e '/^250[ -](SIZE|DSN|LIMITS|CHUNKING|ETRN|VRFY|SMTPUTF8|ENHANCED|8BIT|PIPE|XFORWARD|XCLIENT)/d' \
      -e 's/port [0-9]+/port N/; s/[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}/TIME/; s/Ok: taken$/Ok/' "$T/$f"
  done
}

@test "smtpd_reject_footer and _maps, beside Postfix: lines, \\c, names; only in replies, not in the log" {
  need_root
  cat > "$T/footers" <<'X'
/bad command|not recognized/ \c - see the manual
/relay access/ Ask postmaster at $$server_name\nfrom $${client_address}.
X
  both 'smtpd_reject_footer = \c. Call 555 ($localtime), port $client_port, client $client_address\nand server $server_name $nothing.' \
    "smtpd_reject_footer_maps = pcre:$T/footers" <<'X'
EHLO me.test
FROB
MAIL FROM:<a@x.test> FROB=1
MAIL FROM:<a@x.test>
RCPT TO:<b@else.test>
RCPT TO:<b@peer.test>
DATA extra
VRFY
QUIT
X
  cat "$T/mx"
  grep -q '^554-5.7.1 <b@else.test>: Relay access denied$' "$T/mx"
  grep -q '^554-5.7.1 Ask postmaster at peer.test$' "$T/mx"
  grep -q '^554 5.7.1 from 127.0.0.1.$' "$T/mx"
  grep -q '^500 5.5.2 Error: command not recognized - see the manual$' "$T/mx"
  grep -q '^501-5.5.4 .*. Call 555 (TIME), port N, client 127.0.0.1$' "$T/mx"
  grep -q '^501 5.5.4 and server peer.test .$' "$T/mx"
  ! grep -E '555|postmaster' "$RECV_LOG"
  diff "$T/postfix" "$T/mx"
}

@test "smtpd_command_filter, beside Postfix: another command is run; a table that is away: 451" {
  need_root
  cat > "$T/filter" <<'X'
/^HELO\s*$/ HELO domain.invalid
/^\s*$/ NOOP
/^(RCPT\s+TO:\s*<)'([^[:space:]]+)'(>.*)/ $1$2$3
/^PLEASE (.*)/ $1
X
  both "smtpd_command_filter = pcre:$T/filter" <<'X'
HELO
  

PLEASE MAIL FROM:<a@x.test>
RCPT TO:<'b@peer.test'>
RCPT TO:<'b@else.test'>
please RSET
MAIL FROM:<a@x.test>
QUIT
X
  cat "$T/mx"
  grep -A1 "'b@else" "$T/mx" | grep -q '^554 5.7.1 <b@else.test>: Relay access denied'
  [ "$(grep -A1 "^> RCPT TO:<'b@peer" "$T/mx" | tail -n 1 | cut -c1-9)" = "250 2.1.5" ]
  diff "$T/postfix" "$T/mx"
  recv_start -o "smtpd_command_filter=tcp:127.0.0.1:$(free_port)"
  printf 'EHLO me.test\nQUIT\n' | ask "$PORT" > "$T/away"
  [ "$(grep -c '^451 4.3.0 ' "$T/away")" -eq 2 ]
}

@test "smtpd_noop_commands and smtpd_discard_ehlo_keyword_address_maps, beside Postfix" {
  need_root
  printf '127.0.0.1 silent-discard, DSN xclient Enhancedstatuscodes\n' > "$T/hide"
  both 'smtpd_noop_commands = FROB, data' "smtpd_discard_ehlo_keyword_address_maps = texthash:$T/hide" \
    'smtpd_junk_command_limit = 3' 'smtpd_hard_error_limit = 3' 'smtpd_authorized_xclient_hosts = 127.0.0.1' <<'X'
EHLO me.test
FROB nicate
frob
DATA
FROB
FROB
FROB
FROB
FROB
X
  cat "$T/mx"
  grep -q '^421 4.7.0 peer.test Error: too many errors$' "$T/mx"
  diff "$T/postfix" "$T/mx"
  # of all words: those three are hidden, and only from that client
  printf 'EHLO me.test\n' | ask "$PORT" > "$T/words"
  grep -q '^250-8BITMIME' "$T/words"; ! grep -E 'DSN|ENHANCED|XCLIENT' "$T/words"
  printf '127.0.0.2 DSN\n' > "$T/hide"
  recv_start
  printf 'EHLO me.test\n' | ask "$PORT" > "$T/words"
  grep -q '^250-DSN' "$T/words"
  recv_start -o "smtpd_discard_ehlo_keyword_address_maps=tcp:127.0.0.1:$(free_port)"
  printf 'EHLO me.test\n' | ask "$PORT" | grep -q '^450 4.3.2 Service currently unavailable'
}

@test "BDAT 0 again and again is junk" {
  recv_conf "smtpd_junk_command_limit = 5" "smtpd_hard_error_limit = 4" "smtpd_peername_lookup = no"
  deliver_start
  recv_start
  { printf 'EHLO me\nMAIL FROM:<a@x.test>\nRCPT TO:<b@mx.test>\n'; yes 'BDAT 0' | head -n 12; } | ask "$PORT" > "$T/out"
  grep -q '^421 4.7.0 mx.test Error: too many errors' "$T/out"
}

@test "smtpd_sasl_exceptions_networks: AUTH is not offered there" {
  spawn python3 -c '
import socket, sys, os
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); s.listen()
while True:
    c, _ = s.accept()
    c.sendall(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
    c.recv(1000); keep = globals().setdefault("k", []); keep.append(c)
' "$T/auth"
  wait_for 10 test -S "$T/auth"
  recv_conf "smtpd_sasl_auth_enable = yes" "smtpd_tls_auth_only = no" "smtpd_peername_lookup = no"
  deliver_start
  recv_start
  printf 'EHLO me\n' | ask "$PORT" | grep -q '^250-AUTH PLAIN'
  recv_start -o smtpd_sasl_exceptions_networks=127.0.0.0/8
  printf 'EHLO me\n' | ask "$PORT" > "$T/out"
  grep -q '^250-DSN' "$T/out"; ! grep AUTH "$T/out"
}

# A policy server on a TCP port: "slow" senders get no answer, "once" ones
# one at the second try; connections and requests are counted in $T/seen.
policy_start() {
  POLICY=$(free_port)
  spawn python3 -c '
import socket, sys, threading
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
log, tried = open(sys.argv[2], "a", 1), set()
def serve(c, n):
    f = c.makefile("rwb")
    while True:
        q = {}
        while True:
            line = f.readline().decode()
            if not line: return
            if line == "\n": break
            k, _, v = line.rstrip("\n").partition("="); q[k] = v
        log.write("%d %s [%s]\n" % (n, q["sender"], q["policy_context"]))
        if q["sender"].startswith("slow"): continue
        if q["sender"].startswith("once") and q["sender"] not in tried:
            tried.add(q["sender"]); c.shutdown(2); return
        f.write(b"action=DUNNO\n\n"); f.flush()
n = 0
while True:
    c, _ = s.accept(); n += 1
    threading.Thread(target=serve, args=(c, n), daemon=True).start()
' "$POLICY" "$T/seen"
  wait_listen "$POLICY"
}

@test "check_policy_service: tries, delay, limits, context and the default action, in parameters and in { }" {
  recv_conf "smtpd_peername_lookup = no" "default_process_limit = 1"
  deliver_start
  policy_start
  reply() { printf 'EHLO me\nMAIL FROM:<%s>\nRCPT TO:<b@mx.test>\nQUIT\n' "$1" | ask "$PORT" | grep -A1 '^> RCPT' | tail -n 1; }
  recv_start -o smtpd_policy_service_timeout=1 -o smtpd_policy_service_retry_delay=1 -o smtpd_policy_service_policy_context=global \
    -o "smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:$POLICY"
  [ "$(reply once@x.test)" = "250 2.1.5 Ok: taken" ]
  [ "$(reply slow@x.test)" = "451 4.3.5 <b@mx.test>: Recipient address rejected: Server configuration problem" ]
  [ "$(grep -c 'once@x.test \[global\]' "$T/seen")" -eq 2 ]
  [ "$(grep -c slow@x.test "$T/seen")" -ge 2 ]
  # what a rule says of its own is its own
  : > "$T/seen"
  recv_start -o "smtpd_recipient_restrictions=check_policy_service { inet:127.0.0.1:$POLICY, timeout=1s, try_limit=1, { default_action = DEFER_IF_PERMIT come again }, policy_context=mine, request_limit=2 }"
  [ "$(reply slow@x.test)" = "450 4.7.1 <b@mx.test>: Recipient address rejected: come again" ]
  [ "$(grep -c slow@x.test "$T/seen")" -eq 1 ]
  for i in 1 2 3 4; do [ "$(reply "r$i@x.test")" = "250 2.1.5 Ok: taken" ]; done
  [ "$(sed -n 's/ r.*//p' "$T/seen" | uniq -c | tr -s ' \n' ' ' | awk '{print $1, $3}')" = "2 2" ]
  ! grep -v '\[mine\]' "$T/seen"
  : > "$T/seen"
  recv_start -o "smtpd_recipient_restrictions=check_policy_service { inet:127.0.0.1:$POLICY, max_idle=0 }" -o smtpd_policy_service_default_action=DUNNO
  for i in 1 2 3; do [ "$(reply "i$i@x.test")" = "250 2.1.5 Ok: taken" ]; done
  [ "$(cut -d' ' -f1 "$T/seen" | sort -u | wc -l)" -eq 3 ]
  run mx-recv -c "$T/mx.conf" -o "smtpd_recipient_restrictions=check_policy_service { inet:127.0.0.1:$POLICY, timeou=1s }" </dev/null
  [ "$status" -eq 78 ]
  [[ "$output" == *'"timeou = 1s" is not known; known are timeout'* ]]
}
