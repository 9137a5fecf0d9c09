# NOTIFY (RFC 5465).
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "NOTIFY: the selected mailbox, at once and with what is asked of new messages; delayed; none" {
  py <<'PY'
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, flags="S", sub="cur", mtime=1000 + i)
c, d = preauth("m"), preauth("m")
c.cmd("CAPABILITY").ok().find(rb" NOTIFY\b")
for bad in ("NOTIFY", "NOTIFY SET", "NOTIFY NONE x", "NOTIFY SET (selected MessageNew)", "NOTIFY SET (selected (FlagChange))",
            "NOTIFY SET (selected (MailboxName))", "NOTIFY SET (selected NONE) (selected-delayed NONE)", "NOTIFY SET (mailboxes (MessageNew MessageExpunge))",
            "NOTIFY SET (all NONE)", "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "NOTIFY SET (selected (MessageNew (NOSUCH) MessageExpunge))",
            "NOTIFY SET (selected (MessageNew MessageExpunge)"):
    c.cmd(bad).bad()
c.cmd("NOTIFY SET (personal (AnnotationChange MessageNew MessageExpunge))").no(b"BADEVENT (MessageNew MessageExpunge FlagChange MailboxName")
c.select(); d.select()
# what has gathered is told by the command itself
put("m", b"Subject: before\n\nx\n")
c.cmd("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))").ok().has(b"* 4 EXISTS")
put("m", b"Subject: new one\n\nx\n")
assert c.line() == b"* 5 EXISTS"
l = c.line()
if b"RECENT" in l: l = c.line()
assert l == b"* 5 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)] {20}\r\nSubject: new one\r\n\r\n)", l
d.cmd("STORE 1 +FLAGS (\\Flagged)").ok()
assert c.line() == b"* 1 FETCH (FLAGS (\\Flagged \\Seen) UID 1)"
d.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)").ok(); l = c.line(); assert b"Deleted" in l, l
d.cmd("EXPUNGE").ok()
assert c.line() == b"* 1 EXPUNGE"
# one's own are not fetched
a = c.append("INBOX", b"Subject: own\r\n\r\nx\r\n").ok().has(b"* 5 EXISTS"); a.hasnt(b"BODY[")
assert c.silent()
# a command that comes in the middle of it is answered
put("m", b"Subject: w\n\nx\n"); c.cmd("NOOP").ok()
# delayed: not before a command that may tell it; new ones at once
c.cmd("NOTIFY SET (selected-delayed (MessageNew (UID FLAGS) MessageExpunge))").ok()
c.cmd("NOOP").ok(); n = int(c.cmd("STATUS INBOX (MESSAGES)").find(rb"MESSAGES (\d+)").group(1))
d.cmd("NOOP").ok(); d.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)").ok(); d.cmd("EXPUNGE").ok()
assert c.silent()                                 # and no flags: FlagChange was not asked for
put("m", b"Subject: w2\n\nx\n")
l = c.line(); assert l == b"* %d EXISTS" % (n + 1), l
l = c.line()
if b"RECENT" in l: l = c.line()
assert re.match(rb"\* %d FETCH \(UID \d+ FLAGS \(.*\)\)$" % (n + 1), l), l
c.cmd("FETCH 2 (UID)").ok().hasnt(b"EXPUNGE")
c.cmd("NOOP").ok().has(b"* 1 EXPUNGE")
# none: nothing of the selected one, not even behind commands
for how in ("NOTIFY NONE", "NOTIFY SET (selected NONE)", "NOTIFY SET (mailboxes None (SubscriptionChange))"):
    c.cmd(how).ok()
    put("m", b"Subject: w3\n\nx\n")
    assert c.silent(0.3)
    assert c.cmd("NOOP").ok().lines == [], how
    c.cmd("NOTIFY SET (selected (MessageNew MessageExpunge))").ok()
