#!/usr/bin/env bats
# SCRAM with channel binding (RFC 5802 6, 5929, 9266), and what
# smtp_sasl_security_options leave of the mechanisms.
load ../lib/common
load ../lib/send
load ../mx-recv/recv
setup() { common_setup; make_cert mx.test; chmod 644 "$T"/*; echo '127.0.0.1 joe:secret' > "$T/sasl"; }
teardown() { common_teardown; }

through() { # PORT OPTION...
  local port=$1; shift
  run send -o "relayhost=[127.0.0.1]:$port" -o smtp_sasl_auth_enable=yes --trace \
    -o "smtp_sasl_password_maps=texthash:$T/sasl" "$@" b@mx.test < <(printf 'Subject: x\n\nb\n')
  echo "$output"
}
tls() { peer ok --cert "$T/mx.test.crt" --key "$T/mx.test.key" --auth joe:secret "$@"; }
used() { grep '"event": "auth"' "$PEER_LOG" | tail -n 1 | grep -qF "\"mechanism\": \"$1\", \"gs2\": \"$2\""; }

@test "the other side's own reckoning: tls-unique under TLS 1.2; y, n and p" {
  tls --tls12 --mechs 'PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS'
  through "$PEER"; [ "$status" -eq 0 ]; used SCRAM-sha256-plus p=tls-unique,,
  through "$PEER" -o smtp_sasl_mechanism_filter=scram-sha-1-plus; [ "$status" -eq 0 ]; used SCRAM-sha1-plus p=tls-unique,,
  # it is offered, and we may not: not "y", which would say that it is not
  through "$PEER" -o 'smtp_sasl_mechanism_filter=scram-sha-256'; [ "$status" -eq 0 ]; used SCRAM-sha256 n,,
  # it is not offered, and we could
  tls --mechs 'PLAIN SCRAM-SHA-256'
  through "$PEER"; [ "$status" -eq 0 ]; used SCRAM-sha256 y,,
  # without TLS there is nothing to bind with
  peer ok --auth joe:secret --mechs 'SCRAM-SHA-256 SCRAM-SHA-256-PLUS'
  through "$PEER"; [ "$status" -eq 0 ]; used SCRAM-sha256 n,,
  peer ok --auth joe:secret --mechs 'SCRAM-SHA-256-PLUS'
  through "$PEER"; [ "$status" -eq 75 ]; grep -q 'no mechanism we can use' <<<"$output"
}

@test "mx-recv and mx-auth: tls-exporter under TLS 1.3, tls-unique under 1.2; a downgrade is none" {
  recv_conf "smtpd_tls_cert_file = $T/mx.test.crt" "smtpd_tls_key_file = $T/mx.test.key" \
    "smtpd_sasl_auth_enable = yes" "auth_socket = exec:mx-auth" "passdb = passwd-file:$T/users" "auth_failure_delay = 0" \
    "auth_mechanisms = scram-sha-1 scram-sha-256 scram-sha-1-plus scram-sha-256-plus" \
    "mail_owner = $(id -un)" "auth_user = $([ "$(id -u)" -eq 0 ] && echo nobody || id -un)"
  echo 'joe:{PLAIN}secret' > "$T/users"; chmod 644 "$T/users"
  deliver_start; recv_start
  local v m
  for v in TLSv1.3 TLSv1.2; do
    for m in SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256; do
      through "$PORT" -o "smtp_tls_protocols=>=TLSv1.2, <=$v" -o "smtp_sasl_mechanism_filter=$m"
      [ "$status" -eq 0 ]; grep -q "TLS connection to .*$v" <<<"$output"
    done
  done
  cat "$RECV_LOG"
  grep -q 'sasl_method=SCRAM-SHA-256-PLUS, sasl_username=joe' "$RECV_LOG"
  grep -q 'sasl_method=SCRAM-SHA-1-PLUS, sasl_username=joe' "$RECV_LOG"
  echo '127.0.0.1 joe:wrong' > "$T/sasl"
  through "$PORT"; [ "$status" -eq 75 ]; grep -q 'said: 535' <<<"$output"
}

@test "smtp_sasl_security_options: each word, without TLS and with it" {
  local option mechs want
  # OPTIONS MECHANISMS USED
  while read -r option mechs want; do
    tls --mechs "${mechs//,/ }"
    through "$PEER" -o "smtp_sasl_tls_security_options=${option/empty/}"
    echo "tls $option $mechs: $want"
    if [ "$want" = - ]; then
      [ "$status" -eq 75 ]; ! grep '"event": "auth"' "$PEER_LOG"; grep -q ' deferred 4.[37].[05] ' <<<"$output"
    else
      [ "$status" -eq 0 ]; grep -q "\"mechanism\": \"$want\"" "$PEER_LOG"
    fi
  done <<'T'
empty PLAIN,LOGIN PLAIN
noanonymous PLAIN,LOGIN PLAIN
noplaintext PLAIN,LOGIN -
noplaintext PLAIN,SCRAM-SHA-256 SCRAM-sha256
noactive PLAIN -
noactive PLAIN,SCRAM-SHA-1 SCRAM-sha1
mutual_auth PLAIN,LOGIN -
mutual_auth PLAIN,SCRAM-SHA-256 SCRAM-sha256
nodictionary PLAIN,SCRAM-SHA-256 -
noplaintext,nodictionary PLAIN,SCRAM-SHA-256 -
NoPlainText PLAIN -
noplain PLAIN -
T
  while read -r option mechs want; do
    peer ok --auth joe:secret --mechs "${mechs//,/ }"
    through "$PEER" -o "smtp_sasl_security_options=${option/empty/}"
    echo "$option $mechs: $want"
    if [ "$want" = - ]; then
      [ "$status" -eq 75 ]; ! grep '"event": "auth"' "$PEER_LOG"
    else
      [ "$status" -eq 0 ]; grep -q "\"mechanism\": \"$want\"" "$PEER_LOG"
    fi
  done <<'T'
empty PLAIN,LOGIN PLAIN
noanonymous LOGIN LOGIN
noplaintext PLAIN,LOGIN -
mutual_auth PLAIN,SCRAM-SHA-1 SCRAM-sha1
noactive,mutual_auth LOGIN -
nodictionary PLAIN -
noplaintexts PLAIN -
T
}
