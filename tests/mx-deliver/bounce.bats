#!/usr/bin/env bats
# Reports: relayed, UTF-8 (RFC 6533), copies for the postmaster.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }

@test "NOTIFY=SUCCESS: 'relayed' from the last host that reports, nothing where the next one does" {
  peer ok --caps PIPELINING,8BITMIME; to_peer plain.example
  peer ok; to_peer dsn.example
  esmtp_in '<joe@virt.example> ENVID=e1' '<b@plain.example> NOTIFY=SUCCESS ORCPT=rfc822;orig@x.example' \
    '<c@plain.example>' '<d@dsn.example> NOTIFY=SUCCESS' '<nobody@plain.example> NOTIFY=SUCCESS'
  run_queue
  [ "$(queued)" -eq 0 ]; [ "$(count vm/joe/new)" -eq 1 ]
  inbox joe > "$T/report"; cat "$T/report"
  grep -q '^Action: relayed' "$T/report"
  grep -q '^Status: 2\.' "$T/report"
  grep -q '^Final-Recipient: rfc822; b@plain.example' "$T/report"
  grep -q '^Original-Recipient: rfc822; orig@x.example' "$T/report"
  grep -q '^Original-Envelope-Id: e1' "$T/report"
  ! grep -qE '(c@plain|d@dsn|nobody@plain)' "$T/report"
  grep -q 'TO:<d@dsn.example> NOTIFY=SUCCESS' "$PEER_LOG"
}

