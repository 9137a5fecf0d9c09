"""corpus.py DIR WORK MX-FILTER: the scripts and messages of tests/mx-filter/pairs,
all on one kept `mx-filter sieve`, twice, beside one process for each; prints what
differs and a count."""
import os, re, sys
import kept

here, work, mx = sys.argv[1:4]
messages = [open(f"{here}/{m}", "rb").read() for m in ("plain", "mime", "bare", "odd")]
scripts = []
for line in open(f"{here}/tests", encoding="utf-8"):
    need, test = re.match(r"(?:\[([^\]]*)\] )?(.*)", line.rstrip("\n")).groups()
    scripts.append('require [%s];\nif %s { fileinto "yes"; }\n' % (
        ", ".join('"%s"' % r for r in ["fileinto"] + (need.split(",") if need else [])), test))
scripts += open(f"{here}/scripts", encoding="utf-8").read().split("---\n")
# two that do not compile, one that fails as it runs, one that changes the mail
scripts += ['fileinto "x";\nkeep', 'require "nothing";', 'redirect "a@b.example"; ' * 6,
            'require ["editheader", "fileinto"]; addheader "X-New" "yes"; fileinto "edited";']
argv = [mx, "-c", f"{work}/mx.conf", "sieve", "--actions"]
env = {"MX_ACTIONS": "3", "MX_SENDER": "sender@example.org", "MX_RECIPIENTS": "me+tag@example.net"}
open(f"{work}/mx.conf", "w").write("sieve_max_redirects = 4\n")
want, n, bad, seen = {}, 0, 0, set()
p, s, f = kept.start(argv)

# what answers to a sender once is another thing the second time
def remembers(text): return re.search(r"^\s*vacation|\bduplicate\b", text, re.M)

# what is made anew each time
def plain(a):
    out = re.sub(rb"(?m)^(Message-ID|Date): .*", rb"\1:", a[1])
    return a[0], out, re.sub(rb"size=\d+|at=\d+", b"", a[2]) if b"X-Sieve" in out else a[2], a[3]

for _ in range(2):
    for i, text in enumerate(scripts):
        path = f"{work}/s{i}.sieve"
        open(path, "w", encoding="utf-8").write(text)
        if remembers(text): continue
        for k, m in enumerate(messages):
            e = dict(env, MX_SIEVE_SCRIPT=path)
            if (i, k) not in want: want[i, k] = plain(kept.once(argv, e, m))
            got = plain(kept.ask(f, e, m))
            n += 1
            seen.add(got[0])
            if got != want[i, k]:
                bad += 1
                print(f"differ on message {k}:\n{text}  kept {got}\n  once {want[i, k]}")
f.close(); s.close()
assert p.wait() == 0
print(f"{n} kept, {bad} differ, statuses {sorted(seen)}")
sys.exit(bad > 0)
