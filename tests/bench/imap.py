"""imap.py - mx-imapd beside Dovecot: both serve their own copy of one mailbox
on loopback; runs take turns.  Wall time, and the CPU of all processes of the
server: on a machine that others use, too, the second tells more.  See bench.py.

IMAP_N=100000 messages of the scans, IMAP_M=10000 of the single commands,
IMAP_S=10 seconds of the mix, IMAP_IDLE=200 sessions; IMAP_ONLY=mix,idle,
commands,scans: some of them; IMAP_TUNED=1: Dovecot with long-lived processes."""
import multiprocessing, os, random, shutil, statistics, time
from imapservers import Client, Dovecot, Mx, fill, message


def drop_pages():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")


class Table:
    """Rows in the order of their coming; each holds the runs of both servers."""

    def __init__(self):
        self.rows, self.aims = {}, {}

    def put(self, what, server, wall, cpu, aim=None):
        self.rows.setdefault(what, {}).setdefault(server.name, []).append((wall, cpu))
        if aim:
            self.aims[what] = aim

    def show(self, title):
        """Seconds; the ratios are medians of pairs of one turn."""
        print(f"\n{title}; load {os.getloadavg()[0]:.1f}\n{'':44} {'seconds':^21}{'':9}{'CPU seconds':^17}")
        print(f"{'':44} {'mx':>9} {'Dovecot':>9} {'ratio':>8}  {'mx':>8} {'Dovecot':>8} {'ratio':>8}   aim")
        for what, r in self.rows.items():
            m, d = r["mx"], r["dovecot"]
            med = lambda v, i: statistics.median(x[i] for x in v)
            ratio = lambda i: statistics.median(y[i] / max(x[i], 1e-5) for x, y in zip(m, d))
            print(f"{what:44} {med(m, 0):9.3f} {med(d, 0):9.3f} {ratio(0):6.2f} x  {med(m, 1):8.3f} {med(d, 1):8.3f} {ratio(1):6.2f} x   "
                  + verdict(ratio(0), ratio(1), self.aims.get(what)), flush=True)


def verdict(wall, cpu, aim):
    if not aim:
        return ""
    return f"{aim} x: " + ("reached" if wall >= aim else "reached by CPU time" if cpu >= aim else "missed")


