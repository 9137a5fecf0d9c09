#!/usr/bin/env python3
"""run.py DIR MX-FILTER WORK [--kept | N]: every rcfile here on every message, with
mx-filter procmail and with procmail; prints what differs and a count.  --kept:
run once a message beside kept (mx-serve(5)), message after message, twice."""
import os, re, shutil, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

here, mx, work = sys.argv[1:4]
rcs = open(f"{here}/rcs").read().split("---\n")
kept = sys.argv[4:5] == ["--kept"]
only = int(sys.argv[4]) if len(sys.argv) > 4 and not kept else None
open(f"{work}/mx.conf", "w").write("")
open(f"{work}/sendmail", "w").write('#!/bin/sh\necho "$@" >> args\ncat >> sent\n')
os.chmod(f"{work}/sendmail", 0o755)

def tree(d):
    out = {}
    for base, dirs, files in os.walk(d):
        rel = os.path.relpath(base, d)
        if not files and not dirs and rel.split("/")[-1] not in ("tmp", "cur", "new"): out[rel + "/"] = "dir"
        for f in files:
            if rel == "." and f in ("rc", "inc.rc", "sendmail"): continue
            text = open(f"{base}/{f}", "rb").read()
            if f == "log":
                text = re.sub(rb"(?m)^procmail: .*\n", b"", text)
                text = re.sub(rb"Folder: \S*(new/|msg\.|pre\.)\S*(.*)", rb"Folder: \1", text)
            text = re.sub(rb"(?m)^(Date|Message-Id): .*", rb"\1", text) if f == "sent" else text
            text = re.sub(rb"(?m)^From (\S+)  \w\w\w \w\w\w .*", rb"From \1 NOW", text) # formail's
            name = f
            if rel.endswith("new"): name = "M"
            name = re.sub(r"^(msg|pre)\.\S+", r"\1.X", name)
            if rel.endswith("cur") or rel.endswith("tmp"): continue
            key = f"{rel}/{name}"
            while key in out: key += "+"
            out[key] = (text, oct(os.stat(f"{base}/{f}").st_mode & 0o777))
    return out

def fill(d, i):
    """The folder as each message finds it; the folder itself stays."""
    os.makedirs(d, exist_ok=True)
    for f in os.scandir(d):
        shutil.rmtree(f) if f.is_dir() else os.unlink(f)
    os.makedirs(f"{d}/sub"); os.makedirs(f"{d}/existing")
    open(f"{d}/rc", "w").write(f"SHELL=/bin/sh\nHOME={d}\nLOGFILE=log\nDEFAULT=default\nORGMAIL=orgmail\nLOCKSLEEP=1\nSENDMAIL={work}/sendmail\n" + rcs[i])
    shutil.copy(f"{here}/inc.rc", f"{d}/inc.rc")

def one(job):
    i, m = job
    res = []
    for who in ("theirs", "ours"):
        d = f"{work}/{i}-{m}-{who}"
        fill(d, i)
        cmd = ["procmail", "-a", "arg1", "./rc"] if who == "theirs" else [mx, "-c", f"{work}/mx.conf", "procmail", "-a", "arg1", "./rc"]
        p = subprocess.run(cmd, stdin=open(f"{here}/{m}"), capture_output=True, cwd=d, timeout=120)
        res.append((p.returncode, p.stdout, tree(d)))
    return i, m, res

def keep(i):
    """One kept process on all messages, beside one process a message."""
    d, argv = f"{work}/{i}", [mx, "-c", f"{work}/mx.conf", "procmail", "-a", "arg1", "./rc"]
    messages = [open(f"{here}/m{n}", "rb").read() for n in (1, 2, 3, 4)]
    os.makedirs(d)
    def once(m):
        fill(d, i)
        p = subprocess.run(argv, input=m, capture_output=True, cwd=d, timeout=120)
        return p.returncode, p.stdout if p.returncode == 0 else b"", p.stderr, tree(d)
    want = [once(m) for m in messages]
    fill(d, i)
    p, s, f = serve.start([argv[0]] + argv[1:], cwd=d)
    for _ in range(2):
        for n, m in enumerate(messages):
            fill(d, i)
            status, out, actions, errs = serve.ask(f, {}, m)
            got = status, out, errs, tree(d)
            if got != want[n]: return f"differ, rc {i} on m{n + 1}:\n{rcs[i]}  kept {got}\n  once {want[n]}"
    f.close(); s.close()
    return "" if p.wait() == 0 else f"rc {i}: the kept one ended with {p.returncode}"

if kept:
    sys.path.insert(0, f"{here}/../../serve")
    import kept as serve
    with ThreadPoolExecutor(4) as ex: bad = [w for w in ex.map(keep, range(len(rcs))) if w]
    print("\n".join(bad + [f"{8 * len(rcs)} kept, {len(bad)} differ"]))
    sys.exit(bool(bad))

jobs = [(i, m) for i in range(len(rcs)) for m in ("m1", "m2", "m3", "m4") if only is None or i == only]
bad = 0
with ThreadPoolExecutor(16) as ex:
    for i, m, (a, b) in ex.map(one, jobs):
        if a == b: continue
        bad += 1
        print(f"differ, rc {i} on {m}:\n{rcs[i]}", end="")
        if a[:2] != b[:2]: print("  status and output:", a[:2], b[:2])
        for k in sorted(set(a[2]) | set(b[2])):
            if a[2].get(k) != b[2].get(k): print(f"  {k}:\n    procmail:  {a[2].get(k)}\n    mx-filter: {b[2].get(k)}")
print(f"{len(jobs)} pairs, {bad} differ")
sys.exit(bad > 0)
