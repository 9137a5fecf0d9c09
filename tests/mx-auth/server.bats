# The two sockets: protocol, peers, ways of being started, rights.
load ../lib/common
load auth

setup() {
  common_setup
  auth_conf
  printf '%s\n' 'joe:{PLAIN}pw:1001:1002::/home/joe::' 'ann:{SSHA256}x' > "$T/users"
}
teardown() { common_teardown; }

@test "handshake: VERSION, MECH, SPID, CUID, COOKIE, DONE" {
  auth_serve
  run auth_talk "$T/run/auth" <<<"${HELLO%$'\n'}"
  [[ "$output" == $'VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t'*$'\nCUID\t'*$'\nCOOKIE\t'*$'\nDONE' ]]
  grep -Eq $'^COOKIE\t[0-9a-f]{32}$' <<<"$output"
}

@test "PLAIN and LOGIN, with and without initial response" {
  auth_serve
  run auth_talk "$T/run/auth" <<E
${HELLO}AUTH	1	PLAIN	service=smtp	nologin	resp=$(b64 '\0joe\0pw')
AUTH	2	PLAIN	service=smtp
CONT	2	$(b64 '\0joe\0pw')
AUTH	3	LOGIN	service=imap
CONT	3	$(b64 joe)
CONT	3	$(b64 pw)
AUTH	4	LOGIN	service=imap	resp=$(b64 joe)
CONT	4	$(b64 pw)
AUTH	5	plain	service=smtp	secured	resp=$(b64 'joe\0joe\0pw')
E
  local i
  for i in 1 2 3 4 5; do grep -Fqx $'OK\t'$i$'\tuser=joe' <<<"$output"; done
  grep -Fqx $'CONT\t3\tVXNlcm5hbWU6' <<<"$output"
  grep -Fqx $'CONT\t3\tUGFzc3dvcmQ6' <<<"$output"
  grep -Fqx $'CONT\t2\t' <<<"$output"
}

@test "what must fail, fails: wrong, unknown, empty, authzid, NULs, controls" {
  auth_serve
  run auth_talk "$T/run/auth" <<E
${HELLO}AUTH	1	PLAIN	service=smtp	resp=$(b64 '\0joe\0wrong')
AUTH	2	PLAIN	service=smtp	resp=$(b64 '\0eve\0pw')
AUTH	3	PLAIN	service=smtp	resp=$(b64 '\0joe\0')
AUTH	4	PLAIN	service=smtp	resp=$(b64 'root\0joe\0pw')
AUTH	5	PLAIN	service=smtp	resp=$(b64 '\0joe\0pw\0x')
AUTH	6	PLAIN	service=smtp	resp=$(b64 'joe')
AUTH	7	PLAIN	service=smtp	resp=$(b64 '\0jo\te\0pw')
AUTH	8	PLAIN	service=smtp	resp=$(b64 '\0joe\nuser=root\0pw')
AUTH	9	PLAIN	service=smtp	resp=!!!!
AUTH	10	CRAM-MD5	service=smtp
AUTH	11	PLAIN	service=smtp	resp=
AUTH	12	LOGIN	service=smtp	resp=$(b64 '\0joe\0pw')
E
  local i
  for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    grep -Eq $'^FAIL\t'$i$'(\t|$)' <<<"$output" || { echo "$i missing in: $output"; false; }
  done
  run grep -c $'^OK' <<<"$output"
  [ "$output" = 0 ]
}

@test "wrong password and unknown user get the same words" {
  auth_serve
  run auth_talk "$T/run/auth" <<E
${HELLO}AUTH	1	PLAIN	service=smtp	resp=$(b64 '\0joe\0wrong')
AUTH	2	PLAIN	service=smtp	resp=$(b64 '\0eve\0wrong')
E
  grep -Fqx $'FAIL\t1\tuser=joe' <<<"$output"
  grep -Fqx $'FAIL\t2\tuser=eve' <<<"$output"
}

