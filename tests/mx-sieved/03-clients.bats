# Real clients: sieve-connect, and a delivery that does what they wrote.
load ../lib/common
load sieved
setup() { common_setup; }
teardown() { [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 "$MX_LOG"; common_teardown; }

sc() { # ARG...: sieve-connect as joe
  HOME=$T sieve-connect --server 127.0.0.1 --port "$SIEVE" --user joe@x.test --passwordfd 3 --notlsverify --4 "$@" 3< "$T/pw"
}

@test "sieve-connect: upload, list, check, activate, download, delete; an error has line and column" {
  sieve_serve
  echo secret > "$T/pw"
  printf 'require "fileinto";\nif header :contains "subject" "x" { fileinto "X"; }\n' > "$T/main.sieve"
  sc --localsieve "$T/main.sieve" --remotesieve main --upload
  sc --list | grep -q '"main"'
  sc --remotesieve main --activate
  sc --list | grep -q '"main" ACTIVE'
  [ "$(readlink "$T/mail/joe/.dovecot.sieve")" = sieve/main.sieve ]
  sc --remotesieve main --localsieve "$T/back" --download
  cmp "$T/main.sieve" "$T/back"
  printf 'keep;\nfoo;\n' > "$T/bad.sieve"
  run sc --localsieve "$T/bad.sieve" --checkscript
  [[ "$output" == *"script:2:1: error:"* ]]
  run sc --localsieve "$T/bad.sieve" --remotesieve main --upload
  [[ "$output" == *"main:2:1: error:"* ]]
  sc --deactivate
  ! sc --list | grep -q ACTIVE
  sc --remotesieve main --delete
  [ "$(ls "$T/mail/joe/sieve")" = tmp ]
}

@test "sievelib: STARTTLS, PLAIN and LOGIN, all of its commands; a script that its factory makes" {
  /usr/bin/python3 -c 'import sievelib' 2> /dev/null || skip "python3-sievelib is not there"
  sieve_serve
  cat > "$T/lib.py" <<'PY'
import os, ssl
from sievelib import managesieve
from sievelib.managesieve import Client
from sievelib.factory import FiltersSet
# its TLS knows the system's authorities alone
ssl.SSLContext.check_hostname = property(lambda s: False, lambda s, v: None)
try: managesieve.ssl.create_default_context = ssl._create_unverified_context
except AttributeError: pass
ssl.create_default_context = ssl._create_unverified_context
for mech in (None, "LOGIN", "PLAIN"):
    c = Client("127.0.0.1", int(os.environ["SIEVE"]))
    assert c.connect("joe@x.test", "secret", starttls=True, authmech=mech), c.errmsg
    assert "vacation" in c.get_sieve_capabilities() and c.get_implementation() == "mx", c.get_implementation()
    assert c.listscripts() in ((None, []), ("", [])), c.listscripts()
    f = FiltersSet("test")
    f.addfilter("rule1", [("Sender", ":is", "toto@toto.com"), ("Subject", ":contains", "\u00e9t\u00e9")], [("fileinto", "Toto")])
    f.addfilter("rule2", [("Subject", ":matches", "*x*")], [("redirect", "a@b.test")])
    text = str(f)
    assert c.havespace("main", len(text.encode())) and c.checkscript(text), c.errmsg
    assert c.putscript("main", text), c.errmsg
    assert c.getscript("main").strip() == text.strip()
    assert c.putscript("other", "keep;")
    assert c.setactive("main")
    active, others = c.listscripts()
    assert active == "main" and others == ["other"], (active, others)
    assert c.renamescript("main", "\u65e5\u672c")
    assert c.listscripts()[0] == "\u65e5\u672c"
    assert not c.deletescript("\u65e5\u672c") and not c.putscript("bad", "foo;") and b"bad:1:1" in c.errmsg, c.errmsg
    assert c.setactive("") and c.deletescript("\u65e5\u672c") and c.deletescript("other")
    c.logout()
assert not Client("127.0.0.1", int(os.environ["SIEVE"])).connect("joe@x.test", "wrong", starttls=True)
PY
  run /usr/bin/python3 "$T/lib.py"
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "the active script is what a delivery runs: from PUTSCRIPT to the folder, and back" {
  need_root
  sieve_serve "sieve = $T/mail/%n/.dovecot.sieve" "sieve_dir = $T/mail/%n/sieve" "mail_owner = nobody" "filter_user = nobody" \
    "queue_directory = $T/spool" "virtual_mailbox_domains = x.test" "virtual_mailbox_base = $T/mail" \
    "virtual_mailbox_maps = inline:{ {joe@x.test = joe/} {eve@x.test = eve/} }" "mydestination = localhost" "myhostname = mail.x.test"
  mkdir "$T/spool"; chown nobody "$T/spool"
  send() { printf 'From: a@b.test\nTo: %s\nSubject: %s\n\nx\n' "$1" "$2" | mx-deliver -f a@b.test "$1"; }
  at() { ls "$T/mail/$1" 2>/dev/null | wc -l; }
  py <<'PY'
c = login()
c.cmd('PUTSCRIPT "rules" ', b'require ["fileinto", "mailbox"];\r\nif header :is "subject" "list" { fileinto :create "Lists"; }\r\n').ok()
PY
  send joe@x.test list
  [ "$(at joe/new)" -eq 1 ]
  py <<'PY'
c = login(); c.cmd('SETACTIVE "rules"').ok()
PY
  send joe@x.test list; send joe@x.test other; send eve@x.test list
  [ "$(at joe/.Lists/new)" -eq 1 ] && [ "$(at joe/new)" -eq 2 ] && [ "$(at eve/new)" -eq 1 ]
  py <<'PY'
c = login(); c.cmd('RENAMESCRIPT "rules" "renamed"').ok()
PY
  send joe@x.test list
  [ "$(at joe/.Lists/new)" -eq 2 ]
  py <<'PY'
c = login(); c.cmd('PUTSCRIPT "renamed" "discard;"').ok()
PY
  send joe@x.test list
  [ "$(at joe/.Lists/new)" -eq 2 ] && [ "$(at joe/new)" -eq 2 ]
  py <<'PY'
c = login(); c.cmd('SETACTIVE ""').ok()
PY
  send joe@x.test list
  [ "$(at joe/new)" -eq 3 ]
}

@test "a full disk: NO (QUOTA), the former script stays, nothing is left" {
  need_root
  mkdir "$T/disk"
  mount -t tmpfs -o size=64k,mode=755 tmpfs "$T/disk" 2>/dev/null || skip "no mount here"
  : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf MX_LOG=$T/mail.log
  run py <<'PY'
c = preauth(home="disk/home")
c.cmd('PUTSCRIPT "a" "keep;"').ok(); c.cmd('SETACTIVE "a"').ok()
c.cmd('PUTSCRIPT "a" ', b"#" * 200000 + b"\nkeep;").no(b"QUOTA")
assert c.cmd('GETSCRIPT "a"').ok().lines == [[b"keep;"]] and os.listdir("disk/home/sieve/tmp") == []
c.cmd('PUTSCRIPT "b" "stop;"').ok(); c.logout()
PY
  umount "$T/disk"
  [ "$status" -eq 0 ] || { echo "$output"; false; }
}
