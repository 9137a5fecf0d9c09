# mx-recv: a whole configuration of the kind that people have: a template of
# Postfix with Dovecot, postgrey, policyd-spf, block lists, and three
# listeners: 25, 465, and 10025 behind a content filter.  s4.main.cf is that
# file's smtpd part as it was published; only what names this machine's files
# and ports is replaced.
load ../lib/common
load recv

setup() {
  common_setup
  grey=$(free_port) dns=$(free_port)
  make_cert mail.example.com
  echo 'joe@example.com:{PLAIN}secret' > "$T/users"; chmod 644 "$T/users"
  {
    sed -e "s,/var/www/mail.example.com/ssl,$T,; s/10023/$grey/g" \
      -e "s,mysql:/etc/postfix/mysql_virtual_domains_maps.cf,inline:{example.com=yes}," \
      -e "s,mysql:/etc/postfix/mysql_virtual_sender_login_maps.cf,inline:{joe@example.com=joe@example.com ann@example.com=ann@example.com}," \
      -e "s/mysql:[^ ,]*/inline:{joe@example.com=joe}/g" "$HERE/s4.main.cf"
    cat <<X
run_directory = $T
auth_socket = exec:mx-auth
passdb = passwd-file:$T/users
auth_failure_delay = 0
mail_owner = $(id -un)
auth_user = $([ "$(id -u)" -eq 0 ] && echo nobody || id -un)
$([ "$(id -u)" -eq 0 ] && echo net_user = nobody)
smtpd_authorized_xclient_hosts = 127.0.0.1
# master.cf's -o of smtps and of 127.0.0.1:10025
submissions/smtpd_tls_wrappermode=yes
submissions/smtpd_sasl_auth_enable=yes
submissions/smtpd_tls_auth_only=yes
submissions/smtpd_client_restrictions=permit_sasl_authenticated,reject_unauth_destination,reject
submissions/smtpd_sasl_security_options=noanonymous,noplaintext
submissions/smtpd_sasl_tls_security_options=noanonymous
reinject/content_filter=
reinject/local_recipient_maps=
reinject/relay_recipient_maps=
reinject/smtpd_restriction_classes=
reinject/smtpd_delay_reject=no
reinject/smtpd_client_restrictions=permit_mynetworks,reject
reinject/smtpd_helo_restrictions=
reinject/smtpd_sender_restrictions=
reinject/smtpd_recipient_restrictions=permit_mynetworks,reject
reinject/smtpd_data_restrictions=reject_unauth_pipelining
reinject/smtpd_end_of_data_restrictions=
reinject/mynetworks=127.0.0.0/8
reinject/smtpd_error_sleep_time=0
reinject/smtpd_soft_error_limit=1001
reinject/smtpd_hard_error_limit=1000
reinject/smtpd_client_connection_count_limit=0
reinject/smtpd_client_connection_rate_limit=0
reinject/receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters
X
  } > "$T/mx.conf"
  cat > "$T/com" <<'Z'
$ORIGIN com.
@ 60 SOA ns h 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
good MX 10 mail.good
mail.good A 192.0.2.10
Z
  cat > "$T/org" <<'Z'
$ORIGIN org.
@ 60 SOA ns h 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
66.2.0.192.sbl.spamhaus A 127.0.0.2
66.2.0.192.sbl.spamhaus TXT "https://www.spamhaus.org/query/ip/192.0.2.66"
67.2.0.192.cbl.abuseat A 127.0.0.2
Z
  cat > "$T/arpa" <<'Z'
$ORIGIN 192.in-addr.arpa.
@ 60 SOA ns.com. h.com. 1 60 60 60 60
@ NS ns.com.
Z
  dns_serve "$dns" com "$T/com" org "$T/org" 192.in-addr.arpa "$T/arpa"
  cat > "$T/spf.py" <<'PY'
import os, socket, sys, threading
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); s.listen(5)
def serve(c):
    f = c.makefile("rw"); q = {}
    for l in f:
        l = l.rstrip("\n")
        if l: k, v = l.split("=", 1); q[k] = v; continue
        f.write("action=%s\n\n" % ("550 5.7.23 SPF: fail" if q["sender"].startswith("forged") else "PREPEND Received-SPF: pass (%s)" % q["client_address"])); f.flush()
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
PY
  spawn python3 "$T/spf.py" "$T/policy-spf"
  deliver_start
}
teardown() { common_teardown; }

