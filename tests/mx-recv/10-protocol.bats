# mx-recv: the protocol, a table of cases (protocol.cases); LMTP, reinjection,
# XCLIENT, XFORWARD, PROXY, rates, submission.
load ../lib/common
load recv

setup() { common_setup; recv_conf "smtpd_peername_lookup = no" "mynetworks = 127.0.0.99"; deliver_start; }
teardown() { common_teardown; }

@test "the table of protocol cases" {
  make_cert mx.test
  local n tls=(-o "smtpd_tls_cert_file=$T/mx.test.crt" -o "smtpd_tls_key_file=$T/mx.test.key") args=()
  start() { n=$1; shift; recv_start "$@"; args+=("$n=$PORT"); }
  start plain -o message_size_limit=50000 -o smtpd_recipient_limit=5
  start strict -o smtpd_forbid_bare_newline=reject
  start small -o message_size_limit=100 -o smtpd_hard_error_limit=6 -o disable_vrfy_command=yes -o line_length_limit=512
  start tls "${tls[@]}"
  start enforce "${tls[@]}" -o smtpd_enforce_tls=yes
  start wrapped "${tls[@]}" -o smtpd_tls_wrappermode=yes
  # a delivery side of LMTP
  spawn python3 "$HERE/fake_delivery.py" "$T/lmtp" "$T/lbox" lmtp; wait_for 10 test -S "$T/lmtp"
  start lmtp --mode lmtp -o "delivery=unix:$T/lmtp"
  python3 "$HERE/cases.py" "$HERE/protocol.cases" "${args[@]}" > "$T/cases" || { cat "$T/cases"; false; }
  cat "$T/cases"
  [ "$(sed -n 's/ cases, 0 failed//p' "$T/cases")" -ge 200 ]
}

@test "LMTP: a reply for each recipient, from an LMTP side and from mx-deliver; one from an ESMTP side is all's" {
  spawn python3 "$HERE/fake_delivery.py" "$T/lmtp" "$T/lbox" lmtp "final=250 2.0.0 one|452 4.2.2 two full|550 5.7.1 three refused"
  wait_for 10 test -S "$T/lmtp"
  s='LHLO me
MAIL FROM:<a@x.test>
RCPT TO:<b@mx.test>
RCPT TO:<unknown@mx.test>
RCPT TO:<c@mx.test>
RCPT TO:<d@mx.test>
DATA
x
.
NOOP
QUIT'
  pipe --mode lmtp -o "delivery=unix:$T/lmtp" <<<"$s" | tr -d '\r' | sed -n '/^354/,$p' > "$T/out"
  diff "$T/out" - <<'X'
354 End data with <CR><LF>.<CR><LF>
250 2.0.0 one
452 4.2.2 two full
550 5.7.1 three refused
250 2.0.0 Ok
221 2.0.0 Bye
X
  pipe --mode lmtp <<<"$s" | tr -d '\r' | sed -n '/^354/,$p' > "$T/out"
  [ "$(grep -c '^250 2.0.0 Ok: stored' "$T/out")" -eq 3 ]
  [ "$(mails)" -eq 1 ]
  # what mx-recv itself refuses is said to each
  pipe --mode lmtp -o message_size_limit=1 <<<"$s" | tr -d '\r' | sed -n '/^354/,$p' > "$T/out"
  [ "$(grep -c '^552 5.3.4' "$T/out")" -eq 3 ]
  grep -q '^221 2.0.0' "$T/out"
  grep -q '^XFORWARD .*PROTO=LMTP' "$T/box/log"
  grep -q 'with LMTP id' "$T"/box/msg.1
}

@test "Postfix's lmtp client in front" {
  command -v /usr/lib/postfix/sbin/lmtp >/dev/null || command -v smtp-source >/dev/null || skip "no Postfix here"
  recv_start --mode lmtp
  smtp-source -L -c -m 5 -s 2 -f a@x.test -t b@mx.test "127.0.0.1:$PORT"
  [ "$(mails)" -eq 5 ]
}

