# Messages and commands made from a seed, answered by mx and by Dovecot on the
# same files.  What is left out, and why, is told in nasty.py.  SEED, N.
load ../lib/common
load imap
setup() { common_setup; need_root; dovecot_conf "$T/dov"; }
teardown() { common_teardown; }

BESIDE='
import nasty, random
seed, N = int(os.environ.get("SEED", "2")), int(os.environ.get("N", "120"))
R = random.Random(seed)
def dovecot():
    return Process(["doveadm", "-c", "dovecot.conf", "exec", "imap"], env={**os.environ, "HOME": os.getcwd(), "USER": "nobody"}, stderr=subprocess.DEVNULL)
bad = 0
def beside(c, d, cmd, norm=lambda l: l):
    global bad
    def clean(a):
        out = [norm(re.sub(rb" ?\(TAG \"?t\d+\"?\)", b"", l)) for l in a.lines if not re.search(rb"(EXISTS|RECENT)$", l) and not l.startswith((b"* OK", b"* NO", b"* FLAGS"))]
        return [l.rstrip() if isinstance(l, bytes) else l for l in out], a.tagged.split()[1]
    (a, at), (b, bt) = clean(c.cmd(cmd)), clean(d.cmd(cmd))
    if (a, at) != (b, bt):
        bad += 1
        if bad <= 5: print(f"SEED={seed} {cmd}", at, bt, *(x for p, q in zip(a, b) if p != q for x in ("\n mx     ", p, "\n dovecot", q)), len(a), len(b))
'
bpy() { { echo "$BESIDE"; cat; } | py; }

@test "FETCH of every part there is, SEARCH, SORT, THREAD: what Dovecot answers" {
  bpy <<'PY'
for i in range(N):
    put("m", nasty.stored(R), "cur", name="%d.M%dP1.h" % (1000000000 + i, i), flags=R.choice(["", "S", "F", "RS", "D", "T"]), mtime=1000000000 + 86400 * (i % 40) + 5000 * i)
os.system("cp -a m dov; chown -R nobody:nogroup dov")
c, d = preauth("m"), dovecot()
for x in (d, c): x.select()
run = lambda cmd, norm=lambda l: l: beside(c, d, cmd, norm)
for item in ("BODYSTRUCTURE", "BODY", "ENVELOPE", "RFC822.SIZE", "INTERNALDATE"): run(f"FETCH 1:* {item}", lambda l: nasty.plain(nasty.tokens(l)))
total = 0
for i in range(1, N + 1):
    secs = nasty.sections(nasty.tokens(c.cmd(f"FETCH {i} BODYSTRUCTURE").lines[0])[3][1])
    total += len(secs)
    for a in range(0, len(secs), 20):
        run(f"FETCH {i} (" + " ".join(f"BODY.PEEK[{x}]" + R.choice(["", "", "<0.1>", "<3.5>", "<200.1000000>"]) for x in secs[a:a + 20]) + ")")
assert total > 5 * N, total
for s in ("", "HEADER", "TEXT", "HEADER.FIELDS (FROM TO X-Odd_Name)".upper(), "HEADER.FIELDS.NOT (FROM TO)"):
    for p in ("", "<3.5>"): run(f"FETCH 1:* BODY.PEEK[{s}]{p}")
KEYS = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"]
# whole ones first: Dovecot numbers the strings of those that it has sorted,
# and puts late ones beside their equals
for k in KEYS: run(f"SORT ({k}) UTF-8 ALL"); run(f"SORT (REVERSE {k}) UTF-8 ALL")
for i in range(200): run(R.choice(["", "UID "]) + "SEARCH CHARSET UTF-8 " + " ".join(nasty.search(R) for _ in range(R.choice([1, 1, 2]))))
for i in range(30):
    run(R.choice(["", "UID "]) + "SORT (" + " ".join(R.choice(["", "REVERSE "]) + k for k in R.sample(KEYS, R.randint(1, 3))) + ") UTF-8 " + nasty.search(R))
for i in range(30): run(R.choice(["", "UID "]) + "THREAD " + R.choice(["ORDEREDSUBJECT", "REFERENCES", "REFERENCES", "REFS"]) + " UTF-8 " + R.choice(["ALL", nasty.search(R)]))
assert bad == 0, bad
PY
}

