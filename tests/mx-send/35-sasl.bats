#!/usr/bin/env bats
# AUTH with SCRAM, OAuth tokens, passwords of senders.
load ../lib/common
load ../lib/send
setup() { common_setup; make_cert peer.example; chmod 644 "$T"/*; }
teardown() { common_teardown; }

relay_to() { send -o "relayhost=[127.0.0.1]:$PEER" -o smtp_sasl_auth_enable=yes \
  -o "smtp_sasl_password_maps=texthash:$T/sasl" "$@" b@example.com < <(printf 'Subject: x\n\nb\n'); }
tls() { peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key" "$@"; }
used() { grep '"event": "auth"' "$PEER_LOG" | tail -1 | grep -q "\"mechanism\": \"$1\""; }

@test "SCRAM-SHA-256 before SCRAM-SHA-1 before PLAIN; no TLS needed, no password on the wire" {
  echo "127.0.0.1 u,1=x:s3cret" > "$T/sasl"
  peer ok --auth 'u=2C1=3Dx:s3cret' --mechs 'PLAIN SCRAM-SHA-1 SCRAM-SHA-256'
  run relay_to --trace; echo "$output"; [ "$status" -eq 0 ]; used SCRAM-sha256
  peer ok --auth 'u=2C1=3Dx:s3cret' --mechs 'SCRAM-SHA-1 LOGIN'
  run relay_to; echo "$output"; [ "$status" -eq 0 ]; used SCRAM-sha1
}

@test "SCRAM: names and passwords as SASLprep has them (RFC 4013 3), and as they are where it has none" {
  printf '127.0.0.1 u\302\255\302\252:s3\342\205\250\302\240x\n' > "$T/sasl" # soft hyphen, ordinal a; roman nine, no-break space
  peer ok --auth 'ua:s3IX x' --mechs SCRAM-SHA-256
  run relay_to; echo "$output"; [ "$status" -eq 0 ]; used SCRAM-sha256
  printf '127.0.0.1 ua:s3\001x\n' > "$T/sasl" # forbidden (2.3)
  peer ok --auth $'ua:s3\001x' --mechs SCRAM-SHA-256
  run relay_to; echo "$output"; [ "$status" -eq 0 ]; used SCRAM-sha256
}

@test "SCRAM: a wrong password, a server that does not know it, a server that talks nonsense" {
  echo "127.0.0.1 u1:wrong" > "$T/sasl"
  peer ok --auth u1:s3cret --mechs SCRAM-SHA-256
  run relay_to; echo "$output"; [ "$status" -eq 75 ]; grep -q '535 5.7.8 no' <<<"$output"
  echo "127.0.0.1 u1:s3cret" > "$T/sasl"
  peer ok --auth u1:s3cret --mechs SCRAM-SHA-256 --scram-lies
  run relay_to; echo "$output"; [ "$status" -eq 75 ]; grep -q 'does not know the password itself' <<<"$output"
  [ "$(taken)" -eq 0 ]
}

@test "a token command: OAUTHBEARER, XOAUTH2; without a token the mail waits" {
  echo "127.0.0.1 u1:ignored" > "$T/sasl"
  printf '#!/bin/sh\n[ "$2" = u1 ] && echo "tok-$1"\n' > "$T/token"; chmod 755 "$T/token"
  tls --auth u1:tok-a --mechs 'PLAIN XOAUTH2'
  run relay_to -o "smtp_sasl_token_command=$T/token a" --trace; echo "$output"; [ "$status" -eq 0 ]; used XOAUTH2
  ! grep -q "$(printf tok-a | base64)" <<<"$output"
  tls --auth u1:tok-a --mechs 'PLAIN XOAUTH2 OAUTHBEARER'
  run relay_to -o "smtp_sasl_token_command=$T/token a"; [ "$status" -eq 0 ]; used OAUTHBEARER
  run relay_to -o "smtp_sasl_token_command=$T/token b"; [ "$status" -eq 75 ]; grep -q '535 5.7.8' <<<"$output"
  run relay_to -o "smtp_sasl_token_command=false"; echo "$output"; [ "$status" -eq 75 ]; grep -q 'gave no token' <<<"$output"
}

@test "smtp_sasl_mechanism_filter" {
  echo "127.0.0.1 u1:s3cret" > "$T/sasl"
  tls --auth u1:s3cret --mechs 'SCRAM-SHA-256 PLAIN LOGIN'
  run relay_to -o smtp_sasl_mechanism_filter=login; [ "$status" -eq 0 ]; used LOGIN
  run relay_to -o smtp_sasl_mechanism_filter=plain,login; [ "$status" -eq 0 ]; used PLAIN
  run relay_to -o 'smtp_sasl_mechanism_filter=!scram-sha-256, !PLAIN, static:rest'; [ "$status" -eq 0 ]; used LOGIN
  run relay_to -o 'smtp_sasl_mechanism_filter=!scram-sha-256, static:rest'; [ "$status" -eq 0 ]; used PLAIN
  run relay_to -o 'smtp_sasl_mechanism_filter=!login'; [ "$status" -eq 75 ]
  run relay_to -o smtp_sasl_mechanism_filter=ntlm; echo "$output"; [ "$status" -eq 75 ]
}

@test "smtp_sender_dependent_authentication: the sender's password before the host's" {
  printf '127.0.0.1 u1:one\na@x.example u2:two\n' > "$T/sasl"
  tls --auth u2:two
  run relay_to -f a@x.example; [ "$status" -eq 75 ]
  run relay_to -f a@x.example -o smtp_sender_dependent_authentication=yes; [ "$status" -eq 0 ]
  tls --auth u1:one
  run relay_to -f b@x.example -o smtp_sender_dependent_authentication=yes; [ "$status" -eq 0 ]
}

@test "smtp_sasl_auth_soft_bounce: a password refused for good, and one refused for now" {
  local mech
  echo "127.0.0.1 u1:wrong" > "$T/sasl"
  for mech in PLAIN LOGIN SCRAM-SHA-256; do
    tls --auth u1:s3cret --mechs "$mech"
    run relay_to; echo "$output"; [ "$status" -eq 75 ]; grep -q ' deferred 4.7.8 .*said: 535' <<<"$output"
    run relay_to -o smtp_sasl_auth_soft_bounce=no; echo "$output"
    [ "$status" -eq 69 ]; grep -q ' bounced 5.7.8 .*said: 535' <<<"$output"
    [ "$(taken)" -eq 0 ]
  done
}