@test "XCLIENT: an authorised host speaks for another; everything follows" {
  recv_start -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o "smtpd_client_restrictions=check_client_access inline:{ {192.0.2=REJECT} {spam.test=REJECT} {2001:db8=REJECT} }" -o mynetworks=198.51.100.0/24 -o "smtpd_helo_restrictions=check_helo_access inline:{evil.test=REJECT}"
  talk <<'X'
< 220
> EHLO proxy
<- XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME
> XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] PORT=1234
< 220 mx.test
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied
> RSET
< 250
> XCLIENT ADDR=198.51.100.9 NAME=mail.good.test HELO=good.test PROTO=ESMTP LOGIN=joe+40mx.test
< 220
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<any@far.test>
< 250
> RSET
< 250
> XCLIENT ADDR=IPV6:2001:db8::5 HELO=evil.test
< 220
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 554 5.7.1 <mail.good.test[2001:db8::5]>: Client host rejected
> RSET
< 250
> XCLIENT ADDR=1.2.3
< 501 5.5.4 Bad XCLIENT attribute: ADDR
> XCLIENT
< 501 5.5.4
> XCLIENT FROB=1
< 501 5.5.4
X
  grep -q 'LOGIN=joe+40mx.test' "$T/box/log" || grep -q 'LOGIN=joe@mx.test' "$T/box/log"
  wait_for 5 grep -q 'XCLIENT from 127.0.0.1: now mail.good.test\[198.51.100.9\]' "$RECV_LOG"
  # not authorised: not offered, not taken
  recv_start -o smtpd_authorized_xclient_hosts=127.0.0.2
  talk <<'X'
< 220
> EHLO proxy
< 250
> XCLIENT ADDR=192.0.2.7
< 550 5.7.0
X
}

@test "XCLIENT: a client without address is still one of the network, not this host" {
  recv_start -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o mynetworks=127.0.0.0/8 \
    -o smtpd_sender_restrictions=reject_plaintext_session -o smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination
  talk <<'X'
< 220
> XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]
< 220
> EHLO me.test
<- 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@far.test>
< 450 4.7.1 <a@x.test>: Sender address rejected: Session encryption is required
> QUIT
< 221
X
}

@test "XFORWARD: for one transaction, told to the delivery side and the log" {
  recv_start -o smtpd_authorized_xforward_hosts=127.0.0.1
  talk <<'X'
< 220
> EHLO filter
<- XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE
> XFORWARD NAME=spike.test ADDR=192.0.2.3 PROTO=ESMTP IDENT=AB12
< 250 2.0.0 Ok
> XFORWARD HELO=spike.helo SOURCE=REMOTE
< 250 2.0.0 Ok
> XFORWARD ADDR=nothing
< 501 5.5.4
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
> x
> .
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
X
  grep -a '^XFORWARD' "$T/box/log" | tr '\n' ' ' > "$T/x"
  grep -q '^XFORWARD NAME=spike.test ADDR=192.0.2.3 .*PROTO=ESMTP HELO=spike.helo.*SOURCE=REMOTE.*XFORWARD .*ADDR=127.0.0.1' "$T/x"
  wait_for 5 grep -q 'client=unknown\[127.0.0.1\], orig_client=spike.test\[192.0.2.3\], orig_queue_id=AB12' "$RECV_LOG"
}

@test "PROXY v1 and v2: obligatory where configured, from trusted proxies only; before TLS too" {
  make_cert mx.test
  cat > "$T/proxy.py" <<'PY'
import socket, ssl, struct, sys
port, kind, src, tls = int(sys.argv[1]), sys.argv[2], sys.argv[3], len(sys.argv) > 4
c = socket.create_connection(("127.0.0.1", port), 10)
v2 = b"\r\n\r\n\0\r\nQUIT\n"
if kind == "v1": c.sendall(("PROXY TCP4 %s 127.0.0.1 1025 25\r\n" % src).encode())
if kind == "v1slow":
    for b in ("PROXY TCP4 %s 127.0.0.1 1025 25\r\n" % src).encode(): c.sendall(bytes([b]))
if kind == "v2": c.sendall(v2 + b"\x21\x11" + struct.pack("!H", 12 + 7) + socket.inet_aton(src) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 1025, 25) + b"\x04\0\4abcd")
if kind == "local": c.sendall(v2 + b"\x20\0\0\0")
if kind == "none": c.sendall(b"EHLO me.test\r\n")
if kind == "bad": c.sendall(b"PROXY TCP4 999.1.1.1 127.0.0.1 1025 25\r\n")
if tls:
    ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
    c = ctx.wrap_socket(c)
