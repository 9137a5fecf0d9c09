# mx-recv: 500 clients at once; 20,000 sessions in a row: memory and
# descriptors stay where they were (THREATS 30, 45, 47).
load ../lib/common
load recv

setup() { common_setup; recv_conf "smtpd_peername_lookup = no" "smtpd_client_connection_count_limit = 0"; deliver_start; }
teardown() { common_teardown; }

@test "500 connections at once: each is served whole; afterwards the monitor is as before" {
  recv_start -o default_process_limit=600
  python3 - "$PORT" "$RECV" "$T/box" <<'PY'
import os, resource, socket, sys
port, mon = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def fds(): return len(os.listdir("/proc/%s/fd" % mon))
def rss(): return int([l for l in open("/proc/%s/status" % mon) if l.startswith("VmRSS")][0].split()[1])
before = fds()
k = []
for i in range(500):
    c = socket.create_connection(("127.0.0.1", port), 120); c.settimeout(120); k.append((c, c.makefile("rb")))
def reply(f):
    while True:
        l = f.readline()
        if l[3:4] != b"-": return l
for c, f in k: l = reply(f); assert l.startswith(b"220"), l
held = rss()
for cmd, want in ((b"EHLO x", b"250"), (b"MAIL FROM:<a@x.test>", b"250"), (b"RCPT TO:<b@mx.test>", b"250"), (b"DATA", b"354"), (b"x\r\n.", b"250"), (b"QUIT", b"221")):
    for c, f in k: c.sendall(cmd + b"\r\n")
    for c, f in k: l = reply(f); assert l.startswith(want), (cmd, l)
for c, f in k: f.close(); c.close()
assert len([n for n in os.listdir(sys.argv[3]) if n.startswith("msg.")]) == 500
print("monitor: descriptors", before, "->", fds(), "rss KB", held, "->", rss())
assert rss() < held + 2000
PY
  # SIGTERM ends all of them
  kill "$RECV"; wait "$RECV" || true
  ! pgrep -f "^mx-recv -c $T/mx.conf"
}

@test "20,000 sessions in a row: no worker grows, no descriptor is left" {
  echo '/^bad.*@/ REJECT' > "$T/p"
  recv_start -o default_process_limit=4 -o max_use=1000000 -o "smtpd_sender_restrictions=check_sender_access pcre:$T/p, reject_non_fqdn_sender" \
    -o smtpd_client_connection_rate_limit=1000000 -o mynetworks=192.0.2.0/24 -o smtpd_restriction_classes=c -o "c=reject_invalid_helo_hostname, permit"
  cat > "$T/run.py" <<'PY'
import os, socket, subprocess, sys
port, mon = int(sys.argv[1]), sys.argv[2]
def session(i):
    c = socket.create_connection(("127.0.0.1", port), 60); f = c.makefile("rb")
    def reply():
        while True:
            l = f.readline()
            if l[3:4] != b"-": return l
    assert reply().startswith(b"220")
    c.sendall(b"EHLO me.test\r\n"); assert reply().startswith(b"250")
    good = i % 20 == 0
    c.sendall(b"MAIL FROM:<%s@x.test>\r\nRCPT TO:<%s@mx.test>\r\nRSET\r\nQUIT\r\n" % (b"a" if i % 3 else b"bad", b"b" if good else b"unknown"))
    assert reply().startswith(b"250"); l = reply(); assert l[:1] in b"25", l
    assert reply().startswith(b"250"); assert reply().startswith(b"221")
    f.close(); c.close()
def look():
    r = {}
    for p in [mon] + subprocess.run(["pgrep", "-P", mon], stdout=subprocess.PIPE, text=True).stdout.split():
        r[p] = (int([l for l in open("/proc/%s/status" % p) if l.startswith("VmRSS")][0].split()[1]), len(os.listdir("/proc/%s/fd" % p)))
    return r
# enough that each worker has seen everything once
for i in range(2000): session(i)
first = look()
for i in range(18000): session(i)
last = look()
print(first, last)
# a worker that had seen less than the others then may still become as they
most = max(v[0] for v in first.values())
assert set(first) <= set(last), "a worker was replaced"
assert len(last) <= 1 + 4, "more workers than the limit"
for p in first:
    assert last[p][0] <= max(most, first[p][0]) + 400, "process %s grew: %s -> %s KB" % (p, first[p][0], last[p][0])
    # the monitor has one for each worker, of which there may be more now
    assert last[p][1] <= max(v[1] for v in first.values()) + max(0, len(last) - len(first)), "process %s: descriptors %s -> %s" % (p, first[p][1], last[p][1])
PY
  python3 "$T/run.py" "$PORT" "$RECV"
}
