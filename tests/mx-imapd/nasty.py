"""nasty.py - messages made from a seed, each wrong or odd in ways real mail is:
boundaries that begin each other, delimiters with a tail, parts without a
header, an end or a line end, folds everywhere, 8-bit text, bare CR.

What two readers of the RFCs may rightly answer in two ways is left out, and
named here with what mx does:
  - a line in a header that is no field: the header ends before it, as for
    Postfix, mutt and Python; Dovecot reads on to the empty line
  - a Content-Type without a subtype: text/plain (RFC 2045 5.2); Dovecot tells
    empty strings
  - an empty boundary: it delimits nothing (RFC 2046 5.1.1); Dovecot takes any
    line that begins with "--"
  - MIME fields without MIME-Version: they count; Dovecot drops the encoding
  - addresses without a domain: an empty host; Dovecot tells MISSING_DOMAIN;
    "a@b <c@d>": two addresses; Dovecot tells the first; SORT by an address
    literal: as it is written
  - =?utf-8?q?half: the text as it stands; Dovecot sorts it elsewhere
  - OR NOT LARGER 10 NOT LARGER 500: those up to 500; Dovecot finds none
  - threads of the same second: by number (RFC 5256 2.2)
  - SENTBEFORE of a message without a date: no match; Dovecot takes it for 1970
  - BODY[1.1] of a part that holds no other: NIL; Dovecot tells the part
  - 10000:* of 120 messages: the last (RFC 3501 6.4.8); Dovecot finds none
  - the same boundary within and without: nobody knows
  - a part that ends where its delimiter's line end begins: that line end is
    the next delimiter's (RFC 2046 5.1.1); Dovecot counts it twice"""
import random

WORDS = [b"alpha", b"Beta", b"gamma delta", b"\xc3\xa4\xc3\xb6", b"=?utf-8?q?J=C3=B6rg?=", b"=?utf-8?B?w6TDtsO8?=", b"=?iso-8859-1?Q?caf=E9?= =?iso-8859-1?Q?_noir?=",
         b"x\ty", b"(comment)", b"\"quo\\\"ted\"", b"back\\slash", b"=?utf-8?b?5pel5pys?=\r\n =?utf-8?b?6Kqe?=", b"{3}", b"NIL", b"a" * 70, b"=?us-ascii?q?plain?=", b"42", b"7"]
ADDRS = [b"joe@example.com", b"Joe <joe@example.com>", b"\"Joe, Q.\" <j.q@example.com>", b"=?utf-8?q?J=C3=B6rg?= <j@example.com>", b"Group: a@b, c@d;", b"J\xc3\xb6rg <x@y>",
         b"J. Doe <jd@x.y>", b"zoe@z.example", b"Anna\r\n\t<anna@a.example>"]
DAYS = ["7-Feb-1994", "8-Feb-1994", "5-Mar-2019", "6-Mar-2019", "31-Dec-2022", "1-Apr-2022", "29-Feb-2020"]
BOUND = [b"abc", b"abcd", b"ab", b"x y", b"=_?:,", b"a" * 70, b"b'()+_,-./:=?"]
TYPES = [b"text/plain", b"TEXT/HTML", b"text/enriched", b"application/octet-stream", b"image/png", b"message/delivery-status"]
PARAMS = [b"", b"", b"; charset=utf-8", b"; charset=\"iso-8859-1\"; format=flowed", b";charset=UTF-8;", b"; charset=us-ascii (comment)", b"; charset=utf-8; name=\"a\\\"b\"", b"; charset=utf-8; x=\"\xc3\xa4\""]
TEXTS = [b"", b"line\r\n", b"one\r\ntwo\r\n\r\n", b"no end", b"\r\n", b"\r\n\r\n", b"--\r\n", b"-- \r\nsig\r\n", b"=20=\r\nx=3Dzz\r\n", b"aGVsbG8gd29ybGQ=\r\n", b"caf\xe9 \xc3\xa4\r\n",
         b"\r\nFrom me\r\n", b"a\rb\r\n", b"needle Alpha\r\n", b"w6TDtg==\r\n", b"=C3=A4 needle\r\n", b"nee=\r\ndle\r\n"]


def field(R, name, value):
    return name + R.choice([b":", b":", b" :"]) + R.choice([b" ", b" ", b"", b"\r\n ", b"\t", b"  "]) + value + b"\r\n"


