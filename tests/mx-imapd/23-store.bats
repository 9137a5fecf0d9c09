# What a crash, another program or damage left in the store: nothing of it
# makes a letter, a UID or a quota mean something else.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "dovecot-keywords: a line that mx would not write keeps its letter and stays in the file" {
  py <<'PY'
c = preauth("m"); c.cmd("CREATE b").ok()
for i in range(2): c.append("INBOX", b"Subject: s\r\n\r\nx\r\n").ok()
c.end()
open("m/dovecot-keywords", "w").write("0 good\n1 od]d\n2 \u00fcber\n3 " + "x" * 70 + "\n4 fine\n")
f = sorted(os.listdir("m/new") + os.listdir("m/cur"))[0]
where = "new" if os.path.exists("m/new/" + f) else "cur"
os.rename(f"m/{where}/{f}", "m/cur/" + f.split(":")[0] + ":2,abcde")
c = preauth("m"); c.select()
c.cmd("FETCH 1 FLAGS").ok().find(rb"FLAGS \((\\Recent )?good fine\)")
c.cmd("STORE 2 +FLAGS (new)").ok()
assert sorted(open("m/dovecot-keywords").read().split("\n")) == sorted(["0 good", "1 od]d", "2 \u00fcber", "3 " + "x" * 70, "4 fine", "5 new", ""]), open("m/dovecot-keywords").read()
c.cmd("FETCH 1 FLAGS").ok().find(rb"FLAGS \((\\Recent )?good fine\)")
for i in range(20): c.cmd(f"STORE 2 +FLAGS (k{i})").ok()
c.cmd("STORE 2 +FLAGS (toomuch)").no(b"LIMIT")
assert len(open("m/dovecot-keywords").read().split("\n")) == 27
PY
}

@test "dovecot-uidlist: the UID of a damaged line is not given to another message" {
  py <<'PY'
c = preauth("m")
for i in range(3): c.append("INBOX", b"Subject: s%d\r\n\r\nx\r\n" % i).ok()
c.select(); c.end()
l = open("m/dovecot-uidlist").read().split("\n")
l[0] = re.sub(r"N\d+", "N1", l[0]); l[3] = "3 W1 :da\x01maged"
open("m/dovecot-uidlist", "w").write("\n".join(l)); os.unlink("m/mx-index")
c = preauth("m"); c.select()
a = b" ".join(c.cmd("UID FETCH 1:* (UID)").ok().lines)
assert re.findall(rb"UID (\d+)", a) == [b"1", b"2", b"4"], a
PY
}

@test "a mailbox that a crash left half made or half deleted: CREATE finishes the one, DELETE the other" {
  py <<'PY'
c = preauth("m"); c.end()
os.mkdir("m/.half"); os.makedirs("m/.half2/tmp"); os.makedirs("m/..mx-deleted-abc/cur"); open("m/..mx-deleted-abc/cur/x", "w").close()
os.makedirs("m/.Junk/tmp")
c = preauth("m")
for b in "half", "half2": c.cmd(f"CREATE {b}").ok(b"MAILBOXID"); c.cmd(f"SELECT {b}").ok().has(b"* 0 EXISTS"); c.cmd(f"CREATE {b}").no(b"ALREADYEXISTS")
c.cmd("DELETE half").ok()
assert not [f for f in os.listdir("m") if f.startswith("..")], os.listdir("m")
c = Process(["mx-imapd", "--preauth", "--maildir", "m", "-o", "mailbox_auto = Junk:subscribe:\\Junk"]); c.cmd("SELECT Junk").ok()
c.cmd('LIST (SUBSCRIBED) "" *').ok().find(rb"Junk$")
PY
}

@test "quota: what POP3, REPLACE, DELETE and other programs remove is free again" {
  py <<'PY'
def used(): return c.cmd('GETQUOTA "User quota"').ok().find(rb"MESSAGE (\d+) ").group(1)
msg = b"Subject: a\r\n\r\n" + b"x" * 986 + b"\r\n"
c = preauth("m"); c.cmd("CREATE b").ok(); open("m/maildirsize", "w").write("0S,6C\n0 0\n")
for b in "INBOX", "INBOX", "INBOX", "INBOX", "b", "b": c.append(b, msg).ok()
assert used() == b"6"; c.append("b", msg).no(b"OVERQUOTA")
p = subprocess.run(["mx-pop3d", "--preauth", "--maildir", "m"], input=b"DELE 1\r\nQUIT\r\n", capture_output=True)
assert p.stdout.count(b"+OK") == 3, p.stdout
assert used() == b"5"
c.cmd("DELETE b").ok(); assert used() == b"3"
c.select(); c.cmd("REPLACE 1 INBOX \0%", msg).ok(); assert used() == b"3", used()
for i in range(3): c.append("INBOX", msg).ok()
c.append("INBOX", msg).no(b"OVERQUOTA")
os.unlink("m/cur/" + os.listdir("m/cur")[0]); c.append("INBOX", msg).ok(); assert used() == b"6"
PY
}
