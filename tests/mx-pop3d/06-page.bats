# The examples of the manual page, bad command lines.
load ../lib/common
load pop3
setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

@test "how many messages are there; a server on a port of its own" {
  cd "$T"
  printf 'STAT\r\nQUIT\r\n' | mx-pop3d --preauth --maildir Maildir | tr -d '\r' | grep -qx '+OK 0 0'
  local port; port=$(free_port)
  spawn mx-pop3d --listen "127.0.0.1:$port"
  wait_port "$port"
  printf 'QUIT\r\n' | nc -q1 127.0.0.1 "$port" | grep -q '^+OK mx ready'
}

@test "bad command lines and places" {
  run mx-pop3d --preauth a b; [ "$status" -eq 64 ]
  run mx-pop3d --maildir x; [ "$status" -eq 64 ]
  run mx-pop3d x; [ "$status" -eq 64 ]
  run mx-pop3d --mode imap --listen 127.0.0.1:1; [ "$status" -eq 64 ]
  run mx-pop3d -o ssl=required --listen "unix:$T/s"; [ "$status" -eq 78 ]
  run mx-pop3d -o mail_location=mdbox:~/mail --preauth x < /dev/null
  [ "$status" -eq 78 ] && [[ "$output" == *"-ERR [SYS/TEMP]"* ]]
  echo x > "$T/file"
  run mx-pop3d --preauth --maildir "$T/file" < /dev/null
  [ "$status" -eq 75 ] && [[ "$output" == *"-ERR [SYS/TEMP]"* ]]
}
