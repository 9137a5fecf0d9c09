"""imap.py - mx-imapd beside Dovecot: both serve their own copy of one mailbox
on loopback; runs take turns.  See bench.py."""
import glob, os, pwd, random, shutil, socket, ssl, subprocess, threading, time
from servers import Group, free_port, wait_port

USER = "nobody"


def message(i):
    parts = "" if i % 3 else (f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b{i}"\n')
    text = f"Hello number {i},\n" + "some words of text that fill a line of a mail\n" * (5 + i % 40)
    body = text if i % 3 else (f"--b{i}\nContent-Type: text/plain; charset=utf-8\n\n{text}\n--b{i}\nContent-Type: application/pdf; name=\"x{i}.pdf\"\n"
                               f"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"x{i}.pdf\"\n\n" + "QUJD" * 18 + f"\n--b{i}--\n")
    return (f"Return-Path: <s{i % 97}@example.com>\nReceived: from mx.example.com (mx.example.com [192.0.2.1]) by mail.example.org with ESMTPS id {i:X}\n"
            f"\tfor <user@example.org>; Mon, 07 Feb 2022 21:52:25 +0000\nDate: Mon, 07 Feb 2022 21:{i // 60 % 60:02d}:{i % 60:02d} +0000\n"
            f"From: \"Sender Number {i % 97}\" <s{i % 97}@example.com>\nTo: user@example.org, other@example.org\nCc: third{i % 5}@example.net\n"
            f"Subject: {'Re: ' if i % 2 else ''}about topic {i % 211}\nMessage-ID: <{i}.x@example.com>\nIn-Reply-To: <{i - 1}.x@example.com>\n"
            f"References: <{i - 2}.x@example.com> <{i - 1}.x@example.com>\n{parts}\n{body}").encode()


def fill(maildir, n):
    for d in ("cur", "new", "tmp"):
        os.makedirs(f"{maildir}/{d}")
    for i in range(n):
        m = message(i)
        with open(f"{maildir}/cur/{1640000000 + i}.M{i}P1.host,S={len(m)},W={len(m) + m.count(10)}:2,{'S' if i % 4 else ''}", "wb") as f:
            f.write(m)


class Server:
    def __init__(self, top):
        self.dir = f"{top}/{self.name}"
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.port, self.tls = free_port(), free_port()
        self.group, self.procs, self.mail = Group("imap" + self.name), [], self.dir + "/mail"
        os.mkdir(self.mail)
        pw = pwd.getpwnam(USER)
        self.uid, self.gid = pw.pw_uid, pw.pw_gid
        os.chown(self.mail, self.uid, self.gid)
        self.cert = f"{top}/cert.pem"
        if not os.path.exists(self.cert):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=localhost", "-keyout", f"{top}/key.pem",
                            "-out", self.cert], check=True, stderr=subprocess.DEVNULL)
        self.key = f"{top}/key.pem"

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as f:
            f.write(text)
        return f"{self.dir}/{name}"

    def spawn(self, *argv, **env):
        log = open(f"{self.dir}/log.{len(self.procs)}", "w")
        self.procs.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.group.enter, env={**os.environ, **env}))

    def pids(self):
        return self.group.pids()

    def stop(self):
        for p in reversed(self.procs):
            p.terminate()
        for p in self.procs:
            p.wait(25)
        self.group.remove()

    def take(self, source):
        """A fresh copy of a mailbox, without any cache."""
        self.forget(True)
        shutil.copytree(source, self.mail + "/u", copy_function=shutil.copy2)
        for d, _, fs in os.walk(self.mail):
            os.chown(d, self.uid, self.gid)
            for f in fs:
                os.chown(f"{d}/{f}", self.uid, self.gid)

    def forget(self, all=False):
        if all:
            shutil.rmtree(self.mail + "/u", ignore_errors=True)
        for f in glob.glob(self.mail + "/u/" + self.cache):
            os.unlink(f)


