# A session's commands on a pipe: RFC 1939, CAPA, TOP, UIDL, when mail goes.
load ../lib/common
load pop3
setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

@test "STAT, LIST, UIDL, RETR, TOP, NOOP: what they say of three messages" {
  py <<'PY'
deliver("m", "1700000001.M1P1.h", b"Subject: one\n\n.dot\n..two dots\nend without line end")
deliver("m", "1700000002.M2P1.h,S=31,W=35", b"Subject: two\n\nx\n")
deliver("m", "1700000003.M3P1.h", b"Subject: three\r\nX: y\r\n\r\n1\r\n2\r\n3\r\n", "cur")
os.rename("m/new/1700000002.M2P1.h,S=31,W=35", "m/new/1700000002.M2P1.h,S=16,W=19")
c = preauth("m"); c.greeting.ok()
sizes = [14 + 2 + 6 + 12 + 20, 19, 16 + 6 + 2 + 9]
assert c.cmd("STAT") == b"+OK 3 %d" % sum(sizes)
assert c.multi("LIST") == [b"%d %d" % (i + 1, s) for i, s in enumerate(sizes)]
assert c.cmd("LIST 2") == b"+OK 2 19"
uidl = c.multi("UIDL")
assert all(re.fullmatch(rb"%d 0000000%d[0-9a-f]{8}" % (i, i), u) for i, u in enumerate(uidl, 1)), uidl
assert c.cmd("uidl 3") == b"+OK " + uidl[2]
c.send("RETR 1\r\n"); c.line().ok()
assert c.rest() == [b"Subject: one", b"", b"..dot", b"...two dots", b"end without line end"]
assert c.message("RETR 3") == b"Subject: three\r\nX: y\r\n\r\n1\r\n2\r\n3\r\n"
for n, body in ((0, b""), (1, b"1\r\n"), (2, b"1\r\n2\r\n"), (3, b"1\r\n2\r\n3\r\n"), (1000000000, b"1\r\n2\r\n3\r\n")):
    assert c.message(f"TOP 3 {n}") == b"Subject: three\r\nX: y\r\n\r\n" + body, n
c.cmd("NOOP").ok()
assert c.multi("CAPA") == [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"EXPIRE NEVER", b"UTF8 USER", b"LANG", b"IMPLEMENTATION mx"]
for bad in ("LIST 0", "LIST 4", "LIST x", "RETR", "RETR 4", "RETR -1", "RETR 99999999999999999999", "TOP 1", "TOP 1 x", "TOP 1 -1", "DELE 0", "UIDL 9",
            "XYZZY", "USER joe", "PASS x", "AUTH PLAIN", "STLS", "UTF8", ""): c.cmd(bad).err()
c.quit().ok()
# what was fetched is seen (TOP alone does not), nothing is new any more
assert [f.split(":2,")[1] for f in files("m")] == ["S", "", "S"], files("m")
PY
}

@test "DELE: only QUIT removes; RSET takes back; a lost connection and SIGTERM remove nothing" {
  py <<'PY'
for i in range(1, 6): deliver("m", f"170000000{i}.M{i}P1.h", b"Subject: %d\n\nx\n" % i)
c = preauth("m")
c.cmd("DELE 2").ok(); c.cmd("DELE 2").err(); c.cmd("RETR 2").err(); c.cmd("LIST 2").err(); c.cmd("UIDL 2").err(); c.cmd("TOP 2 0").err()
assert [l.split()[0] for l in c.multi("LIST")] == [b"1", b"3", b"4", b"5"] and c.cmd("STAT").startswith(b"+OK 4 ")
assert [l.split()[0] for l in c.multi("UIDL")] == [b"1", b"3", b"4", b"5"]
c.cmd("RSET").ok()
assert c.cmd("STAT").startswith(b"+OK 5 ")
c.cmd("DELE 1").ok(); c.cmd("DELE 3").ok()
c.drop()
assert len(files("m")) == 5, "a lost connection removed mail"
c = preauth("m"); c.cmd("DELE 1").ok(); c.p.terminate(); assert b"-ERR [SYS/TEMP]" in c.closed(); c.p.wait(20)
assert len(files("m")) == 5, "SIGTERM removed mail"
c = preauth("m"); before = c.multi("UIDL")
# new mail during the session waits for the next one
deliver("m", "1700000009.M9P1.h", b"Subject: 9\n\nx\n")
c.cmd("DELE 1").ok(); c.cmd("DELE 4").ok(); assert c.cmd("STAT").startswith(b"+OK 3 ")
assert b"deleted" in c.quit().ok()
c = preauth("m"); after = c.multi("UIDL")
assert [u.split()[1] for u in after[:3]] == [u.split()[1] for u in before if u[:1] in b"235"], (before, after)
assert len(after) == 4 and after[3].split()[1].startswith(b"00000006")
# a UID that is gone never comes back
for i in range(1, 5): c.cmd(f"DELE {i}").ok()
c.quit().ok()
deliver("m", "1700000010.M9P1.h", b"Subject: 10\n\nx\n")
assert preauth("m").multi("UIDL")[0].startswith(b"1 00000007")
PY
}

