# Single sentences of the RFCs, each beside the name of its section.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "fields and parts: names as they were given, the empty line, what BODYSTRUCTURE shows (RFC 3501 6.4.5, 9)" {
  py <<'PY'
put("m", b"Subject: x\nX-Odd_Name: a\nX!#b: c\n\nbody\n")                     # 1
put("m", b"Subject: no body\nX-A: b\n")                                       # 2: neither empty line nor body
put("m", b"Content-Type: multipart/mixed; boundary=x\n\nno delimiter\n")      # 3
put("m", b"Subject: y\nnot a field\nX-A: b\n\nbody\n")                        # 4
put("m", b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=y\n\npreamble\n--x--\n")  # 5
c = preauth("m"); c.select()
f = lambda n, s: c.cmd(f"FETCH {n} BODY.PEEK[{s}]").ok().lines
for given, shown in (("X-Odd_Name", b"X-Odd_Name"), ("X!#b", b"X!#b"), ('"X A"', b'"X A"'), ('"a\\"b"', b'"a\\"b"'), ('"x]y"', b'"x]y"'), ('""', b'""'), ("subject X-Odd_Name", b"subject X-Odd_Name")):
    l = f(1, f"HEADER.FIELDS ({given})")
    assert l[0].startswith(b"* 1 FETCH (BODY[HEADER.FIELDS (" + shown + b")] {"), l
assert f(1, "HEADER.FIELDS (X-Odd_Name)")[0].endswith(b"{17}\r\nX-Odd_Name: a\r\n\r\n)")
l = c.cmd("FETCH 1 BODY.PEEK[HEADER.FIELDS (\0%)]", "ä".encode()).ok().lines
assert l == [b"* 1 FETCH (BODY[HEADER.FIELDS ({2}\r\n\xc3\xa4)] {2}\r\n\r\n)"], l
for i in range(2):  # from the file, then from the cache
    assert f(2, "HEADER.FIELDS (SUBJECT)") == [b"* 2 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {18}\r\nSubject: no body\r\n)"]
assert f(2, "HEADER.FIELDS (X-B)") == [b"* 2 FETCH (BODY[HEADER.FIELDS (X-B)] {0}\r\n)"]
assert f(2, "HEADER.FIELDS.NOT (SUBJECT)")[0].endswith(b"{8}\r\nX-A: b\r\n)")
assert f(4, "HEADER.FIELDS (SUBJECT)")[0].endswith(b"Subject: y\r\n\r\n)")
for n, s in ((3, "1"), (5, "1.1")):
    c.cmd(f"FETCH {n} BODYSTRUCTURE").ok().find(rb'"us-ascii"\) NIL NIL "7bit" 0 0')
    assert f(n, s)[0].endswith(b"{0}\r\n)") and f(n, s + ".MIME")[0].endswith(b"{0}\r\n)"), f(n, s)
    assert f(n, s + ".1")[0].endswith(b" NIL)") and f(n, s[:-1] + "2")[0].endswith(b" NIL)")
for bad in ("1TEXT", "1.", "1.1MIME", "0", "MIME", "1..2", "TEXT.1"): c.cmd(f"FETCH 1 BODY.PEEK[{bad}]").bad()
PY
}

@test "FETCH BINARY: what cannot be decoded stays unseen (RFC 3516 4.3)" {
  py <<'PY'
put("m", b"Content-Type: text/plain\nContent-Transfer-Encoding: x-uue\n\nabc\n")
c = preauth("m"); c.select()
c.cmd("FETCH 1 BINARY[1]").no(b"UNKNOWN-CTE"); c.cmd("FETCH 1 FLAGS").has(b"* 1 FETCH (FLAGS (\\Recent))")
c.cmd("FETCH 1 BODY[1]").ok().find(rb"abc\r\n FLAGS \(\\Seen")
PY
}

