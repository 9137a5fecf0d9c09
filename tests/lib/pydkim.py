"""pydkim.py verify FILE | sign SELECTOR ALG CANON [l] < message: python3-dkim,
with the name server at 127.0.0.1:$DNS and keys in $T.  verify prints
True or False for each signature; sign prints the signed message (CRLF)."""
import os, sys
import dkim, dns.resolver
from nacl.encoding import Base64Encoder  # noqa: F401 (ed25519 needs it)

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(os.environ["DNS"])


def txt(name, timeout=5):
    try:
        answer = resolver.resolve(name.decode().rstrip("."), "TXT")
    except dns.resolver.NXDOMAIN:
        return None
    return b"".join(answer[0].strings)


if sys.argv[1] == "verify":
    msg = open(sys.argv[2], "rb").read()
    d = dkim.DKIM(msg)
    n = sum(1 for h in d.headers if h[0].lower() == b"dkim-signature")
    ok = [d.verify(idx=i, dnsfunc=txt) for i in range(n)]
    print(*ok)
    sys.exit(not ok or not all(ok))
selector, alg, canon = sys.argv[2:5]
key = open(f"{os.environ['T']}/{selector}.pem", "rb").read()
if alg == "ed25519-sha256":
    import base64
    from cryptography.hazmat.primitives import serialization as s
    k = s.load_pem_private_key(key, None)
    key = base64.b64encode(k.private_bytes(s.Encoding.Raw, s.PrivateFormat.Raw, s.NoEncryption()))
elif b"BEGIN PRIVATE" in key:
    import subprocess
    key = subprocess.run(["openssl", "rsa", "-traditional"], input=key, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=True).stdout
msg = sys.stdin.buffer.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
head, body = canon.split("/")
sig = dkim.sign(msg, selector.encode(), b"example.test", key, canonicalize=(head.encode(), body.encode()),
                signature_algorithm=alg.encode(), length="l" in sys.argv[5:])
sys.stdout.buffer.write(sig + msg)
