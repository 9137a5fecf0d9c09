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