@test "a database in trouble is temp" {
  auth_serve
  run auth_talk "$T/run/auth" <<E
${HELLO}AUTH	1	PLAIN	service=smtp	resp=$(b64 '\0ann\0x')
E
  grep -Eq $'^FAIL\t1\t(.*\t)?temp$' <<<"$output"
}

@test "a delayed refusal holds up no other request; a cancelled one says nothing" {
  auth_serve -o auth_failure_delay=3s
  run auth_talk "$T/run/auth" <<E
${HELLO}AUTH	1	PLAIN	service=smtp	resp=$(b64 '\0joe\0wrong')
AUTH	2	LOGIN	service=smtp
CANCEL	2
AUTH	3	PLAIN	service=smtp	resp=$(b64 '\0joe\0pw')
E
  grep -Fqx $'OK\t3\tuser=joe' <<<"$output"
  run grep -cE $'^(FAIL|OK)\t(1|2)' <<<"$output"
  [ "$output" = 0 ]
}

@test "failures make the next request of that address wait, others not, trusted not" {
  auth_serve -o login_trusted_networks=198.51.100.0/24
  local a r=$(b64 '\0joe\0pw') w=$(b64 '\0joe\0wrong')
  for a in 192.0.2.1 2001:db8:1:2::5 198.51.100.1; do
    auth_talk "$T/run/auth" > "$T/first" <<<"${HELLO}AUTH	1	PLAIN	service=smtp	rip=$a	resp=$w"
    grep -q '^FAIL' "$T/first"
  done
  for a in 192.0.2.1 2001:db8:1:2::77; do
    run auth_talk "$T/run/auth" <<<"${HELLO}AUTH	1	PLAIN	service=smtp	rip=$a	resp=$r"
    run grep -c '^OK' <<<"$output"
    [ "$output" = 0 ]
  done
  for a in 192.0.2.2 2001:db8:1:3::5 198.51.100.1; do
    run auth_talk "$T/run/auth" <<<"${HELLO}AUTH	1	PLAIN	service=smtp	rip=$a	resp=$r"
    grep -q '^OK' <<<"$output"
  done
}

@test "no protocol: closed, and others are served on" {
  auth_serve
  local bad
  for bad in $'GET / HTTP/1.0\n' $'VERSION\t2\t0\n' $'VERSION\t1\t1\nAUTH\t1\tPLAIN\n' \
    $'VERSION\t1\t1\nCPID\t1\nAUTH\tx\tPLAIN\n' $'VERSION\t1\t1\nCPID\t1\nCPID\t2\n'; do
    run auth_talk "$T/run/auth" <<<"${bad%$'\n'}"
    [[ "$output" == *'<closed>' ]] || { echo "$bad: $output"; false; }
  done
  { printf '%s' "$HELLO"; head -c 20000 /dev/zero | tr '\0' a; } > "$T/long"
  run auth_talk "$T/run/auth" < "$T/long"
  [[ "$output" == *'<closed>' ]]
  doveadm auth test -a "$T/run/auth" joe pw
}

@test "master: USER, NOTFOUND, REQUEST once and only with the cookie" {
  auth_serve
  run python3 - "$T/run" <<'PY'
import base64, socket, sys
def connect(name):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1] + "/" + name)
    return s, s.makefile("r")
c, cr = connect("auth")
c.sendall(b"VERSION\t1\t2\nCPID\t77\n")
cookie = None
for l in cr:
    if l.startswith("COOKIE"): cookie = l.rstrip("\n").split("\t")[1]
    if l == "DONE\n": break
c.sendall(b"AUTH\t5\tPLAIN\tservice=imap\tresp=" + base64.b64encode(b"\0joe\0pw") + b"\n")
assert cr.readline() == "OK\t5\tuser=joe\n"
m, mr = connect("auth-master")
m.sendall(b"VERSION\t1\t1\n")
assert mr.readline().startswith("VERSION\t1\t"); assert mr.readline().startswith("SPID\t")
def ask(line):
    m.sendall(line.encode() + b"\n"); return mr.readline().rstrip("\n")
