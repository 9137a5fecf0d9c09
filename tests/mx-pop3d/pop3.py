"""pop3.py - a plain POP3 client for tests: nothing is hidden.

    from pop3 import *
    c = preauth("mail")                 # mx-pop3d --preauth --maildir mail
    c.cmd("STAT").ok(b"0 0")
    lines = c.multi("UIDL")
"""
import os, re, socket, ssl, subprocess, sys, time


class Line(bytes):
    def ok(self, rest=None):
        assert self == b"+OK" or self.startswith(b"+OK "), self
        assert rest is None or self == b"+OK " + rest, (self, rest)
        return self

    def err(self, code=None):
        assert self.startswith(b"-ERR "), self
        assert code is None or self.startswith(b"-ERR [" + code + b"] "), self
        return self


class Client:
    def __init__(self, f, sock=None, proc=None, greets=True):
        self.f, self.sock, self.p = f, sock, proc
        self.greeting = self.line() if greets else None

    def line(self):
        l = self.f.readline()
        assert l.endswith(b"\r\n"), f"no whole line: {l!r}"
        return Line(l[:-2])

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.sock.sendall(data) if self.sock else (self.p.stdin.write(data), self.p.stdin.flush())

    def cmd(self, text):
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.line()

    def rest(self):
        out = []
        while (l := self.f.readline()) != b".\r\n":
            assert l.endswith(b"\r\n"), f"no whole line: {l!r}"
            out.append(l[:-2])
        return out

    def multi(self, text):
        self.cmd(text).ok()
        return self.rest()

    def message(self, text):
        """RETR, TOP: the bytes, dots undone."""
        return b"".join((l[1:] if l.startswith(b".") else l) + b"\r\n" for l in self.multi(text))

    def closed(self):
        """What still comes before the server closes."""
        return self.f.read()

    def drop(self):
        if self.sock:
            self.f.close(); self.sock.close()
        else:
            self.p.stdin.close(); self.f.read(); self.p.wait(20)

    def quit(self):
        r = self.cmd("QUIT")
        assert self.closed() == b""
        if self.p: self.p.wait(20)
        return r


def preauth(path, *args):
    p = subprocess.Popen(["mx-pop3d", *args, "--preauth", "--maildir", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return Client(p.stdout, proc=p)


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    return c


def connect(port, tls=False):
    s = socket.create_connection(("127.0.0.1", int(port)), 20)
    if tls: s = context().wrap_socket(s)
    return Client(s.makefile("rb"), s)


def stls(c):
    c.cmd("STLS").ok()
    c.sock = context().wrap_socket(c.sock)
    c.f = c.sock.makefile("rb")


def login(port, user="joe@x.test", tls=True):
    c = connect(port, tls)
    c.cmd(f"USER {user}").ok(); c.cmd("PASS secret").ok()
    return c


def deliver(path, name, data, sub="new"):
    for d in ("cur", "new", "tmp"): os.makedirs(f"{path}/{d}", exist_ok=True)
    with open(f"{path}/{sub}/{name}", "wb") as f: f.write(data)


def files(path):
    return sorted(f for d in ("cur", "new") for f in os.listdir(f"{path}/{d}"))