f = c.makefile("rb")
try: g = f.readline()
except OSError: g = b""
if not g: print("closed"); sys.exit()
for cmd in (b"EHLO x", b"MAIL FROM:<a@x.test>", b"RCPT TO:<b@mx.test>"):
    c.sendall(cmd + b"\r\n")
    while True:
        l = f.readline()
        if l[3:4] != b"-": break
print(l.decode().strip())
PY
  no="554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied"
  o=(-o smtpd_upstream_proxy_protocol=haproxy -o proxy_networks=127.0.0.0/8 -o "smtpd_client_restrictions=check_client_access inline:{192.0.2=REJECT}")
  recv_start "${o[@]}"
  for k in v1 v1slow v2; do [ "$(python3 "$T/proxy.py" "$PORT" $k 192.0.2.7)" = "$no" ]; done
  [ "$(python3 "$T/proxy.py" "$PORT" v1 198.51.100.1)" = "250 2.1.5 Ok: taken" ]
  [ "$(python3 "$T/proxy.py" "$PORT" local 0.0.0.0)" = "250 2.1.5 Ok: taken" ]
  for k in none bad; do [ "$(python3 "$T/proxy.py" "$PORT" $k 192.0.2.7)" = closed ]; done
  wait_for 5 grep -q 'connect from unknown\[192.0.2.7\]' "$RECV_LOG"
  wait_for 5 grep -q '127.0.0.1: no PROXY header, or a bad one: closed' "$RECV_LOG"
  recv_start "${o[@]}" -o smtpd_tls_wrappermode=yes -o "smtpd_tls_cert_file=$T/mx.test.crt" -o "smtpd_tls_key_file=$T/mx.test.key"
  for k in v1 v2; do [ "$(python3 "$T/proxy.py" "$PORT" $k 192.0.2.7 tls)" = "$no" ]; done
  recv_start "${o[@]}" -o proxy_networks=192.0.2.1
  [ "$(python3 "$T/proxy.py" "$PORT" v1 192.0.2.7)" = closed ]
  wait_for 5 grep -q '127.0.0.1 is not in proxy_networks: closed' "$RECV_LOG"
  # where it is not configured it is a command, and an unknown one
  recv_start; [ "$(printf 'PROXY TCP4 192.0.2.7 127.0.0.1 1 25\r\n' | timeout 5 python3 -c '
import socket,sys
c=socket.create_connection(("127.0.0.1",int(sys.argv[1]))); f=c.makefile("rb"); f.readline(); c.sendall(sys.stdin.buffer.read()); print(f.readline().decode()[:3])' "$PORT")" = 500 ]
}

@test "rates: connections, messages, recipients, over all workers; exceptions; IPv6 per /64 is one client" {
  recv_start -o smtpd_client_connection_rate_limit=5 -o smtpd_client_message_rate_limit=2 -o smtpd_client_recipient_rate_limit=3 -o anvil_rate_time_unit=3600s
  python3 - "$PORT" <<'PY'
import smtplib, socket, sys
def connect(src="127.0.0.1"):
    c = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10, (src, 0)); f = c.makefile("rb"); return c, f, f.readline()
k = [connect() for _ in range(5)]
assert all(g.startswith(b"220") for _, _, g in k), k
assert connect()[2] == b"421 4.7.0 Error: too many connections from 127.0.0.1\r\n"
assert connect("127.0.0.2")[2].startswith(b"220")
assert connect("127.0.0.99")[2].startswith(b"220")
def say(f, c, line):
    c.sendall(line + b"\r\n")
    while True:
        l = f.readline()
        if l[3:4] != b"-": return l
