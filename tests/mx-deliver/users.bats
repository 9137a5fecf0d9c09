#!/usr/bin/env bats
# mx-deliver: system users (becoming them), the userdb, LDA, commands, traps.
load deliver
setup() { deliver_setup; }
teardown() {
  common_teardown
  [ -z "${MXUSER:-}" ] || userdel -f "$MXUSER" 2>/dev/null || true
}

# test_user: a system user with a home below $T
test_user() {
  need_root
  MXUSER=mxt$$x$BATS_TEST_NUMBER
  useradd -M -d "$T/home" -s /bin/sh "$MXUSER" || skip "useradd does not work here"
  mkdir -m 700 "$T/home"; chown "$MXUSER:" "$T/home"
}
send() {
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; printf '> RCPT TO:<%s>\n' "$@"; echo "# $T/m"; } |
    talk | tail -n 1
}

@test "system user: delivered as the user, mode and owner are the user's" {
  test_user
  [[ $(send "$MXUSER@mail.example.org") == *delivered* ]]
  f=$(find "$T/home/Maildir/new" -type f)
  [ "$(stat -c '%U %a' "$f")" = "$MXUSER 600" ]
  [ "$(stat -c '%U %a' "$T/home/Maildir")" = "$MXUSER 700" ]
  cmp <(body "$f") "$T/m"
  grep -q "relay=local, .*status=sent (delivered to maildir)" "$T/log"
  [[ $(send "$MXUSER+tag@local.example") == *delivered* ]]
  [ "$(find "$T/home/Maildir/new" -type f | wc -l)" -eq 2 ]
}

@test "the process that reads the session is not root, the kept child is the user" {
  test_user
  serve
  {
    echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; echo "> RCPT TO:<$MXUSER@mail.example.org>"
    echo "# $T/m"; sleep 5; echo '> NOOP'
  } | talk > "$T/o" &
  talker=$!
  # the session stays open for some seconds: both are there at some instant
  for _ in $(seq 40); do
    ps -o user:32=,pid= --ppid "$SPAWNED" > "$T/ps" || true
    grep -q "^nobody " "$T/ps" && grep -q "^$MXUSER " "$T/ps" && break
    sleep 0.1
  done
  wait "$talker" 2>/dev/null || true
  grep -q "^nobody " "$T/ps"
  grep -q "^$MXUSER " "$T/ps"
  ! grep -q '^root ' "$T/ps"
}

@test "home missing, unwritable or full of traps: 451, nothing escapes" {
  test_user
  chmod 000 "$T/home"; chown root "$T/home"
  [[ $(send "$MXUSER@mail.example.org") == 451\ 4* ]]
  chown "$MXUSER:" "$T/home"; chmod 700 "$T/home"
  # the user points the Maildir at root's files
  mkdir "$T/rootdir"
  su -s /bin/sh "$MXUSER" -c "ln -s $T/rootdir $T/home/Maildir"
  [[ $(send "$MXUSER@mail.example.org") == 451\ 4* ]]
  rm "$T/home/Maildir"
  su -s /bin/sh "$MXUSER" -c "mkdir -p $T/home/Maildir/cur $T/home/Maildir/tmp; ln -s $T/rootdir $T/home/Maildir/new"
  [[ $(send "$MXUSER@mail.example.org") == 451\ 4* ]]
  [ -z "$(ls -A "$T/rootdir")" ]
  # the home was removed
  rm -rf "$T/home"
  [[ $(send "$MXUSER@mail.example.org") == 451\ 4* ]]
}

@test "root gets no mail with root's rights: 451 and a sentence" {
  need_root
  run send root@mail.example.org
  [[ $output == "451 4.2.0 Mailbox trouble, try again later" ]]
  grep -q 'give root an alias' "$T/log"
}

@test "mbox in mail_spool_directory, home_mailbox, From_ quoting as the user" {
  test_user
  mkdir -m 1777 "$T/mail"
  conf 'mail_location =' "mail_spool_directory = $T/mail"
  printf 'Subject: hi\n\nFrom here\n' > "$T/m"
  [[ $(send "$MXUSER@mail.example.org") == *delivered* ]]
  [ "$(stat -c %U "$T/mail/$MXUSER")" = "$MXUSER" ]
  grep -q '^From a@b  ' "$T/mail/$MXUSER" && grep -q '^>From here' "$T/mail/$MXUSER"
  ln -sf "$T/home/x" "$T/mail/$MXUSER"
  [[ $(send "$MXUSER@mail.example.org") == 451* ]]
  conf 'home_mailbox = Mail/in/'
  [[ $(send "$MXUSER@mail.example.org") == *delivered* ]]
  [ "$(find "$T/home/Mail/in/new" -type f | wc -l)" -eq 1 ]
}

