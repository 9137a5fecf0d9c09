# The queue: runner, marks, reports, tools; a small SMTP sink as next host.
load ../lib/common
load ../lib/host

setup() {
  common_setup
  mapfile -t p < <(free_port 2); DNS=${p[0]} SINK=${p[1]}
  H=$T/host
  export HOST_ADDR=127.0.0.9 HOST_SMTP_PORT=$SINK
  host_make "$H" mail.q.test q.test alice:a
  sed -i -e '/^inbound_filter/d' -e '/^outbound_filter/d' "$H/mx.conf"
  printf 'resolver = 127.0.0.1:%s\nmynetworks = 127.0.0.0/8\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nsmtpd_peername_lookup = no\n' "$DNS" >> "$H/mx.conf"
  printf '$ORIGIN else.test.\n@ 60 IN SOA ns h 1 2 3 4 5\n@ IN NS ns\nns IN A 127.0.0.1\nmail IN A 127.0.0.1\n@ IN MX 10 mail\n' > "$T/zone"
  dns_serve "$DNS" else.test "$T/zone"
  cat > "$T/sink.py" <<'PY'
import os, socket, sys, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(5)
def go(c):
    f = c.makefile("rwb"); f.write(b"220 sink\r\n"); f.flush(); data = False; buf = b""
    for l in f:
        if data:
            if l == b".\r\n":
                data = False; open(sys.argv[2], "ab").write(buf); f.write(b"250 2.0.0 taken\r\n"); f.flush()
            else: buf += l
            continue
        u = l.upper()
        if u.startswith(b"EHLO"): f.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif u.startswith(b"RCPT") and b"nobody" in l: f.write(b"550 5.1.1 no such user\r\n")
        elif u.startswith(b"RCPT") and b"later" in l and not os.path.exists(sys.argv[2] + ".now"): f.write(b"450 4.2.1 later\r\n")
        elif u.startswith(b"DATA"): f.write(b"354 go\r\n"); data = True
        elif u.startswith(b"QUIT"): f.write(b"221 bye\r\n"); f.flush(); break
        else: f.write(b"250 ok\r\n")
        f.flush()
    c.close()
while True:
    c, _ = s.accept(); threading.Thread(target=go, args=(c,), daemon=True).start()
PY
  spawn python3 "$T/sink.py" "$SINK" "$T/sunk"
  wait_port "$SINK"
  host_start "$H"
  host_env "$H"
}
teardown() { host_stop "$H"; common_teardown; }

Q() { mx-deliver -c "$H/mx.conf" "$@"; }
send() { # SENDER RCPT...
  python3 - "$ADDR" "$SMTP" "$@" <<'PY'
import smtplib, sys
s = smtplib.SMTP(sys.argv[1], int(sys.argv[2]))
s.sendmail(sys.argv[3], sys.argv[4:], "From: alice@q.test\r\nSubject: out\r\n\r\nhello\r\n")
PY
}
queued() { Q --list --json | python3 -c 'import json,sys
for l in sys.stdin:
    j = json.loads(l); print(j["queue_id"], j["queue_name"], " ".join(r["address"] + "=" + r["state"] for r in j["recipients"]))'; }

@test "sent, refused and deferred in one message: marks, report, retry" {
  send alice@q.test x@else.test nobody@else.test later@else.test
  wait_for 20 bash -c "grep -q 'status=bounced' $H/log && grep -q 'status=deferred' $H/log && grep -q 'status=sent (250' $H/log"
  run queued
  [[ "$output" == *"x@else.test=D nobody@else.test=B later@else.test=Q"* ]]
  grep -q hello "$T/sunk"
  # the report: RFC 3464
  wait_for 20 bash -c "ls $H/mail/q.test/alice/new/* >/dev/null"
  run python3 - "$H"/mail/q.test/alice/new/* <<'PY'
import email, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"))
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status"
assert m["Return-Path"] == "<>" and m["Auto-Submitted"] == "auto-replied"
text, status, orig = m.get_payload()
per = status.get_payload()
assert per[0]["Reporting-MTA"] == "dns; mail.q.test", per[0]
assert len(per) == 2 and per[1]["Final-Recipient"] == "rfc822; nobody@else.test"
assert per[1]["Action"] == "failed" and per[1]["Status"] == "5.1.1"
assert orig.get_content_type() == "message/rfc822" and orig.get_payload()[0]["Subject"] == "out"
PY
  [ "$status" -eq 0 ] || { echo "$output" >&2; false; }
  # later, the deferred one goes too, and the entry with it
  touch "$T/sunk.now"
  wait_for 30 bash -c "mx-deliver -c $H/mx.conf --list | grep -q 'Mail queue is empty'"
  grep -q 'to=<later@else.test>.*status=sent' "$H/log"
  grep -q ': removed' "$H/log"
}

@test "a report is never reported: the null sender" {
  send '' nobody@else.test
  wait_for 20 grep -q 'status=bounced' "$H/log"
  wait_for 20 bash -c "mx-deliver -c $H/mx.conf --list | grep -q 'Mail queue is empty'"
  ! grep -q 'non-delivery notification' "$H/log"
}

@test "--list, --show, --hold, --release, --delete; one runner a spool" {
  send alice@q.test later@else.test
  wait_for 20 grep -q 'status=deferred' "$H/log"
  id=$(queued | cut -d' ' -f1)
  run Q --list
  [[ "$output" == *"-Queue ID-"*"$id"*"alice@q.test"*"later@else.test"*"Request."* ]]
  run Q --show "$id"
  [[ "$output" == *"Q recipient: later@else.test"*"Subject: out"* ]]
  wait_for 10 bash -c "mx-deliver -c $H/mx.conf --hold $id"
  touch "$T/sunk.now"
  sleep 2
  run queued
  [[ "$output" == "$id hold later@else.test=Q" ]]
  run Q --queue-run
  [ "$status" -eq 75 ]
  [[ "$output" == *"another runner"* ]]
  run Q --delete nosuchid
  [ "$status" -ne 0 ]
  Q --release "$id"
  wait_for 20 bash -c "mx-deliver -c $H/mx.conf --list | grep -q 'Mail queue is empty'"
  rm "$T/sunk.now"
  send alice@q.test later@else.test
  wait_for 20 bash -c "[ \$(grep -c 'status=deferred' $H/log) -ge 2 ]"
  id=$(queued | cut -d' ' -f1)
  wait_for 10 bash -c "mx-deliver -c $H/mx.conf --delete $id"
  run Q --list
  [ "$output" = "Mail queue is empty" ]
}