class Mx(Server):
    name, cache = "mx", "mx-[ic]*"

    def start(self):
        run = self.dir + "/run"
        os.mkdir(run)
        conf = self.write("mx.conf", f"run_directory = {run}\ndata_directory = {self.dir}\npassdb = static:password=secret\n"
                          f"userdb = {{ static:uid={self.uid} gid={self.gid} home={self.mail}/%n }}\nmail_location = maildir:{self.mail}/%n\n"
                          f"net_user = {USER}\nauth_user = {USER}\nmail_owner = root\nssl_cert = <{self.cert}\nssl_key = <{self.key}\nfirst_valid_uid = 1\n"
                          "disable_plaintext_auth = no\nimap_client_connection_limit = 1000\nmail_max_userip_connections = 0\n")
        b = os.environ["MX_BUILD"] + "/bin/"
        self.spawn(b + "mx-auth", "-c", conf, "--listen", f"unix:{run}/auth", "--listen", f"unix:{run}/auth-master")
        while not os.path.exists(run + "/auth-master"):
            time.sleep(0.05)
        self.spawn(b + "mx-imapd", "-c", conf, "--mode", "imap", "--listen", f"127.0.0.1:{self.port}")
        self.spawn(b + "mx-imapd", "-c", conf, "--mode", "imaps", "--listen", f"127.0.0.1:{self.tls}")
        wait_port(self.port)
        wait_port(self.tls)


class Dovecot(Server):
    name, cache = "dovecot", "dovecot.index*"

    def start(self):
        conf = self.write("dovecot.conf", f"""base_dir = {self.dir}/run
log_path = {self.dir}/dovecot.log
protocols = imap
ssl = yes
ssl_cert = <{self.cert}
ssl_key = <{self.key}
disable_plaintext_auth = no
first_valid_uid = 1
default_internal_user = {USER}
default_login_user = {USER}
default_process_limit = 1000
mail_max_userip_connections = 0
mail_location = maildir:{self.mail}/%n
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={self.uid} gid={self.gid} home={self.mail}/%n
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.tls}
  }}
}}
service imap {{
  process_limit = 1000
}}
""")
        self.spawn("dovecot", "-F", "-c", conf)
        wait_port(self.port)


class Client:
    def __init__(self, port, tls=False, user="u"):
        s = socket.create_connection(("127.0.0.1", port), 600)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
            s = c.wrap_socket(s)
        self.s, self.buf = s, b""
        while b"\n" not in self.buf:
            self.buf += s.recv(4096)
        self.buf = b""
        self.cmd(f"LOGIN {user} secret")

    def cmd(self, text):
        """Sends and reads to the tagged line: the bytes that came."""
        self.s.sendall(b"x " + text.encode() + b"\r\n")
        return self.answer(text)

    def answer(self, text):
        n, tail = 0, b""
        while True:
            d = self.s.recv(1 << 18)
            if not d:
                raise EOFError(text)
            n += len(d)
            tail = (tail + d)[-4000:]
            at = tail.rfind(b"\r\nx ")
            if tail.endswith(b"\r\n") and (at >= 0 or (n == len(tail) and tail.startswith(b"x "))):
                last = tail[at + 2:] if at >= 0 else tail
                assert last.startswith(b"x OK"), (text, last)
                return n

    def append(self, box, m):
        m = m.replace(b"\n", b"\r\n")
        self.s.sendall(b"x APPEND %s {%d}\r\n" % (box.encode(), len(m)))
        while b"+" not in self.s.recv(1024):
            pass
        self.s.sendall(m + b"\r\n")
        self.answer("APPEND")


def timed(server, *cmds):
    c = Client(server.port)
    c.cmd("SELECT INBOX")
    out = []
    for x in cmds:
        t = time.perf_counter()
        c.cmd(x)
        out.append(time.perf_counter() - t)
    c.s.close()
    time.sleep(0.3)
    return out


def drop_pages():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")


