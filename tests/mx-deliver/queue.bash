# Helpers of the queue's tests: mail.example.org with a remote.example that
# goes to a peer of tests/lib/smtp_peer.py.
load ../lib/common
load ../lib/send
load deliver

queue_setup() {
  deliver_setup
  export MX_LOG=$T/mail.log
  : > "$MX_LOG"; chmod 666 "$MX_LOG"
  conf 'transport_maps = texthash:'"$T/transport" 'smtp_helo_timeout = 3s' \
    'smtp_mail_timeout = 3s' 'smtp_rcpt_timeout = 3s'
  : > "$T/transport"
}

# to_peer DOMAIN [PORT]: mail for it goes there
to_peer() { echo "$1 smtp:[127.0.0.1]:${2:-$PEER}" >> "$T/transport"; }
submit() { mx-deliver -f "$@" < "$T/m"; }
run_queue() { mx-deliver --queue-run "$@"; }
later() { local s=$1; shift; MX_TEST_TIME=+$s "$@"; }
entries() { find "$T/spool/queue" -type f; }
the_entry() { find "$T/spool/queue" -type f | head -1; }
the_id() { basename "$(the_entry)"; }
inbox() { cat "$T/vm/$1"/new/* 2>/dev/null; }

# esmtp_in MAIL RCPT...: each with its ESMTP parameters
esmtp_in() {
  python3 - "$@" <<'PY'
import subprocess, sys
s = ["EHLO x", "MAIL FROM:" + sys.argv[1]] + ["RCPT TO:" + r for r in sys.argv[2:]]
text = "\r\n".join(s + ["DATA"]) + "\r\nSubject: gr\u00fc\u00dfe\r\n\r\nbody\r\n.\r\nQUIT\r\n"
p = subprocess.run(["mx-deliver", "--lmtp"], input=text.encode(), stdout=subprocess.PIPE)
out = p.stdout.decode()
print(out)
assert "\r\n354" in out and "\r\n250 2.0.0" in out.split("\r\n354")[1]
PY
}