@test "STORE: silence hides no one else's change; clearing needs no letter (RFC 3501 6.4.6)" {
  py <<'PY'
put("m", b"Subject: x\n\nx\n", "cur", flags="")
put("m", b"Subject: y\n\ny\n", "cur", flags="")
a, b = preauth("m"), preauth("m")
a.select(); b.select()
a.cmd("ENABLE CONDSTORE").ok()
b.cmd("STORE 1 +FLAGS (\\Flagged)").ok()
# a condition makes the server look first: what it saw is told, though this STORE is silent
r = a.cmd("STORE 1 (UNCHANGEDSINCE 9000000000000000000) +FLAGS.SILENT (\\Seen)").ok()
r.find(rb"\* 1 FETCH \(FLAGS \(\\Flagged \\Seen\)")
a.cmd("STORE 1 +FLAGS.SILENT (\\Answered)").ok().hasnt(b"FLAGS (")
for i in range(26): a.cmd(f"STORE 1 +FLAGS (k{i})").ok()
a.cmd("STORE 2 -FLAGS (NonJunk)").ok(); a.cmd("STORE 2 -FLAGS.SILENT (NonJunk k3)").ok()
a.cmd("STORE 2 +FLAGS (NonJunk)").no(b"LIMIT")
os.makedirs("e/cur"); put("e", b"x: y\n\n", "cur", flags=""); e = preauth("e"); e.select()
e.cmd("STORE 1 -FLAGS (Unheard)").ok().has(b"* 1 FETCH (FLAGS ())"); assert not os.path.exists("e/dovecot-keywords") or b"Unheard" not in open("e/dovecot-keywords", "rb").read()
PY
}

@test "REPLACE takes \"*\"; its literal is no command (RFC 8508 4)" {
  py <<'PY'
for i in range(3): put("m", b"Subject: %d\n\nx\n" % i)
c = preauth("m"); c.select()
m = b"Subject: new\r\n\r\n" + b"y" * 70000 + b"\r\n"
r = c.cmd("REPLACE * INBOX \0%", m).ok(); r.has(b"* 3 EXPUNGE", b"* 3 EXISTS"); r.find(rb"APPENDUID \d+ 4")
c.send(b"z UID REPLACE * INBOX {%d+}\r\n%s\r\n" % (len(m), m)); c.until(b"z", "UID REPLACE").ok().has(b"* 3 EXPUNGE", b"* 3 EXISTS")
c.cmd("UID SEARCH ALL").has(b"* SEARCH 1 2 5")
PY
}

@test "CATENATE: UTF8 parts (RFC 6855 4); what URLs name is refused before it fills the disk" {
  py <<'PY'
c = preauth("m"); c.append("INBOX", b"Subject: big\r\n\r\n" + b"x" * (1 << 20) + b"\r\n").ok(); c.select()
c.cmd("ENABLE UTF8=ACCEPT").ok()
c.send(b"a APPEND INBOX CATENATE (UTF8 (~{16+}\r\nSubject: \xc3\xa4\r\n\r\nx) TEXT {3+}\r\nyz!)\r\n"); c.until(b"a", "CATENATE UTF8").ok(b"APPENDUID")
c.cmd("FETCH 2 BODY.PEEK[]").find(rb"Subject: \xc3\xa4\r\n\r\nxyz!")
used = lambda: sum(os.stat(f"m/tmp/{f}").st_size for f in os.listdir("m/tmp"))
n = 300
c.send(b"b APPEND INBOX CATENATE (" + b" ".join([b'URL "/INBOX/;UID=1"'] * n) + b" TEXT {3}\r\n")
seen = 0
while not select.select([c.r], [], [], 0.05)[0]: seen = max(seen, used())
c.until(b"b", "CATENATE of 300 MB").no(b"TOOBIG")
assert seen < 80 << 20, seen
assert os.listdir("m/tmp") == [] or used() == 0
c.cmd("NOOP").ok()
PY
}

