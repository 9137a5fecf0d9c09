# mx-deliver: clients that ask and do not read (THREATS 44), or begin and do not
# go on (THREATS 31): memory stays as it was, the worker is free again after
# smtpd_timeout, and nothing of what they began is delivered.
load ../lib/common

setup() {
  common_setup
  mkdir -p "$T/mail" "$T/spool"
  [ "$(id -u)" -ne 0 ] || chown nobody "$T/mail"
  cat > "$T/mx.conf" <<CF
run_directory = $T
spool_directory = $T/spool
myhostname = mx.test
mydestination =
virtual_mailbox_domains = mx.test
virtual_mailbox_base = $T/mail
virtual_mailbox_maps = inline:{joe@mx.test=joe/}
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
virtual_minimum_uid = 1
mail_owner = $(id -un)
CF
  export MX_CONFIG=$T/mx.conf
}
teardown() { common_teardown; }

# lmtp [-o NAME=VALUE...]: one worker on $T/lmtp; SERVER
lmtp() {
  spawn mx-deliver --lmtp --listen "unix:$T/lmtp" -o default_process_limit=1 "$@"
  SERVER=$SPAWNED
  wait_for 10 test -S "$T/lmtp"
}
# py ARG...: Python from stdin; say(), and a session l
py() {
  { cat <<'PY'; cat; } > "$T/prog.py"
import os, socket, sys, time
T = os.environ["T"]
def connect(t=30):
    s = socket.socket(socket.AF_UNIX); s.settimeout(t); s.connect(T + "/lmtp"); return s, s.makefile("rb")
def hello(s, f, line=None):
    assert (line or f.readline()).startswith(b"220 "); s.sendall(b"LHLO me\r\n")
    while f.readline()[3:4] == b"-": pass
def ask(s, f, line): s.sendall(line + b"\r\n"); return f.readline()
def rss(pid): return int(os.popen("ps -o rss= --ppid " + pid).read().split()[0])
def flood(s, line, most=64 << 20):
    """Sends until nothing more goes: how many bytes it took."""
    s.settimeout(1); n = 0; chunk = line * 2000
    try:
        while n < most: n += s.send(chunk)
    except TimeoutError: return n
    raise SystemExit("took all of %d bytes without a reader" % n)
def mail():
    """As soon as the one worker is free: 421 until then."""
    for i in range(200):
        s, f = connect(60); r = f.readline()
        if r.startswith(b"220 "): break
        assert r.startswith(b"421 4.3.2 "), r
        time.sleep(0.1)
    hello(s, f, r)
    assert ask(s, f, b"MAIL FROM:<a@x.test>").startswith(b"250"); r = ask(s, f, b"RCPT TO:<joe@mx.test>"); assert r.startswith(b"250"), r
    assert ask(s, f, b"DATA").startswith(b"354"); r = ask(s, f, b"Subject: after\r\n\r\n."); assert r.startswith(b"250"), r
PY
  python3 "$T/prog.py" "$@"
}
held() { find "$T/mail" -type f -path '*/new/*' | wc -l; }

@test "a client that asks and does not read: no more is read of it, memory stays; others are served behind it" {
  lmtp -o smtpd_timeout=3s
  py "$SERVER" <<'PY'
pid = sys.argv[1]
for line in (b"NOOP\r\n", b"RCPT TO:<joe@mx.test>\r\n", b"LHLO me\r\n"):
    s, f = connect(); hello(s, f)
    if line.startswith(b"RCPT"): assert ask(s, f, b"MAIL FROM:<a@x.test>").startswith(b"250")
    before = rss(pid)
    n = flood(s, line)
    print(line[:4], n, before, rss(pid))
    assert "san" in os.environ["MX_BUILD"] or rss(pid) - before < 4096, (before, rss(pid))
    # one worker: the next is served when this one's time is over
    mail()
    s.settimeout(30)
    try:
        while s.recv(1 << 20): pass
    except ConnectionError: pass
    s.close()
PY
  [ "$(held)" -eq 3 ]
}

@test "a client that begins and does not go on: nothing is delivered, the worker is free after smtpd_timeout" {
  lmtp -o smtpd_timeout=2s
  py "$SERVER" <<'PY'
for start in ([], [b"MAIL FROM:<a@x.test>"], [b"MAIL FROM:<a@x.test>", b"RCPT TO:<joe@mx.test>"],
              [b"MAIL FROM:<a@x.test>", b"RCPT TO:<joe@mx.test>", b"DATA"]):
    s, f = connect(60); hello(s, f)
    for c in start: assert ask(s, f, c)[:1] in b"23"
    s.sendall(b"Subject: half\r\n\r\nhal" if start[-1:] == [b"DATA"] else b"NO")
    r = f.read(); print(r)
    assert r == b"" or r.startswith(b"421 "), r
    s.close()
# announced and not sent
s, f = connect(60); hello(s, f)
for c in (b"MAIL FROM:<a@x.test>", b"RCPT TO:<joe@mx.test>"): ask(s, f, c)
s.sendall(b"BDAT 1000 LAST\r\nSubject: half\r\n"); r = f.read(); assert r == b"" or r.startswith(b"421 "), r
mail()
PY
  [ "$(held)" -eq 1 ]
  grep -q '^Subject: after' "$T"/mail/joe/new/*
  [ -z "$(find "$T/mail" "$T/spool" -type f ! -path '*/new/*' -size +0 ! -name '.*' -print | grep -v -e dovecot -e index)" ]
}

@test "a byte a second does not renew a command's time" {
  lmtp -o smtpd_timeout=3s
  py "$SERVER" <<'PY'
s, f = connect(60); hello(s, f)
n = 0
try:
    for n in range(200): s.send(b"N"); time.sleep(0.1)
except OSError: pass
assert n < 190, n
mail()
PY
}
