#!/usr/bin/env python3
"""rfcs.py [STATUS [SECTIONS [FILE...]]]: every document that the tree points
at has a line in tests/rfc-status.txt, every section that it points at exists
(tests/repo/rfc-sections.txt), and every program that names a document in the
STANDARDS of its page stands in the line of that document.  A line a fault;
then how many pointers there are.

"RFC 5321 4.5.3.1", "RFC 8460 4.4, 5.3", "RFC 3207 5, 4954 4 and 1870" and
"RFC 5321 appendix C" are pointers, also where a comment's line ends in them.
A document whose sections are not listed may be pointed at as a whole, or by
what is not checked."""
import glob, os, re, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START = re.compile(r"\bRFCs?\s+(?=[0-9]{3,4}\b)")
NUMBER = re.compile(r"[0-9]{3,4}(?![\w]|\.[0-9])")
SECTION = re.compile(r"(?:[Ss]ections?\s+|§)?([0-9]{1,2}(?:\.[0-9]{1,2})*|[A-H](?:\.[0-9]{1,2})+)(?![\w%]|\.[0-9])|"
                     r"[Aa]ppendix\s+([A-H](?:\.[0-9]{1,2})*)(?!\w)")
GLUE = re.compile(r"(?:\s*\([^()]{1,60}\))?\s*(?:,|;|\band\b|\bor\b|\bto\b|,\s*and\b)\s*")
STATES = ("full", "partial", "one rule", "not")

def pointers(text):
    """(offset, document, section or None) of all that stands in text."""
    at = 0
    while True:
        m = START.search(text, at)
        if not m: return
        at, doc = m.end(), None
        while True:
            n = NUMBER.match(text, at)
            if n and (doc is None or len(n.group()) == 4):
                doc, at = int(n.group()), n.end()
                after = re.compile(r",?\s+").match(text, at)
                s = after and SECTION.match(text, after.end())
                if not s: yield n.start(), doc, None
                else:
                    yield n.start(), doc, s.group(1) or s.group(2)
                    at = s.end()
            else:
                s = SECTION.match(text, at)
                if not s or doc is None: break
                yield s.start(), doc, s.group(1) or s.group(2)
                at = s.end()
            g = GLUE.match(text, at)
            if not g: break
            at = g.end()

def plain(text):
    """Comment's and list's line beginnings are no part of a sentence."""
    return re.sub(r"\n[ \t]*(?:\*(?!/)|#+|//|dnl)?[ \t]*", "\n", text)

def read_sections(path):
    out = {}
    for line in open(path):
        if line.startswith("#"): continue
        n, *words = line.split()
        out[int(n)] = have = set()
        for w in words:
            head, _, last = w.rpartition(".") if "." in w else ("", "", w)
            a, _, b = last.partition("-")
            b = b or a
            rng = [chr(x) for x in range(ord(a), ord(b) + 1)] if a.isalpha() else range(int(a), int(b) + 1)
            have.update(f"{head}.{x}" if head else str(x) for x in rng)
    return out

def read_status(path):
    out, bad = {}, []
    for i, line in enumerate(open(path), 1):
        if line.startswith("#") or not line.strip(): continue
        f = [x.strip() for x in line.rstrip("\n").split("|")]
        where = f"{os.path.basename(path)}:{i}"
        if len(f) != 5 or not f[0].isdigit():
            bad.append(f"{where}: number | title | status | programs | what is not done"); continue
        n, title, state, programs, rest = int(f[0]), f[1], f[2], f[3].split(), f[4]
        if n in out: bad.append(f"{where}: RFC {n} is there twice")
        if state not in STATES: bad.append(f"{where}: RFC {n}: {state}: one of {', '.join(STATES)}")
        if state == "partial" and not rest: bad.append(f"{where}: RFC {n}: partial: what is not done?")
        for p in programs:
            if p != "common" and not os.path.isdir(f"{ROOT}/cmd/{p}"): bad.append(f"{where}: RFC {n}: no program {p}")
        if state != "not" and not programs: bad.append(f"{where}: RFC {n}: no program")
        out[n] = (state, programs)
    return out, bad

def standards(path, status):
    """What the page of a program promises is in the status of that program."""
    program = os.path.basename(path).rsplit(".", 1)[0]
    text = open(path).read()
    m = re.search(r"^\.Sh STANDARDS\n(.*?)(?=^\.Sh|\Z)", text, re.M | re.S)
    if not m or not os.path.isdir(f"{ROOT}/cmd/{program}"): return
    named = {doc for _, doc, _ in pointers(plain(m.group(1)))}
    for doc in sorted(named):
        if doc in status and program not in status[doc][1]:
            yield f"{os.path.relpath(path, ROOT)}: STANDARDS names RFC {doc}, its status does not name {program}"
        if doc in status and status[doc][0] == "not":
            yield f"{os.path.relpath(path, ROOT)}: STANDARDS names RFC {doc}, which is not done"

def main():
    status_file = sys.argv[1] if len(sys.argv) > 1 else ROOT + "/tests/rfc-status.txt"
    sections_file = sys.argv[2] if len(sys.argv) > 2 else ROOT + "/tests/repo/rfc-sections.txt"
    sections = read_sections(sections_file)
    status, bad = read_status(status_file)
    files = sys.argv[3:] or sorted(f for d in ("cmd/*", "common", "man", "tests", "tests/**")
                                   for f in set(glob.glob(f"{ROOT}/{d}/*", recursive=True)) if os.path.isfile(f))
    n = with_section = 0
    for f in dict.fromkeys(files):
        try: text = plain(open(f, encoding="utf-8").read())
        except UnicodeDecodeError: continue
        if os.path.basename(f).startswith("rfc"): continue
        for at, doc, section in pointers(text):
            n += 1; with_section += section is not None
            where = f"{os.path.relpath(f, ROOT)}:{text.count(chr(10), 0, at) + 1}"
            if doc not in status: bad.append(f"{where}: RFC {doc} has no line in {os.path.basename(status_file)}")
            if section and doc in sections and section not in sections[doc]:
                bad.append(f"{where}: RFC {doc} has no section {section}")
    for page in sorted(glob.glob(ROOT + "/man/*.[1-8]")) if len(sys.argv) < 4 else []:
        bad.extend(standards(page, status))
    print("\n".join(bad + [f"{n} pointers, {with_section} with a section, {len(bad)} faults"]))
    return 1 if bad else 0

sys.exit(main())
