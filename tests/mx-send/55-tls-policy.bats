#!/usr/bin/env bats
# smtp_tls_security_level and smtp_tls_policy_maps, word by word.
load ../lib/common
load ../lib/send
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  make_cert peer.example DNS:peer.example,DNS:localhost,DNS:sub.dom.example
  chmod 644 "$T"/*.crt "$T"/*.key
  peer ok --cert "$T/peer.example.crt" --key "$T/peer.example.key"; TLS=$PEER
  peer ok; PLAIN=$PEER
  FILE_T=$T; export FILE_T TLS PLAIN FILE_PIDS="${PIDS[*]}"
}
teardown_file() { read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }
setup() { T=$FILE_T; }

to() { # PORT POLICY [OPTION...]: what the table says of the destination
  local port=$1; echo "[localhost]:$1 $2" > "$T/policy"; shift 2
  run send --nexthop "[localhost]:$port" -o "smtp_tls_policy_maps=texthash:$T/policy" \
    -o "smtp_tls_CAfile=$T/peer.example.crt" --trace "$@" b@example.com < <(printf 'Subject: x\n\nbody\n')
  echo "$output"
}
level() { [ "$status" -eq 0 ] && grep -q "^\* $1 TLS.*level $2\$" <<<"$output"; }
waits() { [ "$status" -eq 75 ] && grep -q " deferred $1 " <<<"$output" && ! grep -q '^> MAIL' <<<"$output"; }
print() { openssl x509 -in "$T/peer.example.crt" -noout -fingerprint -sha256 | cut -d= -f2; }
key_print() { openssl x509 -in "$T/peer.example.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1 | sed 's/../&:/g;s/:$//'; }

@test "none, may, encrypt" {
  to "$TLS" none; [ "$status" -eq 0 ]; ! grep -q STARTTLS$ <<<"$(grep '^>' <<<"$output")"
  to "$TLS" may; level Untrusted may
  to "$PLAIN" may; [ "$status" -eq 0 ]
  to "$TLS" encrypt; level Untrusted encrypt
  to "$PLAIN" encrypt; waits 4.7.4
}
@test "smtp_tls_mandatory_protocols and _ciphers: where TLS is a must" {
  local old=(-o 'smtp_tls_mandatory_protocols=>=TLSv1.2, !TLSv1.3' -o smtp_tls_mandatory_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256)
  to "$TLS" may "${old[@]}"; level Untrusted may; grep -q '^\* .*TLSv1.3' <<<"$output"
  to "$TLS" encrypt "${old[@]}"; level Untrusted encrypt; grep -q '^\* .*TLSv1.2.*ECDHE-[A-Z]*-AES128-GCM-SHA256' <<<"$output"
  to "$TLS" 'encrypt protocols=TLSv1.3' "${old[@]}"; grep -q '^\* .*TLSv1.3' <<<"$output"
}
@test "verify: the host's name; match= other names" {
  to "$TLS" verify; level Verified verify
  to "$PLAIN" verify; waits 4.7.4
  to "$TLS" verify -o smtp_tls_CAfile=; waits 4.7.5
  to "$TLS" 'verify match=peer.example'; level Verified verify
  to "$TLS" 'verify match=other.example:.dom.example'; level Verified verify
  to "$TLS" 'verify match=other.example'; waits 4.7.5
  to "$TLS" 'verify match=other.example:hostname'; level Verified verify
}
@test "secure: the destination's name, not what the DNS made of it" {
  to "$TLS" secure; level Verified secure
  to "$TLS" secure -o smtp_tls_secure_cert_match=peer.example; level Verified secure
  to "$TLS" secure -o smtp_tls_secure_cert_match=other.example; waits 4.7.5
  to "$TLS" 'secure servername=other.example'; level Verified secure
}
@test "fingerprint: of the certificate or of its key, in either case of letters" {
  to "$TLS" "fingerprint match=$(print)"; level Verified fingerprint
  to "$TLS" "fingerprint match=$(print | tr A-F a-f)"; level Verified fingerprint
  to "$TLS" "fingerprint match=00:11|$(key_print)"; level Verified fingerprint
  to "$TLS" "fingerprint match=00:11 match=$(print)"; level Verified fingerprint
  to "$TLS" "fingerprint match=00:11"; waits 4.7.5; grep -q "its fingerprint is $(print)" <<<"$output"
  to "$TLS" fingerprint; waits 4.7.5
  to "$TLS" fingerprint -o "smtp_tls_fingerprint_cert_match=$(print)"; level Verified fingerprint
  to "$PLAIN" "fingerprint match=$(print)"; waits 4.7.4
}
@test "protocols= and ciphers= of one destination" {
  to "$TLS" 'encrypt protocols=!TLSv1.3'; level Untrusted encrypt; grep -q 'TLSv1.2 with' <<<"$output"
  to "$TLS" 'encrypt protocols=>=TLSv1.3 ciphers=high'; level Untrusted encrypt; grep -q 'TLSv1.3 with' <<<"$output"
}
@test "a table that is away or says nonsense keeps the mail" {
  to "$TLS" whatever; waits 4.7.5; grep -q 'no such level: "whatever"' <<<"$output"
  to "$TLS" 'encrypt colour=red'; waits 4.7.5
  to "$TLS" may -o "smtp_tls_policy_maps=texthash:$T/absent"; waits 4.7.5
}
