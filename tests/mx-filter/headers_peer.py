"""headers_peer.py CONF PORT WORK MX-FILTER [FROM:STEP]: cases through a real
Postfix (smtpd, cleanup; CONF: its folder of main.cf) and through mx-filter
headers, with the same table files: the answer, what is in the queue (header
and body, hold, redirect, filter, recipients) and the lines of the log must be
the same.  Tables lie in WORK as header, mime, nested and body."""
import os, re, smtplib, subprocess, sys, time
from headers_cases import CASES, MESSAGES

conf, port, work, mx = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
first, step = map(int, (sys.argv[5] if len(sys.argv) > 5 else "0:1").split(":"))
log = os.path.join(os.path.dirname(conf), "log")
VERBS = "reject|warning|info|pass|hold|discard|redirect|filter|bcc|replace|prepend|strip"

def fold(text): # as both write what is no plain text into a log
    return re.sub(r"\\(?:x..|[0-7]{3}|.)|\?|[\x80-\xff\x00-\x1f]", "?", text)

def theirs(message):
    """(reply or "", queue file as bytes, hold, envelope, log lines)"""
    at = os.path.getsize(log)
    s = smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60)
    s.ehlo(); s.mail("sender@client.test"); s.rcpt("user@peer.test")
    code, text = s.data(message)
    s.quit()
    text = text.decode()
    qid = ""
    for _ in range(500):  # cleanup's last line of it, or qmgr's, is there when smtpd's is
        new = open(log, "rb").read()[at:].decode("utf-8", "replace")
        if re.search(r"disconnect from", new): break
        time.sleep(0.02)
    m = re.search(r"smtpd\[\d+\]: ([0-9A-F]+): client=", new)
    qid = m[1]
    lines = []
    for l in new.splitlines():
        m = re.search(r"cleanup\[\d+\]: %s: (%s|milter-\w+): (header|body) (.*?) from client\S*\[127\.0\.0\.1\]; from=<\S*> to=<\S*> proto=ESMTP helo=<client\.test>(?:: (.*))?$" % (qid, VERBS), l) or \
            re.search(r"cleanup\[\d+\]: %s: (%s): (header|body) (.*?) from \S*\[127\.0\.0\.1\];.*? helo=<client\.test>(?:: (.*))?$" % (qid, VERBS), l)
        # not of the field that smtpd itself puts on top
        if m and not m[3].startswith("Received: from client.test"): lines.append((m[1], m[2], fold(m[3])[:200].rstrip(), fold(m[4] or "")))
    got, hold, env = b"", False, []
    for q in ("hold", "incoming", "active", "deferred"):
        f = os.path.join(os.path.dirname(conf), "queue", q)
        if not any(qid in names for _, _, names in os.walk(f)): continue
        hold = q == "hold"
        got = subprocess.run(["postcat", "-c", conf, "-qhb", qid], capture_output=True).stdout
        e = subprocess.run(["postcat", "-c", conf, "-qe", qid], capture_output=True, text=True).stdout
        env = sorted(l for l in e.splitlines() if l.startswith(("redirect_to:", "content_filter:", "recipient:")))
        subprocess.run(["postsuper", "-c", conf, "-d", qid], capture_output=True)
        break
    # the field that smtpd itself puts on top
    got = re.sub(rb"\A(?:[^\n]*\n)??Received: from client\.test .*?\n(?![ \t])", b"", got, 1, re.S)
    return ("" if code == 250 else f"{text}" if text.startswith("5.") or text.startswith("4.") else f"{code} {text}"), got, hold, env, lines

def ours(message, sets):
    cmd = [mx, "-c", f"{work}/mx.conf", "headers"]
    r, w = os.pipe()
    p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=dict(os.environ, MX_ACTIONS="3"), preexec_fn=lambda: os.dup2(w, 3, inheritable=True), close_fds=False)
    os.close(w)
    out, err = p.communicate(message)
    acts = os.fdopen(r, "rb").read().decode().splitlines()
    lines, reply = [], ""
    for l in err.decode("utf-8", "replace").splitlines():
        m = re.search(r"(?:^|: )(%s): (header|body) (.*)$" % VERBS, l)
        if m: lines.append((m[1], m[2], m[3]))
    if p.returncode: reply = err.decode("utf-8", "replace").splitlines()[-1]
    hold = "hold" in acts
    env = [] if p.returncode or "discard" in acts else ["recipient: user@peer.test"]
    for a in acts:
        k, *v = a.split("\t")
        if k == "bcc": env.append("recipient: " + v[0])
        if k == "redirect": env.append("redirect_to: " + v[0])
        if k == "filter": env.append("content_filter: " + v[0])
    if "discard" in acts or p.returncode: out = b""
    return reply, out, hold, sorted(env), lines

def same_lines(a, b):
    if len(a) != len(b): return False
    for (verb, place, key, text), (v2, p2, rest) in zip(a, b):
        if (verb, place) != (v2, p2): return False
        rest = fold(rest)
        want = key + (": " + text if text else "")
        if rest.rstrip() != want.rstrip(): return False
    return True

bad = n = 0
for i, (tables, which) in enumerate(CASES):
    if i % step != first: continue
    kind = tables.get("type", "pcre")
    for name in ("header", "mime", "nested", "body"):
        open(f"{work}/{name}", "w", encoding="utf-8").write(tables.get(name, ""))
    names = [t for t in ("header", "mime", "nested", "body") if t in tables]
    params = {"header_checks": f"{kind}:{work}/header" if "header" in tables else "",
              "body_checks": f"{kind}:{work}/body" if "body" in tables else ""}
    # what is not named has the parameter's default: the tables of the header
    params["mime_header_checks"] = f"{kind}:{work}/mime" if "mime" in tables else "$header_checks"
    params["nested_header_checks"] = f"{kind}:{work}/nested" if "nested" in tables else "$header_checks"
    params.update(tables.get("params", {}))
    for p in ("header_size_limit", "body_checks_size_limit", "line_length_limit"): params.setdefault(p, {"header_size_limit": "102400", "body_checks_size_limit": "51200", "line_length_limit": "2048"}[p])
    open(f"{work}/mx.conf", "w").write("".join(f"{k} = {v}\n" for k, v in params.items()))
    subprocess.run(["postconf", "-c", conf] + [f"{k}={v}" for k, v in params.items()], check=True)
    for m in which or MESSAGES:
        message = MESSAGES[m]
        n += 1
        a, b = theirs(message.replace(b"\n", b"\r\n")), ours(message, names)
        if a[:4] == b[:4] and same_lines(a[4], b[4]): continue
        bad += 1
        print(f"case {i} on {m} differs:\n{tables}")
        for what, x, y in zip(("reply", "bytes", "hold", "envelope"), a, b):
            if x != y: print(f"  {what}:\n    Postfix   {x}\n    mx-filter {y}")
        if not same_lines(a[4], b[4]): print("  log:", *("    Postfix   %s" % (l,) for l in a[4]), *("    mx-filter %s" % (l,) for l in b[4]), sep="\n")
print(f"{n} pairs, {bad} differ")
sys.exit(bad > 0)
