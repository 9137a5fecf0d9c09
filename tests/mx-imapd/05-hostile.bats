# What a hostile client, a hostile name, a damaged file may try.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "literals: bombs are refused by their claim, dropped or the end; never executed" {
  py <<'PY'
c = preauth("m"); c.append("INBOX", b"a: b\r\n\r\n").ok(); c.select()
c.cmd("SEARCH SUBJECT {4294967295}").bad()
c.cmd("CREATE {18446744073709551615}").bad()
c.cmd("CREATE {99999}").bad()
c.send(b"a CREATE {66000+}\r\n" + b"b LOGOUT\r\n" * 6000)
assert b"* BYE" in c.closed()
c = preauth("m"); c.select()
# one that is dropped takes the rest of its command with it
c.send(b"a CREATE {60000+}\r\n" + b"x" * 60000 + b" {4000+}\r\n" + b"y" * 4000 + b" {3000+}\r\n" + b"z LOGOUT\r\n" * 300 + b"\r\nn NOOP\r\n")
l = c.line(); assert l.startswith(b"a BAD [TOOBIG]"), l
assert c.line().startswith(b"n OK")
c.cmd("CREATE {-1}").bad(); c.cmd("CREATE {1x}").bad(); c.cmd("CREATE {}").bad()
def flood(data):
    c = preauth("m")
    try: c.send(data)
    except BrokenPipeError: pass
    assert b"* BYE Command too long" in c.closed()
flood(b"a SEARCH " + b"{1+}\r\nx" * 20000)
flood(b"a NOOP " + b"x" * 70000)
c = preauth("m")
rss = lambda: int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{c.p.pid}/status").read()).group(1))
before = rss()
for i in range(200): c.cmd("CREATE {60000000}").bad()
assert rss() - before < 4000
PY
}

@test "NUL, CR, LF and escapes in strings; odd commands; the session lives" {
  py <<'PY'
c = preauth("m"); c.append("INBOX", b"a: b\r\n\r\n").ok(); c.select()
for t in [b'CREATE "a\0b"', b'CREATE "a\rb"', b'CREATE "a\\xb"', b'CREATE "a', b'CREATE "a\\', b"CREATE a\0b", b"CREATE", b"CREATE  ", b"CREATE (a)", b"CREATE a b",
          b'CREATE "', b"\0", b"FETCH 1 BODY[HEADER.FIELDS (\"a\0\")]", b"LIST \"\" \"\0\"", b"SEARCH TEXT \"a\0\"", b"STORE 1 FLAGS (a\0b)", b"UID", b"UID NOOP", b"UID UID FETCH 1 UID"]:
    c.cmd(t).bad()
c.cmd(b"CREATE \0%", b"a\0b").bad()
c.cmd(b"SEARCH CHARSET UTF-8 TEXT \0%", b"\xff\xfe").bad()
c.send(b"a NOOP\n"); assert c.line().startswith(b"a OK")
c.cmd("FETCH 1 (" + " ".join(["BODY.PEEK[]"] * 500) + ")").ok()
PY
}

@test "nesting: 100 levels and no more, in linear time; too many bad commands end it" {
  py <<'PY'
c = preauth("m"); c.append("INBOX", b"a: b\r\n\r\n").ok(); c.select()
for n, want in [(99, "ok"), (101, "bad"), (30000, "bad")]:
    getattr(c.cmd("SEARCH " + "(" * n + "ALL" + ")" * n), want)()
    getattr(c.cmd("SEARCH " + "NOT " * (n if n < 15000 else 15000) + "ALL"), want)()
    getattr(c.cmd("SEARCH " + "OR ALL " * (n if n < 9000 else 9000) + "ALL"), want)()
c.cmd("SEARCH " + "ALL " * 6000).bad()
c.cmd("FETCH 1 " + "(" * 50000).bad()
c.cmd("LIST " + "(" * 50000).bad()
c.cmd("ID " + "(" * 50000).bad()
c = preauth("m")
for i in range(25):
    try: c.send("x XYZZY\r\n")
    except BrokenPipeError: break
assert b"* BYE Too many bad commands" in c.closed()
PY
}