class Timed:
    """with Timed(server) as t: ...; t.wall, t.cpu"""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.c, self.t = self.server.cpu(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = time.perf_counter() - self.t, self.server.cpu() - self.c


def one(table, s, what, text, aim=None, tls=False, before=()):
    """One command in a session of its own; LOGOUT's CPU counts (indexes may be written then), LOGIN's and SELECT's do not."""
    c = Client(s.tls if tls else s.port, tls)
    c.cmd("SELECT INBOX")
    for b in before:
        c.cmd(b)
    c0 = s.cpu()
    with Timed(s) as t:
        c.cmd(text)
    c.logout()
    time.sleep(0.2)
    table.put(what, s, t.wall, s.cpu() - c0, aim)


def scan(table, s):
    f, b = "FETCH 1:* (ENVELOPE)", "FETCH 1:* (BODYSTRUCTURE)"
    s.forget()
    with Timed(s) as t:
        c = Client(s.port)
        c.cmd("SELECT INBOX")
        c.logout()
    table.put("login, SELECT, logout, no cache", s, t.wall, t.cpu)
    s.forget()
    one(table, s, "ENVELOPE of all, no cache, warm pages", f, 2)
    one(table, s, "ENVELOPE of all, from the cache", f, 2)
    s.forget()
    one(table, s, "BODYSTRUCTURE of all, no cache, warm pages", b, 1.5)
    one(table, s, "BODYSTRUCTURE of all, from the cache", b)
    one(table, s, "UID FLAGS of all", "FETCH 1:* (UID FLAGS)")
    with Timed(s) as t:
        c = Client(s.port)
        c.cmd("SELECT INBOX")
        c.logout()
    table.put("login, SELECT, logout, again", s, t.wall, t.cpu)
    for what, text, aim in (("ENVELOPE", f, 2), ("BODYSTRUCTURE", b, 1.5)):
        try:
            s.forget()
            drop_pages()
        except OSError:
            return
        one(table, s, f"{what} of all, no cache, dropped pages", text, aim)


def scans(servers, runs, top):
    n = int(os.environ.get("IMAP_N", "100000"))
    fill(f"{top}/source", n)
    for s in servers:
        s.take(f"{top}/source")
    table = Table()
    for _ in range(runs):
        for s in servers:
            scan(table, s)
    table.show(f"mailbox of {n} messages of 1.5 KB, medians of {runs}")
    shutil.rmtree(f"{top}/source")


def searches(table, s):
    s.forget()
    for what, text in (("SUBJECT", 'SEARCH SUBJECT "topic 17"'), ("HEADER (not in an envelope)", "SEARCH HEADER Received nosuch"),
                       ("BODY", 'SEARCH BODY "number 77"'), ("TEXT", 'SEARCH TEXT "nowhere"')):
        one(table, s, f"SEARCH {what}, first", text)
        one(table, s, f"SEARCH {what}, again", text)


def appends(table, s, sync, n=500):
    c, ms = Client(s.port), [message(i, 70) for i in range(n)]
    c.cmd("SELECT INBOX")
    with Timed(s) as t:
        for m in ms:
            c.append("INBOX", m, sync)
    c.logout()
    table.put(f"{n} APPENDs of 4 KB, {'waiting for +' if sync else 'LITERAL+'}", s, t.wall, t.cpu)


def commands(servers, runs, top):
    n = int(os.environ.get("IMAP_M", "10000"))
    fill(f"{top}/source", n, 160)
    table = Table()
    for r in range(runs):
        for s in servers:
            s.take(f"{top}/source")
            c = Client(s.port)
            c.cmd("SELECT INBOX")
            c.logout()
            one(table, s, "FETCH 1:* (BODY.PEEK[])", "FETCH 1:* (BODY.PEEK[])")
            one(table, s, "the same under TLS", "FETCH 1:* (BODY.PEEK[])", tls=True)
            c, rnd = Client(s.port), random.Random(r)
            c.cmd("SELECT INBOX")
            with Timed(s) as t:
                for _ in range(1000):
                    c.cmd(f"FETCH {rnd.randint(1, n)} (UID BODY.PEEK[])")
            c.logout()
            table.put("1000 FETCHes of one message each", s, t.wall, t.cpu)
            searches(table, s)
            one(table, s, "STORE 1:* +FLAGS.SILENT (one flag)", "STORE 1:* +FLAGS.SILENT (\\Flagged)")
            one(table, s, "STORE 1:* +FLAGS (two, with answers)", "STORE 1:* +FLAGS (\\Answered $Work)")
            one(table, s, "STORE 1:* -FLAGS.SILENT (three)", "STORE 1:* -FLAGS.SILENT (\\Flagged \\Answered $Work)")
            appends(table, s, True)
            appends(table, s, False)
            one(table, s, f"EXPUNGE of {n // 2}", "EXPUNGE", before=[f"STORE 1:{n // 2} +FLAGS.SILENT (\\Deleted)"])
    table.show(f"mailbox of {n} messages of 9 KB, medians of {runs}")
    shutil.rmtree(f"{top}/source")
    for s in servers:
        s.forget(True)


def mix_session(server, user, until, total, seed):
    r, n = random.Random(seed), 0
    while time.time() < until:
        c = Client(server.port, user=user)
        c.cmd("SELECT INBOX")
        n += 2
        for _ in range(3):
            c.append("INBOX", message(r.randrange(1000)))
            c.cmd("NOOP")
            c.cmd("FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE)")
            c.cmd("UID SEARCH UNSEEN")
            c.cmd("FETCH 1 (BODY[])")
            c.cmd("STORE 1:3 +FLAGS (\\Seen $Work)")
            c.cmd("SEARCH SUBJECT topic")
            n += 7
        c.cmd("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        c.cmd("EXPUNGE")
        c.cmd("STATUS INBOX (MESSAGES UNSEEN)")
        c.s.close()
        n += 3
    with total.get_lock():
        total.value += n


def mix(servers, runs, top):
    sessions, secs = 8, int(os.environ.get("IMAP_S", "10"))
    for s in servers:
        for i in range(sessions):
            fill(f"{s.mail}/m{i}", 50)
            s.own(f"{s.mail}/m{i}")
    table = Table()
    for r in range(runs):
        for s in servers:
            total, until = multiprocessing.Value("L", 0), time.time() + secs
            ts = [multiprocessing.Process(target=mix_session, args=(s, f"m{i}", until, total, r * 100 + i)) for i in range(sessions)]
            with Timed(s) as t:
                [x.start() for x in ts]
                [x.join() for x in ts]
            n = total.value
            table.put("seconds for 1000 commands", s, t.wall * 1000 / n, t.cpu * 1000 / n, 2)
    table.show(f"command mix, {sessions} sessions for {secs} s, medians of {runs}")


def pss(pids):
    n = 0
    for p in pids:
        try:
            for l in open(f"/proc/{p}/smaps_rollup"):
                if l.startswith("Pss:"):
                    n += int(l.split()[1])
        except OSError:
            pass
    return n


def idle(servers, runs, top):
    sessions = int(os.environ.get("IMAP_IDLE", "200"))
    for s in servers:
        fill(f"{s.mail}/idle", 50)
        s.own(f"{s.mail}/idle")
    res = {}
    for s in servers:
        for r in range(2):  # the first warms what all sessions share
            before, cs = pss(s.pids()), []
            for i in range(sessions if r else 2):
                cs.append(Client(s.tls, True, "idle"))
                cs[-1].cmd("SELECT INBOX")
                cs[-1].idle()
            time.sleep(1)
            res[s.name] = (pss(s.pids()) - before) / len(cs)
            [c.s.close() for c in cs]
            time.sleep(1)
    m, d = res["mx"], res["dovecot"]
    print(f"\n{sessions} sessions under TLS in IDLE, PSS of all processes, KB each: mx {m:.0f}, Dovecot {d:.0f}: {d / m:.2f} x   {verdict(d / m, 0, 2)}", flush=True)


def run_with(a, fn):
    """Both servers, in a folder of their own."""
    top = f"{a.dir or '/tmp'}/mxbench-imap.{os.getpid()}"
    os.mkdir(top)
    os.chmod(top, 0o755)
    servers = []
    try:
        for cls in (Mx, Dovecot):
            servers.append(cls(top))
            servers[-1].start()
        fn(servers, max(1, a.runs), top)
    finally:
        for s in servers:
            s.stop()
        if "MXBENCH_KEEP" not in os.environ:
            shutil.rmtree(top, ignore_errors=True)


def parts(servers, runs, top):
    for name in os.environ.get("IMAP_ONLY", "mix,idle,commands,scans").split(","):
        {"mix": mix, "idle": idle, "commands": commands, "scans": scans}[name](servers, runs, top)


def run(a):
    run_with(a, parts)
