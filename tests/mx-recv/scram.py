#!/usr/bin/env python3
"""AUTH SCRAM over SMTP: scram.py HOST:PORT SHA1|SHA256 USER PASSWORD [tls|tls12] [HOW]

HOW: y (we believe there is no -PLUS), tls-unique, tls-server-end-point (the
-PLUS mechanism), wrong (the latter with other data), TYPE/plain (a binding
without -PLUS), n/plus (-PLUS without a binding).

Prints what the server says last; 0 when it accepted and its own proof is right.
"""
import base64, hashlib, hmac, os, smtplib, ssl, sys

where, md, user, password = sys.argv[1:5]
name = {"SHA1": "SCRAM-SHA-1", "SHA256": "SCRAM-SHA-256"}[md]
h = md.lower()
host, port = where.rsplit(":", 1)
s = smtplib.SMTP(host, int(port), "me.test", timeout=30)
s.ehlo()
how = "n"
if sys.argv[5:]:
    how = sys.argv[6] if sys.argv[6:] else "n"
    ctx = ssl.create_default_context()
    if sys.argv[5] == "tls12":
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    s.starttls(context=ctx)
    s.ehlo()
print(s.esmtp_features.get("auth"))
cbind, gs2 = b"", how.encode() + b",,"
if how == "tls-unique":
    cbind = s.sock.get_channel_binding("tls-unique")
elif how.startswith("tls-server-end-point") or how == "wrong":
    cbind = hashlib.sha256(s.sock.getpeercert(True) + (b"x" if how == "wrong" else b"")).digest()
elif how == "n/plus":
    gs2 = b"n,,"
if len(how) > 1:
    if not how.endswith("/plain"):
        name += "-PLUS"
    if how != "n/plus":
        gs2 = b"p=" + how.replace("wrong", "tls-server-end-point").split("/")[0].encode() + b",,"
nonce = base64.b64encode(os.urandom(18)).decode()
bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), nonce)
b64 = lambda t: base64.b64encode(t.encode()).decode()
code, text = s.docmd("AUTH", name + " " + b64(gs2.decode() + bare))
if code != 334:
    sys.exit("%d %s" % (code, text.decode()))
first = base64.b64decode(text).decode()
f = dict(x.split("=", 1) for x in first.split(","))
assert f["r"].startswith(nonce)
salted = hashlib.pbkdf2_hmac(h, password.encode(), base64.b64decode(f["s"]), int(f["i"]))
mac = lambda k, t: hmac.new(k, t if isinstance(t, bytes) else t.encode(), h).digest()
client = mac(salted, "Client Key")
stored = hashlib.new(h, client).digest()
last = "c=" + base64.b64encode(gs2 + cbind).decode() + ",r=" + f["r"]
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
