# mx-send --jobs: what comes over its socket is a stranger's, too (THREATS 116).
load ../lib/common
load ../lib/send
setup() { common_setup; }
teardown() { common_teardown; }

@test "jobs that make no sense: none is sent, nothing ends, the next one is served" {
  cat > "$T/mx.conf" <<EOF2
myhostname = mx.test
smtp_host_lookup = native
net_user = $(id -un)
EOF2
  timeout 60 python3 - "$T/mx.conf" <<'PY'
import array, os, random, socket, subprocess, sys
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
p = subprocess.Popen(["mx-send", "-c", sys.argv[1], "--jobs"], stdin=b, stderr=subprocess.DEVNULL)
b.close()
def send(key, fd=None):
    anc = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    a.sendmsg([key], anc)
def job(key, lines, message=b"Subject: x\n\nx\n"):
    x, y = socket.socketpair()
    send(key, y.fileno()); y.close()
    f = os.memfd_create("m"); os.write(f, message); os.lseek(f, 0, 0)
    try:
        socket.send_fds(x, [b"m"], [f]); x.sendall(lines); x.shutdown(socket.SHUT_WR)
    except OSError: pass
    os.close(f); x.settimeout(30); out = b""
    while True:
        try: d = x.recv(4096)
        except OSError: break
        if not d: break
        out += d
    x.close(); return out
good = b"send1\n-\na@x.test\n[127.0.0.1]:1"
random.seed(7)
for k in [b"x", b"\n\n\n", b"send1", b"send1\n-\n", b"send1\n-\na@b\n", b"send2\n-\na\nb", b"send1\n-\na\nb\nc", b"\0" * 4000, b"x" * 5000]:
    send(k); job(k, b"to b@x.test\n.\n")
for i in range(60): job(bytes(random.randrange(256) for _ in range(random.randrange(1, 200))), b"")
for l in [b"", b".\n", b"to \n.\n", b"to b@x.test\n", b"to b\0@x.test\n.\n", b"to b@x.test\rDATA\n.\n", b"size -1\nto b@x.test\n.\n",
          b"size 99999999999999999999\nto b@x.test\n.\n", b"size 1000\nto b@x.test\n.\n", b"with X\nto b@x.test\n.\n",
          b"x" * 9000 + b"\n.\n", b"to b@x.test\n" * 1001 + b".\n"]:
    out = job(good, l)
    assert b" sent " not in out, (l, out)
out = job(good, b"sender a@x.test\nto b@x.test\n.\n")
assert b"b@x.test deferred 4.4.1" in out, out
assert p.poll() is None
a.close(); assert p.wait(20) == 0
PY
}
