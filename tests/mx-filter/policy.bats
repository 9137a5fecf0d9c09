# mx-filter policy: postgrey's behaviour, beside postgrey, behind Postfix and
# mx-recv; rates.
load ../lib/common
load ../lib/postfix
load ../mx-recv/recv
HERE=$ROOT/tests/mx-recv

setup() {
  common_setup
  mkdir -m 777 "$T/data"
  printf 'data_directory = %s\nmyhostname = mx.test\n' "$T/data" > "$T/policy.conf"
  [ "$(id -u)" -ne 0 ] || echo "filter_user = nobody" >> "$T/policy.conf"
  GREY=$(free_port)
}
teardown() { common_teardown; }

# policy [OPTION...]: the server on $GREY, log in $POLICY_LOG
policy() {
  spawn_logged mx-filter policy -c "$T/policy.conf" --inet="$GREY" "$@"
  POLICY=$SPAWNED POLICY_LOG=$SPAWNED_LOG
  wait_port "$GREY"
}
# ask CLIENT NAME SENDER RCPT [ATTR=VALUE...]: the action
ask() {
  local c=$1 n=$2 s=$3 r=$4; shift 4
  python3 - "$GREY" "client_address=$c" "client_name=$n" "sender=$s" "recipient=$r" "request=smtpd_access_policy" "protocol_state=RCPT" "$@" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(("\n".join(sys.argv[2:]) + "\n\n").encode())
print(s.makefile().readline().rstrip("\n"))
PY
}
# restart_later SECONDS: the same server, so much later
restart_later() {
  kill "$POLICY"; wait "$POLICY" 2>/dev/null || true
  export MX_TEST_TIME=+$1; shift
  policy "$@"
}

@test "postgrey's answers, one history of 1500 questions after the other, whitelist files too" {
  command -v postgrey >/dev/null || skip "no postgrey here"
  need_root
  cat > "$T/wc" <<'W'
# hosts
good.test   # and below
/pool/
203.0.113.0/24
172.16.9
2001:db8:1:3::/64
W
  cat > "$T/wr" <<'W'
abuse@
postmaster@
free.test
vip@mx.test
/^tester\d/
W
  port=$(free_port)
  mkdir -m 777 "$T/pg"
  spawn postgrey --inet="127.0.0.1:$port" --dbdir="$T/pg" --user=nobody --group=nogroup --hostname=mx.test \
    --whitelist-clients="$T/wc" --whitelist-recipients="$T/wr" --greylist-text='Greylisted %s at %r'
  wait_port "$port"
  export MX_TEST_TIME=+0
  policy --whitelist-clients="$T/wc" --whitelist-recipients="$T/wr" --greylist-text='Greylisted %s at %r'
  python3 "$ROOT/tests/mx-filter/policy_compare.py" "$port" "$GREY" 1
  # postgrey's log lines
  grep -q 'action=greylist, reason=new, client_name=.*, client_address=.*, sender=.*, recipient=' "$POLICY_LOG"
  grep -q 'action=pass, reason=triplet found, delay=[0-9]*, client_name=' "$POLICY_LOG"
  grep -q 'action=pass, reason=client whitelist, ' "$POLICY_LOG"
  grep -q 'action=pass, reason=recipient whitelist, ' "$POLICY_LOG"
}

@test "Debian's own whitelists load; bad ones are refused with file and line" {
  [ -e /etc/postgrey/whitelist_clients ] || skip "no postgrey here"
  policy --whitelist-clients=/etc/postgrey/whitelist_clients --whitelist-recipients=/etc/postgrey/whitelist_recipients \
    --whitelist-clients="$T/none.local"
  [ "$(ask 192.0.2.1 x.amazon.com a@x.test postmaster@mx.test)" = action=DUNNO ]
  echo '/(/' > "$T/bad"
  run mx-filter policy -c "$T/policy.conf" --inet="$(free_port)" --whitelist-clients="$T/bad"
  [ "$status" -eq 78 ]
  [[ $output == *"$T/bad:1: "* ]]
  run mx-filter policy -c "$T/policy.conf" --whitelist-clients="$T/none"
  [ "$status" -eq 78 ]
  run mx-filter policy -c "$T/policy.conf" --client-rate=ten
  [ "$status" -eq 64 ]
}

