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

@test "fields of headers from the cache: HEADER.FIELDS, SEARCH, SORT, THREAD as from the files; damaged, of another list" {
  py <<'PY'
from messages import *
import subprocess, struct
for i in range(30):
    put("m", b"From : odd\nSubject: s%d =?utf-8?q?gr=C3=BC=C3=9Fe?=\n folded %d\nReceived: by x%d\nsubject:second%d\nFrom: a%d@x.test\nTo: t@x.test, u%d@x.test\nDate: Mon, %02d Feb 2022 21:52:25 +0000\nMessage-ID: <%d@x>\nReferences: <%d@x>\nX-Odd: %d\n\nSubject: in the body\n"
        % (i % 7, i, i, i, i, i, i % 28 + 1, i, i - 1, i), sub="cur")
put("m", b"", sub="cur"); put("m", b"To: no line end", sub="cur"); put("m", b"Subject: big\nTo: " + b"a@x.test,\n " * 5000 + b"b@x.test\nFrom: last@x\n\n", sub="cur")
ask = ["FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT from To)]", "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[HEADER.FIELDS (X-Odd)])", "FETCH 1:* (ENVELOPE BODY.PEEK[HEADER.FIELDS (References)]<3.20>)",
       "SEARCH SUBJECT second3", "SEARCH CHARSET UTF-8 SUBJECT {6+}\r\ngr\u00fc\u00df", "SEARCH FROM a1", "SEARCH FROM last", "SEARCH TO u9@", "SEARCH HEADER Message-ID <2", "SEARCH HEADER X-Odd 7", "SEARCH HEADER Received x12", "SEARCH SENTSINCE 20-Feb-2022",
       "SEARCH SUBJECT in", "SEARCH SUBJECT s1 BODY body", "SEARCH OR HEADER X-Odd 4 SUBJECT s2", "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "SORT (TO SIZE) UTF-8 ALL", "SORT (DISPLAYFROM) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL"]
def look(asks=ask, forget=False):
    out = []
    for x in [asks] if not forget else [[a] for a in asks]:
        if forget and os.path.exists("m/mx-cache"): os.unlink("m/mx-cache")
        c = preauth("m"); c.select()
        out += [(a, c.cmd(a).ok().lines) for a in x]
        c.cmd("LOGOUT").ok(); c.closed(); c.p.wait(20)
    return out
first = look(forget=True)                     # each from the files alone
assert all(len(l) > 0 for a, l in first), [a for a, l in first if not l]
os.unlink("m/mx-cache")
for i in range(2):
    for a, b in zip(look(), first): assert a == b, (a, b)
good = open("m/mx-cache", "rb").read(); assert b"second3" in good
if os.system("command -v strace >/dev/null") == 0:
    subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", "trace", "mx-imapd", "--preauth", "--maildir", "m"], input=b"a SELECT INBOX\r\nb UID FETCH 1:32 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\nc SEARCH 1:32 SUBJECT x FROM y\r\nd THREAD REFERENCES UTF-8 1:32\r\ne SORT (SUBJECT) UTF-8 1:32\r\nf LOGOUT\r\n", stdout=subprocess.DEVNULL)
    n = open("trace").read().count('"cur/'); assert n == 0, n
def records(b, at=16):
    while at < len(b):
        n, uid, kind, crc = struct.unpack("IIII", b[at:at + 16]); yield at, n, uid, kind
        at += (16 + n + 7) // 8 * 8
# torn anywhere, a record of another list (its sum is wrong, its checksum right), a kind of a later version
import zlib
def other_list(b):
    b = bytearray(b)
    for at, n, uid, kind in records(bytes(b)):
        if kind == 2:
            b[at + 16] ^= 1; b[at + 20:at + 16 + n] = b"Subject: a lie".ljust(n - 4)[:n - 4]
            b[at + 12:at + 16] = struct.pack("I", zlib.crc32(bytes(b[at + 16:at + 16 + n]), zlib.crc32(bytes(b[at:at + 12]))))
    return bytes(b)
assert sum(k == 2 for _, _, _, k in records(good)) == 32
def later(b):
    at = [r[0] for r in records(b)][9]; return b[:at + 8] + b"\7" + b[at + 9:]
import random
r = random.Random(5)
for bad in [other_list(good), later(good)] + [good[:r.randrange(len(good))] for _ in range(4)] + [good[:p] + os.urandom(40) + good[p + 40:] for p in (r.randrange(len(good)) for _ in range(4))]:
    open("m/mx-cache", "wb").write(bad)
    for a, b in zip(look(), first): assert a == b, (a, b)
# a session that is killed while it fills the cache, beside one that goes on
os.unlink("m/mx-cache")
a, b = preauth("m"), preauth("m")
for c in (a, b): c.select()
a.cmd("SEARCH 1:20 SUBJECT s1").ok(); a.p.kill(); a.p.wait(20)
for x, want in first[:8]: got = b.cmd(x).ok().lines; assert got == want, (x, got)
b.cmd("LOGOUT").ok(); b.closed()
for x, y in zip(look(), first): assert x == y
PY
}

@test "SORT and THREAD by what the cache keeps: texts that differ late, in their length, or not at all; no file is opened" {
  py <<'PY'
from messages import *
import random, subprocess
rnd = random.Random(5)
ends = ["", "1", "12", "123456", "1234567", "12345678", "12345679", "1234567 a", "1234567 b", "12345678 and more", "z", "y y", "0"]
def fill(subjects, at):
    for i in range(150):
        s = rnd.choice(subjects); got.append((at + i, s, "a" * rnd.randrange(3), rnd.choice((0, 1700000000, 1600000000 + i % 5)), rnd.randrange(3) * 100))
        n, s, f, when, size = got[-1]
        date = time.strftime("Date: %a, %d %b %Y %H:%M:%S +0000\n", time.gmtime(when)) if when else "Date: never\n"
        put("m", f"{date}Subject: {s}\nFrom: f{f}@x.test\nMessage-ID: <m{n}@x>\nReferences: <m{n // 3}@x>\n\n{'y' * size}".encode(), name=f"{1500000000 + n}.M1P1.h", sub="cur", flags="")
        os.utime(f"m/cur/{1500000000 + n}.M1P1.h:2,", (1650000000 + n, 1650000000 + n))
        when = got[-1][3] or 1650000000 + n
        got[-1] = (n, " ".join(s.split()).encode(), f, when, os.path.getsize(f"m/cur/{1500000000 + n}.M1P1.h:2,") + (open(f"m/cur/{1500000000 + n}.M1P1.h:2,", "rb").read().count(b"\n")))
keys = {"SUBJECT": 1, "FROM": 2, "DATE": 3, "SIZE": 4}
def expect(by):
    v = sorted(got)
    for k in reversed(by): v.sort(key=lambda x: x[keys[k.split()[-1]]], reverse=k.startswith("REVERSE"))  # stable, also when reversed
    return v
def check(c):
    for by in (["SUBJECT"], ["REVERSE SUBJECT"], ["SUBJECT", "REVERSE SIZE"], ["REVERSE SUBJECT", "DATE"], ["DATE", "SUBJECT"], ["REVERSE DATE"], ["SIZE", "REVERSE FROM"], ["FROM", "REVERSE SUBJECT", "REVERSE DATE"]):
        l = c.cmd(f"SORT ({' '.join(by)}) UTF-8 ALL").ok().lines[0].split()[2:]
        assert [int(x) for x in l] == [x[0] for x in expect(by)], (by, l)
got = []; fill(["same beginning " + e for e in ends], 1)
c = preauth("m"); c.select(); check(c); first = c.cmd("THREAD REFERENCES UTF-8 ALL").ok().lines; check(c); c.end()
c = preauth("m"); c.select(); check(c); assert c.cmd("THREAD REFERENCES UTF-8 ALL").ok().lines == first; c.end()
if os.system("command -v strace >/dev/null") == 0:
    subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", "trace", "mx-imapd", "--preauth", "--maildir", "m"], input=b"a SELECT INBOX\r\nb SORT (SUBJECT FROM) UTF-8 ALL\r\nc THREAD REFS UTF-8 ALL\r\nd LOGOUT\r\n", stdout=subprocess.DEVNULL)
    n = open("trace").read().count('"cur/'); assert n == 0, n
fill(ends + ["", "b" * 300], 151)  # nothing is shared any more, and some are not in the cache
c = preauth("m"); c.select(); check(c); c.end(); c = preauth("m"); c.select(); check(c); c.end()
PY
}