@test "a UTF-8 message comes back in the types of RFC 6533, in 7 bits to an ASCII sender" {
  peer ok; to_peer remote.example
  esmtp_in '<joe@virt.example> SMTPUTF8' '<no-jürgen@remote.example> ORCPT=utf-8;j\x{FC}rgen\x{2B}1@x.example' \
    '<nobody@remote.example> ORCPT=utf-8;größe@x.example'
  run_queue
  [ "$(queued)" -eq 0 ]
  python3 - "$T"/vm/joe/new/* <<'PY'
import email, sys
from email import policy
raw = open(sys.argv[1], "rb").read()
m = email.message_from_bytes(raw)
assert m.get_param("report-type") == "global-delivery-status", m["Content-Type"]
text, status, orig = m.get_payload()
assert status.get_content_type() == "message/global-delivery-status"
assert status["Content-Transfer-Encoding"] == "base64"
# nothing above ASCII outside the notice for people
head, rest = raw.split(b"\n\n", 1)
assert head.isascii()
import base64
def body(p): return base64.b64decode(p.get_payload() if isinstance(p.get_payload(), str) else p.get_payload()[0].as_string().split("\n\n", 1)[-1])
import re
parts = raw.split(b"\nContent-Transfer-Encoding: base64\n\n")
assert len(parts) == 3
d = base64.b64decode(parts[1].split(b"\n--")[0]).decode()
print(d)
assert "Final-Recipient: utf-8; no-jürgen@remote.example" in d
assert "Original-Recipient: utf-8; jürgen+1@x.example" in d
assert "Original-Recipient: utf-8; größe@x.example" in d
assert "Final-Recipient: rfc822; nobody@remote.example" in d
o = base64.b64decode(parts[2].split(b"\n--")[0]).decode()
assert "Subject: grüße" in o and "body" in o
PY
}

@test "ORCPT of RFC 6533 goes on in its 7-bit form" {
  peer ok; to_peer remote.example
  esmtp_in '<joe@virt.example> SMTPUTF8' '<b@remote.example> ORCPT=utf-8;größe@x.example' \
    '<c@remote.example> ORCPT=utf-8;gr\x{F6}sse@x.example' '<d@remote.example> ORCPT=rfc822;a+2Bb@x.example'
  run_queue
  [ "$(taken)" -eq 1 ]
  grep -qF 'ORCPT=utf-8;gr\\x{F6}\\x{DF}e@x.example' "$PEER_LOG"
  grep -qF 'ORCPT=utf-8;gr\\x{F6}sse@x.example' "$PEER_LOG"
  grep -qF 'ORCPT=rfc822;a+2Bb@x.example' "$PEER_LOG"
}

@test "notify_classes: the postmaster gets the header of what bounced, and of what is late" {
  peer ok; to_peer remote.example
  conf 'notify_classes = bounce, delay' 'bounce_notice_recipient = ann@virt.example' \
    'delay_notice_recipient = box@virt.example' 'delay_warning_time = 1h'
  submit joe@virt.example nobody@remote.example later@remote.example
  run_queue
  [ "$(count vm/joe/new)" -eq 1 ]; [ "$(count vm/ann/new)" -eq 1 ]
  inbox ann | grep -q '^Return-Path: <double-bounce@mail.example.org>'
  inbox ann | grep -q '^Content-Type: text/rfc822-headers'
  ! inbox ann | grep -q '^line'
  inbox joe | grep -q '^line'
  later 4000 run_queue
  [ "$(count vm/joe/new)" -eq 2 ]; [ "$(count vm/ann/new)" -eq 1 ]
  find "$T/vm" -path '*box*' -type f | xargs grep -l '^Action: delayed'
}

@test "soft_bounce: what failed for good waits" {
  peer ok; to_peer remote.example
  conf 'soft_bounce = yes'
  submit joe@virt.example nobody@remote.example
  run_queue
  [ "$(queued)" -eq 1 ]; [ "$(count vm/joe/new)" -eq 0 ]
  grep -q 'status=deferred (host .* said: 550' "$MX_LOG"
  conf 'soft_bounce = no'
  mx-deliver --flush; run_queue
  [ "$(queued)" -eq 0 ]; [ "$(count vm/joe/new)" -eq 1 ]
}

@test "queue_minfree: no room, no mail; none is lost" {
  said() { printf 'EHLO x\r\nMAIL FROM:<joe@virt.example>%s\r\nQUIT\r\n' "$1" | mx-deliver --lmtp; }
  said "" | grep -q '^250 2.1.0'
  conf 'queue_minfree = 1000000000000000'
  said "" | grep -q '^452 4.3.1 Insufficient system storage'
  run submit joe@virt.example b@remote.example
  conf 'queue_minfree = 1' 'message_size_limit = 0'
  said "" | grep -q '^250 2.1.0'
  said " SIZE=900000000000000" | grep -q '^452 4.3.1'
}

# stranger_mail FROM RCPT [FIELD]: mail of a stranger, already accepted
stranger_mail() {
  python3 - "$@" <<'PY'
import subprocess, sys
field = sys.argv[3] + "\r\n" if len(sys.argv) > 3 else ""
s = ["EHLO x", "XFORWARD NAME=h.example ADDR=192.0.2.1 PORT=1 PROTO=ESMTP HELO=h SOURCE=REMOTE",
     "MAIL FROM:<%s>" % sys.argv[1], "RCPT TO:<%s>" % sys.argv[2], "DATA"]
text = "\r\n".join(s) + "\r\n" + field + "Subject: hi\r\n\r\nbody\r\n.\r\nQUIT\r\n"
p = subprocess.run(["mx-deliver", "--lmtp"], input=text.encode(), stdout=subprocess.PIPE)
out = p.stdout.decode()
print(out)
assert "\r\n354" in out and "\r\n250 2.0.0" in out.split("\r\n354")[1]
PY
}
reports() { ls "$T/vm/$1/new" 2>/dev/null | wc -l; }

# the same hour for all, whenever the test runs
at_five_past() { later $((3600 - $(date +%s) % 3600 + 300)) "$@"; }

@test "backscatter: report_sender_limit an hour and sender; failures are told in the next" {
  peer ok; to_peer remote.example
  conf 'report_sender_limit = 2' 'mydestination ='
  local i
  for i in 1 2 3; do stranger_mail joe@virt.example nobody@remote.example; done
  stranger_mail ann@virt.example nobody@remote.example
  at_five_past run_queue || true
  at_five_past run_queue || true
  cat "$MX_LOG"
  [ "$(reports joe)" -eq 2 ] && [ "$(reports ann)" -eq 1 ]
  [ "$(queued)" -eq 1 ]
  grep -q '<joe@virt.example> got 2 reports in this hour (report_sender_limit): it will be tried again' "$MX_LOG"
  later 8000 run_queue || true; later 8000 run_queue || true
  [ "$(reports joe)" -eq 3 ] && [ "$(queued)" -eq 0 ]
  # the counts are a file of fixed size that nobody needs
  cat "$MX_LOG"
  local n; n=$(stat -c %s "$T/spool/reports")
  [ "$n" -lt 200000 ]
  rm "$T/spool/reports"; echo garbage > "$T/spool/reports"; chown "$OWNER" "$T/spool/reports"
  stranger_mail joe@virt.example nobody@remote.example; at_five_past run_queue || true; at_five_past run_queue || true
  [ "$(reports joe)" -eq 4 ] && [ "$(stat -c %s "$T/spool/reports")" -eq "$n" ]
  conf 'report_sender_limit = 0'
  for i in 1 2 3; do stranger_mail joe@virt.example nobody@remote.example; done
  at_five_past run_queue || true; at_five_past run_queue || true
  [ "$(reports joe)" -eq 7 ]
}

@test "backscatter: held back for the queue's lifetime, then given up, said" {
  peer ok; to_peer remote.example
  conf 'report_sender_limit = 1' 'maximal_queue_lifetime = 10s'
  stranger_mail joe@virt.example nobody@remote.example
  stranger_mail joe@virt.example nobody@remote.example
  at_five_past run_queue; at_five_past run_queue
  grep -q 'no report to <joe@virt.example>: report_sender_limit' "$MX_LOG"
  [ "$(reports joe)" -eq 1 ] && [ "$(queued)" -eq 0 ]
}

@test "no report for a stranger's mail that failed DMARC with reject, by our own word only" {
  peer ok; to_peer remote.example
  local n=0 f
  for f in 'Authentication-Results: mail.example.org; dmarc=fail (p=reject dis=none) header.from=virt.example' \
           'Authentication-Results: mail.example.org; spf=pass smtp.mailfrom=x; dmarc=fail (p=reject dis=reject)'; do
    stranger_mail joe@virt.example nobody@remote.example "$f"
    run_queue; run_queue
    [ "$(reports joe)" -eq 0 ] && [ "$(queued)" -eq 0 ]
  done
  [ "$(grep -c 'no report to <joe@virt.example>: the message failed DMARC with p=reject' "$MX_LOG")" -eq 2 ]
  for f in 'Authentication-Results: other.example; dmarc=fail (p=reject dis=none)' \
           'Authentication-Results: mail.example.org; dmarc=fail (p=none dis=none)' \
           'Authentication-Results: mail.example.org; dmarc=fail (p=reject dis=none arc=pass)' \
           'Authentication-Results: mail.example.org; dmarc=pass (p=reject dis=none)' \
           'X-Note: Authentication-Results: mail.example.org; dmarc=fail (p=reject)'; do
    stranger_mail joe@virt.example nobody@remote.example "$f"
    run_queue; run_queue
    n=$((n + 1))
    [ "$(reports joe)" -eq $n ]
  done
  conf 'authserv_id = other.example'
  stranger_mail joe@virt.example nobody@remote.example 'Authentication-Results: OTHER.example; dmarc=fail (p=reject dis=none)'
  run_queue; run_queue
  [ "$(reports joe)" -eq $n ]
  # our own users are told: they are who they say
  printf 'Authentication-Results: other.example; dmarc=fail (p=reject)\nSubject: x\n\n' > "$T/m"
  submit joe@virt.example nobody@remote.example; run_queue; run_queue
  [ "$(reports joe)" -eq $((n + 1)) ]
}

@test "REQUIRETLS (RFC 8689 5): told at once, the header alone comes back, and as safely as it went" {
  peer ok; to_peer remote.example
  esmtp_in '<joe@virt.example> REQUIRETLS RET=FULL' '<b@remote.example>'
  run_queue
  [ "$(queued)" -eq 0 ]; [ "$(taken)" -eq 0 ]
  inbox joe > "$T/report"; cat "$T/report"
  grep -q '^Status: 5.7.10' "$T/report"; grep -q '^Action: failed' "$T/report"
  grep -q '^Content-Type: text/rfc822-headers' "$T/report"; ! grep -q '^body' "$T/report"
  # a sender elsewhere: the report needs it, too, and goes to a host that is fit first
  make_cert fit.example; chmod 644 "$T"/fit.example.*
  peer ok --cert "$T/fit.example.crt" --key "$T/fit.example.key" --caps PIPELINING,8BITMIME,REQUIRETLS; to_peer fit.example
  conf "smtp_tls_CAfile = $T/fit.example.crt" 'smtp_tls_verify_cert_match = fit.example'
  esmtp_in '<ann@fit.example> REQUIRETLS' '<b@remote.example>'
  run_queue; run_queue
  [ "$(queued)" -eq 0 ]; cat "$PEER_LOG"
  grep '"event": "message"' "$PEER_LOG" | grep 'FROM:<>' | grep REQUIRETLS | grep '"tls": true'
  # and to one that is not fit all the same
  peer ok; to_peer bare.example
  esmtp_in '<ann@bare.example> REQUIRETLS' '<b@remote.example>'
  run_queue; run_queue
  [ "$(queued)" -eq 0 ]; [ "$(taken)" -eq 1 ]; ! grep '"sender": "[^"]*REQUIRETLS' "$PEER_LOG"
}

@test "TLS-Required: No: the report asks for no more than its message; with REQUIRETLS the field is none" {
  peer ok; to_peer remote.example
  printf 'From: a@x.test\nTLS-Required: No\nSubject: x\n\nbody\n' > "$T/m"
  submit joe@virt.example nobody@remote.example
  run_queue
  inbox joe > "$T/report"; cat "$T/report"
  sed '/^$/q' "$T/report" | grep -qx 'TLS-Required: No'
  rm "$T"/vm/joe/new/*
  printf 'From: a@x.test\nTLS-Required: Yes\nSubject: x\n\nbody\n' > "$T/m"
  submit joe@virt.example nobody@remote.example
  run_queue
  inbox joe > "$T/report"
  ! sed '/^$/q' "$T/report" | grep -q '^TLS-Required'
}

@test "REQUIRETLS: what an alias and a redirect send on has it, too" {
  make_cert fit.example; chmod 644 "$T"/fit.example.*
  peer ok --cert "$T/fit.example.crt" --key "$T/fit.example.key" --caps PIPELINING,8BITMIME,REQUIRETLS; to_peer fit.example
  echo 'redirect "bob@fit.example";' > "$T/red.sieve"
  conf "smtp_tls_CAfile = $T/fit.example.crt" 'smtp_tls_verify_cert_match = fit.example' "sieve_after = $T/red.sieve" \
    'virtual_alias_maps = inline:{two@virt.example=ann@fit.example}'
  esmtp_in '<ann@fit.example> REQUIRETLS' '<two@virt.example>'
  run_queue
  esmtp_in '<ann@fit.example> REQUIRETLS' '<joe@virt.example>'
  run_queue
  cat "$PEER_LOG"
  [ "$(queued)" -eq 0 ]; [ "$(taken)" -eq 2 ]
  [ "$(grep '"event": "message"' "$PEER_LOG" | grep -c '"sender": "[^"]*REQUIRETLS')" -eq 2 ]
}
