# What brings messages in and looks into them: MULTIAPPEND, CATENATE, REPLACE,
# BINARY, UTF8, PREVIEW, SAVEDATE, OBJECTID.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "MULTIAPPEND: all or none, APPENDUID names all (RFC 3502)" {
  py <<'PY'
c = preauth("m"); c.cmd("CREATE Sent").ok()
m = lambda i: b"Subject: %d\r\n\r\nx\r\n" % i
a = c.cmd('APPEND Sent (\\Seen) " 7-Feb-1994 21:52:25 -0800" \0% (k1) \0% \0%', m(1), m(2), m(3)).ok(b"APPENDUID ")
assert a.find(rb"APPENDUID \d+ 1:3\]")
c.select("Sent")
c.cmd("FETCH 1:3 FLAGS").ok().has(b"* 1 FETCH (FLAGS (\\Seen))", b"* 2 FETCH (FLAGS (k1))")
c.cmd("FETCH 1 INTERNALDATE").find(rb"0[78]-Feb-1994")
# one of them is refused: none comes, and the session goes on
c.send(b"x APPEND Sent {%d+}\r\n" % len(m(4)) + m(4) + b" (\\Bogus) {%d+}\r\n" % len(m(5)) + m(5) + b" {3+}\r\nabc\r\ny NOOP\r\n")
c.until(b"x", "x").bad(); c.until(b"y", "y").ok()
c.send(b"x APPEND Sent {%d+}\r\n" % len(m(4)) + m(4) + b" {0+}\r\n\r\ny NOOP\r\n")
c.until(b"x", "x").no(b"CANNOT"); c.until(b"y", "y").ok()
c.cmd("APPEND Sent \0% \0%", m(4), b"").no(b"CANNOT")
c.cmd("APPEND nowhere \0% \0%", m(4), m(5)).no(b"TRYCREATE")
c.send(b"x APPEND nowhere {%d+}\r\n" % len(m(4)) + m(4) + b" {%d+}\r\n" % len(m(5)) + m(5) + b"\r\ny NOOP\r\n")
c.until(b"x", "x").no(b"TRYCREATE"); c.until(b"y", "y").ok()
c.cmd("NOOP").ok().hasnt(b"EXISTS")
assert len(files("m/.Sent")) == 3 and os.listdir("m/.Sent/tmp") == []
PY
}

@test "CATENATE: literals and parts of other messages; BADURL (RFC 4469, 5550)" {
  py <<'PY'
src = b"Subject: src\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\npart one\r\n--b\r\nContent-Type: text/x\r\n\r\npart two\r\n--b--\r\n"
c = preauth("m"); c.cmd("CREATE D&AOk-p").ok()
c.append("D&AOk-p", src).ok()
c.select("D&AOk-p"); v = c.cmd("STATUS INBOX (MESSAGES)") and int(c.cmd("STATUS D&AOk-p (UIDVALIDITY)").find(rb"UIDVALIDITY (\d+)").group(1))
url = "/D%C3%A9p;UIDVALIDITY=%d/;UID=1" .replace("%d", str(v))
c.cmd(f'APPEND INBOX (\\Seen) CATENATE (TEXT \0% URL "{url}/;SECTION=1" TEXT \0% URL ";UID=1/;SECTION=2/;PARTIAL=0.4" URL \0%)',
      b"Subject: made\r\n\r\n[", b"][", (url + "/;section=HEADER.FIELDS%20(Subject)").encode()).ok(b"APPENDUID")
c.select(); got = c.cmd("FETCH 1 BODY.PEEK[]").ok().find(rb"\{\d+\}\r\n(.*)\)$").group(1)
assert got == b"Subject: made\r\n\r\n[part one][partSubject: src\r\n\r\n", got
for u in ("/nowhere/;UID=1", ";UID=9", "imap://h/INBOX/;UID=1", "/INBOX;UIDVALIDITY=1/;UID=1", ";UID=1/;SECTION=7", "x", "/../;UID=1"):
    c.cmd(f'APPEND INBOX CATENATE (TEXT \0% URL "{u}")', b"a: b\r\n\r\n").no(b"BADURL")
    c.send(b'x APPEND INBOX CATENATE (URL "%s" TEXT {3+}\r\nabc)\r\n' % u.encode()); c.until(b"x", u).no(b"BADURL")
c.cmd("APPEND INBOX CATENATE (NONSENSE x)").bad()
c.cmd("NOOP").ok(); assert len(files("m")) == 1 and os.listdir("m/tmp") == []
PY
}