def date(R):
    day = R.choice(DAYS).replace("-", " ")
    return (R.choice(["", "Mon, ", "Sun,  "]) + day + R.choice([" ", "  "]) + "%02d:%02d:%02d" % (R.randint(0, 23), R.randint(0, 59), R.randint(0, 59)) +
            R.choice([" +0000", " -0800 (PST)", " +1400", " GMT", " EST", " +0530"])).encode()


def header(R):
    h = []
    for name in (b"From", b"To", b"Cc", b"Bcc", b"Sender", b"Reply-To"):
        if R.random() < (0.9 if name == b"From" else 0.4):
            h.append(field(R, name, R.choice([b", ", b",", b",\r\n\t"]).join(R.choice(ADDRS) for _ in range(R.choice([1, 1, 2, 3])))))
    h.append(field(R, b"Date", date(R)))
    if R.random() < 0.9:
        h.append(field(R, b"Subject", R.choice([b"", b"Re: ", b"Fwd: ", b"[list] Re: ", b"re[2]: ", b"[list] ", b"RE : "]) + b" ".join(R.choice(WORDS) for _ in range(R.randint(1, 4)))))
    if R.random() < 0.8:
        h.append(field(R, b"Message-ID", b"<%d@x>" % R.randint(0, 400)))
    if R.random() < 0.4:
        h.append(field(R, b"References", b" ".join(b"<%d@x>" % R.randint(0, 400) for _ in range(R.randint(1, 4)))))
    elif R.random() < 0.4:
        h.append(field(R, b"In-Reply-To", b"<%d@x>" % R.randint(0, 400)))
    if R.random() < 0.3:
        h.append(field(R, R.choice([b"X-Odd_Name", b"X-A", b"X!#$%&'*", b"x-a"]), R.choice(WORDS)))
    R.shuffle(h)
    return b"".join(h)


def ctype(R, text):
    return R.choice([b"Content-Type: ", b"content-type:", b"Content-Type:\r\n\t", b"Content-Type:  "]) + text + b"\r\n"


def more(R):
    h = b""
    for odds, name, values in ((0.5, b"Content-Transfer-Encoding", [b"7bit", b"8BIT", b"base64", b"quoted-printable", b"binary", b"base64 ", b"Quoted-Printable (c)"]),
                               (0.3, b"Content-Disposition", [b"inline", b"attachment; filename=\"a b.txt\"", b"attachment; filename=x; size=3"]), (0.2, b"Content-ID", [b"<a@b>", b"x\r\n y"]),
                               (0.2, b"Content-Description", WORDS), (0.1, b"Content-Language", [b"en", b"en, de"]), (0.1, b"Content-Location", [b"http://x/y"]), (0.1, b"Content-MD5", [b"Q2hlY2sgSW50ZWdyaXR5IQ=="])):
        if R.random() < odds:
            h += name + b": " + R.choice(values) + b"\r\n"
    return h


def part(R, depth, used=()):
    kind = R.random()
    if depth > 4 or kind < 0.5:
        h = b"" if R.random() < 0.2 else ctype(R, R.choice(TYPES) + R.choice(PARAMS))
        return h + more(R) + b"\r\n" + R.choice(TEXTS)
    if kind < 0.65:
        return ctype(R, R.choice([b"message/rfc822", b"Message/RFC822", b"message/rfc822; x=y"])) + b"\r\n" + message(R, depth + 1, used)
    b = R.choice([x for x in BOUND if x not in used])
    q = b"\"" + b + b"\"" if R.random() < 0.7 or b in (b"x y", b"=_?:,", b"b'()+_,-./:=?") else b
    out = ctype(R, b"multipart/" + R.choice([b"mixed", b"alternative", b"related", b"MIXED"]) + R.choice([b"; ", b";", b";\r\n "]) +
                R.choice([b"boundary=" + q, b"boundary=" + q, b"charset=x; boundary=" + q + b"; y=z", b"Boundary=" + q])) + b"\r\n" + R.choice([b"", b"preamble\r\n", b"\r\n"])
    for _ in range(R.choice([1, 2, 2, 3])):
        out += b"--" + b + R.choice([b"", b"", b"", b"  ", b"\t", b"x"]) + b"\r\n" + part(R, depth + 1, used + (b,)) + b"\r\n"
    return out + R.choice([b"--" + b + b"--\r\n", b"--" + b + b"--\r\n", b"", b"--" + b + b"--\r\nepilogue\r\n", b"--" + b + b"-- \r\n\r\n"])


def message(R, depth=0, used=()):
    return header(R) + b"MIME-Version: 1.0\r\n" + part(R, depth, used)


def stored(R):
    m = message(R)
    return m.replace(b"\r\n", b"\n") if R.random() < 0.8 else m