@test "the user's process may read the message that it is handed, not write the queue's file" {
  test_user
  mkdir -m 1777 "$T/mail"
  conf 'mail_location =' "mail_spool_directory = $T/mail"
  touch "$T/mail/$MXUSER.lock" # it waits, with the file in its hands
  send "$MXUSER@mail.example.org" > "$T/o" &
  local talker=$! f p seen=0
  for _ in $(seq 100); do
    for p in $(pgrep -u "$MXUSER"); do
      for f in "/proc/$p/fd/"*; do
        [[ $(readlink "$f") == /memfd:message* || $(readlink "$f") == "$T"/spool/* ]] || continue
        seen=1; grep -E '^flags:.*[12]$' "/proc/$p/fdinfo/${f##*/}" && { ls -l "/proc/$p/fd"; false; }
      done
    done
    [ "$seen" -eq 0 ] || break
    sleep 0.1
  done
  rm "$T/mail/$MXUSER.lock"
  wait "$talker"
  [[ $(cat "$T/o") == *delivered* ]]
  [ "$seen" -eq 1 ]
}

@test "one mail user: all virtual mailboxes as virtual_uid_maps says" {
  test_user
  chown "$MXUSER:" "$T/vm"; chmod 700 "$T/vm"
  conf "virtual_uid_maps = static:$(id -u "$MXUSER")" "virtual_gid_maps = static:$(id -g "$MXUSER")"
  [[ $(send joe@virt.example) == *delivered* ]]
  [ "$(stat -c %U "$T"/vm/joe/new/*)" = "$MXUSER" ]
  conf 'virtual_minimum_uid = 60000'
  [[ $(talk <<< "> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>") == *"451 4.3."* ]]
  grep -q virtual_minimum_uid "$T/log"
}

@test "LDA: -d USER as root becomes the user; 67 unknown; as the user itself too" {
  test_user
  run mx-deliver -d "$MXUSER" -f a@b -a orig@x < "$T/m"
  [ "$status" -eq 0 ]
  f=$(find "$T/home/Maildir/new" -type f)
  [ "$(stat -c %U "$f")" = "$MXUSER" ]
  grep -q '^X-Original-To: orig@x' "$f"
  run mx-deliver -d nosuchuserhere < "$T/m"
  [ "$status" -eq 67 ]
  su -s /bin/sh "$MXUSER" -c "MX_CONFIG=$T/mx.conf $(command -v mx-deliver) -d $MXUSER < $T/m"
  [ "$(find "$T/home/Maildir/new" -type f | wc -l)" -eq 2 ]
}

@test "mailbox_command runs as the user with Postfix's environment, its status decides" {
  test_user
  cat > "$T/mda" <<'EOF'
#!/bin/sh
{ id -un; echo "$SENDER|$RECIPIENT|$USER|$LOCAL|$DOMAIN|$HOME|$MX_SENDER"; cat; } > "$HOME/got"
read x < "$HOME/status" || x=0
[ "$x" -eq 0 ] || echo "mda says $x" >&2
exit "$x"
EOF
  chmod 755 "$T/mda"
  conf "mailbox_command = $T/mda"
  run mx-deliver -d "$MXUSER" -f 'a$(x)@b' -a "$MXUSER@mail.example.org" < "$T/m"
  [ "$status" -eq 0 ]
  [ "$(sed -n 1p "$T/home/got")" = "$MXUSER" ]
  [ "$(sed -n 2p "$T/home/got")" = "a__x_@b|$MXUSER@mail.example.org|$MXUSER|$MXUSER|mail.example.org|$T/home|a\$(x)@b" ]
  grep -q '^From ' "$T/home/got" && grep -q '^Return-Path: ' "$T/home/got"
  for pair in 75:75 67:67 69:69 1:75 78:78; do
    echo "${pair%:*}" > "$T/home/status"
    run mx-deliver -d "$MXUSER" < "$T/m"
    echo "$pair: $status $output"
    case ${pair#*:} in
      75|78) [ "$status" -eq 75 ] || [ "$status" -eq 78 ] || [ "${pair%:*}" -eq 1 ] ;;
      *) [ "$status" -eq "${pair#*:}" ] ;;
    esac
    [[ $output == *"mda says ${pair%:*}"* ]]
  done
}

@test "userdb: mx-auth's master socket says who is there and where the mail lies" {
  mkdir -m 777 "$T/umail"
  cat > "$T/users" <<EOF
zoe@virt.example:{PLAIN}x:$(id -u nobody):$(id -g nobody)::$T/umail/zoe::userdb_mail=maildir:$T/umail/zoe/M
EOF
  conf 'virtual_mailbox_maps =' "auth_master_socket = unix:$T/run/auth-master" \
    "userdb = passwd-file:$T/users" "passdb = passwd-file:$T/users" 'auth_user ='
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; echo '> RCPT TO:<zoe@virt.example>'; } | talk > "$T/o"
  [[ $(tail -1 "$T/o") == 451\ 4* ]]
  spawn mx-auth --listen "auth-master=unix:$T/run/auth-master" --listen "auth=unix:$T/run/auth"
  wait_for 10 test -S "$T/run/auth-master"
  chmod 777 "$T/run/auth-master"
  wait_for 10 sh -c "printf '' | nc -U -w1 $T/run/auth-master | grep -q VERSION"
  [[ $(send zoe@virt.example) == *delivered* ]]
  [ "$(find "$T/umail/zoe/M/new" -type f | wc -l)" -eq 1 ]
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; echo '> RCPT TO:<nobody@virt.example>'; } | talk > "$T/o"
  [[ $(tail -1 "$T/o") == "550 5.1.1"* ]]
}

@test "without root one uid does it all" {
  need_root
  command -v setpriv >/dev/null || skip "no setpriv"
  chown nobody "$T"; 
  conf "mail_location = maildir:$T/vm/%n"
  run setpriv --reuid=nobody --regid=nogroup --clear-groups env MX_CONFIG="$T/mx.conf" mx-deliver daemon < "$T/m"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(stat -c %U "$T"/vm/daemon/new/*)" = nobody ]
}