@test "LIST: UTF-8 patterns (RFC 6855 3); the root of any reference (RFC 3501 6.3.8)" {
  py <<'PY'
c = preauth("m")
for b in ("Entw&APw-rfe", "R&-D", "Entw.x"): c.cmd(f"CREATE {b}").ok()
names = lambda x, cmd: sorted(l.split(b'"." ')[1] for l in x.cmd(cmd).ok().lines if l.startswith(b"* L"))
assert names(c, 'LIST "" Entw*') == [b"Entw", b"Entw&APw-rfe", b"Entw.x"]
for cmd in ('LIST "" ""', 'LIST foo ""', 'LIST "R&-" ""'): c.cmd(cmd).ok().has(b'* LIST (\\Noselect) "." ""')
d = preauth("m"); d.cmd("ENABLE UTF8=ACCEPT").ok()
u = "Entwürfe".encode()
assert names(d, b'LIST "" "' + u + b'"') == [b'"' + u + b'"']
assert names(d, 'LIST "" "Entwü%"'.encode()) == [b'"' + u + b'"']
assert names(d, b'LIST "Entw" "%rfe"') == [b'"' + u + b'"']
assert names(d, b'LIST "" (\"*\xc3\xbc*\" "R&D")') == [b'"' + u + b'"', b'"R&D"']
assert names(d, 'LIST "" Entw&APw-rfe') == []
d.cmd(b'SUBSCRIBE "' + u + b'"').ok(); assert names(d, b'LSUB "" "%\xc3\xbcr*"') == [b'"' + u + b'"']
PY
}

@test "SEARCH: no CHARSET beside UTF8=ACCEPT (RFC 6855 3); NO empties what SAVE keeps (RFC 5182 2.1); reports are text" {
  py <<'PY'
put("m", b"Subject: x\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; gone@example.org\n\n--b--\n")
put("m", b"Subject: y\n\ny\n")
c = preauth("m"); c.select()
c.cmd("SEARCH BODY gone@example").has(b"* SEARCH 1"); c.cmd("SEARCH TEXT gone@example").has(b"* SEARCH 1")
c.cmd("SEARCH RETURN (SAVE) ALL").ok(); c.cmd("SEARCH $").has(b"* SEARCH 1 2")
c.cmd("SEARCH CHARSET x-none SUBJECT x").no(b"BADCHARSET"); c.cmd("SEARCH $").has(b"* SEARCH 1 2")
c.cmd("SEARCH RETURN (SAVE) BROKEN").bad(); c.cmd("SEARCH $").has(b"* SEARCH 1 2")
c.cmd("SEARCH RETURN (SAVE) CHARSET x-none SUBJECT x").no(b"BADCHARSET"); c.cmd("SEARCH $").has(b"* SEARCH")
c.cmd("SEARCH RETURN (SAVE) ALL").ok(); c.cmd("SORT RETURN (SAVE) (DATE) x-none ALL").no(b"BADCHARSET"); c.cmd("SEARCH $").has(b"* SEARCH")
c.cmd("SEARCH CHARSET UTF-8 SUBJECT x").has(b"* SEARCH 1")
c.cmd("ENABLE UTF8=ACCEPT").ok(); c.cmd("SEARCH CHARSET UTF-8 SUBJECT x").bad(); c.cmd("SEARCH SUBJECT x").has(b"* SEARCH 1")
PY
}

