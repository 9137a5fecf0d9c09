"""The asking side of mx-serve(5), written from the manual page: runs a filter
kept and once a message, and compares bytes, actions, errors and statuses.
kept.py [-r ROUNDS] [-e NAME=VALUE]... MESSAGE... -- PROGRAM ARGUMENTS..."""
import itertools, os, socket, subprocess, sys

def start(argv, cwd=None):
    a, b = socket.socketpair()
    p = subprocess.Popen([argv[0], "--serve"] + argv[1:], stdin=b, stdout=b, cwd=cwd,
                         stderr=subprocess.PIPE)
    b.close()
    f = a.makefile("rwb")
    hello = f.readline()
    assert hello == b"mx-serve 2\n", (hello, p.stderr.read() if not hello else "")
    return p, a, f

numbers = itertools.count(42)

def ask(f, env, message):
    serial = next(numbers)
    block = b"".join(("%s=%s\0" % kv).encode() for kv in env.items())
    f.write(b"MESSAGE %d %d %d\n" % (serial, len(block), len(message)) + block + message)
    f.flush()
    line = f.readline().split()
    assert line and line[0] == b"STATUS", line
    number, status, out, actions, errs = map(int, line[1:])
    got = status, f.read(out), f.read(actions), f.read(errs)
    end = f.readline()
    assert number == serial and end == b"END %d\n" % serial, (line, end, serial)
    return got

def once(argv, env, message):
    r, w = os.pipe()
    def fds():
        os.dup2(w, 3, inheritable=True)
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=dict(os.environ, **env), preexec_fn=fds, pass_fds=(3,) if w == 3 else (), close_fds=False)
    os.close(w)
    out, errs = p.communicate(message)
    actions = os.fdopen(r, "rb").read()
    return p.returncode, out if p.returncode == 0 else b"", actions, errs

if __name__ == "__main__":
    args, rounds, env = sys.argv[1:], 3, {"MX_ACTIONS": "3"}
    while args[0].startswith("-") and args[0] != "--":
        if args[0] == "-r": rounds = int(args[1])
        else:
            k, v = args[1].split("=", 1); env[k] = v
        args = args[2:]
    at = args.index("--")
    messages = [open(m, "rb").read() for m in args[:at]]
    argv = args[at + 1:]
    p, s, f = start(argv)
    want = [once(argv, env, m) for m in messages]
    for _ in range(rounds):
        for i, m in enumerate(messages):
            got = ask(f, env, m)
            assert got == want[i], "message %d:\nkept %r\nonce %r" % (i, got, want[i])
    rss = lambda: int(next(l for l in open("/proc/%d/status" % p.pid) if l.startswith("VmRSS")).split()[1])
    before = rss()
    if rounds >= 100:
        for _ in range(rounds):
            for m in messages: ask(f, env, m)
        # a sanitizer keeps what was freed (256 MB of it)
        most = 300000 if "asan" in os.environ.get("MX_BUILD", "") else 2048
        assert rss() - before < most, "grew from %d to %d KB" % (before, rss())
    f.close(); s.close()
    assert p.wait() == 0
    print("%d messages, statuses %s" % (len(messages), sorted({w[0] for w in want})))
