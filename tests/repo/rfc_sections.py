#!/usr/bin/env python3
"""rfc_sections.py FOLDER [NUMBER=FILE...]: the section numbers of each
FOLDER/rfcNUMBER.txt, a line a document, as tests/repo/rfc-sections.txt has
them: "4.1.1-3" is 4.1.1, 4.1.2 and 4.1.3.  FILE may be the text of a last
draft, or its Markdown.

A heading is no more than a line that begins with a number, and so is an item
of a list or an entry of the contents: of all such lines the longest chain is
taken in which each follows upon the one before."""
import glob, os, re, sys

HEAD = re.compile(r"( {0,8})(?:(?:Appendix|APPENDIX) +([A-Z](?:\.[0-9]{1,2})*)(?=[.:]? |[.:]?$)|"
                  r"((?:[0-9]{1,2}|[A-Z](?=\.))(?:\.[0-9]{1,2})*)(?:\.?(?: +[^ a-z]|$)|(?<=\.[0-9])\.? {1,2}[a-z]))")

def key(word):
    return tuple(ord(x) + 1000 if x.isalpha() else int(x) for x in word.split("."))

def follows(a, b):
    """Of sections a and b, as keys: b is the next that may come."""
    n = len(b)
    if n == len(a) + 1: return b[:-1] == a and b[-1] <= 1
    if n > len(a) or a[:n - 1] != b[:-1]: return False
    if b[-1] == a[n - 1] + 1: return True
    return n == 1 and a[0] < 1000 and b[0] == 1000 + ord("A")

def worth(a, b, indent):
    """What it is worth that b, a line so far indented, comes after a."""
    full = 1.0 if indent == 0 else 0.6 if len(b) > 1 else 0.3
    if follows(a, b): return full
    return -9 if indent or b[0] >= 1000 or b[0] > a[0] + 3 else full / 10

def chain(found):
    keys = [key(w) for w, _ in found]
    best, before = [0.0] * len(keys), [-1] * len(keys)
    for i, k in enumerate(keys):
        best[i] = 1.0 if k == (1,) else 0.1
        for j in range(i):
            if keys[j] >= k: continue
            w = best[j] + worth(keys[j], k, found[i][1])
            if w >= best[i]: best[i], before[i] = w, j
    i = max(range(len(keys)), key=lambda x: best[x])
    out = []
    while i >= 0:
        out.append(found[i][0]); i = before[i]
    return out[::-1]

def of_text(text):
    heads = [HEAD.match(line.lstrip("\f")) for line in text.splitlines()]
    return chain([(m.group(2) or m.group(3), len(m.group(1))) for m in heads if m])

def of_markdown(text):
    """Numbered as the tool that makes the text does: not before {mainmatter}."""
    out, at, back, fence = [], [], False, False
    for line in text.splitlines():
        if line.startswith(("```", "~~~")): fence = not fence
        if re.match(r"\{mainmatter\}|--- middle", line): out, at = [], []
        if re.match(r"\{backmatter\}|--- back", line): at, back = [], True
        m = re.match(r"(#+) +\S", line)
        if not m or fence or "{numbered=\"false\"}" in line: continue
        n = len(m.group(1))
        at = (at + [0] * n)[:n]
        at[-1] += 1
        first = chr(64 + at[0]) if back else str(at[0])
        out.append(".".join([first] + [str(x) for x in at[1:]]))
    return out

def packed(words):
    out, i = [], 0
    words = sorted(set(words), key=key)
    by_parent = {}
    for w in words: by_parent.setdefault(w.rpartition(".")[0], []).append(w.rpartition(".")[2])
    for parent in sorted(by_parent, key=lambda p: key(p) if p else ()):
        last = by_parent[parent]; i = 0
        while i < len(last):
            j = i
            while j + 1 < len(last) and key(last[j + 1])[0] == key(last[j])[0] + 1: j += 1
            out.append((parent + "." if parent else "") + last[i] + ("-" + last[j] if j > i else ""))
            i = j + 1
    return " ".join(out)

def main():
    files = {int(re.search(r"rfc(\d+)\.txt$", f).group(1)): f
             for f in glob.glob(os.path.join(sys.argv[1], "rfc*.txt"))}
    for a in sys.argv[2:]:
        n, _, f = a.partition("=")
        files[int(n)] = f
    for n in sorted(files):
        text = open(files[n], errors="replace").read()
        print(n, packed((of_markdown if files[n].endswith(".md") else of_text)(text)))

main()