# IDLE tells the same, UIDONLY too
c.cmd("ENABLE UIDONLY QRESYNC").ok()
c.cmd("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))").ok()
c.send("i IDLE\r\n"); assert c.line().startswith(b"+")
put("m", b"Subject: w4\n\nx\n")
assert b"EXISTS" in c.line(); l = c.line()
if b"RECENT" in l: l = c.line()
assert re.match(rb"\* \d+ UIDFETCH \(FLAGS \(.*\)\)$", l), l
c.send("DONE\r\n"); c.until(b"i", "IDLE").ok()
PY
}

@test "NOTIFY: other mailboxes: STATUS, by name, below a name, subscribed, all" {
  py <<'PY'
c, d = preauth("m"), preauth("m")
for b in "A", "A.B", "A.B.C", "AB", "Z": d.cmd("CREATE " + b).ok()
d.cmd("SUBSCRIBE Z").ok()
M = b"Subject: s\r\n\r\nx\r\n"
a = c.cmd("NOTIFY SET STATUS (mailboxes (INBOX Z nosuch) (MessageNew MessageExpunge)) (subtree A.B (MessageNew MessageExpunge FlagChange))").ok()
assert len(a.lines) == 4, a.lines
a.find(rb"STATUS INBOX \(MESSAGES 0 UIDNEXT 1 UIDVALIDITY \d+\)")
a.find(rb"STATUS A.B \(MESSAGES 0 UIDNEXT 1 UNSEEN 0 UIDVALIDITY \d+ HIGHESTMODSEQ \d+\)")
def told(*want):
    got = []
    for w in want:
        l = c.line(); got.append(l)
        assert re.match(w, l), (want, got)
d.append("Z", M).ok(); told(rb"\* STATUS Z \(MESSAGES 1 UIDNEXT 2\)$")
d.append("A", M).ok(); d.append("AB", M).ok()
d.append("A.B.C", M, "(\\Seen)").ok(); told(rb"\* STATUS A\.B\.C \(MESSAGES 1 UIDNEXT 2\)$")
d.cmd("SELECT A.B.C").ok(); d.cmd("STORE 1 -FLAGS (\\Seen)").ok(); told(rb"\* STATUS A\.B\.C \([^)]*UNSEEN 1[^)]*\)$")
d.cmd("SELECT Z").ok(); d.cmd("STORE 1 +FLAGS (\\Deleted)").ok(); d.cmd("EXPUNGE").ok(); told(rb"\* STATUS Z \(MESSAGES 0 UIDNEXT 2\)$")
put("m", b"Subject: by an agent\n\nx\n"); told(rb"\* STATUS INBOX \(MESSAGES 1 UIDNEXT 2\)$")
assert c.silent(0.3)
# the selected one is the business of SELECTED alone
c.select("Z"); d.append("Z", M).ok(); assert c.silent(0.3)
c.cmd("UNSELECT").ok()
d.append("Z", M).ok(); told(rb"\* STATUS Z \(MESSAGES 2 UIDNEXT 4\)$")
# with CONDSTORE the mod-sequence is told, and flags by it
c.cmd("ENABLE CONDSTORE").ok()
c.cmd("NOTIFY SET (subscribed (MessageNew MessageExpunge FlagChange))").ok()
d.append("A", M).ok(); d.append("Z", M).ok(); told(rb"\* STATUS Z \(MESSAGES 3 UIDNEXT 5 .*HIGHESTMODSEQ \d+\)$")
d.cmd("SUBSCRIBE A").ok()                       # the list is looked at anew
time.sleep(0.3); c.cmd("NOOP").ok()
d.append("A", M).ok(); told(rb"\* STATUS A \(MESSAGES 3 UIDNEXT 4 .*\)$")
# personal and inboxes; a mailbox that is made later
for w in "personal", "inboxes":
    c.cmd(f"NOTIFY SET ({w} (MessageNew MessageExpunge))").ok()
    d.cmd("CREATE later" + w).ok(); time.sleep(0.5); c.cmd("NOOP").ok()
    d.append("later" + w, M).ok(); told(rb"\* STATUS later%s \(MESSAGES 1 UIDNEXT 2" % w.encode())
c.cmd("NOTIFY NONE").ok()
d.append("A", M).ok(); assert c.silent(0.3)
PY
}

