#!/usr/bin/env python3
"""liars.py BIN: kept stages that die, hang and lie at every step of mx-serve(5).
Three messages of one LMTP session go to each through mx-deliver: the one that
meets the lie (the first; the second for an answer that comes late or twice) is
answered 451, the others have a fresh process.  What was answered 250 is in the mailbox, once and
as it was; nothing else is."""
import os, re, shutil, stat, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor

STAGE = r'''#!/usr/bin/python3
import os, sys, time
i, o = sys.stdin.buffer, sys.stdout.buffer
first = not os.path.exists(%(flag)r)
if first:
    open(%(flag)r, "w").close()
def say(b):
    o.write(b); o.flush()
def end(how):
    if how == "hang":
        time.sleep(60)
    os._exit(0 if how == "end" else 7)
def frame(k, m, end=None):
    return b"STATUS %%d 0 %%d 0 0\n" %% (k, len(m)) + m + b"END %%d\n" %% (k if end is None else end)
def answer(m):
    say(frame(serial, m))
step, how = %(step)r, %(how)r
if first and step == "greeting":
    if isinstance(how, bytes):
        say(how); time.sleep(60)
    end(how)
say(b"mx-serve 2\n" + (how if first and step == "early" else b""))
before = None
while True:
    head = i.readline().split()
    # what was said to the message before is said to this one, too
    if first and step == "again" and before and how == "head":
        say(before); time.sleep(60)
    if not head:
        break
    if first and step == "head":
        end(how)
    serial, n = int(head[1]), int(head[3])
    env = i.read(int(head[2]))
    if first and step == "environment":
        end(how)
    if first and step == "half":
        i.read(n // 2); end(how)
    m = i.read(n)
    if first and step == "again":
        if before and how == "whole":
            say(before); time.sleep(60)
        if before and how == "both":
            say(before + frame(serial, m)); time.sleep(60)
        if before and how == "old words, this number":
            say(frame(serial, m, serial - 1)); time.sleep(60)
        if before and how == "refusal":
            say(b"STATUS %%d 77 0 0 0\nEND %%d\n" %% (serial - 1, serial - 1)); time.sleep(60)
        before = frame(serial, m)
        if how == "slow":
            # behind the next question, if it comes
            answer(m); time.sleep(0.3); say(before); time.sleep(60)
        answer(m)
        continue
    if not first or step not in ("answer", "after", "number"):
        answer(m)
    elif step == "number":
        say(frame(serial, m).replace(b" %%d" %% serial, b" " + (how if how != b"next" else b"%%d" %% (serial + 1)), 1)); time.sleep(60)
    elif step == "after":
        say(frame(serial, m) + how)
    elif isinstance(how, bytes):
        say(how.replace(b"BODY", m).replace(b"STATUS ", b"STATUS %%d " %% serial).replace(b"K", b"%%d" %% serial).replace(b"RAW", b"STATUS")); time.sleep(60)
    else:
        end(how)
'''
cases = []
for step in ("greeting", "head", "environment", "half", "answer"):
    for how in ("die", "end", "hang"):
        cases.append((step, how))
for g in (b"", b"mx-serve 1\n", b"mx-serve 3\n", b"mx-serve", b"HELLO\n", b"\0\0\0\n", b"mx-serve 2 \n", b"x" * 300, b"x" * 3000000):
    cases.append(("greeting", g))
for a in (b"", b"STATUS", b"STATUS 0 5 0 0\nab", b"STATUS 0 9\n", b"STATUS 0 -1 0 0\n", b"STATUS 0 999999999999 0 0\nBODY",
          b"STATUS 0 99999999999999999999999999 0 0\nBODY", b"STATUS 0 5 2000000 0\n", b"STATUS 0 5 0 99999999999\nabcde",
          b"STATUS 300 0 0 0\nEND K\n", b"STATUS -1 0 0 0\nEND K\n", b"STATUS 75 5 0 0\nabcdeEND K\n", b"STATUS x 0 0 0\nEND K\n", b"STATUS 0 0x5 0 0\nabcdeEND K\n",
          b"STATUS 0 0 0 0 0\nEND K\n", b" STATUS 0 5 0 0\nabcdeEND K\n", b"STATUS  0 5 0 0\nabcdeEND K\n", b"status 0 5 0 0\nabcdeEND K\n", b"\0" * 100 + b"\n",
          b"MESSAGE 1 0 0\n", b"STATUS 0 5 0 0\r\nabcdeEND K\n", b"STATUS 0 " + b"0" * 500 + b" 0 0\n", b"x" * 3000000):
    cases.append(("answer", a))
