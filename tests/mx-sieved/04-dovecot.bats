# The same folder by Dovecot's ManageSieve server and by mx in turn: the same
# replies to the same commands, the same files.
load ../lib/common
load sieved
setup() { common_setup; need_root; dovecot; }
teardown() { common_teardown; }

dovecot() {
  : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf
  cat > "$T/dovecot.conf" <<CF
base_dir = $T/dovecot
log_path = $T/dovecot.log
mail_uid = $(id -u nobody)
mail_gid = $(id -g nobody)
first_valid_uid = 1
protocols = sieve
ssl = no
default_internal_user = nobody
default_login_user = nobody
mail_location = maildir:$T/home/Maildir
plugin {
  sieve = file:$T/home/sieve;active=$T/home/.dovecot.sieve
}
CF
}
PRELUDE='
def dovecot():
    os.system("mkdir -p home; chown -R nobody: home")
    p = subprocess.Popen(["doveadm", "-c", "dovecot.conf", "exec", "managesieve"], env={**os.environ, "HOME": os.getcwd() + "/home", "USER": "nobody"},
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    c = Client(p.stdout, proc=p, greets=False)
    c.send("NOOP \"begin\"\r\n")
    while c.answer().code != b"TAG \"begin\"" and not (c.code or b"").startswith(b"TAG"): pass
    return c
def mx(): return preauth()
'
dpy() { { echo "$PRELUDE"; cat; } | py; }

@test "a transcript: the same words, codes and data as Dovecot's" {
  dpy <<'PY'
long = b"#" * 2000 + b"\r\nkeep;\r\n"
script = [(b'PUTSCRIPT "a" ', b"keep;\r\n"), (b'PUTSCRIPT "b" "discard;"',), (b'PUTSCRIPT "l" ', long), (b"LISTSCRIPTS",), (b'SETACTIVE "a"',), (b"LISTSCRIPTS",),
          (b'GETSCRIPT "a"',), (b'GETSCRIPT "l"',), (b'DELETESCRIPT "a"',), (b'RENAMESCRIPT "a" "c"',), (b"LISTSCRIPTS",), (b'RENAMESCRIPT "b" "c"',), (b'RENAMESCRIPT "nix" "d"',),
          (b'GETSCRIPT "nix"',), (b'DELETESCRIPT "nix"',), (b'SETACTIVE "nix"',), (b'PUTSCRIPT "x/y" "keep;"',), (b'PUTSCRIPT "bad" "foo;"',), (b'CHECKSCRIPT "keep;"',), (b'CHECKSCRIPT "bar;"',),
          (b'HAVESPACE "z" 1000',), (b'HAVESPACE "a/b" 10',), (b'NOOP',), (b'SETACTIVE ""',), (b'SETACTIVE ""',), (b"LISTSCRIPTS",), (b'DELETESCRIPT "c"',), (b'DELETESCRIPT "b"',), (b'DELETESCRIPT "l"',), (b"FOO",), (b'GETSCRIPT',),
          (b"LISTSCRIPTS",), (b"LOGOUT",)]
def run(make):
    c, out = make(), []
    for s in script:
        c.cmd(*s)
        out.append((s[0], sorted(c.lines), c.word, c.code)) # Dovecot lists in no order
    return out, sorted(f for f in os.listdir("home/sieve") if f.endswith(".sieve"))
d, m = run(dovecot), run(mx)
for a, b in zip(d[0], m[0]): assert a == b, (a, b)
assert d[1] == m[1]
PY
}

@test "both ways: what one stores and activates the other shows, round after round" {
  dpy <<'PY'
makers = [dovecot, mx]
for i in range(6):
    c = makers[i % 2]()
    c.cmd(f'PUTSCRIPT "s{i}" "# number {i}\\"\\""') if False else c.cmd(f'PUTSCRIPT "s{i}" ', b"# number %d\r\nkeep;\r\n" % i).ok()
    c.cmd(f'SETACTIVE "s{i}"').ok(); c.logout()
    if i: os.system("chown -R nobody: home")
    for make in makers:
        d = make(); l = d.list()
        assert sorted(l) == sorted([[b"s%d" % k] for k in range(i)] + [[b"s%d" % i, b"ACTIVE"]]), l
        for k in range(i + 1): assert d.cmd(f'GETSCRIPT "s{k}"').ok().lines == [[b"# number %d\r\nkeep;\r\n" % k]]
        d.logout()
c = mx(); c.cmd('RENAMESCRIPT "s5" "last"').ok(); c.logout()
assert [b"last", b"ACTIVE"] in dovecot().list()
c = dovecot(); c.cmd('RENAMESCRIPT "last" "s5"').ok(); c.logout()
assert [b"s5", b"ACTIVE"] in mx().list()
PY
}
