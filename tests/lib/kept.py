"""kept.py SCRIPT [--serve] ARGUMENTS...: a stand-in for a filter of ours: SCRIPT
(for sh) is run once a message with ARGUMENTS, kept (mx-serve(5)) or not."""
import os, subprocess, sys

script, args = sys.argv[1], sys.argv[2:]
if args[:1] != ["--serve"]:
    os.execvp("sh", ["sh", script] + args)
inp, out = sys.stdin.buffer, sys.stdout.buffer
out.write(b"mx-serve 2\n"); out.flush()
while True:
    line = inp.readline().split()
    if not line: break
    env, message = inp.read(int(line[2])), inp.read(int(line[3]))
    e = dict(os.environb)
    e.update(kv.split(b"=", 1) for kv in env.split(b"\0") if kv)
    p = subprocess.run(["sh", script] + args[1:], input=message, env=e, capture_output=True)
    o = p.stdout if p.returncode == 0 else b""
    a = b""
    if args[1:2] == ["sieve"]: # its answer is action lines
        o, a = a, o
    out.write(b"STATUS %s %d %d %d %d\n" % (line[1], p.returncode & 255, len(o), len(a), len(p.stderr)) + o + a + p.stderr + b"END %s\n" % line[1])
    out.flush()
