"""tests/bench/run: mx and its peers in paired runs, medians.

  smtp   messages/s from SMTP to Maildir at each number of sessions, one
         connection a message, and CPU per message
  checked  the same with SPF, DKIM, DMARC and a spam filter (a stub) over signed
         mail: policyd-spf, opendkim, opendmarc and spamass-milter in Postfix
  relay  the same with smtp-sink behind it: SMTP in, the queue, SMTP out
  calls  flushes, system calls and context switches per message
  imap   mx-imapd beside Dovecot: a mix of commands, memory of idle sessions,
         single commands, scans of a large mailbox (IMAP_N=100000 messages)
  million  the same two with mailboxes of 1,000, 10,000 ... 1,000,000 messages:
         opening them, and what one delivery costs, with system calls counted
  exec   each program, exec to exit, on one 10 KB message
  dkim   signatures and verifications of a 4 KB message in one process, beside
         what the RSA key alone allows
  milter messages/s, CPU and memory of our milters beside opendkim and
         opendmarc, alone and in a Postfix
"""
import argparse, os, re, shutil, statistics, subprocess, sys, tempfile, time
import checked, disk, exectime, imap, milter, million
from servers import BUILD, SERVERS, USERS

ap = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__,
                             formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("what", nargs="*", choices=["smtp", "many", "large", "checked", "relay", "calls", "imap", "million", "exec", "dkim", "milter", []], help="by default all but million and milter")
ap.add_argument("--sessions", default="1,10,50")
ap.add_argument("--msgs", type=int, default=1000, help="messages a run")
ap.add_argument("--size", type=int, default=4096)
ap.add_argument("--rcpts", type=int, default=1, help="recipients of each message")
ap.add_argument("--runs", type=int, default=3, help="runs of each server in turns")
ap.add_argument("--servers", default="postfix,mx")
ap.add_argument("--dir", help="work below this folder: its file system is what is measured "
                "(by default a fresh ext4 on a loop device, where root can mount one)")
a = ap.parse_args()
what = a.what or ["smtp", "many", "large", "checked", "relay", "calls", "imap", "exec", "dkim"]


def load(server, sessions, msgs):
    """One run; messages/s by the last file's time, CPU ms a message, p50."""
    server.fresh()
    os.sync()
    c0, t0 = server.group.cpu(), time.time()
    p = subprocess.run([BUILD + "/bench/smtpload", "-s", str(sessions), "-m", str(msgs), "-l", str(a.size),
                        "-r", str(a.rcpts), "-u", str(USERS), *server.load, "127.0.0.1", str(server.port)], stdout=subprocess.PIPE, text=True)
    end = time.time() + 60
    want = msgs * (a.rcpts if server.per_rcpt else 1)
    n, last = server.delivered()
    while n < want and time.time() < end:
        time.sleep(0.02)
        n, last = server.delivered()
    time.sleep(0.3)
    c1 = server.group.cpu()
    f = dict(re.findall(r"(\w+)=([\d.]+)", p.stdout))
    if p.returncode or n != want:
        print(f"# {server.name}: a run with a failed message is no run: {p.stdout.strip()} delivered={n}")
        return None
    return dict(rate=want / (last - t0), accepted=float(f["rate"]), p50=float(f["p50"]),
                cpu=(c1 - c0) * 1000 / msgs if c0 is not None else float("nan"))


def median(rows, key):
    v = [r[key] for r in rows if r]
    return statistics.median(v) if v else float("nan")


def smtp(servers, title="SMTP to Maildir"):
    print(f"\n{title}, a connection a message, {a.size} bytes, {a.rcpts} recipients, {a.msgs} messages a run, "
          f"median (min-max) of {a.runs} runs in turns")
    print(f"{'sessions':>8} {'server':14} {'delivered/s':>24} {'accepted/s':>11} {'p50 ms':>7} {'CPU ms':>7}  ratio")
    for s in map(int, a.sessions.split(",")):
        rows = {x.name: [] for x in servers}
        for x in servers:
            load(x, s, min(200, a.msgs))  # warm: processes, tables, caches
        for _ in range(a.runs):
            for x in servers:
                rows[x.name].append(load(x, s, a.msgs))
        first = rows[servers[0].name]
        for x in servers:
            r = rows[x.name]
            rates = [i["rate"] for i in r if i] or [float("nan")]
            paired = [i["rate"] / j["rate"] for i, j in zip(r, first) if i and j]
            print(f"{s:8} {x.name:14} {median(r, 'rate'):10.0f} ({min(rates):5.0f}-{max(rates):5.0f}) "
                  f"{median(r, 'accepted'):11.0f} {median(r, 'p50'):7.2f} {median(r, 'cpu'):7.2f}  "
                  + (f"{statistics.median(paired):.2f} x, CPU {median(r, 'cpu') / median(first, 'cpu'):.2f}"
                     if x is not servers[0] and paired else ""), flush=True)