start() {
  local p; mapfile -t p < <(free_port 3); P25=${p[0]} P465=${p[1]} P10025=${p[2]}
  spawn mx-recv -c "$T/mx.conf" --resolver "127.0.0.1:$dns" --listen "smtp=127.0.0.1:$P25" \
    --listen "submissions=127.0.0.1:$P465" --listen "reinject=127.0.0.1:$P10025"
  RECV=$SPAWNED RECV_LOG=$T/out.$((${#PIDS[@]} - 1))
  wait_port "$P25"
}
# stranger ADDR HELO FROM TO: the answer to the first refused command, or to the message
stranger() {
  python3 - "$P25" "$@" <<'PY'
import smtplib, sys
port, addr, helo, frm, to = sys.argv[1:]
s = smtplib.SMTP("127.0.0.1", int(port))
s.ehlo("x"); s.docmd("XCLIENT ADDR=%s NAME=[UNAVAILABLE]" % addr)
code, text = s.ehlo(helo)
for c in ("MAIL FROM:<%s>" % frm, "RCPT TO:<%s>" % to, "DATA"):
    if code in (250, 220): code, text = s.docmd(c)
if code == 354: s.send("Subject: x\r\n\r\nbody\r\n.\r\n"); code, text = s.getreply()
print(code, text.decode().split("\n")[-1]); s.close()
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; tail -5 "$RECV_LOG"; return 1; }; }

@test "the file loads; --check-config has advice and no error" {
  mx-recv -c "$T/mx.conf" --check-config > "$T/check" 2>&1 || { cat "$T/check"; false; }
  ! grep -v warning "$T/check"
  grep -q 'smtpd_tls_dh1024_param_file' "$T/check"
}

@test "port 25: block lists, HELO, sender and recipient domains, greylisting, SPF, what is logged" {
  command -v postgrey >/dev/null || skip "no postgrey here"
  mkdir "$T/grey"; : > "$T/white"; [ "$(id -u)" -ne 0 ] || chown postgrey "$T/grey"
  spawn postgrey --inet="127.0.0.1:$grey" --dbdir="$T/grey" --delay=1 --whitelist-clients="$T/white" --whitelist-recipients="$T/white" --auto-whitelist-clients=0
  wait_port "$grey"
  start
  python3 - "$P25" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); code, text = s.ehlo("x"); text = text.decode()
assert s.ehlo_resp.startswith(b"mail.example.com") and "SIZE 20480000" in text and "STARTTLS" in text and "AUTH" in text, text
assert s.docmd("VRFY joe")[0] == 502
assert s.docmd("MAIL FROM:<a@good.com>")[0] == 250
PY
  no_helo=$(python3 -c '
import smtplib,sys
s=smtplib.SMTP("127.0.0.1",int(sys.argv[1])); print(s.docmd("MAIL FROM:<a@b.c>")[0])' "$P25"); is "$no_helo" 503
  is "$(stranger 192.0.2.66 mail.good.com a@good.com joe@example.com)" "554 5.7.1 Service unavailable; Client host [192.0.2.66] blocked using sbl.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.66"
  is "$(stranger 192.0.2.67 mail.good.com a@good.com joe@example.com)" "554 5.7.1 Service unavailable; Client host [192.0.2.67] blocked using cbl.abuseat.org"
  is "$(stranger 192.0.2.10 'bad_name!' a@good.com joe@example.com)" "501 5.5.2 <bad_name!>: Helo command rejected: Invalid name"
  is "$(stranger 192.0.2.10 mail.good.com a@nowhere.com joe@example.com)" "450 4.1.8 <a@nowhere.com>: Sender address rejected: Domain not found"
  is "$(stranger 192.0.2.10 mail.good.com a@good.com x@good.com)" "554 5.7.1 <x@good.com>: Relay access denied"
  [[ "$(stranger 192.0.2.10 mail.good.com a@good.com bare)" == "504 5.5.2 "*"need fully-qualified address" ]]
  stranger 192.0.2.10 mail.good.com a@good.com joe@example.com > "$T/first"; cat "$T/first"
  [[ "$(cat "$T/first")" == "450 4."*"<joe@example.com>: Recipient address rejected: Greylisted"* ]]
  [ "$(mails)" -eq 0 ]
  # The server gives its field once a triplet, and DNS trouble defers behind its
  # question: the try it was spent on is no proof, the next sender's is.
  for from in a b c d; do
    greyed() {
      stranger 192.0.2.10 mail.good.com $from@good.com joe@example.com >> "$T/tries"
      [[ "$(tail -n 1 "$T/tries")" != "450 4."*Greylisted* ]]
    }
    wait_for 20 greyed
    [[ "$(tail -n 1 "$T/tries")" != "250 2.0.0"* ]] || break
  done
  [[ "$(tail -n 1 "$T/tries")" == "250 2.0.0"* ]] || { cat "$T/tries" "$RECV_LOG"; false; }
  grep -q '^Received-SPF: pass (192.0.2.10)' "$T"/box/msg.1
  grep -q '^X-Greylist: delayed' "$T"/box/msg.1 || { cat "$T/tries" "$RECV_LOG" "$T"/box/msg.1; false; }
  refused() { is "$(stranger 192.0.2.10 mail.good.com forged@good.com joe@example.com)" "550 5.7.23 <joe@example.com>: Recipient address rejected: SPF: fail"; }
  wait_for 20 refused
  passes() { [[ "$(stranger 192.0.2.10 short a@good.com joe@example.com)" == "250 2.0.0"* ]]; }
  wait_for 20 passes
  wait_for 5 grep -q 'NOQUEUE: reject_warning: RCPT from unknown\[192.0.2.10\]: 504 5.5.2 <short>: Helo command rejected: need fully-qualified hostname' "$RECV_LOG"
  wait_for 5 grep -q 'NOQUEUE: reject: RCPT from unknown\[192.0.2.66\]: 554 5.7.1 Service unavailable; Client host \[192.0.2.66\] blocked using sbl.spamhaus.org; .*; from=<a@good.com> to=<joe@example.com> proto=ESMTP helo=<mail.good.com>' "$RECV_LOG"
  unknown() { [[ "$(stranger 192.0.2.10 mail.good.com a@good.com unknown@example.com)" == "550 5.1.1 <unknown>"* ]]; }
  wait_for 20 unknown
}

@test "port 25: our own hosts pass without greylisting; sixteen recipients; twelve errors" {
  start
  python3 - "$P25" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("short"); s.docmd("MAIL FROM:<me@nowhere.com>")
r = [s.docmd("RCPT TO:<u%d@far.example>" % i)[0] for i in range(17)]
assert r == [250] * 16 + [452], r
PY
  python3 - "$P25" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("short")
r = [s.docmd("FROB")[0] for _ in range(12)]
assert r == [500] * 12 and s.getreply()[0] == 421, r
PY
}

@test "port 465: nobody without a login; a login may use its own sender alone, and send anywhere" {
  start
  python3 - "$P465" <<'PY'
import smtplib, ssl, sys
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
def connect(): s = smtplib.SMTP_SSL("127.0.0.1", int(sys.argv[1]), context=ctx); s.ehlo("me.test"); return s
s = connect(); s.docmd("MAIL FROM:<a@good.com>"); c, t = s.docmd("RCPT TO:<joe@example.com>"); assert c == 554 and b"Client host rejected: Access denied" in t, (c, t)
c, t = s.docmd("RCPT TO:<x@far.example>"); assert c == 554 and b"Relay access denied" in t, (c, t)
s = connect(); assert s.login("joe@example.com", "secret")[0] == 235
s.docmd("MAIL FROM:<joe@example.com>"); assert s.docmd("RCPT TO:<x@far.example>")[0] == 250
s.docmd("DATA"); s.send("Subject: x\r\n\r\n.\r\n"); assert s.getreply()[0] == 250
PY
  tr -s '\r\n\t ' ' ' < "$T"/box/msg.1 | grep -q '(Authenticated sender: joe@example.com) by mail.example.com .* with ESMTPSA id'
}

@test "port 10025: the filter hands back, XFORWARD is told on; strangers get nothing" {
  start
  python3 - "$P10025" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); c, t = s.ehlo("localhost"); assert b"XFORWARD" in t
assert s.docmd("XFORWARD NAME=mail.good.com ADDR=192.0.2.10 HELO=mail.good.com PROTO=ESMTP")[0] == 250
assert s.docmd("MAIL FROM:<a@nowhere.com>")[0] == 250
for r in ("joe@example.com", "x@far.example"): assert s.docmd("RCPT TO:<%s>" % r)[0] == 250
for _ in range(30): assert s.docmd("RCPT TO:<>")[0] == 501
s.docmd("DATA"); s.send("Subject: x\r\n\r\n.\r\n"); assert s.getreply()[0] == 250
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("x")
assert s.docmd("XCLIENT ADDR=192.0.2.10")[0] == 554
PY
  grep -q 'ADDR=192.0.2.10' "$T/box/env.1"
}
