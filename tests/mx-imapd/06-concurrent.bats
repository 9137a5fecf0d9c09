# Deliveries and other sessions while sessions are open: no message twice, no
# UID twice, none missed.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "deliveries into new/ while sessions look: all arrive once, UIDs ascend" {
  py <<'PY'
import threading
N = 150
c, d = preauth("m"), preauth("m")
c.select(); d.select()
def deliver():
    for i in range(N): put("m", b"Subject: m%d\n\nx\n" % i); time.sleep(0.002)
t = threading.Thread(target=deliver); t.start()
while t.is_alive():
    for s in (c, d): s.cmd("NOOP").ok()
for s in (c, d): s.cmd("NOOP").ok()
def view(s):
    out = {}
    for l in s.cmd("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().lines:
        m = re.search(rb"UID (\d+) .*Subject: (m\d+)", l, re.S); out[int(m.group(1))] = m.group(2)
    return out
a, b = view(c), view(d)
assert a == b and len(a) == N == len(set(a.values())), (len(a), len(b), len(set(a.values())))
e = preauth("m"); e.select(); assert view(e) == a
PY
}

@test "sessions that copy, flag and expunge at once: UIDs stay whose they were" {
  py <<'PY'
import threading
for i in range(40): put("m", b"Subject: m%d\n\nx\n" % i)
c = preauth("m"); c.select(); c.cmd("CREATE b").ok()
def ids(box):
    s = preauth("m"); s.select(box); out = {}
    for l in s.cmd("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().lines:
        m = re.search(rb"UID (\d+) .*Subject: (m\d+)", l, re.S); out[int(m.group(1))] = m.group(2)
    s.end(); return out
before = ids("INBOX")
errors = []
def work(k):
    try:
        s = preauth("m"); s.select()
        for i in range(25):
            u = (k * 7 + i * 3) % 40 + 1
            s.cmd(f"UID STORE {u} +FLAGS (kw{k} \\Seen)").ok()
            s.cmd(f"UID COPY {u} b")
            s.cmd(f"UID STORE {u} -FLAGS (kw{k})").ok()
            if i % 8 == 7:
                s.cmd(f"UID STORE {u} +FLAGS.SILENT (\\Deleted)").ok(); s.cmd(f"UID EXPUNGE {u}").ok()
        s.cmd("LOGOUT").ok()
    except BaseException as e: errors.append(repr(e))
ts = [threading.Thread(target=work, args=(k,)) for k in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
assert not errors, errors
after = ids("INBOX")
assert all(before[u] == s for u, s in after.items()), "a UID names another message"
assert 25 <= len(after) < 40
b = ids("b"); assert len(b) == len(set(b)) > 50
assert os.listdir("m/tmp") == [] and not [f for f in os.listdir("m") if f.endswith(".lock")]
PY
}

@test "two sessions append at once: each UID is told to one of them" {
  py <<'PY'
import threading
told, errors = [], []
def work():
    try:
        s = preauth("m")
        for i in range(25): told.append(int(s.append("INBOX", b"Subject: x\r\n\r\n").ok().find(rb"APPENDUID \d+ (\d+)\]").group(1)))
    except BaseException as e: errors.append(repr(e))
ts = [threading.Thread(target=work) for _ in range(3)]
[t.start() for t in ts]; [t.join() for t in ts]
assert not errors, errors
assert sorted(told) == list(range(1, 76)), sorted(told)
PY
}

@test "a STORE of more messages than the kernel keeps events for reads no folder; what another program does meanwhile is seen" {
  py <<'PY'
import re, subprocess, threading, time
for d in ("cur", "new", "tmp"): os.makedirs("m/" + d)
N = 9000 # two events each: the kernel's queue holds 16,384
for i in range(N):
    with open(f"m/cur/{1600000000 + i}.M{i}.h,S=16,W=18:2,", "w") as f: f.write("Subject: x\n\nbody")
c = preauth("m"); c.select(); c.cmd("LOGOUT").ok(); c.closed(); c.p.wait(20)
if os.system("command -v strace >/dev/null") == 0:
    subprocess.run(["strace", "-f", "-e", "trace=getdents64", "-o", "trace", "mx-imapd", "--preauth", "--maildir", "m"], stdout=subprocess.DEVNULL,
        input=b"a SELECT INBOX\r\nb STORE 1:* +FLAGS.SILENT (\\Flagged)\r\nc NOOP\r\nd STORE 1:* -FLAGS.SILENT (\\Flagged)\r\ne LOGOUT\r\n")
    n = open("trace").read().count("getdents64("); assert n == 0, n
def flags(name): return "".join(sorted(name.rsplit(":2,", 1)[1]))
def disk(): return {f.split(".")[1][1:]: flags(f) for f in os.listdir("m/cur")}
assert set(disk().values()) == {""} and len(disk()) == N
# another program sets and clears flags of the same messages while we store
c = preauth("m"); c.select(); stop = []
def other(first):
    while not stop:
        for f in os.listdir("m/cur")[first::997]:
            if stop: break
            time.sleep(0.005)
            if re.match(r"16\d+\.M\d*[13579]\.", f):
                try: os.rename("m/cur/" + f, "m/cur/" + f.rsplit(":2,", 1)[0] + ":2," + "".join(sorted(set(flags(f)) ^ {"R"})))
                except FileNotFoundError: pass
ts = [threading.Thread(target=other, args=(i,)) for i in range(2)]; [t.start() for t in ts]
c.cmd("STORE 1:* +FLAGS.SILENT (\\Flagged)").ok(); c.cmd("STORE 1:* -FLAGS.SILENT (\\Flagged)").ok()
c.cmd("STORE 1:* +FLAGS.SILENT (\\Seen)").ok()
stop.append(1); [t.join() for t in ts]
def seen(c):
    out = {}
    for l in c.cmd("FETCH 1:* (FLAGS)").ok().lines:
        m = re.match(rb"\* (\d+) FETCH \(FLAGS \(([^)]*)\)", l)
        if m: out[int(m[1])] = "".join(sorted({b"\\Answered": "R", b"\\Seen": "S", b"\\Flagged": "F"}[w] for w in m[2].split() if w != b"\\Recent"))
    return out
c.cmd("NOOP").ok(); d = disk(); assert len(d) == N and set(d.values()) <= {"S", "RS"} and "RS" in d.values()
want = {i + 1: d[str(i)] for i in range(N)}
got = seen(c); assert got == want, [(k, got.get(k), want[k]) for k in want if got.get(k) != want[k]][:5]
c.cmd("LOGOUT").ok(); c.closed(); c.p.wait(20)
c = preauth("m"); c.select(); assert seen(c) == want
PY
}
