# Mailboxes and what hangs on them: special use, RENAME INBOX, METADATA, ACL,
# QUOTA; COMPRESS.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "CREATE with USE, LIST SPECIAL-USE and RETURN (MYRIGHTS STATUS) (RFC 6154, 8440, 5819)" {
  py <<'PY'
c = preauth("m")
c.cmd("CREATE Gesendet (USE (\\Sent))").ok(b"MAILBOXID")
c.cmd("CREATE x (USE (\\Nonsense))").no(b"USEATTR")
c.cmd("CREATE x (USE (\\All))").no(b"USEATTR")
c.cmd("CREATE Sent").ok()
c.cmd('LIST "" Gesendet').has(b'* LIST (\\HasNoChildren \\Sent) "." Gesendet')
assert c.cmd('LIST (SPECIAL-USE) "" *').ok().lines == [b'* LIST (\\HasNoChildren \\Sent) "." Gesendet', b'* LIST (\\HasNoChildren \\Sent) "." Sent']
c.cmd("RENAME Gesendet Weg").ok(); c.cmd('LIST "" Weg').has(b'* LIST (\\HasNoChildren \\Sent) "." Weg')
a = c.cmd('LIST "" Weg RETURN (MYRIGHTS STATUS (MESSAGES SIZE))').ok()
a.has(b"* MYRIGHTS Weg lrswipkxteca", b"* STATUS Weg (MESSAGES 0 SIZE 0)")
c.cmd('GETMETADATA Weg /private/specialuse').has(b'* METADATA Weg (/private/specialuse "\\\\Sent")')
PY
}

@test "RENAME INBOX moves its messages, keeps it and its children" {
  py <<'PY'
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, sub="cur" if i else "new", flags="S" if i else None)
c = preauth("m"); c.cmd("CREATE INBOX.kid").ok()
c.select(); c.cmd("STORE 1 +FLAGS (Work)").ok()
a = c.cmd("RENAME INBOX Old.2020").ok()
assert [l for l in a.lines if l.endswith(b"EXPUNGE")] == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"* 1 EXPUNGE"], a.lines
c.cmd("STATUS INBOX (MESSAGES)").has(b"* STATUS INBOX (MESSAGES 0)")
c.cmd('LIST "" *').has(b'* LIST (\\HasNoChildren) "." INBOX.kid', b'* LIST (\\HasNoChildren) "." Old.2020')
c.select("Old.2020"); a = c.cmd("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok()
assert [re.search(rb"Subject: (s\d)", l).group(1) for l in a.lines] == [b"s0", b"s1", b"s2"]
a.find(rb"FLAGS \(.*Work\)")
c.cmd("RENAME INBOX Old.2020").no(b"ALREADYEXISTS")
c.cmd("RENAME INBOX empty").ok()
PY
}

@test "METADATA of mailboxes and of the server (RFC 5464)" {
  py <<'PY'
c = preauth("m"); c.cmd("CREATE b").ok()
c.cmd('SETMETADATA b (/private/comment "My own" /shared/comment "All\'s")').ok()
c.cmd('SETMETADATA "" (/private/x/y \0% /private/x "")', b"two\r\nlines % \t").ok()
c.cmd('GETMETADATA b /private/comment').ok().has(b'* METADATA b (/private/comment "My own")')
c.cmd('GETMETADATA b (/shared/comment /private/COMMENT /private/none)').ok().has(b'* METADATA b (/private/comment "My own" /shared/comment "All\'s")')
c.cmd('GETMETADATA "" /private/x/y').ok().has(b'* METADATA "" (/private/x/y {14}\r\ntwo\r\nlines % \t)')
c.cmd('GETMETADATA (DEPTH 1) "" /private').bad()
c.cmd('GETMETADATA (DEPTH infinity) "" (/private/x)').ok().find(rb'/private/x/y .*/private/x ""|/private/x "" .*y')
c.cmd('GETMETADATA "" (MAXSIZE 5 DEPTH 1) /private/x').ok(b"METADATA LONGENTRIES 14").has(b'* METADATA "" (/private/x "")')
c.cmd('SETMETADATA b (/private/comment NIL)').ok()
assert c.cmd('GETMETADATA b /private/comment').ok().lines == []
c.cmd('SETMETADATA b (/private/bad//x "a")').bad(); c.cmd('SETMETADATA b (/other/x "a")').bad(); c.cmd('SETMETADATA b (/private/%x "a")').bad()
c.send(b"x SETMETADATA b (/private/comment {32769+}\r\n" + b"a" * 32769 + b")\r\n"); c.until(b"x", "").no(b"METADATA MAXSIZE 32768")
d = preauth("m"); d.cmd("SETMETADATA nowhere (/private/comment \"a\")").no(b"NONEXISTENT")
d.cmd('GETMETADATA b (/private/comment /shared/comment)').ok().has(b'* METADATA b (/shared/comment "All\'s")')
PY
  grep -q '^/private/x/y	two%0d%0alines %25 %09$' "$T/m/mx-metadata-server"
}

