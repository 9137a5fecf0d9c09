# Password schemes: ours and Dovecot's read each other's hashes.
load ../lib/common
load auth

setup() { common_setup; auth_conf; }
teardown() { common_teardown; }

ALL="SHA512-CRYPT SHA256-CRYPT BLF-CRYPT MD5-CRYPT CRYPT PLAIN CLEARTEXT PLAIN-MD5
  LDAP-MD5 SMD5 SHA SHA1 SSHA SHA256 SSHA256 SHA512 SSHA512 SHA256.hex SSHA512.b64"

@test "each scheme: what hash makes, test takes, and only that" {
  local s
  for s in $ALL MD5; do
    printf 'u:%s\n' "$(echo geheim | mx-auth hash -s "$s")" > "$T/users"
    auth_try u geheim || { cat "$T/users"; false; }
    run auth_try u Geheim
    [ "$status" -eq 1 ] || { cat "$T/users"; false; }
    run auth_try u geheim2
    [ "$status" -eq 1 ]
  done
}

@test "Dovecot verifies our hashes" {
  local s h
  for s in $ALL; do
    h=$(echo geheim | mx-auth hash -s "$s")
    doveadm pw -t "$h" -p geheim
    run doveadm pw -t "$h" -p falsch
    [ "$status" -ne 0 ]
  done
}

@test "we verify Dovecot's hashes" {
  local s
  for s in $ALL MD5; do
    printf 'u:%s\n' "$(doveadm pw -s "$s" -p geheim)" > "$T/users"
    auth_try u geheim || { cat "$T/users"; false; }
    run auth_try u falsch
    [ "$status" -eq 1 ]
  done
}

@test "SCRAM's keys are of the password as SASLprep has it (RFC 5802 2.2); Dovecot's of its bytes" {
  local s
  for s in SCRAM-SHA-1 SCRAM-SHA-256; do
    # the examples of RFC 4013 3: a soft hyphen is nothing, the Roman nine is IX
    printf 'u:%s\n' "$(printf 'I\xc2\xadX\n' | mx-auth hash -s "$s")" > "$T/users"
    auth_try u IX || { cat "$T/users"; false; }
    auth_try u $'\xe2\x85\xa8'
    auth_try u $'I\xc2\xadX'
    run auth_try u ix
    [ "$status" -eq 1 ]
    printf 'u:%s\n' "$(doveadm pw -s "$s" -p $'I\xc2\xadX')" > "$T/users"
    auth_try u $'I\xc2\xadX' || { cat "$T/users"; false; }
  done
}

@test "libcrypt's own forms without a prefix" {
  printf 'a:%s\nb:%s\n' "$(openssl passwd -6 -salt abc pw)" "$(openssl passwd -1 -salt abc pw)" > "$T/users"
  auth_try a pw
  auth_try b pw
}

@test "known vectors" {
  cat > "$T/users" <<'U'
a:{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99
b:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=
c:{SHA256.hex}5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
d:{plain}password
e:{SSHA}Lnp7ExdBoASkgeyHZMzuFg17Bw7sXmRy
U
  local u
  for u in a b c d; do auth_try "$u" password; done
  run auth_try e password
  [ "$status" -eq 1 ]
}

@test "a broken or unknown hash is trouble, not a wrong password" {
  local h
  for h in '{NOPE}x' '{SHA256}short' '{SHA512-CRYPT}$5$x$y' '{BLF-CRYPT}$2y$99$zz' '{SSHA}!!' 'plaintext' \
    '{PLAIN-MD5}9dd4e461268c8034f5c8564e155c67a600'; do
    printf 'u:%s\n' "$h" > "$T/users"
    run auth_try u x
    [ "$status" -eq 75 ] || { echo "$h: $output"; false; }
  done
}

@test "locked accounts never match" {
  local h
  for h in '' '!' '*' 'x' '!$6$abc$def' '*LK*'; do
    printf 'u:%s\n' "$h" > "$T/users"
    run auth_try u x
    [ "$status" -eq 1 ]
    run auth_try u "$h"
    [ "$status" -ne 0 ]
  done
}

@test "an unknown scheme is named with the known ones; an empty password refused" {
  run bash -c 'echo x | mx-auth hash -s ROT13'
  [ "$status" -eq 78 ]
  [[ "$output" == *"{ROT13} is not known; known are SHA512-CRYPT"* ]]
  run bash -c 'echo | mx-auth hash'
  [ "$status" -eq 65 ]
  [[ "$output" == *empty* ]]
}

@test "a long password is taken whole where the scheme can, refused where not" {
  local long; long=$(printf 'p%.0s' $(seq 600))
  printf 'u:%s\n' "$(echo "$long" | mx-auth hash -s SSHA256)" > "$T/users"
  auth_try u "$long"
  run auth_try u "${long}x"
  [ "$status" -eq 1 ]
  run bash -c "echo $long | mx-auth hash"
  [ "$status" -eq 65 ]
}
