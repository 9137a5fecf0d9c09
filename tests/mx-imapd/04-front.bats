# The listening server: TLS, logins, the hand-over; and real clients over it.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "before the login: capabilities, LOGINDISABLED, STARTTLS, LOGIN, AUTHENTICATE" {
  imap_serve
  py <<'PY'
import base64
b64 = lambda s: base64.b64encode(s.encode()).decode()
port, tls = os.environ["IMAP"], os.environ["IMAPS"]
c = connect(port)
assert b"STARTTLS" in c.greeting and b"LOGINDISABLED" in c.greeting and b"AUTH=" not in c.greeting, c.greeting
c.cmd("LOGIN joe@x.test secret").no(b"PRIVACYREQUIRED")
c.cmd("AUTHENTICATE PLAIN " + b64("\0joe@x.test\0secret")).no(b"PRIVACYREQUIRED")
starttls(c)
a = c.cmd("CAPABILITY").ok(); a.find(rb"AUTH=PLAIN"); a.hasnt(b"STARTTLS"); a.hasnt(b"LOGINDISABLED"); a.find(rb"IMAP4rev2")  # RFC 9051 6.1.1
c.cmd("STARTTLS").bad()
c.cmd("LOGIN joe@x.test wrong").no(b"AUTHENTICATIONFAILED")
c.cmd("LOGIN nobody@x.test secret").no(b"AUTHENTICATIONFAILED")
c.cmd('LOGIN joe@x.test ""').no(b"AUTHENTICATIONFAILED")
c.cmd("LOGIN joe@x.test secret").ok(b"CAPABILITY IMAP4rev1")
c.cmd("LOGIN joe@x.test secret").bad()
c.append("INBOX", b"Subject: hi\r\n\r\nx\r\n").ok()
c.select().has(b"* 1 EXISTS")
c.cmd("LOGOUT").ok(); c.closed()
for how in ("AUTHENTICATE PLAIN " + b64("\0joe@x.test\0secret"), "AUTHENTICATE plain"):
    c = connect(tls, tls=True)
    assert b"STARTTLS" not in c.greeting
    c.send(f"a {how}\r\n")
    if how.endswith("plain"):
        assert c.line().startswith(b"+")
        c.send(b64("\0joe@x.test\0secret") + "\r\n")
    assert c.line().startswith(b"a OK [CAPABILITY")
    c.cmd("SELECT INBOX").ok().has(b"* 1 EXISTS")
c = connect(tls, tls=True)
c.send("a AUTHENTICATE PLAIN\r\n"); c.line(); c.send("*\r\n"); assert c.line().startswith(b"a BAD")
c.send("b AUTHENTICATE PLAIN\r\n"); c.line(); c.send("!!\r\n"); assert c.line().startswith(b"b BAD")
c.cmd("AUTHENTICATE EXTERNAL =").no()
# literals, and commands that come with the login
c.cmd("LOGIN \0% \0%", b"joe@x.test", b"secret").ok()
c = connect(tls, tls=True)
c.send("a LOGIN joe@x.test secret\r\nb SELECT INBOX\r\nc FETCH 1 UID\r\n")
assert c.line().startswith(b"a OK"); l = c.line()
while not l.startswith(b"c OK"): l = c.line()
PY
  # the log: who came, never a password
  grep -q "imap-login\[[0-9]*\]: Login: user=<joe@x.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, TLS" "$MX_LOG"
  grep -q "auth\[[0-9]*\]: passwd-file(joe@x.test,127.0.0.1): Password mismatch" "$MX_LOG"
  grep -q "auth\[[0-9]*\]: passwd-file(nobody@x.test,127.0.0.1): unknown user" "$MX_LOG"
  ! grep -q "secret\|wrong" "$MX_LOG"
}

@test "the session is the user, sees only its mail root; no right is left in the front" {
  need_root
  imap_serve
  py <<'PY'
c = connect(os.environ["IMAPS"], tls=True)
c.cmd("LOGIN joe@x.test secret").ok(); c.select()
def owner(pid):
    s = dict(l.split(":", 1) for l in open(f"/proc/{pid}/status").read().splitlines() if ":" in l)
    return s["Uid"].split()[0], s["Seccomp"].strip(), s["NoNewPrivs"].strip(), s["PPid"].strip()
procs = {}
for p in os.listdir("/proc"):
    if p.isdigit():
        try:
            if os.readlink(f"/proc/{p}/exe").endswith("/mx-imapd"): procs[p] = owner(p)
        except OSError: pass
mine = [p for p, o in procs.items() if o[0] != "0"]
assert mine, procs
for p in mine:
    assert procs[p][1] == "2" and procs[p][2] == "1", procs
    # what is open: pipes, sockets, the mail root; no listening monitor's end, no key
    fds = [os.readlink(f"/proc/{p}/fd/{f}") for f in os.listdir(f"/proc/{p}/fd")]
    assert not any("localhost.key" in f or f.endswith("/users") for f in fds), fds
st = os.stat("mail/joe")
assert st.st_uid != 0 and st.st_mode & 0o777 == 0o700, oct(st.st_mode)
assert all(os.stat(f"mail/joe/{f}").st_uid == st.st_uid for f in os.listdir("mail/joe"))
PY
}

