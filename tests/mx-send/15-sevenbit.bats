#!/usr/bin/env bats
# 8-bit messages for servers without 8BITMIME (RFC 6152 3): the same content
# in quoted-printable, everything else byte for byte.
load ../lib/common
load ../lib/send
setup() { common_setup; peer ok --caps PIPELINING; }
teardown() { common_teardown; }

# seven FILE OPTION...: sends it; what arrived is in $T/got
seven() {
  send --host "127.0.0.1:$PEER" "${@:2}" b@example.com < "$1"
  python3 -c 'import json,sys
for l in open(sys.argv[1]):
    j = json.loads(l)
    if j["event"] == "message": body = j["body"]
sys.stdout.buffer.write((body + "\n").encode())' "$PEER_LOG" > "$T/got"
}
ascii_only() { ! LC_ALL=C grep -q $'[\x80-\xff]' "$T/got"; }

@test "a plain text gets what MIME needs" {
  printf 'Subject: x\n\nK\xc3\xb6rper =3D\n.dot\nFrom here \n%0200d\n' 7 > "$T/m"
  seven "$T/m"; cat "$T/got"; ascii_only
  grep -q '^MIME-Version: 1.0' "$T/got"
  grep -q '^Content-Type: text/plain; charset=utf-8' "$T/got"
  python3 - "$T/m" "$T/got" <<'PY'
import email, sys
a, b = (email.message_from_binary_file(open(f, "rb")) for f in sys.argv[1:])
assert b["Content-Transfer-Encoding"] == "quoted-printable"
want = open(sys.argv[1], "rb").read().split(b"\n\n", 1)[1]
assert b.get_payload(decode=True) == want, b.get_payload(decode=True)
assert max(map(len, open(sys.argv[2]).read().split("\n"))) <= 76
PY
  ! grep -q BODY= "$PEER_LOG"
}

@test "only the parts that need it; nested messages, other encodings, boundaries" {
  python3 - "$T/m" <<'PY'
import sys
open(sys.argv[1], "wb").write("""From: a@x
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=AA
Content-Transfer-Encoding: 8bit

preamble
--AA
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

f\udcfcr
--AA
Content-Type: text/plain

plain = ascii
--AA
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

AAECAw==
--AA
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: inner
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="B B"
Content-Transfer-Encoding: 8bit

--B B
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>\u00e9</p>
--B B--
--AA--
epilogue
""".encode("utf-8", "surrogateescape"))
PY
  seven "$T/m"; cat "$T/got"; ascii_only
  python3 - "$T/m" "$T/got" <<'PY'
import email, sys
a, b = (email.message_from_binary_file(open(f, "rb")) for f in sys.argv[1:])
pa, pb = list(a.walk()), list(b.walk())
assert [p.get_content_type() for p in pa] == [p.get_content_type() for p in pb]
for x, y in zip(pa, pb):
    assert y["Content-Transfer-Encoding"] != "8bit", y.items()
    if not x.is_multipart():
        assert x.get_payload(decode=True) == y.get_payload(decode=True), (x.get_payload(decode=True), y.get_payload(decode=True))
leaf = [p for p in pb if not p.is_multipart()]
assert [p["Content-Transfer-Encoding"] for p in leaf] == ["quoted-printable", None, "base64", "quoted-printable"]
got = open(sys.argv[2]).read()
assert "preamble\n--AA\n" in got and got.rstrip().endswith("--AA--\nepilogue")
PY
}

@test "7-bit messages, and 8-bit ones where the server or the parameter says so, are left alone" {
  printf 'Subject: x\nContent-Transfer-Encoding: 8bit\n\nascii\n' > "$T/m7"
  seven "$T/m7"; cmp "$T/m7" "$T/got"
  printf 'Subject: x\n\n\xc3\xa4\n' > "$T/m8"
  seven "$T/m8" -o disable_mime_output_conversion=yes; cmp "$T/m8" "$T/got"
  peer ok
  seven "$T/m8"; cmp "$T/m8" "$T/got"
  grep -q BODY=8BITMIME "$PEER_LOG"
}
