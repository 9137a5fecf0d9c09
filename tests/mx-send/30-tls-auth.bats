#!/usr/bin/env bats
# mx-send: STARTTLS by level, and AUTH towards a relay host.
load ../lib/common
load ../lib/send
setup() { common_setup; make_cert peer.example; chmod 644 "$T"/*; }
teardown() { common_teardown; }

msg() { printf 'Subject: x\n\nbody\n'; }
to_peer() { send --host "127.0.0.1:$PEER" "$@" b@example.com < <(msg); }

@test "may: TLS where offered, plain where not, plain after a broken handshake" {
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"
  to_peer
  grep -q '"tls": true' "$PEER_LOG"
  peer ok
  to_peer
  grep -q '"tls": false' "$PEER_LOG"
  peer garbage-starttls
  to_peer
  grep -q '"tls": false' "$PEER_LOG"
  peer drop-starttls
  to_peer
  [ "$(grep -c connect "$PEER_LOG")" -ge 2 ]
  [ "$(taken)" -eq 1 ]
}

@test "none: not even where offered" {
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"
  to_peer -o smtp_tls_security_level=none
  grep -q '"tls": false' "$PEER_LOG"
}

@test "encrypt: never without" {
  peer ok
  run to_peer -o smtp_tls_security_level=encrypt
  echo "$output"
  [ "$status" -eq 75 ]
  grep -q ' deferred 4.7.4 .*TLS is required, but was not offered by host' <<<"$output"
  peer drop-starttls
  run to_peer -o smtp_tls_security_level=encrypt
  [ "$status" -eq 75 ]
  [ "$(taken)" -eq 0 ]
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"
  to_peer -o smtp_tls_security_level=encrypt
  grep -q '"tls": true' "$PEER_LOG"
}

@test "verify: only with a certificate that stands for the host" {
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"
  run to_peer -o smtp_tls_security_level=verify
  echo "$output"
  [ "$status" -eq 75 ]
  grep -q ' deferred 4.7.5 ' <<<"$output"
  [ "$(taken)" -eq 0 ]
  run send -o smtp_tls_security_level=verify -o "smtp_tls_CAfile=$T/peer.example.crt" \
    --host "localhost:$PEER" b@example.com < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]
  make_cert other.example DNS:other.example; chmod 644 "$T"/*
  peer ok --cert "$T/other.example.crt" --key "$T/other.example.key"
  run send -o smtp_tls_security_level=verify -o "smtp_tls_CAfile=$T/other.example.crt" \
    --host "localhost:$PEER" b@example.com < <(msg)
  [ "$status" -eq 75 ]
}

@test "bytes in clear behind the reply to STARTTLS are never believed" {
  peer inject-starttls
  sed -i 's/^$/&/' "$PEER_LOG"
  run to_peer -o smtp_tls_security_level=encrypt --trace
  echo "$output"
  [ "$status" -eq 75 ]
}

relay_to() { send -o "relayhost=[127.0.0.1]:$PEER" -o smtp_sasl_auth_enable=yes "$@" b@example.com < <(msg); }

@test "AUTH PLAIN and LOGIN with smtp_sasl_password_maps; no password in the trace" {
  local m
  for m in "" --login-only; do
    peer ok --auth u1:s3cret --cert "$T/peer.example.crt" --key "$T/peer.example.key" $m
    echo "[127.0.0.1]:$PEER u1:s3cret" > "$T/sasl"
    run relay_to -o "smtp_sasl_password_maps=texthash:$T/sasl" --trace
    echo "$output"
    [ "$status" -eq 0 ]
    grep -q '"user": "u1"' "$PEER_LOG"
    ! grep -q "$(printf s3cret | base64)" <<<"$output"
    ! grep -q "$(printf '\0u1\0s3cret' | base64)" <<<"$output"
  done
}

@test "a wrong password, no AUTH, no TLS: the mail waits" {
  peer ok --auth u1:other --cert "$T/peer.example.crt" --key "$T/peer.example.key"
  echo "127.0.0.1 u1:s3cret" > "$T/sasl"
  run relay_to -o "smtp_sasl_password_maps=texthash:$T/sasl"
  echo "$output"
  [ "$status" -eq 75 ]; grep -q '535 5.7.8 no' <<<"$output"
  peer ok --auth u1:s3cret
  run relay_to -o "smtp_sasl_password_maps=texthash:$T/sasl"
  [ "$status" -eq 75 ]; grep -q 'in clear' <<<"$output"
  run relay_to -o "smtp_sasl_password_maps=texthash:$T/sasl" -o smtp_sasl_security_options=noanonymous
  [ "$status" -eq 0 ]
  peer ok
  run relay_to -o "smtp_sasl_password_maps=texthash:$T/sasl"
  [ "$status" -eq 75 ]; grep -q 'offers no AUTH' <<<"$output"
  run relay_to -o "smtp_sasl_password_maps=texthash:$T/absent"
  echo "$output"
  [ "$status" -eq 75 ]
  [ "$(taken)" -eq 0 ]
}
