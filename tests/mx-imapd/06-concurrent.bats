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