# The number of another message, or none, in either line; counts that the end does not agree with.
for a in (b"RAW 0 5 0 0\nabcdeEND K\n", b"RAW 7 0 5 0 0\nabcdeEND 7\n", b"RAW 7 0 5 0 0\nabcdeEND K\n",
          b"RAW -1 0 5 0 0\nabcdeEND K\n", b"STATUS 0 5 0 0\nabcdeEND 7\n", b"STATUS 0 5 0 0\nabcdeEND\n",
          b"STATUS 0 5 0 0\nabcdeEND -1\n", b"STATUS 0 5 0 0\nabcdeEND K \n", b"STATUS 0 5 0 0\nabcde END K\n", b"STATUS 0 5 0 0\nabcdeend K\n",
          b"STATUS 0 5 0 0\nabcdeEND K K\n", b"STATUS 0 4 0 0\nabcdeEND K\n", b"STATUS 0 6 0 0\nabcdeEND K\n", b"STATUS 0 5 0 0\nabcdeEND K\r\n",
          b"STATUS 0 5 0 0\nabcdeEND K", b"STATUS 0 5 0 0\nabcde" + b"x" * 3000000, b"STATUS 0 5 0 2\nabcdeEND K\n", b"STATUS 0 5 2 0\nabcdeEND K\n"):
    cases.append(("answer", a))
cases.append(("number", b"0"))
cases.append(("number", b"99999999999999999999999999"))
cases.append(("number", b"next"))
# One that answers the next message with what it said to this one, before or
# behind its bytes, with the honest answer behind it or not, or in one line.
for how in ("head", "whole", "both", "old words, this number", "refusal", "slow"):
    cases.append(("again", how))
# Behind a whole answer, or before the question: what is there belongs to nobody,
# and is no answer to the next one.  (With the same write: what comes later may
# come at any time.)
for g in (b"x", b"STATUS 1 0 5 0 0\nabcdeEND 1\n", b"STATUS 2 0 12 0 0\nSubject: z\n\nEND 2\n", b"\n" * 5000):
    cases.append(("after", g))
    cases.append(("early", g))


def run(case):
    step, how = case
    t = tempfile.mkdtemp(prefix="mx-liar.")
    try:
        os.chmod(t, 0o755)
        for d in ("bin", "box", "spool", "run"):
            os.mkdir(t + "/" + d)
            os.chmod(t + "/" + d, 0o777)
        os.link(program, t + "/bin/mx-deliver")
        with open(t + "/stage", "w") as f:
            f.write(STAGE % {"flag": t + "/box/first", "step": step, "how": how})
        # (nobody but sh writes what is executed: a fork of another thread may
        # hold it open, "text file busy")
        subprocess.run(["sh", "-c", "cat stage > bin/mx-filter && chmod 755 bin/mx-filter"], cwd=t, check=True)
        with open(t + "/mx.conf", "w") as f:
            f.write("myhostname = h.test\nmail_owner = nobody\nnet_user = nobody\nfilter_user = nobody\nalias_maps =\nmydestination =\n"
                    "virtual_mailbox_domains = mx.test\nvirtual_mailbox_base = %s/box\nvirtual_mailbox_maps = static:b/\n"
                    "queue_directory = %s/spool\nrun_directory = %s/run\ndata_directory = %s\ninbound_filter = mx-filter headers\n"
                    "filter_time_limit = %ds\n" % (t, t, t, t, 8 if how != "hang" and not isinstance(how, bytes) else 5))
        talk = "LHLO x\r\n"
        for s in "ABC":
            talk += "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\nSubject: %s\r\n\r\nbody %s\r\n.\r\nRSET\r\n" % (s, s)
        p = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", t + "/bin/mx-deliver", "--lmtp"],
                           input=(talk + "QUIT\r\n").encode(), capture_output=True, timeout=200, env=dict(os.environ, MX_CONFIG=t + "/mx.conf"))
        codes = [int(c) for c in re.findall(rb"^354.*\r\n(\d+)", p.stdout, re.M)]
        got = sorted(open(os.path.join(d, n), "rb").read() for d, _, ns in os.walk(t + "/box/b/new") for n in ns)
        got = [(s[1].decode(), m.split(b"\n\n", 1)[1]) if (s := re.search(rb"^Subject: (.*)$", m, re.M)) else ("?", m) for m in got]
        wrong = []
        # who lies to the second message was honest to the first one
        want = [451, 250, 250] if step != "again" else [250, 451, 250]
        if codes != want and not (how == "slow" and codes == [250, 250, 250]): # it spoke before it was asked
            wrong.append("answers %s" % codes)
        if sorted(got) != [(s, b"body %s\n" % s.encode()) for s, c in zip("ABC", codes) if c == 250]:
            wrong.append("the mailbox has %s" % got)
        return "%s %.40s" % (step, how), wrong, p.stdout + p.stderr
    finally:
        shutil.rmtree(t, ignore_errors=True)


place = tempfile.mkdtemp(prefix="mx-liar.")
program = shutil.copy(sys.argv[1] + "/mx-deliver", place)
bad = 0
with ThreadPoolExecutor(12) as pool:
    for name, wrong, out in pool.map(run, cases):
        if wrong:
            bad += 1
            print("# %s: %s\n#   %s" % (name, "; ".join(wrong), out.decode("latin1")[-900:].replace("\n", "\n#   ")))
shutil.rmtree(place)
print("%d cases, %d wrong" % (len(cases), bad))
sys.exit(bad > 0)
