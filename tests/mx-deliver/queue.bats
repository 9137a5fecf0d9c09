#!/usr/bin/env bats
# The queue: attempts, marks, back-off, reports, tools.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }

@test "one pass: sent, refused, later and local; each marked, noted, logged" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example ann@virt.example \
    nobody@remote.example later@remote.example
  [ "$(queued)" -eq 1 ]
  run_queue
  [ "$(taken)" -eq 1 ]
  # the report to joe was delivered in the same pass
  [ "$(queued)" -eq 1 ]
  grep -q '^D recipient: b@remote.example' "$(the_entry)"
  grep -q '^D recipient: ann@virt.example' "$(the_entry)"
  grep -q '^B recipient: nobody@remote.example' "$(the_entry)"
  grep -q '^Q recipient: later@remote.example' "$(the_entry)"
  grep -qE '^[0-9]+ 1 sent 2.0.0 127.0.0.1\[127.0.0.1\]:[0-9]+ 250 2.0.0 taken' "$(the_entry)"
  local id; id=$(the_id)
  grep -qE "smtp\[[0-9]+\]: $id: to=<b@remote.example>, relay=127.0.0.1\[127.0.0.1\]:$PEER, delay=[0-9.]+, delays=[0-9.]+/[0-9.]+/[0-9.]+/[0-9.]+, dsn=2.0.0, status=sent \(250 2.0.0 taken\)" "$MX_LOG"
  grep -q "$id: to=<later@remote.example>.*dsn=4.2.1, status=deferred (host 127.0.0.1\[127.0.0.1\] said: 450 4.2.1 later (in reply to RCPT TO command))" "$MX_LOG"
  grep -q "qmgr\[.*$id: from=<joe@virt.example>, size=.*, nrcpt=4 (queue active)" "$MX_LOG"
  # nothing is tried before its time
  run_queue
  [ "$(taken)" -eq 1 ]
  [ "$(grep -c 'recipient.*later' "$PEER_LOG" || true)" -eq 0 ]
  [ "$(count vm/ann/new)" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "a report is what RFC 3464 says" {
  peer ok; to_peer remote.example
  printf 'Subject: f\xc3\xbcr\nMessage-ID: <m2@x>\n\nK\xc3\xb6rper\n' > "$T/m"
  submit joe@virt.example nobody@remote.example
  run_queue
  [ "$(queued)" -eq 0 ]
  python3 - "$T"/vm/joe/new/* <<'PY'
import email, sys
from email import policy
raw = open(sys.argv[1], "rb").read()
m = email.message_from_bytes(raw, policy=policy.default)
assert m["Return-Path"] == "<>", m["Return-Path"]
assert m.get_content_type() == "multipart/report"
assert m["Content-Type"].params["report-type"] == "delivery-status"
assert m["Auto-Submitted"] == "auto-replied"
assert m["Content-Transfer-Encoding"] == "8bit"
text, status, orig = m.iter_parts()
assert "nobody@remote.example" in text.get_content()
d = status.get_payload()
assert d[0]["Reporting-MTA"] == "dns; mail.example.org"
assert d[1]["Final-Recipient"] == "rfc822; nobody@remote.example"
assert d[1]["Action"] == "failed" and d[1]["Status"] == "5.1.1"
assert d[1]["Remote-MTA"] == "dns; 127.0.0.1"
assert d[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user", d[1]["Diagnostic-Code"]
assert orig.get_content_type() == "message/rfc822"
assert raw.count("Körper".encode()) == 1
assert not m.defects, m.defects
PY
  grep -qE 'bounce\[[0-9]+\]: .*: sender non-delivery notification: ' "$MX_LOG"
}

@test "back-off: the gaps grow from minimal to maximal" {
  peer 451-rcpt; to_peer remote.example
  conf 'minimal_backoff_time = 300s' 'maximal_backoff_time = 4000s'
  submit joe@virt.example b@remote.example
  local gap=0 was=0 now=0 i
  for i in 1 2 3 4 5 6; do
    later "$now" run_queue
    [ "$(grep -c '"hello"' "$PEER_LOG")" -eq "$i" ]
    gap=$(( $(stat -c %Y "$(the_entry)") - $(date +%s) - now ))
    echo "attempt $i at $now: gap $gap"
    [ "$gap" -ge 295 ] && [ "$gap" -le 4001 ] && [ "$gap" -ge $((was - 5)) ]
    was=$gap now=$((now + gap + 10))
  done
  [ "$gap" -ge 3900 ]
}

@test "too old: returned as expired, after two attempts at least" {
  peer 451-rcpt; to_peer remote.example
  submit joe@virt.example b@remote.example
  # the clock jumps before it was tried at all: it is tried once more
  later 600000 run_queue
  [ "$(queued)" -eq 1 ]; [ "$(count vm/joe/new)" -eq 0 ]
  later 605000 run_queue
  [ "$(queued)" -eq 0 ]
  grep -q 'status=expired' "$MX_LOG"
  inbox joe | grep -q 'Status: 5.7.1'
  inbox joe | grep -q 'Action: failed'
  # 0: one attempt only
  conf 'maximal_queue_lifetime = 0'
  submit ann@virt.example b@remote.example
  run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(count vm/ann/new)" -eq 1 ]
}

@test "the null sender gets no report; postmaster does with 2bounce, once" {
  peer ok; to_peer remote.example
  submit '' nobody@remote.example
  run_queue
  [ "$(queued)" -eq 0 ]; [ "$(find "$T/vm" -type f | wc -l)" -eq 0 ]
  conf 'notify_classes = 2bounce' '2bounce_notice_recipient = ann@virt.example'
  submit '' nobody@remote.example
  run_queue
  [ "$(queued)" -eq 0 ]
  inbox ann | grep -q '^Return-Path: <double-bounce@mail.example.org>'
  conf '2bounce_notice_recipient = nobody@remote.example'
  submit '' nobody@remote.example
  run_queue
  [ "$(queued)" -eq 0 ]
  grep -q 'undeliverable postmaster notification discarded' "$MX_LOG"
}

# lmtp_in MAIL-PARAMETERS RCPT...: over the socket, with ESMTP parameters
esmtp_in() {
  local mail=$1; shift
  python3 - "$mail" "$@" <<'PY'
import subprocess, sys
s = ["EHLO x", "MAIL FROM:" + sys.argv[1]] + ["RCPT TO:" + r for r in sys.argv[2:]]
text = "\r\n".join(s + ["DATA"]) + "\r\nSubject: hi\r\n\r\nbody\r\n.\r\nQUIT\r\n"
p = subprocess.run(["mx-deliver", "--lmtp"], input=text.encode(), stdout=subprocess.PIPE)
out = p.stdout.decode()
print(out)
assert "\r\n354" in out and "\r\n250 2.0.0" in out.split("\r\n354")[1]
PY
}

@test "NOTIFY, ORCPT, ENVID, RET (RFC 3461)" {
  peer ok; to_peer remote.example
  esmtp_in '<joe@virt.example> RET=HDRS ENVID=a+2Bb' \
    '<nobody@remote.example> ORCPT=rfc822;info+2B1@x.example' \
    '<nobody2@remote.example> NOTIFY=NEVER' \
    '<nobody3@remote.example> NOTIFY=SUCCESS' \
    '<yes@remote.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;yes@x.example'
  run_queue
  [ "$(count vm/joe/new)" -eq 1 ]
  inbox joe > "$T/report"
  grep -q '^Original-Recipient: rfc822; info+1@x.example' "$T/report"
  grep -q '^Original-Envelope-Id: a+b' "$T/report"
  ! grep -qE 'nobody[23]' "$T/report"
  grep -q '^Content-Type: text/rfc822-headers' "$T/report"
  ! grep -q '^body' "$T/report"
  grep -q 'RET=HDRS ENVID=a+2Bb' "$PEER_LOG"
  grep -q 'TO:<yes@remote.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;yes@x.example' "$PEER_LOG"
}

@test "NOTIFY=SUCCESS here, and the delay warning" {
  peer 451-rcpt; to_peer remote.example
  esmtp_in '<joe@virt.example>' '<ann@virt.example> NOTIFY=SUCCESS' '<box@virt.example>'
  run_queue
  inbox joe | grep -q '^Action: delivered'
  [ "$(inbox joe | grep -c '^Final-Recipient')" -eq 1 ]
  rm "$T"/vm/joe/new/*
  conf 'delay_warning_time = 1h'
  esmtp_in '<joe@virt.example>' '<b@remote.example>' '<c@remote.example> NOTIFY=FAILURE'
  run_queue
  later 3000 run_queue
  [ "$(count vm/joe/new)" -eq 0 ]
  later 7000 run_queue
  inbox joe | grep -q '^Action: delayed'
  inbox joe | grep -q '^Will-Retry-Until:'
  ! inbox joe | grep -q '^Final-Recipient.*c@remote'
  later 12000 run_queue
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "a large message comes back as its header only" {
  peer ok; to_peer remote.example
  { cat "$T/m"; head -c 60000 /dev/zero | tr '\0' 'x' | fold -w 70; echo; } > "$T/big"
  mx-deliver -f joe@virt.example nobody@remote.example < "$T/big"
  run_queue
  [ "$(inbox joe | wc -c)" -lt 4000 ]
  inbox joe | grep -q 'Content-Type: text/rfc822-headers'
  inbox joe | grep -q '^Message-ID: <m1@x>'
}

@test "--list, --show, --hold, --release, --requeue, --delete, --flush" {
  peer ok; to_peer remote.example
  [ "$(mx-deliver --list)" = "Mail queue is empty" ]
  submit joe@virt.example b@remote.example
  local id; id=$(the_id)
  mx-deliver --list | grep -qE "^$id +[0-9]+ ... ... .. ..:..:.. +joe@virt.example"
  mx-deliver --list | tail -1 | grep -q '^-- 1 Kbytes in 1 Request.$'
  mx-deliver --list --json | python3 -c '
import json,sys; d=json.loads(sys.stdin.readline()); assert d["sender"]=="joe@virt.example" and d["recipients"][0]["address"]=="b@remote.example", d'
  mx-deliver --show "$id" | grep -q '^Q recipient: b@remote.example'
  mx-deliver --hold "$id"
  mx-deliver --list | grep -q "^$id *!"
  run_queue; later 6000 run_queue; mx-deliver --flush; run_queue
  [ "$(taken)" -eq 0 ]
  mx-deliver --release "$id"
  run_queue
  [ "$(taken)" -eq 1 ]; [ "$(queued)" -eq 0 ]
  submit joe@virt.example later@remote.example
  submit ann@virt.example later@remote.example
  run_queue
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq 3 ]
  run_queue
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq 3 ]
  mx-deliver --flush "$(the_id)"; run_queue
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq 4 ]
  mx-deliver --flush remote.example; run_queue
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq 6 ]
  mx-deliver --flush; run_queue
  [ "$(grep -c '"hello"' "$PEER_LOG")" -eq 8 ]
  run mx-deliver --flush nowhere.example; [ "$status" -eq 66 ]
  mx-deliver --delete "$(the_id)"
  [ "$(queued)" -eq 1 ]
  mx-deliver --hold ALL; mx-deliver --requeue ALL
  ! mx-deliver --list | grep -q '!'
  mx-deliver --delete ALL
  [ "$(queued)" -eq 0 ]
  for o in --show --hold --release --requeue --delete; do
    run mx-deliver $o NOSUCHID; [ "$status" -eq 66 ]; [[ "$output" == *"NOSUCHID: no such entry"* ]]
    run mx-deliver $o ../../m; [ "$status" -eq 64 ]
  done
}

@test "a failure that nobody was told of, because of a crash, is told" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example c@remote.example
  # as if killed between the mark and the report
  sed -i 's/^Q recipient: b@/F recipient: b@/' "$(the_entry)"
  run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(taken)" -eq 1 ]
  [ "$(grep -c 'TO:<c@remote' "$PEER_LOG")" -eq 1 ]
  ! grep -q 'TO:<b@remote' "$PEER_LOG"
  inbox joe | grep -q '^Final-Recipient: rfc822; b@remote.example'
}

@test "damaged, foreign and empty entries go to corrupt/, the others go on" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example
  cp "$(the_entry)" "$T/good"
  local d; d=$(dirname "$(the_entry)")
  head -c 300 "$T/good" > "$d/HALF"; : > "$d/EMPTY"; echo hello > "$d/OTHER"
  sed 's/line/lime/' "$T/good" > "$d/CHANGED"
  [ "$(id -u)" -ne 0 ] || chown nobody "$d"/*
  # while they are young they may be on their way in
  run_queue
  [ "$(queued)" -eq 4 ]; [ "$(taken)" -eq 1 ]
  later 1000 run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(count spool/corrupt)" -eq 4 ]
  grep -q 'not a whole queue entry (.*): moved to corrupt/HALF' "$MX_LOG"
  [ "$(taken)" -eq 1 ]
}

@test "an entry copied into another host's queue is delivered there" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example
  mkdir "$T/spool2"; [ "$(id -u)" -ne 0 ] || chown nobody "$T/spool2"
  mx-deliver -o "queue_directory=$T/spool2" --queue-run
  cp "$(the_entry)" "$T/spool2/queue/00/$(the_id)"
  [ "$(id -u)" -ne 0 ] || chown nobody "$T"/spool2/queue/00/*
  mx-deliver -o "queue_directory=$T/spool2" --queue-run
  [ "$(taken)" -eq 1 ]
  [ "$(find "$T/spool2/queue" -type f | wc -l)" -eq 0 ]
}

@test "transports error:, retry:, discard:, an unknown one, lmtp: over a socket" {
  printf '%s\n' 'e.example error:5.7.1 not here' 'r.example retry:4.7.1 not now' \
    'd.example discard:' 'u.example uucp:there' "l.example lmtp:unix:$T/sock" \
    'p.example lmtp:unix:private/lm' > "$T/transport"
  chmod 777 "$T" "$T/run"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$T/sock" --lmtp --log "$T/l1"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$T/run/lm" --lmtp --log "$T/l2"
  wait_for 5 test -S "$T/run/lm"; wait_for 5 test -S "$T/sock"
  submit joe@virt.example a@r.example a@d.example a@u.example a@l.example full@l.example a@p.example
  run_queue
  cat "$MX_LOG"
  grep -q '^Q recipient: a@r.example' "$(the_entry)"
  grep -q '^D recipient: a@d.example' "$(the_entry)"
  grep -q '^Q recipient: a@u.example' "$(the_entry)"
  grep -q '^D recipient: a@l.example' "$(the_entry)"
  grep -q '^Q recipient: full@l.example' "$(the_entry)"
  grep -q '^D recipient: a@p.example' "$(the_entry)"
  grep -q 'mail transport "uucp" is not known' "$MX_LOG"
  [ "$(taken "$T/l1")" -eq 1 ]; [ "$(taken "$T/l2")" -eq 1 ]
}

@test "nobody is called again and again: one attempt to a host that is down" {
  local port; port=$(free_port)
  to_peer down.example "$port"; conf 'queue_process_limit = 1'
  local i; for i in 1 2 3 4 5; do submit joe@virt.example "b$i@down.example"; done
  run_queue
  [ "$(grep -c 'status=deferred (connect to' "$MX_LOG")" -eq 1 ]
  [ "$(grep -c 'status=deferred (delivery temporarily suspended: connect to' "$MX_LOG")" -eq 4 ]
  [ "$(queued)" -eq 5 ]
}

@test "recipients share a session, at most default_destination_recipient_limit" {
  peer ok; to_peer remote.example
  conf 'default_destination_recipient_limit = 3'
  submit joe@virt.example $(seq -f 'u%g@remote.example' 7)
  run_queue
  [ "$(taken)" -eq 3 ]
  [ "$(queued)" -eq 0 ]
}

@test "no more than default_destination_concurrency_limit at one destination" {
  peer ok; to_peer remote.example
  conf 'default_destination_concurrency_limit = 1'
  local i; for i in $(seq 12); do submit joe@virt.example "b$i@remote.example"; done
  run_queue
  [ "$(taken)" -eq 12 ]; [ "$(queued)" -eq 0 ]
}

@test "options reach mx-send: -c, -o, --resolver" {
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example
  env -u MX_CONFIG mx-deliver -c "$T/mx.conf" -o smtp_helo_name=named.example --queue-run
  grep -q '"name": "named.example"' "$PEER_LOG"
}
