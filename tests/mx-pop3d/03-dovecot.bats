# One Maildir by Dovecot's POP3 server and by mx in turn: the same list, the
# same unique ids, the same bytes, whoever came first.
load ../lib/common
load pop3
setup() { common_setup; need_root; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; dovecot; }
teardown() { common_teardown; }

dovecot() {
  cat > "$T/dovecot.conf" <<CF
base_dir = $T/dovecot
log_path = $T/dovecot.log
mail_uid = $(id -u nobody)
mail_gid = $(id -g nobody)
first_valid_uid = 1
protocols = pop3
ssl = no
default_internal_user = nobody
default_login_user = nobody
mail_location = maildir:$T/m
CF
}
PRELUDE='
def dovecot():
    os.system("mkdir -p m; chown -R nobody:nogroup m")
    p = subprocess.Popen(["doveadm", "-c", "dovecot.conf", "exec", "pop3"], env={**os.environ, "HOME": os.getcwd(), "USER": "nobody"},
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return Client(p.stdout, proc=p, greets=False)
def mx(): return preauth("m")
def state(make):
    c = make()
    uidl, sizes = c.multi("UIDL"), c.multi("LIST")
    out = (uidl, sizes, c.cmd("STAT"), [c.message("RETR %d" % i) for i in range(1, len(uidl) + 1)], [c.message("TOP %d 1" % i) for i in range(1, len(uidl) + 1)])
    c.quit()
    return out
def same():
    a, b = state(dovecot), state(mx)
    assert a == b, (a, b)
    b, a = state(mx), state(dovecot)
    assert a == b, (a, b)
    return a
n = 0
def arrive(k):
    global n
    for i in range(k):
        n += 1
        deliver("m", f"17000{n:05}.M1P1.host", b"From: a@x.test\nSubject: %d\n\n%s.dot\nline\n" % (n, b"x\n" * (n % 5)))
'
dpy() { { echo "$PRELUDE"; cat; } | py; }

@test "UIDL, LIST, STAT, RETR, TOP are the same, both ways, round after round" {
  dpy <<'PY'
known = {}
for rnd, (first, second) in enumerate([(dovecot, mx), (mx, dovecot)] * 3):
    arrive(4)
    for make in (first, second):
        c = make()
        u = c.multi("UIDL")
        for l in u:
            i, uid = l.split()
            msg = c.message("RETR " + i.decode())
            assert known.setdefault(uid, msg) == msg, (rnd, uid)
        c.cmd("DELE %d" % (rnd % 3 + 1)).ok()
        c.quit().ok()
    same()
assert len(known) == 24, len(known)
PY
}

@test "a unique id kept from a former server counts before the format, with both; so does a format with both" {
  dpy <<'PY'
arrive(3)
state(dovecot)
text = open("m/dovecot-uidlist").read()
open("m/dovecot-uidlist", "w").write(text.replace("\n2 W", "\n2 Pold-uidl.7 W"))
os.system("rm -f m/dovecot.index*; chown -R nobody: m")
assert same()[0][1] == b"2 old-uidl.7"
PY
  echo "pop3_uidl_format = %v-%u" | tee -a "$T/dovecot.conf" > "$T/mx.conf"
  dpy <<'PY'
assert same()[0][0].endswith(b"-1")
PY
}

@test "odd messages: dots, no last line end, bare CR, empty, header alone, NUL, long lines: RETR, TOP, LIST as Dovecot's; LAST and RSET" {
  dpy <<'PY'
# RFC 1939 3: Dovecot leaves a dot alone that is a message's first byte, and ends a message of no bytes by a line
ours = {b"": (b"", b"0"), b".": (b".\r\n", b"1"), b"..\n.\n": (b"..\r\n.\r\n", b"7"), b".Subject: a\n\n.b": (b".Subject: a\r\n\r\n.b\r\n", b"17")}
odd = [b"\n", b"\n\n", b"Subject: a", b"Subject: a\n", b"Subject: a\n\n", b"Subject: a\n\n.", b"Subject: a\n\n.\n..\n...\nx",
       b"Subject: a\r\n\r\n.\r\nb\r\n", b"Subject: a\r\n\nb\r\n.c\n", b"Subject: a\n\nb\rc\r\rd\n", b"Subject: a\n\nends in CR\r", b"Subject: a\r\rb\n\nx\n",
       b"Subject: a\n\n" + b"x" * 70000 + b"\n." + b"y" * 70000, b"Subject: a\n.b: c\n\n.\n\n\n.\n", b"no header at all\n\n.\n", b"\r\nbody\r\n.\r\n", b"a: b\n \n\nbody\n", b"a: b\n\r\nbody\n.",
       b"a: b\n\n" + b"\n" * 30 + b".", b"a: b\n\n1\n2\n3\n4\n5", b"a: b\n\n" + b".\n" * 9000]
for i, m in enumerate(odd): deliver("m", f"17000{i:05}.M1P1.host", m)
def all(make):
    c = make(); out = []
    n = len(c.multi("LIST"))
    # pop3_fast_size_lookups is off: both count
    out.append((c.multi("LIST"), c.cmd("STAT")))
    for i in range(1, n + 1):
        out.append((i, c.cmd(f"LIST {i}"), c.message(f"RETR {i}"), [c.message(f"TOP {i} {k}") for k in (0, 1, 2, 3, 100)]))
    # RFC 1460
    if make is mx: assert (c.cmd("LAST"), c.cmd("RSET"), c.cmd("LAST"), c.message("TOP 3 0"), c.cmd("LAST"), c.message("RETR 2"), c.cmd("LAST"))[::2] == (b"+OK %d" % n, b"+OK 0", b"+OK 0", b"+OK 2")
    c.quit()
    return out
a, b = all(dovecot), all(mx)
bad = [(x, y) for x, y in zip(a, b) if x != y]
assert not bad, [(repr(x)[:300], repr(y)[:300], odd[x[0] - 1][:60] if isinstance(x[0], int) else "") for x, y in bad]
assert len(a) == len(odd) + 1
for m, (want, size) in ours.items():
    os.system("rm -rf m"); deliver("m", "1700000000.M1P1.host", m); c = mx()
    assert c.message("RETR 1") == want and c.cmd("LIST 1") == b"+OK 1 " + size, (m, want); c.quit()
PY
}
