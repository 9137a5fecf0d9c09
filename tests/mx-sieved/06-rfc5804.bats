# RFC 5804 from section to section: what a server MUST, and its examples.
load ../lib/common
load sieved
setup() { common_setup; }
teardown() { [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 "$MX_LOG"; common_teardown; }

@test "1.2, 4: words in any case, literals where strings may stand, CRLF only in literals" {
  py <<'PY'
c = preauth()
c.cmd('PuTScRiPt "a" "keep;"').ok(); c.cmd("listscripts").ok()
c.send(b"PUTSCRIPT {1+}\r\nb {5+}\r\nkeep;\r\n"); c.answer().ok()
c.send(b'GETSCRIPT {1+}\r\nb\r\n'); assert c.answer().ok().lines == [[b"keep;"]]
# a quoted string of 1024 octets, and an escaped one
c.cmd('CHECKSCRIPT "#' + "x" * 1022 + '"').ok()
c.cmd('PUTSCRIPT "q\\"\\\\" "keep;"').ok(); assert [b'q"\\'] in c.list()
# an empty literal and an empty script; zero bytes of name mean nothing here
c.cmd('PUTSCRIPT "e" ', b"").ok(); assert c.cmd('GETSCRIPT "e"').ok().lines in ([[b""]], [[]])
c.cmd('PUTSCRIPT "" "keep;"').no(); c.cmd('GETSCRIPT ""').no(b"NONEXISTENT"); c.cmd('DELETESCRIPT ""').no()
# a script comes back as it went in: bare LF, CRLF, no end, UTF-8
for t in (b"keep;\n", b"keep;\r\n", b"# \xc3\xa9\r\nkeep;", b"keep;\r\n\r\n", b"# {3}\r\n#OK\r\n"):
    c.cmd('PUTSCRIPT "t" ', t).ok(); assert c.cmd('GETSCRIPT "t"').ok().lines == [[t]], c.lines
# numbers to 4294967296-1; leading zeros are numbers, too
c.cmd('HAVESPACE "a" 4294967295').no(); c.cmd('HAVESPACE "a" 4294967296').no(); c.cmd('HAVESPACE "a" 0007').ok()
PY
}

@test "1.3: the response codes: each in its case" {
  py <<'PY'
c = preauth("-o", "sieve_max_script_size=200", "-o", "sieve_quota_max_scripts=3", "-o", "sieve_quota_max_storage=300")
c.cmd('PUTSCRIPT "a" "keep;"').ok(); c.cmd('PUTSCRIPT "b" "keep;"').ok(); c.cmd('SETACTIVE "a"').ok()
c.cmd('DELETESCRIPT "a"').no(b"ACTIVE")
c.cmd('RENAMESCRIPT "a" "b"').no(b"ALREADYEXISTS"); assert c.list() == [[b"a", b"ACTIVE"], [b"b"]]
for x in ('GETSCRIPT "z"', 'DELETESCRIPT "z"', 'SETACTIVE "z"', 'RENAMESCRIPT "z" "y"'): c.cmd(x).no(b"NONEXISTENT")
c.cmd('RENAMESCRIPT "z" "b"').no(b"NONEXISTENT")
c.cmd('PUTSCRIPT "c" ', b"#" * 201).no(b"QUOTA/MAXSIZE"); c.cmd('HAVESPACE "c" 201').no(b"QUOTA/MAXSIZE")
c.cmd('PUTSCRIPT "c" "keep;"').ok(); c.cmd('PUTSCRIPT "d" "keep;"').no(b"QUOTA/MAXSCRIPTS"); c.cmd('HAVESPACE "d" 1').no(b"QUOTA/MAXSCRIPTS")
c.cmd('PUTSCRIPT "b" ', b"#" * 195 + b"\n").ok(); c.cmd('PUTSCRIPT "c" ', b"#" * 150 + b"\n").no(b"QUOTA"); assert c.code == b"QUOTA"
c.cmd('NOOP "t"').ok(); assert c.code == b'TAG "t"'
PY
}

@test "1.6, 2.6, 2.11: names: Unicode, 128 characters, none of the forbidden ones, never cut" {
  py <<'PY'
c = preauth()
names = ["\u00e9" * 128, "\u65e5" * 128, "\U0001f600" * 128, "x" * 128, "a b", "k\u00f6ln.sieve", "\u0661", "-", "~" + "0" * 32]
for n in names:
    c.send(b"PUTSCRIPT {%d+}\r\n%s {6+}\r\nkeep; \r\n" % (len(n.encode()), n.encode())); c.answer().ok()
assert sorted(l[0].decode() for l in c.list()) == sorted(names), c.lines
for n in names:
    e = n.encode()
    c.send(b'GETSCRIPT "%s"\r\n' % e); assert c.answer().ok().lines == [[b"keep; "]]
    c.send(b'SETACTIVE "%s"\r\n' % e); c.answer().ok(); assert [e, b"ACTIVE"] in c.list()
    c.send(b'DELETESCRIPT "%s"\r\n' % e); c.answer().no(b"ACTIVE")
# to another long name while it is active, onto one that is there, and back
a, b = ("\U0001f601" * 128).encode(), ("\u65e5" * 128).encode()
c.send(b'SETACTIVE "%s"\r\n' % b); c.answer().ok()
c.send(b'RENAMESCRIPT "%s" "%s"\r\n' % (b, names[2].encode())); c.answer().no(b"ALREADYEXISTS")
c.send(b'RENAMESCRIPT "%s" "%s"\r\n' % (b, a)); c.answer().ok(); assert [a, b"ACTIVE"] in c.list() and [b] not in c.list()
c.send(b'RENAMESCRIPT "%s" "short"\r\n' % a); c.answer().ok(); assert [b"short", b"ACTIVE"] in c.list()
assert os.readlink("home/.dovecot.sieve") == "sieve/short.sieve"
c.cmd('SETACTIVE ""').ok()
for l in c.list(): c.send(b"DELETESCRIPT {%d+}\r\n%s\r\n" % (len(l[0]), l[0])); c.answer().ok()
assert c.list() == [] and os.listdir("home/sieve") == ["tmp"], os.listdir("home/sieve")
for bad in (b"", b"x" * 129, "\u65e5".encode() * 129, b"a\nb", b"a\x7f", "\u0085".encode(), "\u2028".encode(), "\u2029x".encode(), b"\xff", b"\xc3", b"a\0b", b"../a", b"/a"):
    c.send(b"PUTSCRIPT {%d+}\r\n%s {5+}\r\nkeep;\r\n" % (len(bad), bad)); c.answer().no()
assert c.list() == []
PY
}

@test "1.7, 2.2, 2.4: capabilities: the obligatory ones, once each, static; with TLS; for the user" {
  sieve_serve
  py <<'PY'
def names(lines):
    n = [l[0].upper() for l in lines]
    assert len(set(n)) == len(n) and {b"IMPLEMENTATION", b"SIEVE", b"VERSION", b"NOTIFY"} <= set(n), n
    return set(n)
c = connect()
n = names(c.caps); assert b"STARTTLS" in n and b"OWNER" not in n and b"UNAUTHENTICATE" not in n and cap(c.caps, b"VERSION") == b"1.0"
assert c.cmd("CAPABILITY").ok().lines == c.caps
starttls(c); n = names(c.caps); assert b"STARTTLS" not in n and cap(c.caps, b"SASL")
c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0joe@x.test\0secret")).ok()
c.cmd("CAPABILITY").ok(); first = c.lines
n = names(first); assert {b"OWNER", b"UNAUTHENTICATE"} <= n and b"STARTTLS" not in n
c.cmd('PUTSCRIPT "a" "keep;"').ok(); c.cmd('SETACTIVE "a"').ok()
assert c.cmd("CAPABILITY").ok().lines == first
PY
}

@test "2.1: a cancelled exchange, an unknown mechanism, initial data, no second login" {
  sieve_serve 'auth_mechanisms = plain login scram-sha-1'
  py <<'PY'
c = starttls(connect())
c.send('AUTHENTICATE "PLAIN"\r\n'); assert c.tokens() == [b""]; c.send('"*"\r\n'); c.answer().no()
c.send('AUTHENTICATE "LOGIN"\r\n'); c.tokens(); c.send('{1+}\r\n*\r\n'); c.answer().no()
c.cmd('AUTHENTICATE "NOSUCH"').no(); c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("x\0y")).no()
c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0joe@x.test\0wrong")).no()
for x in ("UNAUTHENTICATE", 'HAVESPACE "a" 1', 'PUTSCRIPT "a" "keep;"', "LISTSCRIPTS", 'SETACTIVE ""', 'GETSCRIPT "a"', 'DELETESCRIPT "a"', 'RENAMESCRIPT "a" "b"', 'CHECKSCRIPT "keep;"'):
    c.cmd(x).no(); c.logout(); c = starttls(connect())
c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0joe@x.test\0secret")).ok()
c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0joe@x.test\0secret")).no()
c.cmd("STARTTLS").no()
PY
}

