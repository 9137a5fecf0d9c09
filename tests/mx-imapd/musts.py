"""musts.py - what an RFC demands of a server, as rows of a table: each a
dialogue with a server and a mailbox of its own.

    == 3.1.2.1 HIGHESTMODSEQ with every SELECT      section and rule
    M: 5                                            messages (default 4)
    A: -o imap_message_limit=2                      options of mx-imapd
    N: / X:                                         session C: before a login, plain or TLS
    C: ENABLE CONDSTORE                             session C says; OK is due
    C: SELECT INBOX
    S: \\* OK \\[HIGHESTMODSEQ (?P<h>\\d+)\\]           a line of the answer
    -: NOMODSEQ                                     in no line of it
    D: STORE 1 (UNCHANGEDSINCE <h-1>) FLAGS (a)     a second session, "D"
    T: OK \\[MODIFIED 1\\]                            the tagged line
    0:                                              nothing untagged
    P: os.rename(...)                               Python; m is the mailbox

S lines are regular expressions that stand in this order, each matched from
the start of a line.  {{...}} is a literal that does not wait, with \\r\\n\\x as
in Python.  <x>, <x+1> stand for a group (?P<x>...) that matched; SELECT
leaves <h> (HIGHESTMODSEQ), <v> (UIDVALIDITY), <n> (UIDNEXT).  "C: A ;; B" is
two commands.

    musts.py TABLE ROWS     all rows of a file, which are so many
    musts.py TABLE ROWS dovecot      the same said to Dovecot
"""
from imap import *
import shutil, traceback

HERE = os.path.dirname(os.path.abspath(__file__))


def messages(m, n):
    for i in range(1, n + 1):
        text = (f"From: Ann A{i} <a{i}@example.org>\nTo: bob@example.net\nSubject: s{i}\n"
                f"Date: Mon, {i:02d} Feb 2021 10:00:00 +0000\nMessage-ID: <{i}@example.org>\n\nbody {i}\n").encode()
        put(m, text, "cur", name=f"{1600000000 + i}.M{i}P1.h,S={len(text)}", flags="", mtime=1600000000 + 86400 * i)


def shout(c, data):
    """Sends to a server that may have closed already."""
    try:
        c.send(data)
    except OSError:
        pass


def ended(c):
    """What it said before it closed."""
    try:
        return c.closed()
    except OSError:
        return c.buf


class Row:
    def __init__(self, title, peer):
        self.title, self.lines, self.peer = title, [], peer
        self.vars, self.sessions, self.last, self.at, self.checked = {}, {}, None, 0, True

    def session(self, name):
        if name not in self.sessions:
            if self.peer:
                argv, kw = ["doveadm", "-c", "dovecot.conf", "exec", "imap"], {"env": {**os.environ, "HOME": os.getcwd(), "USER": "nobody"}, "stderr": subprocess.DEVNULL}
                subprocess.run(["chown", "-R", "nobody:nogroup", "m"], check=True)
                self.sessions[name] = Process(argv, **kw)
            else:
                self.sessions[name] = preauth("m", *getattr(self, "args", []))
        return self.sessions[name]

    def fill(self, text, quote=False):
        def value(x):
            v = self.vars[x.group(1)]
            v = str(int(v) + int(x.group(2))) if x.group(2) else v
            return re.escape(v) if quote else v
        return re.sub(r"(?<!\?P)<([a-z]\w*)([+-]\d+)?>", lambda x: value(x) if x.group(1) in self.vars else x.group(0), text)

    def due(self):
        """A command whose tagged line nobody asked for was to succeed."""
        if not self.checked:
            assert self.tagged().startswith("OK"), f"{self.last.cmd}: {self.tagged()}"
        self.checked = True

    def tagged(self):
        return self.last.tagged.split(b" ", 1)[1].decode("latin-1")

    def say(self, c, text):
        def literal(x):
            b = x.group(1).encode("latin-1", "backslashreplace").decode("unicode_escape")
            return "{%d+}\r\n%s" % (len(b), b)
        for one in text.split(" ;; "):
            self.due()
            data = re.sub(r"\{\{(.*?)\}\}", literal, self.fill(one))
            self.last, self.at, self.checked = c.cmd(data.encode("latin-1")), 0, False
            self.out = [l.decode("latin-1") for l in self.last.lines]
            if re.match(r"(SELECT|EXAMINE) ", one):
                for k, w in (("h", "HIGHESTMODSEQ"), ("v", "UIDVALIDITY"), ("n", "UIDNEXT")):
                    x = re.search(rf"\[{w} (\d+)\]", "\n".join(self.out))
                    if x:
                        self.vars[k] = x.group(1)

    def match(self, regex, line):
        x = re.match(self.fill(regex, True), line, re.S)
        if x:
            self.vars.update({k: v for k, v in x.groupdict().items() if v is not None})
        return x

    def step(self, kind, text):
        if kind == "S":
            for i in range(self.at, len(self.out)):
                if self.match(text, self.out[i]):
                    self.at = i + 1
                    return
            raise AssertionError(f"{self.last.cmd}: no {self.fill(text, True)}")
        elif kind == "T":
            self.checked = True
            assert self.match(text, self.tagged()), f"{self.last.cmd}: not {self.fill(text, True)}"
        elif kind == "-":
            for l in self.out + [self.tagged()]:
                assert not re.search(self.fill(text, True), l), f"{self.last.cmd}: {l}"
        elif kind == "0":
            assert not self.out, f"{self.last.cmd}: not silent"
        elif kind in "NX":
            self.sessions["C"] = connect(os.environ["IMAPS" if kind == "X" else "IMAP"], kind == "X")
        elif kind == "P":
            if re.search(r"\bC\.", text):
                self.session("C")
            exec(self.fill(text), {**globals(), "m": "m", "row": self, "vars": self.vars, **self.sessions})
        else:
            self.say(self.session(kind), text)

    def run(self):
        shutil.rmtree("m", ignore_errors=True)
        n, lines = 4, list(self.lines)
        while lines and lines[0][0] in "MA":
            kind, text = lines.pop(0)
            if kind == "M":
                n = int(text)
            else:
                self.args = text.split()
        os.mkdir("m", 0o700)
        for d in ("cur", "new", "tmp"):
            os.mkdir(f"m/{d}", 0o700)
        messages("m", n)
        try:
            for kind, text in lines:
                self.step(kind, text)
            self.due()
            return True
        except Exception as e:
            print(f"{self.title}\n  {type(e).__name__}: {e}")
            if self.last:
                print("".join(f"    {l.decode('latin-1')}\n" for l in self.last.lines + [self.last.tagged]), end="")
            return False
        finally:
            for c in self.sessions.values():
                try:
                    c.end() if hasattr(c, "end") else c.w.close()
                except Exception:
                    pass


def main(table, want, peer=None):
    rows = []
    for l in open(f"{HERE}/musts/{table}", encoding="latin-1"):
        l = l.rstrip("\n")
        if l.startswith("== "):
            rows.append(Row(l[3:], peer))
        elif l and not l.startswith("#"):
            kind, _, text = l.partition(":")
            assert len(kind) == 1 and rows, l
            rows[-1].lines.append((kind, text[1:]))
    bad = sum(not r.run() for r in rows)
    print(f"{table}: {len(rows)} rows, {bad} bad")
    assert len(rows) == int(want), len(rows)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