good = "USER\t%d\tjoe\tuid=1001\tgid=1002\thome=/home/joe\tmail=maildir:/home/joe/Maildir"
assert ask("USER\t1\tjoe\tservice=imap") == good % 1
assert ask("USER\t2\teve\tservice=imap") == "NOTFOUND\t2"
assert ask("USER\t3\t../x\tservice=imap") == "NOTFOUND\t3"
assert ask("REQUEST\t4\t77\t5\t" + "0" * 32) == "FAIL\t4"
assert ask("REQUEST\t5\t77\t6\t" + cookie) == "FAIL\t5"
assert ask("REQUEST\t6\t77\t5\t" + cookie) == good % 6
assert ask("REQUEST\t7\t77\t5\t" + cookie) == "FAIL\t7"
c.sendall(b"AUTH\t6\tPLAIN\tservice=smtp\tnologin\tresp=" + base64.b64encode(b"\0joe\0pw") + b"\n")
assert cr.readline() == "OK\t6\tuser=joe\n"
assert ask("REQUEST\t8\t77\t6\t" + cookie) == "FAIL\t8"
names = [ask("LIST\t9")]
while names[-1].startswith("LIST\t9\t"): names.append(mr.readline().rstrip("\n"))
assert "LIST\t9\tjoe" in names and names[-1] == "DONE\t9", names
print("fine")
PY
  [ "$output" = fine ]
}

@test "the master socket is closed to other users" {
  need_root
  auth_serve
  [ "$(stat -c %a "$T/run/auth-master")" = 660 ]
  chmod 666 "$T/run/auth-master"
  run setpriv --reuid 65533 --clear-groups mx-auth -c "$T/mx.conf" user --socket "unix:$T/run/auth-master" joe
  [ "$status" -ne 0 ]
  mx-auth user --socket "unix:$T/run/auth-master" joe
}

@test "workers hold no rights: uid, no_new_privs, seccomp, and no dump" {
  need_root
  auth_serve
  doveadm auth test -a "$T/run/auth" joe pw
  local w n=0
  for w in $(pgrep -P "$SPAWNED"); do
    n=$((n + 1))
    grep -q "^Uid:.65534.65534.65534.65534$" "/proc/$w/status"
    grep -q '^NoNewPrivs:.1$' "/proc/$w/status"
    grep -q '^Seccomp:.2$' "/proc/$w/status"
  done
  [ "$n" -gt 0 ]
}

@test "Dovecot's own clients: auth test, user, auth login" {
  auth_serve
  doveadm auth test -a "$T/run/auth" joe pw
  run doveadm auth test -a "$T/run/auth" joe wrong
  [ "$status" -eq 77 ]
  doveadm user -a "$T/run/auth-master" joe | grep -q $'^home\t/home/joe$'
  run doveadm user -a "$T/run/auth-master" eve
  [ "$status" -eq 67 ]
  run doveadm auth login -a "$T/run/auth" -m "$T/run/auth-master" joe pw
  [[ "$output" == *succeeded*home=/home/joe* ]]
}

@test "SIGHUP takes the new configuration, a broken one leaves the old" {
  auth_serve
  echo 'eve:{PLAIN}pw' > "$T/more"; chmod 644 "$T/more"
  sed -i "s#^passdb.*#passdb = passwd-file:$T/more#" "$T/mx.conf"
  kill -HUP "$SPAWNED"
  wait_for 5 doveadm auth test -a "$T/run/auth" eve pw
  run doveadm auth test -a "$T/run/auth" joe pw
  [ "$status" -eq 77 ]
  sed -i "s#^passdb.*#passdb = nonsense#" "$T/mx.conf"
  kill -HUP "$SPAWNED"
  wait_for 5 grep -q 'old configuration stays' "$T"/out.*
  doveadm auth test -a "$T/run/auth" eve pw
}

