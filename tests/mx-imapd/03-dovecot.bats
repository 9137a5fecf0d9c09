# One mailbox served by Dovecot and by mx in turn: the same UIDs, keywords,
# subscriptions and names, in both directions, again and again.
load ../lib/common
load imap
setup() { common_setup; need_root; dovecot_conf "$T/m"; }
teardown() { common_teardown; }

PRELUDE='
def dovecot():
    os.makedirs("m", exist_ok=True)
    os.system("chown -R nobody:nogroup m")
    return Process(["doveadm", "-c", "dovecot.conf", "exec", "imap"], env={**os.environ, "HOME": os.getcwd(), "USER": "nobody"}, stderr=subprocess.DEVNULL)
def mx():
    return preauth("m")
def state(make):
    """All that a client keeps of a mail root: names, subscriptions, UIDs, flags, sizes."""
    c = make()
    out = {}
    for l in c.cmd("LIST \"\" *").ok().lines:
        m = re.match(rb"\* LIST \((.*?)\) \"\.\" (.*)", l)
        if m and b"Noselect" in m.group(1): continue
        if not m: continue
        n = m.group(2).decode()
        s = c.cmd(f"EXAMINE {n}").ok()
        rows = sorted(c.cmd("UID FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)").ok().lines) if s.find(rb"\* (\d+) EXISTS").group(1) != b"0" else []
        # \Recent belongs to a session
        rows = [re.sub(rb" ?\\Recent", b"", r).replace(b"FLAGS ( ", b"FLAGS (") for r in rows]
        out[n] = (s.find(rb"UIDVALIDITY (\d+)").group(1), s.find(rb"UIDNEXT (\d+)").group(1), rows)
    out["subscribed"] = sorted(l.split(b"\".\" ")[1] for l in c.cmd("LSUB \"\" *").lines if l.startswith(b"* LSUB"))
    c.cmd("LOGOUT").ok(); c.closed()
    if hasattr(c, "p"): c.p.wait(20)
    return out
def same(what):
    a, b = state(dovecot), state(mx)
    assert a == b, f"{what}:\n dovecot {a}\n mx      {b}"
    return a
def leave(c):
    c.cmd("LOGOUT").ok(); c.closed(); c.p.wait(20)
'
dpy() { { echo "$PRELUDE"; cat; } | py; }

@test "a mail root that Dovecot made is served as it is" {
  dpy <<'PY'
d = dovecot()
for b in ("Sent", "a.b", "B&AOQ-r"): d.cmd(f"CREATE {b}").ok()
for b in ("Sent", "B&AOQ-r", "INBOX"): d.cmd(f"SUBSCRIBE {b}").ok()
for i in range(5): d.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % i, "(\\Seen kw%d $Label1)" % i if i % 2 else "").ok()
d.append("a.b", b"Subject: x\r\n\r\n", "(other)").ok()
d.select(); d.cmd("STORE 1 +FLAGS (\\Deleted)").ok(); d.cmd("EXPUNGE").ok()
leave(d)
s = same("made by Dovecot")
assert len(s["INBOX"][2]) == 4 and s["INBOX"][1] == b"6"
PY
}

@test "a mail root that mx made is served by Dovecot as it is" {
  dpy <<'PY'
c = mx()
for b in ("Sent", "a.b", "B&AOQ-r"): c.cmd(f"CREATE {b}").ok()
for b in ("Sent", "B&AOQ-r", "a.b"): c.cmd(f"SUBSCRIBE {b}").ok()
for i in range(5): c.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % i, "(\\Seen kw%d $Label1)" % i if i % 2 else "").ok()
c.select(); c.cmd("COPY 1:3 a.b").ok(); c.cmd("MOVE 5 Sent").ok(); c.cmd("STORE 1 +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
leave(c)
s = same("made by mx")
assert len(s["a.b"][2]) == 3 and len(s["INBOX"][2]) == 3
PY
}

@test "turn by turn: deliveries, flags, copies, renames by both; nothing moves" {
  dpy <<'PY'
import random
random.seed(7)
box = ["INBOX", "x", "y.z"]
c = mx()
for b in box[1:]: c.cmd(f"CREATE {b}").ok()
leave(c)
for turn in range(12):
    c = (dovecot if turn % 2 else mx)()
    for k in range(3):
        b = random.choice(box)
        put("m" if b == "INBOX" else f"m/.{b}", b"Subject: t%d\n\nbody\n" % turn)
    for b in box:
        c.select(b)
        n = int(c.cmd("NOOP") and c.cmd(f"STATUS {b} (MESSAGES)").find(rb"MESSAGES (\d+)").group(1))
        if n:
            i = random.randint(1, n)
            c.cmd(f"STORE {i} +FLAGS (\\Flagged kw{turn})").ok()
            c.cmd(f"UID COPY 1:* {random.choice(box)}") if n < 5 else c.cmd(f"STORE {random.randint(1, n)} +FLAGS (\\Deleted)").ok()
            c.cmd("EXPUNGE").ok()
    leave(c)
    same(f"after turn {turn}")
d = dovecot(); d.cmd("RENAME y q").ok(); leave(d)
before = same("renamed by Dovecot")["q.z"]
c = mx(); c.cmd("RENAME q r").ok(); leave(c)
assert same("renamed by mx")["r.z"] == before
PY
}

@test "both at once: Dovecot delivers UIDs while a session of mx is open, and back" {
  dpy <<'PY'
c, d = mx(), None
c.append("INBOX", b"Subject: 0\r\n\r\n").ok()
c.select()
d = dovecot(); d.select()
for i in range(6):
    (d if i % 2 else c).append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % i, f"(k{i})").ok()
    # whom root wrote for is nobody's again
    os.system("chown -R nobody:nogroup m")
for s in (c, d): s.cmd("NOOP").ok()
f = lambda s: [l for l in s.cmd("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().lines if b"(UID" in l]
a, b = f(c), f(d)
assert a == b and len(a) == 7, (a, b)
d.cmd("STORE 2 +FLAGS (\\Answered kd)").ok()
c.cmd("NOOP").ok().find(rb"\* 2 FETCH \(FLAGS \(\\Answered .*kd\)\)")
c.cmd("STORE 3 +FLAGS.SILENT (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
d.cmd("NOOP").has(b"* 3 EXPUNGE")
leave(c); leave(d)
same("afterwards")
PY
}
