# passdb checkpassword: Bernstein's interface, Dovecot's additions, and
# programs that are none.
load ../lib/common
load auth

setup() { common_setup; auth_conf; }
teardown() { common_teardown; }

# program LINES...: $T/check, a Python program after the interface
program() {
  {
    printf '%s\n' '#!/usr/bin/python3' 'import os, sys, time'
    printf '%s\n' 'data = os.read(3, 513); assert len(data) <= 512' 'user, password, stamp = data.split(b"\0")[:3]'
    printf '%s\n' "$@"
    printf '%s\n' 'os.environ["USER"] = user.decode(); os.environ["HOME"] = "/home/" + user.decode()' 'os.execvp(sys.argv[1], sys.argv[1:])'
  } > "$T/check"
  chmod 755 "$T/check"
  sed -i '/^passdb\|^userdb/d' "$T/mx.conf"
  echo "passdb = checkpassword:$T/check" >> "$T/mx.conf"
}
try() { local s=0; auth_try "$@" > "$T/said" 2>&1 || s=$?; [ "$s" -eq "$WANT" ] || { echo "status $s, wanted $WANT"; cat "$T/said"; return 1; }; }

@test "yes, no, nobody, cannot say" {
  program 'if user == b"temp": sys.exit(111)' 'if user == b"odd": sys.exit(2)' 'if user == b"none": sys.exit(3)' 'if user == b"silent": sys.exit(0)' 'if password != b"s p": sys.exit(1)'
  WANT=0 try joe 's p'
  WANT=1 try joe 's  p'
  WANT=1 try none 's p'; grep -q 'unknown user' "$T/said"
  WANT=75 try temp 's p'; grep -q 'exit status 111' "$T/said"
  WANT=75 try odd 's p'
  WANT=75 try silent 's p'; grep -q 'without a reply that is one' "$T/said"
  WANT=1 try joe "$(head -c 600 /dev/zero | tr '\0' x)"; grep -q 'over 512 bytes' "$T/said"
}

@test "a shell program with the reply's name in the environment; what it becomes is told" {
  need_root
  program
  cat > "$T/check" <<'SH'
#!/bin/sh
IFS= read -r line <&3 2>/dev/null
set -- $CHECKPASSWORD_REPLY_BINARY
export USER=other@ex.org HOME=/srv/other EXTRA="userdb_quota_rule greeting evil" userdb_quota_rule='*:bytes=5' greeting=hello
evil=$(printf 'a\tuser=root')
export evil
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
SH
  auth_serve
  run auth_talk "$T/run/auth" <<< "$HELLO$(printf 'AUTH\t1\tPLAIN\tservice=smtp\tresp=%s' "$(b64 '\0joe\0x')")"
  [[ "$output" == *$'OK\t1\tuser=other@ex.org\tgreeting=hello'* ]] || { echo "$output"; false; }
  [[ "$output" != *userdb* && "$output" != *root* ]]
}

@test "as a userdb: AUTHORIZED=1 in, 2 out; a program that does not know of it finds nobody" {
  program 'if os.environ.get("AUTHORIZED") == "1":' '    if user != b"joe": sys.exit(3)' '    os.environ["AUTHORIZED"] = "2"; os.environ["userdb_uid"] = "1001"; os.environ["userdb_gid"] = "1002"; os.environ["EXTRA"] = "userdb_uid userdb_gid"' 'elif password != b"pw": sys.exit(1)'
  WANT=0 try joe pw
  run mx-auth -o mail_location= user joe
  [ "$output" = "user=joe
uid=1001
gid=1002
home=/home/joe" ]
  run mx-auth user ann
  [ "$status" -eq 67 ]
  program 'if password != b"pw": sys.exit(1)'
  run mx-auth user joe
  [ "$status" -eq 67 ]
  # one that says yes to everybody is not believed
  program
  run mx-auth user joe
  [ "$status" -eq 75 ]
}

@test "hostile programs: what they leave behind is ended, what they write is bounded" {
  # a child of it that keeps everything open
  program 'if os.fork() == 0:' '    time.sleep(300); os._exit(0)' 'open("'"$T"'/ran", "w")'
  WANT=0 try joe pw
  [ -e "$T/ran" ]
  ! pgrep -f "$T/check"
  # more than the pipe holds: it waits, and is ended
  program 'os.write(4, b"user=root\t" + b"x" * 60000 + b"\n"); sys.exit(0)'
  WANT=75 try joe pw
  program 'os.write(4, b"user=../../etc\t\n"); sys.exit(0)'
  WANT=75 try joe pw
  program 'os.kill(os.getpid(), 9)'
  WANT=75 try joe pw; grep -q 'signal 9' "$T/said"
  # no descriptor of ours, nothing of our environment
  program 'open("'"$T"'/fds", "w").write(" ".join(sorted(f for f in os.listdir("/proc/self/fd") if f not in ("5",))))' 'open("'"$T"'/env", "w").write(" ".join(sorted(os.environ)))'
  SECRET=x WANT=0 try joe pw
  ! grep -q 'SECRET\|MX_CONFIG' "$T/env"
  run cat "$T/fds"
  [[ "$output" =~ ^"0 1 2 3 4"( 6)?$ ]] || { echo "$output"; false; }
}

@test "a program that is not there, or a relative one, is an error at the start" {
  for arg in /nonexistent/check check ''; do
    run mx-auth -o "passdb=checkpassword:$arg" test joe <<< pw
    [ "$status" -eq 78 ] || [ "$status" -eq 72 ] || [ "$status" -eq 66 ] || { echo "$status $output"; false; }
  done
}

@test "Dovecot's programs: its own checkpassword-reply agrees" {
  need_root
  [ -x /usr/lib/dovecot/checkpassword-reply ] || skip "no checkpassword-reply"
  program 'sys.argv[1:] = os.environ.get("REPLY", " ".join(sys.argv[1:])).split()'
  mkdir -p "$T/out"
  for reply in "mx-auth checkpassword-reply" /usr/lib/dovecot/checkpassword-reply; do
    printf 'joe\0pw\0\0' > "$T/in"
    { ORIG_UID=65534 REPLY=$reply setpriv --reuid 65534 --regid 65534 --clear-groups "$T/check" x 3< "$T/in" 4>&1; echo; } | sed '/^$/d' > "$T/out/$(basename "${reply%% *}")"
  done
  grep -q "^user=joe.*userdb_uid=65534" "$T/out/mx-auth"
  diff "$T"/out/*
}
