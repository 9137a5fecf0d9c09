"""Words for sessions of fail2ban.bats: each comes from 127.0.0.N."""
import base64, os, smtplib, socket, ssl, sys

def b64(t): return base64.b64encode(t.encode()).decode()
def plain(user, password): return b64("\0%s\0%s" % (user, password))

def smtp(n, cert=False):
    s = smtplib.SMTP("127.0.0.1", int(os.environ["PORT"]), "me.test", 30, ("127.0.0.%d" % n, 0))
    s.ehlo()
    if cert:
        ctx = ssl._create_unverified_context()
        ctx.load_cert_chain(os.environ["T"] + "/joe.crt", os.environ["T"] + "/joe.key")
        s.starttls(context=ctx)
        s.ehlo()
    return s

def talk(port, n, *lines):
    """Sends the lines, one after each answer; returns the last answer."""
    s = socket.create_connection(("127.0.0.1", int(os.environ[port])), 30, ("127.0.0.%d" % n, 0))
    f = s.makefile("rwb")
    greeting = f.readline()
    while port == "V" and not greeting.startswith(b"OK"):
        greeting = f.readline()
    for line in lines:
        f.write(line.encode() + b"\r\n")
        f.flush()
        answer = f.readline()
    s.shutdown(socket.SHUT_WR)
    f.read()
    return answer.decode()

def imap(n, command): return talk("I", n, "a " + command)
def pop3(n, *lines): return talk("P", n, *lines)
def sieve(n, line): return talk("V", n, line)
def imap_scram(n, md, user):
    s = socket.create_connection(("127.0.0.1", int(os.environ["I"])), 30, ("127.0.0.%d" % n, 0))
    f = s.makefile("rwb")
    f.readline()
    f.write(("a AUTHENTICATE SCRAM-SHA-%s %s\r\n" % (md, b64("n,,n=%s,r=abcdefghijkl" % user))).encode())
    f.flush()
    first = base64.b64decode(f.readline().split()[1]).decode()
    nonce = first.split(",")[0]
    f.write((b64("c=biws,%s,p=%s" % (nonce, b64("x" * (20 if md == "1" else 32)))) + "\r\n").encode())
    f.flush()
    assert f.readline().startswith(b"a NO")

def auth_fails(method, fn, n):
    answer = fn(n)
    assert not answer.startswith(("a OK", "+OK", "OK")), (method, answer)
