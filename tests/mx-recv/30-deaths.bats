# A worker that dies in a session takes nobody else with it.
load ../lib/common
load recv
setup() { common_setup; recv_conf "smtpd_peername_lookup = no"; deliver_start; }
teardown() { common_teardown; }

@test "workers that are killed in a session, one after the other: the next client is served at once" {
  recv_start -o default_process_limit=1
  # waits that doubled from a second on would be at 64 s here
  python3 - "$PORT" "$RECV" <<'PY'
import os, signal, socket, sys, time
port, monitor = int(sys.argv[1]), int(sys.argv[2])
def children():
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/stat") and
            int(open(f"/proc/{p}/stat").read().rsplit(") ", 1)[1].split()[1]) == monitor]
def greeted():
    # 421: the only worker was busy for a second on a slow machine
    until = time.monotonic() + 30
    while True:
        s = socket.create_connection(("127.0.0.1", port), 30)
        line = s.makefile("rb").readline()
        if line.startswith(b"220 "): return s
        assert line.startswith(b"421 ") and time.monotonic() < until, line
        time.sleep(0.1)
for _ in range(7):
    s = greeted()
    for p in children(): os.kill(p, signal.SIGKILL)
    s.close()
greeted().close()
PY
}
