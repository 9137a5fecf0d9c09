"""mx-dkimsign --milter and mx-dnscheck --milter beside opendkim and opendmarc:
the same milter client asks each in turns (messages/s, CPU a message, PSS), then
a real Postfix with either pair in its smtpd_milters.  opendkim finds the key in
a file (its libunbound dies under ten sessions), the others ask one NSD: the
resolver of opendmarc stands in /etc/resolv.conf, of a mount namespace."""
import os, re, shutil, socket, statistics, subprocess, time
from servers import BUILD, Group, Postfix, mx_users

MSGS = 1500  # of the milters alone


def pss(pids):
    """KB of all processes, shared pages divided among them."""
    n = 0
    for p in pids:
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                n += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M)[1])
        except (OSError, TypeError):
            pass
    return n


class Milter:
    def __init__(self, place, name, client="127.0.0.1", fields=1):
        self.place, self.name, self.client, self.fields = place, name, client, fields
        self.group, self.procs, self.at = Group(name.replace(" ", "")), [], []

    def add(self, argv, path):
        log = open(f"{self.place.dir}/{self.name.replace(' ', '')}.{len(self.procs)}", "w")
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.group.enter)
        self.procs.append(p)
        self.at.append(path)
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.1)
        os.chmod(path, 0o666)

    def load(self, path, sessions, msgs):
        c0 = self.group.cpu()
        p = subprocess.run([BUILD + "/bench/milterload", "-s", str(sessions), "-m", str(msgs), "-c", self.client,
                            "-a", str(self.fields), path, *self.at], stdout=subprocess.PIPE, text=True)
        c1 = self.group.cpu()
        f = dict(re.findall(r"(\w+)=([\d.]+)", p.stdout))
        if p.returncode:
            print(f"# {self.name}: a run with a failed message is no run: {p.stdout.strip()}")
            return None
        return dict(rate=float(f["rate"]), p50=float(f["p50"]), cpu=(c1 - c0) * 1000 / msgs if c0 is not None else float("nan"))

    def stop(self):
        for p in self.procs:
            p.terminate()
        for p in self.procs:
            try:
                p.wait(25)
            except subprocess.TimeoutExpired:
                p.kill()
        self.group.remove()