@test "sets: 0, 2^32, thousands that overlap, of an empty mailbox" {
  py <<'PY'
c = preauth("m"); c.select()
c.cmd("FETCH 1:* FLAGS").bad(); c.cmd("FETCH * FLAGS").bad(); c.cmd("UID FETCH 1:* FLAGS").ok(); c.cmd("FETCH 1 FLAGS").bad()  # RFC 3501 9, seq-number
c.cmd("STORE 1:* FLAGS (\\Seen)").bad(); c.cmd("SEARCH 1:*").ok().has(b"* SEARCH"); c.cmd("UID EXPUNGE 1:*").ok(); c.cmd("COPY 1:* INBOX").bad()
for i in range(3): c.append("INBOX", b"a: b\r\n\r\n").ok()
c.cmd("NOOP").ok()
for bad in ["0", "4294967296", "1:", ":1", "1,", ",1", "1::2", "-1", "1:4294967295", "1.5", "**", "a"]:
    c.cmd(f"FETCH {bad} UID").bad()
c.cmd("UID FETCH 4294967295 UID").ok().hasnt(b"FETCH")
a = c.cmd("UID FETCH " + ",".join("1:4294967295" for _ in range(4000)) + " UID").ok()
assert len(a.lines) == 3
a = c.cmd("FETCH " + ",".join("3:1,2,*" for _ in range(6000)) + " UID").ok()
assert len(a.lines) == 3
PY
}

@test "mailbox names: nothing leaves the mail root, nothing gets into a line" {
  mkdir -p "$T/outside/cur" "$T/outside/new" "$T/outside/tmp"
  py <<'PY'
c = preauth("m")
for n in ["..", "../outside", "/etc", "a/b", "a..b", ".a", "~root", "&AC8-", "a&AC4ALg-b", "x&AAo-y", "x&AA0ACg-", "&", "&&", "&AOQ", "\x7f".replace("\x7f", "&AH8-"),
          "x" * 300, ".".join("a" * 60), "&2D0-", "B&AOQ-&AOQ-"]:
    for cmd in ("CREATE {}", "SELECT {}", "DELETE {}", "RENAME {} z", "RENAME INBOX2 {}", "SUBSCRIBE {}", "UNSUBSCRIBE {}", "STATUS {} (MESSAGES)", "COPY 1 {}"):
        t = cmd.format('"%s"' % n)
        a = c.cmd(t)
        assert not a.tagged.split()[1] == b"OK", (t, a.tagged)
    a = c.append(f'"{n}"', b"a: b\r\n\r\n"); assert b" OK " not in a.tagged
c.cmd(b"SUBSCRIBE \0%", b"a\nb").no(); c.cmd(b"CREATE \0%", b"a\r\nb").no(); c.cmd(b"CREATE \0%", "ä".encode()).no()
c.cmd("CREATE cur").ok(); c.cmd("CREATE new.tmp").ok(); c.cmd("SELECT cur").ok()
c.cmd("CREATE " + ".".join(["a"] * 50)).ok(); c.cmd("CREATE " + ".".join(["b"] * 51)).no(); c.cmd("CREATE " + "x" * 254).ok(); c.cmd("CREATE " + "x" * 255).no()
# links that lead out are no mailboxes
os.symlink("../outside", "m/.evil"); os.symlink("/etc", "m/.etc")
c.cmd("SELECT evil").no(); c.cmd("STATUS etc (MESSAGES)").no(); c.append("evil", b"a: b\r\n\r\n").no(); c.cmd("DELETE evil").no()
os.mkdir("m/.half"); os.symlink("../../outside/new", "m/.half/new"); os.symlink("../../outside/cur", "m/.half/cur")
open("outside/new/1.secret", "w").write("s")
c.cmd("SELECT half").no()
assert os.listdir("outside/new") == ["1.secret"] and os.listdir("outside/cur") == []
assert sorted(os.listdir(".")) == ["m", "outside", "prog.py"]
PY
}

