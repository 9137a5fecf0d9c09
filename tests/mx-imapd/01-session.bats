# The commands of a session, one by one, through --preauth.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "greeting, CAPABILITY, ID, NAMESPACE, ENABLE, NOOP, LOGOUT" {
  py <<'PY'
c = preauth("m")
assert c.greeting.startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 "), c.greeting
a = c.cmd("CAPABILITY").ok()
for w in b"LITERAL+ IDLE UIDPLUS MOVE NAMESPACE SPECIAL-USE ESEARCH UNSELECT".split():
    a.find(rb" " + re.escape(w) + rb"( |$)")
c.cmd('ID ("name" "test" "x" NIL)').ok()
c.cmd("ID NIL").ok()
c.cmd("NAMESPACE").ok().has(b'* NAMESPACE (("" ".")) NIL NIL')
c.cmd("ENABLE X-NO CONDSTORE").ok().has(b"* ENABLED CONDSTORE")
c.cmd("NOOP").ok()
c.cmd("NOOP x").bad()
c.cmd("XYZZY").bad()
c.cmd("FETCH 1 FLAGS").bad()
c.cmd("LOGIN a b").bad()
c.cmd("logout").ok()
assert c.end() == 0
PY
  [ -d "$T/m/cur" ] && [ "$(stat -c %a "$T/m")" = 700 ]
}

@test "SELECT tells flags, counts, UIDs; new mail is recent once; EXAMINE moves nothing" {
  py <<'PY'
put("m", b"Subject: a\n\nx\n")
put("m", b"Subject: b\n\nx\n", sub="cur", flags="S")
c = preauth("m")
a = c.cmd("EXAMINE inbox").ok(b"READ-ONLY")
a.has(b"* 2 EXISTS", b"* 1 RECENT", b"* OK [UIDNEXT 3] Predicted next UID")
a.find(rb"PERMANENTFLAGS \(\)")
assert len(os.listdir("m/new")) == 1
c.cmd("STORE 1 +FLAGS (\\Seen)").no(b"READ-ONLY")
a = c.select()
a.has(b"* OK [CLOSED] Previous mailbox closed", b"* 1 RECENT")
a.find(rb"UNSEEN 1\]"); a.find(rb"PERMANENTFLAGS \(.*\\\*\)")
assert os.listdir("m/new") == [] and len(os.listdir("m/cur")) == 2
c.cmd("FETCH 1:2 FLAGS").ok().has(b"* 1 FETCH (FLAGS (\\Recent))", b"* 2 FETCH (FLAGS (\\Seen))")
d = preauth("m")
d.select().has(b"* 0 RECENT")
c.cmd("SELECT nowhere").no(b"NONEXISTENT")
c.cmd("FETCH 1 FLAGS").bad()
PY
}

@test "STORE adds, removes, replaces; silent; keywords; the files carry them" {
  py <<'PY'
put("m", b"Subject: a\n\nx\n", name="1.M1P1.h,S=14")
c = preauth("m"); c.select()
c.cmd("STORE 1 +FLAGS (\\Seen $Fwd)").ok().has(b"* 1 FETCH (FLAGS (\\Seen \\Recent $Fwd))")
assert files("m") == ["1.M1P1.h,S=14:2,Sa"], files("m")
c.cmd("STORE 1 FLAGS.SILENT (\\Deleted \\Flagged Work)").ok().hasnt(b"FETCH")
assert files("m") == ["1.M1P1.h,S=14:2,FTb"], files("m")
c.cmd("UID STORE 1 -FLAGS \\Deleted").ok().has(b"* 1 FETCH (FLAGS (\\Flagged \\Recent Work) UID 1)")
assert open("m/dovecot-keywords").read() == "0 $Fwd\n1 Work\n"
c.cmd("STORE 2 +FLAGS (\\Seen)").bad()
c.cmd("UID STORE 2 +FLAGS (\\Seen)").ok()
c.cmd("STORE 1 +FLAGS (\\Bogus)").bad()
c.cmd("STORE 1 FLAGS ()").ok()
# a letter of another program stays
os.rename("m/cur/1.M1P1.h,S=14:2,", "m/cur/1.M1P1.h,S=14:2,P")
c.cmd("STORE 1 FLAGS (\\Seen)").ok()
assert files("m") == ["1.M1P1.h,S=14:2,PS"], files("m")
PY
}