@test "STATUS DELETED-STORAGE (RFC 9208 4.1.4); SETMETADATA takes any bytes (RFC 5464 5); known UIDs without \"*\" (RFC 7162 7)" {
  py <<'PY'
put("m", b"Subject: x\n\nx\n", "cur", flags="T"); put("m", b"Subject: yy\n\ny\n", "cur", flags="S"); put("m", b"Subject: zzz\n\nzz\n", "cur", flags="ST")
c = preauth("m")
c.cmd("STATUS INBOX (DELETED DELETED-STORAGE SIZE)").ok().has(b"* STATUS INBOX (SIZE 55 DELETED 2 DELETED-STORAGE 37)")
c.send(b'a SETMETADATA INBOX (/private/comment ~{5+}\r\na\0\xff\r\n)\r\n'); c.until(b"a", "SETMETADATA").ok()
c.cmd("GETMETADATA INBOX /private/comment").has(b"* METADATA INBOX (/private/comment ~{5}\r\na\0\xff\r\n)")
c.send(b'b SETMETADATA INBOX (/private/comment {2+}\r\na\0)\r\n'); c.until(b"b", "SETMETADATA").bad()
c.cmd("SETMETADATA INBOX (/private/comment ~x)").bad()
c.cmd("ENABLE QRESYNC").ok(); v = c.select().find(rb"UIDVALIDITY (\d+)").group(1).decode()
for bad in ("1:*", "*", "1,2:*"): c.cmd(f"SELECT INBOX (QRESYNC ({v} 1 {bad}))").bad(); c.cmd(f"SELECT INBOX (QRESYNC ({v} 1 1:3 ({bad} 1)))").bad(); c.cmd(f"SELECT INBOX (QRESYNC ({v} 1 1:3 (1 {bad})))").bad()
c.cmd(f"SELECT INBOX (QRESYNC ({v} 1 1:3 (1 1)))").ok()
PY
}

@test "PREVIEW of a page of tags that never end takes no time" {
  py <<'PY'
put("m", b"Content-Type: text/html\n\n" + b"hello <style <script " * 30000)
for i in range(40): put("m", b"Content-Type: text/html\n\n" + b"<style>" * 9000 + b"\n")
c = preauth("m"); c.select()
c.cmd("FETCH 1 PREVIEW").ok().find(rb'PREVIEW "hello"')
# each answer within the client's patience: by the square it was minutes
c.cmd("FETCH 1:* PREVIEW").ok()
PY
}

@test "MOVE and REPLACE tell the mailbox's new mod-sequence (RFC 6851 4.4, RFC 8508 4.5)" {
  py <<'PY'
for i in range(5): put("m", b"Subject: %d\n\nx\n" % i)
c = preauth("m"); c.cmd("CREATE a").ok(); c.cmd("ENABLE QRESYNC").ok(); c.select()
high = lambda: int(c.cmd("STATUS INBOX (HIGHESTMODSEQ)").find(rb"HIGHESTMODSEQ (\d+)").group(1))
was = high()
for cmd in ("MOVE 1 a", "UID MOVE 2:3 a"):
    r = c.cmd(cmd).ok(b"HIGHESTMODSEQ"); n = int(r.find(rb"HIGHESTMODSEQ (\d+)\]").group(1))
    assert was < n == high(), (was, n, high()); was = n
r = c.cmd("REPLACE 1 INBOX \0%", b"Subject: r\r\n\r\nx\r\n").ok(b"HIGHESTMODSEQ"); n = int(r.find(rb"\[HIGHESTMODSEQ (\d+)\]").group(1))
assert was < n <= high()
c.cmd("UID MOVE 999 a").ok(); c.cmd("MOVE 1 nowhere").no(b"TRYCREATE")
v = c.cmd("STATUS INBOX (UIDVALIDITY)").find(rb"UIDVALIDITY (\d+)").group(1).decode()
c.cmd(f"SELECT INBOX (QRESYNC ({v} {n}))").ok().hasnt(b"VANISHED")
d = preauth("m"); d.select(); d.cmd("MOVE 1 a").ok().hasnt(b"HIGHESTMODSEQ")
PY
}

@test "RENAME of the mailbox that is open: it goes by its new name (RFC 3501 6.3.5)" {
  py <<'PY'
c = preauth("m"); c.cmd("CREATE a.b").ok(); put("m/.a.b", b"Subject: 1\n\nx\n"); c.select("a.b")
c.cmd("RENAME a.b n").ok(); c.cmd("CREATE a.b").ok(); c.cmd("DELETE a.b").ok()
c.cmd("FETCH 1 BODY.PEEK[TEXT]").ok().find(rb"x\r\n"); c.cmd("STORE 1 +FLAGS (\\Flagged)").ok()
c.cmd("CREATE n.c").ok(); c.cmd("RENAME n o").ok(); put("m/.o", b"Subject: 2\n\ny\n")
c.cmd("NOOP").has(b"* 2 EXISTS")
c.send("i IDLE\r\n"); assert c.line().startswith(b"+"); put("m/.o", b"Subject: 3\n\ny\n"); assert c.line() == b"* 3 EXISTS"; c.send("DONE\r\n"); c.until(b"i", "IDLE").ok()
c.cmd("STATUS o (MESSAGES)").has(b"* STATUS o (MESSAGES 3)"); c.cmd("DELETE o").ok(); c.cmd("FETCH 1 FLAGS").bad()
PY
}

