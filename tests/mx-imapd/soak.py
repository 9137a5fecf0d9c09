"""soak.py SECONDS DIR: clients, a delivery loop, a mutt in the same Maildir, an
mbsync, and a hand that kills sessions, all at once on one user's mail; then
(and all the time) the invariants:

 - a UID of a mailbox names one message for ever (while UIDVALIDITY stays, and
   it stays);
 - sequence numbers move only by EXPUNGE, VANISHED and EXISTS;
 - what nobody asked to remove is there, in its mailbox, under its UID;
 - each delivery that succeeded is somewhere, unless somebody removed it;
 - a keyword that a client set or cleared, and was told so, stays so.
"""
import random, signal, threading
from imap import *

SECONDS, DIR = float(sys.argv[1]), sys.argv[2]
PORT, MONITOR = os.environ["IMAPS"], int(os.environ["IMAPD_PID"])
NOBODY = ["setpriv", "--reuid=nobody", "--clear-groups"] if os.getuid() == 0 else []
BOXES = ["INBOX", "Work", "Work.Sub", "Lists"]
CLIENTS = 6
end = time.monotonic() + SECONDS
lock = threading.Lock()
seen = {}        # (box, uid) -> subject
validity = {}    # box -> UIDVALIDITY
removable = set()  # (box, uid) that somebody asked to remove
# subjects of those: copies have \Deleted, too, and mutt removes what has it
gone_ok = set()
keywords = {}    # (box, uid, client) -> bool, as last acknowledged; None: not known
delivered = set()
errors, counts = [], {}
stop = threading.Event()


def count(what):
    with lock: counts[what] = counts.get(what, 0) + 1


def running():
    return not stop.is_set() and time.monotonic() < end


class Lost(Exception):
    pass


