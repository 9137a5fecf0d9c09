# mboxes as mailboxes: mail_location = mbox:DIR:INBOX=FILE, as Dovecot has it.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

# mbox_py: py, with words for mboxes in front
mbox_py() {
  { cat <<'PY'
import mailbox as boxes, hashlib
T = os.environ["T"]
def mbox(where="spool"):
    loc = f"mbox:{T}/mail:INBOX={T}/spool" if where == "spool" else where
    return Process(["mx-imapd", "--preauth", "-o", "mail_location=" + loc])
def deposit(path, msg):
    subprocess.run(["mx-deliver", "--mbox", f"{T}/{path}"], input=msg, check=True)
def msg(i, body="body\n"): return (f"From: a@b.c\nSubject: s{i}\nMessage-ID: <{i}@x>\n\n" + body).encode()
def uids(c): return [int(u) for u in re.findall(rb"UID (\d+)", b" ".join(c.cmd("UID FETCH 1:* (UID)").ok().lines))]
def subjects(c):
    l = c.cmd("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok().lines
    return [re.search(rb"Subject: (.*)\r\n", x).group(1).decode() for x in l]
def body(c, uid):
    l = c.cmd(f"UID FETCH {uid} (BODY.PEEK[])").ok().find(rb"BODY\[\] \{(\d+)\}\r\n(.*)$")
    n = int(l.group(1)); assert l.group(2)[n:] in (b")", b" UID %d)" % uid), l; return l.group(2)[:n]
PY
    cat; } > "$T/body.py"
  py < "$T/body.py"
}

@test "mbox: INBOX and nested folders, read-only; bytes as they were sent; flags as Status says" {
  mkdir -p "$T/mail/lists/old" "$T/mail/.hidden"
  mbox_py <<'PY'
evil = "From here on it is easy\n>From joe  Sat Jan  3 01:05:34 1996\n\nFrom joe  Sat Jan  3 01:05:34 1996\n>>From x\n.\n"
for i in range(3): deposit("spool", msg(i, evil))
deposit("mail/work", msg("w")); deposit("mail/lists/old/2019.q", msg("l")); deposit("mail/.hidden/x", msg("h"))
open("mail/Entw\u00fcrfe", "wb").close()
open("mail/notes.txt", "w").write("no mbox at all\n"); os.symlink("/etc/passwd", "mail/link")
open("mail/flags", "w").write("From joe  Sat Jan  3 01:05:34 1996\nStatus: RO\nX-Status: AF\nSubject: f\nX-UID: 9\nContent-Length: 400\n\nx\n\n"
  "From joe  Sun Jan  4 01:05:34 1996 +0100\nSubject: g\n\ny")
c = mbox()
a = c.cmd('LIST "" *').ok()
names = sorted(re.search(rb'"\." (.*)$', l).group(1) for l in a.lines if b"Noselect" not in l and b"NonExistent" not in l)
assert names == [b"Entw&APw-rfe", b"INBOX", b"flags", b"lists.old.2019.q", b"work"], names
c.cmd('LIST "" lists.% RETURN (CHILDREN)').ok().find(rb"\\HasChildren.* lists\.old$")
c.cmd("SELECT INBOX").ok(b"READ-ONLY").has(b"* 3 EXISTS").find(rb"PERMANENTFLAGS \(\)")
assert uids(c) == [1, 2, 3] and subjects(c) == ["s0", "s1", "s2"]
for u in 1, 2, 3:
    b = body(c, u); want = msg(u - 1, evil).replace(b"\n", b"\r\n")
    assert b.endswith(want), b
c.cmd("SELECT flags").ok().has(b"* 2 EXISTS")
c.cmd("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)").ok().find(rb'FLAGS \(\\Answered \\Flagged \\Seen\) INTERNALDATE "0?3-Jan-1996.* RFC822.SIZE 17')
c.cmd("FETCH 2 (FLAGS INTERNALDATE)").ok().find(rb"FLAGS \(\)")
assert body(c, 1) == b"Subject: f\r\n\r\nx\r\n" and body(c, 2) == b"Subject: g\r\n\r\ny"
t = re.search(rb'"(.*?)"', c.cmd("FETCH 2 INTERNALDATE").lines[0]).group(1).decode()
from datetime import datetime
assert datetime.strptime(t.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp() == 820713934, t
c.cmd("SELECT lists.old.2019.q").ok().has(b"* 1 EXISTS"); c.cmd('SELECT "Entw&APw-rfe"').ok().has(b"* 0 EXISTS")
# nothing of it can be changed, whoever asks how
c.cmd("SELECT work").ok(b"READ-ONLY")
c.cmd("STORE 1 +FLAGS (\\Seen)").no(b"READ-ONLY"); c.cmd("EXPUNGE").no(b"READ-ONLY"); c.cmd("MOVE 1 INBOX").no()
c.append("work", b"Subject: x\r\n\r\nx\r\n").no(b"CANNOT"); c.cmd("COPY 1 flags").no(b"CANNOT")
c.cmd("DELETE work").no(b"CANNOT"); c.cmd("RENAME work other").no(b"CANNOT"); c.cmd("RENAME lists other").no(b"CANNOT")
c.cmd("RENAME INBOX other").no(b"CANNOT"); c.cmd("CREATE work").no(b"ALREADYEXISTS")
c.cmd("MYRIGHTS work").ok().has(b"* MYRIGHTS work lrk")
c.cmd("FETCH 1 BODY[]").ok(); c.cmd("FETCH 1 FLAGS").ok().has(b"* 1 FETCH (FLAGS ())")
# what can be read can be searched, sorted, copied to a mailbox that is none
c.cmd('SEARCH SUBJECT "w" BODY "body"').ok().has(b"* SEARCH 1")
c.cmd("CREATE mine").ok(); c.cmd("COPY 1 mine").ok(b"COPYUID"); c.select("mine"); assert body(c, 1).endswith(msg("w").replace(b"\n", b"\r\n"))
c.cmd("STORE 1 +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
c.cmd("SELECT work").ok().has(b"* 1 EXISTS"); assert b"Subject: sw" in body(c, 1)
c.cmd("SUBSCRIBE work").ok(); c.cmd('LSUB "" *').ok().has(b'* LSUB () "." work')
a = open("mail/work", "rb").read(); assert b"Status" not in a and a.count(b"\nFrom ") == 0
PY
}

@test "mbox: others append, delete, flag and rewrite meanwhile: a UID stays a message's, and IDLE tells" {
  mkdir -p "$T/mail"
  mbox_py <<'PY'
for i in range(5): deposit("spool", msg(i))
c, d = mbox(), mbox()
c.cmd("SELECT INBOX").ok().has(b"* 5 EXISTS"); v = c.cmd("STATUS INBOX (UIDVALIDITY)").find(rb"UIDVALIDITY (\d+)").group(1)
d.cmd("SELECT INBOX").ok(); assert uids(d) == [1, 2, 3, 4, 5]
# appended: while it idles
c.send("i IDLE\r\n"); assert c.line().startswith(b"+")
deposit("spool", msg(5)); assert c.line() == b"* 6 EXISTS"
c.send("DONE\r\n"); c.until(b"i", "IDLE").ok()
assert uids(c) == [1, 2, 3, 4, 5, 6]
# the same bytes twice are two messages
deposit("spool", msg(5)); deposit("spool", msg(5)); c.cmd("NOOP").ok().has(b"* 8 EXISTS"); assert uids(c) == list(range(1, 9))
# deleted, flagged and one put in front, the file written anew
b = boxes.mbox("spool"); b.lock()
keys = b.keys(); m = b[keys[2]]; m.set_flags("RF"); b[keys[2]] = m; del b[keys[1]]; del b[keys[6]]; b.flush(); b.unlock(); b.close()
a = c.cmd("NOOP").ok(); n = len([l for l in a.lines if l.endswith(b"EXPUNGE")]); assert n == 2, a.lines
a.find(rb"FETCH \(.*FLAGS \(\\Flagged \\Seen\)")
assert subjects(c) == ["s0", "s2", "s3", "s4", "s5", "s5"] and uids(c)[:4] == [1, 3, 4, 5], uids(c)
text = open("spool", "rb").read()
open("new", "wb").write(b"From z  Sat Jan  3 01:05:34 1996\nSubject: front\n\nx\n\n" + text); os.rename("new", "spool")
c.cmd("NOOP").ok().has(b"* 7 EXISTS"); assert uids(c)[-1] == 9 and subjects(c)[-1] == "front"
# a mbox in place of which there is another, an empty one, none, one again
open("spool", "r+").truncate(0)
a = c.cmd("NOOP").ok(); assert len([l for l in a.lines if l.endswith(b"EXPUNGE")]) == 7
os.unlink("spool"); c.cmd("NOOP").ok(); deposit("spool", msg("again")); c.cmd("NOOP").ok().has(b"* 1 EXISTS")
assert uids(c) == [10] and c.cmd("STATUS INBOX (UIDVALIDITY)").find(rb"UIDVALIDITY (\d+)").group(1) == v
d.cmd("NOOP").ok(); assert uids(d) == [10]
# new and removed mboxes while it runs; a name that came back is another mailbox
deposit("mail/late", msg("l")); c.cmd("STATUS late (MESSAGES)").ok().has(b"* STATUS late (MESSAGES 1)")
c.cmd("SELECT late").ok(); c.cmd("UNSELECT").ok(); os.unlink("mail/late")
c.cmd('LIST "" late').ok().hasnt(b"late"); c.cmd("SELECT late").no(b"NONEXISTENT")
# no mbox any more: said, and what was shown stays
open("mail/bad", "w").write("From a  Sat Jan  3 01:05:34 1996\nSubject: b\n\nx\n"); c.cmd("SELECT bad").ok().has(b"* 1 EXISTS")
open("mail/bad", "w").write("garbage\n"); c.cmd("NOOP").ok().hasnt(b"EXPUNGE"); assert subjects(c) == ["b"]
PY
}

@test "mbox: the folder that shows it is thrown away, torn, or two sessions read it at once" {
  mkdir -p "$T/mail"
  mbox_py <<'PY'
import shutil, threading
for i in range(30): deposit("spool", msg(i, f"{i}\n" * 50))
cs = [mbox() for _ in range(4)]
ts = [threading.Thread(target=lambda c: c.cmd("SELECT INBOX").ok(), args=(c,)) for c in cs]
for t in ts: t.start()
for t in ts: t.join()
for c in cs: assert uids(c) == list(range(1, 31)) and subjects(c) == [f"s{i}" for i in range(30)]
for c in cs: c.cmd("LOGOUT").ok()
# a power cut left one short: it is read anew, with a UID that never was another's
f = sorted(os.listdir("mail/.mx/cur"))[3]; open("mail/.mx/cur/" + f, "r+").truncate(10)
deposit("spool", msg("x"))
c = mbox(); c.cmd("SELECT INBOX").ok(); u = uids(c)
assert len(u) == 31 and 4 not in u and max(u) == 32, u
assert sorted(subjects(c)) == sorted([f"s{i}" for i in range(30)] + ["sx"])
for x in u: assert b"Subject: s" in body(c, x)
shutil.rmtree("mail/.mx"); c = mbox(); c.cmd("SELECT INBOX").ok(); assert uids(c) == list(range(1, 32))
PY
}

@test "mbox: each write, sync and rename fails, is cut short or kills: UIDs stay, nothing is shown torn" {
  mkdir -p "$T/mail"
  mbox_py <<'PY'
cmd = ["mx-imapd", "--preauth", "-o", f"mail_location=mbox:{T}/mail:INBOX={T}/spool"]
def faulty(spec):
    if os.path.exists("state"): os.unlink("state")
    env = {**os.environ, "LD_PRELOAD": os.environ["MX_BUILD"] + "/lib/shim_fault.so", "MX_FAULT": spec, "MX_FAULT_PATH": "/mail/.mx", "MX_FAULT_STATE": T + "/state", "MX_LOG": T + "/log"}
    subprocess.run(cmd, input=b"a SELECT INBOX\r\nb NOOP\r\nc LOGOUT\r\n", env=env, capture_output=True, timeout=60)
    return int.from_bytes(open("state", "rb").read()[8:16], sys.byteorder) > 0
total = 3
for i in range(3): deposit("spool", msg(i))
c = mbox(); c.cmd("SELECT INBOX").ok(); known = dict(zip(uids(c), subjects(c))); c.cmd("LOGOUT")
for action in "kill", "EIO", "short", "ENOSPC":
    for n in range(1, 100):
        deposit("spool", msg(f"{action}{n}")); total += 1
        struck = faulty(f"any:{n}:{action}")
        c = mbox(); c.cmd("SELECT INBOX").ok(); now = dict(zip(uids(c), subjects(c)))
        for u, s in known.items(): assert now.get(u) == s, (action, n, u, s, now)
        assert len(now) == len(set(now.values())) == total, (action, n, total, now)
        u = max(now); assert now[u] == f"s{action}{n}" and body(c, u).endswith(msg(f"{action}{n}").replace(b"\n", b"\r\n"))
        c.cmd("LOGOUT"); known = now
        if not struck: break
    assert n > 5 and not struck, (action, n)
PY
}

@test "mbox: a large one is read a message at a time, not as a whole" {
  mkdir -p "$T/mail"
  mbox_py <<'PY'
import threading
one = b"From joe  Sat Jan  3 01:05:34 1996\nSubject: s%d\n\n" + (b"x" * 75 + b"\n") * 13000 + b"\n"
with open("spool", "wb") as f:
    for i in range(60): f.write(one % i)
before = os.path.getsize("spool")
c = mbox(); c.cmd("SELECT INBOX").ok().has(b"* 60 EXISTS"); assert subjects(c)[59] == "s59"
most = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{c.p.pid}/status").read()).group(1))
assert most < before // 2048,  f"{most} kB for a mbox of {before // 1024} kB"
PY
}

@test "mbox: over TLS and in the sandbox, as Dovecot's configurations say it; POP3; mx-auth's word" {
  need_root
  imap_serve "mail_location = mbox:$T/mail/%n/mail:INBOX=$T/mail/spool-%n"
  for u in joe eve; do
    mkdir -p "$T/mail/$u/mail"
    mx-deliver --mbox "$T/mail/spool-$u" <<< "Subject: for $u"$'\n\nx'
    mx-deliver --mbox "$T/mail/$u/mail/work" <<< "Subject: work of $u"$'\n\nx'
  done
  chown -R nobody "$T/mail"
  mbox_py <<'PY'
c = connect(os.environ["IMAPS"], tls=True); c.cmd("LOGIN joe@x.test secret").ok()
c.cmd('LIST "" *').ok().find(rb"work")
c.cmd("SELECT INBOX").ok(b"READ-ONLY").has(b"* 1 EXISTS"); assert subjects(c) == ["for joe"]
subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", "mx-deliver", "--mbox", f"{T}/mail/spool-joe"], input=b"Subject: second\n\nx\n", check=True)
c.cmd("NOOP").ok().has(b"* 2 EXISTS"); c.cmd("SELECT work").ok(); assert subjects(c) == ["work of joe"]
PY
  # in POP3 it is read, too, and nothing removed
  for how in --preauth; do
    printf 'STAT\r\nUIDL 1\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n' |
      mx-pop3d $how -o "mail_location=mbox:$T/mail/eve/mail:INBOX=$T/mail/spool-eve" > "$T/pop"
  done
  cat "$T/pop"
  grep -q '^+OK 1 ' "$T/pop"; grep -q '^Subject: for eve' "$T/pop"; grep -q '^-ERR \[SYS/PERM\]' "$T/pop"
  grep -q 'Subject: for eve' "$T/mail/spool-eve"
}

@test "mbox: what Dovecot's own mbox gave: UIDVALIDITY, UIDs, flags and keywords stay; a stranger's fields give nothing" {
  need_root
  dovecot_conf "x"
  sed -i "s|^mail_location = .*|mail_location = mbox:$T/mail:INBOX=$T/spool|; s|separator = [.]|separator = /|" "$T/dovecot.conf"
  echo "mbox_write_locks = fcntl" >> "$T/dovecot.conf"
  mkdir -p "$T/mail"; chmod 777 "$T"
  mbox_py <<'PY'
def dovecot():
    os.system("chown -R nobody:nogroup mail spool 2>/dev/null")
    return Process(["doveadm", "-c", "dovecot.conf", "exec", "imap"], env={**os.environ, "HOME": T + "/mail", "USER": "nobody"}, stderr=subprocess.DEVNULL)
def view(c):
    a = c.cmd("EXAMINE INBOX").ok(); v = a.find(rb"UIDVALIDITY (\d+)").group(1), int(a.find(rb"UIDNEXT (\d+)").group(1))
    rows = {}
    for l in c.cmd("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").ok().lines:
        m = re.search(rb"UID (\d+) FLAGS \((.*?)\) BODY\[\] \{\d+\}\r\n(.*)\)$", l, re.S)
        rows[int(m.group(1))] = set(m.group(2).split()) - {b"\\Recent"}, m.group(3)
    c.cmd("LOGOUT"); c.p.wait(20); return v, rows
open("spool", "w").close()
d = dovecot()
for i in range(6): d.append("INBOX", b"From: a@b.c\r\nSubject: s%d\r\n\r\nbody %d\r\n" % (i, i), ["", "(\\Seen work)", "(\\Flagged $Label1 work)"][i % 3]).ok()
d.select(); d.cmd("STORE 2,5 +FLAGS (\\Deleted)").ok(); d.cmd("EXPUNGE").ok(); d.cmd("LOGOUT"); d.p.wait(20)
assert b"X-UID: 6" in open("spool", "rb").read(), open("spool", "rb").read()
theirs, ours = view(dovecot()), view(mbox())
assert theirs == ours and sorted(ours[1]) == [1, 3, 4, 6] and ours[1][3][0] == {b"\\Flagged", b"$Label1", b"work"}, (theirs, ours)
# more by Dovecot, which mx has not seen before; flags and keywords of what it has
d = dovecot(); d.append("INBOX", b"Subject: late\r\n\r\nx\r\n", "(new)").ok(); d.select(); d.cmd("UID STORE 4 FLAGS (\\Answered other)").ok(); d.cmd("UID STORE 3 -FLAGS (work)").ok(); d.cmd("LOGOUT"); d.p.wait(20)
theirs, ours = view(dovecot()), view(mbox())
assert theirs[1] == ours[1] and theirs[0][0] == ours[0][0] and 7 in ours[1], (theirs, ours)
assert ours[1][4][0] == {b"\\Answered", b"other"} and ours[1][3][0] == {b"\\Flagged", b"$Label1"}, ours[1]
# fields that came with a message of a stranger, and UIDs above what the mbox gave
with open("spool", "ab") as f: f.write((b"" if open("spool", "rb").read().endswith(b"\n\n") else b"\n") + b"From z  Sat Jan  3 01:05:34 1996\nX-UID: 4000000\nX-Keywords: evil\nX-IMAPbase: 7 4000000 evil\nSubject: z\n\nz\n")
v, rows = view(mbox())
assert v[0] == ours[0][0] and sorted(rows) == [1, 3, 4, 6, 7, 8] and rows[8][0] == set(), (v, rows)
PY
}