@test "NOTIFY: names and subscriptions; one's own are not told; too much to watch" {
  py <<'PY'
c, d = preauth("m"), preauth("m")
d.cmd("CREATE A.B").ok(); d.cmd("CREATE X").ok()
c.cmd("NOTIFY SET (subtree A (MailboxName)) (mailboxes New (MailboxName)) (personal (SubscriptionChange))").ok()
def told(*want):
    got = sorted(c.line() for _ in want)
    assert got == sorted(want), got
d.cmd("CREATE New").ok(); told(b'* LIST (\\HasNoChildren) "." New')
d.cmd("CREATE Other").ok(); assert c.silent(0.3)
d.cmd("CREATE A.New").ok(); told(b'* LIST (\\HasNoChildren) "." A.New', b'* LIST (\\NonExistent \\HasChildren) "." A')
d.cmd("RENAME A.New A.Moved").ok(); told(b'* LIST (\\HasNoChildren) "." A.Moved ("OLDNAME" (A.New))')
d.cmd("CREATE A.B.C").ok(); told(b'* LIST (\\HasNoChildren) "." A.B.C', b'* LIST (\\HasChildren) "." A.B')
d.cmd("RENAME A.B A.D").ok(); told(b'* LIST (\\HasChildren) "." A.D ("OLDNAME" (A.B))')
d.cmd("DELETE A.Moved").ok(); told(b'* LIST (\\NonExistent \\HasNoChildren) "." A.Moved', b'* LIST (\\NonExistent \\HasChildren) "." A')
d.cmd("SUBSCRIBE X").ok(); told(b'* LIST (\\Subscribed \\HasNoChildren) "." X')
open("m/subs.new", "w").write(open("m/subscriptions").read() + "gone\n"); os.rename("m/subs.new", "m/subscriptions")
told(b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." gone')
d.cmd("UNSUBSCRIBE X").ok(); told(b'* LIST (\\HasNoChildren) "." X')
c.cmd("CREATE A.Mine").ok().hasnt(b"LIST"); c.cmd("SUBSCRIBE A.Mine").ok().hasnt(b"LIST"); c.cmd("DELETE A.Mine").ok().hasnt(b"LIST")
assert c.silent(0.3)
for i in range(510): [os.makedirs(f"m/.many.{i}/{x}") for x in ("cur", "new", "tmp")]
c.cmd("NOTIFY SET (personal (MessageNew MessageExpunge))").no(b"NOTIFICATIONOVERFLOW")
c.cmd("NOTIFY SET (subtree many (MailboxName))").ok()
# what was set stays when another one is refused
c.cmd("NOTIFY SET (personal (MessageNew MessageExpunge))").no(b"NOTIFICATIONOVERFLOW")
d.cmd("DELETE many.7").ok(); l = c.line(); assert b"NonExistent" in l and b"many.7" in l, l
l = c.line(); assert b'"." many' in l, l
# it becomes too much while it is watched
for i in range(20): __import__("shutil").rmtree(f"m/.many.{400 + i}")
e = preauth("m")
e.cmd("NOTIFY SET (subtree many (MessageNew MessageExpunge))").ok()
for i in range(30): [os.makedirs(f"m/.many.x{i}/{x}") for x in ("cur", "new", "tmp")]
assert e.line().startswith(b"* OK [NOTIFICATIONOVERFLOW]")
e.cmd("NOOP").ok()
PY
}

@test "NOTIFY: annotations of mailboxes and of the server, by name; one's own are not told" {
  py <<'PY'
c, d = preauth("m"), preauth("m")
for b in "A", "A.B", "Z": d.cmd("CREATE " + b).ok()
d.cmd('SETMETADATA A (/private/comment "before" /shared/comment "s")').ok()
d.cmd('SETMETADATA "" (/shared/comment "before")').ok()
c.cmd("NOTIFY SET (selected (MailboxMetadataChange))").bad()
c.cmd("NOTIFY SET (selected (ServerMetadataChange))").bad()
c.cmd("NOTIFY SET (subtree A (MailboxMetadataChange)) (mailboxes INBOX (MailboxMetadataChange ServerMetadataChange))").ok()
c.select("A.B")
def told(*want):
    for w in want:
        l = c.line(); assert l == w, (w, l)
d.cmd('SETMETADATA A (/private/comment "after")').ok(); told(b"* METADATA A /private/comment")
d.cmd('SETMETADATA A (/private/comment "AFTER" /shared/comment "s" /private/new "n")').ok(); told(b"* METADATA A /private/comment /private/new")
# one that is deleted, RFC 5465 5.6; and one again
d.cmd('SETMETADATA A (/private/comment NIL)').ok(); told(b"* METADATA A /private/comment")
d.cmd('SETMETADATA A (/private/comment NIL)').ok()
d.cmd('SETMETADATA A.B ("/shared/x\\"y(z" "v")').ok(); told(b'* METADATA A.B "/shared/x\\"y(z"')
d.cmd('SETMETADATA INBOX (/shared/comment "i")').ok(); told(b"* METADATA INBOX /shared/comment")
d.cmd('SETMETADATA "" (/shared/comment "after" /private/vendor/x "1")').ok(); told(b'* METADATA "" /shared/comment /private/vendor/x')
d.cmd('SETMETADATA Z (/shared/comment "z")').ok(); assert c.silent(0.3)
# one's own are no news, and others' stay so after them
c.cmd('SETMETADATA A (/private/mine "1")').ok().hasnt(b"* METADATA"); c.cmd('SETMETADATA "" (/private/mine "1")').ok()
assert c.silent(0.3)
d.cmd('SETMETADATA A (/private/mine "2")').ok(); told(b"* METADATA A /private/mine")
# in the middle of IDLE, and behind a command
c.send("i IDLE\r\n"); assert c.line().startswith(b"+")
d.cmd('SETMETADATA A (/private/mine "3")').ok(); told(b"* METADATA A /private/mine")
c.send("DONE\r\n"); c.until(b"i", "IDLE").ok()
# a mailbox made later, renamed, deleted
d.cmd("CREATE A.late").ok(); time.sleep(0.3); c.cmd("NOOP").ok()
d.cmd('SETMETADATA A.late (/shared/comment "l")').ok(); told(b"* METADATA A.late /shared/comment")
d.cmd("RENAME A.late A.later").ok(); time.sleep(0.3); c.cmd("NOOP").ok()
d.cmd('SETMETADATA A.later (/shared/comment "m")').ok(); told(b"* METADATA A.later /shared/comment")
d.cmd("DELETE A.later").ok(); assert c.silent(0.3)
# with messages at the same mailbox; none
c.cmd("NOTIFY SET (mailboxes Z (MailboxMetadataChange MessageNew MessageExpunge))").ok()
d.append("Z", b"Subject: s\r\n\r\nx\r\n").ok(); l = c.line(); assert b"STATUS Z (MESSAGES 1" in l, l
d.cmd('SETMETADATA Z (/shared/comment NIL)').ok(); told(b"* METADATA Z /shared/comment")
d.cmd('SETMETADATA "" (/shared/comment "q")').ok(); d.cmd('SETMETADATA A (/shared/comment "q")').ok(); assert c.silent(0.3)
c.cmd("NOTIFY NONE").ok(); d.cmd('SETMETADATA Z (/shared/comment "r")').ok(); assert c.silent(0.3)
PY
}
