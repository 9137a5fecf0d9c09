"""imap.py - a plain IMAP client for tests: one method a command, answers as
lists of bytes with their literals in place.  Nothing is hidden.

    from imap import *
    c = preauth("mail")            # mx-imapd --preauth --maildir mail
    c.cmd("SELECT INBOX").ok()
    c.cmd("FETCH 1 (UID)").has(b"* 1 FETCH (UID 1)")
"""
import atexit, os, re, select, socket, ssl, subprocess, sys, time


class Answer:
    def __init__(self, cmd, lines, tagged):
        self.cmd, self.lines, self.tagged = cmd, lines, tagged

    def word(self, w):
        got = self.tagged.split(b" ", 1)[1] if b" " in self.tagged else b""
        assert got.upper().startswith(w), f"{self.cmd!r}: expected {w}, got {self.tagged!r}"
        return self

    def ok(self, code=None):
        return self.word(b"OK").code(code)

    def no(self, code=None):
        return self.word(b"NO").code(code)

    def bad(self):
        return self.word(b"BAD")

    def code(self, code):
        if code is not None:
            assert b"[" + code in self.tagged, f"{self.cmd!r}: no [{code}] in {self.tagged!r}"
        return self

    def has(self, *lines):
        for l in lines:
            assert l in self.lines, f"{self.cmd!r}: no {l!r} in {self.lines!r}"
        return self

    def hasnt(self, part):
        for l in self.lines:
            assert part not in l, f"{self.cmd!r}: {part!r} in {l!r}"
        return self

    def find(self, regex):
        for l in self.lines + [self.tagged]:
            m = re.search(regex, l, re.S)
            if m:
                return m
        raise AssertionError(f"{self.cmd!r}: no {regex!r} in {self.lines!r} {self.tagged!r}")


class Client:
    def __init__(self, rfd, wfd, keep=None):
        self.r, self.w, self.keep, self.n, self.buf = rfd, wfd, keep, 0, b""
        self.greeting = self.line()

    def more(self, wait):
        if not select.select([self.r], [], [], wait)[0] and not (hasattr(self.r, "pending") and self.r.pending()):
            raise TimeoutError(f"silence; so far {self.buf!r}")
        d = self.r.recv(65536) if hasattr(self.r, "recv") else os.read(self.r, 65536)
        if not d:
            raise EOFError(f"closed; so far {self.buf!r}")
        self.buf += d

    def take(self, n, wait=20):
        while len(self.buf) < n:
            self.more(wait)
        d, self.buf = self.buf[:n], self.buf[n:]
        return d

    def line(self, wait=20):
        """One answer line without CRLF, literals inside it as they came."""
        out = b""
        while True:
            while b"\n" not in self.buf:
                self.more(wait)
            l, self.buf = self.buf.split(b"\n", 1)
            assert l.endswith(b"\r"), f"a line that ends in LF alone: {l!r}"
            out += l[:-1]
            m = re.search(rb"\{(\d+)\}$", out)
            if not m:
                return out
            out += b"\r\n" + self.take(int(m.group(1)))

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        if hasattr(self.w, "sendall"):
            self.w.sendall(data)
        else:
            while data:
                data = data[os.write(self.w, data):]

    def until(self, tag, cmd):
        lines = []
        while True:
            l = self.line()
            if l.startswith(tag + b" "):
                return Answer(cmd, lines, l)
            lines.append(l)

    def cmd(self, text, *literals):
        """A command; each "%" in text stands for a literal that the server is
        asked for first."""
        self.n += 1
        tag = b"t%d" % self.n
        data = text.encode() if isinstance(text, str) else text
        pieces = data.split(b"\0%") if literals else [data]
        assert len(pieces) == len(literals) + 1
        self.send(tag + b" " + pieces[0])
        for lit, rest in zip(literals, pieces[1:]):
            self.send(b"{%d}\r\n" % len(lit))
            l = self.line()
            if not l.startswith(b"+"):
                lines = []
                while not l.startswith(tag + b" "):
                    lines.append(l)
                    l = self.line()
                return Answer(text, lines, l)
            self.send(lit + rest)
        self.send(b"\r\n")
        return self.until(tag, text)

    def append(self, mailbox, msg, args=""):
        return self.cmd(f"APPEND {mailbox} {args + ' ' if args else ''}\0%", msg)

    def select(self, name="INBOX"):
        return self.cmd(f"SELECT {name}").ok(b"READ-WRITE")

    def closed(self):
        """The server says what it has to say and closes."""
        try:
            while True:
                self.more(20)
        except EOFError:
            return self.buf

    def silent(self, wait=0.5):
        try:
            self.more(wait)
        except TimeoutError:
            return True
        return False


class Process(Client):
    all = []

    def __init__(self, argv, **kw):
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, **kw)
        Process.all.append(self.p)
        try:
            super().__init__(self.p.stdout.fileno(), self.p.stdin.fileno())
        except (EOFError, BrokenPipeError):
            self.gone()
            raise

    def end(self):
        """Closes our end; the exit status."""
        self.p.stdin.close()
        while True:
            try:
                self.more(20)
            except EOFError:
                break
        return self.gone()

    def gone(self):
        """It has ended: its descriptors go too, for some tests start hundreds; the exit status."""
        status = self.p.wait(20)
        for f in (self.p.stdin, self.p.stdout):
            try:
                f.close()
            except OSError:
                pass
        if self.p in Process.all:
            Process.all.remove(self.p)
        return status


@atexit.register
def end_all():
    """No session outlives its test: it may still have something to write."""
    for p in Process.all:
        for f in (p.stdin, p.stdout):
            try:
                f.close()
            except OSError:
                pass
    for p in Process.all:
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()


def preauth(maildir, *args):
    return Process(["mx-imapd", "--preauth", "--maildir", maildir, *args])


def connect(port, tls=False):
    s = socket.create_connection(("127.0.0.1", int(port)), 20)
    if tls:
        s = context().wrap_socket(s, server_hostname="localhost")
    return Client(s, s)


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


def starttls(c):
    c.cmd("STARTTLS").ok()
    assert c.buf == b""
    c.r = c.w = context().wrap_socket(c.r, server_hostname="localhost")


def put(maildir, msg, sub="new", name=None, flags=None, mtime=None):
    """A message as a deliverer puts it there, without any lock."""
    put.n += 1
    for d in ("cur", "new", "tmp"):
        os.makedirs(f"{maildir}/{d}", exist_ok=True)
    name = name or f"{int(time.time())}.M{put.n:06d}P{os.getpid()}Q{put.n}.test,S={len(msg)}"
    if flags is not None:
        name += ":2," + flags
    with open(f"{maildir}/tmp/x{put.n}", "wb") as f:
        f.write(msg)
    if mtime is not None:
        os.utime(f"{maildir}/tmp/x{put.n}", (mtime, mtime))
    os.rename(f"{maildir}/tmp/x{put.n}", f"{maildir}/{sub}/{name}")
    return name


put.n = 0


def files(maildir):
    return sorted(f for d in ("cur", "new") for f in os.listdir(f"{maildir}/{d}"))


def uidlist(maildir):
    return open(f"{maildir}/dovecot-uidlist").read().splitlines()