class Place:
    """A folder with key, zone, NSD and the message, plain and signed."""

    def __init__(self, top):
        self.dir = top
        subprocess.run(["openssl", "genrsa", "-out", f"{top}/key", "2048"], stderr=subprocess.DEVNULL, check=True)
        os.chmod(f"{top}/key", 0o600)
        der = subprocess.run(["openssl", "pkey", "-in", f"{top}/key", "-pubout", "-outform", "DER"], stdout=subprocess.PIPE, check=True)
        p = subprocess.run(["base64", "-w0"], input=der.stdout, stdout=subprocess.PIPE, check=True).stdout.decode()
        self.write("zone", f"""$ORIGIN example.test.
$TTL 3600
@ SOA ns root 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc TXT "v=DMARC1; p=reject"
s._domainkey TXT "v=DKIM1; k=rsa; p={p[:200]}" "{p[200:]}"
""")
        # port 53: opendmarc's resolver knows no other
        self.ns, self.dns = f"127.{os.getpid() % 250 + 1}.53.53", None
        conf = self.write("nsd.conf", f"""server:
 ip-address: {self.ns}@53
 username: ""
 zonesdir: "{top}"
 database: ""
 pidfile: "{top}/nsd.pid"
 xfrdfile: "{top}/xfrd.state"
 zonelistfile: "{top}/zone.list"
 rrl-ratelimit: 0
 server-count: 1
remote-control:
 control-enable: no
zone:
 name: "example.test"
 zonefile: "zone"
""")
        self.nsd = subprocess.Popen(["nsd", "-d", "-c", conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection((self.ns, 53), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        self.write("resolv.conf", f"nameserver {self.ns}\n")
        body = "".join(f"line {i:03d} The quick brown fox jumps over the lazy dog\n" for i in range(74))
        self.plain = self.write("m", "From: Joe <joe@example.test>\nTo: ann@mx.test\nSubject: four kilobytes\n"
                                "Date: Sat, 21 Nov 2026 04:00:00 +0000\nMessage-ID: <1@example.test>\n\n" + body)
        with open(self.plain) as f:
            signed = subprocess.run([BUILD + "/bin/mx-dkimsign", "-d", "example.test", "-s", "s", "-k", f"{top}/key", "-c", "relaxed/relaxed"],
                                    stdin=f, stdout=subprocess.PIPE, check=True).stdout.decode()
        self.signed = self.write("signed", signed)
        self.write("keys", f"s._domainkey.example.test v=DKIM1; k=rsa; p={p}\n")
        # where other users make sockets
        os.mkdir(f"{top}/at")
        os.chmod(f"{top}/at", 0o1777)

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as f:
            f.write(text)
        return f"{self.dir}/{name}"

    def inside(self, *argv):
        """With our resolv.conf."""
        return ["unshare", "-m", "sh", "-c", f'mount --bind {self.dir}/resolv.conf /etc/resolv.conf; exec "$@"', "sh", *argv]

    def opendkim(self, mode, at):
        conf = self.write(f"opendkim.{mode}.conf", f"""Mode {mode}
Socket local:{at}
Background no
Syslog no
UserID {'opendkim' if mode == 'v' else 'root'}
Canonicalization relaxed/relaxed
OversignHeaders From
Domain example.test
Selector s
KeyFile {self.dir}/key
RequireSafeKeys no
TestPublicKeys {self.dir}/keys
AlwaysAddARHeader yes
AuthservID mx.test
""")
        return ["opendkim", "-f", "-x", conf]

    def opendmarc(self, at):
        conf = self.write("opendmarc.conf", f"""Socket local:{at}
Background no
Syslog no
UserID opendmarc
AuthservID mx.test
TrustedAuthservIDs mx.test
SPFSelfValidate yes
SPFIgnoreResults yes
""")
        return self.inside("opendmarc", "-f", "-c", conf)

    def mx(self, program, at, *more):
        conf = self.write("mx.conf", "myhostname = mx.test\nmynetworks = 127.0.0.0/8\n")
        return [f"{BUILD}/bin/{program}", "-c", conf, "--milter", "--listen", f"unix:{at}", *more]

    def signer(self, at):
        return self.mx("mx-dkimsign", at, "-d", "example.test", "-s", "s", "-k", f"{self.dir}/key", "-c", "relaxed/relaxed")

    def checker(self, at):
        return self.mx("mx-dnscheck", at, "--resolver", f"{self.ns}:53")

    def stop(self):
        self.nsd.terminate()
        self.nsd.wait()


def rows(title, path, milters, runs):
    print(f"\n{title}: 4 KB, {MSGS} messages a run, a connection a message, median (min-max) of {runs} runs in turns")
    print(f"{'sessions':>8} {'milter':22} {'messages/s':>24} {'p50 ms':>7} {'CPU ms':>7} {'PSS MB':>7}  ratio")
    for s in (1, 10, 50):
        got = [[] for _ in milters]
        for m in milters:
            m.load(path, s, 200)
        for _ in range(runs):
            for g, m in zip(got, milters):
                g.append(m.load(path, s, MSGS))
        for g, m in zip(got, milters):
            v = [r for r in g if r] or [dict(rate=float("nan"), p50=float("nan"), cpu=float("nan"))]
            med = {k: statistics.median(r[k] for r in v) for k in v[0]}
            paired = [a["rate"] / b["rate"] for a, b in zip(g, got[0]) if a and b]
            print(f"{s:8} {m.name:22} {med['rate']:10.0f} ({min(r['rate'] for r in v):5.0f}-{max(r['rate'] for r in v):5.0f}) "
                  f"{med['p50']:7.2f} {med['cpu']:7.2f} {pss(m.group.pids()) / 1024:7.1f}  "
                  + (f"{statistics.median(paired):.2f} x" if m is not milters[0] and paired else ""), flush=True)


class PostfixOpen(Postfix):
    name = "postfix+opendkim"
    chroot = "n"  # its milters' sockets
    milters = []

    def start(self):
        self.more = ("smtpd_milters = " + " ".join(f"unix:{p}" for p in self.milters) +
                     "\nmilter_default_action = tempfail\nsmtpd_authorized_xclient_hosts = 127.0.0.1\n")
        super().start()


class PostfixMx(PostfixOpen):
    name = "postfix+mx"


def run(a, smtp, with_servers, servers):
    """The three are bench.py's."""
    top = a.dir or "/tmp"
    d = subprocess.run(["mktemp", "-d", f"{top}/mxbench.XXXXXX"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    os.chmod(d, 0o755)
    mx_users()
    place, started = Place(d), []
    try:
        def new(name, *more, **kw):
            started.append(Milter(place, name, **kw))
            for argv, at in more:
                started[-1].add(argv, at)
            return started[-1]
        p = [f"{d}/at/{i}" for i in range(6)]
        stranger = dict(client="192.0.2.7")
        osign = new("opendkim", (place.opendkim("s", p[0]), p[0]))
        sign = new("mx-dkimsign", (place.signer(p[1]), p[1]))
        over = new("opendkim verifies", (place.opendkim("v", p[2]), p[2]), **stranger)
        oboth = new("opendkim + opendmarc", (place.opendkim("v", p[3]), p[3]), (place.opendmarc(p[4]), p[4]), fields=2, **stranger)
        check = new("mx-dnscheck", (place.checker(p[5]), p[5]), fields=2, **stranger)
        rows("sign, RSA 2048", place.plain, [osign, sign], a.runs)
        rows("verify (opendkim: DKIM alone; opendkim + opendmarc and mx-dnscheck: SPF, DKIM, DMARC)", place.signed, [oboth, check, over], a.runs)
        if os.geteuid() == 0:
            PostfixOpen.milters, PostfixMx.milters = osign.at + oboth.at, check.at + sign.at
            servers.update({c.name: c for c in (PostfixOpen, PostfixMx)})
            with_servers(lambda s: smtp(s, "Postfix with these in smtpd_milters, mail of its own network"),
                         [PostfixOpen.name, PostfixMx.name])
    finally:
        for m in started:
            m.stop()
        place.stop()
        shutil.rmtree(d, ignore_errors=True)

