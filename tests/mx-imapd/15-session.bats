# What changes a session as a whole: UNAUTHENTICATE, UIDONLY.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "UNAUTHENTICATE: another user on the same connection, commands pipelined behind it (RFC 8437)" {
  imap_serve
  py <<'PY'
c = connect(os.environ["IMAPS"], tls=True)
c.cmd("CAPABILITY").ok()
c.cmd("UNAUTHENTICATE").bad()
c.cmd("LOGIN joe@x.test secret").ok(b"CAPABILITY IMAP4rev1").find(b" UNAUTHENTICATE")
c.append("INBOX", b"Subject: joe\r\n\r\nx\r\n").ok()
c.cmd("ENABLE UIDONLY QRESYNC").ok()
c.select()
c.cmd("UNAUTHENTICATE now").bad()
c.cmd("UNAUTHENTICATE").ok()
c.cmd("SELECT INBOX").bad()
c.cmd("CAPABILITY").ok().find(rb"AUTH=PLAIN")
c.cmd("LOGIN eve@x.test secret").ok()
c.select().has(b"* 0 EXISTS")
# all in one packet, twice: each command is its session's
c.send("a UNAUTHENTICATE\r\nb LOGIN joe@x.test secret\r\nc SELECT INBOX\r\nd FETCH 1 (UID FLAGS)\r\n"
       "e UNAUTHENTICATE\r\nf LOGIN eve@x.test secret\r\ng SELECT INBOX\r\n")
for t in b"abcdefg":
    a = c.until(bytes([t]), bytes([t])).ok()
    if t == ord("c"): a.has(b"* 1 EXISTS")
    if t == ord("d"): a.has(b"* 1 FETCH (UID 1 FLAGS ())")
    if t == ord("g"): a.has(b"* 0 EXISTS")
# a login that fails leaves us where we are; what came behind it is not run
c.send("a UNAUTHENTICATE\r\nb LOGIN joe@x.test wrong\r\nc SELECT INBOX\r\n")
c.until(b"a", "a").ok(); c.until(b"b", "b").no(b"AUTHENTICATIONFAILED"); c.until(b"c", "c").bad()
c.cmd("LOGOUT").ok(); c.closed()
# under COMPRESS
c = connect(os.environ["IMAPS"], tls=True)
c.cmd("LOGIN joe@x.test secret").ok(); c.select()
import zlib
c.send("z COMPRESS DEFLATE\r\n"); assert c.line().startswith(b"z OK")
d = zlib.compressobj(9, zlib.DEFLATED, -15)
c.send(d.compress(b"y UNAUTHENTICATE\r\n") + d.flush(zlib.Z_SYNC_FLUSH))
i, got = zlib.decompressobj(-15), b""
while b"\r\n" not in got: got += i.decompress(c.r.recv(1000))
assert got.startswith(b"y OK"), got
c.cmd("LOGIN eve@x.test secret").ok()
c.select().has(b"* 0 EXISTS")
c = preauth("alone")
assert b"UNAUTHENTICATE" not in c.greeting
c.cmd("UNAUTHENTICATE").bad(); c.cmd("NOOP").ok()
PY
}

@test "UIDONLY: no number is taken, none is told (RFC 9586)" {
  py <<'PY'
for i in range(4): put("m", b"Subject: s%d\n\nx\n" % i, mtime=1000 + i)
c = preauth("m"); d = preauth("m")
d.select()
d.cmd("STORE 2 +FLAGS (\\Deleted)").ok(); d.cmd("EXPUNGE").ok()
a = c.cmd("ENABLE UIDONLY").ok().has(b"* ENABLED UIDONLY")
a = c.cmd("SELECT INBOX").ok(); a.hasnt(b"UNSEEN"); a.has(b"* 3 EXISTS")
for bad in ("FETCH 1 (FLAGS)", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "SORT (ARRIVAL) UTF-8 ALL", "COPY 1 INBOX", "MOVE 1 INBOX",
            "THREAD REFS UTF-8 ALL", "UID SEARCH 1:*", "UID SEARCH NOT 2", "REPLACE 1 INBOX {1+}\r\nx"):
    c.cmd(bad).bad().code(b"UIDREQUIRED")
c.cmd("UID FETCH 3:* (FLAGS)").ok().find(rb"^\* 3 UIDFETCH \(FLAGS \([^)]*\)\)$")
c.cmd("UID FETCH 3 (UID RFC822.SIZE)").ok().has(b"* 3 UIDFETCH (UID 3 RFC822.SIZE 18)")
c.cmd("UID STORE 4 +FLAGS (\\Flagged)").ok().find(rb"^\* 4 UIDFETCH \(FLAGS \(\\Flagged[^)]*\)\)$")
c.cmd("UID SEARCH FLAGGED").ok().has(b"* SEARCH 4")
c.cmd("UID SEARCH RETURN (MIN COUNT) ALL").ok().find(rb"UID MIN 1 COUNT 3$")
# news of others'
d.cmd("UID STORE 1 +FLAGS (\\Deleted)").ok()
c.cmd("NOOP").ok().find(rb"^\* 1 UIDFETCH \(FLAGS \(\\Deleted[^)]*\)\)$")
d.cmd("EXPUNGE").ok()
a = c.cmd("NOOP").ok().has(b"* VANISHED 1"); a.hasnt(b"EXPUNGE")
put("m", b"Subject: new\n\nx\n")
c.cmd("NOOP").ok().has(b"* 3 EXISTS")
c.cmd("UID STORE 3 +FLAGS.SILENT (\\Deleted)").ok()
c.cmd("EXPUNGE").ok().has(b"* VANISHED 3")
PY
}

