#!/usr/bin/env python3
"""A milter for tests: milter_peer.py PORT LOG [RULE...]

Writes each event with its macros to LOG.  A RULE is EVENT=ACTION (EVENT@TEXT=
ACTION: only when the event's data holds TEXT), for EVENT connect helo mail
rcpt data header eoh body eom unknown; ACTION is continue, accept, reject, tempfail,
discard, skip, shutdown, "reply 550 5.7.1 text", close (the connection), wait
(for ever), raw HEX; at eom also, as many as wanted, before the verdict:
add N: V | insert I N: V | change I N: V | addrcpt A [ARGS] | delrcpt A |
from A [ARGS] | body TEXT | quarantine R | progress.
--version N --actions N --protocol N --symlist STAGE:NAMES: negotiation.
"""
import socket, struct, sys, threading, time

NAMES = {b"C": "connect", b"H": "helo", b"M": "mail", b"R": "rcpt", b"T": "data",
         b"L": "header", b"N": "eoh", b"B": "body", b"E": "eom", b"U": "unknown"}
VERDICTS = {"continue": b"c", "accept": b"a", "reject": b"r", "tempfail": b"t",
            "discard": b"d", "skip": b"s", "shutdown": b"4"}
NR = {"header": 0x80, "connect": 0x1000, "helo": 0x2000, "mail": 0x4000, "rcpt": 0x8000,
      "data": 0x10000, "unknown": 0x20000, "eoh": 0x40000, "body": 0x80000}

opt = {"version": 6, "actions": 0x1ff, "protocol": 0, "symlist": []}
rules = []
args = sys.argv[1:]
port, log = int(args[0]), open(args[1], "a", buffering=1)
args = args[2:]
while args:
    a = args.pop(0)
    if a.startswith("--"):
        v = args.pop(0)
        if a == "--symlist":
            opt["symlist"].append(v)
        else:
            opt[a[2:]] = int(v, 0)
    else:
        event, action = a.split("=", 1)
        event, _, text = event.partition("@")
        rules.append((event, text, action))


def packet(code, data=b""):
    return struct.pack("!I", len(data) + 1) + code + data


def z(*parts):
    return b"".join(p.encode("utf-8", "surrogateescape") + b"\0" for p in parts)


def change(action):
    word, _, rest = action.partition(" ")
    rest = rest.encode().decode("unicode_escape")
    if word == "add":
        n, v = rest.split(":", 1)
        return packet(b"h", z(n, v.lstrip(" ")))
    if word in ("insert", "change"):
        i, rest = rest.split(" ", 1)
        n, v = rest.split(":", 1)
        return packet(b"i" if word == "insert" else b"m",
                      struct.pack("!I", int(i)) + z(n, v.lstrip(" ")))
    if word == "addrcpt":
        a, _, p = rest.partition(" ")
        return packet(b"2", z(a, p)) if p else packet(b"+", z(a))
    if word == "delrcpt":
        return packet(b"-", z(rest))
    if word == "from":
        a, _, p = rest.partition(" ")
        return packet(b"e", z(a, p) if p else z(a))
    if word == "body":
        return packet(b"b", rest.encode())
    if word == "quarantine":
        return packet(b"q", z(rest))
    if word == "progress":
        return packet(b"p")
    return None


def serve(c):
    f = c.makefile("rb")
    macros = {}
    while True:
        head = f.read(4)
        if len(head) < 4:
            log.write("closed\n")
            return
        n = struct.unpack("!I", head)[0]
        body = f.read(n)
        code, data = body[:1], body[1:]
        if code == b"O":
            v, a, p = struct.unpack("!III", data[:12])
            log.write("negotiate %d %x %x\n" % (v, a, p))
            out = struct.pack("!III", opt["version"], opt["actions"] & ~(0 if opt["symlist"] else 0x100), opt["protocol"])
            for s in opt["symlist"]:
                stage, names = s.split(":", 1)
                out += struct.pack("!I", int(stage)) + z(names)
            c.sendall(packet(b"O", out))
        elif code == b"D":
            w = data[1:].split(b"\0")[:-1]
            macros = dict(zip(w[::2], w[1::2]))
            log.write("macros %s %s\n" % (NAMES.get(data[:1]), " ".join(
                "%s=%s" % (k.decode(), macros[k].decode()) for k in macros)))
        elif code == b"Q":
            log.write("quit\n")
            return
        elif code == b"A":
            log.write("abort\n")
        else:
            event = NAMES[code]
            if event == "body":
                log.write("body %d %r\n" % (len(data), data[:60]))
            else:
                log.write("%s %s\n" % (event, " ".join(repr(x.decode("latin1"))[1:-1] for x in data.split(b"\0"))))
            out, verdict = b"", b"c"
            for e, text, action in rules:
                if e != event or text.encode() not in data:
                    continue
                if action in VERDICTS:
                    verdict = VERDICTS[action]
                elif action.startswith("reply "):
                    verdict = None
                    out += packet(b"y", z(action[6:].encode().decode("unicode_escape")))
                elif action == "close":
                    c.close()
                    return
                elif action == "wait":
                    time.sleep(1000)
                elif action.startswith("raw "):
                    verdict = None
                    out += bytes.fromhex(action[4:])
                else:
                    out += change(action)
            if opt["protocol"] & NR.get(event, 0):
                continue
            c.sendall(out + (packet(verdict) if verdict else b""))


l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", port))
l.listen(64)
while True:
    c, _ = l.accept()
    threading.Thread(target=serve, args=(c,), daemon=True).start()