class Soaker:
    def __init__(self, k):
        self.k, self.r, self.c, self.box, self.uids = k, random.Random(k), None, None, None

    def open(self):
        self.c = connect(PORT, tls=True)
        self.cmd("LOGIN joe@x.test secret").ok()
        self.box = None
        self.qresync = self.r.random() < 0.5
        if self.qresync: self.cmd("ENABLE QRESYNC").ok()

    def cmd(self, text, *lit):
        try:
            a = self.c.cmd(text, *lit)
        except (EOFError, OSError) as e:
            raise Lost(str(e))
        self.follow(a.lines)
        if a.tagged.split(b" ")[1] == b"BAD": raise AssertionError(f"{text}: {a.tagged}")
        return a

    def follow(self, lines):
        """What the server told, in order: numbers and their UIDs."""
        if self.uids is None: return
        for l in lines:
            m = re.match(rb"\* (\d+) (EXISTS|EXPUNGE)$", l)
            if m:
                n = int(m.group(1))
                if m.group(2) == b"EXPUNGE":
                    assert 1 <= n <= len(self.uids), f"EXPUNGE {n} of {len(self.uids)}"
                    self.gone(self.uids.pop(n - 1))
                else:
                    assert n >= len(self.uids), f"EXISTS {n} after {len(self.uids)}"
                    self.uids += [None] * (n - len(self.uids))
            m = re.match(rb"\* VANISHED ([\d:,]+)$", l)
            if m:
                for p in m.group(1).split(b","):
                    a, _, b = p.partition(b":")
                    for u in range(int(a), int(b or a) + 1):
                        self.gone(u)
                        if u in self.uids: self.uids.remove(u)
                        # one of those that were never looked at: which number it had is not known
                        else: self.uids = [None] * (len(self.uids) - 1)
            m = re.match(rb"\* (\d+) FETCH \((?:.* )?UID (\d+)", l, re.S)
            if m:
                n, u = int(m.group(1)), int(m.group(2))
                assert n <= len(self.uids), f"FETCH {n} of {len(self.uids)}"
                assert self.uids[n - 1] in (None, u), f"number {n} was UID {self.uids[n - 1]}, is {u}"
                self.uids[n - 1] = u

    def gone(self, u):
        with lock:
            s = seen.get((self.box, u), "")
            # nobody read its subject: it may be mutt's, and `delivered` tells in the end
            assert u is None or s == "" or (self.box, u) in removable or s in gone_ok or s.startswith("mutt"), f"{self.box} {u} ({s}) vanished, and nobody removed it"

    def select(self):
        box = self.r.choice(BOXES)
        self.uids = []
        self.box = box
        a = self.cmd(f"SELECT {box}").ok()
        v = a.find(rb"UIDVALIDITY (\d+)").group(1)
        with lock: assert validity.setdefault(box, v) == v, f"{box}: UIDVALIDITY {validity[box]} is {v}"

    def look(self):
        """All UIDs, subjects and keywords against what is known."""
        if not self.uids: return
        # noted before: what another one acknowledges meanwhile is not judged
        with lock: before = {k: v for k, v in keywords.items() if k[0] == self.box and k[2] == self.k}
        a = self.cmd("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        last = 0
        for l in a.lines:
            m = re.match(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \((.*?)\).*Subject: ([^\r]*)", l, re.S)
            if not m: continue
            u, flags, s = int(m.group(2)), m.group(3).split(), m.group(4).decode()
            assert u > last, "UIDs ascend"
            last = u
            with lock:
                assert seen.setdefault((self.box, u), s) == s, f"{self.box} {u} was {seen[(self.box, u)]}, is {s}"
                want = before.get((self.box, u, self.k))
            if want is not None:
                assert (b"kw%d" % self.k in flags) == want, f"{self.box} {u}: kw{self.k} {want}, and it has {flags}"
        count("look")

    def some(self):
        """A UID that is known, or None."""
        known = [u for u in self.uids or [] if u]
        return self.r.choice(known) if known else None

    def keyword(self):
        u, on = self.some(), self.r.random() < 0.6
        if u is None: return
        with lock: keywords[(self.box, u, self.k)] = None
        a = self.cmd(f"UID STORE {u} {'+' if on else '-'}FLAGS (kw{self.k})")
        there = any(re.match(rb"\* \d+ FETCH", l) and b"UID %d" % u in l for l in a.lines)
        if b" OK " in a.tagged[:12] and there:
            with lock: keywords[(self.box, u, self.k)] = on
        count("store")

    def remove(self, us, how):
        with lock:
            for u in us: removable.add((self.box, u)); gone_ok.add(seen.get((self.box, u), ""))
        self.cmd(how); count(how.split()[1] if how.startswith("UID") else how.split()[0])

    def act(self):
        r = self.r.random()
        if self.box is None or r < 0.08: self.select()
        elif r < 0.25: self.look()
        elif r < 0.50: self.keyword()
        elif r < 0.58:
            u = self.some()
            if u: self.cmd(f"UID STORE {u} {self.r.choice('+-')}FLAGS.SILENT ({self.r.choice(['Seen', 'Flagged', 'Answered'])})".replace("(", "(\\")); count("flag")
        elif r < 0.65:
            u = self.some()
            if u: self.cmd(f"UID COPY {u} {self.r.choice(BOXES)}"); count("COPY")
        elif r < 0.75:
            u = self.some()
            if u:
                # not gone: it is in the other one then, by another UID
                with lock: removable.add((self.box, u))
                self.cmd(f"UID MOVE {u} {self.r.choice([b for b in BOXES if b != self.box])}"); count("MOVE")
        elif r < 0.88:
            us = sorted({u for u in (self.some() for _ in range(3)) if u and (self.box, u) in seen})
            if us:
                with lock:
                    for u in us: removable.add((self.box, u)); gone_ok.add(seen.get((self.box, u), ""))
                s = ",".join(map(str, us))
                self.cmd(f"UID STORE {s} +FLAGS.SILENT (\\Deleted)"); self.remove(us, f"UID EXPUNGE {s}")
        elif r < 0.93:
            s = f"append{self.k}.{self.r.random()}"
            a = self.cmd(f"APPEND {self.r.choice(BOXES)} \0%", f"Subject: {s}\r\n\r\nx\r\n".encode())
            if b" OK " in a.tagged[:12]:
                with lock: delivered.add(s)
            count("APPEND")
        elif r < 0.97:
            self.cmd("UID SEARCH UNSEEN SUBJECT 1"); self.cmd("STATUS Lists (MESSAGES UNSEEN)"); count("SEARCH")
        else:
            self.c.send("i IDLE\r\n")
            try:
                lines = []
                while True:
                    l = self.c.line()
                    lines.append(l)
                    if l.startswith(b"+"): break
                time.sleep(self.r.random())
                self.c.send("DONE\r\n")
                a = self.c.until(b"i", "IDLE")
            except (EOFError, OSError) as e: raise Lost(str(e))
            self.follow(lines + a.lines); count("IDLE")

    def run(self):
        try:
            while running():
                try:
                    self.open()
                    while running():
                        self.act()
                        time.sleep(self.r.random() * 0.05)
                        if self.r.random() < 0.003: self.cmd("LOGOUT"); raise Lost("by itself")
                except Lost: count("session")
                except (ConnectionError, ssl.SSLError, TimeoutError) as e:
                    # a login whose session was killed, a worker that ends
                    count("reconnect"); time.sleep(0.2)
        except BaseException as e:
            errors.append(f"client {self.k}: {type(e).__name__} {e}"); stop.set()


def deliver():
    n = 0
    while running():
        n += 1
        s = f"{'mutt' if n % 10 == 0 else 'm'}{n}."
        box = random.choice(BOXES)
        p = subprocess.run([*NOBODY, "mx-deliver", "--maildir", DIR if box == "INBOX" else f"{DIR}/.{box}"],
                           input=f"From: a@x.test\nSubject: {s}\n\nbody of {s}\n".encode(), env={k: v for k, v in os.environ.items() if k != "MX_CONFIG"})
        if p.returncode == 0:
            with lock: delivered.add(s)
        count("delivery"); time.sleep(0.1)


def mutt():
    """In the Maildir itself: flags all that is its own, deletes half of it."""
    import pty
    while running():
        for box in (DIR, f"{DIR}/.Lists"):
            pid, fd = pty.fork()
            if pid == 0:
                os.environ.update(TERM="xterm", HOME=os.environ["T"])
                os.execvp("setpriv" if NOBODY else "mutt", [*NOBODY, "mutt", "-n", "-F", os.environ["T"] + "/muttrc", "-f", box, "-e",
                    'push "<tag-pattern>~s mutt<enter><tag-prefix-cond><flag-message><end-cond><untag-pattern>.<enter><delete-pattern>~s mutt.*2<enter><sync-mailbox><quit>"'])
            until = time.monotonic() + 20
            while time.monotonic() < until:
                try:
                    if select.select([fd], [], [], 1)[0] and not os.read(fd, 65536): break
                except OSError: break
            else: os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0); os.close(fd); count("mutt")
        time.sleep(1)


def mbsync():
    while running():
        p = subprocess.run(["mbsync", "-q", "-c", os.environ["T"] + "/mbsyncrc", "c"], capture_output=True, timeout=300)
        # a session of its own that was killed, or a box that changed under it, is no fault
        count("mbsync" if p.returncode == 0 else "mbsync again"); time.sleep(2)


def sessions():
    out = []
    for p in os.listdir("/proc"):
        if p.isdigit():
            try: f = open(f"/proc/{p}/stat").read().rsplit(") ", 1)[1].split()
            except OSError: continue
            if int(f[1]) == MONITOR: out.append(int(p))
    return out


def owner(p):
    """The process's uid, or None: it has ended."""
    try: return int(open(f"/proc/{p}/status").read().split("Uid:")[1].split()[1])
    except OSError: return None


def kill():
    r = random.Random(1)
    while running():
        time.sleep(5)
        mine = [p for p in sessions() if owner(p) == os.stat(DIR).st_uid]
        if not mine: continue
        try: os.kill(r.choice(mine), signal.SIGKILL); count("kill")
        except ProcessLookupError: pass


def view():
    c = connect(PORT, tls=True)
    c.cmd("LOGIN joe@x.test secret").ok()
    out = {}
    for b in BOXES:
        a = c.cmd(f"SELECT {b}").ok()
        assert a.find(rb"UIDVALIDITY (\d+)").group(1) == validity.get(b, a.find(rb"UIDVALIDITY (\d+)").group(1))
        for l in c.cmd("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").lines:
            m = re.search(rb"UID (\d+) FLAGS \((.*?)\).*Subject: ([^\r]*)", l, re.S)
            if m: out[(b, int(m.group(1)))] = (m.group(3).decode(), m.group(2).split())
    c.cmd("LOGOUT")
    return out


c = connect(PORT, tls=True); c.cmd("LOGIN joe@x.test secret").ok()
for b in BOXES[1:]: c.cmd(f"CREATE {b}").ok()
c.cmd("LOGOUT")
# a hand that fell asleep proves nothing
threading.excepthook = lambda a: (errors.append(f"{a.thread.name}: {a.exc_type.__name__} {a.exc_value}"), stop.set())
people = [Soaker(k) for k in range(CLIENTS)]
threads = [threading.Thread(target=t) for t in (deliver, mutt, mbsync, kill, *(p.run for p in people))]
start = time.monotonic()
for t in threads: t.start()
for t in threads: t.join()
try:
    now = view()
    there = {s for s, _ in now.values()}
    for (b, u), s in seen.items():
        if (b, u) in now: assert now[(b, u)][0] == s, f"{b} {u} was {s}, is {now[(b, u)][0]}"
        else: assert (b, u) in removable or s in gone_ok or s.startswith("mutt"), f"{b} {u} {s} is gone, and nobody removed it"
    for s in delivered:
        assert s in there or s in gone_ok or s.startswith("mutt"), f"{s} was delivered and is nowhere"
    for (b, u, k), on in keywords.items():
        if on is not None and (b, u) in now: assert (b"kw%d" % k in now[(b, u)][1]) == on, f"{b} {u}: kw{k} {on}, and it has {now[(b, u)][1]}"
    left = [f for r, _, fs in os.walk(DIR) for f in fs if f.endswith(".lock")]
    assert not left, left
except AssertionError as e: errors.append(f"at the end: {e}")
print(f"{time.monotonic() - start:.0f} s:", ", ".join(f"{v} {k}" for k, v in sorted(counts.items())), f"; {len(seen)} UIDs seen, {len(now)} left")
for e in errors: print("not so:", e)
sys.exit(1 if errors else 0)
