#!/usr/bin/env python3
"""smtp_peer.py PORT [--mode MODE] [--log FILE] ...: an SMTP or LMTP server
that behaves as told, well or badly.  Each message it took is a JSON line of
FILE; each connection is a line {"event": "connect"}."""
import argparse, base64, hashlib, hmac, json, os, socket, ssl, sys, threading, time

p = argparse.ArgumentParser()
p.add_argument("port")                       # a number, or a socket's path
p.add_argument("--host", default="127.0.0.1")
p.add_argument("--mode", default="ok")
p.add_argument("--log", default="/dev/null")
p.add_argument("--cert"), p.add_argument("--key")
p.add_argument("--auth")                     # USER:PASSWORD
p.add_argument("--login-only", action="store_true")
p.add_argument("--mechs")                    # what AUTH offers
p.add_argument("--scram-lies", action="store_true")
p.add_argument("--lmtp", action="store_true")
p.add_argument("--second")                   # the second message of a session fails so
p.add_argument("--wrap", action="store_true")   # TLS from the first byte on
p.add_argument("--caps", default="PIPELINING,8BITMIME,SMTPUTF8,DSN,ENHANCEDSTATUSCODES,SIZE 10000000")
p.add_argument("--mailmax", type=int, default=10**6)
p.add_argument("--rcptmax", type=int, default=10**6)
p.add_argument("--onedomain", action="store_true")
p.add_argument("--tls12", action="store_true")
o = p.parse_args()
ctx = None
lock = threading.Lock()


def log(**what):
    with lock, open(o.log, "a") as f:
        f.write(json.dumps(what) + "\n")


class Gone(Exception):
    pass


