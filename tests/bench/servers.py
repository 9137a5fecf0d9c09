"""Starts mx and its peers in folders of their own, on free loopback ports, and
ends them by process id; tells what CPU their processes used."""
import glob, os, pwd, random, re, shutil, signal, socket, subprocess, time

BUILD = os.environ["MX_BUILD"]
USERS = 100
MAIL_UID = 65534  # nobody: whose the benchmark's mailboxes are


def free_port():
    while True:
        p = random.randint(10240, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", p))
                return p
            except OSError:
                pass


def wait_port(port, proc=None, secs=15):
    end = time.time() + secs
    while time.time() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if proc and proc.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit(f"bench: nothing listens on 127.0.0.1:{port}")


class Group:
    """A cgroup for one server: every process of it, exited ones too."""

    def __init__(self, name):
        self.dir = None
        for base, v2 in (("/sys/fs/cgroup/cpuacct", False), ("/sys/fs/cgroup", True)):
            if v2 and not os.path.exists(base + "/cgroup.controllers"):
                continue
            try:
                d = f"{base}/mxbench-{os.getpid()}-{name}"
                os.mkdir(d)
                self.dir, self.v2 = d, v2
                break
            except OSError:
                pass

    def enter(self):
        if self.dir:
            with open(self.dir + "/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))

    def pids(self):
        if not self.dir:
            return []
        with open(self.dir + "/cgroup.procs") as f:
            return [int(x) for x in f]

    def cpu(self):
        """Seconds, or None where there are no cgroups."""
        if not self.dir:
            return None
        if not self.v2:
            with open(self.dir + "/cpuacct.usage") as f:
                return int(f.read()) / 1e9
        with open(self.dir + "/cpu.stat") as f:
            return int(f.readline().split()[1]) / 1e6

    def remove(self):
        for _ in range(50):
            if not self.dir or not self.pids():
                break
            time.sleep(0.1)
        if self.dir:
            try:
                os.rmdir(self.dir)
            except OSError:
                pass
        self.dir = None


class Server:
    name = ""

    def __init__(self, top):
        self.dir = f"{top}/{self.name}"
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.group = Group(self.name)
        self.procs = []
        self.mail = self.dir + "/mail"
        os.mkdir(self.mail)
        os.chmod(self.mail, 0o755)
        self.make_mailboxes()

    def make_mailboxes(self):
        for i in range(USERS):
            for d in ("", "/tmp", "/new", "/cur"):
                p = f"{self.mail}/u{i:03d}{d}"
                os.mkdir(p)
                if os.geteuid() == 0:
                    os.chown(p, MAIL_UID, MAIL_UID)

    def fresh(self):
        """Empties the mailboxes.  Old mail is moved away, not deleted: on ext4
        a create after many deletions is slow for minutes."""
        old = f"{self.dir}/old{len(glob.glob(self.dir + '/old*'))}"
        os.mkdir(old)
        for d in glob.glob(self.mail + "/*/new"):
            for f in os.listdir(d):
                os.rename(f"{d}/{f}", f"{old}/{f}")

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as f:
            f.write(text)
        return f"{self.dir}/{name}"

    more = ""  # lines of the configuration
    load = []  # options of smtpload
    per_rcpt = True  # a file for each recipient
    runner = False   # a queue is needed

    def own(self):
        return self.more.format(sink=getattr(self, "sink_port", 0))

    def spawn(self, *argv, **env):
        log = open(f"{self.dir}/log.{len(self.procs)}", "w")
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             preexec_fn=self.group.enter, env={**os.environ, **env})
        self.procs.append(p)
        return p

    def delivered(self):
        """How many files, and when the last one came."""
        n, last = 0, 0.0
        for d in glob.glob(self.mail + "/*/new"):
            with os.scandir(d) as it:
                for e in it:
                    n += 1
                    last = max(last, e.stat().st_ctime)
        return n, last

    def pids(self):
        return self.group.pids() or [p.pid for p in self.procs]

    def stop(self):
        for p in self.procs:
            p.terminate()
        for p in self.procs:
            try:
                p.wait(25)
            except subprocess.TimeoutExpired:
                p.kill()
        self.group.remove()


def mx_users():
    """mx's own users, as `make install` makes them."""
    try:
        pwd.getpwnam("mxnet")
    except KeyError:
        print("bench: making the users mx, mxnet ... (cmd/mx-deliver/mx.sysusers)")
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        subprocess.run(["systemd-sysusers", root + "/cmd/mx-deliver/mx.sysusers"], check=True)


class Mx(Server):
    name = "mx"

    def start(self):
        self.write("vmaps", "".join(f"u{i:03d}@mx.test u{i:03d}/\n" for i in range(USERS)))
        os.mkdir(self.dir + "/run")
        os.mkdir(self.dir + "/spool")
        conf = f"""
myhostname = mx.test
mydestination = local.test, localhost
run_directory = {self.dir}/run
queue_directory = {self.dir}/spool
data_directory = {self.dir}/data
virtual_mailbox_domains = mx.test
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = hash:{self.dir}/vmaps
virtual_uid_maps = static:{MAIL_UID}
virtual_gid_maps = static:{MAIL_UID}
mail_uid = {MAIL_UID}
mail_gid = {MAIL_UID}
alias_maps =
smtpd_peername_lookup = no
delivery = unix:{self.dir}/run/deliver
""" + self.own()
        if os.geteuid() == 0:
            mx_users()
            shutil.chown(self.dir + "/spool", "mx", "mx")
        path = self.write("mx.conf", conf)
        b = BUILD + "/bin/"
        self.spawn(b + "mx-deliver", "-c", path, "--lmtp", "--listen", f"unix:{self.dir}/run/deliver")
        for _ in range(100):
            if os.path.exists(self.dir + "/run/deliver"):
                break
            time.sleep(0.1)
        p = self.spawn(b + "mx-recv", "-c", path, "--mode", "smtp", "--listen", f"127.0.0.1:{self.port}")
        wait_port(self.port, p)
        if self.runner:
            self.spawn(b + "mx-deliver", "-c", path, "--queue-run", "--watch")


class Postfix(Server):
    name = "postfix"
    peername = "no"
    chroot = "y"
    networks = "127.0.0.0/8"
    master_more = ""

    def starter(self, *argv):
        return argv

    def start(self):
        conf = self.dir + "/conf"
        for d in ("conf", "queue", "data"):
            os.mkdir(f"{self.dir}/{d}")
        shutil.chown(self.dir + "/data", "postfix")
        with open(conf + "/vmaps", "w") as f:
            f.writelines(f"u{i:03d}@mx.test u{i:03d}/\n" for i in range(USERS))
        with open(conf + "/main.cf", "w") as f:
            f.write(f"""compatibility_level = 3.6
queue_directory = {self.dir}/queue
data_directory = {self.dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.test
mydestination = local.test, localhost
mynetworks = {self.networks}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
biff = no
alias_maps =
alias_database =
disable_dns_lookups = yes
smtpd_peername_lookup = {self.peername}
virtual_mailbox_domains = mx.test
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = hash:{conf}/vmaps
virtual_uid_maps = static:{MAIL_UID}
virtual_gid_maps = static:{MAIL_UID}
""" + self.own())
        with open(conf + "/master.cf", "w") as f:
            f.write(f"""127.0.0.1:{self.port} inet n - {self.chroot} - - smtpd
pickup unix n - y 60 1 pickup
cleanup unix n - y - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - y 1000? 1 tlsmgr
rewrite unix - - y - - trivial-rewrite
bounce unix - - y - 0 bounce
defer unix - - y - 0 bounce
trace unix - - y - 0 bounce
verify unix - - y - 1 verify
flush unix n - y 1000? 0 flush
proxymap unix - - n - - proxymap
{self.master_more}smtp unix - - y - - smtp
relay unix - - y - - smtp
showq unix n - y - - showq
error unix - - y - - error
retry unix - - y - - error
discard unix - - y - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - y - - lmtp
anvil unix - - y - 1 anvil
scache unix - - y - 1 scache
""")
        subprocess.run(["postmap", "-c", conf, f"hash:{conf}/vmaps"], check=True)
        subprocess.run(self.starter("postfix", "-c", conf, "start"), check=True, preexec_fn=self.group.enter,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.dir + "/queue/pid/master.pid") as f:
            self.master = int(f.read())
        wait_port(self.port)

    def pids(self):
        return self.group.pids() or [self.master]

    def stop(self):
        subprocess.run(["postfix", "-c", self.dir + "/conf", "stop"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            os.kill(self.master, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.group.remove()


class PostfixNames(Postfix):
    name = "postfix+names"  # with its peer-name lookup
    peername = "yes"


class Relay:
    """Everything for relay.test goes to an smtp-sink (Postfix's), which keeps
    nothing and counts."""

    load = ["-t", "u%03d@relay.test"]
    per_rcpt = False
    ended = False

    def sink(self):
        self.sink_port = free_port()
        log = open(f"{self.dir}/sink", "w")
        # not in the server's group: its CPU is not the server's
        self.sink_proc = subprocess.Popen(["smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{self.sink_port}", "1000"],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_port(self.sink_port, self.sink_proc)

    def counts(self):
        """sessions, messages"""
        with open(f"{self.dir}/sink") as f:
            v = re.findall(r"sess=(\d+) quit=\d+ mesg=(\d+)", f.read().replace("\r", "\n"))
        return (int(v[-1][0]), int(v[-1][1])) if v else (0, 0)

    def settled(self):
        """The same, once the connections of a server that ended are counted."""
        was, n = None, self.counts()
        while n != was:
            time.sleep(0.5)
            was, n = n, self.counts()
        return n

    def fresh(self):
        self.messages = self.counts()[1]

    def delivered(self):
        n = self.counts()[1] - self.messages
        return n, time.time()

    def end(self):
        """The server alone: its sink goes on counting."""
        if not self.ended:
            self.ended = True
            super().stop()

    def stop(self):
        self.end()
        self.sink_proc.terminate()
        self.sink_proc.wait()


class PostfixRelay(Relay, Postfix):
    name = "postfix-relay"
    more = """relay_domains = relay.test
transport_maps = inline:{{relay.test=smtp:[127.0.0.1]:{sink}}}
"""

    def start(self):
        self.sink()
        super().start()


class MxRelay(Relay, Mx):
    name = "mx-relay"
    more = PostfixRelay.more + """smtp_host_lookup = native
inet_protocols = ipv4
"""

    def start(self):
        self.sink()
        super().start()
        self.spawn(BUILD + "/bin/mx-deliver", "-c", self.dir + "/mx.conf", "--queue-run", "--watch")


SERVERS = {c.name: c for c in (Postfix, PostfixNames, Mx, PostfixRelay, MxRelay)}
