# One Maildir by Dovecot's POP3 server and by mx in turn: the same list, the
# same unique ids, the same bytes, whoever came first.
load ../lib/common
load pop3
setup() { common_setup; need_root; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; dovecot; }
teardown() { common_teardown; }

dovecot() {
  cat > "$T/dovecot.conf" <<CF
base_dir = $T/dovecot
log_path = $T/dovecot.log
mail_uid = $(id -u nobody)
mail_gid = $(id -g nobody)
first_valid_uid = 1
protocols = pop3
ssl = no
default_internal_user = nobody
default_login_user = nobody
mail_location = maildir:$T/m
CF
}
PRELUDE='
def dovecot():
    os.system("mkdir -p m; chown -R nobody:nogroup m")
    p = subprocess.Popen(["doveadm", "-c", "dovecot.conf", "exec", "pop3"], env={**os.environ, "HOME": os.getcwd(), "USER": "nobody"},
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return Client(p.stdout, proc=p, greets=False)
def mx(): return preauth("m")
def state(make):
    c = make()
    uidl, sizes = c.multi("UIDL"), c.multi("LIST")
    out = (uidl, sizes, c.cmd("STAT"), [c.message("RETR %d" % i) for i in range(1, len(uidl) + 1)], [c.message("TOP %d 1" % i) for i in range(1, len(uidl) + 1)])
    c.quit()
    return out
def same():
    a, b = state(dovecot), state(mx)
    assert a == b, (a, b)
    b, a = state(mx), state(dovecot)
    assert a == b, (a, b)
    return a
n = 0
def arrive(k):
    global n
    for i in range(k):
        n += 1
        deliver("m", f"17000{n:05}.M1P1.host", b"From: a@x.test\nSubject: %d\n\n%s.dot\nline\n" % (n, b"x\n" * (n % 5)))
'
dpy() { { echo "$PRELUDE"; cat; } | py; }

@test "UIDL, LIST, STAT, RETR, TOP are the same, both ways, round after round" {
  dpy <<'PY'
known = {}
for rnd, (first, second) in enumerate([(dovecot, mx), (mx, dovecot)] * 3):
    arrive(4)
    for make in (first, second):
        c = make()
        u = c.multi("UIDL")
        for l in u:
            i, uid = l.split()
            msg = c.message("RETR " + i.decode())
            assert known.setdefault(uid, msg) == msg, (rnd, uid)
        c.cmd("DELE %d" % (rnd % 3 + 1)).ok()
        c.quit().ok()
    same()
assert len(known) == 24, len(known)
PY
}

@test "a unique id kept from a former server counts before the format, with both; so does a format with both" {
  dpy <<'PY'
arrive(3)
state(dovecot)
text = open("m/dovecot-uidlist").read()
open("m/dovecot-uidlist", "w").write(text.replace("\n2 W", "\n2 Pold-uidl.7 W"))
os.system("rm -f m/dovecot.index*; chown -R nobody: m")
assert same()[0][1] == b"2 old-uidl.7"
PY
  echo "pop3_uidl_format = %v-%u" | tee -a "$T/dovecot.conf" > "$T/mx.conf"
  dpy <<'PY'
assert same()[0][0].endswith(b"-1")
PY
}