@test "26 keywords, a 27th is NO [LIMIT] and \\* is not offered" {
  py <<'PY'
put("m", b"a: b\n\n")
c = preauth("m"); c.select()
c.cmd("STORE 1 +FLAGS (%s)" % " ".join("k%d" % i for i in range(25))).ok()
c.cmd("STORE 1 +FLAGS (k25)").ok().find(rb"PERMANENTFLAGS \([^*]*\)\]")
c.cmd("STORE 1 +FLAGS (k26)").no(b"LIMIT")
c.cmd("FETCH 1 FLAGS").find(rb" k0 .* k25\)")
PY
}

@test "EXPUNGE, UID EXPUNGE, CLOSE; numbers move only where they may" {
  py <<'PY'
for i in range(6): put("m", b"Subject: %d\n\nx\n" % i)
c = preauth("m"); c.select()
c.cmd("STORE 2,4,6 +FLAGS.SILENT (\\Deleted)").ok()
c.cmd("UID EXPUNGE 4:6").ok().has(b"* 6 EXPUNGE", b"* 4 EXPUNGE").hasnt(b"* 2 EXPUNGE")
c.cmd("FETCH 1:* UID").has(b"* 4 FETCH (UID 5)")
d = preauth("m"); d.select().has(b"* 4 EXISTS")
c.cmd("EXPUNGE").ok().has(b"* 2 EXPUNGE")
# the other session: not during FETCH, STORE, SEARCH by number
d.cmd("FETCH 1:* UID").ok().hasnt(b"EXPUNGE").has(b"* 4 FETCH (UID 5)")
d.cmd("SEARCH ALL").ok().hasnt(b"EXPUNGE")
d.cmd("STORE 1 +FLAGS (\\Flagged)").ok().hasnt(b"EXPUNGE")
d.cmd("FETCH 2 BODY.PEEK[]").no(b"EXPUNGEISSUED").hasnt(b"FETCH")
d.cmd("NOOP").ok().has(b"* 2 EXPUNGE").hasnt(b"EXISTS")
d.cmd("FETCH 1:* UID").has(b"* 3 FETCH (UID 5)")
d.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)").ok()
d.cmd("CLOSE").ok().hasnt(b"EXPUNGE")
assert len(files("m")) == 2
c.cmd("NOOP").has(b"* 1 EXPUNGE")
c.cmd("STORE 1 +FLAGS (\\Deleted)").ok()
c.cmd("UNSELECT").ok()
assert len(files("m")) == 2
c.cmd("EXPUNGE").bad()
PY
}

@test "APPEND: literals of both kinds, flags, date, APPENDUID, TRYCREATE, refusals" {
  py <<'PY'
c = preauth("m")
msg = b"Subject: x\r\n\r\nline\r\n\r\nend\r\n"
c.append("INBOX", msg).ok().find(rb"APPENDUID \d+ 1\]")
c.append("INBOX", msg, '(\\Seen Key) " 7-Feb-1994 21:52:25 -0800"').ok().find(rb"APPENDUID \d+ 2\]")
c.send(b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(msg), msg))
assert c.line().startswith(b"a OK [APPENDUID")
c.append("nobox", msg).no(b"TRYCREATE")
# a client that did not wait: its bytes are no commands
c.send(b"b APPEND nobox {%d+}\r\n%s\r\n" % (20, b"x LOGOUT\r\nx LOGOUT\r\n"))
assert c.line().startswith(b"b NO [TRYCREATE]")
c.cmd("NOOP").ok()
c.cmd("APPEND INBOX (\\Seen) {999999999}").no(b"TOOBIG")
c.cmd("APPEND INBOX {0}").no()
c.cmd("APPEND INBOX \"x\"").bad()
c.cmd("APPEND INBOX \"99-Foo-1994 00:00:00 +0000\" {3}").bad()
c.select().has(b"* 3 EXISTS", b"* 2 RECENT")
c.cmd("FETCH 2 (FLAGS INTERNALDATE RFC822.SIZE)").has(
    b'* 2 FETCH (FLAGS (\\Seen Key) INTERNALDATE "08-Feb-1994 05:52:25 +0000" RFC822.SIZE %d)' % len(msg))
