# Laws 1 and 2 for mx-imapd: the Nth file operation fails, is cut short or
# kills.  What was acknowledged is there, whole, once, under the UID that was
# told; nothing that was there is lost or changes its UID.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

PRELUDE='
import shutil
SHIM = os.environ["MX_BUILD"] + "/lib/shim_fault.so"
def faulty(spec):
    if os.path.exists("state"): os.unlink("state")
    env = {**os.environ, "LD_PRELOAD": SHIM, "MX_FAULT": spec, "MX_FAULT_PATH": "/disk/", "MX_FAULT_STATE": os.getcwd() + "/state", "MX_LOG": os.getcwd() + "/log"}
    return Process(["mx-imapd", "--preauth", "--maildir", "disk/m"], env=env, stderr=subprocess.DEVNULL)
def struck():
    return os.path.exists("state") and int.from_bytes(open("state", "rb").read()[8:16], sys.byteorder) > 0
def view(box):
    """UID -> subject, of a clean session; the validity under None."""
    c = preauth("disk/m"); a = c.cmd(f"SELECT {box}")
    out = {}
    if b" OK " in a.tagged:
        out[None] = a.find(rb"UIDVALIDITY (\d+)").group(1)
        for l in c.cmd("UID FETCH 1:* (UID BODY.PEEK[])").ok().lines:
            m = re.search(rb"UID (\d+) BODY\[\] \{\d+\}\r\n(Subject: (\w+)\r\n\r\n(body \w+ )+end\r\n)\)$", l)
            assert m, f"a message that is not whole: {l!r}"
            out[int(m.group(1))] = m.group(3)
    assert c.end() == 0
    return out
msg = lambda s: b"Subject: %s\r\n\r\n" % s + b"body %s " % s * 300 + b"end\r\n"
def start():
    shutil.rmtree("disk", ignore_errors=True); os.mkdir("disk")
    c = preauth("disk/m"); c.cmd("CREATE b").ok()
    for s in (b"one", b"two", b"three"): c.append("INBOX", msg(s)).ok()
    c.select(); c.end()
def run(c, cmds):
    """Answers as far as the program lived."""
    out = []
    try:
        for f in cmds: out.append(f(c))
        c.end()
    except (EOFError, BrokenPipeError): c.gone()
    return out
ok = lambda a: b" OK " in a.tagged[:12]
def sweep(action, cmds, check):
    for n in range(1, 400):
        start()
        before = view("INBOX")
        c = None
        try: c = faulty(f"any:{n}:{action}")
        except (EOFError, BrokenPipeError): pass
        answers = run(c, cmds) if c else []
        hit = struck()
        inbox, b = view("INBOX"), view("b")
        try:
            # none gets another UID while the validity stays
            if inbox[None] == before[None]:
                for u, s in before.items(): assert inbox.get(u, s) == s, (u, s, inbox)
            check(answers, before, inbox, b)
        except AssertionError:
            print(f"N={n} {action}", [a.tagged for a in answers], before, inbox, b, sep="\n"); raise
        if not hit:
            assert n > 5, "nothing was hit"
            return
    raise AssertionError("no end")
'
dpy() { { echo "$PRELUDE"; cat; } | py; }

@test "APPEND: OK and there under its UID, or NO and not there" {
  dpy <<'PY'
cmds = [lambda c: c.append("INBOX", msg(b"new")), lambda c: c.append("b", msg(b"other"), "(\\Seen kw)")]
def check(answers, before, inbox, b):
    for s in (b"one", b"two", b"three"): assert list(inbox.values()).count(s) == 1, s
    for box, s, i in ((inbox, b"new", 0), (b, b"other", 1)):
        n = list(box.values()).count(s)
        if len(answers) > i and ok(answers[i]):
            assert n == 1
            m = re.search(rb"APPENDUID (\d+) (\d+)\]", answers[i].tagged)
            assert not m or (box[None] == m.group(1) and box[int(m.group(2))] == s)
        elif len(answers) > i: assert n == 0, "refused, and there"
        else: assert n <= 1
for a in ("EIO", "short", "kill"): sweep(a, cmds, check)
PY
}

@test "COPY, MOVE, STORE, EXPUNGE: nothing is lost on the way, nothing is there twice" {
  dpy <<'PY'
cmds = [lambda c: c.cmd("SELECT INBOX"), lambda c: c.cmd("UID STORE 2 +FLAGS (\\Flagged kw)"), lambda c: c.cmd("UID COPY 1:2 b"),
        lambda c: c.cmd("UID MOVE 3 b"), lambda c: c.cmd("UID STORE 1 +FLAGS.SILENT (\\Deleted)"), lambda c: c.cmd("UID EXPUNGE 1")]
def check(answers, before, inbox, b):
    told = lambda i: len(answers) > i and ok(answers[i])
    i, o = list(inbox.values()), list(b.values())
    assert i.count(b"two") == 1
    assert i.count(b"three") + o.count(b"three") >= 1, "lost by MOVE"
    if told(3): assert o.count(b"three") == 1 and i.count(b"three") == 0
    assert i.count(b"one") == 1 or len(answers) >= 5
    if len(answers) > 2:
        want = 1 if told(2) else 0
        assert o.count(b"one") == want and o.count(b"two") == want, "COPY is all or none"
    if told(2):
        m = re.search(rb"COPYUID (\d+) 1:2 (\d+):(\d+)\]", answers[2].tagged)
        assert b[None] == m.group(1) and b[int(m.group(2))] == b"one" and b[int(m.group(3))] == b"two"
for a in ("EIO", "kill"): sweep(a, cmds, check)
PY
}

@test "what others did is seen by the next session, whatever of ours failed in this one" {
  dpy <<'PY'
for action in "EIO", "short", "ENOSPC", "kill":
    start(); c = preauth("disk/m"); c.select(); c.end()
    names = {}
    for n in range(1, 200):
        # one that comes to cur/, one that goes, one that is flagged
        s = f"{action}{n}"; names[s] = put("disk/m", b"Subject: %s\r\n\r\nbody %s end\r\n" % (s.encode(), s.encode()), sub="cur", flags="")
        old = f"{action}{n - 2}"
        if old in names: os.unlink("disk/m/cur/" + names.pop(old))
        one = f"{action}{n - 1}"
        if one in names: os.rename(f"disk/m/cur/{names[one]}", f"disk/m/cur/{names[one]}F"); names[one] += "F"
        try: run(faulty(f"any:{n}:{action}"), [lambda c: c.cmd("SELECT INBOX"), lambda c: c.cmd("NOOP")])
        except (EOFError, BrokenPipeError): pass
        hit = struck()
        c = preauth("disk/m"); c.select()
        got = {}
        for l in c.cmd("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().lines:
            m = re.search(rb"FLAGS \((.*?)\).*Subject: (\w+)", l, re.S); got[m.group(2).decode()] = b"Flagged" in m.group(1)
        c.end()
        want = {s: f.endswith("F") for s, f in names.items()} | {"one": False, "two": False, "three": False}
        assert got == want, (action, n, got, want)
        if not hit: break
    assert n > 5 and not hit
PY
}
