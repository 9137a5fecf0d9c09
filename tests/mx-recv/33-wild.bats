# mx-recv: headers that begin or end where no header does, as they come to
# everybody (mx-mail-in-the-wild(7)); each reader must find the same header.
load ../lib/common
load recv

setup() { common_setup; recv_conf; deliver_start; recv_start; }
teardown() { common_teardown; }

@test "the borders of a header: table" {
  timeout 120 python3 - "$PORT" "$T/box" <<'PY'
import glob, os, socket, sys
port, box = int(sys.argv[1]), sys.argv[2]
long = b"n" * 5000
CASES = [  # what the client sends, what follows the Received field
    ("mbox From_ line", b"From a@b Mon Jan  1 00:00:00 2001\r\nSubject: s\r\n\r\nx\r\n", b"X-Mailbox-Line: From a@b Mon Jan  1 00:00:00 2001\r\nSubject: s\r\n\r\nx\r\n"),
    ("quoted From_ line", b">>From a@b Mon\r\nSubject: s\r\n\r\nx\r\n", b"X-Mailbox-Line: >>From a@b Mon\r\nSubject: s\r\n\r\nx\r\n"),
    ("From_ line further down", b"Subject: s\r\nFrom a@b Mon\r\nTo: x\r\n\r\n", b"Subject: s\r\n\r\nFrom a@b Mon\r\nTo: x\r\n\r\n"),
    ("From with a blank before the colon", b"From  : a@b\r\n\r\nx\r\n", b"From  : a@b\r\n\r\nx\r\n"),
    ("no empty line before the body", b"Subject: s\r\nHello you\r\nFrom: other@x\r\n\r\nx\r\n", b"Subject: s\r\n\r\nHello you\r\nFrom: other@x\r\n\r\nx\r\n"),
    ("empty field name", b"Subject: s\r\n: v\r\nTo: x\r\n\r\n", b"Subject: s\r\n\r\n: v\r\nTo: x\r\n\r\n"),
    ("8 bit in a field name", b"Subject: s\r\nX-\xc3\xa4: v\r\n\r\n", b"Subject: s\r\n\r\nX-\xc3\xa4: v\r\n\r\n"),
    ("control in a field name", b"Subject: s\r\nX\1: v\r\n\r\n", b"Subject: s\r\n\r\nX\1: v\r\n\r\n"),
    ("a name beyond 4 KB", b"Subject: s\r\n" + long + b": v\r\n\r\n", b"Subject: s\r\n\r\n" + long + b": v\r\n\r\n"),
    ("fold without a field", b" folded\r\nSubject: s\r\n\r\n", b"\r\n folded\r\nSubject: s\r\n\r\n"),
    ("folds, empty ones too", b"Subject: s\r\n \r\n\tt\r\nTo:\r\n\r\nx\r\n", b"Subject: s\r\n \r\n\tt\r\nTo:\r\n\r\nx\r\n"),
    ("body alone", b"hello\r\n", b"\r\nhello\r\n"),
    ("body alone behind its empty line", b"\r\nhello\r\n", b"\r\nhello\r\n"),
    ("header alone", b"Subject: s\r\n", b"Subject: s\r\n"),
    ("nothing", b"", b""),
    ("bare LF", b"Subject: s\nTo: x\n\nbody\n.\nmore\r\n", b"Subject: s\r\nTo: x\r\n\r\nbody\r\n.\r\nmore\r\n"),
    ("bare CR", b"Subject: s\rBcc: v\r\n\r\na\rb\r\n", b"Subject: s Bcc: v\r\n\r\na b\r\n"),
    ("NUL", b"Subject: s\0t\r\n\r\na\0b\r\n", b"Subject: s\0t\r\n\r\na\0b\r\n"),
    ("a line of 300,000 bytes", b"Subject: s\r\n\r\n" + b"y" * 300000 + b"\r\n", b"Subject: s\r\n\r\n" + b"y" * 300000 + b"\r\n"),
    ("8-bit header without SMTPUTF8", b"Subject: caf\xe9 \xc3\xa4\r\n\r\nx\r\n", b"Subject: caf\xe9 \xc3\xa4\r\n\r\nx\r\n"),
    ("nothing but Subject", b"Subject: s\r\n\r\nx\r\n", b"Subject: s\r\n\r\nx\r\n"),
    ("two From, Date, To", b"From: a@b\r\nFrom: c@d\r\nDate: x\r\nDate: y\r\nTo: z\r\nTo: z\r\n\r\n", b"From: a@b\r\nFrom: c@d\r\nDate: x\r\nDate: y\r\nTo: z\r\nTo: z\r\n\r\n"),
]
c = socket.create_connection(("127.0.0.1", port)); f = c.makefile("rb")
def reply(want):
    while True:
        line = f.readline()
        if line[3:4] != b"-": break
    assert line.startswith(want), (want, line)
def say(b, want): c.sendall(b); reply(want)
reply(b"220"); say(b"EHLO me.test\r\n", b"250")
n = bad = 0
for name, sent, want in CASES:
    # DATA, one chunk, and chunks that cut lines anywhere
    for step in (None, 1 << 20, 1, 7):
        if step in (1, 7) and len(sent) > 1000: step = 997
        say(b"MAIL FROM:<a@x.test>\r\n", b"250"); say(b"RCPT TO:<b@mx.test>\r\n", b"250")
        if step is None:
            say(b"DATA\r\n", b"354")
            say(sent.replace(b"\r\n.", b"\r\n..") + b".\r\n", b"250")
        else:
            for i in range(0, len(sent), step):
                p = sent[i:i + step]
                say(b"BDAT %d\r\n%s" % (len(p), p), b"250")
            say(b"BDAT 0 LAST\r\n", b"250")
        n += 1
        got = open(f"{box}/msg.{n}", "rb").read()
        got = got[got.index(b"(UTC)\r\n") + 7:]
        if got != want:
            bad += 1
            print(name, step, got[:200], want[:200])
say(b"QUIT\r\n", b"221")
print(n, "messages,", bad, "wrong")
sys.exit(bad > 0)
PY
}
