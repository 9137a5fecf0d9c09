#!/usr/bin/env python3
"""queue_make.py QUEUE_DIRECTORY N DOMAIN [DUE]: a queue of N entries, as
mx-queue(5) describes them, for DOMAIN, due in DUE seconds (default: now).
Each lies in the folder of its ID, is a few hundred bytes long and belongs to
the directory's owner."""
import os
import sys
import time
import zlib

top, n, domain = sys.argv[1], int(sys.argv[2]), sys.argv[3]
due = time.time() + float(sys.argv[4] if len(sys.argv) > 4 else 0)
if os.getuid() == 0:
    os.setegid(os.stat(top).st_gid)
    os.seteuid(os.stat(top).st_uid)
body = b"From: joe@virt.example\nTo: you\nSubject: one of many\n\n" + b"x" * 70 + b"\n"
arrival = int(time.time()) - 60
for i in range(256):
    os.makedirs("%s/queue/%02X" % (top, i), exist_ok=True)
for d in ("tmp", "corrupt"):
    os.makedirs("%s/%s" % (top, d), exist_ok=True)


def entry(i, size):
    return (b"mx-queue: 1\nQ id: %s\nsize: %020d\narrival: %d.000000\n"
            b"sender: joe@virt.example\nQ recipient: u%d@%s\n\n"
            % (name(i).encode(), size, arrival, i, domain.encode()))


def name(i):
    return "%08X" % (0x10000000 + i * 7919 % 0xe0000000)


for i in range(n):
    ident = name(i)
    crc = zlib.crc32(entry(i, 0) + body)
    folder = zlib.crc32(ident.encode()) & 0xff
    path = "%s/queue/%02X/%s" % (top, folder, ident)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, entry(i, len(body)) + body +
             b"\nmx-end: %020d %08x\n" % (len(body), crc))
    os.utime(fd, (due, due))
    os.close(fd)
