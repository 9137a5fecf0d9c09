"""messages.py DIR: a Maildir of messages as mail really is: well-formed, odd
and broken, with fixed names and times."""
import os, sys

M = []
M.append(b"""From: Joe <joe@example.com>
To: a@b.c, "Quoted Name" <q@d.e>
Cc: Group: one@x.y, Two <two@x.y>;, last@z.z
Subject: plain
Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
Message-ID: <B27397-0100000@example.com>
In-Reply-To: <x@y>

Hello
World
""")
M.append(b"""From: =?utf-8?q?J=C3=B6rg?= <j@example.com>
Sender: s@example.com
Reply-To: r1@example.com, r2@example.com
To: undisclosed-recipients:;
Subject: =?utf-8?b?w6TDtsO8?= not folded
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="abc"; foo=bar

preamble
--abc
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: quoted-printable
Content-ID: <id1@x>
Content-Description: a desc

line=20one
line two
--abc
Content-Type: multipart/alternative; boundary=def
Content-Language: en, de

--def
Content-Type: text/plain

alt text
--def
Content-Type: text/html; charset="iso-8859-1"
Content-Disposition: inline

<p>x</p>

--def--
--abc
Content-Type: message/rfc822
Content-Disposition: attachment; filename="a b.eml"

From: inner@example.com
To: x@example.com
Subject: inner
Content-Type: multipart/mixed; boundary=ghi

--ghi

deep one
--ghi
Content-Type: application/octet-stream; name=x.bin
Content-Transfer-Encoding: base64
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Location: http://x.y/z

AAAA
--ghi--

--abc--
epilogue
""")
M.append(b"""Subject: no from
Content-Type: multipart/mixed; boundary=none

nothing here
""")
M.append(b"\nbody only\n")
M.append(b"""From: 8bit \xe4\xf6 <x@y.z>
To: <@route,@r2:user@host>
Subject: raw \xc3\xa4 and more
X-Long: """ + b"x" * 2000 + b"""

text
no final newline""")
M.append(b"""From: a@b (comment name)
Content-Type: TEXT/PLAIN; charset=us-ascii; x="a\\"b"
Content-Disposition: attachment; filename*0="long"; filename*1="name.txt"

x
""")
M.append(b"""From: a@b
Content-Type: multipart/digest; boundary=d

--d

From: c@d
Subject: digest one

body1
--d

Subject: digest two

body2

--d--
""")
M.append(b"From: crlf@x\r\nSubject: crlf stored\r\n\r\nline\r\nline2\r\n")
M.append(b"From: nul@x\nSubject: n\n\nab\0cd\n")
M.append(b"From: x@y\nContent-Type: message/rfc822\n\nFrom: inner@z\nSubject: in\n\ninner text\n")

if __name__ == "__main__":
    out = sys.argv[1]
    for d in ("cur", "new", "tmp"):
        os.makedirs(f"{out}/{d}", exist_ok=True)
    for i, m in enumerate(M):
        p = f"{out}/cur/{1000000000 + i}.M{i}P1.host,S={len(m)}:2,S"
        with open(p, "wb") as f:
            f.write(m)
        os.utime(p, (1000000000 + i * 3600,) * 2)