# The same commands to both, each on its own copy: the same answers, and at the
# end the same mailboxes.  Numbers of messages, wrong words and all.
@test "1,500 commands of all kinds, step by step: the same results, the same numbers, the same mail" {
  bpy <<'PY'
for i in range(8): put("m", b"Subject: %d\n\nbody %d\n" % (i, i), "cur", name="%d.M%dP1.h" % (1000000000 + i, i), flags="", mtime=1000000000)
os.system("cp -a m dov; chown -R nobody:nogroup dov")
c, d = preauth("m"), dovecot()
for x in (c, d):
    for b in ("a", "b.c"): x.cmd(f"CREATE {b}").ok()
BOXES = ["INBOX", "a", "b.c", "d", "b", "inbox", "nowhere", "a.x", "&AOQ-"]
SET = lambda: R.choice(["1", "2", "1:3", "2:4", "*", "1:*", "3,1", "5:2", "4:*", "1,1,2"] + ["9", "0", "1:", "x", "$", "1:4,9"] * (R.random() < 0.25))
UIDS = lambda: R.choice(["1", "2:6", "*", "1:*", "5,7,9", "100:*", "12:3", "500"] + ["0", "", "a"] * (R.random() < 0.1))
FLAGS = lambda: R.choice(["\\Seen", "\\Deleted", "(\\Deleted)", "(\\Flagged \\Seen)", "()", "\\Answered", "(kw1)", "(kw2 \\Draft)", "kw1", "(\\Deleted \\Seen)"] + ["\\Odd", "(\\Seen", "a(b"] * (R.random() < 0.1))
def command():
    k = R.random()
    u = R.random() < 0.5
    U, S = ("UID ", UIDS()) if u else ("", SET())
    if k < 0.22: return f"{U}STORE {S} {R.choice(['', '+', '-'])}FLAGS{R.choice(['', '', '.SILENT'])} {FLAGS()}"
    if k < 0.34: return f"{U}FETCH {S} {R.choice(['FLAGS', '(UID FLAGS)', 'UID', '(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])', '(UID RFC822.SIZE)', 'BODY[TEXT]', 'FAST', 'NONSENSE', '(FLAGS', 'BODY[9]'])}"
    if k < 0.42: return f"{U}COPY {S} {R.choice(BOXES)}"
    if k < 0.50: return f"{U}MOVE {S} {R.choice(BOXES)}"
    if k < 0.58: return R.choice(["EXPUNGE", f"UID EXPUNGE {UIDS()}", "CLOSE", "UNSELECT", "CHECK", "NOOP"])
    if k < 0.70: return f"{R.choice(['SELECT', 'SELECT', 'SELECT', 'EXAMINE'])} {R.choice(BOXES)}"
    if k < 0.78: return R.choice([("APPEND", R.choice(BOXES), R.choice(["", "(\\Seen kw3) ", "(\\Deleted) ", '"01-Feb-2003 04:05:06 +0700" ']))] * 3 + [f"CREATE {R.choice(BOXES)}", f"DELETE {R.choice(BOXES)}", f"RENAME {R.choice(BOXES[1:5])} r{R.randint(1, 10 ** 9)}"])
    if k < 0.84: return R.choice([f"SUBSCRIBE {R.choice(['INBOX', 'inbox'])}", f"UNSUBSCRIBE {R.choice(['a', 'INBOX', 'b.c', 'd'])}", "LSUB \"\" *", "LIST \"\" *", "LIST \"\" %", "LIST b. %", "LIST \"\" (a b.c)", "LIST (SUBSCRIBED) \"\" *"])
    if k < 0.92: return f"{R.choice(['', 'UID '])}SEARCH {R.choice(['ALL', 'SEEN', 'NOT DELETED', 'KEYWORD kw1', 'UNKEYWORD kw2', 'UID ' + UIDS(), R.choice(['1', '2', '1:3', '*', '1:*', '3,1']), 'OR SEEN FLAGGED', 'NOT', 'FOO', '(SEEN', 'SUBJECT 1', 'BODY body'])}"
    return f"STATUS {R.choice(BOXES)} {R.choice(['(MESSAGES UNSEEN UIDNEXT)', '(MESSAGES)', '(FOO)', '()', 'MESSAGES'])}"
selected = None
def show(l):
    l = re.sub(rb"FLAGS \(([^)]*)\)", lambda m: b"FLAGS (" + b" ".join(sorted(x for x in m.group(1).split() if x != b"\\Recent")) + b")", l)
    l = re.sub(rb"\\(HasNoChildren|HasChildren|UnMarked|Marked|Sent|Drafts|Junk|Trash|Archive|NonExistent|Noselect|Subscribed|NoInferiors) ?", b"", l)
    l = l.replace(b"STATUS inbox ", b"STATUS INBOX ")
    if b" FETCH (" in l:  # its items in one order; an empty part as none
        t = nasty.tokens(l.replace(b"FIELDS (SUBJECT)", b"FIELDS.SUBJECT"))
        return (t[1], sorted((k, str(v or None)) for k, v in zip(t[3][0::2], t[3][1::2])))
    return l
def answer(x, cmd):
    if isinstance(cmd, tuple): a = x.append(cmd[1], b"Subject: new\r\n\r\nx\r\n", cmd[2].strip())
    else: a = x.cmd(cmd)
    keep = [show(l) for l in a.lines if not l.startswith((b"* OK", b"* NO", b"* FLAGS")) and not l.endswith(b" RECENT")]
    return a.tagged.split()[1], a.tagged, keep
def gone(lines):
    """Which of the messages went, from EXPUNGEs in whatever order."""
    out, n = [], []
    for l in lines:
        m = isinstance(l, bytes) and re.match(rb"\* (\d+) EXPUNGE$", l)
        if m: n.append(int(m.group(1)))
    view = list(range(1, 1000))
    return sorted(view.pop(i - 1) for i in n)
STEPS = int(os.environ.get("STEPS", "1500"))
codes, readonly = {}, False
trace = []
for step in range(STEPS):
    cmd = command()
    # Dovecot moves mail out of a mailbox that is open read-only
    while readonly and "MOVE" in cmd: cmd = command()
    trace.append(cmd)
    # Dovecot ends a session whose mailbox gets another name
    if "RENAME" in cmd or "DELETE" in cmd: answer(c, "UNSELECT"); answer(d, "UNSELECT")
    try: (ak, at, a), (bk, bt, b) = answer(c, cmd), answer(d, cmd)
    except EOFError: print(f"SEED={seed} step {step}: {trace[-6:]}"); raise
    os.system("chown -R nobody:nogroup dov") if step == 0 else None
    ga, gb = gone(a), gone(b)
    a2, b2 = (sorted((l for l in x if isinstance(l, tuple) or not l.endswith(b" EXPUNGE")), key=str) for x in (a, b))
    codes[ak] = codes.get(ak, 0) + 1
    if ak == b"OK" and "SELECT" in cmd or "EXAMINE" in cmd: readonly = b"[READ-ONLY]" in at
    # RFC 3501 6.4.6: all of the set are told; Dovecot tells those that changed
    if "STORE" in cmd and all(x in a2 for x in b2): a2 = b2
    # RFC 3501 6.4.3: NO; Dovecot says OK and does nothing
    if b"[READ-ONLY]" in at and ak == b"NO" and not b: continue
    # no message, no mailbox: either comes first
    if b"[TRYCREATE]" in at and b"No messages found" in bt: continue
    if (ak, ga, a2) != (bk, gb, b2):
        bad += 1
        print(f"SEED={seed} step {step}: {cmd}\n mx      {at} {a}\n dovecot {bt} {b}\n before: {trace[-4:]}")
        if bad > int(os.environ.get("BAD", "5")): break
assert bad == 0
assert min(codes[k] for k in (b"OK", b"NO", b"BAD")) > STEPS / 50, codes
PY
}