@test "uid below first_valid_uid, no ids, a user name that would leave the folder: refused" {
  need_root
  imap_serve
  printf '%s\n' 'root@x.test:{PLAIN}secret:0:0::/root::' >> "$T/users"
  py <<'PY'
c = connect(os.environ["IMAPS"], tls=True)
c.cmd("LOGIN root@x.test secret").no(b"UNAVAILABLE")
c.cmd("LOGIN ../joe@x.test secret").no()
c.cmd("LOGIN joe@x.test secret").ok()
PY
  grep -q "uid 0 may not log in" "$MX_LOG"
}

@test "limits before the login: bytes, bad commands, time, connections of one client" {
  imap_serve "login_timeout = 2s" "imap_client_connection_limit = 5"
  py <<'PY'
port = os.environ["IMAP"]
ends = lambda c, w: (lambda b: b.startswith(b"* BYE") or b"\n* BYE" in b or (_ for _ in ()).throw(AssertionError((w, b))))(c.closed())
c = connect(port); c.send(b"a LOGIN " + b"x" * 9000); ends(c, "long line")
c = connect(port); c.send(b"a LOGIN {4294967295}\r\n"); assert c.line().startswith(b"a BAD"); c.cmd("NOOP").ok()
c.send(b"a LOGIN {9000+}\r\n"); ends(c, "literal+")
c = connect(port); c.send(b"a LOGIN {99999999999999999999999}\r\n"); assert b"BAD" in c.line()
c = connect(port); c.send(b"a LOGIN {4000+}\r\n" + b"x" * 4000 + b" {4000+}\r\n" + b"x" * 4000 + b" {400+}\r\n"); ends(c, "many literals")
c = connect(port); c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n"); ends(c, "http")
c = connect(port)
for i in range(3): c.send("a SELECT INBOX\r\n"); assert c.line().startswith(b"a BAD")
for i in range(3): c.send("x XX\r\n")
ends(c, "three bad ones")
t = time.time(); c = connect(port); ends(c, "timeout")
c = connect(port); c.send("a STARTTLS\r\nb LOGIN joe@x.test secret\r\n"); ends(c, "behind STARTTLS")
time.sleep(0.3)
held = [connect(port) for _ in range(4)]
last = [connect(port) for _ in range(4)]
assert any(b"BYE [LIMIT]" in c.greeting for c in last), [c.greeting for c in last]
PY
}

@test "sessions of one user from one address: one too many is NO [LIMIT], until one ends" {
  imap_serve "mail_max_userip_connections = 2"
  py <<'PY'
def login(user):
    c = connect(os.environ["IMAPS"], tls=True)
    c.send(f"z LOGIN {user} secret\r\n")
    return c, c.line()
a, r = login("joe@x.test"); assert r.startswith(b"z OK"), r
b, r = login("joe@x.test"); assert r.startswith(b"z OK"), r
c, r = login("joe@x.test"); assert r.startswith(b"z NO [LIMIT]"), r
d, r = login("eve@x.test"); assert r.startswith(b"z OK"), r
a.cmd("LOGOUT").ok(); a.closed()
for _ in range(100):
    c.send("z LOGIN joe@x.test secret\r\n"); r = c.line()
    if r.startswith(b"z OK"): break
    assert b"[LIMIT]" in r, r
    time.sleep(0.05)
else: raise AssertionError("the place of the session that ended stays taken")
PY
  grep -q "joe@x.test: more than mail_max_userip_connections = 2 sessions from 127.0.0.1" "$MX_LOG"
}

