# add, del, passwd: the file is the old one or the new one, whatever breaks.
load ../lib/common
load ../lib/fault
load auth

setup() { common_setup; auth_conf; }
teardown() { common_teardown; }

@test "add, passwd, del; other lines and comments stay byte for byte" {
  printf '# head\n\nann:{PLAIN}a\njim:{PLAIN}j:1:2::/h::x=y' > "$T/users"
  chmod 640 "$T/users"
  echo one | mx-auth add --uid 7 --gid 8 --home /home/%u --mail 'maildir:~/M' joe
  auth_try joe one
  mx-auth user joe | grep -Fx mail=maildir:/home/joe/M
  [ "$(head -n 4 "$T/users")" = "$(printf '# head\n\nann:{PLAIN}a\njim:{PLAIN}j:1:2::/h::x=y')" ]
  [ "$(stat -c %a "$T/users")" = 640 ]
  echo two | mx-auth passwd -s BLF-CRYPT jim
  auth_try jim two
  grep -q '^jim:{BLF-CRYPT}\$2y\$.*:1:2::/h::x=y$' "$T/users"
  mx-auth del ann
  run grep -c ann "$T/users"
  [ "$output" = 0 ]
  auth_try joe one
  ls "$T" | grep -F users | grep -vx users && false || true
}

@test "what is there already, is not there, or cannot be a name" {
  echo 'joe:{PLAIN}x' > "$T/users"
  run mx-auth add joe <<<pw
  [ "$status" -eq 73 ]
  [[ "$output" == *"user joe is there already"* ]]
  run mx-auth del eve
  [ "$status" -eq 67 ]
  run mx-auth passwd eve <<<pw
  [ "$status" -eq 67 ]
  run mx-auth add 'a:b' <<<pw
  [ "$status" -eq 64 ]
  run mx-auth add --home $'/x\ny:z' ann <<<pw
  [ "$status" -eq 64 ]
  run mx-auth add --home '/x:/y' ann <<<pw
  [ "$status" -eq 64 ]
  [ "$(cat "$T/users")" = 'joe:{PLAIN}x' ]
}

@test "--file, and a first user makes the file 0600" {
  echo pw | mx-auth add --file "$T/new" joe
  [ "$(stat -c %a "$T/new")" = 600 ]
  run mx-auth -o passdb=pam del joe
  [ "$status" -eq 78 ]
  [[ "$output" == *"--file PATH"* ]]
}

@test "--hash takes a ready hash and asks nothing" {
  mx-auth add --hash '{PLAIN}pw' joe </dev/null
  auth_try joe pw
}

@test "twenty at once: nobody's edit is lost" {
  local i
  for i in $(seq 20); do mx-auth add --hash '{PLAIN}x' "u$i" & done
  wait
  [ "$(wc -l < "$T/users")" -eq 20 ]
}

@test "an edit is on the disk when it is done: the file and its name" {
  fault fsync:0:count "$T" mx-auth add --hash '{PLAIN}p' joe
  [ "$(fault_count)" -eq 2 ]
}

@test "any failing call: an error, and the old file or the new one" {
  local n
  for n in $(seq 1 60); do
    printf 'ann:{PLAIN}a\n' > "$T/users"
    rm -f "$T"/users.new.*
    if fault "any:$n:EIO" "$T/users" mx-auth add --hash '{PLAIN}p' joe 2>/dev/null; then
      [ "$(cat "$T/users")" = "$(printf 'ann:{PLAIN}a\njoe:{PLAIN}p::::::')" ]
      [ "$(fault_struck)" -eq 1 ] || break
    else
      case $(cat "$T/users") in
        'ann:{PLAIN}a' | $'ann:{PLAIN}a\njoe:{PLAIN}p::::::') ;;
        *) cat "$T/users"; false ;;
      esac
    fi
  done
  [ "$n" -gt 5 ]
  [ "$n" -lt 60 ]
}

@test "killed at any call: the old file or the new one" {
  local n
  for n in $(seq 1 60); do
    printf 'ann:{PLAIN}a\n' > "$T/users"
    fault "any:$n:kill" "$T/users" mx-auth add --hash '{PLAIN}p' joe 2>/dev/null && break
    case $(cat "$T/users") in
      'ann:{PLAIN}a' | $'ann:{PLAIN}a\njoe:{PLAIN}p::::::') ;;
      *) cat "$T/users"; false ;;
    esac
  done
  [ "$n" -gt 5 ]
  [ "$n" -lt 60 ]
}