@test "MESSAGELIMIT: the last ones, from the greatest UID down (RFC 9738); UIDAFTER, UIDBEFORE" {
  mkdir -p mail
  echo "imap_message_limit = 3" > "$T/mx.conf"
  py <<'PY'
for i in range(6): put("m", b"Subject: s%d\n\nx\n" % i, mtime=1000 + i)
os.makedirs("m/.Box/cur"); os.makedirs("m/.Box/new"); os.makedirs("m/.Box/tmp")
c = Process(["mx-imapd", "-c", "mx.conf", "--preauth", "--maildir", "m"])
assert b" MESSAGELIMIT=3]" in c.greeting, c.greeting
c.cmd("CAPABILITY").ok().find(rb" MESSAGELIMIT=3$")
c.select().has(b"* 6 EXISTS")
a = c.cmd("FETCH 1:5 (UID)").ok(b"MESSAGELIMIT 3 3]")
assert a.lines == [b"* 5 FETCH (UID 5)", b"* 4 FETCH (UID 4)", b"* 3 FETCH (UID 3)"], a.lines
assert c.cmd("FETCH 4:6 (UID)").ok().tagged.endswith(b"OK Fetch completed")
assert c.cmd("UID FETCH 1:* (UID)").ok(b"MESSAGELIMIT 3 4]").lines[0] == b"* 6 FETCH (UID 6)"
c.cmd("UID FETCH 1:* (UID) (PARTIAL 1:4)").no(b"MESSAGELIMIT 3]")
assert len(c.cmd("UID FETCH 1:* (UID) (PARTIAL 1:3)").ok().lines) == 3
a = c.cmd("SEARCH ALL").ok(b"MESSAGELIMIT 3 4]").has(b"* SEARCH 4 5 6")
c.cmd("UID SEARCH UIDBEFORE 4 SUBJECT s").ok().hasnt(b"LIMIT").has(b"* SEARCH 1 2 3")
c.cmd("UID SEARCH UIDAFTER 4 SUBJECT s").ok().has(b"* SEARCH 5 6")
c.cmd("UID SEARCH UIDAFTER 1 SUBJECT s1").ok(b"MESSAGELIMIT 3 4]").has(b"* SEARCH")
c.cmd("UID SEARCH RETURN (SAVE) ALL").ok(b"MESSAGELIMIT 3 4]")
c.cmd("UID FETCH $ (UID)").ok().has(b"* 4 FETCH (UID 4)").hasnt(b"UID 3")
c.cmd("SORT (ARRIVAL) UTF-8 ALL").no(b"MESSAGELIMIT 3"); c.cmd("THREAD REFS UTF-8 ALL").no(b"MESSAGELIMIT 3")
c.cmd("UID SORT (ARRIVAL) UTF-8 UID 1:3").ok().has(b"* SORT 1 2 3")
a = c.cmd("STORE 1:* +FLAGS (\\Flagged)").ok(b"MESSAGELIMIT 3 4]")
assert [l.split()[1] for l in a.lines] == [b"6", b"5", b"4"], a.lines
c.cmd("COPY 1:* Box").no(b"MESSAGELIMIT 3 4]")
c.cmd("STATUS Box (MESSAGES)").ok().has(b"* STATUS Box (MESSAGES 0)")
c.cmd("MOVE 2:5 Box").ok(b"MESSAGELIMIT 3 3]").has(b"* 3 EXPUNGE")
c.cmd("STATUS Box (MESSAGES)").ok().has(b"* STATUS Box (MESSAGES 3)")
c.cmd("APPEND Box {3+}\r\nA:b {3+}\r\nA:b {3+}\r\nA:b {3+}\r\nA:b").no(b"MESSAGELIMIT 3]")
c.cmd("STATUS Box (MESSAGES)").ok().has(b"* STATUS Box (MESSAGES 3)")
# CLOSE, EXPUNGE, RENAME INBOX and STATUS know no limit; UID EXPUNGE counts what is \Deleted
for i in range(5): put("m", b"Subject: t%d\n\nx\n" % i)
c.select().has(b"* 8 EXISTS")
c.cmd("STORE 5:* +FLAGS.SILENT (\\Deleted)").ok(); c.cmd("STORE 1:3 +FLAGS.SILENT (\\Deleted)").ok()
a = c.cmd("UID EXPUNGE 1:*").ok(b"MESSAGELIMIT 3 9]")
c.cmd("STATUS INBOX (MESSAGES DELETED)").ok().has(b"* STATUS INBOX (MESSAGES 5 DELETED 3)")
c.cmd("EXPUNGE").ok()
for i in range(5): put("m", b"Subject: t%d\n\nx\n" % i)
c.cmd("RENAME INBOX All").ok(); c.cmd("STATUS All (MESSAGES)").ok().find(rb"MESSAGES 7")
PY
  run mx-imapd --preauth --maildir "$T/m" < /dev/null
  [[ $output != *MESSAGELIMIT* ]]
}