def search(R, depth=0):
    """Keys of SEARCH on which mx and Dovecot look at the same words."""
    k = R.random()
    if depth < 3 and k < 0.15:
        return "NOT " + search(R, depth + 1)
    if depth < 3 and k < 0.3:
        return "OR " + search(R, depth + 1) + " " + search(R, depth + 1)
    if depth < 3 and k < 0.4:
        return "(" + " ".join(search(R, depth + 1) for _ in range(R.randint(1, 3))) + ")"
    n = lambda: R.choice([1, 2, 5, 20, 50, 100])
    day = R.choice(DAYS + ['"1-Apr-2022"'])
    came = R.choice(["9-Sep-2001", "20-Sep-2001", "1-Oct-2001", "11-Oct-2001"])
    return R.choice(["ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "UNSEEN", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "KEYWORD foo", "UNKEYWORD foo", "KEYWORD $work", "BEFORE " + came,
                     "ON " + came, "SINCE " + came, "SENTBEFORE " + day, "SENTON " + day, "SENTSINCE " + day, "LARGER 500", "SMALLER 500", "OLDER 1000000", "YOUNGER 1000000", "HEADER X-Odd_Name \"\"",
                     "HEADER Subject Re", "HEADER Message-ID 3", "HEADER X-A \"\"", "HEADER References 7@x", f"UID {n()}:{n()}", f"{n()}:*", f"UID {n()},*", "SUBJECT alpha", "SUBJECT \"gamma delta\"", "SUBJECT plain",
                     "SUBJECT \"caf\xc3\xa9 noir\"".encode("latin1").decode(), "FROM joe", "FROM jd@x", "TO \"Joe, Q\"", "CC anna", "BCC zoe", "CC example", "TEXT zoe", "TEXT gamma", "SUBJECT \"j\xf6rg\"", "TEXT \"\xe4\xf6\"", "FROM \"J\xd6RG\""])


def tokens(line):
    """An answer as nested lists: atoms and strings in lower case with single
    blanks, literals and quoted strings alike; NIL as None."""
    out, stack, i = [], [], 0
    flat = lambda t: b" ".join(t.lower().split())
    while i < len(line):
        ch = line[i:i + 1]
        if ch == b"(":
            stack.append(out); out = []; i += 1
        elif ch == b")":
            up = stack.pop(); up.append(out); out = up; i += 1
        elif ch == b" ":
            i += 1
        elif ch == b'"':
            i += 1; t = b""
            while line[i:i + 1] != b'"':
                if line[i:i + 1] == b"\\":
                    i += 1
                t += line[i:i + 1]; i += 1
            i += 1; out.append(flat(t))
        elif ch == b"{":
            j = line.index(b"}", i); n = int(line[i + 1:j]); out.append(flat(line[j + 3:j + 3 + n])); i = j + 3 + n
        else:
            j = i
            while j < len(line) and line[j:j + 1] not in (b" ", b"(", b")"):
                j += 1
            t = line[i:j].lower(); out.append(None if t == b"nil" else t); i = j
    assert not stack, line
    return out


def plain(t):
    """Without what RFC 2045 5.2 lets a server add: charset us-ascii."""
    if not isinstance(t, list):
        return t
    t = [plain(x) for x in t]
    if t == [b"en"]:
        return b"en"  # body-fld-lang = nstring / list
    while b"charset" in t and t.index(b"charset") + 1 < len(t) and t[t.index(b"charset") + 1] == b"us-ascii":
        i = t.index(b"charset"); del t[i:i + 2]
        if not t:
            return None
    return t


def sections(t, up=""):
    """Every part number of a BODYSTRUCTURE, and the words each may have."""
    if isinstance(t[0], list):
        out = []
        for i, p in enumerate(x for x in t if isinstance(x, list) and x and (isinstance(x[0], list) or isinstance(x[0], bytes)) and len(x) > 6 or isinstance(x, list) and x and isinstance(x[0], list)):
            n = f"{up}{i + 1}"
            out += [n, n + ".MIME"] + ([] if isinstance(p[0], list) else inside(p, n)) + (sections(p, n + ".") if isinstance(p[0], list) else [])
        return out
    n = up + "1"
    return [n, n + ".MIME"] + inside(t, n)


def inside(p, n):
    if p[0] != b"message" or p[1] != b"rfc822":
        return []
    return [n + ".HEADER", n + ".TEXT", n + ".HEADER.FIELDS (SUBJECT)"] + sections(p[8], n + ".")
