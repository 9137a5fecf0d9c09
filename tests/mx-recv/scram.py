#!/usr/bin/env python3
"""AUTH SCRAM over SMTP: scram.py HOST:PORT SHA1|SHA256 USER PASSWORD [tls]

Prints what the server says last; 0 when it accepted and its own proof is right.
"""
import base64, hashlib, hmac, os, smtplib, ssl, sys

where, md, user, password = sys.argv[1:5]
name = {"SHA1": "SCRAM-SHA-1", "SHA256": "SCRAM-SHA-256"}[md]
h = md.lower()
host, port = where.rsplit(":", 1)
s = smtplib.SMTP(host, int(port), "me.test", timeout=30)
s.ehlo()
if sys.argv[5:] == ["tls"]:
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    s.starttls(context=ctx)
    s.ehlo()
print(s.esmtp_features.get("auth"))
nonce = base64.b64encode(os.urandom(18)).decode()
bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), nonce)
b64 = lambda t: base64.b64encode(t.encode()).decode()
code, text = s.docmd("AUTH", name + " " + b64("n,," + bare))
if code != 334:
    sys.exit("%d %s" % (code, text.decode()))
first = base64.b64decode(text).decode()
f = dict(x.split("=", 1) for x in first.split(","))
assert f["r"].startswith(nonce)
salted = hashlib.pbkdf2_hmac(h, password.encode(), base64.b64decode(f["s"]), int(f["i"]))
mac = lambda k, t: hmac.new(k, t if isinstance(t, bytes) else t.encode(), h).digest()
client = mac(salted, "Client Key")
stored = hashlib.new(h, client).digest()
last = "c=biws,r=" + f["r"]
message = ",".join([bare, first, last])
proof = bytes(a ^ b for a, b in zip(client, mac(stored, message)))
code, text = s.docmd(b64(last + ",p=" + base64.b64encode(proof).decode()))
if code != 334:
    sys.exit("%d %s" % (code, text.decode()))
v = base64.b64decode(text).decode()
assert v == "v=" + base64.b64encode(mac(mac(salted, "Server Key"), message)).decode(), v
code, text = s.docmd("")
print(code, text.decode())
sys.exit(code != 235)