@test "ACL: all rights to the owner, none to anybody else (RFC 4314)" {
  py <<'PY'
c = preauth("m", "joe"); c.cmd("CREATE b").ok()
c.cmd("MYRIGHTS b").ok().has(b"* MYRIGHTS b lrswipkxteca")
c.cmd("GETACL INBOX").ok().has(b'* ACL INBOX "joe" lrswipkteca')
c.cmd("LISTRIGHTS b joe").ok().has(b'* LISTRIGHTS b "joe" lrswipkxteca')
c.cmd("LISTRIGHTS b eve").ok().has(b'* LISTRIGHTS b "eve" ""')
c.cmd("SETACL b eve lr").no(b"NOPERM"); c.cmd("DELETEACL b joe").no(b"NOPERM")
c.cmd("MYRIGHTS nowhere").no(b"NONEXISTENT")
PY
}

@test "QUOTA: told from maildirsize, kept in it, NO [OVERQUOTA] (RFC 9208)" {
  py <<'PY'
msg = b"Subject: a\r\n\r\n" + b"x" * 986 + b"\r\n"   # 1000 with LF line ends... about
c = preauth("m"); c.cmd("CREATE b").ok()
c.cmd("GETQUOTAROOT INBOX").ok().has(b"* QUOTAROOT INBOX")
open("m/maildirsize", "w").write("4096S,5C\n0 0\n")
c.cmd("GETQUOTAROOT INBOX").ok().has(b'* QUOTAROOT INBOX "User quota"', b'* QUOTA "User quota" (STORAGE 0 4 MESSAGE 0 5)')
for i in range(4): c.append("INBOX", msg).ok()
c.append("INBOX", msg).no(b"OVERQUOTA"); assert len(files("m")) == 4 and os.listdir("m/tmp") == []
c.select(); c.cmd("COPY 1 b").no(b"OVERQUOTA"); assert files("m/.b") == []
c.cmd("MOVE 1 b").ok()
c.cmd("GETQUOTA \"User quota\"").ok().has(b'* QUOTA "User quota" (STORAGE 4 4 MESSAGE 4 5)')
c.cmd("STORE 1:3 +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
c.cmd("GETQUOTA \"User quota\"").ok().has(b'* QUOTA "User quota" (STORAGE 1 4 MESSAGE 1 5)')
c.cmd("GETQUOTA nonsense").no(b"NONEXISTENT"); c.cmd("SETQUOTA \"User quota\" (STORAGE 9)").no(b"NOPERM")
# a long file is summed up anew from the folders
open("m/maildirsize", "a").write("0 0\n" * 1400)
c.append("INBOX", b"a: b\r\n\r\n").ok()
t = open("m/maildirsize").read(); assert len(t) < 100 and t.startswith("4096S,5C\n"), t
c.cmd("GETQUOTA \"User quota\"").ok().has(b'* QUOTA "User quota" (STORAGE 1 4 MESSAGE 2 5)')
PY
}

@test "COMPRESS=DEFLATE both ways; a bomb costs no memory (RFC 4978)" {
  py <<'PY'
import zlib
put("m", b"Subject: a\n\n" + b"hello " * 50000 + b"\n")
c = preauth("m")
c.cmd("COMPRESS LZW").bad()
c.cmd("COMPRESS DEFLATE").ok()
z, u = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
raw, plain = [0], [0]
more0 = c.more
class R:
    def recv(self, n):
        while True:
            d = os.read(c.p.stdout.fileno(), n); raw[0] += len(d)
            if not d: return b""
            o = u.decompress(d); plain[0] += len(o)
            if o: return o
    def fileno(self): return c.p.stdout.fileno()
class W:
    def sendall(self, b):
        os.write(c.p.stdin.fileno(), z.compress(b) + z.flush(zlib.Z_SYNC_FLUSH))
c.r, c.w = R(), W()
c.select()
assert len(c.cmd("FETCH 1 BODY[]").ok().lines[0]) > 300000
assert raw[0] < plain[0] // 20, (raw, plain)
c.cmd("COMPRESS DEFLATE").no(b"COMPRESSIONACTIVE")
c.w.sendall(b"a NOOP\r\nb NOOP\r\nc IDLE\r\n"); c.until(b"a", ""); c.until(b"b", ""); assert c.line().startswith(b"+")
put("m", b"Subject: b\n\n"); assert b"EXISTS" in c.line()
c.w.sendall(b"DONE\r\n"); c.until(b"c", "").ok()
c.append("INBOX", b"Subject: c\r\n\r\nx\r\n").ok(b"APPENDUID")
c.w.sendall(b"d NOOP " + b"x" * (60 << 20))
assert b"BYE" in c.line()
hwm = os.wait4(c.p.pid, 0)[2].ru_maxrss
assert hwm < 40000, hwm
PY
}

@test "a session in its sandbox reads any charset" {
  imap_serve
  py <<'PY'
c = connect(os.environ["IMAPS"], tls=True); c.cmd("LOGIN joe@x.test secret").ok()
c.append("INBOX", "Subject: =?koi8-r?B?8NLJ18XU?=\r\nContent-Type: text/plain; charset=gb18030\r\n\r\n".encode() + "你好".encode("gb18030") + b"\r\n").ok()
c.select()
c.cmd("SEARCH CHARSET KOI8-R SUBJECT \0%", "привет".encode("koi8-r")).ok().has(b"* SEARCH 1")
c.cmd("SEARCH CHARSET BIG5 BODY \0%", "你".encode("big5")).ok().has(b"* SEARCH 1")
PY
}
