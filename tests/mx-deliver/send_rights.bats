#!/usr/bin/env bats
# Law 4: whoever reads what DNS, a policy's server or another mail host says is
# net_user behind a sandbox, not root and not mail_owner: seen from outside, by
# who holds the sockets.
load queue

setup() {
  queue_setup
  need_root
  mapfile -t p < <(free_port 2); DNS=${p[0]} WEB=${p[1]}
  conf 'net_user = nobody' 'mail_owner = daemon' 'filter_user = daemon' 'smtp_host_lookup = dns' "resolver = 127.0.0.1:$DNS" \
    'queue_run_delay = 1s' 'inet_interfaces = 127.0.0.7' 'smtp_tls_security_level = may' "mta_sts_port = $WEB"
  chown -R daemon "$T/spool" "$T/vm"; mkdir -p "$T/data"; chown daemon "$T/data"
  BARE="$(id -u nobody) $(id -g nobody) 2 1 0000000000000000"
}
teardown() { common_teardown; }

holders() { "$ROOT/tests/lib/holders.py" "$1" > "$T/holders"; }
# all that hold a socket to PORT are NAME, and hold nothing else
only() { # PORT NAME
  local i; for i in $(seq 20); do holders "$1" && break; sleep 0.2; done; cat "$T"/out.*; cat "$T/holders"
  [ "$(sort -u "$T/holders")" = "$2 $BARE" ]
}
# a server that answers nobody
mute_udp() { spawn python3 -c "import socket,time; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', $1)); open('$T/bound', 'w'); time.sleep(600)"; wait_for 10 test -e "$T/bound"; }
mute_tcp() { spawn python3 -c "import socket,time; s=socket.create_server(('127.0.0.1', $1)); time.sleep(600)"; wait_port "$1"; }
zone() {
  printf '$ORIGIN r.test.\n$TTL 1\n@ SOA ns h 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n@ MX 10 mx\nmx A 127.0.0.1\nmta-sts A 127.0.0.1\n_mta-sts TXT "v=STSv1; id=a1;"\n' > "$T/zr"
  dns_serve "$DNS" r.test "$T/zr"
}

@test "mx-send of root: DNS is read by net_user in a sandbox" {
  mute_udp "$DNS"
  spawn bash -c 'exec mx-send b@r.test < "$0"' "$T/m"
  only "$DNS" mx-send
}
@test "mx-send of root: the policy's server, then the mail host" {
  zone; mute_tcp "$WEB"
  spawn bash -c 'exec mx-send b@r.test < "$0"' "$T/m"
  only "$WEB" mx-fetch
  peer silent-greeting
  spawn bash -c 'exec mx-send -o mta_sts=no -o "smtp_tcp_port=$1" b@r.test < "$0"' "$T/m" "$PEER"
  only "$PEER" mx-send
}
@test "the runner's mx-send: DNS" {
  mute_udp "$DNS"
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b@r.test
  only "$DNS" mx-send
}
@test "the runner's mx-send: the policy's server" {
  zone; mute_tcp "$WEB"
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b@r.test
  only "$WEB" mx-fetch
}
@test "the runner's mx-send: the mail host; one that loses its keeper of names is started anew" {
  zone; peer silent-greeting
  conf 'mta_sts = no' "smtp_tcp_port = $PEER"
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b@r.test
  only "$PEER" mx-send
  local first keeper
  first=$(pgrep -P "$SPAWNED" mx-send)
  [ "$(stat -c %U "/proc/$first")" = daemon ]
  # its child that is nobody from the start, and asks nobody itself
  local p; keeper=
  for p in $(pgrep -P "$first"); do
    if grep -q '^Seccomp:.*0' "/proc/$p/status"; then keeper=$p; fi
  done
  [ -n "$keeper" ]; [ "$(stat -c %U "/proc/$keeper")" = nobody ]
  kill -9 "$keeper"
  kill "$PEER_PID"; wait "$PEER_PID" || true
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PEER" --mode ok --log "$PEER_LOG"
  wait_port "$PEER"
  submit joe@virt.example c@r.test
  wait_for 20 grep -q 'to=<c@r.test>.*status=sent' "$MX_LOG"
}
@test "a process of --jobs has no other destination's password in memory" {
  zone; peer silent-ehlo
  conf 'smtp_helo_timeout = 60s' 'mta_sts = no' "smtp_tcp_port = $PEER" 'smtp_sasl_auth_enable = yes' "smtp_sasl_password_maps = texthash:$T/sasl"
  printf 'r.test joe:OwnPassword%s\nother.test ann:Foreign%s\n' 1234 5678 > "$T/sasl"; chmod 600 "$T/sasl"
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b@r.test
  only "$PEER" mx-send
  cat > "$T/find.py" <<'P'
import os, re, subprocess, sys
root = os.environ["ROOT"]
def memory(pid):
    b = b""
    with open("/proc/%s/mem" % pid, "rb", 0) as m:
        for l in open("/proc/%s/maps" % pid):
            a = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", l)
            if a:
                try:
                    n = int(a[2], 16) - int(a[1], 16)
                    if n > 1 << 28: continue  # a sanitizer's own
                    m.seek(int(a[1], 16)); b += m.read(n)
                except OSError:
                    pass
    return b
runner = sys.argv[1]
kids = lambda p: subprocess.run(["pgrep", "-P", p], capture_output=True, text=True).stdout.split()
jobs = [p for p in kids(runner) if open("/proc/%s/comm" % p).read().strip() == "mx-send"]
session = [p for p in kids(jobs[0]) if "Seccomp:\t2" in open("/proc/%s/status" % p).read()]
assert b"Foreign5678" in memory(jobs[0])
assert session
for p in session:
    m = memory(p)
    assert b"OwnPassword1234" in m and b"Foreign5678" not in m, p
P
  ROOT=$ROOT run python3 "$T/find.py" "$SPAWNED"
  echo "$output"; [ "$status" -eq 0 ]
}