class Session:
    def __init__(self, sock):
        self.s, self.buf, self.tls, self.user = sock, b"", False, None
        self.count = self.mails = 0
        self.reset()

    def reset(self):
        self.sender, self.rcpts, self.options = None, [], []

    def say(self, text):
        self.s.sendall(text.encode() + b"\r\n")

    def line(self):
        while b"\n" not in self.buf:
            d = self.s.recv(65536)
            if not d:
                raise Gone
            self.buf += d
        l, self.buf = self.buf.split(b"\n", 1)
        return l.rstrip(b"\r")

    def mode(self, step):
        """Misbehave at this step, as o.mode = WHAT-STEP says."""
        what, _, at = o.mode.rpartition("-")
        if at != step:
            return False
        if what == "drop":
            raise Gone
        elif what == "half":
            self.s.sendall(b"25")
            raise Gone
        elif what == "endless":
            while True:
                self.s.sendall(b"250-" + b"x" * 60 + b"\r\n")
        elif what == "long":
            self.s.sendall(b"250 ")
            while True:
                self.s.sendall(b"x" * 1000)
        elif what == "garbage":
            self.say("HTTP/1.1 400 Bad Request\r\nServer: x")
        elif what == "silent":
            time.sleep(600)
        elif what == "slow":            # a byte a moment, for ever
            while True:
                self.s.sendall(b"2")
                time.sleep(0.2)
        elif what.isdigit():
            self.say("%s %s.7.1 told to say so" % (what, what[0]))
        elif what == "two":
            self.say("250 2.0.0 one\r\n250 2.0.0 two")
        elif what == "nul":
            self.say("550 5.1.1 a\0b\x1b[31mc\u202e")
        else:
            return False
        return True

    def second(self, step):
        """As o.second = WHAT-at-STEP says, once a message was taken."""
        what, _, at = (o.second or "").partition("-at-")
        if at != step or self.count == 0:
            return False
        if what == "close":
            raise Gone
        self.say("%s %s.7.0 enough of this session" % (what, what[0]))
        if what == "421":
            raise Gone
        return True

    def took(self):
        self.count += 1
        if o.second == "close":
            time.sleep(0.02)
            raise Gone
        if o.second == "421":
            self.say("421 4.4.2 bye")
            raise Gone

    def run(self):
        log(event="connect")
        if o.wrap:
            self.wrap()
        if not self.mode("greeting"):
            self.say("220 peer.example ESMTP")
        while True:
            l = self.line()
            verb = l.split(b" ")[0].upper().decode("latin1")
            arg = l[len(verb) + 1:].decode("utf-8", "replace")
            f = getattr(self, "do_" + verb.lower(), None)
            if f is None:
                self.say("502 5.5.2 what?")
            elif f(arg) == "quit":
                return

    def do_ehlo(self, arg):
        log(event="hello", name=arg)
        if self.mode("ehlo"):
            return
        caps = [c for c in o.caps.split(",") if c]
        if o.cert and not self.tls or o.mode.endswith("-starttls"):
            caps.append("STARTTLS")
        if o.auth:
            caps.append("AUTH " + o.mechs if o.mechs else
                        "AUTH LOGIN" if o.login_only else "AUTH PLAIN LOGIN XOAUTH2")
        lines = ["peer.example"] + caps
        for c in lines[:-1]:
            self.say("250-" + c)
        self.say("250 " + lines[-1])

    do_lhlo = do_ehlo

    def do_helo(self, arg):
        if not self.mode("helo"):
            self.say("250 peer.example")

    def do_starttls(self, arg):
        if o.mode == "inject-starttls":
            self.say("220 go\r\n250 injected")
            return
        if self.mode("starttls"):
            return
        self.say("220 2.0.0 go")
        self.wrap()
        self.buf = b""

    def wrap(self):
        global ctx
        if not ctx:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(o.cert, o.key)
            ctx.sni_callback = lambda sock, name, c: log(event="sni", name=name)
            if o.tls12:
                ctx.maximum_version = ssl.TLSVersion.TLSv1_2
        self.s, self.tls = ctx.wrap_socket(self.s, server_side=True), True
        log(event="tls", resumed=self.s.session_reused)

    def challenge(self, text):
        self.say("334 " + base64.b64encode(text).decode())
        return base64.b64decode(self.line())

    def scram(self, name, first, plus=False):       # RFC 5802, with what python has
        user, password = o.auth.encode().split(b":", 1)
        gs2, bare = b",".join(first.split(b",", 2)[:2]) + b",", first.split(b",", 2)[2]
        bound = gs2
        if plus != gs2.startswith(b"p="):
            return self.say("535 5.7.8 a wrong gs2 flag")
        if gs2.startswith(b"p=tls-unique,"):
            bound += self.s.get_channel_binding("tls-unique")
        elif gs2.startswith(b"p=tls-server-end-point,"):
            with open(o.cert) as f:
                bound += hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).digest()
        elif plus:
            return self.say("535 5.7.8 a type of binding that is not known")
        a = dict(x.split(b"=", 1) for x in bare.split(b","))
        salt, nonce = os.urandom(16), a[b"r"] + b"server"
        sf = b"r=" + nonce + b",s=" + base64.b64encode(salt) + b",i=4096"
        final = self.challenge(sf)
        head, proof = final.rsplit(b",p=", 1)
        am = b",".join([bare, sf, head])
        if base64.b64decode(head.split(b",")[0][2:]) != bound:
            return self.say("535 5.7.8 somebody is in between")
        salted = hashlib.pbkdf2_hmac(name, password, salt, 4096)
        mac = lambda k, t: hmac.new(k, t, name).digest()
        ck = mac(salted, b"Client Key")
        want = bytes(x ^ y for x, y in zip(ck, mac(hashlib.new(name, ck).digest(), am)))
        if a[b"n"] != user or base64.b64decode(proof) != want:
            return self.say("535 5.7.8 no")
        key = os.urandom(32) if o.scram_lies else mac(salted, b"Server Key")
        self.challenge(b"v=" + base64.b64encode(mac(key, am)))
        self.user = user.decode()
        log(event="auth", mechanism="SCRAM-" + name + ("-plus" if plus else ""), gs2=gs2.decode())
        self.say("235 2.7.0 ok")

    def do_auth(self, arg):
        words = arg.split(" ")
        if words[0].startswith("SCRAM-"):
            name = words[0].removesuffix("-PLUS")
            return self.scram({"SCRAM-SHA-1": "sha1"}.get(name, "sha256"), base64.b64decode(words[1]), name != words[0])
        if words[0] in ("PLAIN", "XOAUTH2") and len(words) == 1:
            self.say("334 ")
            words.append(self.line().decode())
        if words[0] == "PLAIN":
            got = base64.b64decode(words[1]).split(b"\0")[1:]
        elif words[0] == "OAUTHBEARER":     # n,a=U,^Aauth=Bearer T^A^A
            w = base64.b64decode(words[1]).split(b"\1")
            got = [w[0].split(b"a=")[1].rstrip(b","), w[1].removeprefix(b"auth=Bearer ")]
        elif words[0] == "XOAUTH2":     # user=U^Aauth=Bearer T^A^A
            got = [w.split(b"=", 1)[1] for w in base64.b64decode(words[1]).split(b"\1")[:2]]
            got[1] = got[1].removeprefix(b"Bearer ")
        else:
            got = []
            for prompt in (b"Username:", b"Password:"):
                self.say("334 " + base64.b64encode(prompt).decode())
                got.append(base64.b64decode(self.line()))
        log(event="auth", mechanism=words[0])
        if b":".join(got).decode() == o.auth:
            self.user = got[0].decode()
            self.say("235 2.7.0 ok")
        else:
            self.say("535 5.7.8 no")

    def do_mail(self, arg):
        if self.mode("mail") or self.second("mail"):
            return
        if o.auth and not self.user:
            return self.say("530 5.7.0 log in")
        self.mails += 1
        if self.mails > o.mailmax:
            return self.say("421 4.7.0 too many messages")
        self.sender, self.options = arg, []
        self.say("250 2.1.0 ok")

    def do_rcpt(self, arg):
        if self.mode("rcpt") or self.second("rcpt"):
            return
        if arg.startswith("TO:<no"):
            return self.say("550 5.1.1 no such user")
        if arg.startswith("TO:<later"):
            return self.say("450 4.2.1 later")
        if len(self.rcpts) >= o.rcptmax:
            return self.say("452 4.5.3 too many recipients")
        if o.onedomain and self.rcpts and arg.split("@")[1].split(">")[0] != self.rcpts[0].split("@")[1].split(">")[0]:
            return self.say("452 4.5.3 too many domains")
        self.rcpts.append(arg)
        self.say("250 2.1.5 ok")

    def do_data(self, arg):
        if self.mode("data") or self.second("data"):
            return
        if not self.rcpts:
            return self.say("554 5.5.1 no recipients")
        self.say("354 go")
        if o.mode == "early-body":
            self.say("250 2.0.0 taken, or so I say")
            time.sleep(0.3)
            raise Gone
        if o.mode == "drop-body":
            self.s.recv(10)
            raise Gone
        body = []
        while True:
            l = self.line()
            if l == b".":
                break
            body.append(l[1:] if l.startswith(b".") else l)
        if self.mode("dot"):
            return self.reset()
        log(event="message", sender=self.sender, rcpts=self.rcpts,
            body=b"\n".join(body).decode("utf-8", "replace"), tls=self.tls,
            user=self.user)
        for r in self.rcpts if o.lmtp else [None]:
            if r and "full" in r:
                self.say("452 4.2.2 over quota")
            else:
                self.say("250 2.0.0 taken")
        self.reset()
        self.took()

    def do_bdat(self, arg):
        n, last = int(arg.split()[0]), arg.upper().endswith(" LAST")
        if o.mode == "drop-body":
            self.s.recv(10)
            raise Gone
        while len(self.buf) < n:
            d = self.s.recv(65536)
            if not d:
                raise Gone
            self.buf += d
        self.chunks, self.buf = getattr(self, "chunks", b"") + self.buf[:n], self.buf[n:]
        log(event="bdat", size=n, last=last)
        if not self.rcpts:
            return self.say("503 5.5.1 no recipients")
        if not last:
            return self.mode("bdat") or self.say("250 2.0.0 more")
        body, self.chunks = self.chunks, b""
        if self.mode("dot"):
            return self.reset()
        log(event="message", sender=self.sender, rcpts=self.rcpts,
            body=body.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n"),
            tls=self.tls, user=self.user)
        for r in self.rcpts if o.lmtp else [None]:
            self.say("452 4.2.2 over quota" if r and "full" in r else "250 2.0.0 taken")
        self.reset()
        self.took()

    def do_xforward(self, arg):
        log(event="xforward", arg=arg)
        if not self.mode("xforward"):
            self.say("250 2.0.0 ok")

    def do_rset(self, arg):
        log(event="rset")
        self.reset()
        self.say("250 2.0.0 ok")

    do_noop = do_rset

    def do_quit(self, arg):
        log(event="quit")
        self.say("221 2.0.0 bye")
        return "quit"


def serve(c):
    try:
        Session(c).run()
    except (Gone, OSError):
        pass
    finally:
        try:
            c.close()
        except OSError:
            pass


if o.port.isdigit():
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((o.host, int(o.port)))
else:
    l = socket.socket(socket.AF_UNIX)
    l.bind(o.port)
    os.chmod(o.port, 0o666)
l.listen(50)
while True:
    c, _ = l.accept()
    threading.Thread(target=serve, args=(c,), daemon=True).start()
