# Hostile clients: none costs memory, hangs a worker or ends the server; a
# hostile script costs its checker's time and no more.
load ../lib/common
load sieved
setup() { common_setup; }
teardown() { [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 "$MX_LOG"; common_teardown; }

@test "bytes of every kind before and behind the login: answered or closed, the server goes on" {
  sieve_serve "login_timeout = 5s"
  py <<'PY'
import random
random.seed(7)
words = [b"NOOP", b"AUTHENTICATE", b"STARTTLS", b"CAPABILITY", b"PUTSCRIPT", b"GETSCRIPT", b"HAVESPACE", b"SETACTIVE", b"RENAMESCRIPT", b"LISTSCRIPTS", b'"PLAIN"', b'"a"', b'"', b'"\\', b"{3+}\r\nabc",
         b"{9999+}\r\nx", b"{0+}\r\n", b"{+}", b"{4294967295+}", b"{-1+}", b"\xff\xfe", b"\0", b"A" * 200, b" ", b"\r", b"1", b"99999999999", b'"../../x"', b'"=""']
def junk():
    return b" ".join(random.choice(words) for _ in range(random.randint(1, 5))) + random.choice([b"\r\n", b"\n", b"\r\n\r\n", b""])
def feed(c, n):
    try:
        for _ in range(n): c.send(junk())
        if not isinstance(c.sock, ssl.SSLSocket): c.sock.shutdown(socket.SHUT_WR)
        else: c.sock = c.sock.unwrap()
        out = c.f.read()
        assert not out or out.endswith(b"\n"), out[-200:]
    except (OSError, ValueError): pass
for i in range(40): feed(connect(), 6)
for i in range(15): feed(login(), 20)
c = login(); c.cmd("NOOP").ok(); c.logout()
PY
  ! grep -E "panic|signal|Sanitizer" "$MX_LOG" "$T"/out.*
  [ -z "$(ls "$T"/mail/joe/sieve/tmp)" ]
}

@test "a literal behind what is no command is dropped, never executed" {
  sieve_serve
  py <<'PY'
c = login(); c.cmd('PUTSCRIPT "keep" ', b"keep;").ok()
inner = b'DELETESCRIPT "keep"\r\n'
for start in (b'PUTSCRIPT "a\\x" ', b'FOO ( ', b'NOOP "a" "b" "c" "d" "e" "f" ', b'\xff ', b'PUTSCRIPT "x"'):
    for plus in (b"+", b""):
        c.send(start + b"{%d%s}\r\n" % (len(inner), plus) + inner + b"\r\n")
        c.answer(); assert c.word == b"NO", (start, c.word)
        c.cmd('GETSCRIPT "keep"').ok()
# two of them, and before the login
c.send(b'FOO ( {5+}\r\nabcde {%d+}\r\n' % len(inner) + inner + b"\r\n"); c.answer(); assert c.word == b"NO"
c.cmd('GETSCRIPT "keep"').ok(); c.logout()
d = connect(); d.send(b'FOO ( {8+}\r\nLOGOUT\r\n\r\n'); d.answer(); assert d.word == b"NO", d.word
d.cmd("NOOP").ok()
PY
}

@test "in a session: lines and literals without end, twenty bad commands; memory is bounded" {
  sieve_serve "sieve_max_script_size = 100k"
  py <<'PY'
def gone(c):
    try:
        while True: c.answer()
    except (AssertionError, OSError): return c.word == b"BYE"
c = login(); c.send(b'NOOP "' + b"x" * 9000); assert gone(c)
c = login(); c.send(b'PUTSCRIPT "a" {4294967295+}\r\n'); assert gone(c)
c = login(); c.cmd('PUTSCRIPT "a" ', b"#" * 3000000).no(b"QUOTA/MAXSIZE"); c.cmd("CHECKSCRIPT ", b"#" * 3000000).no(b"QUOTA/MAXSIZE"); c.cmd("GETSCRIPT ", b"x" * 300000).no()
c.cmd('PUTSCRIPT {200000+}\r\n' + "x" * 200000 + ' "keep;"').no()
c.cmd("NOOP").ok()
big = [login() for _ in range(3)]
for d in big: d.send(b'PUTSCRIPT "a" {15000000+}\r\n' + b"#" * 14000000) # and then nothing
def rss(p): return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p}/status").read()).group(1))
sizes = {}
for p in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.readlink(f"/proc/{p}/exe").endswith("/mx-sieved"): sizes[p] = rss(p)
    except OSError: pass
assert "san" in os.environ["MX_BUILD"] or max(sizes.values()) < 30000, sizes
c.logout()
PY
}

@test "hostile scripts: deep, huge, endless: an answer in time, nothing stored" {
  : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf MX_LOG=$T/mail.log
  py <<'PY'
c = preauth()
for s in (b"if not " * 100000 + b"true { keep; }", b"if true { " * 20000 + b"}" * 20000, b'require ["variables", "regex"]; set "a" "' + b"x" * 500000,
          b"anyof(" * 50000, b"/*" * 100000, b'text:\n' * 10000, b"[" * 100000, b'keep "' + b"\\" * 100001, b"\xff" * 10000, b'require "include"; include "x"; ' * 300):
    c.cmd("CHECKSCRIPT ", s); assert c.word in (b"NO", b"OK"), c.word
    assert c.word == b"NO" or s.startswith(b"require"), s[:40]
    assert len(c.text) < 10000
c.cmd("NOOP").ok(); assert c.list() == [] and os.listdir("home/sieve/tmp") == []
PY
}
