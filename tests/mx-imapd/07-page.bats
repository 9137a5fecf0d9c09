# The examples of the manual page, mail_location's variables, mailbox_auto.
load ../lib/common
load imap
setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

@test "a look at a Maildir, by hand" {
  cd "$T"
  printf 'a SELECT INBOX\r\nb LOGOUT\r\n' | mx-imapd --preauth --maildir Maildir > out
  grep -q '^a OK \[READ-WRITE\]' out
  grep -q '^b OK' out
}

@test "mail_location: variables; a user name that would leave its folder is refused" {
  echo "mail_location = maildir:$T/m/%d/%Ln:INDEX=/x" > "$T/mx.conf"
  printf 'a NOOP\r\n' | mx-imapd --preauth JOE@x.test | grep -q '^a OK'
  [ -d "$T/m/x.test/joe/cur" ]
  mx-imapd -o "mail_location=$T/n/%{user | domain}/%{user | username}/%%" --preauth eve@y.test </dev/null | grep -q PREAUTH
  [ -d "$T/n/y.test/eve/%/new" ]
  for u in ../x@y.test .x@y.test a/b@y.test @y.test x@..; do
    run mx-imapd --preauth "$u" < /dev/null
    [ "$status" -eq 65 ] && [[ "$output" == *"no user name that can be part of a path"* ]]
  done
  run mx-imapd -o "mail_location=maildir:%x" --preauth x < /dev/null
  [ "$status" -eq 78 ]
  run mx-imapd -o "mail_location=mdbox:~/mail" --preauth x < /dev/null
  [ "$status" -eq 78 ] && [[ "$output" == *"expected maildir:PATH or mbox:DIR"* ]]
}

@test "mailbox_auto: made, subscribed once, with their use" {
  echo 'mailbox_auto = Spam:subscribe:\Junk, Keep:create:, { My Sent:create:\Sent }' > "$T/mx.conf"
  py <<'PY'
c = preauth("m")
c.cmd('LIST "" *').has(b'* LIST (\\HasNoChildren \\Junk) "." Spam', b'* LIST (\\HasNoChildren) "." Keep', b'* LIST (\\HasNoChildren \\Sent) "." "My Sent"')
c.cmd('LSUB "" *').has(b'* LSUB () "." Spam'); c.cmd("UNSUBSCRIBE Spam").ok(); c.end()
preauth("m").cmd('LSUB "" *').hasnt(b"Spam")
PY
}

@test "bad command lines" {
  run mx-imapd --preauth a b; [ "$status" -eq 64 ]
  run mx-imapd --maildir x; [ "$status" -eq 64 ]
  run mx-imapd x; [ "$status" -eq 64 ]
  run mx-imapd --mode pop3 --listen 127.0.0.1:1; [ "$status" -eq 64 ]
  run mx-imapd -o ssl=required --listen "unix:$T/s"; [ "$status" -eq 78 ]
  echo x > "$T/file"
  run mx-imapd --preauth --maildir "$T/file" < /dev/null
  [ "$status" -eq 75 ] && [[ "$output" == *"* BYE [UNAVAILABLE]"* ]]
}