def switches(pids):
    n = 0
    for p in pids:
        try:
            with open(f"/proc/{p}/status") as f:
                n += sum(int(x) for x in re.findall(r"ctxt_switches:\s+(\d+)", f.read()))
        except OSError:
            pass
    return n


def calls(servers):
    msgs = max(5, 100 // a.rcpts)
    each = msgs * a.rcpts
    print(f"\nper delivery, one session, {msgs} messages to {a.rcpts} recipients (strace -c -f of all processes)")
    for x in servers:
        load(x, 1, max(2, 50 // a.rcpts))
        c0 = switches(x.pids())
        load(x, 1, msgs)
        c1 = switches(x.pids())
        out = x.dir + "/strace"
        argv = ["strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", out]
        for p in x.pids():
            argv += ["-p", str(p)]
        st = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        load(x, 1, msgs)
        st.send_signal(2)
        st.wait()
        n = {m[1]: int(m[0]) for m in re.findall(r"^\s*(\d+)\s+(\w+)$", open(out).read(), re.M)}
        total = n.pop("total", sum(n.values()))
        top = sorted(n.items(), key=lambda i: -i[1])[:12]
        flush = n.get("fsync", 0) + n.get("fdatasync", 0) + n.get("sync", 0) + n.get("syncfs", 0)
        print(f"{x.name:14} flushes {flush / each:.2f}  system calls {total / each:.0f}  "
              f"context switches {(c1 - c0) / each:.0f}  forks {(n.get('clone', 0) + n.get('fork', 0) + n.get('vfork', 0) + n.get('clone3', 0)) / each:.2f}  "
              f"execs {n.get('execve', 0) / each:.2f}")
        print("               " + ", ".join(f"{k} {v / each:.1f}" for k, v in top), flush=True)


def relay(servers):
    smtp(servers, "SMTP in, SMTP out")
    for x in servers:
        # smtp-sink counts a connection when it ends, and those that are kept
        # for the next message end with their server
        x.end()
        sessions, messages = x.settled()
        print(f"{x.name:14} {messages} messages over {sessions} connections, all runs")


def many(servers):
    """100 recipients in each message: deliveries/s."""
    a.rcpts, a.msgs = 100, max(10, a.msgs // 20)
    smtp(servers, "100 recipients")


def large(servers):
    a.size, a.msgs = 100 * 1024, max(50, a.msgs // 4)
    smtp(servers, "100 KB")


def apart(fn, servers=None):
    """A row with figures of its own."""
    was = dict(vars(a))
    with_servers(fn, servers, runner=fn is many)
    vars(a).update(was)


def with_servers(fn, names=None, runner=False):
    top = tempfile.mkdtemp(prefix="mxbench.", dir=a.dir)
    os.chmod(top, 0o755)
    servers = []
    try:
        for name in names or a.servers.split(","):
            servers.append(SERVERS[name](top))
            servers[-1].runner = runner or a.rcpts > 1
            servers[-1].start()
        fn(servers)
    finally:
        for x in servers:
            x.stop()
        shutil.rmtree(top, ignore_errors=True)


def dkim():
    """Seconds are of the processor, the least of interleaved rounds."""
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "genrsa", "-out", f"{d}/key", "2048"], stderr=subprocess.DEVNULL, check=True)
        with open(f"{d}/m", "w") as f:
            f.write("From: Joe <joe@example.test>\nTo: ann@mx.test\nSubject: four kilobytes\n"
                    "Date: Sat, 21 Nov 2026 04:00:00 +0000\nMessage-ID: <1@example.test>\n\n")
            f.write("".join(f"line {i:03d} The quick brown fox jumps over the lazy dog\n" for i in range(74)))
        subprocess.run([BUILD + "/bench/dkim", f"{d}/key", f"{d}/m"], check=True)


def on_disk(fn, *args):
    """Each on a disk of its own."""
    wish = a.dir
    with disk.place(wish) as a.dir:
        fn(*args)
    a.dir = wish


def main():
    disk.stop_signals()
    if os.geteuid() != 0 and {"smtp", "many", "large", "checked", "milter"} & set(what):
        sys.exit("tests/bench/run: Postfix takes root to start; as another user: tests/bench/run exec")
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%F %T')}")
    rows = {
        "smtp": (with_servers, smtp),
        "many": (apart, many),
        "large": (apart, large),
        "checked": (checked.run, a, smtp, with_servers, SERVERS),
        "relay": (with_servers, relay, ["postfix-relay", "mx-relay"]),
        "calls": (with_servers, calls),
        "imap": (imap.run, a),
        "million": (million.run, a),
        "exec": (exectime.run, a.runs),
        "dkim": (dkim,),
        "milter": (milter.run, a, smtp, with_servers, SERVERS),
    }
    for name, row in rows.items():
        if name in what and name in ("exec", "dkim"):
            row[0](*row[1:])
        elif name in what:
            on_disk(*row)


main()
