"""canonical_peer.py CONF PORT WORK MX.CONF SEED CONFIGS MESSAGES: seeded random
tables and parameters of address rewriting, and messages, through a real
Postfix (CONF: its folder of main.cf; smtpd, cleanup, trivial-rewrite) and
through mx-deliver with the same tables: sender, recipients and the addresses
in the header must be the same, or both say "try again".  Prints what differs,
and last "N messages, M differ"."""
import os, random, re, smtplib, socket, subprocess, sys, time

conf, port, work, mxconf = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
seed, configs, messages = map(int, sys.argv[5:8])
rnd = random.Random(seed)
base = open(mxconf).read()
spool = re.search(r"^queue_directory = (.*)$", base, re.M)[1]

LOCALS = ["joe", "ann", "Root", "a.b", "joe+x", "ann+y+z", "list"]
DOMAINS = ["pf.test", "one.example", "two.example", "h.one.example", "a.h.one.example", "xone.example",
           "keep.one.example", "z.keep.one.example", "ONE.example", "two"]
CLASSES = ["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"]
FIELDS = ["From", "Sender", "Reply-To", "Errors-To", "Return-Receipt-To", "Disposition-Notification-To",
          "Mail-Followup-To", "Resent-From", "Resent-Sender", "Resent-Reply-To", "To", "Cc", "Apparently-To",
          "Resent-To", "Resent-Cc", "X-To", "Delivered-To"]

def address():
    a = rnd.choice(LOCALS)
    return a if rnd.random() < 0.12 else a + "@" + rnd.choice(DOMAINS)

def table():
    rows = {}
    for _ in range(rnd.randint(1, 7)):
        k = rnd.choice([address, lambda: "@" + rnd.choice(DOMAINS), lambda: rnd.choice(LOCALS)])().lower()
        rows[k] = rnd.choice([address, address, lambda: "@" + rnd.choice(DOMAINS)])()
    return rows

def some(of, least):
    return ", ".join(rnd.sample(of, rnd.randint(least, len(of))))

def parameters():
    p = {}
    for m in ("canonical", "sender_canonical", "recipient_canonical"):
        p[m + "_maps"] = ""
        if rnd.random() < 0.6:
            with open(f"{work}/{m}", "w") as f:
                f.writelines(f"{k}  {v}\n" for k, v in table().items())
            p[m + "_maps"] = f"texthash:{work}/{m}"
    p["canonical_classes"] = some(CLASSES, 1)
    p["sender_canonical_classes"] = some(CLASSES[::2], 1)
    p["recipient_canonical_classes"] = some(CLASSES[1::2], 1)
    p["masquerade_classes"] = some(CLASSES, 1)
    p["masquerade_domains"] = rnd.choice(["", "one.example", "!keep.one.example one.example", "h.one.example, one.example",
        "one.example h.one.example", "!!one.example", "!one.example two.example", "One.Example"])
    with open(work + "/keep", "w") as f: f.write("joe\nAnn\n")
    with open(work + "/keep.map", "w") as f: f.write("root x\nann+y+z x\n")
    p["masquerade_exceptions"] = rnd.choice(["", "root", "joe, Ann", "texthash:%s/keep.map" % work, work + "/keep",
        "!root, static:any", "pcre:{{/^[a-j]/ x}} root", "!%s/keep, regexp:{{/./ x}}" % work])
    p["propagate_unmatched_extensions"] = rnd.choice(["canonical, virtual", "canonical", "virtual", ""])
    p["local_header_rewrite_clients"] = rnd.choice(["permit_inet_interfaces", "", "permit_mynetworks",
        "permit_inet_interfaces, permit_mynetworks"])
    p["remote_header_rewrite_domain"] = rnd.choice(["", "", "domain.invalid"])
    p["append_at_myorigin"] = rnd.choice(["yes", "yes", "no"])
    p["append_dot_mydomain"] = rnd.choice(["yes", "no"])
    p["recipient_delimiter"] = rnd.choice(["+", "+", "+-", ""])
    p["myorigin"] = rnd.choice(["pf.test", "one.example"])
    return p

def message():
    lines = []
    # without From, or Resent-From, cleanup(8) would add it
    for name in sorted({"From", "Resent-From", *rnd.sample(FIELDS, rnd.randint(0, 5))}):
        items = []
        for _ in range(rnd.randint(1, 3)):
            a = address()
            items.append(rnd.choice(["%s", "<%s>", "Jo Public <%s>", '"Public, Jo" <%s>', "%s (Jo, P)", "g: %s;"]) % a)
        lines.append(f"{name}: " + ", ".join(items))
    return ("\n".join(lines) + "\nSubject: joe@two.example\n\nTo: ann@one.example\n").encode()

def low(a):  # mx writes a domain it has looked at in small letters
    a = a.replace("<>", "")
    return a.partition("@")[0] + a[len(a.partition("@")[0]):].lower()