@test "state outlives the server and is shared by its workers; networks, logins, hashes" {
  policy
  [[ $(ask 192.0.2.1 h a@x.test joe@mx.test) == "action=DEFER_IF_PERMIT Greylisted for 300 seconds" ]]
  # the same network, the same triplet; another one is another
  restart_later 301
  [[ $(ask 192.0.2.200 h a@x.test joe@mx.test) == "action=PREPEND X-Greylist: delayed 30"?" seconds by mx-"*" at mx.test; "* ]]
  [[ $(ask 192.0.3.1 h a@x.test joe@mx.test) == *DEFER_IF_PERMIT* ]]
  [ "$(ask 192.0.2.1 h a@x.test joe@mx.test)" = action=DUNNO ]
  [ "$(ask 203.0.113.1 h a@x.test joe@mx.test sasl_username=joe)" = action=DUNNO ]
  [ "$(ask 203.0.113.1 h a@x.test joe@mx.test protocol_state=DATA)" = action=DUNNO ]
  restart_later 301 --privacy --lookup-by-host --dbdir="$T/data/private"
  [[ $(ask 192.0.2.1 h secret@x.test joe@mx.test) == *DEFER_IF_PERMIT* ]]
  [[ $(ask 192.0.2.2 h secret@x.test joe@mx.test) == *"300 seconds" ]]
  kill "$POLICY"; wait "$POLICY" || true
  ! grep -ra secret "$T/data/private"
}

@test "rates of a client and of a login; counted anew when the time is over" {
  policy --delay=0 --client-rate=3/1h --login-rate=2/1m
  for _ in 1 2 3; do [ "$(ask 192.0.2.1 h a@x.test joe@mx.test)" = action=DUNNO ]; done
  [[ $(ask 192.0.2.1 h a@x.test joe@mx.test) == "action=DEFER 4.7.1 "* ]]
  [ "$(ask 192.0.2.2 h a@x.test joe@mx.test)" = action=DUNNO ]
  for _ in 1 2; do [ "$(ask 192.0.2.1 h a@x.test joe@mx.test sasl_username=bob)" = action=DUNNO ]; done
  [[ $(ask 192.0.2.9 h a@x.test joe@mx.test sasl_username=bob) == "action=DEFER 4.7.1 "* ]]
  # an IPv6 client is its /64
  for i in 1 2 3; do ask "2001:db8::$i" h a@x.test joe@mx.test; done
  [[ $(ask 2001:db8::ffff h a@x.test joe@mx.test) == "action=DEFER 4.7.1 "* ]]
  restart_later 61 --delay=0 --client-rate=3/1h --login-rate=2/1m
  [ "$(ask 192.0.2.9 h a@x.test joe@mx.test sasl_username=bob)" = action=DUNNO ]
  [[ $(ask 192.0.2.1 h a@x.test joe@mx.test) == "action=DEFER 4.7.1 "* ]]
}

@test "behind mx-recv and behind a real Postfix: deferred, then let in with X-Greylist" {
  need_root
  deliver_start
  recv_conf "smtpd_peername_lookup = no" "mynetworks = 192.0.2.0/24" \
    "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:$GREY"
  recv_start
  policy
  send() { swaks --server "127.0.0.1:$1" --helo me.test --from a@x.test --to "$2" > "$T/swaks" 2>&1; }
  ! send "$PORT" joe@mx.test
  grep -q '450 4.2.0 .*Greylisted for\|450 4.7.1 .*Greylisted for' "$T/swaks"
  smtp=$(free_port)
  postfix_start mta "$smtp" "mynetworks = 192.0.2.0/24" "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:$GREY" \
    "virtual_mailbox_domains = dest.test" "virtual_mailbox_base = $T/data" "virtual_mailbox_maps = static:box/" \
    "virtual_uid_maps = static:65534" "virtual_gid_maps = static:65534"
  ! send "$smtp" joe@dest.test
  grep -q '450 4.2.0 .*Greylisted for' "$T/swaks"
  restart_later 400
  send "$PORT" joe@mx.test
  grep -q '^X-Greylist: delayed 4[0-9]* seconds by mx-' "$T/box/msg.1"
  send "$smtp" joe@dest.test
  wait_for 10 bash -c "grep -rq '^X-Greylist: delayed' '$T/data/box/new'"
}

@test "no state, no refusal: DUNNO and words in the log; the protocol's hostile side" {
  need_root
  policy
  kill "$POLICY"; wait "$POLICY" || true
  echo rubbish > "$T/data/policy/policy.sqlite"; rm -f "$T"/data/policy/*-wal "$T"/data/policy/*-shm
  policy
  [ "$(ask 192.0.2.1 h a@x.test joe@mx.test)" = action=DUNNO ]
  grep -q 'policy state: .*policy.sqlite: ' "$POLICY_LOG"
  python3 - "$GREY" <<'PY'
import socket, sys
def talk(b):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    try:
        s.sendall(b); s.shutdown(socket.SHUT_WR)
        return s.makefile("rb").read()
    except OSError:
        return b""
assert talk(b"x" * 20000) == b""
assert talk(b"a=b\n" * 1000) == b""
assert talk(b"\n") == b"action=DUNNO\n\n"
assert talk(b"client_address=zz\nclient_name=\nsender=\0\nrecipient=\n\n").startswith(b"action=")
assert talk(b"sender=a") == b""
PY
}
