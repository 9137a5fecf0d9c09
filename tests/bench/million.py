"""million.py - mailboxes of 1,000 to 1,000,000 messages (HUGE=1000000) with
mx-imapd and Dovecot: how what is done at opening grows, and what one delivery
costs.  The messages are hard links to a few files.  See bench.py."""
import os, re, shutil, signal, subprocess, time
from imap import Timed, pss, run_with
from imapservers import Client, message

LINKS = 60000  # to one file, at most 65,000 on ext4


def link_mailbox(s, n):
    """n messages; returns the mailbox's folder."""
    top = f"{s.mail}/h{n}"
    for d in ("cur", "new", "tmp"):
        os.makedirs(f"{top}/{d}")
    cur = os.open(f"{top}/cur", os.O_RDONLY)
    for i in range(n):
        if i % LINKS == 0:
            m = message(i)
            src, end = f"{s.dir}/link{n}.{i}", f",S={len(m)},W={len(m) + m.count(10)}:2,"
            with open(src, "wb") as f:
                f.write(m)
            os.chown(src, s.uid, s.gid)
        os.link(src, f"{1640000000 + i}.M{i}P1.host{end}{'S' if i % 4 else ''}", dst_dir_fd=cur)
    os.close(cur)
    for d in ("", "/cur", "/new", "/tmp"):
        os.chown(top + d, s.uid, s.gid)
    return top


def deliver(s, top, counter=[0]):
    counter[0] += 1
    m, name = message(counter[0]), f"{int(time.time())}.M{counter[0]}P2.host"
    with open(f"{top}/tmp/{name}", "wb") as f:
        f.write(m)
    os.chown(f"{top}/tmp/{name}", s.uid, s.gid)
    os.rename(f"{top}/tmp/{name}", f"{top}/new/{name},S={len(m)}")


def visit(s, user, *cmds):
    """Login, SELECT, commands, logout: wall, CPU."""
    with Timed(s) as t:
        c = Client(s.port, user=user)
        c.cmd("SELECT INBOX")
        for x in cmds:
            c.cmd(x)
        c.logout()
        t0 = time.perf_counter()
        time.sleep(0.1)  # not a part of it: late writes
        t.t += time.perf_counter() - t0
    return t.wall, t.cpu


def after_delivery(s, top, user):
    """A NOOP in a session that is open, and the session's memory, KB."""
    before = pss(s.pids())
    c = Client(s.port, user=user)
    c.cmd("SELECT INBOX")
    kb = pss(s.pids()) - before
    deliver(s, top)
    with Timed(s) as t:
        c.cmd("NOOP")
    c.logout()
    time.sleep(0.3)
    return (t.wall, t.cpu), kb


def calls(s, fn):
    """System calls of all processes while fn runs."""
    out = f"{s.dir}/strace"
    argv = ["strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", out]
    for p in s.pids():
        argv += ["-p", str(p)]
    st = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    fn()
    time.sleep(0.5)
    st.send_signal(signal.SIGINT)
    st.wait()
    n = {m[1]: int(m[0]) for m in re.findall(r"^\s*(\d+)\s+(\w+)$", open(out).read(), re.M)}
    return n.pop("total", sum(n.values())), n.get("getdents64", 0)


def one_size(s, n, runs):
    """What is printed of one server and size: name -> (wall, CPU), or a number."""
    top, user, res = link_mailbox(s, n), f"h{n}", {}
    med = lambda v: sorted(v)[len(v) // 2]
    res["first SELECT"] = visit(s, user)
    time.sleep(2.5)  # a directory's time settles; both read it again before that
    res["SELECT again"] = med([visit(s, user) for _ in range(runs)])
    v = []
    for _ in range(runs):
        deliver(s, top)
        v.append(visit(s, user))
        time.sleep(2.5)
    res["SELECT after one delivery"] = med(v)
    v = [after_delivery(s, top, user) for _ in range(runs)]
    res["NOOP after one delivery"] = med([x[0] for x in v])
    res["UID FLAGS of all"] = visit(s, user, "FETCH 1:* (UID FLAGS)")
    res["memory of its session, MB"] = med([x[1] for x in v]) / 1024
    if shutil.which("strace"):
        res["system calls, SELECT again"] = calls(s, lambda: visit(s, user))
        deliver(s, top)
        res["system calls, SELECT after one delivery"] = calls(s, lambda: visit(s, user))
    shutil.rmtree(top)
    return res


def show(servers, sizes, res):
    print(f"\nmailboxes of many messages; load {os.getloadavg()[0]:.1f}; seconds (CPU seconds), each with login and logout")
    print(f"{'':40} {'':8}" + "".join(f"{n:>20,}" for n in sizes))
    for what in res[servers[0].name, sizes[0]]:
        for s in servers:
            cells = []
            for n in sizes:
                v = res[s.name, n][what]
                cells.append(f"{v:.1f}" if isinstance(v, float) else f"{v[0]:.3f} ({v[1]:.3f})" if isinstance(v[0], float)
                             else f"{v[0]} ({v[1]} getdents)")
            print(f"{what if s is servers[0] else '':40} {s.name:8}" + "".join(f"{x:>20}" for x in cells), flush=True)
    if len(sizes) > 1:
        m = lambda what, i: res["mx", sizes[i]][what][1] / max(res["mx", sizes[i - 1]][what][1], 0.001)
        k = sizes[-1] / sizes[-2]
        print(f"aim: {k:.0f} x the messages cost at most {k:.0f} x the CPU: " + ", ".join(f"{w} {m(w, -1):.1f} x" for w in ("first SELECT", "SELECT again", "SELECT after one delivery")))


def sizes_up_to(top):
    n, v = 1000, []
    while n <= top:
        v.append(n)
        n *= 10
    return v


def run(a):
    sizes = sizes_up_to(int(os.environ.get("HUGE", "1000000")))

    def both(servers, runs, top):
        res = {}
        for n in sizes:
            for s in servers:
                res[s.name, n] = one_size(s, n, runs)
        show(servers, sizes, res)

    run_with(a, both)