@test "2.1: SCRAM-SHA-1, which each server MUST have: the server proves itself before the OK" {
  sieve_serve 'auth_mechanisms = plain login scram-sha-1'
  py <<'PY'
import hashlib, hmac
c = starttls(connect())
assert b"SCRAM-SHA-1" in cap(c.caps, b"SASL").split(), c.caps
n1 = "n=joe@x.test,r=abcdefgh"
c.send('AUTHENTICATE "SCRAM-SHA-1" "%s"\r\n' % b64("n,," + n1))
s1 = base64.b64decode(c.tokens()[0]).decode()
f = dict(x.split("=", 1) for x in s1.split(","))
salted = hashlib.pbkdf2_hmac("sha1", b"secret", base64.b64decode(f["s"]), int(f["i"]))
H = lambda k, m: hmac.new(k, m.encode(), "sha1").digest()
key = H(salted, "Client Key"); end = "c=biws,r=" + f["r"]; msg = ",".join((n1, s1, end))
proof = bytes(a ^ b for a, b in zip(key, H(hashlib.sha1(key).digest(), msg)))
c.send('"%s"\r\n' % b64(end + ",p=" + b64(proof)))
want = "v=" + b64(H(H(salted, "Server Key"), msg))
t = c.tokens() # a challenge, or OK (SASL ...)
if t[0] == b"OK": assert t[1] == b'(SASL "%s")' % b64(want).encode(), t
else:
    assert base64.b64decode(t[0]).decode() == want, t
    c.send('""\r\n'); c.answer().ok()
c.cmd("LISTSCRIPTS").ok(); c.cmd("CAPABILITY").ok(); assert cap(c.lines, b"OWNER") == b"joe@x.test"
PY
}

