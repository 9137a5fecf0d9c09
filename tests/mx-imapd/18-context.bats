# CONTEXT=SEARCH, CONTEXT=SORT (RFC 5267).
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "UPDATE: ADDTO and REMOVEFROM by flags, new messages and expunges; CANCELUPDATE" {
  py <<'PY'
for i in range(4): put("m", b"Subject: %s\n\nx\n" % (b"cat", b"dog", b"cat", b"dog")[i], sub="cur", flags="S", mtime=1000 + i)
c, d = preauth("m"), preauth("m")
c.cmd("CAPABILITY").ok().find(rb" CONTEXT=SEARCH CONTEXT=SORT ")
c.select(); d.select()
c.send('u1 UID SEARCH RETURN (UPDATE COUNT) SUBJECT cat\r\n'); a = c.until(b"u1", "u1").ok().has(b'* ESEARCH (TAG "u1") UID COUNT 2')
c.send('n1 SEARCH RETURN (UPDATE) FLAGGED\r\n'); a = c.until(b"n1", "n1").ok()
assert a.lines in ([], [b'* ESEARCH (TAG "n1")']), a.lines
c.send('s1 UID SORT RETURN (UPDATE ALL) (REVERSE ARRIVAL) UTF-8 UNDELETED\r\n'); a = c.until(b"s1", "s1").ok().has(b'* ESEARCH (TAG "s1") UID ALL 4,3,2,1')
# the tag is taken
c.send('u1 SEARCH RETURN (UPDATE) ALL\r\n'); c.until(b"u1", "u1").bad()
c.send('s1 SORT RETURN (UPDATE) (DATE) UTF-8 ALL\r\n'); c.until(b"s1", "s1").bad()
# flags, of another's and of one's own
d.cmd("STORE 2:3 +FLAGS (\\Flagged)").ok()
a = c.cmd("NOOP").ok().has(b'* ESEARCH (TAG "n1") ADDTO (0 2:3)')
assert a.lines.index(b'* ESEARCH (TAG "n1") ADDTO (0 2:3)') > 1, a.lines
c.cmd("STORE 3 -FLAGS (\\Flagged)").ok().has(b'* ESEARCH (TAG "n1") REMOVEFROM (0 3)')
c.cmd("UID STORE 4 +FLAGS.SILENT (\\Flagged)").ok().has(b'* ESEARCH (TAG "n1") ADDTO (0 4)')
c.cmd("STORE 2 +FLAGS (\\Deleted)").ok().has(b'* ESEARCH (TAG "s1") UID REMOVEFROM (3 2)')
c.cmd("STORE 2 -FLAGS (\\Deleted)").ok().has(b'* ESEARCH (TAG "s1") UID ADDTO (3 2)')
# new ones: behind EXISTS
put("m", b"Subject: cat five\n\nx\n", mtime=1001); put("m", b"Subject: bird\n\nx\n", mtime=5000)
a = c.cmd("NOOP").ok(); five = 5 if b"cat" in c.cmd("UID FETCH 5 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").lines[0] else 6
i = a.lines.index(b"* 6 EXISTS"); j = a.lines.index(b'* ESEARCH (TAG "u1") UID ADDTO (0 %d)' % five); assert i < j, a.lines
s = a.find(rb'TAG "s1"\) UID ADDTO \(1 (\d) (\d) (\d)\)').groups(); assert int(s[0]) == 11 - five and int(s[2]) == five, s
# expunged: before EXPUNGE, by the numbers there were
d.cmd("STORE 2 +FLAGS.SILENT (\\Deleted)").ok(); c.cmd("NOOP").ok(); d.cmd("NOOP").ok(); d.cmd("EXPUNGE").ok()
a = c.cmd("NOOP").ok()
assert a.lines.index(b'* ESEARCH (TAG "n1") REMOVEFROM (0 2)') < a.lines.index(b"* 2 EXPUNGE"), a.lines
d.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)").ok(); d.cmd("EXPUNGE").ok()
c.cmd("NOOP").ok().has(b'* ESEARCH (TAG "u1") UID REMOVEFROM (0 1)', b"* 1 EXPUNGE")
# IDLE and NOTIFY tell too
c.send("i IDLE\r\n"); c.line()
d.cmd("STORE 1 +FLAGS (\\Flagged)").ok()
got = [c.line() for _ in range(2)]; assert got[1] == b'* ESEARCH (TAG "n1") ADDTO (0 1)', got
c.send("DONE\r\n"); c.until(b"i", "i").ok()
c.cmd("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))").ok()
d.cmd("STORE 1 -FLAGS (\\Flagged)").ok()
got = [c.line() for _ in range(2)]; assert got[1] == b'* ESEARCH (TAG "n1") REMOVEFROM (0 1)', got
# no more
c.cmd('CANCELUPDATE "n1" "s1"').ok(); c.cmd('CANCELUPDATE "n1"').no(); c.cmd("CANCELUPDATE").bad()
c.cmd("STORE 1 +FLAGS (\\Flagged)").ok().hasnt(b"ESEARCH")
c.send('n1 SEARCH RETURN (UPDATE) FLAGGED\r\n'); c.until(b"n1", "n1").ok()
c.cmd("SELECT INBOX").ok(); c.cmd("STORE 1 -FLAGS (\\Flagged)").ok().hasnt(b"ESEARCH")
PY
}

@test "UPDATE: numbers mean those they stood for; what is asked of new ones; too many" {
  py <<'PY'
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, sub="cur", flags="", mtime=1000 + i)
c, d = preauth("m"), preauth("m")
c.select(); d.select()
c.send("a SEARCH RETURN (UPDATE ALL) 2:3 SEEN\r\n"); c.until(b"a", "a").ok()
c.send("b SEARCH RETURN (UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) SUBJECT boss\r\n"); c.until(b"b", "b").ok()
d.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)").ok(); d.cmd("EXPUNGE").ok(); c.cmd("NOOP").ok()
d.cmd("STORE 1 +FLAGS (\\Seen)").ok()          # number 2 then
c.cmd("NOOP").ok().has(b'* ESEARCH (TAG "a") ADDTO (0 1)')
put("m", b"Subject: other\n\nx\n"); c.cmd("NOOP").ok().hasnt(b"FETCH")
put("m", b"Subject: boss\n\nx\n")
a = c.cmd("NOOP").ok().has(b'* ESEARCH (TAG "b") ADDTO (0 4)')
a.find(rb"\* 4 FETCH \(UID 5 BODY\[HEADER.FIELDS \(SUBJECT\)\] \{\d+\}\r\nSubject: boss")
d.cmd("NOOP").ok(); d.cmd("STORE 3 +FLAGS (\\Flagged)").ok(); c.cmd("NOOP").ok().hasnt(b"BODY[")
for i in range(8): c.send("x%d SEARCH RETURN (UPDATE COUNT) ALL\r\n" % i); c.until(b"x%d" % i, "x").ok().hasnt(b"NOUPDATE")
c.send("y SEARCH RETURN (UPDATE COUNT) ALL\r\n"); c.until(b"y", "y").ok().has(b'* NO [NOUPDATE "y"] Too many contexts', b'* ESEARCH (TAG "y") COUNT 4')
for bad in ("SEARCH RETURN (UPDATE (NOSUCH)) ALL", "SEARCH RETURN (UPDATE (UID) ALL", "SEARCH RETURN (UPDATE ()) ALL"): c.cmd(bad).bad()
PY
}