@test "REPLACE: the new one is there before the old one goes (RFC 8508)" {
  py <<'PY'
c = preauth("m"); c.cmd("CREATE Drafts").ok(); c.select("Drafts")
c.append("Drafts", b"Subject: v1\r\n\r\n", "(\\Draft)").ok()
c.cmd("NOOP")
a = c.cmd('REPLACE 1 Drafts (\\Draft \\Seen) \0%', b"Subject: v2\r\n\r\n").ok()
a.find(rb"^\* OK \[APPENDUID \d+ 2\]"); a.has(b"* 1 EXPUNGE", b"* 1 EXISTS")
a = c.cmd('UID REPLACE 2 INBOX \0%', b"Subject: v3\r\n\r\n").ok(); a.has(b"* 1 EXPUNGE")
c.cmd('UID REPLACE 77 INBOX \0%', b"Subject: v3\r\n\r\n").no(b"NONEXISTENT")
c.cmd('REPLACE 1 INBOX \0%', b"Subject: v3\r\n\r\n").bad()
c.select(); c.cmd("FETCH 1 (UID BODY.PEEK[HEADER])").ok().find(rb"v3")
c.cmd("REPLACE 1 nowhere \0%", b"a: b\r\n\r\n").no(b"TRYCREATE")
c.cmd("REPLACE 1 INBOX \0% \0%", b"a: b\r\n\r\n", b"x").bad()
c.cmd("EXAMINE INBOX").ok(); c.cmd("REPLACE 1 INBOX \0%", b"a: b\r\n\r\n").no(b"READ-ONLY")
assert len(files("m")) == 1
PY
}

@test "BINARY: fetched decoded, sizes, UNKNOWN-CTE; appended as literal8 (RFC 3516)" {
  py <<'PY'
import base64
raw = bytes(range(256)) * 3
c = preauth("m")
mixed = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
         + base64.encodebytes(raw).replace(b"\n", b"\r\n") + b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nzz\r\n--b--\r\n")
c.append("INBOX", mixed).ok(); c.select()
a = c.cmd("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])").ok()
assert a.lines[0].startswith(b"* 1 FETCH (BINARY[1] ~{768}\r\n" + raw), a.lines
assert a.lines[0].endswith(b"BINARY.SIZE[1] 768)")
c.cmd("FETCH 1 BINARY.PEEK[1]<2.3>").ok().find(rb"BINARY\[1\]<2> \{3\}\r\n\x02\x03\x04\)")
c.cmd("FETCH 1 BINARY[2]").ok().find(rb"BINARY\[2\] \{4\}\r\na=bc FLAGS \(.*Seen.*\)\)")
c.cmd("FETCH 1 BINARY.PEEK[3]").no(b"UNKNOWN-CTE")
c.cmd("FETCH 1 BINARY.SIZE[9]").ok()
c.cmd("FETCH 1 BINARY[HEADER]").bad()
# a binary part comes in: kept in base64, read back byte for byte
msg = b"Subject: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\nContent-Transfer-Encoding: binary\r\n\r\n--q\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + raw + b"\r\n--q\r\n\r\ntext\r\n--q--\r\n"
c.send(b"x APPEND INBOX (\\Seen) ~{%d+}\r\n" % len(msg) + msg + b"\r\n"); c.until(b"x", "x").ok(b"APPENDUID")
c.cmd("NOOP")
assert c.cmd("FETCH 2 BINARY.PEEK[1]").ok().lines[0] == b"* 2 FETCH (BINARY[1] ~{768}\r\n" + raw + b")"
c.cmd("FETCH 2 BODYSTRUCTURE").ok().find(rb'"image" "x" NIL NIL NIL "base64"')
c.cmd("ENABLE UTF8=ACCEPT").ok()
c.send(b"x APPEND INBOX UTF8 (~{14+}\r\nSubject: \xc3\xa9\r\n\r\n)\r\n"); c.until(b"x", "x").bad()
c.send(b"x APPEND INBOX UTF8 (~{15+}\r\nSubject: \xc3\xa9\r\n\r\n)\r\n"); c.until(b"x", "x").ok(b"APPENDUID")
PY
}

