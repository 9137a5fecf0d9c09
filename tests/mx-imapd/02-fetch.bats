# FETCH: every item of RFC 3501; exact words where they are fixed, and the
# same answers as a real Dovecot on the same files.
load ../lib/common
load imap
setup() { common_setup; python3 "$BATS_TEST_DIRNAME/messages.py" "$T/m"; }
teardown() { common_teardown; }

@test "ENVELOPE and BODYSTRUCTURE of a message with all kinds of parts" {
  py <<'PY'
c = preauth("m"); c.select()
a = c.cmd("FETCH 1:2 (ENVELOPE BODYSTRUCTURE)").ok()
a.has(b'* 1 FETCH (ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800 (PST)" "plain" (("Joe" NIL "joe" "example.com")) '
      b'(("Joe" NIL "joe" "example.com")) (("Joe" NIL "joe" "example.com")) ((NIL NIL "a" "b.c")("Quoted Name" NIL "q" "d.e")) '
      b'((NIL NIL "Group" NIL)(NIL NIL "one" "x.y")("Two" NIL "two" "x.y")(NIL NIL NIL NIL)(NIL NIL "last" "z.z")) NIL "<x@y>" '
      b'"<B27397-0100000@example.com>") BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 2 NIL NIL NIL NIL))')
a.has(b'* 2 FETCH (ENVELOPE (NIL "=?utf-8?b?w6TDtsO8?= not folded" (("=?utf-8?q?J=C3=B6rg?=" NIL "j" "example.com")) '
      b'((NIL NIL "s" "example.com")) ((NIL NIL "r1" "example.com")(NIL NIL "r2" "example.com")) '
      b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL) BODYSTRUCTURE '
      b'(("text" "plain" ("charset" "utf-8" "format" "flowed") "<id1@x>" "a desc" "quoted-printable" 20 1 NIL NIL NIL NIL)'
      b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 0 NIL NIL NIL NIL)'
      b'("text" "html" ("charset" "iso-8859-1") NIL NIL "7bit" 10 1 NIL ("inline" NIL) NIL NIL) '
      b'"alternative" ("boundary" "def") NIL ("en" "de") NIL)'
      b'("message" "rfc822" NIL NIL NIL "7bit" 308 (NIL "inner" ((NIL NIL "inner" "example.com")) ((NIL NIL "inner" "example.com")) '
      b'((NIL NIL "inner" "example.com")) ((NIL NIL "x" "example.com")) NIL NIL NIL NIL) '
      b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 0 NIL NIL NIL NIL)'
      b'("application" "octet-stream" ("name" "x.bin") NIL NIL "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" NIL NIL "http://x.y/z") '
      b'"mixed" ("boundary" "ghi") NIL NIL NIL) 16 NIL ("attachment" ("filename" "a b.eml")) NIL NIL) '
      b'"mixed" ("boundary" "abc" "foo" "bar") NIL NIL NIL))')
PY
}

