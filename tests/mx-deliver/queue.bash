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
