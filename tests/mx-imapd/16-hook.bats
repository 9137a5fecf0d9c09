# imap_move_hook: a program sees what moves; the move neither waits nor fails.
load ../lib/common
load imap
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

# A program that keeps what it was given, under a name of its own.
keeper() {
  mkdir -p "$T/seen"
  chmod 1777 "$T/seen"
  cat > "$T/keep" <<'SH'
#!/bin/sh
# DIR WORDS...: the message, and all that the program knows
d=$1; shift
f=$d/$(date +%s%N).$$
{ echo "args: $*"; echo "from: $MX_FROM to: $MX_TO user: $USER home: $HOME uid: $(id -u) secret: $SECRET"; cat; } > "$f.tmp"
mv "$f.tmp" "$f.msg"
SH
  chmod 755 "$T/keep"
}

@test "MOVE and COPY to Junk, and out of it: the first rule counts; not within, not on RENAME" {
  keeper
  cat > "$T/mx.conf" <<CF
imap_move_hook = { \\Junk>\\Trash - }, { *>\\Junk $T/keep $T/seen spam %% %h }, { \\Junk>* $T/keep $T/seen "ham %n" }
CF
  SECRET=x py <<'PY'
import glob
for i in range(3): put("m", b"Subject: s%d\n\nx\n" % i, mtime=1000 + i)
c = Process(["mx-imapd", "-c", "mx.conf", "--preauth", "--maildir", "m", "joe@x.test"])
for b in "Junk", "Trash", "Work.Sub": c.cmd("CREATE " + b).ok()
c.cmd("CREATE Spam2 (USE (\\Junk))").ok()
def seen(n):
    end = time.time() + 20
    while len(glob.glob("seen/*.msg")) < n and time.time() < end: time.sleep(0.02)
    v = [open(f, "rb").read().decode() for f in sorted(glob.glob("seen/*.msg"))]
    assert len(v) == n, v
    for f in glob.glob("seen/*.msg"): os.unlink(f)
    return v
c.select()
c.cmd("UID MOVE 1 Junk").ok()
v = seen(1)[0].split("\n")
home = os.path.expanduser("~")
assert v[0] == f"args: spam % {home}", v
assert v[1] == f"from: INBOX to: Junk user: joe@x.test home: {home} uid: {os.getuid()} secret: x" or v[1].endswith("secret: "), v
assert "secret: x" not in v[1], v
assert v[2:] == ["Subject: s0", "", "x", ""], v
c.cmd("COPY 1:2 Spam2").ok()
v = seen(2); assert "Subject: s1" in v[0] and "Subject: s2" in v[1] and "to: Spam2" in v[0], v
c.cmd("MOVE 1 Work.Sub").ok()                  # no rule
c.select("Spam2")
c.cmd("MOVE 1 Trash").ok()                     # "-"
c.cmd("MOVE 1 Work.Sub").ok()
v = seen(1)[0]; assert v.startswith("args: ham joe\n") and "from: Spam2 to: Work.Sub" in v, v
c.select("Junk")
c.cmd("COPY 1 Junk").ok()                      # within
c.cmd("MOVE 1 Trash").ok()
c.select()
c.cmd("APPEND INBOX {3+}\r\nA:b").ok()
c.cmd("RENAME INBOX Old").ok()
c.select("Old"); c.cmd("MOVE 1 Junk").ok()
v = seen(1)
# a session that ends at once: what it gave away is done
c.select("Work.Sub"); c.cmd("MOVE 1:* Junk").ok(); assert c.end() == 0
seen(2)
PY
  # as a server: the user's rights, whatever the session may not reach
  rm -rf "$T/mail"; rm -f "$T"/seen/*
  imap_serve "imap_move_hook = { *>Junk $T/keep $T/seen %u }"
  py <<'PY'
import glob
c = connect(os.environ["IMAPS"], tls=True); c.cmd("LOGIN joe@x.test secret").ok()
c.cmd("CREATE Junk").ok(); c.append("INBOX", b"Subject: net\r\n\r\nx\r\n").ok(); c.select()
c.cmd("MOVE 1 Junk").ok(); c.cmd("LOGOUT").ok(); c.closed()
end = time.time() + 20
while not glob.glob("seen/*.msg") and time.time() < end: time.sleep(0.02)
t = open(glob.glob("seen/*.msg")[0]).read()
uid = os.getuid() or __import__("pwd").getpwnam("nobody").pw_uid
assert t.startswith("args: joe@x.test\n") and f" uid: {uid} " in t and "Subject: net" in t, t
PY
  wait_for 10 grep -q "hook\[[0-9]*\]: joe@x.test: moved from INBOX to Junk: $T/keep ended with 0" "$MX_LOG"
}

@test "a program that is not there, fails or hangs: moves are done and nobody waits" {
  cat > "$T/slow" <<'SH'
#!/bin/sh
echo $$ >> "$1/pids"
exec sleep 1000
SH
  cat > "$T/fails" <<'SH'
#!/bin/sh
exit 5
SH
  chmod 755 "$T/slow" "$T/fails"
  cat > "$T/mx.conf" <<CF
imap_move_hook = { *>Gone $T/gone }, { *>Slow $T/slow $T }, { *>Fails $T/fails }
CF
  py <<'PY'
import signal
for i in range(2000): put("m", b"Subject: s%d\n\nx\n" % i)
c = Process(["mx-imapd", "-c", "mx.conf", "--preauth", "--maildir", "m"], stderr=open("err", "wb"))
for b in "Gone", "Slow", "Fails": c.cmd("CREATE " + b).ok()
c.select()
c.cmd("MOVE 1:3 Gone").ok(); c.cmd("MOVE 1:2 Fails").ok()
c.cmd("MOVE 1:1900 Slow").ok()
c.cmd("STATUS Slow (MESSAGES)").ok().has(b"* STATUS Slow (MESSAGES 1900)")
c.cmd("STATUS Gone (MESSAGES)").ok().has(b"* STATUS Gone (MESSAGES 3)")
c.cmd("STATUS Fails (MESSAGES)").ok().has(b"* STATUS Fails (MESSAGES 2)")
end = time.time() + 20
while not os.path.exists("pids") and time.time() < end: time.sleep(0.02)
pid = int(open("pids").read().split()[0])
ppid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
os.kill(ppid, signal.SIGKILL); os.kill(pid, signal.SIGKILL)   # the helper itself dies: no matter
c.cmd("MOVE 1:10 Fails").ok()
c.cmd("STATUS Fails (MESSAGES)").ok().has(b"* STATUS Fails (MESSAGES 12)")
assert c.end() == 0
e = open("err").read()
assert e.count("cannot run") == 3 and e.count("ended with 5") == 2, e
PY
  for bad in '{ Junk spamc }' '{ *>Junk }' '{ >Junk x }' '{ *>a/b x }'; do
    echo "imap_move_hook = $bad" > "$T/mx.conf"
    run -78 mx-imapd -c "$T/mx.conf" --preauth --maildir "$T/m" < /dev/null
    [[ $output == *imap_move_hook* ]]
  done
}

@test "spamc -L spam and ham with the real spamd" {
  command -v spamd > /dev/null || skip "spamd is not there"
  local port
  port=$(free_port)
  mkdir "$T/sa"
  chmod 777 "$T/sa"
  listens() { bash -c "exec 5<>/dev/tcp/127.0.0.1/$port" 2> /dev/null; }
  chmod 777 "$T/sa"
  spawn spamd -L -x --allow-tell -i 127.0.0.1 -p "$port" --cf="bayes_path $T/sa/bayes" --cf="use_bayes 1" --max-children 2 --min-children 1 -u nobody -s "$T/spamd.log" --helper-home-dir="$T/sa"
  wait_for 60 listens
  echo "imap_move_hook = { *>\\Junk spamc -d 127.0.0.1 -p $port -L spam }, { \\Junk>* spamc -d 127.0.0.1 -p $port -L ham }" > "$T/mx.conf"
  py <<'PY'
for i in range(4): put("m", b"From: a@b.test\nMessage-ID: <%d@b.test>\nSubject: pills %d\n\ncheap pills and watches %d\n" % (i, i, i))
c = Process(["mx-imapd", "-c", "mx.conf", "--preauth", "--maildir", "m"], stderr=open("err", "wb"))
c.cmd("CREATE Junk").ok(); c.select(); c.cmd("MOVE 1:3 Junk").ok(); c.select("Junk"); c.cmd("MOVE 1 INBOX").ok(); c.end()
end = time.time() + 60
while open("err").read().count("ended with") < 4 and time.time() < end: time.sleep(0.1)
e = open("err").read()
assert e.count("spamc ended with 0") + e.count("spamc ended with 5") == 4, e + open("spamd.log").read()
PY
  sa-learn --dbpath "$T/sa/bayes" --dump magic > "$T/magic"
  grep -qE " 2 .*nspam" "$T/magic" && grep -qE " 1 .*nham" "$T/magic" || { cat "$T/magic"; false; }
}
