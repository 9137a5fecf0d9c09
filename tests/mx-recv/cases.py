#!/usr/bin/env python3
"""cases.py FILE NAME=PORT...: protocol cases, a line each, on a fresh connection.

  [SERVER] STATE step ; step ; ...        a step is  SEND -> EXPECT
STATE: new (after 220), raw (before 220), ehlo, mail, rcpt, data (after 354), -tls: with
TLS from the first byte.  SEND: text (CRLF is added) or =BYTES with Python escapes;
nothing: only read.  EXPECT: the reply's last line begins with it ("250 2.1.0"), ~TEXT is
somewhere in the reply, !TEXT is not, eof: closed, any: a reply; nothing: none is read.
Prints what failed, and how many cases there were."""
import re, socket, ssl, sys

ports = dict(a.split("=") for a in sys.argv[2:])
START = {"ehlo": ["EHLO me.test"], "mail": ["EHLO me.test", "MAIL FROM:<a@x.test>"],
         "rcpt": ["EHLO me.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@mx.test>"],
         "data": ["EHLO me.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@mx.test>", "DATA"],
         "lhlo": ["LHLO me.test"], "helo": ["HELO me.test"], "new": [], "raw": []}


class Conn:
    def __init__(self, port, tls):
        self.c = socket.create_connection(("127.0.0.1", int(port)), 20)
        if tls:
            ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
            self.c = ctx.wrap_socket(self.c)
        self.buf = b""

    def line(self):
        while b"\n" not in self.buf:
            try: got = self.c.recv(65536)
            except OSError: got = b""
            if not got: return None
            self.buf += got
        one, self.buf = self.buf.split(b"\n", 1)
        return one.rstrip(b"\r").decode("utf-8", "replace")

    def reply(self):
        lines = []
        while True:
            one = self.line()
            if one is None: return lines
            lines.append(one)
            if one[3:4] != "-": return lines

    def send(self, b):
        try: self.c.sendall(b)
        except OSError: pass


def check(got, want):
    if want == "eof": return not got
    if not got: return False
    if want == "any": return True
    if want.startswith("~"): return want[1:] in "\n".join(got)
    if want.startswith("!"): return want[1:] not in "\n".join(got)
    return got[-1].startswith(want)


def run(server, state, steps):
    tls = state.endswith("-tls")
    state = state[:-4] if tls else state
    k = Conn(ports[server], tls)
    if state != "raw":
        got = k.reply()
        if not check(got, "220"): return "greeting: %r" % got
    for cmd in START[state]:
        k.send(cmd.encode() + b"\r\n")
        got = k.reply()
        if not got or got[-1][:1] not in "23": return "%s: %r" % (cmd, got)
    for step in steps.split(" ; "):
        send, _, want = step.partition("->")
        send, want = send.strip(), want.strip()
        if send.startswith("="): k.send(eval("b'" + send[1:].replace("'", "\\'") + "'"))
        elif send == "starttls":
            ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
            k.c = ctx.wrap_socket(k.c)
        elif send: k.send(send.encode() + b"\r\n")
        if want:
            got = k.reply()
            if not check(got, want): return "%s -> %r, wanted %s" % (send[:100], got, want)
    k.c.close()
    return None


n = bad = 0
for line in open(sys.argv[1]):
    line = line.rstrip("\n")
    if not line or line.startswith("#"): continue
    m = re.match(r"(?:\[(\w+)\] )?(\S+) +(.*)", line)
    n += 1
    try: why = run(m[1] or "plain", m[2], m[3])
    except Exception as e: why = repr(e)
    if why:
        bad += 1
        print("case: %s\n  %s" % (line, why))
print("%d cases, %d failed" % (n, bad))
sys.exit(1 if bad else 0)