@test "a message that another client took away meanwhile, or whose file cannot go" {
  py <<'PY'
for i in range(1, 4): deliver("m", f"170000000{i}.M{i}P1.h", b"Subject: %d\n\nx\n" % i)
c = preauth("m")
os.unlink("m/cur/" + files("m")[1])
c.cmd("RETR 2").err()
assert c.message("RETR 3").startswith(b"Subject: 3")
# renamed by a mutt beside: found by its base
f = files("m")[1]; os.rename("m/cur/" + f, "m/cur/" + f.split(":2,")[0] + ":2,FS")
assert c.message("RETR 3").startswith(b"Subject: 3")
c.cmd("DELE 2").ok() # what is gone can be marked, and is gone
c.cmd("DELE 3").ok()
c.quit().ok()
assert len(files("m")) == 1
PY
  if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    # cur/ cannot be written: -ERR [SYS/TEMP], and the message is there
    chmod 755 "$T"; chown -R nobody: "$T/m"; chown root: "$T/m/cur"; chmod 755 "$T/m/cur"
    printf 'DELE 1\r\nQUIT\r\n' | setpriv --reuid nobody --clear-groups mx-pop3d --preauth --maildir "$T/m" > "$T/out"
    tail -1 "$T/out" | grep -q '^-ERR \[SYS/TEMP\] Some messages were not deleted'
    [ "$(ls "$T/m/cur" | wc -l)" -eq 1 ]
  fi
}

@test "parameters: pop3_uidl_format, pop3_no_flag_updates, pop3_fast_size_lookups; Dovecot's kept UIDLs" {
  py <<'PY'
deliver("m", "1700000001.M1P1.h", b"Subject: one\n\nx\n")
v = preauth("m").multi("UIDL")[0].split()[1][8:]
n = int(v, 16)
for fmt, want in (("%v.%u", b"%d.1" % n), ("%u%%", b"1%"), ("%f", b"1700000001.M1P1.h"), ("UID%u-%v", b"UID1-%d" % n), ("%08Xu%08Xv", b"00000001" + v), ("%X", b"00000001"),
                  ("%f%f%f%f%f%f", (b"1700000001.M1P1.h" * 6)[:70])):
    got = preauth("m", "-o", "pop3_uidl_format=" + fmt).multi("UIDL")[0].split()[1]
    assert got == want, (fmt, got, want)
# what Dovecot keeps of a former server
s = open("m/dovecot-uidlist").read(); head, line = s.split("\n")[:2]
open("m/dovecot-uidlist", "w").write(head + "\n1 W20 Pold-uidl.1 :" + line.split(":", 1)[1] + "\n")
c = preauth("m")
assert c.multi("UIDL") == [b"1 old-uidl.1"] and c.cmd("LIST 1") == b"+OK 1 20"
os.makedirs("n"); deliver("n", "1700000001.M1P1.h,S=16", b"Subject: one\n\nx\n")
c = preauth("n", "-o", "pop3_no_flag_updates=yes", "-o", "pop3_fast_size_lookups=yes")
assert c.cmd("LIST 1") == b"+OK 1 16"
c.message("RETR 1"); c.quit().ok()
assert os.listdir("n/new") == ["1700000001.M1P1.h,S=16"]
PY
}

