# The listening server: TLS, logins, limits, the hand-over to the user.
load ../lib/common
load pop3
setup() { common_setup; }
teardown() { common_teardown; }

@test "before the login: CAPA, no password in the clear, STLS, USER and PASS, AUTH" {
  pop3_serve
  mails joe 2
  py <<'PY'
import base64
b64 = lambda s: base64.b64encode(s.encode()).decode()
port, tls = os.environ["POP3"], os.environ["POP3S"]
c = connect(port); c.greeting.ok()
base = [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"EXPIRE NEVER", b"UTF8 USER", b"LANG", b"IMPLEMENTATION mx"]
assert c.multi("CAPA") == base + [b"STLS"]
c.cmd("USER joe@x.test").err(); c.cmd("PASS secret").err()
c.cmd("AUTH PLAIN " + b64("\0joe@x.test\0secret")).err()
assert c.multi("AUTH") == []
stls(c)
assert c.multi("CAPA") == base + [b"USER", b"SASL PLAIN LOGIN"]
assert c.multi("AUTH") == [b"PLAIN", b"LOGIN"]
c.cmd("STLS").err(); c.cmd("USER").err()
for user, pw in (("joe@x.test", "wrong"), ("joe@x.test", ""), ("who@x.test", "secret"), ("joe@x.test", "secret ")):
    c.cmd("USER " + user).ok(); c.cmd("PASS " + pw).err(b"AUTH")
    c.cmd("PASS secret").err() # USER again first
c.cmd("USER joe@x.test").ok(); c.cmd("PASS secret").ok()
assert c.cmd("STAT").startswith(b"+OK 2 ")
c.quit().ok()
for how in ("AUTH PLAIN " + b64("\0joe@x.test\0secret"), "auth plain", "AUTH LOGIN", "AUTH LOGIN " + b64("joe@x.test")):
    c = connect(tls, tls=True)
    assert b"STLS" not in c.multi("CAPA")
    c.send(how + "\r\n")
    answers = {"AUTH LOGIN": ["joe@x.test", "secret"], "auth plain": ["\0joe@x.test\0secret"]}.get(how, ["secret"] if "LOGIN" in how else [])
    for a in answers: assert c.line().startswith(b"+ "); c.send(b64(a) + "\r\n")
    c.line().ok(); assert c.cmd("STAT").startswith(b"+OK 2 ")
c = connect(tls, tls=True)
c.send("AUTH PLAIN\r\n"); assert c.line() == b"+ "; c.send("*\r\n"); c.line().err()
c.send("AUTH PLAIN\r\n"); c.line(); c.send("!!\r\n"); c.line().err()
c.cmd("AUTH PLAIN !").err(); c.cmd("AUTH EXTERNAL =").err(); c.cmd("AUTH X-UNKNOWN").err()
c.cmd("AUTH PLAIN " + b64("\0joe@x.test\0wrong")).err(b"AUTH")
# commands that come with the login
c.send("USER joe@x.test\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
c.line().ok(); c.line().ok(); assert c.line().startswith(b"+OK 2 "); c.line().ok(); assert c.closed() == b""
# UTF8 before the login counts for the session; STLS forgets it
deliver("mail/joe", "1700000060.M1P1.h", "Subject: Größe\n\nx\n".encode()); os.system("chown -R nobody: mail/joe")
def third(*first):
    c = connect(port)
    for w in first: stls(c) if w == "STLS" else c.cmd(w).ok()
    c.cmd("USER joe@x.test").ok(); c.cmd("PASS secret").ok()
    return c.message("RETR 3")
assert third("STLS", "UTF8") == "Subject: Größe\r\n\r\nx\r\n".encode()
assert third("STLS") == third("UTF8", "STLS") == b"Subject: =?UTF-8?B?R3LDtsOfZQ==?=\r\n\r\nx\r\n"
os.unlink("mail/joe/cur/" + [f for f in os.listdir("mail/joe/cur") if f.startswith("1700000060")][0])
# a password with blanks
open("users", "a").write("sp@x.test:{PLAIN}two  words :%s:%s::%s::\n" % (os.stat("mail").st_uid, 65534, os.getcwd() + "/mail/sp"))
c = connect(tls, tls=True); c.cmd("USER sp@x.test").ok(); c.cmd("PASS two  words ").ok(); c.quit().ok()
PY
  grep -q "pop3-login\[[0-9]*\]: Login: user=<joe@x.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, TLS" "$MX_LOG"
  grep -q "pop3\[[0-9]*\]: joe@x.test: Disconnected: Logged out: top=0/0, retr=0/0, del=0/2, size=0" "$MX_LOG"
  ! grep -q "secret\|wrong" "$MX_LOG"
}

@test "limits before the login: bytes, bad commands, failed logins, time, sessions of a client and of a user" {
  pop3_serve "login_timeout = 2s" "pop3_client_connection_limit = 6" "mail_max_userip_connections = 2"
  py <<'PY'
port, tls = os.environ["POP3"], os.environ["POP3S"]
ends = lambda c, w: (lambda b: b.endswith(b"\r\n") and b.splitlines()[-1].startswith(b"-ERR") or (_ for _ in ()).throw(AssertionError((w, b))))(c.closed())
c = connect(port); c.send(b"USER " + b"x" * 9000); ends(c, "long line")
c = connect(port); c.send(b"USER " + b"x" * 9000 + b"\r\n"); ends(c, "long line with its end")
c = connect(port); c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n"); ends(c, "http")
c = connect(port)
for w in ("STAT", "RETR 1"): c.cmd(w).err()
assert c.cmd("XX") == b"-ERR Too many bad commands" and c.closed() == b""
c = connect(port); c.cmd(b"USER a\0b").err()
c = connect(port); ends(c, "time")
c = connect(port); c.send("STLS\r\nUSER joe@x.test\r\n"); c.line(); assert c.closed() == b""
a = login(tls); b = login(tls)
c = connect(tls, tls=True); c.cmd("USER joe@x.test").ok(); c.cmd("PASS secret").err(b"SYS/TEMP")
c.cmd("USER eve@x.test").ok(); c.cmd("PASS secret").ok()
for x in (a, b, c): x.quit().ok()
time.sleep(0.3)
held = [connect(port) for _ in range(6)]
last = [connect(port) for _ in range(4)]
assert any(c.greeting.startswith(b"-ERR [SYS/TEMP] Too many connections") for c in last), [c.greeting for c in last]
PY
}

@test "the session is the user and reaches its own mail alone: not the neighbour's, not the passwords" {
  need_root
  # root in the neighbour's folder, and world-readable mail: what keeps a session out is its sandbox
  pop3_serve
  mails joe 1; mails eve 1
  chmod -R a+rX "$T/mail/eve"
  py <<'PY'
c = login(os.environ["POP3S"])
def status(p): return dict(l.split(":\t", 1) for l in open(f"/proc/{p}/status").read().splitlines() if ":\t" in l)
def look():
    procs = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{p}/exe").endswith("/mx-pop3d"): procs[p] = status(p)
        except OSError: pass
    low = {p: s for p, s in procs.items() if s["Uid"].split()[0] != "0"}
    assert low and all(s["Seccomp"] == "2" and s["NoNewPrivs"] == "1" and s["CapEff"] == "0" * 16 for s in low.values()), procs
    fds = {p: [os.readlink(f"/proc/{p}/fd/{f}") for f in os.listdir(f"/proc/{p}/fd")] for p in low}
    assert len([p for p in low if any("/mail/joe" in f for f in fds[p])]) == 1, fds
    assert not any("mail/eve" in f or "localhost.key" in f or f.endswith("/users") for p in low for f in fds[p]), fds
for i in range(50): # a worker may be starting just now
    try: look(); break
    except (OSError, AssertionError):
        if i == 49: raise
        time.sleep(0.1)
assert os.stat("mail/joe").st_mode & 0o777 and os.stat("mail/joe/cur").st_uid != 0
PY
  # from inside: a link in joe's own cur/ leads to eve's mail, which joe's uid may read
  setpriv --reuid nobody --clear-groups cat "$T/mail/eve/new/1700000001.M1P1Q1.host" > /dev/null
  py <<'PY'
os.symlink(os.getcwd() + "/mail/eve/new/1700000001.M1P1Q1.host", "mail/joe/new/1700000050.M1P1Q1.evil")
os.rename("mail/joe/new", "mail/joe/real"); os.symlink(os.getcwd() + "/mail/eve/new", "mail/joe/new")
c = connect(os.environ["POP3S"], tls=True)
c.cmd("USER joe@x.test").ok(); r = c.cmd("PASS secret")
if r.startswith(b"+OK"):
    s = c.cmd("STAT").ok()
    for i in range(1, int(s.split()[1]) + 1):
        c.send(f"RETR {i}\r\n")
        if c.line().startswith(b"+OK"): assert not any(b"eve" in l for l in c.rest()), "the neighbour's mail was read"
os.unlink("mail/joe/new"); os.rename("mail/joe/real", "mail/joe/new")
c = login(os.environ["POP3S"])
for l in c.multi("UIDL"):
    c.send(b"RETR " + l.split()[0] + b"\r\n")
    if c.line().startswith(b"+OK"): assert not any(b"To: eve" in x for x in c.rest()), "the neighbour's mail was read"
PY
}

@test "ten failed logins end the connection" {
  pop3_serve
  py <<'PY'
c = connect(os.environ["POP3S"], tls=True)
for i in range(9): c.cmd("USER joe@x.test").ok(); c.cmd("PASS x").err(b"AUTH")
c.cmd("USER joe@x.test").ok(); assert c.cmd("PASS x") == b"-ERR [AUTH] Too many failed logins" and c.closed() == b""
PY
}

@test "auth server or mail root away: -ERR [SYS/TEMP], never a login" {
  pop3_serve
  py <<'PY'
os.makedirs("mail", exist_ok=True)
open("mail/joe", "w").close()   # no folder can be here
c = connect(os.environ["POP3S"], tls=True)
c.cmd("USER joe@x.test").ok(); c.cmd("PASS secret").err(b"SYS/TEMP")
c.cmd("USER eve@x.test").ok(); c.cmd("PASS secret").ok()
PY
  kill "${PIDS[0]}"
  wait_for 5 bash -c "! kill -0 ${PIDS[0]} 2>/dev/null"
  py <<'PY'
c = connect(os.environ["POP3S"], tls=True)
c.cmd("USER eve@x.test").ok(); c.cmd("PASS secret").err(b"SYS/TEMP")
PY
}

@test "every way of being started: --listen, LISTEN_FDS, inetd; SIGTERM ends sessions with words, mail stays" {
  pop3_serve
  mails joe 1
  py <<'PY'
import signal
c = login(os.environ["POP3S"]); c.cmd("DELE 1").ok()
d = connect(os.environ["POP3"])
os.kill(int(os.environ["POP3D"]), signal.SIGTERM)
assert d.closed().startswith(b"-ERR [SYS/TEMP]")
c.quit().ok()
# one connection on fd 0 and 1, as inetd nowait has it
a, b = socket.socketpair()
p = subprocess.Popen(["mx-pop3d", "--mode", "pop3"], stdin=b, stdout=b); b.close()
c = Client(a.makefile("rb"), a); c.multi("CAPA"); c.quit().ok(); a.close(); p.wait(20)
# a listening socket on fd 0 (inetd wait), and by LISTEN_FDS with a name
def listening():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); return s
s = listening()
p = subprocess.Popen(["mx-pop3d"], stdin=s); c = connect(s.getsockname()[1]); c.greeting.ok(); c.quit(); p.terminate(); p.wait(20)
s = listening()
def fds():
    os.dup2(s.fileno(), 3, inheritable=True); os.environ["LISTEN_PID"] = str(os.getpid())
p = subprocess.Popen(["bash", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=pop3s exec mx-pop3d"], preexec_fn=fds, close_fds=False)
c = connect(s.getsockname()[1], tls=True); c.greeting.ok(); c.quit(); p.terminate(); p.wait(20)
PY
  [ -z "$(ls "$T"/mail/joe/new "$T"/mail/joe/cur | grep host)" ]
}