@test "curl, Python's imaplib, mutt and mbsync" {
  imap_serve
  printf 'From: a@x.test\r\nTo: joe@x.test\r\nSubject: by curl\r\n\r\nHello there\r\n' > "$T/msg"
  curl -sk --url "imaps://127.0.0.1:$IMAPS/INBOX" -u joe@x.test:secret -T "$T/msg"
  curl -sk --ssl-reqd --url "imap://127.0.0.1:$IMAP/INBOX;MAILINDEX=1" -u joe@x.test:secret -o "$T/back"
  cmp "$T/msg" "$T/back"
  curl -sk --url "imaps://127.0.0.1:$IMAPS/INBOX;UID=1;SECTION=TEXT" -u joe@x.test:secret | grep -q "Hello there"
  python3 - <<'PY'
import imaplib, os, ssl, time
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
m = imaplib.IMAP4("127.0.0.1", int(os.environ["IMAP"])); m.starttls(c)
assert m.login("joe@x.test", "secret")[0] == "OK"
assert m.append("INBOX", "\\Seen", imaplib.Time2Internaldate(0), b"Subject: by imaplib\r\n\r\nx\r\n")[0] == "OK"
assert m.select()[1] == [b"2"]
assert m.uid("search", None, "SUBJECT", "imaplib")[1] == [b"2"]
t, d = m.fetch("2", "(INTERNALDATE BODY[])")
assert d[0][1] == b"Subject: by imaplib\r\n\r\nx\r\n", d
assert m.create("Work")[0] == "OK" and m.copy("1:2", "Work")[0] == "OK" and m.status("Work", "(MESSAGES)")[1] == [b"Work (MESSAGES 2)"]
assert m.logout()[0] == "BYE"
PY
  # mutt: shows the index, saves a message
  mkdir -p "$T/home"
  cat > "$T/muttrc" <<CF
set ssl_starttls=no ssl_verify_host=no certificate_file=$T/localhost.crt
set imap_user=joe@x.test imap_pass=secret
set folder=imaps://127.0.0.1:$IMAPS/ spoolfile=imaps://127.0.0.1:$IMAPS/INBOX
set sort=mailbox-order wait_key=no confirmappend=no confirmcreate=no quit=yes delete=yes
CF
  # on a terminal of its own, where it draws and is driven by its macro
  HOME=$T/home TERM=xterm timeout 60 python3 - "$T" > "$T/mutt.out" <<'PY'
import os, pty, sys
t = sys.argv[1]
pty.spawn(["mutt", "-n", "-F", f"{t}/muttrc", "-e", f'push "<tag-pattern>~A<enter><tag-prefix><copy-message>{t}/mbox<enter><quit>"'],
          stdin_read=lambda fd: os.read(fd, 1) or b"")
PY
  grep -q "by curl" "$T/mbox"
  grep -q "by imaplib" "$T/mbox"
  # mbsync: pulls all, pushes a local message and a flag, and then has nothing to do
  mbsync_conf "Create Both" "Expunge Both"
  mbsync -c "$T/mbsyncrc" c
  [ "$(ls "$T"/near/INBOX/{cur,new} | grep -c ,U=)" -eq 2 ]
  [ "$(ls "$T"/near/Work/{cur,new} | grep -c ,U=)" -eq 2 ]
  printf 'Subject: by mbsync\n\nx\n' > "$T/near/Work/cur/1.local:2,F"
  mbsync -c "$T/mbsyncrc" c
  mbsync -c "$T/mbsyncrc" c
  grep -lq "by mbsync" "$T"/mail/joe/.Work/cur/*:2,F
}

@test "SIGTERM: sessions are told and end; SIGHUP: new sessions have the new certificate" {
  imap_serve
  py <<'PY'
import signal, hashlib
pid = int(open("pid").read()) if os.path.exists("pid") else None
c = connect(os.environ["IMAP"]); starttls(c); c.cmd("LOGIN joe@x.test secret").ok(); c.select()
old = c.r.getpeercert(True)
os.system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -days 9 -subj /CN=new 2>/dev/null; cat k > localhost.key; cat c > localhost.crt")
me = [p for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/cmdline") and
      open(f"/proc/{p}/cmdline").read().split("\0")[-2:-1] == ["127.0.0.1:" + os.environ["IMAP"]]]
monitor = min(map(int, me))
os.kill(monitor, signal.SIGHUP)
for _ in range(400):
    d = connect(os.environ["IMAP"]); starttls(d)
    if d.r.getpeercert(True) != old: break
    time.sleep(0.1)
else: raise AssertionError("the old certificate is still shown")
c.cmd("NOOP").ok()
os.kill(monitor, signal.SIGTERM)
assert c.closed().endswith(b"* BYE Shutting down\r\n")
PY
}

@test "one session on a pipe pair, as inetd starts it" {
  imap_serve
  [ "$(printf 'a CAPABILITY\r\nb LOGOUT\r\n' | mx-imapd | grep -c '^[ab] OK')" -eq 2 ]
}

@test "a session that lasts holds no link to the auth server, and can have one again" {
  command -v ss || skip "no ss here"
  imap_serve
  py <<'PY'
T = os.environ["T"]
def links():
    return sum(1 for l in subprocess.run(["ss", "-xH"], capture_output=True, text=True).stdout.splitlines() if re.search(r" " + re.escape(T) + r"/run/auth ", l) and "ESTAB" in l)
cs = []
for i in range(6):
    c = connect(os.environ["IMAPS"], tls=True); c.cmd("LOGIN joe@x.test secret").ok(); cs.append(c)
end = time.monotonic() + 30
while links() > 0:
    assert time.monotonic() < end, links()
    time.sleep(0.2)
for c in cs: c.cmd("SELECT INBOX").ok()
c.cmd("UNAUTHENTICATE").ok(); c.cmd("LOGIN joe@x.test wrong").no(b"AUTHENTICATIONFAILED"); c.cmd("LOGIN eve@x.test secret").ok(); c.cmd("SELECT INBOX").ok()
PY
}
