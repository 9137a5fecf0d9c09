"""musts.py - what an RFC demands of a POP3 server, as rows of a table: each a
dialogue with a server and a mailbox of its own (three messages).

    == 1939 5 RETR of no such message          section and rule
    R:                                         over the network, before a login
    C: RETR 9                                  a command; +OK is due
    T: -ERR                                    unless its first line is this
    L: UIDL                                    an answer of many lines
    S: 1 \\w+                                   one of them, in this order
    -: x                                       in none of them
    P: ...                                     Python; c is the client

T and S are regular expressions, matched from a line's start; \\x.. in a command
are bytes.

    musts.py TABLE ROWS PORT MAILDIR      joe@x.test's, which both serve
"""
from pop3 import *
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))


class Row:
    def __init__(self, title):
        self.title, self.lines = title, []

    def say(self, text, many):
        self.first = self.c.cmd(text.encode("latin-1").decode("unicode_escape").encode("latin-1"))
        self.out = [l.decode("latin-1") for l in self.c.rest()] if many and self.first.startswith(b"+OK") else []
        self.said, self.at, self.checked = text, 0, False

    def due(self):
        assert self.checked or self.first.startswith(b"+OK"), f"{self.said}: {self.first}"

    def run(self, port, m):
        shutil.rmtree(m, ignore_errors=True)
        for i in (1, 2, 3):
            deliver(m, f"170000000{i}.M{i}P1.h", f"From: a@x.test\nSubject: s{i}\n\nline {i}\n.dot\nlast\n".encode(), "cur")
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "nobody", m], check=True)
        self.checked, self.c, self.out = True, None, []
        try:
            for kind, text in self.lines:
                if self.c is None and kind not in "RP":
                    self.c = preauth(m)
                if kind == "R":
                    self.c = connect(port)
                elif kind in "CL":
                    self.due()
                    self.say(text, kind == "L")
                elif kind == "T":
                    self.checked = True
                    assert re.match(text, self.first.decode("latin-1")), f"{self.said}: {self.first}"
                elif kind == "S":
                    while not re.match(text, self.out[self.at] if self.at < len(self.out) else text.join("\0\0")) and self.at < len(self.out):
                        self.at += 1
                    assert self.at < len(self.out), f"{self.said}: no {text} in {self.out}"
                    self.at += 1
                elif kind == "-":
                    assert not any(re.search(text, l) for l in self.out), f"{self.said}: {text} in {self.out}"
                else:
                    exec(text, {**globals(), "c": self.c, "row": self, "m": m, "port": port})
            self.due()
            return True
        except Exception as e:
            print(f"{self.title}\n  {type(e).__name__}: {e}")
            return False
        finally:
            if self.c:
                try:
                    self.c.drop()
                except Exception:
                    pass


def main(table, want, port, m):
    rows = []
    for l in open(f"{HERE}/musts/{table}", encoding="latin-1"):
        l = l.rstrip("\n")
        if l.startswith("== "):
            rows.append(Row(l[3:]))
        elif l and not l.startswith("#"):
            kind, _, text = l.partition(":")
            assert len(kind) == 1 and rows, l
            rows[-1].lines.append((kind, text[1:]))
    bad = sum(not r.run(port, m) for r in rows)
    print(f"{table}: {len(rows)} rows, {bad} bad")
    assert len(rows) == int(want), len(rows)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
