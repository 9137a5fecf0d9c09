"""dsn_musts.py WORK PEERLOG PLAINLOG: what RFC 3461, 3464, 6522, 6533 and 3834
ask of a queue and of its reports with MUST and MUST NOT, row by row with their
sections.  First commands and their replies, then messages, each from a sender
of its own, whose reports are what the rows look at.  remote.example goes to a
host with DSN, plain.example to one without.  Prints what is wrong, and last
"N rows, M wrong"."""
import email, glob, json, os, re, subprocess, sys
from email import policy

work, peerlog, plainlog = sys.argv[1:4]
count = bad = 0

def row(name, ok, what=""):
    global count, bad
    count += 1
    if not ok:
        bad += 1
        print("wrong: %s\n  %s" % (name, str(what).replace("\n", "\n  ")[:1500]))

# ---- commands: section, what is said in place of MAIL or RCPT, reply
M, R = "MAIL FROM:<s0@virt.example>", "RCPT TO:<to@remote.example>"
COMMANDS = [
    ("3461 4.1 NOTIFY needs a value", R + " NOTIFY", "501"),
    ("3461 4.1 an empty one is none", R + " NOTIFY=", "501"),
    ("3461 4.1 NEVER stands alone", R + " NOTIFY=NEVER,FAILURE", "501"),
    ("3461 4.1 NEVER stands alone, last", R + " NOTIFY=SUCCESS,NEVER", "501"),
    ("3461 4.1 no other word", R + " NOTIFY=SOMETIMES", "501"),
    ("3461 4.1 no empty word", R + " NOTIFY=SUCCESS,,DELAY", "501"),
    ("3461 4.1 no comma at the end", R + " NOTIFY=SUCCESS,", "501"),
    ("3461 4.1 all three words", R + " NOTIFY=SUCCESS,FAILURE,DELAY", "250"),
    ("3461 4.1 values without regard to case", R + " NOTIFY=success,Delay", "250"),
    ("3461 4 the keyword without regard to case", R + " notify=NEVER", "250"),
    ("3461 4.2 ORCPT needs a value", R + " ORCPT", "501"),
    ("3461 4.2 an empty one is none", R + " ORCPT=", "501"),
    ("3461 4.2 an address type", R + " ORCPT=to@remote.example", "501"),
    ("3461 4.2 xtext: + has two hex digits", R + " ORCPT=rfc822;a+4@x.example", "501"),
    ("3461 4.2 xtext: = is written +3D", R + " ORCPT=rfc822;a=b@x.example", "501"),
    ("3461 4.2 xtext", R + " ORCPT=rfc822;a+3Db+2Bc@x.example", "250"),
    ("3461 4.2 another address type", R + " ORCPT=x400;/S=me/", "501"),
    ("3461 4.2 another address type, xtext", R + " ORCPT=x400;/S+3Dme/", "250"),
    ("3461 4.2 printable characters alone", R + " ORCPT=rfc822;a+00b@x.example", "501"),
    ("3461 4.3 RET needs a value", M + " RET", "501"),
    ("3461 4.3 FULL or HDRS", M + " RET=BODY", "501"),
    ("3461 4.3 one of them", M + " RET=FULL,HDRS", "501"),
    ("3461 4.3 without regard to case", M + " RET=hdrs", "250"),
    ("3461 4.4 ENVID needs a value", M + " ENVID", "501"),
    ("3461 4.4 xtext", M + " ENVID=a+zz", "501"),
    ("3461 4.4 printable characters alone", M + " ENVID=a+07b", "501"),
    ("3461 4.4 a value", M + " ENVID=QQ314159+2B", "250"),
    ("3461 4.5 RET once", M + " RET=FULL RET=FULL", "501"),
    ("3461 4.5 ENVID once", M + " ENVID=a ENVID=a", "501"),
    ("3461 4.5 NOTIFY once", R + " NOTIFY=NEVER NOTIFY=NEVER", "501"),
    ("3461 4.5 ORCPT once", R + " ORCPT=rfc822;a@x.example ORCPT=rfc822;a@x.example", "501"),
    ("3461 5.1 (a) the same reply with them", M + " RET=FULL ENVID=x", "250"),
    ("3461 5.1 (a) in any order", M + " ENVID=x RET=FULL", "250"),
    ("3461 5.1 (b) the same reply with them: unknown", "RCPT TO:<nobody-here@virt.example> NOTIFY=NEVER ORCPT=rfc822;a@x.example", "550"),
    ("3461 5.4 an ENVID of 100 characters", M + " ENVID=" + "e" * 100, "250"),
    ("3461 5.4 an ORCPT of 500 characters", R + " ORCPT=rfc822;" + "o" * 481 + "@x.example", "250"),
    ("3461 5.4 a RCPT of 256 and all of them", "RCPT TO:<" + "t" * 60 + "@" + "a" * 60 + "." + "b" * 60 + "." + "c" * 58 + ".example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + "o" * 481 + "@x.example", "250"),
    ("6533 3 utf-8: the form for 7 bits, without SMTPUTF8", R + r" ORCPT=utf-8;gr\x{F6}ss@x.example", "250"),
    ("6533 3 utf-8: what does not conform is kept as it is", R + r" ORCPT=utf-8;a\x{ZZ}@x.example", "250"),
]

def talk(lines):
    p = subprocess.run(["mx-deliver", "--lmtp"], input="".join(l + "\r\n" for l in lines).encode(), capture_output=True, timeout=100)
    return p.stdout.decode(), p.stderr.decode()

for at in range(0, len(COMMANDS), 8): # too many errors end a session
    lines = ["EHLO x"]
    for name, say, want in COMMANDS[at:at + 8]:
        lines += ["RSET", say] if say.startswith("MAIL") else ["RSET", M, say]
    replies = [l for l in talk(lines + ["QUIT"])[0].split("\r\n") if l[3:4] == " "][2:] # behind greeting and EHLO
    for name, say, want in COMMANDS[at:at + 8]:
        n = 1 if say.startswith("MAIL") else 2
        got, replies = (replies[n:n + 1] or [""])[0], replies[n + 1:]
        row(name, got.startswith(want), "%s\n%s, not %s" % (say, got, want))
hello = talk(["EHLO x", "QUIT"])[0]
row("3461 3 the keyword DSN without parameters", re.search(r"^250.DSN\r$", hello, re.M), hello)

# ---- messages: section, MAIL's parameters, recipients with theirs, what is to be
# in the report ("" none is sent; a tuple: regular expressions, "!" not there)
BODY = "From: me@virt.example\r\nSubject: of row\r\n\r\nthe body\r\n"
A, F, D, L, Y = "^Action: ", "^Action: failed$", "^Action: delivered$", "^Action: relayed$", "^Action: delayed$"
OK, NO, TO, PL, PN, LATER = ("ok@virt.example", "no1@remote.example", "to@remote.example", "to@plain.example", "no1@plain.example", "later@remote.example")
MESSAGES = [
    ("3461 5.2.2 NOTIFY absent, delivered: no DSN", "", {OK: ""}, ""),
    ("3461 5.2.3 delivered, SUCCESS", "", {OK: "NOTIFY=SUCCESS"}, (D, "^Status: 2\\.", "^Final-Recipient: rfc822; ok@virt.example$")),
    ("3461 5.2.3 delivered, FAILURE,DELAY: no DSN", "", {OK: "NOTIFY=FAILURE,DELAY"}, ""),
    ("3461 5.2.3 delivered, NEVER: no DSN", "", {OK: "NOTIFY=NEVER"}, ""),
    ("3461 5.2.6 (a) failed, FAILURE", "", {NO: "NOTIFY=FAILURE"}, (F, "^Status: 5\\.1\\.1$")),
    ("3461 5.2.6 (b) failed, SUCCESS alone: no DSN", "", {NO: "NOTIFY=SUCCESS"}, ""),
    ("3461 5.2.6 (b) failed, DELAY alone: no DSN", "", {NO: "NOTIFY=DELAY"}, ""),
    ("3461 5.2.6 (c) failed, NOTIFY absent", "", {NO: ""}, (F,)),
    ("3461 5.2.6 failed, NEVER: no DSN", "", {NO: "NOTIFY=NEVER"}, ""),
    ("3461 5.2.2 (a) relayed to a host with DSN: no DSN of ours", "", {TO: "NOTIFY=SUCCESS"}, ""),
    ("3461 5.2.2 (b) relayed to one without, SUCCESS", "", {PL: "NOTIFY=SUCCESS"}, (L, "^Status: 2\\.")),
    ("3461 5.2.2 (b) relayed to one without, FAILURE: no DSN", "", {PL: "NOTIFY=FAILURE"}, ""),
    ("3461 5.2.2 (b) relayed to one without, NEVER: no DSN", "", {PL: "NOTIFY=NEVER"}, ""),
    ("3461 5.2.2 (b) refused by one without, FAILURE", "", {PN: "NOTIFY=FAILURE"}, (F, "^Remote-MTA: dns; ", "^Diagnostic-Code: smtp; 550 ")),
    ("3461 5.2.2 (b) refused by one without, NOTIFY absent", "", {PN: ""}, (F,)),
    ("3461 5.2.2 (b) refused by one without, NEVER: no DSN", "", {PN: "NOTIFY=NEVER"}, ""),
    ("3461 5.2.5 (a) delayed, NOTIFY without DELAY: no DSN", "", {LATER: "NOTIFY=FAILURE,SUCCESS"}, ""),
    ("3461 5.2.5 delayed, NEVER: no DSN", "", {LATER: "NOTIFY=NEVER"}, ""),
    ("3461 5.2.5 delayed, DELAY; 3464 2.3.9 Will-Retry-Until", "", {LATER: "NOTIFY=DELAY"}, (Y, "^Status: 4\\.", "^Will-Retry-Until: ")),
    ("3464 2.3.9 Will-Retry-Until in no other DSN", "", {NO: "", OK: "NOTIFY=SUCCESS"}, (F, "!^Will-Retry-Until")),
    ("3461 6.3 only who is to be told is in it", "", {NO: "", OK: "", PL: "NOTIFY=FAILURE", PN: "NOTIFY=NEVER"}, (F, "!ok@virt", "!to@plain", "!no1@plain")),
    ("3461 6.3 (a) ENVID, decoded; 3464 2.2.1 its case", "ENVID=Qq+2B+3D1", {NO: ""}, ("^Original-Envelope-I[dD]: Qq\\+=1$",)),
    ("3461 6.3 (a) no ENVID, no field", "", {NO: ""}, ("!^Original-Envelope-I[dD]",)),
    ("3461 6.3 (b) Reporting-MTA, dns and this host", "", {NO: ""}, ("^Reporting-MTA: dns; mail.example.org$",)),
    ("3461 6.3 (d) ORCPT, decoded, case and all", "", {NO: "ORCPT=rfc822;Some+2BOne@X.Example"}, ("^Original-Recipient: rfc822; Some\\+One@X.Example$",)),
    ("3461 6.3 (d) another type of address", "", {NO: "ORCPT=x400;/S+3Dme/"}, ("^Original-Recipient: x400; /S=me/$",)),
    ("3461 6.3 (d) no ORCPT, no field", "", {NO: ""}, ("!^Original-Recipient",)),
    ("3461 6.3 (e) Final-Recipient is RCPT's address", "", {"NO2@remote.example": "", "no-X@remote.example": "ORCPT=rfc822;other@x.example"}, ("^Final-Recipient: rfc822; no-X@remote.example$",)),
    ("3461 6.3 (h) (i) the host that said it, and what", "", {NO: ""}, ("^Remote-MTA: dns; ", "^Diagnostic-Code: smtp; 550 5.1.1 no such user$")),
    ("3464 2.3.5 no Remote-MTA where none was asked", "", {OK: "NOTIFY=SUCCESS"}, ("!^Remote-MTA", "!^Diagnostic-Code: smtp;")),
    ("3464 2.2.3 no DSN-Gateway: nothing was translated", "", {NO: ""}, ("!^DSN-Gateway",)),
    ("3461 4.3 RET=HDRS", "RET=HDRS", {NO: ""}, ("^Content-Type: text/rfc822-headers", "^Subject: of row$", "!the body")),
    ("3461 4.3 RET=FULL", "RET=FULL", {NO: ""}, ("^Content-Type: message/rfc822", "^Subject: of row$", "^the body$")),
    ("3461 4.3 RET is of failures: a success has the header", "RET=FULL", {OK: "NOTIFY=SUCCESS"}, ("^Content-Type: text/rfc822-headers", "!the body")),
    ("3461 5.2.7.3 an alias of one: NOTIFY and ORCPT go on", "ENVID=al1", {"one@mail.example.org": "NOTIFY=SUCCESS ORCPT=rfc822;orig@x.example"}, (L, "^Original-Recipient: rfc822; orig@x.example$")),
    ("3461 5.2.7.1 a list: delivered to it is delivered", "ENVID=li1", {"list@mail.example.org": "NOTIFY=SUCCESS ORCPT=rfc822;orig@x.example"}, (D, "!" + L)),
    ("3461 5.2.7.1 a list: a member's trouble is not the sender's", "", {"list2@mail.example.org": ""}, ""),
    ("6533 3 a UTF-8 original recipient, in ASCII", "", {NO: r"ORCPT=utf-8;gr\x{F6}ss@x.example"}, (r"^Original-Recipient: utf-8; gr\\x\{F6\}ss@x.example$",)),
]
lines = ["EHLO x"]
for n, (name, mail, to, want) in enumerate(MESSAGES, 1):
    lines += ["MAIL FROM:<s%d@virt.example> %s" % (n, mail)] + ["RCPT TO:<%s> %s" % (a, p) for a, p in to.items()] + ["DATA", BODY.rstrip("\r\n"), "."]
out, log = talk([l.rstrip(" ") for l in lines] + ["QUIT"])
row("all messages are taken", out.count("\r\n354") == len(MESSAGES) and not re.search(r"^[45]", out, re.M), out)
for later in ("0", "0", "20000", "20000"): # reports are delivered by the next pass
    subprocess.run(["mx-deliver", "--queue-run"], env=dict(os.environ, MX_TEST_TIME="+" + later), capture_output=True, timeout=100)

def reports(n):
    return [open(f, "rb").read() for f in sorted(glob.glob("%s/vm/s%d/new/*" % (work, n)))]

def lawful(raw):
    """What holds for every DSN: [(section, is it so)]"""
    m = email.message_from_bytes(raw, policy=policy.compat32)
    parts = m.get_payload()
    t = parts[1].get_payload() if m.is_multipart() and len(parts) > 1 else []
    blocks = [b for b in t if b.items()]
    yield "3461 6.1 a null reverse-path", m["Return-Path"] == "<>"
    yield "3464 2 addressed to the sender", re.fullmatch(r"s\d+@virt\.example", m["To"] or "")
    yield "3464 2 From is the mail system", "MAILER-DAEMON@mail.example.org" in m["From"]
    yield "3834 5.2 Auto-Submitted: auto-replied", m["Auto-Submitted"] == "auto-replied"
    yield "5322 3.6 Date and Message-ID, once", len(m.get_all("Date", [])) == 1 and len(m.get_all("Message-ID", [])) == 1
    yield "2045 4 MIME-Version", m["MIME-Version"] == "1.0"
    yield "6522 3 multipart/report, report-type", m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status"
    yield "6522 3 two or three parts in this order", m.is_multipart() and [p.get_content_type() for p in parts][:2] == ["text/plain", "message/delivery-status"]
    yield "6522 3 the third is the message or its header", len(parts) == 3 and parts[2].get_content_type() in ("message/rfc822", "text/rfc822-headers")
    yield "6522 5 and 2045 6.4: 7 bits", raw.isascii() and all(p["Content-Transfer-Encoding"] in (None, "7bit") for p in parts)
    yield "3464 2.1.1 per-message fields, then a block a recipient", len(blocks) >= 2 and "Reporting-MTA" in blocks[0]
    for b in blocks[1:]:
        for f in ("Final-Recipient", "Action", "Status"):
            yield "3464 2.3 %s once a recipient" % f, len(b.get_all(f, [])) == 1
        yield "3464 2.3.3 Action is one of five", b["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded")
        yield "3464 2.3.4 Status: three numbers", re.fullmatch(r"[245]\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})", b["Status"] or "")
        yield "3464 2.3.4 its class is that of Action", (b["Status"] or "x")[0] == {"failed": "5", "delayed": "4"}.get(b["Action"], "2")
        yield "3464 2.3.1 at most one Original-Recipient", len(b.get_all("Original-Recipient", [])) <= 1
    for d in re.findall(rb"^(?:Arrival-Date|Last-Attempt-Date|Will-Retry-Until): (.*)$", raw, re.M):
        yield "3464 2.2.5 numeric time zones", re.search(rb"[+-]\d{4}( \(.*\))?$", d)
    yield "5322 2.1.1 no line above 998", all(len(l) <= 998 for l in raw.split(b"\n"))

seen = {}
for n, (name, mail, to, want) in enumerate(MESSAGES, 1):
    got = reports(n)
    text = "\n".join(g.decode() for g in got)
    if want == "":
        row(name, got == [], text)
        continue
    wrong = [w for w in want if bool(re.search(w.lstrip("!"), text, re.M)) == w.startswith("!")]
    row(name, len(got) >= 1 and not wrong, "%s\n%s\n%s" % (wrong, text, log[-300:]))
    for g in got:
        for law, ok in lawful(g):
            seen.setdefault(law, []) if ok else seen.setdefault(law, []).append((name, g.decode()))
for law, wrong in seen.items():
    row(law, not wrong, wrong[:1])

# ---- what the next hosts were told: section, host's log, whose, RCPT or MAIL
def told(log):
    return [json.loads(l) for l in open(log) if '"message"' in l]
dsn, plain = told(peerlog), told(plainlog)
def rcpts(msgs, n): return [r for m in msgs for r in m["rcpts"] if "<s%d@" % n in m["sender"]]
def number(start): return next(n for n, x in enumerate(MESSAGES, 1) if x[0].startswith(start))
n = number("3461 5.2.2 (a)")
row("3461 5.2.1 (c) NOTIFY goes on as it came", any("NOTIFY=SUCCESS" in r for r in rcpts(dsn, n)), rcpts(dsn, n))
row("3461 5.2.2 (a) none of the parameters where DSN is not offered",
    plain and not re.search(r"NOTIFY|ORCPT|RET=|ENVID", json.dumps([[m["sender"], m["rcpts"]] for m in plain])), plain[:3])
n = number("3461 5.2.7.1 a list: delivered")
mine = [r for m in dsn if "<owner-list@" in m["sender"] for r in m["rcpts"] + [m["sender"]]]
row("3461 5.2.7.1 (b) to a list's members nothing of the original's", mine and not re.search("li1|orig|NOTIFY|RET", " ".join(mine)), mine)
print("%d rows, %d wrong" % (count, bad))
sys.exit(bad > 0)
