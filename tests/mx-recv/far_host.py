#!/usr/bin/env python3
"""far_host.py PORT LOG MODE: the host that addresses are verified at.  Each
line that a client says is in LOG behind "C: ".  MODE is what RCPT hears: ok,
reject, later, or slow (a 250 that takes five seconds)."""
import socket, sys, threading, time

port, log, mode = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1), sys.argv[3]
RCPT = {"ok": "250 2.1.5 yes", "slow": "250 2.1.5 yes", "reject": "550 5.1.1 not here, never",
        "later": "451 4.7.1 greylisted"}


def serve(s):
    f = s.makefile("rb")
    s.sendall(b"220 far.test\r\n")
    for line in f:
        line = line.decode().rstrip()
        log.write("C: " + line + "\n")
        word = line.split()[0].upper()
        if word == "RCPT" and mode == "slow":
            time.sleep(5)
        say = {"EHLO": "250-far.test\r\n250 ENHANCEDSTATUSCODES", "RCPT": RCPT[mode],
               "DATA": "554 no data here", "QUIT": "221 bye"}.get(word, "250 ok")
        s.sendall(say.encode() + b"\r\n")
        if word == "QUIT":
            break
    s.close()


l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", port))
l.listen(20)
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