def row(what, mx, dv, faster=True):
    med = lambda v: sorted(v)[len(v) // 2]
    m, d = med(mx), med(dv)
    print(f"{what:46} mx {m:9.3f}   Dovecot {d:9.3f}   {(d / m if faster else m / d):5.2f} x", flush=True)


def scans(servers, n, runs, top):
    src = f"{top}/source"
    fill(src, n)
    for s in servers:
        s.take(src)
    res = {}
    put = lambda k, s, v: res.setdefault(k, {}).setdefault(s.name, []).append(v)
    for r in range(runs):
        for s in servers:
            s.forget()
            t = time.perf_counter()
            put("first SELECT, no cache, s", s, timed(s)[0:0] or time.perf_counter() - t)
            s.forget()
            put("ENVELOPE of all, no cache, warm pages, s", s, timed(s, "FETCH 1:* (ENVELOPE)")[0])
            put("ENVELOPE of all, warm, s", s, timed(s, "FETCH 1:* (ENVELOPE)")[0])
            s.forget()
            put("BODYSTRUCTURE of all, no cache, warm pages, s", s, timed(s, "FETCH 1:* (BODYSTRUCTURE)")[0])
            put("BODYSTRUCTURE of all, warm, s", s, timed(s, "FETCH 1:* (BODYSTRUCTURE)")[0])
            put("FLAGS of all, s", s, timed(s, "FETCH 1:* (UID FLAGS)")[0])
            put("SEARCH SUBJECT, s", s, timed(s, 'SEARCH SUBJECT "topic 17"')[0])
            put("SEARCH BODY, s", s, timed(s, 'SEARCH BODY "number 77"')[0])
            t = time.perf_counter()
            c = Client(s.port)
            c.cmd("SELECT INBOX")
            put("login and SELECT, warm, s", s, time.perf_counter() - t)
            c.s.close()
            time.sleep(0.3)
            try:
                s.forget()
                drop_pages()
                put("ENVELOPE of all, no cache, dropped pages, s", s, timed(s, "FETCH 1:* (ENVELOPE)")[0])
            except OSError:
                pass
    print(f"mailbox of {n} messages, medians of {runs}")
    for k, v in res.items():
        row(k, v["mx"], v["dovecot"])


def mix_session(server, user, until, counts, seed):
    r, n = random.Random(seed), 0
    while time.time() < until:
        c = Client(server.port, user=user)
        c.cmd("SELECT INBOX")
        n += 2
        for _ in range(3):
            c.append("INBOX", message(r.randrange(1000)))
            c.cmd("NOOP")
            c.cmd("FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE)")
            c.cmd("UID SEARCH UNSEEN")
            c.cmd("FETCH 1 (BODY[])")
            c.cmd("STORE 1:3 +FLAGS (\\Seen $Work)")
            c.cmd("SEARCH SUBJECT topic")
            n += 7
        c.cmd("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        c.cmd("EXPUNGE")
        c.cmd("STATUS INBOX (MESSAGES UNSEEN)")
        c.s.close()
        n += 3
    counts.append(n)


def mix(servers, sessions, runs, secs, top):
    for s in servers:
        for i in range(sessions):
            p = f"{s.mail}/m{i}"
            fill(p, 50)
            for d, _, fs in os.walk(p):
                os.chown(d, s.uid, s.gid)
                for f in fs:
                    os.chown(f"{d}/{f}", s.uid, s.gid)
    res = {"mx": [], "dovecot": []}
    for r in range(runs):
        for s in servers:
            counts, until = [], time.time() + secs
            ts = [threading.Thread(target=mix_session, args=(s, f"m{i}", until, counts, r * 100 + i)) for i in range(sessions)]
            t = time.time()
            [x.start() for x in ts]
            [x.join() for x in ts]
            res[s.name].append(sum(counts) / (time.time() - t))
    row(f"command mix, {sessions} sessions, commands/s", res["mx"], res["dovecot"], False)


def pss(pids):
    n = 0
    for p in pids:
        try:
            for l in open(f"/proc/{p}/smaps_rollup"):
                if l.startswith("Pss:"):
                    n += int(l.split()[1])
        except OSError:
            pass
    return n


def memory(servers, sessions):
    res = {}
    for s in servers:
        before = pss(s.pids())
        cs = []
        for i in range(sessions):
            c = Client(s.tls, True, "m0")
            c.cmd("SELECT INBOX")
            cs.append(c)
        time.sleep(1)
        res[s.name] = [(pss(s.pids()) - before) / sessions]
        [c.s.close() for c in cs]
        time.sleep(1)
    row(f"PSS a session, {sessions} idle under TLS, KB", res["mx"], res["dovecot"])


def run(a):
    top = f"{a.dir}/mxbench-imap.{os.getpid()}" if a.dir else f"/tmp/mxbench-imap.{os.getpid()}"
    os.mkdir(top)
    os.chmod(top, 0o755)
    servers = []
    try:
        for cls in (Mx, Dovecot):
            servers.append(cls(top))
            servers[-1].start()
        n, runs = int(os.environ.get("IMAP_N", "100000")), max(1, min(a.runs, 3))
        mix(servers, 8, runs, int(os.environ.get("IMAP_S", "10")), top)
        memory(servers, int(os.environ.get("IMAP_IDLE", "200")))
        scans(servers, n, runs, top)
    finally:
        for s in servers:
            s.stop()
        if "MXBENCH_KEEP" not in os.environ:
            shutil.rmtree(top, ignore_errors=True)
