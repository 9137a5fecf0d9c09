# With the real mx-deliver behind it: over its socket, started by root's
# mx-submit itself, and in a spool of one's own.
load ../lib/common
load ../lib/host
load submit

setup() {
  submit_setup
  mkdir "$T/mail"
  local owner; owner=$(id -un)
  [ "$(id -u)" -ne 0 ] || { host_users; owner=mx; }
  cat >> "$T/mx.conf" <<CONF
queue_directory = $T/spool
data_directory = $T/lib
mydestination =
alias_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_base = $T/mail
virtual_mailbox_maps = inline:{ jo@example.org=jo/ }
virtual_uid_maps = static:$(id -u "$owner")
virtual_gid_maps = static:$(id -g "$owner")
virtual_minimum_uid = 1
mail_uid = $(id -u "$owner")
mail_gid = $(id -g "$owner")
mail_location = maildir:$T/mail/%n
CONF
  chown "$owner" "$T/mail"
  mkdir "$T/spool" "$T/lib"
  chown "$owner" "$T/spool" "$T/lib"
}
teardown() { common_teardown; }

delivered() { cat "$T"/mail/jo/new/* "$T"/mail/jo/cur/* 2>/dev/null; }

@test "over the socket: into the Maildir before exit 0, by any user" {
  spawn mx-deliver --lmtp --listen "unix:$T/run/submit"
  wait_for 10 test -S "$T/run/submit"
  chmod 644 "$T/mx.conf"
  run as_nobody mx-submit jo <<< $'Subject: by socket\n\nb'
  echo "$output"
  [ "$status" -eq 0 ]
  delivered | grep '^Subject: by socket'
  delivered | grep -E '^Received: '
  run mx-submit stranger@example.org <<< 'x'
  [ "$status" -eq 67 ]
  [[ $output == *stranger@example.org* ]]
}

@test "nobody listens: root's mx-submit starts mx-deliver itself" {
  need_root
  run mx-submit jo <<< $'Subject: by myself\n\nb'
  echo "$output"
  [ "$status" -eq 0 ]
  delivered | grep '^Subject: by myself'
}

@test "-bs with nobody listening: mx-deliver at the other end of the pipe" {
  need_root
  run bash -c 'printf "EHLO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<jo@example.org>\r\nDATA\r\nSubject: by bs\r\n\r\nb\r\n.\r\nQUIT\r\n" | mx-submit -bs'
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"250 2."*"221 "* ]]
  delivered | grep '^Subject: by bs'
}

@test "--spool: in a directory of one's own, without root and without a server" {
  chmod 644 "$T/mx.conf"
  mkdir "$T/mine"
  [ "$(id -u)" -ne 0 ] || chown nobody "$T/mine"
  run as_nobody mx-submit --spool "$T/mine" far@away.example <<< $'Subject: later\n\nb'
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"queued in $T/mine"*"mx-deliver"*"--queue-run"* ]]
  grep -r '^Subject: later' "$T/mine"
}

@test "the page's examples" {
  spawn mx-deliver --lmtp --listen "unix:$T/run/submit"
  wait_for 10 test -S "$T/run/submit"
  run bash -c "printf 'Subject: hello\n\nMy message\n' | mx-submit jo@example.org"
  [ "$status" -eq 0 ]
  delivered | grep '^My message'
  run mx-submit -bv 'jo, Bo <bo@example.net>'
  [ "$output" = "$(printf 'jo@example.org\nbo@example.net')" ]
}
