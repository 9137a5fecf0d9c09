# A folder that the user may only read, and a disk that is full: what has a UID
# is shown, and no UID is given that is not written.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

# py_nobody: py with what runs the server without root's rights
py_nobody() {
  chmod 755 "$T"
  { cat <<'PY'
def nobody(m):
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    return Process(who + ["mx-imapd", "--preauth", "--maildir", m])
def own(m):
    for d, _, fs in os.walk(m):
        for f in [d] + [d + "/" + f for f in fs]:
            if os.geteuid() == 0: os.chown(f, 65534, 65534)
def mode(m, bits):
    for d in m, m + "/cur", m + "/new", m + "/tmp": os.chmod(d, bits)
PY
    cat; } > "$T/nobody.py"
  py < "$T/nobody.py"
}

@test "a folder without the right to write shows what has UIDs, and gives nobody else's; written again, it numbers the rest" {
  py_nobody <<'PY'
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i)
own("m"); c = nobody("m"); c.select(); c.end()
names = {l.split(" ")[0]: l.split(":")[1] for l in uidlist("m")[1:]}; assert len(names) == 3
for i in range(3, 5): put("m", b"Subject: s%d\n\nx\n" % i)
own("m"); mode("m", 0o555); before = uidlist("m")
c = nobody("m"); c.cmd("SELECT INBOX").ok(b"READ-ONLY").has(b"* 3 EXISTS")
c.cmd("EXAMINE INBOX").ok().has(b"* 3 EXISTS"); c.cmd("STATUS INBOX (MESSAGES UIDNEXT)").ok().has(b"* STATUS INBOX (MESSAGES 3 UIDNEXT 4)")
c.cmd("UID FETCH 1:* BODY[HEADER.FIELDS (SUBJECT)]").ok().find(rb"s2"); c.cmd("NOOP").ok().hasnt(b"EXISTS"); c.cmd("STORE 1 +FLAGS (\\Seen)").no()
assert uidlist("m") == before
# the session sees them as soon as they can be numbered, the one that had it open too
mode("m", 0o755); c.cmd("NOOP").ok().has(b"* 5 EXISTS")
d = nobody("m"); d.select().has(b"* 5 EXISTS"); c.cmd("NOOP").ok()
for x in c, d: x.cmd("UID FETCH 4:5 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").ok().find(rb"UID 5.*s4|s4")
assert uidlist("m")[1:4] == before[1:]
PY
}

@test "mail that comes, and goes, while a session has a folder that it may only read" {
  py_nobody <<'PY'
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i)
own("m"); c = nobody("m"); c.select(); c.end(); mode("m", 0o555)
c = nobody("m"); c.cmd("SELECT INBOX").ok(b"READ-ONLY").has(b"* 3 EXISTS")
mode("m", 0o755); put("m", b"Subject: late\n\nx\n"); os.unlink("m/cur/" + sorted(os.listdir("m/cur"))[0]); mode("m", 0o555)
if os.geteuid() != 0: raise SystemExit
c.cmd("NOOP").ok().has(b"* 1 EXPUNGE"); c.cmd("UID FETCH 1:* FLAGS").ok().hasnt(b"UID 4")
c.cmd("NOOP").ok(); c.end(); c = nobody("m"); c.cmd("SELECT INBOX").ok(b"READ-ONLY").has(b"* 2 EXISTS")
PY
}

@test "disk full: SELECT shows what has UIDs, mail can be removed, and the rest is shown once there is room" {
  need_root
  mkdir "$T/m"
  mount -t tmpfs -o size=300k tmpfs "$T/m" || skip "no tmpfs can be mounted here"
  py <<'PY' || { umount "$T/m"; false; }
put("m", b"Subject: big\n\n" + b"y\n" * 50000); put("m", b"Subject: b\n\nx\n")
c = preauth("m"); c.select().has(b"* 2 EXISTS"); c.end()
put("m", b"Subject: c\n\nx\n")
with open("m/fill", "wb", 0) as f:
    try:
        while True: f.write(b"x" * 4096)
    except OSError: pass
c = preauth("m"); c.select().has(b"* 2 EXISTS")
c.cmd("STORE 1 +FLAGS (\\Deleted)").ok(); a = c.cmd("EXPUNGE").ok().has(b"* 1 EXPUNGE")
c.cmd("NOOP").ok(); c.cmd("UID FETCH 1:* BODY[HEADER.FIELDS (SUBJECT)]").ok().find(rb"Subject: c.*UID 3 ")
c.end()
PY
  umount "$T/m"
}

@test "a folder that may not be written and never had UIDs: UIDs of the session, UIDNOTSTICKY; once it has a list, BYE" {
  need_root
  py_nobody <<'PY'
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, "cur", name="160000000%d.M1P1.h" % (3 - i), flags="S")
put("m", b"Subject: new\n\nx\n", name="1700000000.M1P1.h")
own("m"); mode("m", 0o555)
c = nobody("m"); a = c.cmd("SELECT INBOX").ok(b"READ-ONLY").has(b"* 4 EXISTS"); a.find(rb"^\* NO \[UIDNOTSTICKY\] "); v = int(a.find(rb"UIDVALIDITY (\d+)").group(1)); a.find(rb"UIDNEXT 5")
assert v > 1500000000
c.cmd("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]").ok().find(rb"UID 1 BODY.*s2|s2.*UID 1")
c.cmd("UID FETCH 4 (FLAGS BODY[TEXT])").ok().find(rb"x\r\n"); c.cmd("STORE 1 +FLAGS (\\Seen)").no(b"READ-ONLY"); c.cmd("EXPUNGE").no(); c.cmd("UID SEARCH ALL").has(b"* SEARCH 1 2 3 4")
c.cmd("EXAMINE INBOX").ok().find(rb"UIDNOTSTICKY"); c.cmd("STATUS INBOX (MESSAGES UIDNEXT)").ok().has(b"* STATUS INBOX (MESSAGES 4 UIDNEXT 5)")
# what comes and goes meanwhile: the next UID, EXPUNGE; the others stay what they were
mode("m", 0o755); put("m", b"Subject: late\n\nx\n", name="1500000000.M1P1.h"); os.unlink("m/cur/1600000002.M1P1.h:2,S"); mode("m", 0o555)
a = c.cmd("NOOP").ok().has(b"* 2 EXPUNGE", b"* 4 EXISTS"); c.cmd("UID SEARCH ALL").has(b"* SEARCH 1 3 4 5"); c.cmd("UID FETCH 5 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").find(rb"late")
os.rename("m/cur/1600000001.M1P1.h:2,S", "m/cur/1600000001.M1P1.h:2,FS"); c.cmd("NOOP").ok().find(rb"\* 1 FETCH \(FLAGS \(\\Flagged \\Seen\)")
assert "dovecot-uidlist" not in os.listdir("m") and "mx-index" not in os.listdir("m")
# UIDs that are written are others: this session may not go on with its own
mode("m", 0o755); d = nobody("m"); d.select().hasnt(b"UIDNOTSTICKY"); d.end(); assert len(uidlist("m")) == 5
c.send(b"x NOOP\r\n"); assert b"* BYE " in c.closed()
PY
}

@test "the same by POP3: refused, as unique ids must stay" {
  need_root
  py_nobody <<'PY'
put("m", b"Subject: s\n\nx\n"); own("m"); mode("m", 0o555)
p = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "mx-pop3d", "--preauth", "--maildir", "m"], input=b"STAT\r\nQUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
assert p.stdout.startswith(b"-ERR [SYS/TEMP] "), p.stdout
PY
}
