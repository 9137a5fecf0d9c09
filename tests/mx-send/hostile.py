#!/usr/bin/env python3
"""hostile.py [WORD]: servers that break off, lie and confuse, a table of them;
what mx-send makes of each: a verdict a recipient, how often the message was
taken, and whether a second host, which behaves, was given it.  TAP."""
import base64, os, re, socket, ssl, subprocess, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor

DROP, RST, HANG = "drop", "rst", "hang"
CAPS = b"PIPELINING SIZE_9999999 8BITMIME DSN ENHANCEDSTATUSCODES"
tmp = tempfile.mkdtemp()
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp + "/k",
                "-out", tmp + "/c", "-days", "9", "-subj", "/CN=h"], check=True, capture_output=True)
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain(tmp + "/c", tmp + "/k")


class Server:
    """steps: VERB -> what it says, bytes as they are; DROP, RST, HANG; a list:
    the first time, the second time ... (the last stays)."""

    def __init__(self, steps, caps=CAPS, lmtp=False):
        self.steps, self.caps, self.lmtp = steps, caps.split(), lmtp
        self.taken, self.rcpts_taken, self.conns, self.count = 0, [], 0, {}
        self.log = []
        self.l = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.port = self.l.getsockname()[1]
        self.stop = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.l.accept()
            except OSError:
                return
            self.conns += 1
            threading.Thread(target=self.session, args=(c,), daemon=True).start()

    def say(self, c, step, normal):
        what = self.steps.get(step, normal)
        if isinstance(what, list):
            n = self.count[step] = self.count.get(step, -1) + 1
            what = what[min(n, len(what) - 1)]
        if what is None:
            what = normal
        if what == RST:
            c[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if what in (DROP, RST):
            raise EOFError
        if what == HANG:
            self.stop.wait(60)
            raise EOFError
        for piece in what if isinstance(what, tuple) else (what,):
            if piece == DROP:
                raise EOFError
            c[0].sendall(piece)
        return b"".join(p for p in (what if isinstance(what, tuple) else (what,)) if p != DROP)

    def line(self, c):
        while b"\n" not in c[1]:
            d = c[0].recv(65536)
            if not d:
                raise EOFError
            c[1] += d
        l, c[1] = c[1].split(b"\n", 1)
        return l.rstrip(b"\r")

    def session(self, s):
        c, rcpts = [s, b""], []
        try:
            self.say(c, "connect", b"")
            self.say(c, "banner", b"220 h ESMTP\r\n")
            while True:
                l = self.line(c)
                v = l.split(b" ")[0].upper().decode("latin1")
                self.log.append(l)
                if v in ("EHLO", "LHLO"):
                    caps = [x.replace(b"_", b" ") for x in self.caps]
                    if isinstance(c[0], ssl.SSLSocket):
                        v, caps = "EHLO2", [x for x in caps if x != b"STARTTLS"]
                    ls = [b"h"] + caps
                    self.say(c, v, b"".join(b"250-" + x + b"\r\n" for x in ls[:-1]) + b"250 " + ls[-1] + b"\r\n")
                elif v == "STARTTLS":
                    if self.say(c, v, b"220 go\r\n").startswith(b"220"):
                        self.say(c, "handshake", b"")
                        c[0] = ctx.wrap_socket(c[0], server_side=True)
                        c[1] = b""
                        self.say(c, "tls", b"")
                elif v == "RCPT":
                    r = self.say(c, v, b"550 5.1.1 no\r\n" if b"<no" in l else b"250 2.1.5 ok\r\n")
                    if r.rstrip().split(b"\r\n")[-1].startswith(b"250"):
                        rcpts.append(re.search(rb"<(.*?)>", l)[1].decode())
                elif v == "DATA":
                    if self.say(c, v, b"354 go\r\n").startswith(b"354"):
                        while self.line(c) != b".":
                            pass
                        self.end(c, rcpts)
                        rcpts = []
                elif v == "BDAT":
                    n = int(l.split()[1])
                    while len(c[1]) < n:
                        d = c[0].recv(65536)
                        if not d:
                            raise EOFError
                        c[1] += d
                    c[1] = c[1][n:]
                    if "BDAT" in self.steps or b"LAST" not in l.upper():
                        self.say(c, v, b"250 2.0.0 more\r\n")
                    else:
                        self.end(c, rcpts)
                        rcpts = []
                elif v == "QUIT":
                    self.say(c, v, b"221 2.0.0 bye\r\n")
                    return
                elif v == "RSET":
                    rcpts = []
                    self.say(c, v, b"250 2.0.0 ok\r\n")
                elif v == "AUTH":
                    self.say(c, v, b"235 2.7.0 ok\r\n")
                elif v in ("MAIL", "NOOP", "HELO"):
                    if self.say(c, v, b"250 2.1.0 ok\r\n") and v == "MAIL":
                        rcpts = []
                else:
                    self.say(c, "other", b"502 5.5.2 what\r\n")
        except (EOFError, OSError, ValueError):
            pass
        finally:
            try:
                c[0].close()
            except OSError:
                pass

    def end(self, c, rcpts):
        n = len(rcpts) if self.lmtp else 1
        r = self.say(c, "dot", b"250 2.0.0 taken\r\n" * n)
        # a dot for nobody is no message (RFC 2920 3.1)
        if b"250" in r and rcpts:
            self.taken += 1
            self.rcpts_taken += rcpts


D, B, S = "deferred", "bounced", "sent"
ok = b"250 2.0.0 ok\r\n"
TLS = CAPS + b" STARTTLS"
PLAIN = b"SIZE_9999999 8BITMIME"
T3 = ["a@x", "b@x", "c@x"]
one = ["b@x"]
cases = []


def case(name, steps, verdicts, taken=0, caps=CAPS, to=one, opts=(), second=None, **kw):
    """second: what the second host takes (messages); None: there is none."""
    cases.append((name, steps, verdicts, taken, caps, to, list(opts), second, kw))


# The link breaks at each step: retried; the next host is asked, but after the dot.
for step in ("connect", "banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"):
    for how in (DROP, RST):
        case("%s at %s" % (how, step), {step: how}, [D])
        case("%s at %s, a second host" % (how, step), {step: how}, [D if step == "dot" else S], second=step != "dot")
for step in ("banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"):
    case("half a reply at " + step, {step: (b"25", DROP)}, [D], second=None)
    case("silence at %s, a second host" % step, {step: HANG}, [D if step == "dot" else S], second=step != "dot")
for how in (DROP, RST, HANG, b"554 no\r\n", b"\xff\0" * 600000):
    case("%.10s at QUIT: it was taken" % how, {"QUIT": how}, [S], 1)
    case("%.10s at QUIT after a refusal" % how, {"QUIT": how, "RCPT": b"550 5.1.1 no\r\n"}, [B])
# STARTTLS: in clear only where that is allowed, and never injected
for step in ("STARTTLS", "handshake", "tls", "EHLO2"):
    for how in (DROP, HANG) + ((b"XXXX" * 100,) if step == "handshake" else (b"454 no\r\n",)):
        w = "%.8s at %s, " % (how, step)
        case(w + "encrypt", {step: how}, [D], caps=TLS, opts=["-osmtp_tls_security_level=encrypt"])
        case(w + "encrypt, a second host", {step: how}, [S], caps=TLS, opts=["-osmtp_tls_security_level=encrypt"], second=True)
        case(w + "encrypt, a second host without TLS", {step: how}, [D], caps=TLS, opts=["-osmtp_tls_security_level=encrypt"],
             second=False, caps2=CAPS)
for step in ("STARTTLS", "handshake"):
    case("%s is refused, may" % step, {step: b"454 4.7.0 not now\r\n"}, [S], 1, caps=TLS)
    case("drop at %s, may" % step, {step: DROP}, [S], 1, caps=TLS)
case("a reply behind STARTTLS' is never read as TLS'", {"STARTTLS": b"220 go\r\n250 injected\r\n"}, [D], caps=TLS,
     opts=["-osmtp_tls_security_level=encrypt"])
# AUTH
AUTH = CAPS + b" AUTH_PLAIN_LOGIN"
login = ["-osmtp_sasl_auth_enable=yes", "-osmtp_sasl_security_options=", "-osmtp_sasl_password_maps=inline:{{127.0.0.1=u:p}}"]
for how in (DROP, RST, HANG, b"23", (b"235", DROP), b"334 AAAA\r\n", b"334 !!!\r\n", b"535 5.7.8 no\r\n", b"350 ok\r\n", b"454 4.7.0 no\r\n",
            b"235 " + b"x" * 2000000 + b"\r\n"):
    case("AUTH: %.14s" % (how,), {"AUTH": how}, [D], caps=AUTH, opts=login)
    case("AUTH: %.14s, a second host" % (how,), {"AUTH": how}, [S], caps=AUTH, opts=login, second=True)
case("LOGIN asked for ever", {"AUTH": b"334 VXNlcm5hbWU6\r\n", "other": b"334 VXNlcm5hbWU6\r\n"}, [D], caps=CAPS + b" AUTH_LOGIN", opts=login)
# The n-th recipient
for caps in (CAPS, PLAIN):
    w = "pipelined: " if caps is CAPS else "one by one: "
    case(w + "lost after the second", {"RCPT": [None, None, DROP]}, [D, D, D], caps=caps, to=T3)
    case(w + "lost after a refusal", {"RCPT": [b"550 5.1.1 no\r\n", DROP]}, [B, D, D], caps=caps, to=T3)
    case(w + "421 in the middle", {"RCPT": [None, (b"421 4.3.2 bye\r\n", DROP)]}, [D, D, D], caps=caps, to=T3)
    case(w + "421 in the middle, a second host", {"RCPT": [None, (b"421 4.3.2 bye\r\n", DROP)]}, [S, S, S], caps=caps, to=T3, second=True)
    case(w + "a refusal, then 421, a second host", {"RCPT": [b"550 5.1.1 no\r\n", (b"421 4.3.2 bye\r\n", DROP)]}, [B, S, S], caps=caps, to=T3, second=True)
    case(w + "421 to MAIL", {"MAIL": (b"421 4.3.2 bye\r\n", DROP)}, [D, D, D], caps=caps, to=T3)
    case(w + "421 to DATA", {"DATA": (b"421 4.3.2 bye\r\n", DROP)}, [D, D, D], caps=caps, to=T3)
    case(w + "421 after the dot", {"dot": (b"421 4.3.2 bye\r\n", DROP)}, [D, D, D], caps=caps, to=T3)
    case(w + "all refused, 354 all the same", {"RCPT": b"550 5.1.1 no\r\n"}, [B, B, B], caps=caps, to=T3)
    case(w + "one refused", {}, [S, B, S], 1, caps=caps, to=["a@x", "no@x", "c@x"])
# Replies that are none
for step in ("banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"):
    # (the last line counts, but a "yes" behind a "no"; after EHLO it is HELO)
    case("yes and no in one reply at " + step, {step: b"250-one\r\n550 5.1.1 two\r\n"},
         [D] if step == "banner" else [S] if step == "EHLO" else [B], int(step in ("EHLO", "dot")))
    case("no and yes in one reply at " + step, {step: b"550-one\r\n250 2.0.0 two\r\n"}, [D], int(step == "dot"))
    case("a line of 1 MB at " + step, {step: b"250 " + b"x" * 1000000 + b"\r\n"}, [D], int(step == "dot"))
    case("no code at %s" % step, {step: b"hello\r\n"}, [D])
    case("codes of no class at %s" % step, {step: b"999 5.0.0 x\r\n"}, [D])
    case("NUL at " + step, {step: b"\0\0\0\r\n"}, [D])
case("8-bit and control bytes in a refusal", {"RCPT": b"550 5.1.1 \xff\xfe\0\x1b[2J\r bad\r\n"}, [B])
case("354 to RCPT", {"RCPT": b"354 go\r\n"}, [D])
case("354 to MAIL", {"MAIL": b"354 go\r\n"}, [D])
case("250 to DATA", {"DATA": ok}, [D])
case("354 after the dot", {"dot": b"354 more\r\n"}, [D])
case("354 and nothing", {"dot": HANG}, [D])
case("all replies in advance", {"banner": b"220 h\r\n250 h\r\n" + ok * 2 + b"354 go\r\n" + ok, "EHLO": b"", "MAIL": b"", "RCPT": b"", "DATA": b""}, [D], caps=b"")
case("the end's reply with DATA's", {"DATA": b"354 go\r\n250 2.0.0 taken\r\n"}, [D])
# Extensions that are told and not there
optional = (b"555 5.5.4 unsupported parameter\r\n", b"501 5.5.4 syntax\r\n", b"504 5.5.4 no\r\n")
for r in optional:
    case("SIZE is told, %.3s to it" % r, {"MAIL": [r, None]}, [S], 1, caps=b"SIZE_999999")
    case("the same, pipelined" + r[:3].decode(), {"MAIL": [r, None]}, [S], 1)
    case("DSN is told, %.3s to it" % r, {"RCPT": [r, None]}, [S], 1, caps=b"DSN", opts=["--rcpt-options=NOTIFY=NEVER"])
    case("always %.3s" % r, {"MAIL": r}, [B])
for r in (b"500 5.5.1 no\r\n", b"502 5.5.1 no\r\n", b"504 5.5.1 no\r\n"):
    case("CHUNKING is told, BDAT: %.3s" % r, {"BDAT": r}, [S], 1, caps=CAPS + b" CHUNKING")
    case("CHUNKING is told, both: %.3s" % r, {"BDAT": r, "DATA": r}, [B], caps=CAPS + b" CHUNKING")
case("BDAT is refused for what it is", {"BDAT": b"554 5.7.1 spam\r\n"}, [B], caps=CAPS + b" CHUNKING")
case("drop at BDAT", {"BDAT": DROP}, [D], caps=CAPS + b" CHUNKING")
case("SMTPUTF8 is told and refused", {"MAIL": b"555 5.6.7 no\r\n"}, [B], caps=CAPS + b" SMTPUTF8", to=["\u00e9@x"])
case("8BITMIME is told and refused: in 7 bits", {"MAIL": [b"555 5.5.4 no\r\n", None]}, [S], 1, opts=["8bit"])
case("PIPELINING is told, one reply for all", {"RCPT": b""}, [D, D, D], to=T3)
case("SIZE: a number that is none", {}, [S], 1, caps=b"SIZE_99999999999999999999999999 PIPELINING")
# LMTP
L = ["--lmtp"]
case("LMTP: one reply for three", {"dot": b"250 2.0.0 a\r\n"}, [S, D, D], 1, to=T3, opts=L, lmtp=True)
case("LMTP: one reply, then the end", {"dot": (b"250 2.0.0 a\r\n", DROP)}, [S, D, D], to=T3, opts=L, lmtp=True)
case("LMTP: more replies than recipients", {"dot": ok * 9}, [S, S, S], 1, to=T3, opts=L, lmtp=True)
case("LMTP: each its own", {"dot": ok + b"552 5.2.2 full\r\n452 4.2.2 later\r\n"}, [S, B, D], 1, to=T3, opts=L, lmtp=True)
case("LMTP: lost at the dot", {"dot": DROP}, [D, D, D], to=T3, opts=L, lmtp=True)


def run(c):
    name, steps, verdicts, taken, caps, to, opts, second, kw = c
    caps2 = kw.pop("caps2", caps)
    s = Server(steps, caps, **kw)
    s2 = Server({}, caps2, **kw) if second is not None else None
    hop = "[127.0.0.1]:%d" % s.port + (", [127.0.0.1]:%d" % s2.port if s2 else "")
    args = ["mx-send", "-onet_user=nobody", "-omyhostname=client.example", "-omta_sts=no", "-osmtp_tcp_port=25"]
    args += ["-osmtp_%s_timeout=8" % t for t in ("helo", "mail", "rcpt", "data_init", "data_done", "starttls")]
    body = b"Subject: x\n\nbody\n"
    if "8bit" in opts:
        opts = [o for o in opts if o != "8bit"]
        body = b"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\xc3\x9f\n"
    p = subprocess.run(args + opts + ["--nexthop", hop] + to, input=body, capture_output=True, timeout=120)
    got = dict(l.split(b" ")[:2] for l in p.stdout.splitlines())
    got = [got.get(r.encode(), b"?").decode() for r in to]
    wrong = []
    if got != verdicts:
        wrong.append("verdicts %s, expected %s" % (got, verdicts))
    for _ in range(20):  # the client may be gone before it is counted
        if s.taken == taken:
            break
        time.sleep(0.05)
    if s.taken != taken:
        wrong.append("taken %d times, expected %d" % (s.taken, taken))
    if s2 and s2.taken != int(second):
        wrong.append("the second host took %d" % s2.taken)
    for r in to:
        if (s.rcpts_taken + (s2.rcpts_taken if s2 else [])).count(r) > 1:
            wrong.append(r + " has it twice")
    want = 75 if D in verdicts else 69 if B in verdicts else 0
    if p.returncode != want:
        wrong.append("status %d" % p.returncode)
    if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", p.stdout):
        wrong.append("control bytes")
    for x in (s, s2):
        if x:
            x.stop.set()
            x.l.close()
    return name, wrong, p.stdout + p.stderr


want = [c for c in cases if len(sys.argv) < 2 or sys.argv[1] in c[0]]
bad = 0
with ThreadPoolExecutor(24) as pool:
    for i, (name, wrong, out) in enumerate(pool.map(run, want), 1):
        if wrong:
            bad += 1
            print("# %s: %s\n#   %s" % (name, "; ".join(wrong), out.decode("latin1")[:600]))
print("%d cases, %d wrong" % (len(want), bad))
subprocess.run(["rm", "-rf", tmp])
sys.exit(bad > 0)