c.cmd("FETCH 1 BODY.PEEK[]").has(b"* 1 FETCH (BODY[] {%d}\r\n%s)" % (len(msg), msg))
for f in files("m"):
    assert f",S={len(msg) - 5},W={len(msg)}" in f, f
    assert b"\r" not in open(next(p for p in (f"m/cur/{f}", f"m/new/{f}") if os.path.exists(p)), "rb").read()
assert os.listdir("m/tmp") == []
c.send(b"c APPEND INBOX {10}\r\n"); c.line(); c.send(b"123")
c.p.stdin.close(); c.closed()
assert os.listdir("m/tmp") == [] and len(files("m")) == 3
PY
}

@test "COPY and MOVE: links, UIDs, keywords of the other mailbox, all or none" {
  py <<'PY'
for i in range(4): put("m", b"Subject: %d\n\nx\n" % i, sub="cur", flags="S", mtime=1000000000 + i)
c = preauth("m"); c.select()
c.cmd("CREATE Work.Old").ok()
c.append("Work.Old", b"a: b\r\n\r\n", "(zz)").ok()
c.cmd("STORE 2 +FLAGS.SILENT (kk)").ok()
c.cmd("COPY 2,4 nowhere").no(b"TRYCREATE")
a = c.cmd("COPY 2,4 Work.Old").ok()
a.find(rb"COPYUID \d+ 2,4 2:3\]")
assert open("m/.Work.Old/dovecot-keywords").read() == "0 zz\n1 kk\n"
c.cmd("COPY 1 INBOX").ok().has(b"* 5 EXISTS")
a = c.cmd("UID MOVE 1,3,99 Work.Old").ok()
a.find(rb"\* OK \[COPYUID \d+ 1,3 4:5\]"); a.has(b"* 3 EXPUNGE", b"* 1 EXPUNGE")
c.cmd("UID MOVE 77 Work.Old").ok()
d = preauth("m"); d.select("Work.Old").has(b"* 5 EXISTS")
d.cmd("FETCH 2 (FLAGS INTERNALDATE)").has(b'* 2 FETCH (FLAGS (\\Seen kk) INTERNALDATE "09-Sep-2001 01:46:41 +0000")')
d.cmd("EXAMINE Work.Old").ok(); d.cmd("MOVE 1 INBOX").no(b"READ-ONLY")
c.cmd("MOVE 1:* Work.Old").ok()
assert files("m") == []
PY
}

