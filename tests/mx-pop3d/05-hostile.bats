# Hostile clients: none costs memory, hangs a worker or ends the server.
load ../lib/common
load pop3
setup() { common_setup; pop3_serve "login_timeout = 3s"; mails joe 3; }
teardown() { common_teardown; }

@test "bytes of every kind before and behind the login: answered or closed, the server goes on" {
  py <<'PY'
import random
random.seed(5)
port, tls = os.environ["POP3"], os.environ["POP3S"]
words = [b"USER", b"PASS", b"AUTH", b"STLS", b"CAPA", b"UTF8", b"RETR", b"TOP", b"LIST", b"UIDL", b"DELE", b"RSET", b"NOOP", b"\xff\xfe", b"\0", b"A" * 200, b" ", b"\r", b"1", b"99999999999", b"-1", b"=", b"*", b"%s%n", b"../../x"]
def junk():
    return b" ".join(random.choice(words) for _ in range(random.randint(1, 5))) + random.choice([b"\r\n", b"\n", b"\r\n\r\n", b"\n\n", b""])
def feed(c, n):
    try:
        for _ in range(n): c.send(junk())
        if c.sock and not isinstance(c.sock, ssl.SSLSocket): c.sock.shutdown(socket.SHUT_WR)
        else: c.send(b"\r\nQUIT\r\n")
        out = c.f.read()
        assert not out or out.endswith(b"\n"), out[-200:]
    except OSError: pass
for i in range(40): feed(connect(port), 6)
for i in range(20): feed(login(tls), 30)
c = login(tls); assert len(c.multi("LIST")) == 3; c.quit().ok()
PY
  ! grep -E "panic|signal|Sanitizer" "$MX_LOG" "$T"/out.*
}

@test "in a session: a line without end, twenty bad commands, a client that does not read" {
  py <<'PY'
tls = os.environ["POP3S"]
c = login(tls); c.send(b"RETR " + b"1" * 600); assert c.closed().endswith(b"-ERR Line too long\r\n")
c = login(tls)
for i in range(19): assert c.cmd("XYZ") == b"-ERR Unknown command"
assert c.cmd("XYZ") == b"-ERR Too many bad commands" and c.closed() == b""
# a client that asks and asks and does not read: the worker holds a bounded part of it
deliver("mail/joe", "1700000050.M1P1.h", b"Subject: big\n\n" + b"x" * 78 + (b"\n" + b"x" * 78) * 200000)
os.system("chown -R nobody: mail/joe") if os.getuid() == 0 else None
c = login(tls)
c.sock.settimeout(2)
try:
    for i in range(2000): c.send("RETR 4\r\n" * 100)
except (TimeoutError, ssl.SSLError): pass
def rss(p): return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p}/status").read()).group(1))
sizes = {}
for p in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.readlink(f"/proc/{p}/exe").endswith("/mx-pop3d"): sizes[p] = rss(p)
    except OSError: pass
assert "san" in os.environ["MX_BUILD"] or max(sizes.values()) < 30000, sizes
d = login(tls); assert len(d.multi("LIST")) == 4; d.quit().ok()
PY
}

@test "slow ones: a byte at a time ends at login_timeout; a hundred silent connections keep nobody out" {
  py <<'PY'
port, tls = os.environ["POP3"], os.environ["POP3S"]
c = connect(port); t = time.time()
try:
    for b in b"USER " + b"x" * 1000: c.send(bytes([b])); time.sleep(0.05); assert time.time() - t < 20
except (ConnectionError, BrokenPipeError): pass
held = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(40)]
login(tls).quit().ok()
PY
}
