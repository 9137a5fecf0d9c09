"""imapservers.py - mx-imapd and Dovecot, each with its own copy of one mailbox
on loopback, and a client that both are driven with.  For imap.py."""
import glob, os, pwd, shutil, socket, ssl, subprocess, time
from servers import Group, free_port, wait_port

USER = "nobody"


def message(i, lines=0):
    parts = "" if i % 3 else (f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b{i}"\n')
    text = f"Hello number {i},\n" + "some words of text that fill a line of a mail\n" * (lines + 5 + i % 40)
    body = text if i % 3 else (f"--b{i}\nContent-Type: text/plain; charset=utf-8\n\n{text}\n--b{i}\nContent-Type: application/pdf; name=\"x{i}.pdf\"\n"
                               f"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"x{i}.pdf\"\n\n" + "QUJD" * 18 + f"\n--b{i}--\n")
    return (f"Return-Path: <s{i % 97}@example.com>\nReceived: from mx.example.com (mx.example.com [192.0.2.1]) by mail.example.org with ESMTPS id {i:X}\n"
            f"\tfor <user@example.org>; Mon, 07 Feb 2022 21:52:25 +0000\nDate: Mon, 07 Feb 2022 21:{i // 60 % 60:02d}:{i % 60:02d} +0000\n"
            f"From: \"Sender Number {i % 97}\" <s{i % 97}@example.com>\nTo: user@example.org, other@example.org\nCc: third{i % 5}@example.net\n"
            f"Subject: {'Re: ' if i % 2 else ''}about topic {i % 211}\nMessage-ID: <{i}.x@example.com>\nIn-Reply-To: <{i - 1}.x@example.com>\n"
            f"References: <{i - 2}.x@example.com> <{i - 1}.x@example.com>\n{parts}\n{body}").encode()


def fill(maildir, n, lines=0):
    """n messages of about 1.5 KB, and that many lines of 46 bytes more."""
    for d in ("cur", "new", "tmp"):
        os.makedirs(f"{maildir}/{d}")
    for i in range(n):
        m = message(i, lines)
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

    def cpu(self):
        return self.group.cpu() or 0.0

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
        self.own(self.mail)

    def own(self, top):
        for d, _, fs in os.walk(top):
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


TUNED = """service imap-login {
  service_count = 0
  process_min_avail = 2
}
service imap {
  service_count = 256
}
"""


class Dovecot(Server):
    """With its defaults, or (IMAP_TUNED=1) as its pages advise for speed: processes that serve many sessions."""
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
""" + (TUNED if "IMAP_TUNED" in os.environ else ""))
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

    def append(self, box, m, sync=True):
        """RFC 3501 6.3.11; sync=False: LITERAL+, nothing is waited for before the message."""
        m = m.replace(b"\n", b"\r\n")
        head = b"x APPEND %s {%d%s}\r\n" % (box.encode(), len(m), b"" if sync else b"+")
        if sync:
            self.s.sendall(head)
            while b"+" not in self.s.recv(1024):
                pass
            head = b""
        self.s.sendall(head + m + b"\r\n")
        self.answer("APPEND")

    def idle(self):
        self.s.sendall(b"x IDLE\r\n")
        while b"+" not in self.s.recv(1024):
            pass

    def logout(self):
        """Until the server has closed: its last writes count, too."""
        self.s.sendall(b"x LOGOUT\r\n")
        while self.s.recv(4096):
            pass
        self.s.close()