@test "SEARCH: every key" {
  py <<'PY'
D = 86400
put("m", "From: Jörg <j@x.test>\nTo: a@b\nCc: c@d\nBcc: e@f\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= one\nDate: Mon, 7 Feb 1994 23:52:25 -0800\nX-Y: z\n\nbody text here\n".encode(), sub="cur", flags="RS", mtime=1000000000)
put("m", b"From: Bob <bob@x.test>\nSubject: two\nDate: 1 Jan 2020 00:00:00 +0000\nContent-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n\nw7ZmZmVudGxpY2g=\n", sub="cur", flags="FDT", mtime=1000000000 + D)
put("m", b"Subject: three\n\n" + b"x" * 5000 + b"\n", mtime=int(time.time()))
c = preauth("m"); c.select()
c.cmd("STORE 1 +FLAGS.SILENT (KW)").ok()
def s(keys, want, *lit):
    a = c.cmd("SEARCH " + keys, *lit).ok()
    got = a.find(rb"^\* SEARCH((?: \d+)*)$").group(1).split()
    assert got == [b"%d" % w for w in want], (keys, got, want)
for keys, want in {
    "ALL": [1, 2, 3], "ANSWERED": [1], "UNANSWERED": [2, 3], "SEEN": [1], "UNSEEN": [2, 3], "FLAGGED": [2], "UNFLAGGED": [1, 3],
    "DELETED": [2], "UNDELETED": [1, 3], "DRAFT": [2], "UNDRAFT": [1, 3], "RECENT": [3], "OLD": [1, 2], "NEW": [3],
    "KEYWORD kw": [1], "UNKEYWORD kw": [2, 3], "KEYWORD none": [], "UNKEYWORD none": [1, 2, 3],
    "2": [2], "1,3": [1, 3], "2:*": [2, 3], "UID 2:3": [2, 3], "UID *": [3],
    "LARGER 5000": [3], "SMALLER 5000": [1, 2],
    "BEFORE 10-Sep-2001": [1], "ON 10-Sep-2001": [2], "SINCE 10-Sep-2001": [2, 3], 'ON "9-Sep-2001"': [1],
    "SENTBEFORE 8-Feb-1994": [1], "SENTON 7-Feb-1994": [1], "SENTSINCE 8-Feb-1994": [2],
    "OLDER 86400": [1, 2], "YOUNGER 86400": [3],
    "FROM bob": [2], "TO a@b": [1], "CC C@D": [1], "BCC e@": [1], "SUBJECT t": [2, 3], 'SUBJECT ""': [1, 2, 3],
    "HEADER X-Y z": [1], 'HEADER x-y ""': [1], "HEADER X-None z": [],
    'BODY "text here"': [1], "BODY three": [], "TEXT three": [3], "TEXT bob": [2],
    "NOT SEEN": [2, 3], "OR SEEN FLAGGED": [1, 2], "NOT (SEEN ANSWERED)": [2, 3], "OR NOT SEEN (1 SEEN)": [1, 2, 3],
    "NOT NOT SEEN": [1], "OR OR 1 2 3": [1, 2, 3], "(OR 1 2) (OR 2 3)": [2], "SEEN FLAGGED": [],
}.items():
    s(keys, want)
u = lambda t: t.encode()
s("CHARSET UTF-8 SUBJECT \0%", [1], u("grÜsse"))
s("CHARSET UTF-8 SUBJECT \0%", [1], u("GRÜßE"))
s("CHARSET UTF-8 FROM \0%", [1], u("jörg"))
s("CHARSET UTF-8 BODY \0%", [2], u("ÖFFENTLICH"))
c.cmd("SEARCH CHARSET KLINGON ALL").no(b"BADCHARSET")
c.cmd("UID SEARCH RETURN (MIN MAX COUNT ALL) 1:3").ok().find(rb'^\* ESEARCH \(TAG "t\d+"\) UID MIN 1 MAX 3 COUNT 3 ALL 1:3$')
c.cmd("SEARCH RETURN () FLAGGED").ok().find(rb'\) ALL 2$')
c.cmd("SEARCH RETURN (COUNT) KEYWORD none").ok().find(rb'\) COUNT 0$')
for bad in ["", "FOO", "NOT", "OR 1", "(SEEN", "SEEN)", "()", "BEFORE 99-Foo-2000", "LARGER x", "UID 0", "HEADER x", "ON", "SUBJECT \"a"]:
    c.cmd("SEARCH " + bad).bad()
PY
}

