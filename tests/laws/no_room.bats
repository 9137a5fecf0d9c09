# THREATS 45: no descriptor, no process, no memory.  Who cannot be served is told
# so, the server does not spin, says it once, and goes on when there is room.
load ../lib/common
load ../lib/fault
load ../lib/mailbox

setup() {
  common_setup
  mailbox_host "myhostname = mx.test" "mydestination = mx.test" "smtpd_peername_lookup = no" \
    "spool_directory = $T/spool" "delivery = unix:$T/away" "disable_plaintext_auth = no"
  PORT=$(free_port); mkdir -p "$T/spool"
}
teardown() { common_teardown; }

# server PROGRAM ARG...: on $PORT; SERVER is its process id
server() { spawn "$@" --listen "127.0.0.1:$PORT"; SERVER=$SPAWNED; wait_listen "$PORT"; }
# first: the first line that a client is told, then it says QUIT or LOGOUT
first() {
  python3 - "$PORT" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30); f = s.makefile("rb")
line = f.readline(); print(line.decode().rstrip("\r\n"))
if not line.startswith((b"421", b"* BYE", b"-ERR", b"BYE")): s.sendall(b"QUIT\r\na LOGOUT\r\nLOGOUT\r\n")
PY
}
worker() { ps -o pid= --ppid "$SERVER" | head -n 1 | tr -d ' '; }
# full PID: no descriptor more, but for its spare one; room PID: again as before
full() {
  local n=0
  while [ -e "/proc/$1/fd/$n" ]; do n=$((n + 1)); done
  limit "$1" "$n"
}
room() { limit "$1" 1024; }
# a limit is the business of whom the process belongs to
limit() {
  local u g; read -r u g < <(ps -o uid=,gid= -p "$1")
  if [ "$u" -eq "$(id -u)" ]; then prlimit --pid "$1" --nofile="$2:1024"
  else setpriv --reuid="$u" --regid="$g" --clear-groups prlimit --pid "$1" --nofile="$2:1024"; fi
}
busy() {
  case $1 in
  mx-recv) echo "421 4.3.2 All server ports are busy" ;;
  mx-imapd) echo "* BYE [UNAVAILABLE] All servers are busy" ;;
  mx-pop3d) echo "-ERR [SYS/TEMP] All servers are busy" ;;
  mx-sieved) echo 'BYE (TRYLATER) "All servers are busy"' ;;
  mx-deliver) echo "421 4.3.2 all workers are busy" ;;
  esac
}
greets() { [[ "$(first)" =~ ^(220 |\* OK|\+OK|\"IMPL) ]]; }
said() { [ "$(grep -c "$1" "$MX_LOG")" -eq "$2" ] || { cat "$MX_LOG"; return 1; }; }
# arguments of a program that make it a server with one worker
one() {
  case $1 in
  mx-recv) echo "mx-recv --mode smtp -o default_process_limit=1" ;;
  mx-imapd) echo "mx-imapd --mode imap -o imap_process_limit=1" ;;
  mx-pop3d) echo "mx-pop3d --mode pop3 -o pop3_process_limit=1" ;;
  mx-sieved) echo "mx-sieved -o sieve_process_limit=1" ;;
  mx-deliver) echo "mx-deliver --lmtp -o default_process_limit=1" ;;
  esac
}

@test "accept has no descriptor (EMFILE, ENFILE): one client is told so with the spare one, the next is served" {
  for p in mx-recv mx-imapd mx-pop3d mx-sieved mx-deliver; do
    for e in EMFILE ENFILE; do
      PORT=$(free_port)
      fault "accept4:1:$e" "" server $(one $p)
      r=$(first); [ "$r" = "$(busy $p)" ] || { echo "$p $e: $r"; cat "$MX_LOG"; false; }
      greets || { echo "$p $e: not served afterwards"; cat "$MX_LOG"; false; }
      [ "$(fault_struck)" -eq 1 ]
      kill "$SERVER"
    done
  done
}

@test "accept never has room: no busy loop, one line in the log, the client is not lost" {
  fault "accept4:1+:EMFILE" "" server $(one mx-recv)
  first > "$T/told" 2>&1 & client=$!
  tried() { [ "$(fault_count)" -ge 4 ]; }
  wait_for 30 tried
  n=$(fault_count); sleep 2; m=$(fault_count)
  echo "$n $m"; [ $((m - n)) -lt 50 ]
  said 'accept: Too many open files: clients are sent away or wait until there is room' 1
  kill "$client"
}