@test "sections, partials, header fields, old names, macros; only BODY[] sets \\Seen" {
  py <<'PY'
import messages
c = preauth("m"); c.select()
crlf = lambda m: m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
for i, m in enumerate(messages.M):
    w = crlf(m).replace(b"\0", b"\x80")
    a = c.cmd(f"FETCH {i+1} (RFC822.SIZE BODY.PEEK[] BODY.PEEK[]<5.7> BODY.PEEK[]<99999.10> BODY.PEEK[HEADER] BODY.PEEK[TEXT])").ok()
    h = w[:w.index(b"\r\n\r\n") + 4] if not w.startswith(b"\r\n") else b"\r\n"
    lit = lambda b: b"{%d}\r\n%s" % (len(b), b)
    a.has(b"* %d FETCH (RFC822.SIZE %d BODY[] %s BODY[]<5> %s BODY[]<99999> {0}\r\n BODY[HEADER] %s BODY[TEXT] %s)" %
          (i + 1, len(w), lit(w), lit(w[5:12]), lit(h), lit(w[len(h):])))
c.cmd("FETCH 1 (BODY.PEEK[HEADER.FIELDS (subject X-None DATE)])").has(
  b"* 1 FETCH (BODY[HEADER.FIELDS (subject X-None DATE)] {62}\r\nSubject: plain\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n\r\n)")
c.cmd("FETCH 4 BODY.PEEK[HEADER.FIELDS.NOT (subject)]").has(b"* 4 FETCH (BODY[HEADER.FIELDS.NOT (subject)] {2}\r\n\r\n)")
c.cmd("FETCH 2 (BODY.PEEK[1] BODY.PEEK[2.1] BODY.PEEK[3.HEADER]<0.8> BODY.PEEK[3.1] BODY.PEEK[3.TEXT]<0.5> BODY.PEEK[2.2.MIME]<0.12>)").has(
  b"* 2 FETCH (BODY[1] {20}\r\nline=20one\r\nline two BODY[2.1] {8}\r\nalt text BODY[3.HEADER]<0> {8}\r\nFrom: in "
  b"BODY[3.1] {8}\r\ndeep one BODY[3.TEXT]<0> {5}\r\n--ghi BODY[2.2.MIME]<0> {12}\r\nContent-Type)")
c.cmd("FETCH 2 (BODY.PEEK[9] BODY.PEEK[1.1.1])").has(b"* 2 FETCH (BODY[9] NIL BODY[1.1.1] NIL)")
c.cmd("STORE 1:* FLAGS.SILENT ()").ok()
c.cmd("FETCH 1 (BODY.PEEK[] RFC822.HEADER ENVELOPE)").ok().hasnt(b"Seen")
c.cmd("FETCH 1 RFC822.TEXT").has(b"* 1 FETCH (RFC822.TEXT {14}\r\nHello\r\nWorld\r\n FLAGS (\\Seen))")
c.cmd("FETCH 3 (FLAGS BODY[TEXT])").has(b"* 3 FETCH (FLAGS (\\Seen) BODY[TEXT] {14}\r\nnothing here\r\n)")
c.cmd("EXAMINE INBOX").ok(); c.cmd("FETCH 4 BODY[]").ok().hasnt(b"FLAGS")
c.cmd("FETCH 1 FAST").has(b'* 1 FETCH (FLAGS (\\Seen) INTERNALDATE "09-Sep-2001 01:46:40 +0000" RFC822.SIZE %d)' % len(crlf(messages.M[0])))
c.cmd("FETCH 1 ALL").find(rb"RFC822.SIZE \d+ ENVELOPE \(")
c.cmd("FETCH 1 FULL").find(rb"ENVELOPE \(.*\) BODY \(")
c.cmd("UID FETCH 1 FLAGS").has(b"* 1 FETCH (FLAGS (\\Seen) UID 1)")
c.cmd("UID FETCH 3:999,1 UID").has(b"* 1 FETCH (UID 1)", b"* 10 FETCH (UID 10)")
c.cmd("UID FETCH 999:* UID").has(b"* 10 FETCH (UID 10)")
c.cmd("UID FETCH 998:999 UID").ok().hasnt(b"FETCH")
for bad in ["1 (FAST)", "1 BODY[", "1 BODY[MIME]", "1 BODY[1", "1 BODY[0]", "1 BODY[]<1>", "1 BODY[]<1.0>", "1 BODY[]<99999999999999999999.1>",
            "1 BODY[HEADER.FIELDS]", "1 (", "1 ()", "1 (UID", "1 FOO", "0 UID", "11 UID", "1:99 UID", "x UID", "1", "4294967296 UID",
            "1 BODY[4294967296]", "1 BODY.PEEK"]:
    c.cmd("FETCH " + bad).bad()
PY
}

@test "the same answers as Dovecot on the same files" {
  need_root
  dovecot_conf "$T/dov"
  cp -a "$T/m" "$T/dov"; chown -R nobody "$T/dov"
  py <<'PY'
import glob
dov = Process(["doveadm", "-c", "dovecot.conf", "exec", "imap"], env={**os.environ, "HOME": os.getcwd(), "USER": "nobody"}, stderr=subprocess.DEVNULL)
mx = preauth("m")
norm = lambda a: [l for l in a.lines]
for c in (dov, mx): c.select()
for cmd in ["FETCH 1:* (UID RFC822.SIZE INTERNALDATE)", "FETCH 1:* (UID BODYSTRUCTURE)", "FETCH 1:* (UID BODY)", "FETCH 1,3:* (UID ENVELOPE)",
            "FETCH 1:* (UID BODY.PEEK[])", "FETCH 1:* (UID BODY.PEEK[HEADER])", "FETCH 1:* (UID BODY.PEEK[TEXT])", "FETCH 1:* (UID RFC822.HEADER)",
            "FETCH 1:2,4:* (UID BODY.PEEK[1])", "FETCH 2 (UID BODY.PEEK[1.MIME] BODY.PEEK[2.2.MIME] BODY.PEEK[3.MIME])",
            "FETCH 2 (UID BODY.PEEK[3] BODY.PEEK[3.HEADER] BODY.PEEK[3.TEXT] BODY.PEEK[3.1] BODY.PEEK[3.2] BODY.PEEK[3.2.MIME])",
            "FETCH 7,10 (UID BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT])", "FETCH 1:* (UID BODY.PEEK[]<3.50>)",
            "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])", "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS.NOT (FROM X-LONG)])",
            "SEARCH SUBJECT plain", "SEARCH FROM joe", "SEARCH TEXT inner", "SEARCH BODY \"inner text\"", "SEARCH SENTSINCE 1-Jan-1994", "SEARCH LARGER 300",
            "SEARCH OR FROM crlf 3", "UID SEARCH BEFORE 9-Sep-2001", "SEARCH HEADER X-Long \"\""]:
    d, m = dov.cmd(cmd).ok(), mx.cmd(cmd).ok()
    assert d.lines == m.lines, f"{cmd}\n" + "\n".join(f"dovecot: {a!r}\nmx:      {b!r}" for a, b in zip(d.lines, m.lines) if a != b)
PY
}

