# Two files of one base name, and files that come back: no UID names two
# messages, or one that was expunged.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "a second file of a name (rsync) is a message of its own, as in Dovecot; its twin's UID does not come back" {
  py <<'PY'
import shutil
def uids(c): return re.findall(rb"UID (\d+)", b" ".join(c.cmd("FETCH 1:* (UID)").ok().lines))
def copy(flags, to):
    f = next(f for f in os.listdir("m/cur") if f.startswith(base)); shutil.copy2("m/cur/" + f, "m/cur/" + base + ":2," + to)
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, name=f"170000000{i}.M1P1.h", sub="cur", flags="")
base = "1700000001.M1P1.h"
c = preauth("m"); c.select(); assert uids(c) == [b"1", b"2", b"3"]
# while it is open, and watched
copy("", "FS"); c.cmd("NOOP").ok().has(b"* 4 EXISTS"); assert uids(c) == [b"1", b"2", b"3", b"4"]
c.cmd("STORE 2 +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok().has(b"* 2 EXPUNGE"); c.cmd("NOOP").ok()
assert uids(c) == [b"1", b"3", b"4"]; c.end()
for i in range(2): c = preauth("m"); c.cmd("SELECT INBOX").ok().has(b"* 3 EXISTS"); assert uids(c) == [b"1", b"3", b"4"]; c.end()
assert len(files("m")) == 3
# while nobody looks, of one that has a UID, and of one that is new
base = "1700000000.M1P1.h"; copy("", "S")
put("m", b"Subject: t\n\nx\n", name="1700000009.M1P1.h", sub="cur", flags=""); put("m", b"Subject: t\n\nx\n", name="1700000009.M1P1.h", sub="cur", flags="R")
os.utime("m/cur", (1700000000, 1700000000)) # long ago: what EXAMINE hides, no index may call known
c = preauth("m"); c.cmd("EXAMINE INBOX").ok(); assert len(files("m")) == 6 and len(set(uids(c))) == len(uids(c)) and b"1" in uids(c)
c.select().has(b"* 6 EXISTS"); got = uids(c); assert got[:3] == [b"1", b"3", b"4"] and len(set(got)) == 6, got
c.cmd("NOOP").ok().hasnt(b"EXISTS"); assert uids(c) == got
c.cmd("UID STORE 1 +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok(); c.end()
c = preauth("m"); c.select(); assert uids(c) == got[1:], (uids(c), got)
PY
}

@test "a file that comes back after its message was expunged has a new UID; one that is renamed keeps its own" {
  py <<'PY'
import shutil
def uids(c): return re.findall(rb"UID (\d+)", b" ".join(c.cmd("FETCH 1:* (UID)").ok().lines))
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, name=f"170000000{i}.M1P1.h", sub="cur", flags="")
for n, at in enumerate((2, 1)):
    shutil.copytree("m/cur", f"old{n}"); c = preauth("m"); c.select(); was = uids(c)
    c.cmd(f"STORE {at} +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok().has(b"* %d EXPUNGE" % at)
    if n == 0: c.end()
    for f in os.listdir(f"old{n}"):
        if not any(g.startswith(f.split(":")[0]) for g in os.listdir("m/cur")): shutil.copy2(f"old{n}/{f}", "m/cur/" + f)
    if n == 0: c = preauth("m"); c.cmd("SELECT INBOX").ok().has(b"* 3 EXISTS")
    else: c.cmd("NOOP").ok(); c.end(); c = preauth("m"); c.select().has(b"* 3 EXISTS")
    got = uids(c); assert was[at - 1] not in got and len(set(got)) == 3 and int(got[-1]) > int(was[-1]), (was, got)
    for f in os.listdir("m/cur"): os.rename("m/cur/" + f, "m/cur/" + f.split(":")[0] + ":2," + ("S" if n else "F"))
    c.cmd("NOOP").ok(); assert uids(c) == got; c.end()
PY
}
