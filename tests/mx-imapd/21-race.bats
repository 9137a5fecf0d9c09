# Four clients rename one file at the same time, each for a keyword of its own:
# what a session was told stays so in its view.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "keywords of one message, set and cleared by four sessions at once: none is lost, none comes back" {
  imap_serve "imap_process_limit = 100"
  cat > "$T/race.py" <<'PY'
import threading
from imap import *
ROUNDS = 150
c = connect(os.environ["IMAPS"], tls=True); c.cmd("LOGIN joe@x.test secret").ok()
c.cmd("APPEND INBOX \0%", b"Subject: s\r\n\r\nx\r\n").ok()
wrong, done = [], []
def one(k):
    c = connect(os.environ["IMAPS"], tls=True); c.cmd("LOGIN joe@x.test secret").ok(); c.cmd("SELECT INBOX").ok()
    on = False
    for i in range(ROUNDS):
        if wrong: return
        a = c.cmd(f"UID STORE 1 {'-' if on else '+'}FLAGS (kw{k})")
        # a rename that never got through says NO: then nothing has changed
        if a.tagged.split(b" ")[1] == b"OK": on = not on
        c.cmd("NOOP").ok()
        a = c.cmd("UID FETCH 1 (FLAGS)").ok()
        last = [l for l in a.lines if b"FLAGS" in l][-1]
        if (b"kw%d" % k in last) != on: wrong.append((k, i, on, last))
    done.append(k)
threads = [threading.Thread(target=one, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(wrong)
sys.exit(0 if sorted(done) == [0, 1, 2, 3] and not wrong else 1)
PY
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-imapd timeout 120 python3 "$T/race.py"
}
