# The listening server: TLS, logins, limits, the hand-over to the user.
load ../lib/common
load sieved
setup() { common_setup; }
teardown() { [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 "$MX_LOG"; common_teardown; }

@test "greeting, STARTTLS with the capabilities once more, AUTHENTICATE in all forms, UNAUTHENTICATE" {
  sieve_serve
  py <<'PY'
c = connect()
assert [l[0] for l in c.caps] == [b"IMPLEMENTATION", b"SIEVE", b"NOTIFY", b"MAXREDIRECTS", b"VERSION", b"SASL", b"STARTTLS"], c.caps
assert cap(c.caps, b"SASL") == b"" and b"vacation" in cap(c.caps, b"SIEVE").split()
auth = '"%s"' % b64("\0joe@x.test\0secret")
c.cmd('AUTHENTICATE "PLAIN" ' + auth).no(b"ENCRYPT-NEEDED")
c.cmd("LISTSCRIPTS").no()
c.cmd("CAPABILITY").ok(); assert cap(c.lines, b"SASL") == b""
starttls(c)
assert cap(c.caps, b"SASL") == b"PLAIN LOGIN" and cap(c.caps, b"STARTTLS") is None
c.cmd("STARTTLS").no()
c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0joe@x.test\0wrong")).no(); c.cmd('AUTHENTICATE "EXTERNAL" ""').no()
c.cmd('AUTHENTICATE "PLAIN" ' + auth).ok()
c.cmd('PUTSCRIPT "mine" "keep;"').ok(); c.cmd("CAPABILITY").ok(); assert cap(c.lines, b"OWNER") == b"joe@x.test"
c.cmd("UNAUTHENTICATE").ok()
c.cmd("LISTSCRIPTS").no(); c.cmd("CAPABILITY").ok(); assert cap(c.lines, b"SASL") == b"PLAIN LOGIN" and cap(c.lines, b"OWNER") is None
c.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0eve@x.test\0secret")).ok(); assert c.list() == []
c.cmd("UNAUTHENTICATE").ok()
c.cmd('AUTHENTICATE "PLAIN" ' + auth).ok(); assert c.list() == [[b"mine"]]
c.logout()
def answers(first, *rest):
    c = starttls(connect()); c.send(first + "\r\n")
    for r in rest:
        t = c.tokens(); assert len(t) == 1 and re.fullmatch(rb"[A-Za-z0-9+/=]*", t[0]), t
        c.send(r + "\r\n")
    return c.answer()
q = lambda s: '"%s"' % b64(s)
lit = lambda s: "{%d+}\r\n%s" % (len(b64(s)), b64(s))
full = "\0joe@x.test\0secret"
answers('authenticate "plain"', q(full)).ok(); answers('AUTHENTICATE "PLAIN"', lit(full)).ok(); answers('AUTHENTICATE {5+}\r\nPLAIN ' + lit(full)).ok()
answers('AUTHENTICATE "LOGIN"', q("joe@x.test"), q("secret")).ok()
answers('AUTHENTICATE "LOGIN"', lit("joe@x.test"), lit("secret")).ok()
answers('AUTHENTICATE "PLAIN"', '"*"').no(); answers('AUTHENTICATE "PLAIN"', '"!!"').no(); answers('AUTHENTICATE "PLAIN"', "LOGOUT").no(); answers('AUTHENTICATE "PLAIN" "!"').no()
# commands that come with the login
c = starttls(connect()); c.send('AUTHENTICATE "PLAIN" %s\r\nLISTSCRIPTS\r\nLOGOUT\r\n' % auth); c.answer().ok(); assert c.answer().ok().lines == [[b"mine"]]; c.answer().ok(); assert c.closed() == b""
PY
  grep -q "sieve-login\[[0-9]*\]: Login: user=<joe@x.test>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, TLS" "$MX_LOG"
  ! grep -q "secret\|wrong" "$MX_LOG"
}

@test "limits before the login: bytes, literals, bad commands, time; one user's sessions; words behind STARTTLS" {
  sieve_serve "login_timeout = 2s" "mail_max_userip_connections = 1"
  py <<'PY'
bye = lambda c: c.answer().bye() and c.closed()
c = connect(); c.send(b'NOOP "' + b"x" * 20000); assert bye(c) == b""
c = connect(); c.send(b"NOOP {20000+}\r\n"); assert bye(c) == b""
c = connect(); c.send(b"NOOP {4294967295+}\r\n"); assert bye(c) == b""
c = connect(); c.send(b"NOOP {99999999999999999999+}\r\n"); c.answer().no()
c = connect(); c.send(b"NOOP {6000+}\r\n" + b"x" * 6000 + b" {6000+}\r\n" + b"x" * 6000 + b" {6000+}\r\n"); assert bye(c) == b""
c = connect(); c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"); c.answer().no(); c.answer().no(); assert bye(c) == b""
c = connect(); assert bye(c) == b""  # silence
c = connect(); c.send("STARTTLS\r\nNOOP\r\n"); assert bye(c) == b""
a = login()
b = starttls(connect()); b.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0joe@x.test\0secret")).no(b"TRYLATER")
b.cmd('AUTHENTICATE "PLAIN" "%s"' % b64("\0eve@x.test\0secret")).ok(); a.logout(); b.logout()
PY
}

@test "the session is the user and reaches its own scripts alone, not the neighbour's; the checker too" {
  need_root
  case $MX_BUILD in *asan*) skip "no sandbox under a sanitizer" ;; esac
  sieve_serve
  py <<'PY'
login("eve@x.test").cmd('PUTSCRIPT "private" "# the neighbours secret"').ok()
os.system("chmod -R a+rwX mail/eve") # what keeps joe out is the sandbox, not the mode
h = os.getcwd()
c = login()
def ours(p): # of this server's processes, and none of another test's
    while p > 1:
        if p == int(os.environ["SIEVED"]): return True
        p = int(open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[1])
    return False
def look():
    low = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if not ours(int(p)) or not os.readlink(f"/proc/{p}/exe").endswith("/mx-sieved"): continue
            s = dict(l.split(":\t", 1) for l in open(f"/proc/{p}/status").read().splitlines() if ":\t" in l)
        except OSError: continue
        if s["Uid"].split()[0] != "0": low.append(s)
    assert low and all(s["Seccomp"] == "2" and s["NoNewPrivs"] == "1" and s["CapEff"] == "0" * 16 for s in low), low
for i in range(50):
    try: look(); break
    except AssertionError:
        if i == 49: raise
        time.sleep(0.1)
# links that lead to the neighbour: as a script, as the folder, as the checker's file
os.symlink(f"{h}/mail/eve/sieve/private.sieve", "mail/joe/sieve/steal.sieve")
c.cmd('GETSCRIPT "steal"').no(); c.cmd('SETACTIVE "steal"').no(); assert b"secret" not in c.text
c.logout()
os.rename("mail/joe/sieve", "mail/joe/real"); os.symlink(f"{h}/mail/eve/sieve", "mail/joe/real/tmp2")
os.rename("mail/joe/real", "mail/joe/sieve")
c = login()
c.cmd('PUTSCRIPT "inc" ', b'require "include"; include :personal "../../eve/sieve/private";').no()
assert b"secret" not in c.text
assert os.listdir("mail/eve/sieve") and open("mail/eve/sieve/private.sieve").read() == "# the neighbours secret"
PY
}

