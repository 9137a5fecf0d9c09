#!/usr/bin/env python3
"""queue.py N...: what a queue of N entries costs mx-deliver: a start with
nothing due, --list, --flush, and a pass over all of them when the host they are for is
down.  A line each: entries, step, seconds, CPU seconds, CPU microseconds an
entry, and the most memory any of its processes took (KB).
MX_BIN: where the programs are; TMPDIR: where the queues are made."""
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
maker = os.path.join(here, "..", "lib", "queue_make.py")
deliver = os.path.join(os.environ.get("MX_BIN") or
                       os.path.join(here, "..", "..", "build", "bin"), "mx-deliver")
owner = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

CONF = """myhostname = mail.example.org
mydestination = mail.example.org
run_directory = {0}/run
queue_directory = {0}/spool
data_directory = {0}/data
mail_owner = {1}
net_user = {1}
filter_user = {1}
alias_maps =
transport_maps = inline:{{ {{remote.example = smtp:[127.0.0.1]:9}} }}
"""


def make(top, n):
    spool = os.path.join(top, "spool")
    shutil.rmtree(spool, ignore_errors=True)
    os.mkdir(spool)
    if os.getuid() == 0:
        shutil.chown(spool, owner, pwd.getpwnam(owner).pw_gid)
    subprocess.run([sys.executable, maker, spool, str(n), "remote.example", "86400"],
                   check=True)


def step(top, n, name, *args):
    start = time.monotonic()
    env = dict(os.environ, MX_CONFIG=top + "/mx.conf", MX_LOG=top + "/log")
    with open(os.devnull, "w") as sink:
        p = subprocess.Popen([deliver, *args], stdout=sink, env=env)
        _, status, use = os.wait4(p.pid, 0)
    wall, cpu = time.monotonic() - start, use.ru_utime + use.ru_stime
    if status != 0:
        sys.exit("%s: status %d" % (name, status))
    print("%9d %-6s %9.2f %9.2f %8.1f %8d" % (
        n, name, wall, cpu, cpu * 1e6 / n, use.ru_maxrss), flush=True)


print("  entries step     seconds       cpu us/entry      RSS")
for n in map(int, sys.argv[1:] or ["10000", "100000", "1000000"]):
    top = tempfile.mkdtemp(prefix="mx-queue.")
    try:
        os.chmod(top, 0o755)
        with open(top + "/mx.conf", "w") as f:
            f.write(CONF.format(top, owner))
        open(top + "/log", "w").close()
        os.chmod(top + "/log", 0o666)
        make(top, n)
        step(top, n, "start", "--queue-run")
        step(top, n, "list", "--list")
        step(top, n, "flush", "--flush")
        step(top, n, "pass", "--queue-run")
        left = [p for p, _, names in os.walk(top + "/spool/queue") for _ in names]
        said = sum(b"status=deferred" in line for line in open(top + "/log", "rb"))
        if len(left) != n or said != n:
            sys.exit("%d entries: %d left, %d deferred" % (n, len(left), said))
    finally:
        shutil.rmtree(top)
