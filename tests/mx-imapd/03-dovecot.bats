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

# A model of the mail root is changed as the server says it changed it; after
# each round both servers must show the model, to the last UID.  ROUNDS, SEED.
@test "random rounds: a nested UTF-8 tree, keywords, flags, expunges, subscriptions, renames, by turns" {
  dpy <<'PY'
import random, base64
seed = int(os.environ.get("SEED", "11")); R = random.Random(seed)
def mutf7(s):
    out, run = "", ""
    for ch in s + "\0":
        if " " <= ch <= "~":
            if run: out += "&" + base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"; run = ""
            out += "&-" if ch == "&" else ch
        elif ch != "\0": run += ch
        elif run: out += "&" + base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    return out
WORDS = ["Entwürfe", "日本語", "Ошибки", "R&D", "plain", "with space", "é", "😀", "Архив"]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "$Label1", "NonJunk", "kwä".encode("ascii", "ignore").decode() + "x", "work", "todo"]
os.mkdir("m", 0o700)
boxes = {"INBOX": {}}      # name -> uid -> (subject, flags)
validity, nextuid, subs = {}, {}, set()
n = 0
q = lambda b: '"' + b.replace("\\", "\\\\").replace('"', '\\"') + '"'
def folder(b): return "m" if b == "INBOX" else "m/." + b
def fresh():
    for _ in range(50):
        up = R.choice(list(boxes)); name = mutf7(R.choice(WORDS) + str(R.randint(0, 99)))
        name = name if up == "INBOX" or R.random() < 0.5 else up + "." + name
        if name not in boxes and name.count(".") < 5: return name
def uids(b): return sorted(boxes[b])
def some(b): return R.sample(uids(b), min(len(boxes[b]), R.randint(1, 3)))
def codes(m):
    out = []
    for p in m.split(b","):
        a, _, z = p.partition(b":"); out += range(int(a), int(z or a) + 1)
    return out
def step(c):
    global n
    b = R.choice(list(boxes)); op = R.random(); n += 1
    if op < 0.10 or len(boxes) < 4:
        name = fresh(); c.cmd("CREATE " + q(name)).ok(); boxes[name] = {}
    elif op < 0.16:
        kids = [x for x in boxes if x != "INBOX" and not any(y.startswith(x + ".") for y in boxes)]
        if kids and len(boxes) > 6:
            x = R.choice(kids); c.cmd("UNSELECT"); c.cmd("DELETE " + q(x)).ok(); del boxes[x]; validity.pop(x, None); nextuid.pop(x, None)
    elif op < 0.26:
        olds = [x for x in boxes if x != "INBOX"]; x, new = R.choice(olds), fresh()
        if new and not new.startswith(x + "."):
            c.cmd("UNSELECT"); c.cmd(f"RENAME {q(x)} {q(new)}").ok()
            for y in [y for y in boxes if y == x or y.startswith(x + ".")]:
                z = new + y[len(x):]
                for d in (boxes, validity, nextuid):
                    if y in d: d[z] = d.pop(y)
                # RFC 3501 6.3.6 leaves subscriptions alone, both do
    elif op < 0.34:
        # Dovecot takes an unsubscribe of what is not there as done, too
        if b in subs and R.random() < 0.5: c.cmd("UNSUBSCRIBE " + q(b)).ok(); subs.discard(b)
        else: c.cmd("SUBSCRIBE " + q(b)).ok(); subs.add(b)
    elif op < 0.54:
        f = set(R.sample(FLAGS, R.randint(0, 3))); s = f"a{n}"
        a = c.append(q(b), f"Subject: {s}\r\n\r\nbody {s}\r\n".encode(), "(" + " ".join(f) + ")").ok()
        boxes[b][int(a.find(rb"APPENDUID \d+ (\d+)").group(1))] = (s, f)
    elif op < 0.60: put(folder(b), f"Subject: d{n}\n\ndelivered {n}\n".encode())
    else:
        c.cmd("SELECT " + q(b)).ok()
        if not boxes[b]: return
        us = some(b); s = ",".join(map(str, us))
        if op < 0.80:
            f, how = set(R.sample(FLAGS, R.randint(1, 3))), R.choice("+- ")
            c.cmd(f"UID STORE {s} {how.strip()}FLAGS.SILENT ({' '.join(f)})").ok()
            for u in us:
                t, old = boxes[b][u]; boxes[b][u] = (t, old | f if how == "+" else old - f if how == "-" else f)
        elif op < 0.87:
            c.cmd(f"UID STORE {s} +FLAGS.SILENT (\\Deleted)").ok(); c.cmd(f"UID EXPUNGE {s}").ok()
            for u in us: del boxes[b][u]
        else:
            to = R.choice(list(boxes)); move = op > 0.94 and to != b
            a = c.cmd(f"UID {'MOVE' if move else 'COPY'} {s} {q(to)}").ok()
            m = a.find(rb"COPYUID \d+ ([\d,:]+) ([\d,:]+)\]")
            for u, v in zip(codes(m.group(1)), codes(m.group(2))):
                boxes[to][v] = boxes[b][u]
                if move: del boxes[b][u]
