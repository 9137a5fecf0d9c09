# CONDSTORE and QRESYNC (RFC 7162), and the index that remembers: what any
# program did to the folder has a mod-sequence greater than any told before.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

PRELUDE='
import shutil
def H(a): return int(a.find(rb"HIGHESTMODSEQ (\d+)").group(1))
def modseqs(c): return {int(u): int(m) for u, m in (re.search(rb"UID (\d+) MODSEQ \((\d+)\)", l).groups() for l in c.cmd("UID FETCH 1:* (UID MODSEQ)").ok().lines if b"MODSEQ" in l)}
def leave(c): c.cmd("LOGOUT").ok(); c.closed(); c.p.wait(20)
'
mpy() { { echo "$PRELUDE"; cat; } | py; }

@test "MODSEQ, CHANGEDSINCE, UNCHANGEDSINCE, SEARCH MODSEQ, STATUS HIGHESTMODSEQ" {
  mpy <<'PY'
for i in range(5): put("m", b"Subject: s%d\n\nx\n" % i, sub="cur")
c = preauth("m"); h = H(c.select())
assert h > 1500000000 * 10**6
a = c.cmd("FETCH 1:5 (MODSEQ)").ok(); a.find(rb"\* 1 FETCH \(MODSEQ \((\d+)\)\)")
a = c.cmd("STORE 2 +FLAGS (\\Seen)").ok()
m = int(a.find(rb"\* 2 FETCH \(FLAGS \(\\Seen\) UID 2 MODSEQ \((\d+)\)\)").group(1)); assert m > h
a = c.cmd("UID STORE 3 +FLAGS.SILENT (\\Seen)").ok()
m3 = int(a.find(rb"\* 3 FETCH \(UID 3 MODSEQ \((\d+)\)\)").group(1)); assert m3 > m
assert [l.split()[1] for l in c.cmd(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {h})").ok().lines] == [b"2", b"3"]
assert [l.split()[1] for l in c.cmd(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {m})").ok().lines] == [b"3"]
a = c.cmd(f"STORE 1:3 (UNCHANGEDSINCE {h}) +FLAGS (\\Flagged)").ok(b"MODIFIED 2:3]"); a.find(rb"\* 1 FETCH \(FLAGS \(\\Flagged\) UID 1 MODSEQ")
c.cmd(f"UID STORE 3 (UNCHANGEDSINCE {m3}) +FLAGS.SILENT (x)").ok().find(rb"UID 3 MODSEQ")
c.cmd("STORE 1 (UNCHANGEDSINCE 0) +FLAGS (y)").ok(b"MODIFIED 1]")
s = c.cmd(f"SEARCH MODSEQ {m3}").ok(); top = int(s.find(rb"\* SEARCH 1 3 \(MODSEQ (\d+)\)").group(1))
c.cmd(f'SEARCH MODSEQ "/flags/\\\\draft" all {m3}').ok().find(rb"SEARCH 1 3 ")
c.cmd(f"SEARCH RETURN (MIN) MODSEQ {m3}").ok().find(rb"ESEARCH \(TAG \"t\d+\"\) MIN 1 MODSEQ \d+")
c.cmd("STATUS INBOX (HIGHESTMODSEQ)").ok().has(b"* STATUS INBOX (HIGHESTMODSEQ %d)" % top)
c.cmd("FETCH 1 (FLAGS) (CHANGEDSINCE x)").bad(); c.cmd("UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)").bad()
c.cmd("SELECT INBOX (QRESYNC (1 2))").bad()
leave(c)
# the next session knows all of it
d = preauth("m"); a = d.cmd("SELECT INBOX (CONDSTORE)").ok(); assert H(a) == top, (H(a), top)
assert [l.split()[1] for l in d.cmd(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {h})").ok().lines] == [b"1", b"2", b"3"]
PY
}

@test "what others do to the folder, open or closed, has a greater mod-sequence" {
  mpy <<'PY'
names = [put("m", b"Subject: s%d\n\nx\n" % i, sub="cur", flags="") for i in range(4)]
c = preauth("m"); h = H(c.cmd("SELECT INBOX (CONDSTORE)").ok())
os.rename(f"m/cur/{names[0]}", f"m/cur/{names[0]}S")      # mutt
m = int(c.cmd("NOOP").ok().find(rb"\* 1 FETCH \(FLAGS \(\\Seen\) UID 1 MODSEQ \((\d+)\)\)").group(1)); assert m > h
leave(c)
os.rename(f"m/cur/{names[1]}", f"m/cur/{names[1]}F"); os.unlink(f"m/cur/{names[2]}"); put("m", b"Subject: new\n\n")
c = preauth("m"); h2 = H(c.cmd("SELECT INBOX (CONDSTORE)").ok()); assert h2 > m
a = c.cmd(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {m})").ok()
assert sorted(re.search(rb"UID (\d+)", l).group(1) for l in a.lines) == [b"2", b"5"], a.lines
# two sessions at once agree
d = preauth("m"); assert H(d.cmd("SELECT INBOX (CONDSTORE)").ok()) == h2
x = int(c.cmd("STORE 1 +FLAGS (a)").ok().find(rb"MODSEQ \((\d+)\)").group(1))
assert int(d.cmd("NOOP").find(rb"\* 1 FETCH \(FLAGS \(\\Seen a\) UID 1 MODSEQ \((\d+)\)\)").group(1)) == x
y = int(d.cmd("STORE 1 -FLAGS (a)").ok().find(rb"MODSEQ \((\d+)\)").group(1)); assert y > x
assert int(c.cmd("NOOP").find(rb"MODSEQ \((\d+)\)").group(1)) == y
assert modseqs(c) == modseqs(d)
c.cmd("STORE 1:3 (UNCHANGEDSINCE %d) +FLAGS (b)" % x).ok(b"MODIFIED 1]")
leave(c); leave(d)
# the index is but a memory: without it everything is new, nothing goes back
os.unlink("m/mx-index")
c = preauth("m"); h3 = H(c.cmd("SELECT INBOX (CONDSTORE)").ok()); assert h3 > y
assert all(v > y for v in modseqs(c).values()); leave(c)
for junk in (b"", b"mxindex1", os.urandom(5000)):
    good = open("m/mx-index", "rb").read(); open("m/mx-index", "wb").write(junk + good[len(junk):] if junk else b"")
    c = preauth("m"); assert H(c.cmd("SELECT INBOX (CONDSTORE)").ok()) >= h3; assert len(modseqs(c)) == 4; leave(c)
# a torn end of its log is cut off, and another program's uidlist counts
open("m/mx-index", "ab").write(b"\x40\0\0\0garbage")
c = preauth("m"); c.select(); c.cmd("STORE 1 +FLAGS (\\Draft)").ok(); leave(c)
c = preauth("m"); c.select(); c.cmd("FETCH 1 FLAGS").find(rb"Draft"); leave(c)
PY
}

@test "QRESYNC: VANISHED, SELECT tells what went and what changed" {
  mpy <<'PY'
for i in range(9): put("m", b"Subject: s%d\n\nx\n" % i, sub="cur")
c = preauth("m"); c.cmd("ENABLE QRESYNC").ok().has(b"* ENABLED QRESYNC")
a = c.select(); h = H(a); v = int(a.find(rb"UIDVALIDITY (\d+)").group(1))
c.cmd("STORE 2,5:6 +FLAGS.SILENT (\\Deleted)").ok()
a = c.cmd("EXPUNGE").ok(b"HIGHESTMODSEQ "); a.has(b"* VANISHED 2,5:6").hasnt(b"EXPUNGE"); assert H(a) > h
c.cmd("UID STORE 7 +FLAGS (\\Answered)").ok().find(rb"\* 4 FETCH \(FLAGS \(\\Answered\) UID 7 MODSEQ \(\d+\)\)")
os.unlink("m/cur/" + [f for f in files("m")][0]); c.cmd("NOOP").ok().has(b"* VANISHED 1")
a = c.cmd(f"UID FETCH 1:9 (FLAGS) (CHANGEDSINCE {h} VANISHED)").ok()
assert a.lines[0] == b"* VANISHED (EARLIER) 1:2,5:6", a.lines
c.cmd("CLOSE").ok().hasnt(b"HIGHESTMODSEQ"); h2 = int(c.cmd("STATUS INBOX (HIGHESTMODSEQ)").find(rb"HIGHESTMODSEQ (\d+)").group(1)); leave(c)
c = preauth("m"); c.cmd("ENABLE QRESYNC CONDSTORE").ok()
a = c.cmd(f"SELECT INBOX (QRESYNC ({v} {h}))").ok(); a.has(b"* VANISHED (EARLIER) 1:2,5:6"); a.find(rb"\* 3 FETCH \(FLAGS \(\\Answered\) UID 7 MODSEQ"); assert H(a) == h2
a = c.cmd(f"SELECT INBOX (QRESYNC ({v} {h} 1:4))").ok(); a.has(b"* OK [CLOSED] Previous mailbox closed", b"* VANISHED (EARLIER) 1:2").hasnt(b"UID 7")
a = c.cmd(f"SELECT INBOX (QRESYNC ({v} {h2} 1:9 (1:3 4:9)))").ok(); a.hasnt(b"VANISHED").hasnt(b"FETCH")
a = c.cmd(f"SELECT INBOX (QRESYNC ({v} 1))").ok(); a.has(b"* VANISHED (EARLIER) 1:2,5:6"); assert len([l for l in a.lines if b"FETCH" in l]) == 5
a = c.cmd(f"SELECT INBOX (QRESYNC ({v + 1} {h}))").ok(); a.hasnt(b"VANISHED").hasnt(b"FETCH")
c.cmd(f"SELECT INBOX (QRESYNC ({v}))").bad()
PY
}

@test "SELECT reads no folder that did not change, and only new/ after a delivery" {
  command -v strace >/dev/null || skip "no strace here"
  mpy <<'PY'
for i in range(1500): put("m", b"Subject: s%d\n\nx\n" % i, sub="cur")
c = preauth("m"); c.select(); leave(c); time.sleep(2)
def look():
    p = subprocess.run(["strace", "-f", "-e", "trace=getdents64,openat,fsync,fdatasync", "-o", "trace", "mx-imapd", "--preauth", "--maildir", "m"],
        input=b"a SELECT INBOX\r\nb FETCH 1:* (FLAGS)\r\nc LOGOUT\r\n", stdout=subprocess.PIPE)
    t = open("trace").read()
    assert p.stdout.count(b" FETCH (") == int(re.search(rb"(\d+) EXISTS", p.stdout).group(1))
    return p.stdout, [w for w in ('"cur"', '"new"', '"dovecot-uidlist"') if re.search(rf"openat\(\d+, {w}", t)]
o, t = look(); assert b"* 1500 EXISTS" in o and '"cur"' not in t and '"new"' not in t, t
put("m", b"Subject: new\n\n")
o, t = look(); assert b"* 1501 EXISTS" in o and b"* 1 RECENT" in o and '"cur"' not in t and '"new"' in t, t
time.sleep(0.1)
o, t = look(); assert b"* 1501 EXISTS" in o
assert uidlist("m")[-1].startswith("1501 :")
PY
}
