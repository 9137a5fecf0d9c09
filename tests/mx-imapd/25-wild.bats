# What mx-imapd tells of messages that keep no rule (mx-mail-in-the-wild(7)):
# the table's words are exact; where Dovecot tells something else, it is said.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "odd headers and bodies: ENVELOPE and BODYSTRUCTURE, table" {
  py <<'PY'
H = b"From: a@b.c\r\nSubject: s\r\n"
P = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d NIL NIL NIL NIL)'
CASES = [  # name, message, what stands in the answer
    # Dovecot tells the last date, subject and id, and the addresses of all
    ("two of each field", b"From: a@b\r\nFrom: c@d\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nDate: yesterday\r\nSubject: one\r\nSubject: two\r\nTo: t@u\r\nTo: v@w\r\n\r\nx\r\n",
     b'("Mon, 7 Feb 1994 21:52:25 -0800" "one" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "t" "u")) NIL NIL NIL NIL)'),
    ("a body alone", b"\r\nx\r\n", b"(ENVELOPE (" + b" ".join([b"NIL"] * 10) + b")"),
    ("a blank before the colon", b"Subject : s\r\nFrom\t: a@b\r\n\r\n", b'(NIL "s" ((NIL NIL "a" "b"))'),
    ("no From", b"Subject: s\r\nSender: q@r\r\n\r\n", b'(NIL "s" NIL ((NIL NIL "q" "r"))'),
    ("no date", b"Date: yesterday\r\n\r\n", b'(ENVELOPE ("yesterday" NIL'),
    # addresses
    ("a quote that is not closed", b"From: \"Joe <joe@x.y>\r\nTo: a@b\r\n\r\n", b'((NIL NIL "a" "b")) NIL NIL NIL NIL)'),
    ("groups", b"To: undisclosed-recipients:;\r\nCc: G: a@b, c@d;\r\n\r\n", b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) ((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL))'),
    ("a route", b"From: <@r1,@r2:a@b>\r\n\r\n", b'(NIL "@r1,@r2" "a" "b")'),
    ("dots", b"From: J. R. Doe <j..d.@x.y>\r\n\r\n", b'("J. R. Doe" NIL "j..d." "x.y")'),
    # Dovecot: SYNTAX_ERROR for the domain
    ("several @", b"To: <a@b@c>\r\n\r\n", b'((NIL NIL "a" "b"))'),
    ("a bracket that is not closed", b"From: X <a@b\r\n\r\n", b'("X" NIL "a" "b")'),
    ("8 bit", b"From: J\xf6rg <j@m\xfcnchen.de>\r\n\r\n", b'({4}\r\nJ\xf6rg NIL "j" {10}\r\nm\xfcnchen.de)'),
    # Dovecot: MISSING_DOMAIN
    ("a comma in a name", b"From: Doe, Joe <j@x.y>\r\n\r\n", b'((NIL NIL "Doe" "")("Joe" NIL "j" "x.y"))'),
    # Dovecot tells the first alone
    ("a name that is an address", b"From: ceo@bank.test <a@b>\r\n\r\n", b'((NIL NIL "ceo" "bank.test")(NIL NIL "a" "b"))'),
    ("semicolons between addresses", b"To: a@b; c@d\r\n\r\n", b'((NIL NIL "a" "b")(NIL NIL "c" "d"))'),
    # parts
    ("no closing boundary", H + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n", b"(" + P % (3, 0) + P % (5, 1) + b' "mixed"'),
    ("one boundary begins the other", H + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
     b"((" + P % (3, 0) + b' "mixed" ("boundary" "ab") NIL NIL NIL)' + P % (3, 0) + b' "mixed" ("boundary" "a")'),
    ("blanks behind boundaries", H + b"Content-Type: multipart/mixed; boundary=\"a \"\r\n\r\n--a \r\n\r\none\r\n--a   \r\n\r\ntwo\r\n--a -- \r\n", b"(" + P % (3, 0) + P % (3, 0) + b' "mixed" ("boundary" "a ")'),
    ("no boundary", H + b"Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\none\r\n--a--\r\n", b"(" + P % (0, 0) + b' "mixed" NIL NIL NIL NIL)'),
    # Dovecot tells both
    ("a parameter twice", H + b"Content-Type: text/plain; charset=utf-8; charset=koi8-r\r\n\r\nx\r\n", b'"plain" ("charset" "utf-8") NIL'),
    ("Content-Type twice", H + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n", P % (3, 1)),
    # Dovecot: a type "{text}", an empty one
    ("a Content-Type that is none", H + b"Content-Type: {text}\r\n\r\nx\r\n", P % (3, 1)),
    ("an empty Content-Type", H + b"Content-Type:\r\n\r\nx\r\n", P % (3, 1)),
    ("no subtype", H + b"Content-Type: text\r\n\r\nx\r\n", P % (3, 1)),
    ("an unknown encoding", H + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 7-bit\r\n\r\nx\r\n", b'NIL NIL "7-bit" 3 1'),
    ("an encoding of a multipart", H + b"Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n--a\r\n\r\none\r\n--a--\r\n", b"(" + P % (3, 0) + b' "mixed"'),
    ("an encoded message", H + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogaW5uZXINCg0KYm9keQ0K\r\n", b'("message" "rfc822" NIL NIL NIL "base64" 34 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ' + P % (34, 1) + b" 1 NIL"),
    ("pieces out of order", H + b"Content-Type: text/plain; name*1=b.txt; name*0=a\r\n\r\nx\r\n", b'("name" "ab.txt")'),
    # Dovecot tells "name*0" and "name*2"
    ("a piece that is missing", H + b"Content-Type: text/plain; name*0=a; name*2=c\r\n\r\nx\r\n", b'("name" "a")'),
    # Dovecot: "a"
    ("blanks without quotes", H + b"Content-Type: text/plain; name=a b c.txt\r\n\r\nx\r\n", b'("name" "a b c.txt")'),
    ("8 bit in a parameter", H + b"Content-Type: text/plain; name=caf\xe9.txt\r\n\r\nx\r\n", b'("name" {8}\r\ncaf\xe9.txt)'),
]
for i, (name, m, want) in enumerate(CASES):
    put("m", m, "cur", name="%d.M%dP1.h" % (1000000000 + i, i), flags="", mtime=1000000000 + i)
c = preauth("m"); c.select()
bad = 0
for i, (name, m, want) in enumerate(CASES):
    a = c.cmd(f"FETCH {i + 1} (ENVELOPE BODYSTRUCTURE)").ok()
    got = b"\r\n".join(l if isinstance(l, bytes) else bytes(l) for l in a.lines)
    if want not in got:
        bad += 1; print(name, got)
    # whatever it is, it is there byte for byte
    c.cmd(f"FETCH {i + 1} BODY.PEEK[]").has(b"* %d FETCH (BODY[] {%d}\r\n%s)" % (i + 1, len(m), m))
assert not bad
PY
}

@test "odd dates: SORT and SEARCH" {
  py <<'PY'
D = [(b"Fri, 21 Nov 49 09:55:06 GMT", 1), (b"yesterday", 880106000), (b"21 Nov 97 09:55:06 GMT", 3), (b"Mon, 20 Nov 1997 23:55:06 -0800", 2), (b"1997-11-22T09:55:06Z", 880099000), (b"", 4)]
for i, (date, arrived) in enumerate(D):
    put("m", b"Date: %s\r\n\r\nx\r\n" % date if date else b"Subject: none\r\n\r\n", "cur", name="%d.M%dP1.h" % (1000000000 + i, i), flags="", mtime=arrived)
c = preauth("m"); c.select()
# by its own date, else by its arrival: 6 arrived in 1970
c.cmd("SORT (DATE) UTF-8 ALL").ok().has(b"* SORT 6 4 5 2 3 1")
c.cmd("SEARCH SENTON 21-Nov-1997").ok().has(b"* SEARCH 3")
c.cmd("SEARCH SENTON 20-Nov-1997").ok().has(b"* SEARCH 4")
c.cmd("SEARCH SENTSINCE 1-Jan-1960").ok().has(b"* SEARCH 1 3 4")
c.cmd("SEARCH SENTBEFORE 1-Jan-2100").ok().has(b"* SEARCH 1 3 4")
PY
}

@test "odd names of files in a Maildir: flags, sizes, none is lost" {
  py <<'PY'
M = b"Subject: x\n\nb\n"
NAMES = [  # name, flags it has; what it is called after \\Answered was set
    ("1000000001.M1P1.h", b"", "1000000001.M1P1.h:2,R"),
    ("1000000002.M2P1.h:2,ZSxF", rb"\Flagged \Seen", "1000000002.M2P1.h:2,FRSZx"),  # letters of others stay
    ("1000000003.M3P1.h:1,S", b"", "1000000003.M3P1.h:2,R"),
    ("1000000004.M4P1.h;2,S", b"", "1000000004.M4P1.h;2,S:2,R"),
    ("1000000005.M5P1.h:2,SSF", rb"\Flagged \Seen", "1000000005.M5P1.h:2,FRS"),
    ("1000000006.M6P1.h:2", b"", "1000000006.M6P1.h:2,R"),
    ("1000000007.M7P1.h:2,S,foo", rb"\Seen", "1000000007.M7P1.h:2,RS"),
    ("1000000008.M8P1.h,S=5:2,", b"", "1000000008.M8P1.h,S=5:2,R"),
    ("1000000009.M9P1.h,S=14,W=500:2,T", rb"\Deleted", "1000000009.M9P1.h,S=14,W=500:2,RT"),
    ("1000000010.M9P1.h,S=x:2,", b"", "1000000010.M9P1.h,S=x:2,R"),
    ("1000000011.M9P1.h,S=99999999999999999999:2,", b"", "1000000011.M9P1.h,S=99999999999999999999:2,R"),
    ("no number", b"", "no number:2,R"),
    ("x:y:2,S", rb"\Seen", "x:y:2,RS"),
]
for name, *_ in NAMES:
    os.makedirs("m/cur", exist_ok=True); open("m/cur/" + name, "wb").write(M)
put("m", M, "new", name="1000000012.M12P1.h:2,S")          # flags in new/ count
put("m", b"", "cur", name="1000000013.M13P1.h,S=500", flags="")  # empty: what a power cut left
put("m", M, "new", name="1000000014.M14P1.h,S=500")  # and shorter than told, where no reader was
put("m", M, "cur", name="1000000015.M15P1.h,S=500", flags="S")  # shortened by its reader
put("m", M, "new", name=".hidden")
c = preauth("m"); c.select().has(b"* %d EXISTS" % (len(NAMES) + 2))
a = c.cmd("FETCH 1:* (FLAGS BODY.PEEK[])").ok()
got = sorted(re.findall(rb"FLAGS \((.*?)(?: ?\\Recent)?\) BODY\[\] \{17\}", b"".join(a.lines)))
assert got == sorted([f for _, f, _ in NAMES] + [rb"\Seen"] * 2), got
for l in c.cmd("FETCH 1:* RFC822.SIZE").ok().lines: assert l.endswith(b"RFC822.SIZE 17)"), l
c.cmd("STORE 1:* +FLAGS (\\Answered)").ok()
want = sorted([n for _, _, n in NAMES] + ["1000000012.M12P1.h:2,RS", "1000000013.M13P1.h,S=500:2,", "1000000015.M15P1.h,S=500:2,RS"])
assert sorted(os.listdir("m/cur")) == want, (sorted(os.listdir("m/cur")), want)
assert sorted(os.listdir("m/new")) == [".hidden", "1000000014.M14P1.h,S=500"]
PY
}
