"""SPF, DKIM, DMARC and a spam filter over signed mail of a stranger: mx with
`mx-dnscheck auth | mx-filter spam`, Postfix with policyd-spf, opendkim,
opendmarc and spamass-milter.  Both ask one NSD and one spamd, a stub; the
client's address is a stranger's by XCLIENT."""
import os, shutil, subprocess
from milter import Place
from servers import BUILD, Mx, Postfix, free_port, mx_users, wait_port

CLIENT = "192.0.2.7"


class Checked:
    place = None

    def made(self):
        self.load = ["-x", CLIENT, "-F", self.place.crlf, "-f", "joe@example.test"]


class MxChecked(Checked, Mx):
    name = "mx"

    def start(self):
        self.made()
        b = BUILD + "/bin/"
        self.more = (f"inbound_filter = {b}mx-dnscheck auth --resolver {self.place.ns}:53 | "
                     f"{b}mx-filter spam --server 127.0.0.1:{self.place.spam}\n"
                     "smtpd_authorized_xclient_hosts = 127.0.0.1\nmynetworks = 10.0.0.0/8\n")
        super().start()


class PostfixChecked(Checked, Postfix):
    name = "postfix"
    chroot = "n"  # its milters' sockets
    networks = "10.0.0.0/8"

    def milter(self, argv, at):
        self.spawn(*argv)
        for _ in range(100):
            if os.path.exists(at):
                break
            subprocess.run(["sleep", "0.1"])
        os.chmod(at, 0o666)

    def start(self):
        self.made()
        at = [f"{self.place.dir}/at/{x}" for x in ("dkim", "dmarc", "spam")]
        self.milter(self.place.opendkim("v", at[0]), at[0])
        self.milter(self.place.opendmarc(at[1]), at[1])
        self.milter(["spamass-milter", "-p", at[2], "--", "-d", "127.0.0.1", "-p", str(self.place.spam)], at[2])
        spf = self.place.write("policyd-spf.conf", "debugLevel = 0\nHELO_reject = False\nMail_From_reject = False\n")
        self.master_more = f"policy-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {spf}\n"
        self.more = ("smtpd_milters = " + " ".join(f"unix:{p}" for p in at) + "\nmilter_default_action = tempfail\n"
                     "smtpd_authorized_xclient_hosts = 127.0.0.1\n"
                     "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policy-spf\n"
                     "policy-spf_time_limit = 3600s\n")
        super().start()

    def starter(self, *argv):
        return self.place.inside(*argv)  # policyd-spf reads resolv.conf

    def stop(self):
        super().stop()
        for p in self.procs:
            p.terminate()
        for p in self.procs:
            p.wait(25)


def seen(server):
    """What a message says of all four; False: a row of something else."""
    for top, _, files in os.walk(server.mail):
        for f in files:
            with open(f"{top}/{f}", errors="replace") as m:
                head = " ".join(m.read().partition("\n\n")[0].lower().split())
            return [w for w in ("dkim=pass", "dmarc=pass", "x-spam-") if w not in head] + \
                   ([] if "spf=pass" in head or "received-spf: pass" in head else ["spf=pass"])
    return ["mail"]


def run(a, smtp, with_servers, servers):
    """The three are bench.py's."""
    d = subprocess.run(["mktemp", "-d", f"{a.dir or '/tmp'}/mxbench.XXXXXX"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    os.chmod(d, 0o755)
    mx_users()
    place, spam = Place(d), None
    try:
        place.spam = free_port()
        spam = subprocess.Popen([BUILD + "/bench/spamstub", str(place.spam)], stdin=subprocess.DEVNULL)
        wait_port(place.spam, spam)
        with open(place.signed, "rb") as f:
            text = f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        place.crlf = d + "/crlf"
        with open(place.crlf, "wb") as f:
            f.write(text)
        Checked.place = place
        # under the names of the rows; what was there comes back
        old = dict(servers)
        servers.update({c.name: c for c in (PostfixChecked, MxChecked)})
        def row(s):
            smtp(s, "SPF, DKIM, DMARC and a spam stub")
            for x in s:
                if seen(x):
                    print(f"# {x.name}: a message without {' '.join(seen(x))} is no run")
        with_servers(row, [PostfixChecked.name, MxChecked.name])
        servers.update(old)
    finally:
        if spam:
            spam.terminate()
            spam.wait()
        place.stop()
        shutil.rmtree(d, ignore_errors=True)