@test "2.14.1: UNAUTHENTICATE never fails, whatever is sent with it; TLS stays; the next user sees his own" {
  sieve_serve
  py <<'PY'
c = login(); c.cmd('PUTSCRIPT "mine" "keep;"').ok()
c.send('UNAUTHENTICATE\r\nLISTSCRIPTS\r\nAUTHENTICATE "PLAIN" "%s"\r\nLISTSCRIPTS\r\n' % b64("\0eve@x.test\0secret"))
c.answer().ok(); c.answer().no(); c.answer().ok(); assert c.answer().ok().lines == []
c.cmd("UNAUTHENTICATE").ok(); c.cmd("STARTTLS").no(); c.cmd("NOOP").ok(); c.cmd("UNAUTHENTICATE").no()
c.logout()
PY
}

@test "2.3 to 2.13: the examples of the text" {
  py <<'PY'
c = preauth()
c.cmd('HAVESPACE "myscript" 999999').ok()
c.cmd("PUTSCRIPT \"foo\" ", b"#comment\r\nInvalidSieveCommand\r\n").no(); assert b"foo:" in c.text
foo = b'# this is\r\n# the foo\r\nrequire ["fileinto"];\r\n\r\nif envelope :contains "to" "tmartin+sent" {\r\n  fileinto "INBOX.sent";\r\n}\r\n'
c.cmd('PUTSCRIPT "mysievescript" ', foo.replace(b'["fileinto"]', b'["fileinto", "envelope"]')).ok()
c.cmd('Putscript "foo" ', b'require ["fileinto"];\r\n\r\nif header :contains "Subject" "MAKE MONEY FAST" {\r\n  fileinto "INBOX.spam";\r\n}\r\n').ok()
c.cmd("CheckScript {1+}\r\n#").ok()
c.cmd('PUTSCRIPT "summer_script" "keep;"').ok(); c.cmd('PUTSCRIPT "vacation_script" ', b'require ["vacation"];\r\nvacation "gone";\r\n').ok()
c.cmd('SETACTIVE "summer_script"').ok()
assert [b"summer_script", b"ACTIVE"] in c.cmd("Listscripts").ok().lines
c.cmd('Setactive "baz"').no(); c.cmd('Setactive ""').ok()
c.cmd('Getscript "foo"').ok(); assert c.lines[0][0].startswith(b"require")
c.cmd('SETACTIVE "foo"').ok(); c.cmd('Deletescript "foo"').no(b"ACTIVE"); c.cmd('SETACTIVE ""').ok(); c.cmd('Deletescript "foo"').ok()
c.cmd('PUTSCRIPT "foo" "keep;"').ok(); c.cmd('Renamescript "foo" "bar"').ok(); c.cmd('Renamescript "baz" "x"').no(b"NONEXISTENT")
c.cmd('NOOP').ok(); c.cmd("NOOP \"STARTTLS-SYNC-42\"").ok(); assert c.code == b'TAG "STARTTLS-SYNC-42"'
c.cmd("Logout").ok(); assert c.closed() == b""
PY
}
