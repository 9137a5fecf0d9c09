# Story 3: no daemon at all: every server takes its socket from someone else,
# links are commands.
load ../lib/common
load ../lib/host

setup() {
  common_setup
  chmod 711 "$T" "$BATS_RUN_TMPDIR" 2>/dev/null || true
  H=$T/host
  host_make "$H" mail.nod.test nod.test alice:secret
  host_env "$H"
  sed -i -e '/^inbound_filter/d' -e '/^outbound_filter/d' -e '/^auth_socket/d' -e '/^auth_master_socket/d' "$H/mx.conf"
  cat >> "$H/mx.conf" <<CONF
delivery = exec:mx-deliver --lmtp --mode deliver
auth_socket = exec:mx-auth --mode auth
auth_master_socket = exec:mx-auth --mode auth-master
smtpd_peername_lookup = no
CONF
  export MX_CONFIG=$H/mx.conf
  printf 'From: x@else.test\nTo: alice@nod.test\nSubject: nobody runs\n\nhello\n' > "$T/m"
}
teardown() { common_teardown; }

delivered() { [ "$(find "$H/mail/nod.test/alice/new" -type f 2>/dev/null | wc -l)" -eq "$1" ]; }

send_to() { # PORT
  curl -sS --url "smtp://127.0.0.1:$1" --mail-from x@else.test --mail-rcpt alice@nod.test --crlf -T "$T/m"
}

@test "a plain pipe" {
  printf 'EHLO c\r\nMAIL FROM:<x@else.test>\r\nRCPT TO:<alice@nod.test>\r\nDATA\r\nSubject: pipe\r\n\r\nhi\r\n.\r\nQUIT\r\n' > "$T/session"
  run bash -c "mx-recv < $T/session"
  [ "$status" -eq 0 ]
  [[ "$output" == *"250 2.0.0"* ]]
  delivered 1
}

@test "systemd-socket-activate, Accept=no" {
  spawn systemd-socket-activate --listen="127.0.0.1:$SMTP" --fdname=smtp -E MX_CONFIG -E PATH mx-recv
  wait_for 10 bash -c "ss -ltn 2>/dev/null | grep -q ':$SMTP ' || grep -qi ':$(printf %04X "$SMTP") ' /proc/net/tcp"
  send_to "$SMTP"
  delivered 1
  send_to "$SMTP"
  delivered 2
}

@test "systemd-socket-activate, Accept=yes" {
  spawn systemd-socket-activate --accept --listen="127.0.0.1:$SMTP" -E MX_CONFIG -E PATH mx-recv
  wait_for 10 bash -c "grep -qi ':$(printf %04X "$SMTP") ' /proc/net/tcp"
  send_to "$SMTP"
  delivered 1
}

@test "openbsd-inetd, nowait and wait" {
  need_root
  [ -x /usr/sbin/inetd ] || skip "openbsd-inetd is not installed"
  cat > "$T/run" <<SH
#!/bin/sh
PATH=$PATH MX_CONFIG=$H/mx.conf exec mx-recv
SH
  chmod 755 "$T/run"
  cat > "$T/inetd.conf" <<CONF
127.0.0.1:$SMTP stream tcp nowait root $T/run run
127.0.0.1:$SUBMISSION stream tcp wait root $T/run run
CONF
  spawn /usr/sbin/inetd -d "$T/inetd.conf"
  wait_for 10 bash -c "grep -qi ':$(printf %04X "$SMTP") ' /proc/net/tcp"
  send_to "$SMTP"
  delivered 1
  send_to "$SUBMISSION"
  delivered 2
}

@test "submission with a password: auth by exec too" {
  spawn mx-recv --listen "submission=127.0.0.1:$SUBMISSION"
  wait_port "$SUBMISSION"
  run curl -sS -k --ssl-reqd --url "smtp://127.0.0.1:$SUBMISSION" --user alice@nod.test:secret \
    --mail-from alice@nod.test --mail-rcpt alice@nod.test --crlf -T "$T/m"
  [ "$status" -eq 0 ]
  delivered 1
  run curl -sS -k --ssl-reqd --url "smtp://127.0.0.1:$SUBMISSION" --user alice@nod.test:wrong \
    --mail-from alice@nod.test --mail-rcpt alice@nod.test --crlf -T "$T/m"
  [ "$status" -ne 0 ]
  delivered 1
}

@test "mx-imapd over a pipe" {
  send_to_pipe() { printf 'EHLO c\r\nMAIL FROM:<x@else.test>\r\nRCPT TO:<alice@nod.test>\r\nDATA\r\nSubject: pipe\r\n\r\nhi\r\n.\r\nQUIT\r\n' | mx-recv; }
  send_to_pipe > "$T/out"
  run bash -c "printf 'a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\nc LOGOUT\r\n' | mx-imapd --preauth alice@nod.test --maildir $H/mail/nod.test/alice"
  [ "$status" -eq 0 ]
  [[ "$output" == *"* 1 EXISTS"* ]]
  [[ "$output" == *"Subject: pipe"* ]]
}
