"""arcmake.py N [KEY=VALUE...] < message: an ARC chain of N sets by the rules of
RFC 8617 and one's own hand, broken as told; keys in $T/rsa.pem.
  drop=ams2        this field is left out        twice=as1   stands twice
  cv1=pass         the seal says so              h=as2       gets an h= tag
  skip=2           there is no instance 2        body=2      the body is changed
  sel1=NAME        selector of set 1                         after set 2
  tamper=aar1      a byte is changed afterwards  v=ams1      gets a v= tag
  inst=as1:X       its i= is X                   hadd=ams1:NAME  h= has NAME, too
  alg=as1:NAME     its a=                        x=ams1      expired
"""
import base64, hashlib, os, re, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

T = os.environ["T"]
opt = dict(a.split("=", 1) for a in sys.argv[2:])
N = int(sys.argv[1])
keys = {}


def sign(selector, data):
    name = selector if os.path.exists(f"{T}/{selector}.pem") else "rsa"
    k = keys.setdefault(name, serialization.load_pem_private_key(open(f"{T}/{name}.pem", "rb").read(), None))
    return base64.b64encode(k.sign(data, padding.PKCS1v15(), hashes.SHA256()))


def relaxed(field):
    name, value = field.split(b":", 1)
    value = re.sub(rb"[ \t\r\n]+", b" ", value).strip()
    return name.lower().strip() + b":" + value + b"\r\n"


def body_hash(body):
    lines = [re.sub(rb"[ \t]+", b" ", l).rstrip(b" ") for l in body.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    text = b"".join(l + b"\r\n" for l in lines)
    return base64.b64encode(hashlib.sha256(text).digest())


def has(key, what):
    return what in opt.get(key, "").split(",")


head, body = sys.stdin.buffer.read().split(b"\n\n", 1)
fields = re.split(rb"\n(?![ \t])", head)
chain, sets = [], []
instances = [i for i in range(1, N + 1) if str(i) != opt.get("skip")]
for i in instances:
    shown = lambda f: opt["inst"].split(":", 1)[1] if opt.get("inst", "").startswith(f"{f}{i}:") else str(i)
    sel = opt.get(f"sel{i}", "rsa")
    alg = lambda f: opt["alg"].split(":", 1)[1] if opt.get("alg", "").startswith(f"{f}{i}:") else "rsa-sha256"
    aar = b"ARC-Authentication-Results: i=%s; here.test; spf=pass smtp.mailfrom=a@b" % shown("aar").encode()
    names = [b"from", b"subject", b"date"]
    if opt.get("hadd", "").startswith(f"ams{i}:"):
        names.append(opt["hadd"].split(":", 1)[1].encode())
    if has("nofrom", f"ams{i}"):
        names.remove(b"from")
    ams = b"ARC-Message-Signature: i=%s; %sa=%s; c=relaxed/relaxed; d=example.test;\n s=%s; t=1700000000; %sh=%s;\n bh=%s; b=" % (
        shown("ams").encode(), b"v=1; " if has("v", f"ams{i}") else b"", alg("ams").encode(), sel.encode(),
        b"x=1700000001; " if has("x", f"ams{i}") else b"", b":".join(names), body_hash(body))
    data = b""
    for n in names:
        for f in reversed(fields):
            if f.lower().startswith(n.lower() + b":"):
                data += relaxed(f)
                break
    ams += sign(sel, data + relaxed(ams)[:-2])
    cv = opt.get(f"cv{i}", "none" if i == 1 else "pass")
    seal = b"ARC-Seal: i=%s; a=%s; t=1700000000; cv=%s; d=example.test; s=%s;%s b=" % (
        shown("as").encode(), alg("as").encode(), cv.encode(), sel.encode(), b" h=from;" if has("h", f"as{i}") else b"")
    own = relaxed(aar) + relaxed(ams)
    seal += sign(sel, b"".join(chain) + own + relaxed(seal)[:-2])
    chain.append(own + relaxed(seal))
    new = []
    for name, f in (("as", seal), ("ams", ams), ("aar", aar)):
        if has("tamper", f"{name}{i}"):
            f = f.replace(b"pass", b"fail") if name == "aar" else f.replace(b"t=17", b"t=16")
        if has("drop", f"{name}{i}"):
            continue
        new += [f, f] if has("twice", f"{name}{i}") else [f]
    sets = new + sets
    if opt.get("body") == str(i):
        body = body + b"changed\n"
    if opt.get("subject") == str(i):
        fields = [b"Subject: changed" if f.lower().startswith(b"subject:") else f for f in fields]
sys.stdout.buffer.write(b"\n".join(sets + fields) + b"\n\n" + body)