@test "a number that no message has is BAD, in an empty mailbox \"*\" too (RFC 3501 9, seq-number)" {
  py <<'PY'
c = preauth("m"); c.select()
for cmd in ("FETCH 1:* FLAGS", "FETCH * FLAGS", "STORE 1 FLAGS ()", "COPY * INBOX", "MOVE 1:* INBOX"): c.cmd(cmd).bad()
for cmd in ("UID FETCH 1:* FLAGS", "UID FETCH * FLAGS", "UID STORE 1 FLAGS ()", "UID COPY * INBOX", "SEARCH ALL", "EXPUNGE", "UID EXPUNGE 1:*"): c.cmd(cmd).ok()
put("m", b"Subject: 1\n\nx\n"); c.cmd("NOOP")
c.cmd("FETCH 1:* FLAGS").ok(); c.cmd("FETCH 2 FLAGS").bad()
PY
}

@test "RENAME of a mailbox to the name above it, its children with it (RFC 3501 6.3.5)" {
  py <<'PY'
c = preauth("m")
for i, b in enumerate(("b.c", "b.c.c", "b.c.c.c", "b.c.d")): c.cmd(f"CREATE {b}").ok(); put(f"m/.{b}", b"Subject: %d\n\nx\n" % i)
c.cmd("RENAME b.c b").ok()
for i, b in enumerate(("b", "b.c", "b.c.c", "b.d")): c.select(b); c.cmd("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").find(rb"Subject: %d\r" % i)
c.cmd("SELECT b.c.d").no(); c.cmd("CREATE z.d").ok(); c.cmd("RENAME b z").no(b"ALREADYEXISTS")
for b in ("b", "b.c", "b.c.c", "b.d", "z.d"): c.select(b)
PY
}

@test "APPEND beyond the quota is refused before it is sent (RFC 9208 4.3); many at once fill no disk" {
  py <<'PY'
c = preauth("m"); c.append("INBOX", b"Subject: 1\r\n\r\nx\r\n").ok()
open("m/maildirsize", "w").write("2000S,10C\n%12d %12d\n" % (15, 1))
big = b"Subject: 2\r\n\r\n" + b"x" * 10000 + b"\r\n"
c.send(b"a APPEND INBOX {%d}\r\n" % len(big)); l = c.line(); assert l.startswith(b"a NO [OVERQUOTA]"), l  # no "+": nothing is sent
c.send(b"b APPEND INBOX {%d+}\r\n%s\r\n" % (len(big), big)); c.until(b"b", "APPEND").no(b"OVERQUOTA")
half = b"Subject: 3\r\n\r\n" + b"x" * 900 + b"\r\n"
c.append("INBOX", half).ok()
c.send(b"d APPEND INBOX {%d}\r\n" % len(half)); assert c.line().startswith(b"+"); c.send(half)
for i in range(8):
    c.send(b" {%d}\r\n" % len(half)); l = c.line()
    if not l.startswith(b"+"): break
    c.send(half)
assert l.startswith(b"d NO [OVERQUOTA]") and i < 4, (i, l)
c.cmd("NOOP").ok(); assert os.listdir("m/tmp") == [] and len(files("m")) == 2
for i in range(7): c.append("INBOX", b"a: b\r\n\r\n").ok()
c.append("INBOX", b"a: b\r\n\r\n"); c.send(b"e APPEND INBOX {8}\r\n"); assert c.line().startswith(b"e NO [OVERQUOTA]")
PY
}
