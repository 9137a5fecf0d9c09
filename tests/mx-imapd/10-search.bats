# SEARCH with its RETURN options, SORT and THREAD; beside Dovecot's answers.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

CORPUS='
import random
random.seed(11)
def corpus(n=60):
    ids, subjects = [], ["Lunch", "Re: Lunch", "Fwd: [list] Lunch", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "RE: Gr\u00fc\u00dfe", "[fwd: Re: Plan (fwd)]", "plan", "", "Re:", "[x] [y] Zoo"]
    for i in range(n):
        h = ["Date: %d %s 2020 10:%02d:00 +0%d00" % (random.randint(1, 28), random.choice("Jan Feb Mar Apr".split()), i % 60, random.randint(0, 5))]
        h.append("From: %s <%s@x.test>" % (random.choice(["Bob", "\"alice b\"", "=?utf-8?q?=C3=89mile?=", "zed"]), random.choice("abcde")))
        h.append("To: %s@y.test, other@y.test" % random.choice("mnop"))
        if i % 3 == 0: h.append("Cc: c%d@z.test" % (i % 7))
        if i % 11: h.append("Subject: " + random.choice(subjects))
        if i % 13: h.append("Message-ID: <m%d@x.test>" % (i if i % 17 else i - 1))
        if i % 4: h.append("References: " + " ".join("<m%d@x.test>" % random.randint(0, n + 5) for _ in range(random.randint(1, 4))))
        elif i % 5: h.append("In-Reply-To: your mail <m%d@x.test>" % random.randint(0, n))
        put("m", ("\n".join(h) + "\n\n" + "x" * random.randint(0, 50) + "\n").encode(), sub="cur", flags="S" if i % 2 else "", mtime=1500000000 + random.randint(0, 9999999))
'

@test "SORT and THREAD answer what Dovecot answers" {
  need_root; dovecot_conf "$T/m"
  { echo "$CORPUS"; cat <<'PY'; } | py
corpus()
c = preauth("m"); c.select()
os.system("chown -R nobody:nogroup m")
d = Process(["doveadm", "-c", "dovecot.conf", "exec", "imap"], env={**os.environ, "HOME": os.getcwd(), "USER": "nobody"}, stderr=subprocess.DEVNULL)
d.select()
bad = 0
for cmd in ["SORT (ARRIVAL)", "SORT (DATE)", "SORT (REVERSE DATE)", "SORT (SIZE)", "SORT (FROM)", "SORT (TO REVERSE DATE)", "SORT (CC)", "SORT (SUBJECT)",
            "SORT (REVERSE SUBJECT REVERSE ARRIVAL)", "SORT (DISPLAYFROM)", "SORT (DISPLAYTO)", "UID SORT (SIZE SUBJECT FROM)",
            "SORT RETURN (COUNT MIN MAX ALL) (SIZE)", "THREAD ORDEREDSUBJECT", "THREAD REFERENCES", "THREAD REFS", "UID THREAD REFERENCES"]:
    for crit in ("ALL", "UNSEEN"):
        a, b = (x.cmd(f"{cmd} UTF-8 {crit}").ok().lines for x in (c, d))
        a, b = ([re.sub(rb'TAG "t\d+"', b"", l) for l in x if not re.search(rb"(EXISTS|RECENT)$", l)] for x in (a, b))
        if cmd.startswith("SORT RETURN"):
            key = lambda l: sorted(re.findall(rb"(?:MIN|MAX|COUNT|ALL) [0-9:,]+", l))
            a, b = [key(l) for l in a], [key(l) for l in b]
        if a != b:
            bad += 1; print(cmd, crit, "\n mx      ", a, "\n dovecot ", b)
assert bad == 0
PY
}

