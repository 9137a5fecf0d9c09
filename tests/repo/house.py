"""house.py ROOT [LIBRARY]: the rules of the house that a machine can read;
prints what breaks them.  ROOT: a tree with cmd/ and common/; LIBRARY:
libmx.a, for the names that it exports."""
import collections, glob, os, re, subprocess, sys

root = sys.argv[1]
bad = []
source = lambda f: open(f, encoding="utf-8").read()
# what runs: without comments and strings
code = lambda s: re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", s, flags=re.S)
includes = lambda s: re.findall(r'^#include "([^"]+)"', s, re.M)
LAYERS = {"base": 0, "sys": 1, "mail": 2}

# Includes point downward: mail may use sys and base, nothing the other way.
layer = {}
common = sorted(glob.glob(f"{root}/common/*.[ch]"))
for f in common:
    m = re.match(r"/\*.*?Layer:\s*\*?\s*(\w+)", source(f)[:2000], re.S)
    if not m or m[1] not in LAYERS:
        bad.append(f"common/{os.path.basename(f)}: no layer in its head")
    else:
        layer[os.path.basename(f)] = LAYERS[m[1]]
for f in common:
    me = os.path.basename(f)
    for i in includes(source(f)):
        if not os.path.exists(f"{root}/common/{i}"):
            bad.append(f"common/{me}: {i} is not of common/")
        elif layer.get(i, 0) > layer.get(me, 9):
            bad.append(f"common/{me}: {i} belongs to a higher layer")
# A program knows common/ and itself.
for f in sorted(glob.glob(f"{root}/cmd/*/*.[ch]")):
    for i in includes(source(f)):
        if not any(os.path.exists(f"{d}/{i}") for d in (os.path.dirname(f), f"{root}/common")):
            bad.append(f"{os.path.relpath(f, root)}: {i} is neither of its folder nor of common/")

# Numbers by num.h, memory by mem.h, texts by buf.h, programs without a shell.
BANNED = ("strtol strtoul strtoll strtoull strtod atoi atol atof strcpy strcat sprintf vsprintf gets system popen "
          "alloca strtok mktemp tmpnam rand srand random scanf sscanf calloc realloc strdup strndup asprintf").split()
ALONE = {"common/mem.c": {"calloc", "realloc"}, "common/num.c": {"strtod"}}
banned = re.compile(r"(?<![\w>.])(" + "|".join(BANNED) + r")\s*\(")
for f in common + sorted(glob.glob(f"{root}/cmd/*/*.c")):
    name = os.path.relpath(f, root)
    for w in sorted(set(banned.findall(code(source(f)))) - ALONE.get(name, set())):
        bad.append(f"{name}: {w}() is not used here")

# Names find owners: what x.c exports begins with x's word, or one of these.
ALSO = {"param": {"config"}, "escape": {"base64", "hex", "utf8"}, "opt": {"prog"}, "span": {"ascii"},
        "mailbox": {"message", "scan"}, "pipeline": {"proc"}, "authmaster": {"auth"}}
if len(sys.argv) > 2:
    out = subprocess.run(["nm", "-A", "-g", "--defined-only", sys.argv[2]], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = re.findall(r"([^:/]+)\.o:\S+ \S (\S+)$", out, re.M)
    if len(names) < 100:
        bad.append(f"{sys.argv[2]}: {len(names)} names: nm was not understood")
    for stem, name in names:
        word = stem.split("_")[0]
        if not name.startswith((word, *ALSO.get(word, ()))) and not name.startswith("__"):
            bad.append(f"common/{stem}.c: {name} has another's word")

print("\n".join(bad))
sys.exit(1 if bad else 0)
