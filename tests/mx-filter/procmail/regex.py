"""regex.py PROCMAIL MX-FILTER FOLDER SEED N: N random expressions with "\\/"
and N with a weight, through both: what MATCH gets, and how often they match.
Differences are printed; exit 1 when there are any."""
import os, random, re, subprocess, sys

procmail, mx, folder, seed, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
random.seed(seed)
os.chdir(folder)


def atom(d):
    if d > 0 and random.random() < 0.35:
        return "(" + alt(d - 1) + ")"
    return random.choice("aab.c")


def piece(d):
    # procmail itself may hang on a group that is repeated
    a, r = atom(d), random.random()
    return a if a[0] == "(" else a + ("*" if r < 0.15 else "+" if r < 0.25 else "?" if r < 0.35 else "")


def seq(d):
    return "".join(piece(d) for _ in range(random.randint(1, 3)))


def alt(d):
    return "|".join(seq(d) for _ in range(random.choice([1, 2, 2])))


def text():
    return "".join(random.choice("aabcx") for _ in range(random.randint(1, 9)))


rc, what = "LOGFILE=log\n", {}
for i in range(n):
    # a right side that may be empty has rules of procmail's own
    right = ""
    while re.fullmatch(right, ""):
        right = random.choice([seq(2), "(" + alt(2) + ")", seq(1)])
    left, t = random.choice(["x", "x(a|ab)", "x" + seq(1), "x(" + alt(1) + ")"]), text()
    what[f"m{i}"] = f"{left}\\/{right} on {t}"
    rc += f'T="{t}"\nMATCH\n:0\n* T ?? {left}\\/{right}\n{{ LOG="m{i} [$MATCH]\n" }}\n'
    e, t = random.choice([seq(2), "(" + alt(2) + ")"]), text()
    what[f"w{i}"] = f"1^1 {e} on {t}"
    rc += f'T="{t}"\n:0\n* 1^1 T ?? (){e}\n{{ LOG="w{i} [$=]\n" }}\n:0E\n{{ LOG="w{i} [$=]\n" }}\n'
open("rc", "w").write(rc + ":0\n/dev/null\n")
open("m", "w").write("Subject: x\n\nb\n")
got = []
for cmd in [procmail], [mx, "procmail"]:
    open("log", "w").close()
    subprocess.run([*cmd, "-m", "./rc"], stdin=open("m"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    got.append(dict(re.findall(r"^([mw]\d+) \[(.*)\]$", open("log", encoding="latin-1").read(), re.M)))
bad = [k for k in what if got[0].get(k) != got[1].get(k)]
for k in bad:
    print(f"{what[k]}: procmail {got[0].get(k)!r}, mx-filter {got[1].get(k)!r}")
print(f"{len(what)} expressions, {len(got[0])} with an answer, {len(bad)} differ")
sys.exit(bool(bad) or len(got[0]) < n)
