# mx-cache: finished answers are the same as those made anew, whatever
# happened to the file.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "ENVELOPE and BODYSTRUCTURE from the cache; damaged, deleted, of another mailbox" {
  py <<'PY'
from messages import *
for i in range(40):
    put("m", b"Subject: s%d\nFrom: a%d@x.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext %d\n--b\nContent-Type: message/rfc822\n\nSubject: in %d\n\nx\n--b--\n" % (i, i, i, i), sub="cur")
put("m", b"", sub="cur"); put("m", b"Subject: =?utf-8?q?=C3=A9?= \"q\" {5}\n\n", sub="cur")
def look():
    c = preauth("m"); c.select()
    a = c.cmd("FETCH 1:* (ENVELOPE BODYSTRUCTURE)").ok().lines
    c.cmd("LOGOUT").ok(); c.closed(); c.p.wait(20)
    return a
first = look(); assert len(first) == 42 and os.path.getsize("m/mx-cache") > 10000
assert look() == first
good = open("m/mx-cache", "rb").read()
for bad in (b"", good[:7], good[:-9], good[:500] + bytes(4096) + good[4596:], b"x" * len(good), good[:12] + b"\1" + good[13:], good + b"\0" * 64, good[:16] + os.urandom(300) + good[316:]):
    open("m/mx-cache", "wb").write(bad); a = look()
    assert a == first, [x for x in zip(a, first) if x[0] != x[1]]
os.unlink("m/mx-cache"); assert look() == first
# a warm fetch opens no message
import subprocess
if os.system("command -v strace >/dev/null") == 0:
    subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", "trace", "mx-imapd", "--preauth", "--maildir", "m"], input=b"a SELECT INBOX\r\nb FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\nc LOGOUT\r\n", stdout=subprocess.DEVNULL)
    n = open("trace").read().count('"cur/'); assert n == 0, n
# another validity: other messages
open("m/dovecot-uidlist", "w").write("3 V99 N1\n"); assert look() == first
# expunged ones leave it
c = preauth("m"); c.select(); c.cmd("STORE 1:30 +FLAGS.SILENT (\\Deleted)").ok(); c.cmd("EXPUNGE").ok(); c.cmd("LOGOUT").ok(); c.closed()
assert [l.split(b" ", 2)[2] for l in look()] == [l.split(b" ", 2)[2] for l in first[30:]]
PY
}
