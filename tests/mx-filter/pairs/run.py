#!/usr/bin/env python3
"""run.py DIR MX-FILTER WORK: every test and script here on every message, with
mx-filter and with Debian's sieve-test; prints what differs and a count."""
import os, re, subprocess, sys

here, mx, work = sys.argv[1:4]
messages = ["plain", "mime", "bare", "odd"]
conf = f"""mail_uid = nobody
mail_gid = nogroup
mail_home = {work}/home
mail_location = maildir:{work}/home/Maildir
plugin {{
 sieve_extensions = +editheader +spamtest +spamtestplus +virustest +vacation-seconds
}}
"""
open(f"{work}/dc.conf", "w").write(conf)
os.makedirs(f"{work}/home", exist_ok=True)
os.chmod(work, 0o755); os.chmod(f"{work}/home", 0o777)

def theirs(script, message):
    p = subprocess.run(["sieve-test", "-c", f"{work}/dc.conf", "-f", "sender@example.org", "-a", "me+tag@example.net",
                        "-r", "me+tag@example.net", script, message], capture_output=True, text=True)
    if p.returncode != 0: return ["failed"]
    out, flags, in_text = [], None, False
    for line in p.stdout.splitlines():
        if line == "START MESSAGE": in_text = True
        if line == "END MESSAGE": in_text = False
        if in_text: continue
        if m := re.match(r" \* store message in folder: (.*)", line): out.append(["store", m[1], set()])
        elif m := re.match(r"\s+\+ add IMAP flags: ?(.*)", line): out[-1][2].update(f.lower() for f in m[1].split())
        elif m := re.match(r" \* redirect message to: <(.*)>", line): out.append(["redirect", m[1], set()])
        elif line.startswith(" * discard"): out.append(["discard", "", set()])
        elif line.startswith(" * reject"): out.append(["reject", "", set()])
        elif line.startswith(" * send vacation"): out.append(["vacation", "", set()])
        elif line.startswith(" * send notification"): out.append(["notify", "", set()])
    if re.search(r"Implicit keep:\s+\* store", p.stdout): pass
    return out

def ours(script, message):
    p = subprocess.run([mx, "-c", f"{work}/mx.conf", "sieve", "--script", script, "--sender", "sender@example.org", "--recipient",
                        "me+tag@example.net"], stdin=open(message), capture_output=True, text=True)
    if p.returncode != 0: return ["failed"]
    out = []
    for line in p.stdout.splitlines():
        if line.startswith("  | "): continue
        line = line.replace(" (copy)", "").replace(" (create)", "").replace(" (edited)", "")
        m = re.match(r'(\w+)(?: ("(?:[^"\\]|\\.)*"|[^" ]\S*))?(.*)', line)
        verb, arg, rest = m[1], (m[2] or ""), m[3]
        if verb == "keep": rest, arg = f"{arg} {rest}", "INBOX"
        if arg.startswith('"'): arg = re.sub(r"\\(.)", r"\1", arg[1:-1])
        flags = set(w.lower() for w in rest.split() if not w.startswith(":")) if verb in ("keep", "fileinto") else set()
        verb = {"keep": "store", "fileinto": "store", "ereject": "reject"}.get(verb, verb)
        if verb in ("vacation", "notify", "reject", "discard"): arg = ""
        out.append([verb, arg, flags])
    if "failed" in p.stderr or "kept" in p.stderr: return ["failed"]
    return out

open(f"{work}/mx.conf", "w").write("")
scripts = []
for line in open(f"{here}/tests", encoding="utf-8"):
    line = line.rstrip("\n")
    need, test = re.match(r"(?:\[([^\]]*)\] )?(.*)", line).groups()
    req = ["fileinto"] + (need.split(",") if need else [])
    scripts.append("require [%s];\nif %s { fileinto \"yes\"; }\n" % (", ".join('"%s"' % r for r in req), test))
scripts += open(f"{here}/scripts", encoding="utf-8").read().split("---\n")
bad = n = 0
for i, s in enumerate(scripts):
    path = f"{work}/s{i}.sieve"
    open(path, "w", encoding="utf-8").write(s)
    for m in messages:
        a, b = theirs(path, f"{here}/{m}"), ours(path, f"{here}/{m}")
        n += 1
        if a != b:
            # an implicit keep is told apart by them only
            a2 = a if a else [["store", "INBOX", set()]]
            b2 = b
            if a2 == b2: continue
            if a and b and b[-1][:2] == ["store", "INBOX"] and a == b[:-1]: continue
            bad += 1
            print(f"differ on {m}:\n{s}  sieve-test: {a}\n  mx-filter: {b}")
print(f"{n} pairs, {bad} differ")
sys.exit(bad > 0)