@test "SIGTERM ends it with 0 although a client is connected" {
  auth_serve
  spawn socat -u "UNIX-CONNECT:$T/run/auth" "OPEN:$T/hello,creat"
  local auth=${PIDS[0]}
  wait_for 5 grep -q DONE "$T/hello"
  kill "$auth"
  wait "$auth"
}

@test "exec: one session on a socket pair; the login waits for another process" {
  mx-auth test --socket "exec:mx-auth" joe <<<pw
  run mx-auth test --socket "exec:mx-auth" joe <<<wrong
  [ "$status" -eq 1 ]
  mx-auth user --socket "exec:mx-auth --mode auth-master" joe | grep -Fx home=/home/joe
  run doveadm auth login -a "$T/none" joe pw
  [ "$status" -ne 0 ]
  # two unrelated processes of one run_directory share what waits
  run python3 - "$T" <<'PY'
import base64, socket, subprocess
def start(*args):
    a, b = socket.socketpair()
    p = subprocess.Popen(["mx-auth", *args], stdin=b, stdout=b); b.close()
    return a, a.makefile("r"), p
c, cr, cp = start()
m, mr, mp = start("--mode", "auth-master")
c.sendall(b"VERSION\t1\t2\nCPID\t77\nAUTH\t5\tPLAIN\tservice=imap\tresp=" + base64.b64encode(b"\0joe\0pw") + b"\n")
for l in cr:
    if l.startswith("COOKIE"): cookie = l.rstrip("\n").split("\t")[1]
    if l.startswith("OK"): break
m.sendall(("VERSION\t1\t1\nREQUEST\t1\t77\t5\t%s\n" % cookie).encode())
mr.readline(); mr.readline()
print(mr.readline().rstrip("\n").split("\t")[2])
for s, r, p in ((c, cr, cp), (m, mr, mp)):
    s.shutdown(socket.SHUT_RDWR); p.wait(10)
PY
  [ "$output" = joe ]
}

@test "systemd-socket-activate, both ways" {
  spawn systemd-socket-activate -l "$T/run/auth" --fdname=auth -E MX_CONFIG="$T/mx.conf" "$MX_BIN/mx-auth"
  wait_for 5 test -S "$T/run/auth"
  doveadm auth test -a "$T/run/auth" joe pw
  spawn systemd-socket-activate -a -l "$T/run/each" -E MX_CONFIG="$T/mx.conf" "$MX_BIN/mx-auth"
  wait_for 5 test -S "$T/run/each"
  doveadm auth test -a "$T/run/each" joe pw
}

@test "SCRAM: the salt of a name is the same over connections and spellings, and tells not whose it is" {
  echo 'joe:{PLAIN}secret' > "$T/users"
  conf_mech() { auth_conf "auth_mechanisms = scram-sha-256"; }
  conf_mech; auth_serve
  salt() { printf '%sAUTH\t1\tSCRAM-SHA-256\tservice=smtp\tresp=%s\n' "$HELLO" "$(b64 "n,,n=$1,r=abcdefghijkl")" |
    auth_talk "$T/run/auth" | sed -n 's/^CONT\t1\t//p' | base64 -d | sed 's/.*,s=\([^,]*\),.*/\1/'; }
  for who in ghost joe; do
    a=$(salt "$who"); [ ${#a} -eq 24 ]
    [ "$(salt "$who")" = "$a" ]
    [ "$(salt "${who^^}")" = "$a" ]
    # another mx-auth of this host: one that mx-recv starts by exec:
    spawn mx-auth --listen "auth=unix:$T/run/other"; wait_for 5 test -S "$T/run/other"
    mv "$T/run/auth" "$T/run/first"; mv "$T/run/other" "$T/run/auth"
    [ "$(salt "$who")" = "$a" ]
    mv "$T/run/first" "$T/run/auth"
  done
  [ "$(salt ghost)" != "$(salt joe)" ]
}
