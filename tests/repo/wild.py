"""wild.py PAGE: does each entry (.It Sy) of the page name tests, and are they
there?  A test is told by ".Pa tests/FILE :" and, on the next line, its title
(bats) or function (C); behind " / " the row of its table: a text that stands
in that test.  A line of C that is no function, and that of any other file (a
table of cases), is a text in it.  Prints what is not so."""
import os, re, sys

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
plain = lambda s: s.replace("\\&", "").replace("\\(dq", '"').replace("\\-", "-").replace("\\e", "\\")
bad, entries, tests, files = [], [], 0, {}


def source(path):
    """title or function -> its text"""
    if path not in files:
        text = open(os.path.join(root, path), encoding="utf-8").read()
        if path.endswith(".bats"):
            parts = re.split(r'^@test "((?:[^"\\]|\\.)*)".*\{', text, flags=re.M)
            files[path] = {re.sub(r"\\(.)", r"\1", t): b for t, b in zip(parts[1::2], parts[2::2])}
        else:
            parts = re.split(r"^(test_\w+)\(", text, flags=re.M)
            files[path] = dict(zip(parts[1::2], parts[2::2]))
    return files[path]


lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
for i, line in enumerate(lines):
    if line.startswith(".It Sy "):
        entries.append([line[7:], 0])
    m = re.match(r"\.Pa (tests/\S+)(.*)", line)
    if not m:
        continue
    path, want = m[1], plain(lines[i + 1])
    where = f"{entries[-1][0]}: {path}"
    entries[-1][1] += 1
    tests += 1
    if m[2] != " :":
        bad.append(f"{where}: the line ends with ' :'")
    elif not os.path.exists(os.path.join(root, path)):
        bad.append(f"{where}: no such file")
    elif not path.endswith(".bats") and want.split(" / ")[0] not in (source(path) if path.endswith(".c") else ()):
        if want not in open(os.path.join(root, path), encoding="utf-8").read():
            bad.append(f"{where}: no row {want!r}")
    else:
        names = source(path)
        title, row = (want, None) if want in names else (want.rsplit(" / ", 1) + [None])[:2]
        if title not in names:
            bad.append(f"{where}: no test {title!r}")
        elif row is not None and row not in names[title]:
            bad.append(f"{where}: {title}: no row {row!r}")
bad += [f"{name}: no test" for name, n in entries if n == 0]
for b in bad:
    print(b)
if not bad:
    print(len(entries), "entries,", tests, "tests")
sys.exit(1 if bad or not entries else 0)
