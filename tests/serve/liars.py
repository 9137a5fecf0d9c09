#!/usr/bin/env python3
"""liars.py BIN: kept stages that die, hang and lie at every step of mx-serve(5).
Three messages of one LMTP session go to each through mx-deliver: the first one
meets the lie and is answered 451, the others have a fresh process.  What was answered 250 is in the mailbox, once and
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
def answer(m):
    say(b"STATUS 0 %%d 0 0\n" %% len(m) + m)
step, how = %(step)r, %(how)r
if first and step == "greeting":
    if isinstance(how, bytes):
        say(how); time.sleep(60)
    end(how)
say(b"mx-serve 1\n" + (how if first and step == "early" else b""))
while True:
    head = i.readline().split()
    if not head:
        break
    if first and step == "head":
        end(how)
    env = i.read(int(head[1]))
    if first and step == "environment":
        end(how)
    if first and step == "half":
        i.read(int(head[2]) // 2); end(how)
    m = i.read(int(head[2]))
    if not first or step not in ("answer", "after"):
        answer(m)
    elif step == "after":
        say(b"STATUS 0 %%d 0 0\n" %% len(m) + m + how)
    elif isinstance(how, bytes):
        say(how.replace(b"BODY", m)); time.sleep(60)
    else:
        end(how)
'''
cases = []
for step in ("greeting", "head", "environment", "half", "answer"):
    for how in ("die", "end", "hang"):
        cases.append((step, how, [451]))
for g in (b"", b"mx-serve 2\n", b"mx-serve", b"HELLO\n", b"\0\0\0\n", b"mx-serve 1 \n", b"x" * 300, b"x" * 3000000):
    cases.append(("greeting", g, [451]))
for a in (b"", b"STATUS", b"STATUS 0 5 0 0\nab", b"STATUS 0 9\n", b"STATUS 0 -1 0 0\n", b"STATUS 0 999999999999 0 0\nBODY",
          b"STATUS 0 99999999999999999999999999 0 0\nBODY", b"STATUS 0 5 2000000 0\n", b"STATUS 0 5 0 99999999999\nabcde",
          b"STATUS 300 0 0 0\n", b"STATUS -1 0 0 0\n", b"STATUS 75 5 0 0\nabcde", b"STATUS x 0 0 0\n", b"STATUS 0 0x5 0 0\nabcde",
          b"STATUS 0 0 0 0 0\n", b" STATUS 0 5 0 0\nabcde", b"STATUS  0 5 0 0\nabcde", b"status 0 5 0 0\nabcde", b"\0" * 100 + b"\n",
          b"MESSAGE 0 0\n", b"STATUS 0 5 0 0\r\nabcde", b"STATUS 0 " + b"0" * 500 + b" 0 0\n", b"x" * 3000000):
    cases.append(("answer", a, [451]))
# Behind a whole answer, or before the question: what is there belongs to nobody,
# and is no answer to the next one.  (With the same write: what comes later may
# come at any time.)
for g in (b"x", b"STATUS 0 5 0 0\nabcde", b"STATUS 0 12 0 0\nSubject: z\n\n", b"\n" * 5000):
    cases.append(("after", g, [451]))
    cases.append(("early", g, [451]))


def run(case):
    step, how, wanted = case
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
        if len(codes) != 3 or codes[0] not in wanted or codes[2] != 250 or codes[1] != 250:
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