@test "strings that cannot be quoted are literals; the answer parses back" {
  py <<'PY'
put("h", b'From: "a\\"b\\\\" <x@y>\nSubject: cr\r in and 8bit \xff and "quotes" \\\nMessage-ID: <' + b"m" * 1200 + b'>\nTo: =?x?=\x01\x02 <"q q"@z>\n'
    b'Content-Type: text/plain; charset="\xe4"; name="a\\"b"\nContent-Description: d\xc3\xa4\nContent-Disposition: x"y; z=")"\n\nx\n')
c = preauth("h"); c.select()
a = c.cmd("FETCH 1 (ENVELOPE BODYSTRUCTURE)").ok()
t = a.lines[0]
# a strict reader: parentheses balance outside of strings, no raw control or 8-bit byte in a quoted one
i, depth = t.index(b"("), 0
while i < len(t):
    ch = t[i:i+1]
    if ch == b"(": depth += 1
    elif ch == b")": depth -= 1; assert depth >= 0
    elif ch == b'"':
        i += 1
        while t[i:i+1] != b'"':
            if t[i:i+1] == b"\\": i += 1; assert t[i:i+1] in (b'"', b"\\")
            assert 32 <= t[i] < 127, t[i-5:i+5]
            i += 1
    elif ch == b"{":
        m = re.match(rb"\{(\d+)\}\r\n", t[i:]); i += m.end() + int(m.group(1)) - 1
    else: assert 32 <= t[i] < 127
    i += 1
assert depth == 0
PY
}

@test "line ends and the header's end where a read ends: no byte more or less, at any size" {
  py <<'PY'
from messages import *
import itertools, re
def wire(b): return re.sub(rb"(?<!\r)\n", b"\r\n", b)
def header(w):
    return w[:w.index(b"\r\n\r\n") + 4]
made = []
for at in (8192, 16384, 32768, 262144, 300000):
    for d, end in itertools.product((-3, -2, -1, 0, 1, 2), (b"\n", b"\r\n")):
        # the header's empty line just there; and a body's lines
        h = b"Subject: x" + end + b"X-Fill: "; fill = at + d - len(h) - 2 * len(end)
        if at <= 32768: made.append(h + b"a" * fill + end + end + b"body" + end)
        made.append(b"Subject: y" + end + end + b"b" * (at + d - 12 - 3 * len(end)) + end + b"lone\rcr" + end + b"c" * 17000 + b"\r\n\n\r\r\nlast")
made += [b"\nonly body\n", b"\r\nonly body\r\n", b"S: a\r", b"S: a\n\r", b"S: a\n\r\nb", b"\n", b"\r\n"]
for m in made: put("k", m, sub="cur")
c = preauth("k"); c.select()
got = c.cmd("FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER] BODY.PEEK[])").ok().lines
alone = c.cmd("FETCH 1:* BODY.PEEK[HEADER]").ok().lines
assert len(got) == len(made) == len(alone), (len(got), len(made), len(alone), [g[:200] for g in got[-3:]])
for m, g, a in zip(made, got, alone):
    w = wire(m)
    assert g.endswith(b"BODY[] {%d}\r\n" % len(w) + w + b")"), (m[:30], len(m), g[:80])
    assert b"RFC822.SIZE %d " % len(w) in g
    h = g[g.index(b"BODY[HEADER]"):g.rindex(b" BODY[] {")]
    assert a.endswith(b"(" + h + b")"), (m[:30], len(m))
    if b"\r\n\r\n" in w and not w.startswith(b"\r\n"): assert h.endswith(b"\r\n" + header(w)), (m[:30], len(m))
PY
}