@test "accept lacks memory (ENOMEM, ENOBUFS): the client waits and is served" {
  for e in ENOMEM ENOBUFS; do
    PORT=$(free_port)
    fault "accept4:1:$e" "" server $(one mx-recv)
    greets
    [ "$(fault_struck)" -eq 1 ]
  done
  said 'accept: Cannot allocate memory: ' 1
  said 'accept: No buffer space available: ' 1
}

@test "a real limit: the worker at its last descriptor sends all away; with room it serves" {
  for p in mx-recv mx-imapd mx-pop3d; do
    PORT=$(free_port); server $(one $p)
    wait_for 20 greets
    w=$(worker); full "$w"
    for i in 1 2 3 4 5; do
      r=$(first); [ "$r" = "$(busy $p)" ] || { echo "$p $i: $r"; ls -l "/proc/$w/fd"; cat "$MX_LOG"; false; }
    done
    room "$w"
    greets
    [ "$(worker)" = "$w" ]
    kill "$SERVER"
  done
}

@test "a real limit: the monitor cannot start a worker, clients are sent away; with room one starts" {
  server $(one mx-recv)
  wait_for 20 greets
  full "$SERVER"; kill -KILL "$(worker)"
  sent() { [ "$(first)" = "421 4.3.2 All server ports are busy" ]; }
  wait_for 20 sent
  sent
  said 'fork: Too many open files: ' 1
  room "$SERVER"
  wait_for 20 greets
}

@test "no process can be made (fork: EAGAIN, ENOMEM): clients are sent away, no busy loop" {
  for e in EAGAIN ENOMEM; do
    PORT=$(free_port)
    fault "fork:1+:$e" "" server $(one mx-recv)
    [ "$(first)" = "421 4.3.2 All server ports are busy" ]
    n=$(fault_count); sleep 2; m=$(fault_count)
    echo "$n $m"; [ $((m - n)) -lt 50 ]
    kill "$SERVER"
  done
  said 'fork: Resource temporarily unavailable: ' 1
}

@test "fork fails once at the start: a second later there is a worker" {
  fault "fork:1:EAGAIN" "" server $(one mx-recv)
  wait_for 20 greets
}

@test "no second worker can be made: who is served stays served, the next is sent away" {
  fault "fork:2+:EAGAIN" "" server mx-recv --mode smtp
  python3 - "$PORT" <<'PY'
import socket, sys
def connect(): s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30); return s, s.makefile("rb")
a, fa = connect(); assert fa.readline().startswith(b"220 ")
b, fb = connect(); r = fb.readline(); assert r == b"421 4.3.2 All server ports are busy\r\n", r
a.sendall(b"HELO me\r\n"); r = fa.readline(); assert r.startswith(b"250 "), r
a.sendall(b"QUIT\r\n"); r = fa.readline(); assert r.startswith(b"221 "), r
c, fc = connect(); r = fc.readline(); assert r.startswith(b"220 "), r
PY
}

@test "inetd's one session: no process for it: 421 and exit 71" {
  run fault "fork:1:EAGAIN" "" mx-recv --mode smtp </dev/null
  [ "$status" -eq 71 ]
  [ "${lines[0]%$'\r'}" = "421 4.3.2 All server ports are busy" ]
}

@test "no process for a session behind a login: the client is told so, the login is no failure" {
  fault "fork:2+:EAGAIN" "" server $(one mx-imapd)
  python3 - "$PORT" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30); f = s.makefile("rb"); f.readline()
s.sendall(b"a LOGIN joe@x.test secret\r\n"); r = f.readline(); print(r)
assert r.startswith((b"a NO [UNAVAILABLE]", b"* BYE [UNAVAILABLE]")), r
PY
  PORT=$(free_port)
  fault "fork:2+:EAGAIN" "" server $(one mx-pop3d)
  python3 - "$PORT" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30); f = s.makefile("rb"); f.readline()
s.sendall(b"USER joe@x.test\r\nPASS secret\r\n"); f.readline(); r = f.readline(); print(r)
assert r.startswith(b"-ERR [SYS/TEMP]"), r
PY
}

@test "a policy server's clients wait: an MTA's question is answered when there is room" {
  fault "accept4:1:EMFILE" "" server mx-filter policy
  r=$(printf 'request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.1\nsender=a@x.test\nrecipient=b@x.test\n\n' |
    timeout 30 socat -t 20 - "TCP:127.0.0.1:$PORT" | head -n 1)
  [[ "$r" == action=* ]]
  [ "$(fault_struck)" -eq 1 ]
  said 'accept: Too many open files: clients wait until there is room' 1
}