@test "PREVIEW, SAVEDATE, EMAILID, THREADID, MAILBOXID (RFC 8970, 8514, 8474)" {
  py <<'PY'
now = int(time.time())
put("m", b"Subject: a\nContent-Type: text/html\n\n<html><head><title>no</title></head><style>x{}</style><p>Hello &amp;  <b>world</b></p>\n", name="1000000000.M1P1.h", sub="cur")
put("m", b"Subject: b\n\n" + b"word " * 100 + b"\n", sub="cur")
put("m", b"Subject: c\nContent-Type: image/png\n\nxx\n", sub="cur")
c = preauth("m"); i = c.select().find(rb"\[MAILBOXID \((G[0-9a-f]+)\)\]").group(1)
c.cmd("STATUS INBOX (MAILBOXID)").ok().has(b"* STATUS INBOX (MAILBOXID (%s))" % i)
o = c.cmd("CREATE other").ok().find(rb"OK \[MAILBOXID \((G[0-9a-f]+)\)\]").group(1)
assert o != i
c.cmd("RENAME other o2").ok(); c.cmd("STATUS o2 (MAILBOXID)").has(b"* STATUS o2 (MAILBOXID (%s))" % o)
c.cmd("FETCH 1 PREVIEW").ok().has(b'* 1 FETCH (PREVIEW "Hello & world")')
c.cmd("FETCH 2 (PREVIEW (LAZY) UID)").ok().has(b'* 2 FETCH (PREVIEW "%s" UID 2)' % (b"word " * 40).strip())
c.cmd("FETCH 3 PREVIEW").ok().has(b'* 3 FETCH (PREVIEW "")')
c.cmd("FETCH 1 SAVEDATE").ok().find(rb'SAVEDATE "(08|09)-Sep-2001 ')
c.cmd("SEARCH SAVEDBEFORE 1-Jan-2002").ok().has(b"* SEARCH 1")
c.cmd("SEARCH SAVEDSINCE 1-Jan-2002 SAVEDATESUPPORTED").ok().has(b"* SEARCH 2 3")
e = c.cmd("FETCH 1 EMAILID").ok().find(rb"EMAILID \((M[0-9a-f]{32})\)").group(1)
c.cmd("COPY 1 o2").ok(); c.cmd("SEARCH EMAILID " + e.decode()).has(b"* SEARCH 1")
c.cmd("FETCH 1 THREADID").ok().has(b"* 1 FETCH (THREADID NIL)")
c.select("o2"); c.cmd("FETCH 1 EMAILID").has(b"* 1 FETCH (EMAILID (%s))" % e)
# RFC 9394: a part of a set
c.select(); assert [l for l in c.cmd("UID FETCH 1:* (UID) (PARTIAL -1:-2)").ok().lines] == [b"* 2 FETCH (UID 2)", b"* 3 FETCH (UID 3)"]
c.cmd("UID FETCH 1:* (UID) (PARTIAL 1:1)").ok().has(b"* 1 FETCH (UID 1)").hasnt(b"UID 2")
c.cmd("FETCH 1:* (UID) (PARTIAL 1:1)").bad()
PY
}