@test "damaged dovecot-uidlist, dovecot-keywords, subscriptions, odd file names" {
  py <<'PY'
names = [put("m", b"Subject: %d\n\nx\n" % i, sub="cur", flags="S").split(":")[0] for i in range(4)]
def look(text, uv=None):
    open("m/dovecot-uidlist", "w").write(text)
    c = preauth("m"); a = c.select(); v = int(a.find(rb"UIDVALIDITY (\d+)").group(1)); nxt = int(a.find(rb"UIDNEXT (\d+)").group(1))
    u = [int(x) for x in re.findall(r"UID (\d+)", " ".join(l.decode() for l in c.cmd("FETCH 1:* UID").lines))]
    assert u == sorted(set(u)) and len(u) == 4 and nxt > u[-1], (text, u, nxt)
    if uv: assert v == uv, (text, v)
    else: assert v > 1000000000, v
    assert uidlist("m")[0].startswith(f"3 V{v} N{nxt}")
    c.end(); return u
n = names
assert look(f"3 V77 N9 Gab\n2 :{n[0]}\n3 :{n[1]}\n5 W99 Pfoo :{n[2]}\n8 :{n[3]}\n", 77) == [2, 3, 5, 8]
assert look(f"3 V77 N20\n2 :{n[0]}\n2 :{n[1]}\nx\n1 :{n[2]}\n9 :{n[3]}\n", 77) == [2, 9, 20, 21]
assert look(f"3 V77 N3\n2 :{n[0]}\n10 :{n[1]}", 77) == [2, 3, 4, 5]
for t in ["", "garbage", "3\n", "3 V0 N1\n", "9 V5 N5\n", "\0" * 100, "3 V77\x00 N5\n", "3 V4294967296 N1\n"]: look(t)
look("3 V77 N4294967295\n")
open("m/dovecot-keywords", "w").write("0 ok\n0 twice\nx\n30 far\n1 a\x01b\n2 c d\n3 \\Seen\n")
open("m/subscriptions", "w").write("INBOX\n\n\x01x\nINBOX\n" + "y" * 5000 + "\n")
os.rename(f"m/cur/{n[0]}:2,S", f"m/cur/{n[0]}:2,Sad")
put("m", b"x: y\n\n", sub="cur", name="with space", flags=""); open("m/cur/a\nb:2,S", "w").write("x"); open("m/cur/.dot", "w").write("x"); os.mkdir("m/cur/dir")
os.symlink("/etc/passwd", "m/cur/link:2,")
c = preauth("m"); c.select().has(b"* 5 EXISTS")
c.cmd("FETCH 1:* (FLAGS BODY.PEEK[])").ok().find(rb"FLAGS \(\\Seen ok\)")
c.cmd('LSUB "" *').ok().has(b'* LSUB () "." INBOX')
assert all(len(l.split(":", 1)[1]) > 0 and "\n" not in l for l in uidlist("m")[1:])
PY
}

@test "what a power cut left over is not shown; the list replaced under a session is BYE" {
  py <<'PY'
put("m", b"", name="5.M1P1.h,S=100")
put("m", b"Subject: x\n\n", name="6.M1P1.h,S=12")
c = preauth("m"); c.select().has(b"* 1 EXISTS")
assert os.path.exists("m/new/5.M1P1.h,S=100")
open("m/dovecot-uidlist", "w").write("3 V99 N1\n")
put("m", b"Subject: y\n\n")
c.send("a NOOP\r\n")
assert b"* BYE" in c.closed()
c = preauth("m"); c.cmd("CREATE x").ok(); c.cmd("SELECT x").ok()
d = preauth("m"); d.cmd("DELETE x").ok()
time.sleep(1.1)
c.send("a NOOP\r\n")
assert b"* BYE" in c.closed()
PY
}

@test "disk full: APPEND and COPY say NO, nothing is left, the session lives" {
  need_root
  mkdir "$T/m"
  mount -t tmpfs -o size=300k tmpfs "$T/m" || skip "no tmpfs can be mounted here"
  py <<'PY' || { umount "$T/m"; false; }
c = preauth("m"); c.select()
big = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" + b"z" * 200000 + b"\r\n"
c.append("INBOX", big).ok()
c.append("INBOX", big).no(b"OVERQUOTA")
c.cmd("NOOP").ok()
assert os.listdir("m/tmp") == [] and len(files("m")) == 1
c.cmd("FETCH 1 RFC822.SIZE").ok()
c.end()
PY
  umount "$T/m"
}
