# A session's commands on a pipe: RFC 5804 2.4 to 2.14, the files they leave.
load ../lib/common
load sieved
setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

@test "CAPABILITY: what mx-filter knows, and who one is" {
  py <<'PY'
c = preauth()
for lines in (c.caps, c.cmd("capability").ok().lines):
    names = [l[0] for l in lines]
    assert names == [b"IMPLEMENTATION", b"SIEVE", b"NOTIFY", b"MAXREDIRECTS", b"VERSION", b"OWNER"], names
    assert {b"fileinto", b"vacation", b"regex", b"include", b"comparator-i;ascii-numeric"} <= set(cap(lines, b"SIEVE").split())
    assert cap(lines, b"VERSION") == b"1.0" and cap(lines, b"NOTIFY") == b"mailto" and cap(lines, b"MAXREDIRECTS") == b"4"
# each word can be required
words = cap(c.caps, b"SIEVE").decode().split()
c.cmd('PUTSCRIPT "all" ', b"require [" + b", ".join(b'"%s"' % w.encode() for w in words) + b"];\nkeep;\n").ok()
c.logout()
PY
}

@test "PUTSCRIPT, LISTSCRIPTS, SETACTIVE, GETSCRIPT, DELETESCRIPT, RENAMESCRIPT in Pigeonhole's layout" {
  py <<'PY'
c = preauth()
def link(): return os.readlink("home/.dovecot.sieve") if os.path.islink("home/.dovecot.sieve") else None
assert c.list() == []
c.cmd('PUTSCRIPT "main" ', b"keep;\r\n").ok(); c.cmd('PUTSCRIPT "two" "discard;"').ok()
assert open("home/sieve/main.sieve", "rb").read() == b"keep;\r\n" and os.stat("home/sieve/main.sieve").st_mode & 0o777 == 0o600
assert c.list() == [[b"main"], [b"two"]] and link() is None
assert c.cmd('GETSCRIPT "main"').ok().lines == [[b"keep;\r\n"]]
c.cmd('SETACTIVE "main"').ok()
assert c.list() == [[b"main", b"ACTIVE"], [b"two"]] and link() == "sieve/main.sieve"
c.cmd('DELETESCRIPT "main"').no(b"ACTIVE")
c.cmd('SETACTIVE "two"').ok(); assert link() == "sieve/two.sieve"
c.cmd('RENAMESCRIPT "two" "three"').ok()
assert link() == "sieve/three.sieve" and c.list() == [[b"main"], [b"three", b"ACTIVE"]] and sorted(os.listdir("home/sieve")) == ["main.sieve", "three.sieve", "tmp"]
c.cmd('RENAMESCRIPT "three" "main"').no(b"ALREADYEXISTS"); c.cmd('RENAMESCRIPT "nix" "x"').no(b"NONEXISTENT"); c.cmd('RENAMESCRIPT "main" "main"').ok()
c.cmd('SETACTIVE "nix"').no(b"NONEXISTENT"); c.cmd('GETSCRIPT "nix"').no(b"NONEXISTENT"); c.cmd('DELETESCRIPT "nix"').no(b"NONEXISTENT")
c.cmd('PUTSCRIPT "three" "stop;"').ok(); assert c.cmd('GETSCRIPT "three"').lines == [[b"stop;"]]
c.cmd('SETACTIVE ""').ok(); assert link() is None and c.list() == [[b"main"], [b"three"]]
c.cmd('SETACTIVE ""').ok()
c.cmd('DELETESCRIPT "main"').ok(); assert c.list() == [[b"three"]]
assert os.listdir("home/sieve/tmp") == []
# names: Unicode, blanks, quotes; none that leaves the folder
for n in ("Größe", 'with "quotes" and \\', "a b", "x" * 128, "ü" * 110, "-"):
    q = n.replace("\\", "\\\\").replace('"', '\\"')
    c.cmd(f'PUTSCRIPT "{q}" "keep;"').ok(); assert c.cmd(f'GETSCRIPT "{q}"').ok().lines == [[b"keep;"]], n
    c.cmd(f'SETACTIVE "{q}"').ok(); assert [n.encode(), b"ACTIVE"] in c.list(); c.cmd('SETACTIVE ""'); c.cmd(f'DELETESCRIPT "{q}"').ok()
for n in (b"", b"../x", b"a/b", b"/etc/x", b".", b"..", b".hidden", b"x" * 129, b"a\x01", b"a\x7f", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80"):
    c.cmd(b'PUTSCRIPT "%s" "keep;"' % n).no(); c.cmd("RENAMESCRIPT \"three\" ", n).no(); c.cmd("GETSCRIPT ", n).no(b"NONEXISTENT"); c.cmd("DELETESCRIPT ", n).no(b"NONEXISTENT")
assert sorted(os.listdir("home/sieve")) == ["three.sieve", "tmp"] and sorted(os.listdir("home")) == ["sieve"]
c.logout()
PY
}

@test "a script is compiled first: the error has script, line and column; nothing is stored or activated" {
  py <<'PY'
c = preauth()
c.cmd('PUTSCRIPT "main" ', b"keep;").ok(); c.cmd('SETACTIVE "main"').ok()
bad = b'require ["fileinto"];\nif true {\n  filinto "x";\n}\nfoo;\n'
c.cmd('PUTSCRIPT "main" ', bad).no()
assert re.search(rb"^main:3:3: error: ", c.text, re.M) and re.search(rb"^main:5:1: error: ", c.text, re.M), c.text
assert c.cmd('GETSCRIPT "main"').lines == [[b"keep;"]]
c.cmd("CHECKSCRIPT ", bad).no(); assert b"script:3:3: error: " in c.text
c.cmd("CHECKSCRIPT ", b'require "nosuch";').no(); assert b"nosuch" in c.text
c.cmd("CHECKSCRIPT ", b"keep;").ok(); c.cmd('CHECKSCRIPT "keep;"').ok()
c.cmd("CHECKSCRIPT ", b"keep; \0").no()
# what came by other ways and does not compile is not activated
open("home/sieve/hand.sieve", "w").write("oops")
c.cmd('SETACTIVE "hand"').no(); assert b"hand.sieve:1:" in c.text or b"hand:1:" in c.text, c.text
assert c.list() == [[b"hand"], [b"main", b"ACTIVE"]]
assert os.listdir("home/sieve/tmp") == []
PY
}

@test "HAVESPACE, quotas: sieve_max_script_size, sieve_quota_max_scripts, sieve_quota_max_storage" {
  py <<'PY'
c = preauth("-o", "sieve_max_script_size=1000", "-o", "sieve_quota_max_scripts=2", "-o", "sieve_quota_max_storage=1500")
k = lambda n: b"#" * (n - 6) + b"\nkeep;"
c.cmd('HAVESPACE "a" 1000').ok(); c.cmd('HAVESPACE "a" 1001').no(b"QUOTA/MAXSIZE"); c.cmd('HAVESPACE "a/b" 1').no()
c.cmd('PUTSCRIPT "a" ', k(1001)).no(b"QUOTA/MAXSIZE"); c.cmd('PUTSCRIPT "a" ', k(9001)).no(b"QUOTA/MAXSIZE"); c.cmd("CHECKSCRIPT ", k(5000)).no(b"QUOTA/MAXSIZE")
c.cmd("NOOP").ok()
c.cmd('PUTSCRIPT "a" ', k(1000)).ok()
c.cmd('HAVESPACE "b" 500').ok(); c.cmd('HAVESPACE "b" 501').no(b"QUOTA"); c.cmd('PUTSCRIPT "b" ', k(501)).no(b"QUOTA")
c.cmd('HAVESPACE "a" 1000').ok(); c.cmd('PUTSCRIPT "a" ', k(900)).ok() # in place of itself
c.cmd('PUTSCRIPT "b" ', k(600)).ok()
c.cmd('HAVESPACE "c" 1').no(b"QUOTA/MAXSCRIPTS"); c.cmd('PUTSCRIPT "c" "#"').no(b"QUOTA/MAXSCRIPTS"); c.cmd('PUTSCRIPT "b" "keep;"').ok()
assert c.list() == [[b"a"], [b"b"]]
PY
}

@test "NOOP, LOGOUT, strings of every form, bad commands" {
  py <<'PY'
c = preauth()
assert c.cmd("NOOP").ok().code is None
c.cmd('NOOP "a tag"').ok(); assert c.code == b'TAG "a tag"', c.code
c.cmd("NOOP ", b"li\r\nteral").ok(); assert c.code == b"TAG li\r\nteral" or b"li\r\nteral" in c.code, c.code
c.cmd("PUTSCRIPT ", b"x").no() # an argument is missing
c.send(b"PUTSCRIPT {1+}\r\nx {5+}\r\nkeep; \r\n"); c.answer().ok()
c.send(b'GETSCRIPT {1+}\r\nx\r\n'); assert c.answer().ok().lines == [[b"keep;"]]
c.send(b'checkscript "keep;"\n'); c.answer().ok()
for bad in ("", "FOO", 'GETSCRIPT', "GETSCRIPT x", 'GETSCRIPT "x', 'GETSCRIPT "x" "y"', 'HAVESPACE "x" "1"', 'HAVESPACE "x" -1', 'HAVESPACE "x" 99999999999', 'NOOP x', "LISTSCRIPTS 1", 'GETSCRIPT"x"', 'GETSCRIPT "a\\x"'):
    c.cmd(bad).no()
c.cmd('AUTHENTICATE "PLAIN"').no(); c.cmd("STARTTLS").no()
for i in range(4): c.cmd("FOO").no()
for i in range(20):
    if c.cmd("FOO").word == b"BYE": break
assert c.word == b"BYE" and c.closed() == b""
c = preauth(); c.send("NOOP\r\nLISTSCRIPTS\r\nLOGOUT\r\nNOOP\r\n"); c.answer().ok(); c.answer().ok(); c.answer().ok(); assert c.closed() == b""
PY
}

@test "an active script of the user's own hand: kept among the others; foreign links are no script of ours" {
  py <<'PY'
os.makedirs("home/sieve"); open("home/.dovecot.sieve", "w").write("keep; # by hand\n")
c = preauth(); assert c.list() == []
c.cmd('PUTSCRIPT "new" "keep;"').ok(); c.cmd('SETACTIVE "new"').ok()
assert c.list() == [[b"dovecot.orig"], [b"new", b"ACTIVE"]] and c.cmd('GETSCRIPT "dovecot.orig"').lines == [[b"keep; # by hand\n"]]
h = os.path.abspath("home")
for target, active in ((h + "/sieve/new.sieve", True), ("./sieve//new.sieve", True), ("../home/sieve/new.sieve", True), ("/etc/new.sieve", False), ("sieve/new.txt", False), ("nowhere/new.sieve", False), ("new.sieve", False)):
    os.unlink("home/.dovecot.sieve"); os.symlink(target, "home/.dovecot.sieve")
    assert ([b"new", b"ACTIVE"] in c.list()) == active, target
# a link among the scripts is not followed
os.symlink("/etc/passwd", "home/sieve/evil.sieve")
c.cmd('GETSCRIPT "evil"').no(); assert [b"evil"] not in c.list()
PY
}
