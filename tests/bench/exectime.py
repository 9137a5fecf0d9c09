"""How long each program takes from exec to exit on one 10 KB message, beside
peers that do the same work; the commands take turns, so drift hits all."""
import os, shutil, statistics, subprocess, tempfile, time
from servers import BUILD

ROUNDS, EACH = 5, 20


def message(path):
    body = "".join(f"line {i:03d} The quick brown fox jumps over the lazy dog\n" for i in range(180))
    with open(path, "w") as f:
        f.write("From: Joe <joe@example.test>\nTo: ann@mx.test\nSubject: ten kilobytes\n"
                "Date: Sat, 21 Nov 2026 04:00:00 +0000\nMessage-ID: <1@example.test>\n\n" + body)


def commands(d):
    """(work, argv); what is not installed is left out."""
    b = BUILD + "/bin/"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", f"{d}/key", "2048"], stderr=subprocess.DEVNULL, check=True)
    for m in ("a", "b"):
        for s in ("tmp", "new", "cur"):
            os.makedirs(f"{d}/{m}/{s}")
    files = {"s.sieve": 'require ["fileinto"];\nif header :contains "subject" "x-none" { fileinto "a"; }\n',
             "rc": f"MAILDIR={d}\nDEFAULT={d}/b/\nLOGFILE=/dev/null\n:0\n* ^Subject:.*x-none\n/dev/null\n",
             "filter": f'to "{d}/b"\n',
             "headers": "/^Subject: x-none/ REJECT\n",
             "dovecot.conf": f"mail_uid=nobody\nmail_gid=nogroup\nmail_location=maildir:{d}/a\n", "users": "joe:{PLAIN}pw\n"}
    for name, text in files.items():
        with open(f"{d}/{name}", "w") as f:
            f.write(text)
    os.chmod(f"{d}/filter", 0o600)
    env = ["-o", f"run_directory={d}"]
    return [
        ("deposit in a Maildir", [b + "mx-deliver", "--maildir", f"{d}/a"]),
        ("deposit in a Maildir", ["procmail", f"{d}/rc"]),
        ("rcfile, into a Maildir", [b + "mx-filter", "procmail", f"{d}/rc"]),
        ("rcfile, into a Maildir", ["procmail", f"{d}/rc"]),
        ("rcfile, into a Maildir", ["maildrop", f"{d}/filter"]),
        ("Sieve", [b + "mx-filter", "sieve", "--actions", "--script", f"{d}/s.sieve"]),
        ("Sieve", ["sieve-test", "-c", f"{d}/dovecot.conf", f"{d}/s.sieve", f"{d}/m"]),
        ("header checks", [b + "mx-filter", "headers", f"regexp:{d}/headers"]),
        ("DKIM sign", [b + "mx-dkimsign", "-d", "example.test", "-s", "s", "-k", f"{d}/key"]),
        ("DKIM sign", ["dkimsign", "s", "example.test", f"{d}/key"]),
        ("DKIM verify, no signature", [b + "mx-dnscheck", "dkim"]),
        ("DKIM verify, no signature", ["dkimverify"]),
        ("user lookup", [b + "mx-auth", *env, "-o", f"passdb=passwd-file:{d}/users", "-o",
                            "mail_location=maildir:/m/%u", "user", "joe"]),
        ("start only", [b + "mx-recv", "--version"]),
        ("start only", [b + "mx-send", "--version"]),
        ("start only", [b + "mx-submit", "--version"]),
        ("start only", [b + "mx-imapd", "--version"]),
        ("start only", ["/bin/true"]),
        ("start only", ["python3", "-c", "pass"]),
    ]


def once(path, argv, null):
    acts = [(os.POSIX_SPAWN_OPEN, 0, path, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2)]
    t = time.perf_counter()
    pid = os.posix_spawn(path_of(argv[0]), argv, os.environ, file_actions=acts)
    _, status, ru = os.wait4(pid, 0)
    return time.perf_counter() - t, ru.ru_utime + ru.ru_stime, os.waitstatus_to_exitcode(status)


def path_of(name):
    return name if "/" in name else shutil.which(name)


def run(_runs):
    print(f"\nexec to exit on a 10 KB message, {ROUNDS} rounds of {EACH} in turns")
    print(f"{'work':26} {'program':14} {'p50 ms':>7} {'CPU ms':>7}  exit")
    with tempfile.TemporaryDirectory(prefix="mxbench.") as d:
        os.chmod(d, 0o755)
        message(d + "/m")
        todo = [(w, c) for w, c in commands(d) if path_of(c[0]) and os.access(path_of(c[0]), os.X_OK)]
        rows = [[] for _ in todo]
        with open("/dev/null", "r+b") as null:
            for _ in range(ROUNDS):
                for r, (_, c) in zip(rows, todo):
                    r += [once(d + "/m", c, null.fileno()) for _ in range(EACH)]
        for r, (w, c) in zip(rows, todo):
            med = [statistics.median(x[i] for x in r) for i in range(2)]
            print(f"{w:26} {os.path.basename(c[0]):14} {med[0] * 1000:7.2f} {med[1] * 1000:7.2f}  {r[-1][2]}")
