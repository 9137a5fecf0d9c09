"""pages.py PROGRAM: compares a program's --help and --parameters with its
manual page, in both directions; prints what differs."""
import glob, os, re, subprocess, sys

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
prog = sys.argv[1]
name = os.path.basename(prog)
pages = glob.glob(f"{root}/man/{name}.[18]")
if not pages:
    sys.exit(f"{name}: no page man/{name}.1 or .8")
page = open(pages[0]).read()
bad = []
STANDARD = {"config", "verbose", "json", "resolver", "parameters", "check-config", "set", "lookup", "version", "help"}


def out(*args):
    return subprocess.run([prog, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "MX_CONFIG": sys.argv[2]}).stdout


options = set(re.findall(r"^  (?:-\w, )?--([\w-]+)", out("--help"), re.M))
section = lambda s: (re.search(rf"^\.Sh {s}\n(.*?)(?=^\.Sh|\Z)", page, re.M | re.S) or [None, ""])[1]
told = set(re.findall(r"^\.It Fl (?:\w , )?(?:Fl )?-([\w-]+)", section("OPTIONS"), re.M))
bad += [f"option --{o} is not in the page" for o in sorted(options - told - STANDARD)]
bad += [f"option --{o} of the page is not in --help" for o in sorted(told - options)]

# The parameters that all programs share are told by mx.conf(5) alone.
shared = set(re.findall(r'^\tROW\(\w+, (\w+),', open(root + "/common/site.c").read(), re.M))
params = dict(re.findall(r"^(\w+) = ?(.*)$", out("--parameters"), re.M))
plain = lambda s: s.replace("\\&", "").replace("\\e", "\\").replace("\\(dq", '"').strip().strip('"').strip()
paged = {n: plain(d) for n, d in re.findall(r"^\.It Va (\w+) Pq default: Dq ?(.*)$", section("PARAMETERS"), re.M)}
own = {n: v.strip() for n, v in params.items() if n not in shared}
bad += [f"parameter {n} is not in the page (default: {v})" for n, v in sorted(own.items()) if n not in paged]
bad += [f"parameter {n} of the page is not in --parameters" for n in sorted(paged) if n not in params]
bad += [f"parameter {n}: default {own[n]!r}, page {paged[n]!r}" for n in sorted(own) if n in paged and paged[n] != own[n]]
conf = open(root + "/man/mx.conf.5").read()
bad += [f"parameter {n} is not in mx.conf.5 with its default {params[n].strip()!r}" for n in sorted(shared & set(params))
        if not re.search(rf"^\.It Va {n} Pq default: Dq ?{re.escape(params[n].strip())}$", conf, re.M)]
for s in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
    if f".Sh {s}\n" not in page:
        bad.append(f"no section {s}")
for b in bad:
    print(f"{name}: {b}")
sys.exit(1 if bad else 0)
