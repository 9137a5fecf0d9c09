#!/usr/bin/env bats
# mx-send: XFORWARD, LIMITS (RFC 9422), TLS from the first byte on (RFC 8314).
load ../lib/common
load ../lib/send
setup() { common_setup; }
teardown() { common_teardown; }
msg() { printf 'Subject: x\n\nbody\n'; }
to() { send --host "127.0.0.1:$PEER" "$@" < <(msg); }
connects() { echo $(($(grep -c '"event": "connect"' "$PEER_LOG") - 1)); }

@test "XFORWARD: what is known of the client, where it is asked for and offered" {
  export MX_CLIENT_ADDR=192.0.2.7 MX_CLIENT_NAME=host.example MX_HELO='he lo' MX_QUEUE_ID=4F2A
  peer ok --caps "PIPELINING,XFORWARD NAME ADDR PROTO HELO IDENT"
  to b@x.example
  ! grep -q xforward "$PEER_LOG"
  to -o smtp_send_xforward_command=yes b@x.example
  grep '"arg": "NAME=host.example ADDR=192.0.2.7 HELO=he+20lo IDENT=4F2A"' "$PEER_LOG"
  peer ok
  to -o smtp_send_xforward_command=yes b@x.example
  ! grep -q xforward "$PEER_LOG"
}

@test "a server that refuses XFORWARD gets the message, one that hangs up does not" {
  export MX_CLIENT_ADDR=192.0.2.7
  peer 503-xforward --caps "XFORWARD NAME ADDR"
  run to -o smtp_send_xforward_command=yes b@x.example
  [ "$status" -eq 0 ]; [ "$(taken)" -eq 1 ]
  peer drop-xforward --caps "XFORWARD NAME ADDR"
  run to -o smtp_send_xforward_command=yes b@x.example
  [ "$status" -eq 75 ]; grep -q 'while sending XFORWARD' <<<"$output"
}

@test "RCPTMAX: as many messages as it takes, over one connection" {
  peer ok --rcptmax 2 --caps "PIPELINING,LIMITS RCPTMAX=2"
  run to b1@x.example b2@x.example b3@x.example no4@x.example b5@x.example
  echo "$output"
  [ "$status" -eq 69 ]
  [ "$(grep -c ' sent ' <<<"$output")" -eq 4 ]; [ "$(grep -c ' bounced ' <<<"$output")" -eq 1 ]
  [ "$(connects)" -eq 1 ]; [ "$(taken)" -eq 3 ]
}

@test "MAILMAX: another connection; whom this host sends away is not asked there again" {
  peer ok --rcptmax 1 --mailmax 2 --caps "LIMITS MAILMAX=2 RCPTMAX=1"
  run to b1@x.example b2@x.example later3@x.example b4@x.example b5@x.example
  echo "$output"
  [ "$status" -eq 75 ]
  [ "$(grep -c ' sent ' <<<"$output")" -eq 4 ]; [ "$(grep -c ' deferred 4.2.1 ' <<<"$output")" -eq 1 ]
  [ "$(connects)" -eq 3 ]; [ "$(taken)" -eq 4 ]
}

@test "RCPTDOMAINMAX: a domain a message" {
  peer ok --onedomain --caps "PIPELINING,LIMITS RCPTDOMAINMAX=1"
  run send --nexthop "[127.0.0.1]:$PEER" a@x.example b@y.example c@x.example < <(msg)
  echo "$output"
  [ "$status" -eq 0 ]; [ "$(taken)" -eq 2 ]; [ "$(connects)" -eq 1 ]
}

@test "LIMITS that are no limits" {
  peer ok --caps "LIMITS RCPTMAX=0 MAILMAX=x RCPTMAX FOO=1 =3 RCPTMAX=99999999999999999999"
  run to b1@x.example b2@x.example
  [ "$status" -eq 0 ]; [ "$(taken)" -eq 1 ]
}

@test "smtp_tls_wrappermode: TLS before the greeting, never without" {
  make_cert srv
  peer ok --cert "$T/srv.crt" --key "$T/srv.key" --wrap
  run to --trace -o smtp_tls_wrappermode=yes b@x.example
  echo "$output"
  [ "$status" -eq 0 ]; [ "$(taken)" -eq 1 ]; grep -q '"tls": true' "$PEER_LOG"
  grep -q 'TLS connection to' <<<"$output"; ! grep -q STARTTLS <<<"$output"
  run to -o smtp_tls_wrappermode=yes -o smtp_tls_security_level=verify -o smtp_tls_CAfile=/dev/null b@x.example
  [ "$status" -ne 0 ]; [ "$(taken)" -eq 1 ]
  peer ok
  run to -o smtp_tls_wrappermode=yes -o smtp_helo_timeout=3s b@x.example
  echo "$output"
  [ "$status" -eq 75 ]; [ "$(taken)" -eq 0 ]; grep -q 'it does not speak TLS from the first byte on' <<<"$output"
}

@test "limits, and MAIL is refused: each is asked once" {
  peer 451-mail --caps "PIPELINING,LIMITS RCPTMAX=1"
  run timeout 20 mx-send -o net_user=nobody --host "127.0.0.1:$PEER" b1@x.example b2@x.example < <(msg)
  echo "$output"
  [ "$status" -eq 75 ]; [ "$(grep -c ' deferred 4.7.1 ' <<<"$output")" -eq 2 ]
}

@test "REQUIRETLS (RFC 8689): to a certificate that is good and a server that has it; else never" {
  make_cert peer.example; chmod 644 "$T"/*.crt "$T"/*.key
  local caps=PIPELINING,8BITMIME,ENHANCEDSTATUSCODES
  want() { run send --requiretls -f me@sender.test --trace --host "127.0.0.1:$PEER" -o "smtp_tls_CAfile=$T/peer.example.crt" \
      -o smtp_tls_verify_cert_match=peer.example "$@" b@x.example < <(printf 'Subject: x\n\nbody\n'); echo "$output"; }
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key" --caps "$caps,REQUIRETLS"
  want; [ "$status" -eq 0 ]; grep -q '^> MAIL FROM:.* REQUIRETLS' <<< "$output"
  # a certificate of nobody we know: the sender is told (RFC 8689 4.2.1)
  want -o smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt; [ "$status" -eq 69 ]; grep -q ' bounced 5.7.10 ' <<< "$output"; ! grep -q '^> MAIL' <<< "$output"
  # RFC 8689 4.2.1, 5: no REQUIRETLS there is for good
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key" --caps "$caps"
  want; [ "$status" -eq 69 ]; grep -q ' bounced 5.7.30 ' <<< "$output"; ! grep -q '^> MAIL' <<< "$output"
  # without TLS its word is worth nothing
  peer ok --caps "$caps,REQUIRETLS"
  want; [ "$status" -eq 69 ]; grep -q ' bounced 5.7.10 ' <<< "$output"; ! grep -q '^> MAIL' <<< "$output"
  [ "$(taken)" -eq 0 ]
}