@test "RETURN: MIN MAX ALL COUNT, SAVE and \$, PARTIAL (RFC 4731, 5182, 9394)" {
  py <<'PY'
for i in range(20): put("m", b"Subject: s%d\n\nx\n" % i, sub="cur", flags="S" if i % 2 else "F")
c = preauth("m"); c.select()
E = lambda a: a.ok().find(rb"\* ESEARCH \(TAG \"t\d+\"\)(.*)$").group(1)
assert E(c.cmd("SEARCH RETURN (MIN COUNT) FLAGGED")) == b" MIN 1 COUNT 10"
assert E(c.cmd("SEARCH RETURN (MAX) SUBJECT s1")) == b" MAX 20"
assert E(c.cmd("SEARCH RETURN () SEEN 1:6")) == b" ALL 2,4,6"
assert E(c.cmd("UID SEARCH RETURN (ALL) UID 3:7")) == b" UID ALL 3:7"
assert E(c.cmd("SEARCH RETURN (ALL MIN COUNT) SUBJECT nothing")) == b" COUNT 0"
assert E(c.cmd("SEARCH RETURN (PARTIAL 2:4) FLAGGED")) == b" PARTIAL (2:4 3,5,7)"
assert E(c.cmd("SEARCH RETURN (PARTIAL -1:-2 COUNT) FLAGGED")) == b" COUNT 10 PARTIAL (-1:-2 17,19)"
assert E(c.cmd("SEARCH RETURN (PARTIAL 20:30) FLAGGED")) == b" PARTIAL (20:30 NIL)"
c.cmd("SEARCH RETURN (PARTIAL 1:2 ALL) FLAGGED").bad()
c.cmd("SEARCH RETURN (PARTIAL 1:-2) FLAGGED").bad()
c.cmd("SEARCH RETURN (NONSENSE) ALL").bad()
# $ (RFC 5182)
assert c.cmd("SEARCH RETURN (SAVE) SEEN 1:8").ok().lines == []
assert len(c.cmd("FETCH $ (UID)").ok().lines) == 4
assert c.cmd("SEARCH $ 3:6").ok().has(b"* SEARCH 4 6")
assert c.cmd("UID SEARCH OR $ UID 1").ok().has(b"* SEARCH 1 2 4 6 8")
assert E(c.cmd("SEARCH RETURN (SAVE MIN MAX) SEEN 1:8")) == b" MIN 2 MAX 8"
assert c.cmd("SEARCH $").has(b"* SEARCH 2 8")
c.cmd("UID STORE $ +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
assert c.cmd("FETCH $ (UID)").ok().lines == []
c.cmd("SEARCH RETURN (SAVE) CHARSET X-NONE ALL").no(b"BADCHARSET")
c.cmd("SEARCH RETURN (SAVE) SEEN").ok()
c.cmd("COPY $ INBOX").ok(b"COPYUID")
c.select(); assert c.cmd("SEARCH $").has(b"* SEARCH")
assert E(c.cmd("SORT RETURN (COUNT ALL) (REVERSE ARRIVAL) UTF-8 1:3")).startswith(b" COUNT 3 ALL ")
PY
}

@test "texts in other charsets; i;unicode-casemap (I18NLEVEL=1)" {
  py <<'PY'
put("m", "Subject: =?iso-8859-1?q?Stra=DFe_nach_=C9vian?=\nContent-Type: text/plain; charset=koi8-r\n\n".encode() + "Привет".encode("koi8-r") + b"\n", sub="cur")
c = preauth("m"); c.select()
def s(cs, key, text): return c.cmd(f"SEARCH CHARSET {cs} {key} \0%", text).ok().lines[-1]
assert s("UTF-8", "SUBJECT", "STRASSE".encode()) == b"* SEARCH 1"
assert s("ISO-8859-1", "SUBJECT", "straße".encode("latin1")) == b"* SEARCH 1"
assert s("UTF-8", "SUBJECT", "évian".encode()) == b"* SEARCH 1"
assert s("WINDOWS-1251", "BODY", "ПРИВЕТ".encode("cp1251")) == b"* SEARCH 1"
assert s("KOI8-R", "TEXT", "привет".encode("koi8-r")) == b"* SEARCH 1"
assert s("UTF-8", "SUBJECT", "xyz".encode()) == b"* SEARCH"
c.cmd("SEARCH CHARSET UTF-8 SUBJECT \0%", b"\xff\xfe").bad()
PY
}

@test "IMAP4rev2: ENABLE, ESEARCH always, LIST in SELECT, no RECENT, UTF-8 names, STATUS SIZE DELETED" {
  py <<'PY'
put("m", b"Subject: a\n\nx\n")
put("m", b"Subject: b\n\nxy\n", sub="cur", flags="T")
c = preauth("m")
c.cmd("ENABLE IMAP4rev2 UTF8=ACCEPT X-NO").ok().has(b"* ENABLED UTF8=ACCEPT IMAP4rev2")
a = c.select()
a.has(b'* LIST (\\HasNoChildren) "." INBOX').hasnt(b"RECENT").hasnt(b"UNSEEN")
c.cmd("SEARCH ALL").ok().find(rb"ESEARCH \(TAG \"t\d+\"\) ALL 1:2$")
c.cmd("FETCH 1 FLAGS").ok().has(b"* 1 FETCH (FLAGS ())")
put("m", b"Subject: c\n\nxyz\n")
c.cmd("NOOP").ok().has(b"* 3 EXISTS").hasnt(b"RECENT")
c.cmd("STATUS INBOX (MESSAGES SIZE DELETED APPENDLIMIT)").ok().has(b"* STATUS INBOX (MESSAGES 3 SIZE %d DELETED 1 APPENDLIMIT 67108864)" % (17 + 18 + 19))
c.cmd('CREATE "Gr\u00fc\u00dfe"').ok()
c.cmd('LIST "" *').ok().has('* LIST (\\HasNoChildren) "." "Gr\u00fc\u00dfe"'.encode())
c.cmd('SELECT "Gr\u00fc\u00dfe"').ok().has('* LIST (\\HasNoChildren) "." "Gr\u00fc\u00dfe"'.encode())
c.cmd('SELECT "a\xff"'.encode("latin1")).no()
assert os.path.isdir("m/.Gr&APwA3w-e")
d = preauth("m"); d.cmd("LIST \"\" Gr*").has(b'* LIST (\\HasNoChildren) "." Gr&APwA3w-e')
PY
}

@test "threads of the RFC: dummies, subjects, a chain of 3000 replies" {
  py <<'PY'
def m(id, subject, refs="", day=1): put("m", f"Message-ID: <{id}>\nSubject: {subject}\nReferences: {refs}\nDate: {day} Jan 2020 00:00:00 +0000\n\n".encode(), sub="cur")
m("a", "x"); m("b", "Re: x", "<a>", 2); m("c", "Re: x", "<a> <b>", 3); m("d", "Re: x", "<a> <gone>", 4)
m("e", "y", "<no>", 5); m("f", "Re: y", "<no>", 6); m("g", "z", "", 7); m("h", "Re: z", "", 8); m("i", "Re: z", "<i>", 9)
c = preauth("m"); c.select()
c.cmd("THREAD REFERENCES UTF-8 ALL").ok().has(b"* THREAD (1 (2 3)(4))((5)(6))(7 (8)(9))")
c.cmd("THREAD ORDEREDSUBJECT UTF-8 ALL").ok().has(b"* THREAD (1 (2)(3)(4))(5 6)(7 (8)(9))")
c.cmd("THREAD REFERENCES UTF-8 SUBJECT nothing").ok().has(b"* THREAD")
c.cmd("THREAD NONSENSE UTF-8 ALL").bad()
for i in range(3000): m(f"q{i}", "Re: q", f"<q{i-1}>", 10)
c.cmd("NOOP").ok()
t = c.cmd("THREAD REFS UTF-8 ALL").ok().lines[-1]
assert t.count(b"(") < 60 and b" ".join(b"%d" % i for i in range(100, 200)) in t, t[:300]
PY
}

@test "SEARCH decides for each header field, and line, whether it is UTF-8 or Latin-1" {
  py <<'PY'
head = "Subject: grüße\r\n".encode() + "From: Jörg <a@x>\r\n".encode("latin-1")
c = preauth("m")
c.append("INBOX", head + b"\r\nx\r\n").ok()
c.append("INBOX", b"MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + head + b"\r\n--b--\r\n").ok()
c.select()
for key, word, want in (b"TEXT", "grüße", b" 1 2"), (b"TEXT", "jörg", b" 1 2"), (b"BODY", "grüße", b" 2"), (b"BODY", "jörg", b" 2"), (b"SUBJECT", "grüße", b" 1"), (b"FROM", "jörg", b" 1"):
    c.cmd(b"SEARCH CHARSET UTF-8 " + key + b" \0%", word.encode()).ok().has(b"* SEARCH" + want)
PY
}
