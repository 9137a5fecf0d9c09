#!/usr/bin/env python3
"""A delivery side for tests of mx-recv: ESMTP (or LMTP) on a unix socket.

fake_delivery.py SOCKET FOLDER [OPTION...]
Each accepted message becomes FOLDER/msg.N (wire bytes) and FOLDER/env.N (the
commands of its transaction).  FOLDER/log has every line that came.
Options: lmtp (refuses EHLO), nochunk, nopipe, noxforward, xaction, die=CONNECT|RCPT|
DATA|FINAL (closes there), final=TEXT, mail=TEXT (replies).
Recipients: unknown@... 550, full@... 452, close@... closes the connection.
"""
import os, socket, sys, threading

path, folder = sys.argv[1:3]
opts = dict((o.split("=", 1) + [""])[:2] for o in sys.argv[3:])
os.makedirs(folder, exist_ok=True)
lock = threading.Lock()
count = 0


class Gone(Exception):
    pass


class Session:
    def __init__(self, conn):
        self.conn, self.f = conn, conn.makefile("rb")
        self.reset()

    def reset(self):
        self.env, self.rcpts, self.data, self.mail = [], [], b"", False

    def say(self, text):
        self.conn.sendall(text.encode() + b"\r\n")

    def log(self, line):
        with lock, open(folder + "/log", "ab") as f:
            f.write(line)

    def die(self, where):
        if opts.get("die") == where:
            raise Gone()

    def store(self):
        global count
        self.die("FINAL")
        final = opts.get("final", "250 2.0.0 Ok: stored")
        if final.startswith("2"):
            with lock:
                count += 1
                n = count
            with open("%s/env.%d" % (folder, n), "wb") as f:
                f.write(b"".join(self.env))
            with open("%s/tmp.%d" % (folder, n), "wb") as f:
                f.write(self.data)
            os.rename("%s/tmp.%d" % (folder, n), "%s/msg.%d" % (folder, n))
        n = len(self.rcpts) if "lmtp" in opts else 1
        self.reset()
        for line in (final.split("|") * n if "|" not in final else final.split("|")):
            self.say(line)

    def hello(self, word):
        if (word == "EHLO") == ("lmtp" in opts) or word == "HELO":
            return self.say("500 5.5.1 command not recognized")
        caps = ["fake", "8BITMIME", "SIZE 50000000", "SMTPUTF8", "DSN",
                "ENHANCEDSTATUSCODES"]
        if "nopipe" not in opts:
            caps.append("PIPELINING")
        if "nochunk" not in opts:
            caps.append("CHUNKING")
        if "noxforward" not in opts:
            caps.append("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
                        " LOGIN TLS")
        if "xaction" in opts:
            caps.append("XACTION")
        for i, c in enumerate(caps):
            self.say("250%s%s" % (" " if i == len(caps) - 1 else "-", c))

    def rcpt(self, line):
        self.die("RCPT")
        if not self.mail:
            return self.say("503 5.5.1 need MAIL")
        if b"<unknown@" in line:
            return self.say("550 5.1.1 <unknown>: Recipient address rejected:"
                            " User unknown in local recipient table")
        if b"<full@" in line:
            return self.say("452 4.2.2 Mailbox full")
        if b"<close@" in line:
            raise Gone()
        self.rcpts.append(line)
        self.env.append(line)
        self.say("250 2.1.5 Ok: taken")

    def mail_from(self, line):
        if self.mail:
            return self.say("503 5.5.1 nested MAIL")
        if "mail" in opts:
            return self.say(opts["mail"])
        self.mail = True
        self.env.append(line)
        self.say("250 2.1.0 Ok")

    def bdat(self, line):
        words = line.split()
        self.data += self.f.read(int(words[1]))
        self.die("DATA")
        if opts.get("bdat"):
            self.reset()
            return self.say(opts["bdat"])
        if len(words) > 2:
            self.store()
        else:
            self.say("250 2.0.0 chunk")

    def read_data(self):
        self.die("DATA")
        self.say("354 go")
        while True:
            line = self.f.readline()
            if not line:
                raise Gone()
            if line == b".\r\n":
                return self.store()
            self.data += line[1:] if line.startswith(b".") else line

    def run(self):
        self.die("CONNECT")
        self.say("220 fake ready")
        while True:
            line = self.f.readline()
            if not line:
                return
            self.log(line)
            word = line.split()[0].decode().upper()
            if word in ("EHLO", "LHLO", "HELO"):
                self.hello(word)
            elif word == "XACTION":
                self.env.append(line)
                self.say("250 2.0.0 Ok")
            elif word == "XFORWARD":
                self.env.append(line)
                self.say("250 2.0.0 Ok")
            elif word == "MAIL":
                self.mail_from(line)
            elif word == "RCPT":
                self.rcpt(line)
            elif word == "BDAT":
                self.bdat(line)
            elif word == "DATA":
                self.read_data()
            elif word == "RSET":
                self.reset()
                self.say("250 2.0.0 Ok")
            elif word == "QUIT":
                return self.say("221 2.0.0 Bye")
            else:
                self.say("502 5.5.2 what?")


def serve(conn):
    with conn:
        try:
            Session(conn).run()
        except (Gone, OSError):
            pass


s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(1000)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
