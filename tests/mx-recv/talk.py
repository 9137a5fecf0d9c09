#!/usr/bin/env python3
"""Talks to a server by a script on stdin and prints what was said.

talk.py HOST:PORT|unix:PATH [tls] < script
  > TEXT      send a line (CRLF is added)
  = LITERAL   send the bytes of a Python string ("a\\r\\n" * 3 too)
  < WORDS     read one reply; it must contain WORDS ("250 2.1.0" ...)
  <- WORDS    the same about the whole of a reply of several lines
  tls         handshake now (certificates are not checked)
  eof         the server must close now, with nothing more to say
  sleep N     wait
Exit status 1 where the server does otherwise.
"""
import socket, ssl, sys, time

where = sys.argv[1]
if where.startswith("unix:"):
    conn = socket.socket(socket.AF_UNIX)
    conn.settimeout(20)
    conn.connect(where[5:])
else:
    host, port = where.rsplit(":", 1)
    conn = socket.create_connection((host, int(port)), 20)
buf = b""


def handshake():
    global conn
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    conn = ctx.wrap_socket(conn, server_hostname="mx.test")
    print("tls", conn.version())


def line():
    global buf
    while b"\n" not in buf:
        try:
            got = conn.recv(65536)
        except OSError:
            got = b""
        if not got:
            return None
        buf += got
    one, buf = buf.split(b"\n", 1)
    return one.rstrip(b"\r").decode("utf-8", "replace")


def reply():
    lines = []
    while True:
        one = line()
        if one is None:
            return "\n".join(lines) if lines else None
        lines.append(one)
        print("S:", one)
        if one[3:4] != "-":
            return "\n".join(lines)


def fail(n, text):
    print("script line %d: %s" % (n, text))
    sys.exit(1)


def send(data):
    try:
        conn.sendall(data)
    except OSError as e:
        print("send:", e)




if "tls" in sys.argv[2:]:
    handshake()
for n, text in enumerate(sys.stdin.read().split("\n"), 1):
    if text.startswith("> "):
        print("C:", text[2:])
        send(text[2:].encode() + b"\r\n")
    elif text.startswith("= "):
        send(eval(text[2:]).encode("latin-1"))
    elif text.startswith("< "):
        r = reply()
        if r is None:
            fail(n, "closed, expected " + text[2:])
        if not r.split("\n")[-1].startswith(text[2:5]) or text[2:] not in r:
            fail(n, "expected " + text[2:])
    elif text.startswith("<- "):
        r = reply()
        if r is None or text[3:] not in r:
            fail(n, "expected " + text[3:])
    elif text == "tls":
        handshake()
    elif text == "eof":
        r = line()
        if r is not None:
            fail(n, "expected the end, got " + r)
    elif text.startswith("sleep "):
        time.sleep(float(text[6:]))
    elif text:
        fail(n, "what? " + text)
