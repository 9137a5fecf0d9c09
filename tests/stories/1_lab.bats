# Story 1: lab1 and lab2, known to each other by a hosts file alone: lab2 sends
# everything to its smarthost lab1; lab1 relays for nobody.
load ../lib/common
load ../lib/host

setup() {
  common_setup
  need_root
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  host_users >&2
  chmod 711 "$T"
  PORT=$(free_port)
  U=mxv$$
  useradd --create-home --home-dir "$T/home" "$U"
  printf '127.0.0.1 localhost\n127.0.3.1 lab1\n127.0.3.2 lab2\n' > "$T/hosts"
  local n
  for n in 1 2; do
    mkdir -p "$T/lab$n"/{run,spool,lib}
    chmod 755 "$T/lab$n" "$T/lab$n/run"
    chown mx: "$T/lab$n/spool"
    cat > "$T/lab$n/mx.conf" <<CONF
myhostname = lab$n
mydestination = lab$n
myorigin = lab$n
mynetworks =
alias_maps =
home_mailbox = Maildir/
run_directory = $T/lab$n/run
queue_directory = $T/lab$n/spool
data_directory = $T/lab$n/lib
smtp_bind_address = 127.0.3.$n
inet_interfaces = 127.0.3.$n
smtp_host_lookup = dns, native
smtpd_peername_lookup = no
minimal_backoff_time = 1s
syslog_name = postfix
CONF
    : > "$T/lab$n/log"; chmod 666 "$T/lab$n/log"
  done
  echo "relayhost = [lab1]:$PORT" >> "$T/lab2/mx.conf"
  lab 1 mx-deliver --lmtp --listen "unix:$T/lab1/run/deliver"
  lab 1 mx-recv --listen "smtp=127.0.3.1:$PORT"
  lab 2 mx-deliver --lmtp --listen "unix:$T/lab2/run/deliver" --listen "unix:$T/lab2/run/submit"
  lab 2 mx-deliver --queue-run --watch
  wait_port "$PORT" 127.0.3.1
  wait_for 10 test -S "$T/lab2/run/submit"
  wait_for 10 test -S "$T/lab1/run/deliver"
}
teardown() {
  tmux -S "$T/tmux" kill-server 2>/dev/null || true
  common_teardown
  [ -n "${U:-}" ] && userdel "$U" 2>/dev/null || true
}

# Runs on lab N: its hosts file is in place in a mount namespace of its own.
lab() {
  local n=$1; shift
  MX_CONFIG=$T/lab$n/mx.conf MX_LOG=$T/lab$n/log spawn unshare -m sh -c \
    'mount --bind "$0" /etc/hosts && exec "$@"' "$T/hosts" "$@"
}

@test "echo | mail -s subject: through the smarthost into the user's Maildir; mutt shows it" {
  ln -s "$MX_BIN/mx-submit" "$T/sendmail"
  printf 'set sendmail=%s\n' "$T/sendmail" > "$T/mailrc"
  echo "My message" | MX_CONFIG=$T/lab2/mx.conf MAILRC=$T/mailrc bsd-mailx -s subject "$U@lab1"
  wait_for 20 bash -c "ls $T/home/Maildir/new/* >/dev/null" || { cat "$T"/lab?/log "$T"/out.* >&2; false; }
  m=$(ls "$T"/home/Maildir/new/*)
  [ "$(stat -c %U "$m")" = "$U" ]
  grep -q '^Subject: subject' "$m"
  grep -q '^My message' "$m"
  grep -q '^Received: from lab2 (unknown \[127.0.3.2\])' "$m"
  # mutt, on a terminal of its own: the index shows it, Enter the message
  printf 'set folder=%s\nset spoolfile=%s\n' "$T/home/Maildir" "$T/home/Maildir" > "$T/muttrc"
  tmux -S "$T/tmux" new-session -d -x 100 -y 30 "env HOME=$T TERM=screen mutt -n -F $T/muttrc -f $T/home/Maildir"
  wait_for 20 bash -c "tmux -S $T/tmux capture-pane -p | grep -q subject"
  tmux -S "$T/tmux" send-keys Enter
  wait_for 20 bash -c "tmux -S $T/tmux capture-pane -p | grep -q 'My message'"
  tmux -S "$T/tmux" kill-server
  # log lines have Postfix's shape
  grep -Eq 'postfix/smtpd\[[0-9]+\]: connect from unknown\[127.0.3.2\]' "$T/lab1/log"
  grep -Eq 'postfix/smtpd\[[0-9]+\]: [0-9A-Za-z]+: client=unknown\[127.0.3.2\]' "$T/lab1/log"
  grep -Eq 'postfix/local\[[0-9]+\]: [0-9A-Za-z]+: to=<[^>]*@lab1>, (orig_to=<[^>]*>, )?relay=local, delay=[0-9.]+, delays=[0-9./]+, dsn=2.0.0, status=sent \(delivered to maildir\)' "$T/lab1/log"
  grep -Eq 'postfix/smtp\[[0-9]+\]: [0-9A-Za-z]+: to=<[^>]*@lab1>, .*relay=lab1\[127.0.3.1\]:[0-9]+, .*status=sent \(250 ' "$T/lab2/log"
}

@test "lab1 refuses to relay for a stranger: 554 5.7.1" {
  run swaks --server "127.0.3.1:$PORT" --local-interface 127.0.3.2 --from a@lab2 --to b@elsewhere.test
  [ "$status" -ne 0 ]
  [[ "$output" == *"554 5.7.1 <b@elsewhere.test>: Relay access denied"* ]]
  grep -q 'NOQUEUE: reject: RCPT from unknown\[127.0.3.2\]: 554 5.7.1 <b@elsewhere.test>: Relay access denied; from=<a@lab2> to=<b@elsewhere.test> proto=ESMTP' "$T/lab1/log"
}

@test "an unknown user is refused by name: 550 5.1.1" {
  run swaks --server "127.0.3.1:$PORT" --from a@lab2 --to nobody-here@lab1
  [ "$status" -ne 0 ]
  [[ "$output" == *"550 5.1.1"* ]]
}
