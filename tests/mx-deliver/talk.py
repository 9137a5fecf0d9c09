#!/usr/bin/env python3
"""talk.py SOCKET < SCRIPT: an SMTP or LMTP session with a unix socket.

Script lines, in order; what the server says is printed:
  > TEXT     send TEXT and CRLF, then read one whole reply
  >> TEXT    send TEXT and CRLF without reading (pipelining)
  < N        read N whole replies
  = FILE     send FILE as the body of DATA (CRLF, dots), the end, read a reply
  # FILE     send FILE as BDAT LAST (CRLF), read a reply
  raw BYTES  send BYTES with Python escapes, read nothing
  close      close the connection
SOCKET may be exec:COMMAND.
"""
import os, shlex, socket, subprocess, sys

def connect(where):
    if where.startswith("exec:"):
        a, b = socket.socketpair()
        p = subprocess.Popen(shlex.split(where[5:]), stdin=b, stdout=b)
        b.close()
        return a, p
    s = socket.socket(socket.AF_UNIX)
    s.connect(where)
    return s, None

sock, child = connect(sys.argv[1])
sock.settimeout(30)
f = sock.makefile("rb")

def reply():
    while True:
        try: line = f.readline()
        except OSError: line = b""
        if not line:
            print("(closed)")
            return
        print(line.decode("utf-8", "replace").rstrip("\r\n"))
        if line[3:4] != b"-":
            return

def wire(path):
    data = open(path, "rb").read().replace(b"\r\n", b"\n")
    if data and not data.endswith(b"\n"):
        data += b"\n"
    return data.replace(b"\n", b"\r\n")

def send(b):
    try: sock.sendall(b)
    except OSError: pass

reply()
for line in sys.stdin:
    line = line.rstrip("\n")
    if line.startswith(">> "):
        send(line[3:].encode() + b"\r\n")
    elif line.startswith("> "):
        send(line[2:].encode() + b"\r\n"); reply()
    elif line.startswith("< "):
        for _ in range(int(line[2:])): reply()
    elif line.startswith("= "):
        d = wire(line[2:])
        d = b"\r\n".join(b"." + l if l.startswith(b".") else l for l in d.split(b"\r\n"))
        send(d + b".\r\n"); reply()
    elif line.startswith("# "):
        d = wire(line[2:])
        send(b"BDAT %d LAST\r\n" % len(d) + d); reply()
    elif line.startswith("raw "):
        send(line[4:].encode().decode("unicode_escape").encode("latin-1"))
    elif line == "close":
        sock.close(); f.close(); break
    elif line:
        sys.exit("talk.py: " + line)
if child: 
    try: f.close(); sock.close()
    except OSError: pass
    child.wait(timeout=30)
