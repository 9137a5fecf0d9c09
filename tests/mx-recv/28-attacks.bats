# mx-recv: clients that want more than is theirs: relaying by odd addresses
# (THREATS 15, 16, 21), two deliveries of one message, half of one (11, 14),
# the login of before STARTTLS (8, 48).
load ../lib/common
load recv

setup() { common_setup; make_cert mx.test; deliver_start; }
teardown() { common_teardown; }

start() {
  recv_conf "smtpd_peername_lookup = no" "mynetworks =" "smtpd_tls_cert_file = $T/mx.test.crt" \
    "smtpd_tls_key_file = $T/mx.test.key" "smtpd_hard_error_limit = 1000" "$@"
  recv_start
}

@test "no address that looks local leads elsewhere, whoever the sender is" {
  start
  cat > "$T/try.py" <<'PY'
import smtplib, sys
bad = ['b@far.test', 'b@FAR.test', 'b@far.test.', '@mx.test:b@far.test', '@mx.test,@far.test:b@else.test',
       '"b@far.test"@mx.test', 'b%far.test@mx.test', '"b%far.test"@mx.test', 'far.test!b@mx.test', '"far.test!b"@mx.test',
       'b@far.test@mx.test', 'b@mx.test@far.test', 'b@mx.test,c@far.test', 'b@[192.0.2.1]', 'b@[IPv6:2001:db8::1]',
       'b@[mx.test]', 'b@mx.test\tc@far.test', 'b(@mx.test)@far.test', 'b@far.test(@mx.test)', '"b"@far.test', '"b\\"@mx.test"@far.test',
       'b@mx.testfar.test', 'b@far-mx.test', 'b@.mx.test', 'b@mx..test', '@far.test', 'b@', '-b@mx.test', '"-b"@mx.test', '"\\-b"@mx.test',
       'b@mx.test>\tSIZE=1', '<b@far.test>', 'b\0@mx.test', 'b@mx.test\0.far.test', 'b@xn--mx.test', 'b@m\u0445.test']
good = ['b@mx.test', 'B@MX.TEST', '@far.test:b@mx.test', '"b"@mx.test', 'b+far.test@mx.test', 'postmaster']
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test")
wrong = []
for sender in ["<a@x.test>", "<>", "<root@mx.test>", "<postmaster@mx.test>"]:
    for want, l in ((False, bad), (True, good)):
        for r in l:
            assert s.docmd("MAIL FROM:" + sender)[0] == 250
            s.send(("RCPT TO:<" + r + ">\r\n").encode("utf-8")); code, text = s.getreply()
            if (code == 250) != want: wrong.append((sender, r, code, text))
            s.docmd("RSET")
    s.close(); s.connect("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test")
for w in wrong: print(w)
sys.exit(bool(wrong))
PY
  python3 "$T/try.py" "$PORT"
  # and what is let in goes on without its route
  ! grep -a '^RCPT' "$T/box/log" | grep -v -i '<"\?b"\?\(+far.test\)\?@mx.test>\|<postmaster@'
}

@test "a connection that is reset behind the dot: one delivery; one cut inside TLS: none" {
  start
  python3 - "$PORT" <<'PY'
import socket, struct, sys
def talk(c, f, lines):
    for l in lines:
        c.sendall(l + b"\r\n")
        while f.readline()[3:4] == b"-": pass
hello = [b"EHLO me.test", b"MAIL FROM:<a@x.test>", b"RCPT TO:<b@mx.test>", b"DATA"]
c = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); f = c.makefile("rb"); f.readline()
talk(c, f, hello)
c.sendall(b"Subject: reset\r\n\r\nx\r\n.\r\n")
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); f.close(); c.close()
PY
  wait_for 10 test -e "$T/box/msg.1"
  python3 - "$PORT" <<'PY'
import os, smtplib, ssl, sys
for end in (b"", b"x\r\n", b"x\r\n.", b"x\r\n.\r"):
    ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
    s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.starttls(context=ctx); s.ehlo("me.test")
    s.docmd("MAIL FROM:<a@x.test>"); s.docmd("RCPT TO:<b@mx.test>"); s.docmd("DATA")
    s.sock.sendall(b"Subject: cut\r\n\r\n" + end)
    # the end of TCP, without close_notify
    os.close(s.sock.detach())
PY
  wait_for 10 sh -c "[ \$(grep -c 'lost connection after DATA' '$RECV_LOG') -ge 4 ]"
  [ "$(mails)" -eq 1 ]
}

@test "a login is forgotten with STARTTLS, and is nobody else's" {
  echo 'joe:{PLAIN}secret' > "$T/users"; chmod 644 "$T/users"
  start "smtpd_sasl_auth_enable = yes" "smtpd_tls_auth_only = no" "auth_socket = exec:mx-auth" "passdb = passwd-file:$T/users" \
    "auth_user = $([ "$(id -u)" -eq 0 ] && echo nobody || id -un)" "default_process_limit = 1" "auth_failure_delay = 0"
  login="> AUTH PLAIN $(printf '\0joe\0secret' | base64 -w0)
< 235"
  relay="> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@far.test>"
  talk <<<"< 220
> EHLO me.test
<- 250
$login
$relay
< 250
> RSET
< 250
$relay
< 250
> RSET
< 250
> STARTTLS
< 220
tls
> EHLO me.test
<- 250
$relay
< 554 5.7.1"
  # nor of who comes next to the same worker, nor half of one
  talk <<<"< 220
> EHLO me.test
<- 250
$relay
< 554 5.7.1
> RSET
< 250
> AUTH PLAIN
< 334
> *
< 501
$relay
< 554 5.7.1
> RSET
< 250
> AUTH PLAIN $(printf '\0joe\0wrong' | base64 -w0)
< 535
$relay
< 554 5.7.1"
}