def addresses(data):
    """[(field, [address])] of the header, in order; the layout is left out"""
    out = []
    head = re.sub(rb"\n[ \t]+", b" ", data.split(b"\n\n", 1)[0]).decode()
    for line in head.split("\n"):
        name, _, v = line.partition(":")
        if name not in FIELDS: continue
        v = re.sub(r'"[^"]*"|\([^)]*\)', "", v)
        v = re.sub(r"\bg:|;", "", v)
        out.append((name, [low((re.search(r"<(.*?)>", i) or re.search(r"(.*)", i))[1].strip()) for i in v.split(",")]))
    return sorted(out)

def theirs(sender, rcpts, data):
    s = smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=15)
    s.ehlo()
    s.docmd("MAIL", f"FROM:<{sender}>")
    for r in rcpts:
        code, text = s.docmd("RCPT", f"TO:<{r}>")
        assert code == 250, text
    code, text = s.data(data.replace(b"\n", b"\r\n"))
    s.close()
    if code != 250: return "refused %d" % (code // 100)
    qid = text.decode().split()[-1]
    d = os.path.dirname(conf)
    for _ in range(200):
        r = subprocess.run(["postcat", "-c", conf, "-qeh", qid], capture_output=True)
        if r.returncode == 0: break
        time.sleep(0.02)
    env, _, head = r.stdout.partition(b"*** MESSAGE CONTENTS")
    head = head.split(b"\n", 1)[1].split(b"*** HEADER EXTRACTED")[0]
    env = env.decode() + r.stdout.decode().partition("*** HEADER EXTRACTED")[2]
    subprocess.run(["postsuper", "-c", conf, "-d", qid], capture_output=True)
    # A bare name is resolved to this host only when it is delivered, ours when
    # it is queued; two that became one address are one recipient of ours.
    to = {low(a) if "@" in a else low(a) + "@pf.test" for a in re.findall(r"^recipient: (.*)$", env, re.M)}
    return [low(a) for a in re.findall(r"^sender: ?(.*)$", env, re.M)], sorted(to), addresses(head)

def ours(sender, rcpts, data):
    a, b = socket.socketpair()
    p = subprocess.Popen(["mx-deliver", "-c", mxconf, "--lmtp"], stdin=b, stdout=b, stderr=subprocess.DEVNULL)
    b.close()
    f = a.makefile("rb")
    def cmd(line=None):
        if line is not None: a.sendall(line.encode() + b"\r\n")
        while True:
            l = f.readline().decode()
            if l[3:4] != "-": return l
    cmd(); cmd("EHLO x")
    cmd("XFORWARD ADDR=127.0.0.1")
    cmd(f"MAIL FROM:<{sender}>")
    code = max([cmd(f"RCPT TO:<{r}>") for r in rcpts])
    if code[0] == "2":
        wire = data.replace(b"\n", b"\r\n")
        a.sendall(b"BDAT %d LAST\r\n" % len(wire) + wire)
        code = cmd()
    f.close(); a.close(); p.wait(60)
    names = [os.path.join(d, n) for d, _, ns in os.walk(spool) for n in ns if "/queue" in d]
    if code[0] != "2": return "refused " + code[0]
    assert len(names) == 1, (code, names)
    text = subprocess.run(["mx-deliver", "-c", mxconf, "--show", os.path.basename(names[0])], capture_output=True).stdout
    os.unlink(names[0])
    env, _, head = text.partition(b"\n\n")
    # behind mx's own Received
    head = re.sub(rb"\A\s*Received: .*?\n(?![ \t])", b"", head, 1, re.S)
    env = env.decode()
    return [low(a) for a in re.findall(r"^sender: ?(.*)$", env, re.M)], sorted(map(low, re.findall(r"^Q recipient: (.*)$", env, re.M))), addresses(head)

n = bad = 0
for c in range(configs):
    params = parameters()
    open(mxconf, "w").write(base + "".join(f"{k} = {v}\n" for k, v in params.items()))
    subprocess.run(["postconf", "-c", conf] + [f"{k}={v}" for k, v in params.items()], check=True)
    subprocess.run(["postfix", "-c", conf, "reload"], check=True, capture_output=True)
    for _ in range(messages):
        case = (rnd.choice(["", address(), address()]), sorted({address() for _ in range(rnd.randint(1, 3))}),
                message())
        a, b = theirs(*case), ours(*case)
        n += 1
        if a == b: continue
        bad += 1
        print(f"configuration {c}: {params}")
        for m in ("canonical", "sender_canonical", "recipient_canonical"):
            if params[m + "_maps"]: print(" ", m, open(f"{work}/{m}").read().split("\n"))
        print("  message", case)
        if isinstance(a, str) or isinstance(b, str): print("    Postfix", a, "\n    mx     ", b)
        else:
            for what, x, y in zip(("sender", "recipients", "header"), a, b):
                if x != y: print(f"  {what}:\n    Postfix {x}\n    mx      {y}")
print(f"{n} messages, {bad} differ")
sys.exit(bad > 0)