@test "CREATE, DELETE, RENAME: UIDs stay, children too; subscriptions stay" {
  py <<'PY'
c = preauth("m")
c.cmd("CREATE INBOX").no(b"ALREADYEXISTS")
c.cmd("CREATE a.b.c.").ok(); c.cmd("CREATE a.b.c").no(b"ALREADYEXISTS")
c.cmd("CREATE a.x").ok(); c.cmd("CREATE ab").ok()
c.append("a.b.c", b"a: b\r\n\r\n").ok()
c.cmd("SUBSCRIBE a.b.c").ok(); c.cmd("SUBSCRIBE none").no(b"NONEXISTENT")
uv = c.cmd("STATUS a.b.c (UIDVALIDITY UIDNEXT)").find(rb"UIDNEXT 2 UIDVALIDITY (\d+)").group(1)
c.cmd('LIST "" *').has(b'* LIST (\\HasNoChildren) "." INBOX', b'* LIST (\\Noselect \\HasChildren) "." a',
    b'* LIST (\\Noselect \\HasChildren) "." a.b', b'* LIST (\\HasNoChildren) "." a.b.c', b'* LIST (\\HasNoChildren) "." ab')
c.cmd("RENAME a Z").ok()
assert c.cmd("STATUS Z.b.c (UIDVALIDITY UIDNEXT)").find(rb"UIDNEXT 2 UIDVALIDITY (\d+)").group(1) == uv
c.cmd("STATUS a.b.c (MESSAGES)").no(b"NONEXISTENT")
c.cmd('LIST "" Z%').has(b'* LIST (\\Noselect \\HasChildren) "." Z').hasnt(b"Z.x")
c.cmd("RENAME Z.x ab").no(b"ALREADYEXISTS"); c.cmd("RENAME Z Z.y").no(); c.cmd("RENAME no y").no(b"NONEXISTENT")
c.cmd("DELETE Z.b").no(b"NONEXISTENT"); c.cmd("DELETE INBOX").no()
c.cmd("SELECT Z.b.c").ok(); c.cmd("DELETE Z.b.c").ok(); c.cmd("FETCH 1 FLAGS").bad()
c.cmd('LSUB "" *').has(b'* LSUB () "." a.b.c'); c.cmd('LSUB "" %').has(b'* LSUB (\\Noselect) "." a')
c.cmd('LIST (SUBSCRIBED) "" *').has(b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." a.b.c')
c.cmd("UNSUBSCRIBE a.b.c").ok(); c.cmd('LSUB "" *').hasnt(b"LSUB")
# a mailbox made again has another validity
c.cmd("CREATE Z.b.c").ok()
assert int(c.cmd("STATUS Z.b.c (UIDVALIDITY)").find(rb"UIDVALIDITY (\d+)").group(1)) > int(uv)
assert [d for d in os.listdir("m") if "deleted" in d] == []
PY
}

@test "LIST: patterns, special use, extended, with STATUS" {
  py <<'PY'
c = preauth("m")
for b in ("Sent", "Junk", "A.B.C", "B&AOQ-r", '"a b"'): c.cmd(f"CREATE {b}").ok()
c.cmd("SUBSCRIBE A.B.C").ok()
n = lambda a: [l.split(b'"." ', 1)[1] for l in a.ok().lines if l.startswith(b"* LIST")]
assert n(c.cmd('LIST "" %')) == [b"INBOX", b"A", b"B&AOQ-r", b"Junk", b"Sent", b'"a b"']
assert n(c.cmd('LIST "" inb*')) == [b"INBOX"]
assert n(c.cmd('LIST "" %.%')) == [b"A.B"]
assert n(c.cmd('LIST A. %')) == [b"A.B"]
assert n(c.cmd('LIST "" A.*C')) == [b"A.B.C"]
assert n(c.cmd('LIST "" (Se% J*)')) == [b"Junk", b"Sent"]
assert n(c.cmd('LIST (SPECIAL-USE) "" *')) == [b"Junk", b"Sent"]
c.cmd('LIST "" Sent').has(b'* LIST (\\HasNoChildren \\Sent) "." Sent')
c.cmd('LIST "" ""').has(b'* LIST (\\Noselect) "." ""')
c.cmd('LIST (SUBSCRIBED RECURSIVEMATCH) "" %').has(b'* LIST (\\Noselect \\HasChildren) "." A ("CHILDINFO" ("SUBSCRIBED"))')
c.cmd('LIST "" Junk RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UNSEEN))').has(b"* STATUS Junk (MESSAGES 0 UNSEEN 0)")
c.cmd('LIST (BOGUS) "" *').bad(); c.cmd('LIST (RECURSIVEMATCH) "" *').bad(); c.cmd('LIST ""').bad()
c.cmd('LIST "" ' + "*%" * 400 + "x").ok(); c.cmd('LIST "" ' + "*a" * 600).bad()
PY
}

@test "IDLE: mail that comes, flags and removals of others are told at once" {
  py <<'PY'
put("m", b"Subject: 1\n\nx\n")
c = preauth("m"); c.select()
c.send("i IDLE\r\n")
assert c.line() == b"+ idling"
put("m", b"Subject: 2\n\nx\n")
assert c.line(10) == b"* 2 EXISTS" and c.line() == b"* 2 RECENT"
d = preauth("m"); d.select()
d.cmd("STORE 1 +FLAGS (\\Flagged)").ok()
assert c.line(10) == b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"
d.cmd("STORE 2 +FLAGS.SILENT (\\Deleted)").ok(); d.cmd("EXPUNGE").ok()
l = c.line(10)
while l.endswith(b"FETCH (FLAGS (\\Deleted \\Recent))"): l = c.line(10)
assert l == b"* 2 EXPUNGE", l
assert c.line() == b"* 1 RECENT"
c.send("DONE\r\n")
assert c.line() == b"i OK Idle completed"
c.send("j IDLE\r\n"); c.line(); c.send("FOO\r\n")
assert c.line().startswith(b"j BAD")
PY
}