def mail(i, n):
    c, f, _ = k[i]; say(f, c, b"EHLO x"); r = [say(f, c, b"MAIL FROM:<a@x.test>")]
    return r + [say(f, c, b"RCPT TO:<b@mx.test>") for _ in range(n)]
assert [r[:3] for r in mail(0, 2)] == [b"250"] * 3
assert [r[:9] for r in mail(1, 2)] == [b"250 2.1.0", b"250 2.1.5", b"450 4.7.1"], "recipients"
r = mail(2, 0)
assert r == [b"450 4.7.1 Error: too much mail from 127.0.0.1\r\n"], r
PY
  wait_for 5 grep -q 'warning: Connection rate limit exceeded: 6 from unknown\[127.0.0.1\] for service smtp' "$RECV_LOG"
  wait_for 5 grep -q 'warning: Message delivery request rate limit exceeded: 3 from' "$RECV_LOG"
}

@test "submission: what a program left out is added, what is there stays" {
  python3 - "$T" <<'PY'
import subprocess, sys
T = sys.argv[1]
def one(body, mode="submission", sender="joe@mx.test"):
    s = "EHLO me\r\nMAIL FROM:<%s>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n%s.\r\nQUIT\r\n" % (sender, body.replace("\n", "\r\n"))
    subprocess.run(["mx-recv", "-c", T + "/mx.conf", "--mode", mode, "-o", "smtpd_relay_restrictions="], input=s.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    import glob, os
    f = max(glob.glob(T + "/box/msg.*"), key=os.path.getmtime); d = open(f, "rb").read().decode().replace("\r\n", "\n")
    os.unlink(f)
    i = d.index("Received:"); rest = d[i:].split("\n")
    j = 1
    while rest[j][:1] in " \t": j += 1
    return "\n".join(rest[j:])
m = one("Subject: x\n\nbody\n")
import re
assert re.match(r"Subject: x\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} [+-]\d{4}\nMessage-ID: <\d+\.\w+@mx\.test>\nFrom: joe@mx\.test\n\nbody\n$", m), m
full = "From: a@b\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nmessage-id: <1@x>\nX: 1\n folded\n\nbody\n"
assert one(full) == full
m = one("From: a@b\nDate: y\nMessage-ID: <1@x>\nResent-To: c@d\n\nbody\n")
assert "Resent-Date: " in m and "Resent-Message-ID: " in m and "Resent-From: joe@mx.test" in m, m
m = one("just a body\nwithout header\n"); assert m.startswith("Date: ") and m.endswith("\n\njust a body\nwithout header\n"), m
m = one(""); assert m.startswith("Date: ") and m.endswith("From: joe@mx.test\n\n"), m
assert "\nFrom:" not in one("Subject: x\n\n", sender="")
assert one("Subject: x\n\nbody\n", mode="smtp") == "Subject: x\n\nbody\n"
big = "X-Big: " + "\n ".join(["y" * 70] * 5000) + "\n\nbody\n"
assert one(big) == big
PY
}

@test "Authenticated sender in Received only when asked" {
  recv_start -o smtpd_authorized_xclient_hosts=127.0.0.1 -o smtpd_sasl_authenticated_header=yes
  talk <<'X' >/dev/null
< 220
> XCLIENT LOGIN=joe
< 220
> EHLO me
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
> x
> .
< 250
X
  tr -d '\r\n\t' < "$T"/box/msg.1 | grep -q '(Authenticated sender: joe)'
}

@test "reinjection: our own hosts only, checks off, XFORWARD believed, errors not punished" {
  recv_start --mode reinject -o mynetworks=127.0.0.1
  talk <<'X'
< 220
> EHLO filter
<- XFORWARD
> XFORWARD NAME=x.test ADDR=192.0.2.3
< 250
> MAIL FROM:<spam@nowhere.invalid>
< 250
> RCPT TO:<anybody@anywhere.example>
< 250
> DATA
< 354
> x
> .
< 250
X
  recv_start --mode reinject -o mynetworks=127.0.0.2
  talk <<'X'
< 554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied
eof
X
}
