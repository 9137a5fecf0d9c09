# A session that ended holds no place, whoever has its process id now.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "the place of a session that ended is free, also while another process has its id" {
  need_root
  echo 2> /dev/null $$ > /proc/sys/kernel/ns_last_pid || skip "process ids cannot be chosen here"
  imap_serve "mail_max_userip_connections = 1"
  py <<'PY'
def login():
    c = connect(os.environ["IMAPS"], True); return c, c.cmd("LOGIN joe@x.test secret")
before = {p for p in os.listdir("/proc") if p.isdigit()}
c, a = login(); a.ok()
def ours(p):
    try: return b"mx-imapd" in open(f"/proc/{p}/cmdline", "rb").read()
    except OSError: return False
new = [p for p in os.listdir("/proc") if p.isdigit() and p not in before and ours(p)]
d, b = login(); assert b" OK" not in b.tagged, b.tagged
c.cmd("LOGOUT")
end = time.time() + 20
while all(os.path.exists("/proc/" + p) for p in new) and time.time() < end: time.sleep(0.02)
new = [p for p in new if not os.path.exists("/proc/" + p)]
sleepers = []
for pid in new:
    for i in range(200):
        if os.path.exists("/proc/" + pid): break
        open("/proc/sys/kernel/ns_last_pid", "w").write(str(int(pid) - 1))
        sleepers.append(subprocess.Popen(["sleep", "60"]))
try:
    assert any(str(s.pid) in new for s in sleepers), (new, [s.pid for s in sleepers])
    for i in range(100):
        e, a = login()
        if b"OK" in a.tagged: break
        time.sleep(0.05)
    a.ok()
finally:
    for s in sleepers: s.kill()
PY
}