@test "every way of being started; SIGTERM ends sessions with words; SIGHUP takes the new configuration" {
  sieve_serve
  py <<'PY'
import signal
c = login(); d = connect(); pid = int(os.environ["SIEVED"])
open("mx.conf", "a").write("sieve_max_redirects = 9\n"); os.kill(pid, signal.SIGHUP)
for _ in range(100):
    if cap(connect().caps, b"MAXREDIRECTS") == b"9": break
    time.sleep(0.1)
else: raise AssertionError("the old configuration is still told")
c.cmd("NOOP").ok()
os.kill(pid, signal.SIGTERM)
assert d.answer().bye(b"TRYLATER") and d.closed() == b""
a, b = socket.socketpair()
p = subprocess.Popen(["mx-sieved"], stdin=b, stdout=b); b.close()
c = Client(a.makefile("rb"), a); c.cmd("NOOP").ok(); c.logout(); a.close(); p.wait(20)
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
p = subprocess.Popen(["mx-sieved"], stdin=s); c = connect(s.getsockname()[1]); c.logout(); p.terminate(); p.wait(20)
def fds(): os.dup2(s.fileno(), 3, inheritable=True)
p = subprocess.Popen(["bash", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=sieve exec mx-sieved"], preexec_fn=fds, close_fds=False)
c = connect(s.getsockname()[1]); c.logout(); p.terminate(); p.wait(20)
PY
}