def view(make):
    c, out = make(), {}
    for l in c.cmd('LIST "" *').ok().lines:
        m = re.match(rb'\* LIST \((.*?)\) "\." (?:"(.*)"|(.*))$', l)
        if not m or b"Noselect" in m.group(1) or b"NonExistent" in m.group(1): continue
        b = (m.group(2) or m.group(3)).decode()
        s = c.cmd("EXAMINE " + q(b)).ok(); rows = {}
        for l in c.cmd("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").lines:
            m = re.search(rb"UID (\d+) FLAGS \((.*?)\) BODY\[\] \{\d+\}\r\nSubject: (\w+)\r\n\r\n(?:body|delivered) (\w+)\r\n", l, re.S)
            assert m, l
            assert m.group(3)[1:] == m.group(4).lstrip(b"a"), l
            rows[int(m.group(1))] = (m.group(3).decode(), {f for f in m.group(2).decode().split() if f != "\\Recent"})
        out[b] = (int(s.find(rb"UIDVALIDITY (\d+)").group(1)), int(s.find(rb"UIDNEXT (\d+)").group(1)), rows)
    lsub = {(m.group(1) or m.group(2)).decode() for m in (re.match(rb'\* LSUB \(.*?\) "\." (?:"(.*)"|(.*))$', l) for l in c.cmd('LSUB "" *').ok().lines) if m}
    leave(c)
    return out, lsub
def check(what, views):
    for who, (v, lsub) in views.items():
        at = f"seed {seed}, {what}, {who}"
        assert set(v) == set(boxes), (at, set(v) ^ set(boxes))
        assert lsub == subs, (at, lsub ^ subs)
        for b, (val, nxt, rows) in v.items():
            assert validity.setdefault(b, val) == val, (at, b, "UIDVALIDITY", validity[b], val)
            assert nxt >= nextuid.get(b, 1) and all(u < nxt for u in rows), (at, b, "UIDNEXT")
            for u, x in rows.items():
                # a delivery gets its UID from who looks first: a new one
                if u not in boxes[b]:
                    assert x[0].startswith("d") and u >= nextuid.get(b, 1), (at, b, u, x); boxes[b][u] = x
            assert rows == boxes[b], (at, b, {u: (rows.get(u), boxes[b].get(u)) for u in set(rows) | set(boxes[b]) if rows.get(u) != boxes[b].get(u)})
            nextuid[b] = nxt
for turn in range(int(os.environ.get("ROUNDS", "8"))):
    c = (dovecot if turn % 2 == 0 else mx)()
    for _ in range(25): step(c)
    leave(c)
    os.system("chown -R nobody:nogroup m")
    first, second = ((dovecot, "dovecot"), (mx, "mx")) if R.random() < 0.5 else ((mx, "mx"), (dovecot, "dovecot"))
    check(f"round {turn}", {first[1]: view(first[0])}); os.system("chown -R nobody:nogroup m")
    check(f"round {turn}", {second[1]: view(second[0])})
assert sum(len(v) for v in boxes.values()) > 15 and len(boxes) > 5 and any("&" in b for b in boxes), boxes
PY
}
