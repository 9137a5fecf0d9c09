# The examples of the manual page, bad command lines, where scripts lie.
load ../lib/common
load sieved
setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

@test "which scripts are there; a server on a port of its own" {
  printf 'sieve_dir = %s/s\nsieve = %s/.active\n' "$T" "$T" > "$T/mx.conf"
  printf 'LISTSCRIPTS\r\nLOGOUT\r\n' | mx-sieved --preauth | grep -q '^OK "Listscripts completed"'
  local port; port=$(free_port)
  spawn mx-sieved --listen "127.0.0.1:$port"
  wait_port "$port"
  printf 'LOGOUT\r\n' | nc -q1 127.0.0.1 "$port" | grep -q '^OK "mx ready."'
}

@test "bad command lines and places; variables in sieve and sieve_dir" {
  run mx-sieved --preauth a b; [ "$status" -eq 64 ]
  run mx-sieved x; [ "$status" -eq 64 ]
  run mx-sieved --mode imap --listen 127.0.0.1:1; [ "$status" -eq 64 ]
  run mx-sieved -o sieve_dir=relative --preauth < /dev/null
  [ "$status" -eq 78 ] && [[ "$output" == *"BYE (TRYLATER)"* ]] && [[ "$output" == *"sieve_dir: \"relative\" is no absolute path"* ]]
  run mx-sieved -o "sieve_dir=$T/%n" -o "sieve=$T/a" --preauth ../x < /dev/null
  [ "$status" -eq 65 ]
  printf 'PUTSCRIPT "a" "keep;"\r\nSETACTIVE "a"\r\n' | mx-sieved -o "sieve_dir=$T/%d/%n/s" -o "sieve=$T/%d/%Ln.active" --preauth JOE@x.test | grep -q '^OK "Active"'
  [ "$(readlink "$T/x.test/joe.active")" = JOE/s/a.sieve ]
  echo x > "$T/file"
  run mx-sieved -o "sieve_dir=$T/file" -o "sieve=$T/a" --preauth < /dev/null
  [ "$status" -eq 75 ] && [[ "$output" == *"BYE (TRYLATER)"* ]]
}
