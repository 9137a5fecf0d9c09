"""sieved.py - a plain ManageSieve client for tests: nothing is hidden.

    from sieved import *
    c = preauth()                      # mx-sieved --preauth, below "home"
    c.cmd('PUTSCRIPT "a" ', b"keep;").ok()
    c.lines                            # data lines before the OK, as lists
"""
import base64, os, re, socket, ssl, subprocess, sys, time

b64 = lambda s: base64.b64encode(s.encode() if isinstance(s, str) else s).decode()


class Client:
    def __init__(self, f, sock=None, proc=None, greets=True):
        self.f, self.sock, self.p = f, sock, proc
        self.caps = self.answer().lines if greets else None

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.sock.sendall(data) if self.sock else (self.p.stdin.write(data), self.p.stdin.flush())

    def tokens(self):
        """One line of the server: words and strings, literals read."""
        out, line = [], self.f.readline()
        assert line.endswith(b"\r\n"), f"no whole line: {line!r}"
        while True:
            m = re.match(rb' ?"((?:[^"\\]|\\.)*)"', line)
            if m:
                out.append(re.sub(rb"\\(.)", rb"\1", m.group(1))); line = line[m.end():]; continue
            m = re.match(rb" ?\{(\d+)\}\r\n", line)
            if m:
                out.append(self.f.read(int(m.group(1)))); line = self.f.readline(); continue
            m = re.match(rb" ?(\((?:[^()\"{]|\"[^\"]*\")*(?:\{(\d+)\}\r\n)?)", line)
            if m and m.group(2):
                tag = self.f.read(int(m.group(2))); line = self.f.readline()
                out.append(m.group(1) + tag + b")"); line = line[1:]; continue
            if m:
                out.append(m.group(1) + b")"); line = line[m.end() + 1:]; continue
            if line == b"\r\n": return out
            m = re.match(rb" ?([^ \r\n]+)", line)
            assert m, f"no token: {line!r}"
            out.append(m.group(1)); line = line[m.end():]

    def answer(self):
        self.lines = []
        while True:
            t = self.tokens()
            if t and t[0] in (b"OK", b"NO", b"BYE"):
                self.word, self.code, self.text = t[0], (t[1][1:-1] if t[1].startswith(b"(") else None), t[-1]
                return self
            self.lines.append(t)

    def cmd(self, text, *literals):
        """Literals are sent as {N+} behind the text."""
        data = text.encode() if isinstance(text, str) else text
        for l in literals:
            data += b"{%d+}\r\n%s" % (len(l), l)
        self.send(data + b"\r\n")
        return self.answer()

    def is_(self, word, code):
        assert self.word == word, (self.word, self.code, self.text)
        assert code is None or self.code == code, (self.code, self.text)
        return self

    def ok(self, code=None): return self.is_(b"OK", code)
    def no(self, code=None): return self.is_(b"NO", code)
    def bye(self, code=None): return self.is_(b"BYE", code)
    def list(self): return self.cmd("LISTSCRIPTS").ok().lines
    def closed(self):
        try: return self.f.read()
        except ConnectionResetError: return b"" # it did not read all of ours

    def logout(self):
        self.cmd("LOGOUT").ok()
        assert self.closed() == b""
        if self.p: self.p.wait(20)


def preauth(*args, home="home"):
    os.makedirs(home, exist_ok=True)
    h = os.path.abspath(home)
    p = subprocess.Popen(["mx-sieved", "-o", f"sieve={h}/.dovecot.sieve", "-o", f"sieve_dir={h}/sieve", *args, "--preauth"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return Client(p.stdout, proc=p)


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    return c


def connect(port=None):
    s = socket.create_connection(("127.0.0.1", int(port or os.environ["SIEVE"])), 20)
    return Client(s.makefile("rb"), s)


def starttls(c):
    c.cmd("STARTTLS").ok()
    c.sock = context().wrap_socket(c.sock)
    c.f = c.sock.makefile("rb")
    c.caps = c.answer().ok().lines
    return c


def login(user="joe@x.test"):
    c = starttls(connect())
    c.cmd(f'AUTHENTICATE "PLAIN" "{b64(chr(0) + user + chr(0) + "secret")}"').ok()
    return c


def cap(lines, name):
    return next((l[1] if len(l) > 1 else b"" for l in lines if l[0] == name), None)