@test "8 MB, long lines, NUL and bare CR come as they are; memory does not grow with the message" {
  py <<'PY'
big = b"Subject: big\n\n" + b"0123456789abcde\n" * 524288
deliver("m", "1700000001.M1P1.h", big)
odd = b"Subject: odd\n\n" + b"x" * 200000 + b"\na\0b\r\r\nc\rd\n.\n" + b"\n" * 3
deliver("m", "1700000002.M2P1.h", odd)
c = preauth("m")
def crlf(b): return re.sub(rb"(?<!\r)\n", b"\r\n", b)
assert c.message("RETR 1") == crlf(big)
assert c.message("RETR 2") == crlf(odd)
assert c.cmd("LIST 2") == b"+OK 2 %d" % len(crlf(odd))
rss = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{c.p.pid}/status").read()).group(1))
assert "san" in os.environ.get("MX_BUILD", "") or rss < 16000, rss
PY
}

@test "pipelined commands are answered in order, and together" {
  py <<'PY'
for i in range(1, 4): deliver("m", f"170000000{i}.M{i}P1.h", b"Subject: %d\n\nx\n" % i)
c = preauth("m")
c.send("STAT\r\nUIDL\r\nRETR 1\r\nDELE 1\r\nNOOP\r\nQUIT\r\n")
c.line().ok(); c.line().ok(); assert len(c.rest()) == 3
c.line().ok(); assert c.rest()[0] == b"Subject: 1"
c.line().ok(); c.line().ok(); c.line().ok()
assert c.closed() == b"" and c.p.wait(20) == 0 and len(files("m")) == 2
PY
}

@test "UTF-8 in headers: encoded words for a client that did not say UTF8, as it is for one that did" {
  py <<'PY'
import email, email.policy
raw = ("From: \"José Díaz, Chef\" <josé@exämple.test>, \"A, B\" <ab@x.test>, müller@x.test\nTo: Grüße An Alle <a@x.test>, b@x.test (plain)\n"
       "Subject: Ein ganz langer Betreff mit Ümläuten, der über eine Zeile hinausgeht und noch größer wird\n und gefaltet ist\n"
       "Content-Type: text/plain; charset=utf-8; name=\"größe 1.txt\"\nX-Plain: .a\tb\n\nbödy\n.x\n").encode()
deliver("m", "1700000001.M1P1.h", raw)
broken = b"Subject: latin \xe9\nX: 1\n\nx\n"
deliver("m", "1700000002.M1P1.h", broken)
c = preauth("m")
got = c.message("RETR 1")
head, body = got.split(b"\r\n\r\n", 1)
assert head.isascii() and body == "bödy\r\n.x\r\n".encode() and all(len(l) <= 200 for l in head.split(b"\r\n"))
m = email.message_from_bytes(got, policy=email.policy.default)
assert m["Subject"] == "Ein ganz langer Betreff mit Ümläuten, der über eine Zeile hinausgeht und noch größer wird und gefaltet ist", m["Subject"]
a = m["From"].addresses
assert [x.display_name for x in a] == ["José Díaz, Chef", "A, B", ""] and [x.addr_spec for x in a] == ["invalid@internationalized-address.invalid", "ab@x.test", "invalid@internationalized-address.invalid"], a
assert [(x.display_name, x.addr_spec) for x in m["To"].addresses][0] == ("Grüße An Alle", "a@x.test"), m["To"]
assert b'name="=?UTF-8?B?' in head and b"X-Plain: .a\tb" in head
assert c.message("TOP 1 0") == head + b"\r\n\r\n"
# what is not UTF-8 is no such message: as it came
assert c.message("RETR 2") == broken.replace(b"\n", b"\r\n")
PY
}
