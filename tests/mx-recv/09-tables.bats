# mx-recv: tables that ask somebody else, from inside the sandbox; tables that
# change while it runs.
load ../lib/common
load recv

setup() { common_setup; recv_conf "smtpd_peername_lookup = no"; deliver_start; }
teardown() { common_teardown; }
reply() {
  python3 - "$PORT" "$1" "$2" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test"); s.docmd("MAIL FROM:<%s>" % sys.argv[2])
code, text = s.docmd("RCPT TO:<%s>" % sys.argv[3]); print(code, text.decode()); s.close()
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; return 1; }; }
taken='250 2.1.5 Ok: taken'

# peer PORT: a tcp_table server: slow.* waits, die.* closes, x.test is found
peer() {
  cat > "$T/peer.py" <<'PY'
import socket, sys, threading, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(50)
def serve(c):
    f = c.makefile("rwb")
    for line in f:
        key = line.decode().split(" ", 1)[1].strip()
        print(key, flush=True)
        if key.startswith("die"): c.close(); return
        if key.startswith("slow"): time.sleep(3)
        if key.startswith("bad@"): f.write(b"200 REJECT%20by%20tcp\n")
        elif key == "rel.test": f.write(b"200 yes\n")
        else: f.write(b"500 none\n")
        f.flush()
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
PY
  spawn python3 "$T/peer.py" "$1"; PEER=$SPAWNED
  wait_port "$1"
}

@test "tcp: in restrictions and in lists of domains; away is 451, back again is good" {
  p=$(free_port); peer "$p"
  recv_start -o "smtpd_sender_restrictions=check_sender_access tcp:127.0.0.1:$p" -o "relay_domains=tcp:127.0.0.1:$p" -o mynetworks=
  is "$(reply bad@x.test b@mx.test)" "554 5.7.1 <bad@x.test>: Sender address rejected: by tcp"
  is "$(reply ok@x.test b@mx.test)" "$taken"
  is "$(reply ok@x.test b@rel.test)" "$taken"
  is "$(reply ok@x.test b@else.test)" "554 5.7.1 <b@else.test>: Relay access denied"
  kill "$PEER"; wait "$PEER" 2>/dev/null || true
  is "$(reply bad@x.test b@mx.test)" "451 4.3.5 <bad@x.test>: Sender address rejected: Server configuration error"
  is "$(reply '' b@else.test)" "451 4.3.5 <>: Sender address rejected: Server configuration error"
  peer "$p"
  is "$(reply bad@x.test b@mx.test)" "554 5.7.1 <bad@x.test>: Sender address rejected: by tcp"
}

@test "a table that is slow delays its own session alone" {
  p=$(free_port); peer "$p"
  recv_start -o "smtpd_sender_restrictions=check_sender_access tcp:127.0.0.1:$p"
  reply slow@x.test b@mx.test > "$T/slow" 3>&- & pid=$!
  wait_for 5 grep -q slow "$T"/out.1
  is "$(reply ok@x.test b@mx.test)" "$taken"
  [ ! -s "$T/slow" ]
  wait "$pid"; is "$(cat "$T/slow")" "$taken"
}

@test "many workers at once, each with a link of its own, none left behind" {
  p=$(free_port); peer "$p"
  recv_start -o "smtpd_sender_restrictions=check_sender_access tcp:127.0.0.1:$p" -o max_use=3
  for _ in 1 2 3; do
    pids=()
    for i in $(seq 12); do reply bad@x$i.test b@mx.test > "$T/r.$i" 3>&- & pids+=($!); done
    wait "${pids[@]}"
    [ "$(cat "$T"/r.* | grep -c '^554 5.7.1 .*by tcp$')" -eq 12 ]
  done
  ! grep -qi 'panic\|failed' "$RECV_LOG"
  kill "$RECV"; wait "$RECV" 2>/dev/null || true
  wait_for 5 sh -c "! pgrep -f '^mx-recv -c $T/mx.conf'"
}

@test "socketmap and union, proxy:" {
  cat > "$T/sm.py" <<'PY'
import socket, sys, threading
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(5)
def serve(c):
    f = c.makefile("rwb")
    while True:
        n = b""
        while not n.endswith(b":"):
            b = f.read(1)
            if not b: return
            n += b
        q = f.read(int(n[:-1])).decode(); f.read(1)
        a = b"OK REJECT by map" if q == "acc bad@x.test" else b"NOTFOUND "
        f.write(b"%d:%s," % (len(a), a)); f.flush()
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
PY
  p=$(free_port); spawn python3 "$T/sm.py" "$p"; wait_port "$p"
  recv_start -o "smtpd_sender_restrictions=check_sender_access unionmap:{proxy:socketmap:inet:127.0.0.1:$p:acc}"
  is "$(reply bad@x.test b@mx.test)" "554 5.7.1 <bad@x.test>: Sender address rejected: by map"
  is "$(reply ok@x.test b@mx.test)" "$taken"
}

@test "a file that changes counts for the sessions after it; a broken one keeps the old" {
  echo 'bad@x.test REJECT one' > "$T/t"
  recv_start -o "smtpd_sender_restrictions=check_sender_access texthash:$T/t, check_client_access pcre:$T/later"
  is "$(reply bad@x.test b@mx.test)" "554 5.7.1 <bad@x.test>: Sender address rejected: one"
  # this one is not there: 451 until it is
  is "$(reply ok@x.test b@mx.test)" "451 4.3.5 <unknown[127.0.0.1]>: Client host rejected: Server configuration error"
  echo '/./ DUNNO' > "$T/later"
  says() { [ "$(reply "$1" b@mx.test)" = "$2" ]; }
  wait_for 20 says ok@x.test "$taken"
  printf 'bad@x.test REJECT two\nok@x.test REJECT new\n' > "$T/t.new"; mv "$T/t.new" "$T/t"
  wait_for 20 says bad@x.test "554 5.7.1 <bad@x.test>: Sender address rejected: two"
  is "$(reply ok@x.test b@mx.test)" "554 5.7.1 <ok@x.test>: Sender address rejected: new"
}
