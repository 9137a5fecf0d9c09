#!/usr/bin/env python3
"""An auth service that offers every mechanism and refuses all: refuse_all.py SOCKET"""
import os, socket, sys, threading

MECHS = ("PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 "
         "OAUTHBEARER XOAUTH2 EXTERNAL ANONYMOUS").split()


def serve(c):
    f = c.makefile("rw", newline="\n")
    f.write("VERSION\t1\t2\n" + "".join(f"MECH\t{m}{chr(9) + 'channel-binding' if m[0] == 'S' else ''}\n" for m in MECHS) +
            "SPID\t1\nCUID\t1\nCOOKIE\t00000000000000000000000000000001\nDONE\n")
    f.flush()
    for line in f:
        w = line.rstrip("\n").split("\t")
        if w[0] == "AUTH":
            f.write(f"FAIL\t{w[1]}\tuser=joe[192.0.2.66]: SASL PLAIN\n")
            f.flush()


s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen(20)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
