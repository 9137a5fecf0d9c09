# jwt.py ALG KEYFILE NAME=VALUE...: a JSON web token on stdout; header fields
# are h.NAME=VALUE; numbers are numbers; OFFSET times as +N or -N seconds
import base64, hashlib, hmac, json, subprocess, sys, time


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


alg, key = sys.argv[1:3]
head, body = {"alg": alg, "typ": "JWT"}, {"sub": "1", "exp": int(time.time()) + 600}
for a in sys.argv[3:]:
    n, v = a.split("=", 1)
    where = head if n.startswith("h.") else body
    n = n.removeprefix("h.")
    if v == "":
        where.pop(n, None)
        continue
    if v[0] in "+-" and v[1:].isdigit():
        v = int(time.time()) + int(v)
    elif v.isdigit():
        v = int(v)
    elif "," in v:
        v = v.split(",")
    where[n] = v
text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
if alg == "none":
    sig = b""
elif alg.startswith("HS"):
    sig = hmac.new(open(key, "rb").read(), text.encode(), "sha" + alg[2:]).digest()
else:
    opts = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if alg.startswith("PS") else []
    sig = subprocess.run(["openssl", "dgst", "-sha" + alg[2:], "-sign", key] + opts, input=text.encode(),
                         stdout=subprocess.PIPE, check=True).stdout
    if alg.startswith("ES"):  # DER to r and s
        n = {"256": 32, "384": 48, "512": 66}[alg[2:]]
        out = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=sig, stdout=subprocess.PIPE,
                             check=True).stdout.decode()
        r, s = [int(l.rsplit(":", 1)[1], 16) for l in out.splitlines() if "INTEGER" in l]
        sig = r.to_bytes(n, "big") + s.to_bytes(n, "big")
print(text + "." + b64(sig))
