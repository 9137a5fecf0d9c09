# mx-dnscheck message: the scorecard of one message.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  dkim_keys
  {
    printf '@ MX 10 mail\nmail A 203.0.113.5\n@ TXT "v=spf1 ip4:203.0.113.5 -all"\n_dmarc TXT "v=DMARC1; p=reject; rua=mailto:d@example.test"\n'
    printf '5.113.0.203.bl A 127.0.0.2\nbl A 127.0.0.1\nbare A 127.0.0.1\n'
  } >> "$T/example.zone"
  printf '$ORIGIN 203.in-addr.arpa.\n$TTL 60\n@ SOA ns.example.test. root.example.test. 1 3600 600 86400 60\n@ NS ns.example.test.\n5.113.0 PTR mail.example.test.\n' > "$T/rev.zone"
  dkim_serve 203.in-addr.arpa "$T/rev.zone"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() {
  T=$FILE_T M=$BATS_TEST_TMPDIR
  message | grep -v ^List-Id > "$M/plain"
  mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" < "$M/plain" > "$M/signed"
  { printf 'Return-Path: <alice@example.test>\nReceived: from localhost (localhost [127.0.0.1])\n\tby mx.here with LMTP id 1; Sat, 21 Nov 2026 09:00:02 +0000\nReceived: from mail.example.test (mail.example.test [203.0.113.5])\n\tby mx.here with ESMTPS id 2; Sat, 21 Nov 2026 09:00:01 +0000\n'; cat "$M/signed"; } > "$M/good"
}
card() { mx-dnscheck --resolver 127.0.0.1:$DNS message --rbl clean.example.test "$@"; }
level() { jq -r --arg id "$1" '[.findings[] | select(.id == $id) | .level] | unique | join(",")'; }

@test "a good message: the client is found in its trace, all passes, ten points" {
  run card --json < "$M/good"
  echo "$output"
  [ "$status" -eq 0 ]
  for id in spf-pass dkim-pass dmarc-pass ptr tls rbl header; do
    [ "$(level $id <<< "$output")" = ok ] || { echo "$id"; false; }
  done
  [ "$(jq -r .score <<< "$output")" = 10.0 ]
}

@test "the page ends in a score, without colour in a pipe" {
  run -0 card < "$M/good"
  [[ $output == *"Score 10.0 of 10"* && $output != *$'\033'* ]]
}

@test "hops within a private network are passed over, whatever the address is written like" {
  local ip
  for ip in 10.1.2.3 172.16.0.1 172.31.255.9 192.168.1.1 169.254.1.1 IPv6:::1 IPv6:fd00::1 IPv6:fe80::1 IPv6:::ffff:172.20.0.1; do
    sed "s/\[127.0.0.1\]/[$ip]/" "$M/good" > "$M/x"; run card --json < "$M/x"
    [ "$(level spf-pass <<< "$output")" = ok ] || { echo "$ip: $output"; false; }
  done
  for ip in 172.15.0.1 172.32.0.1 IPv6:fec0::1; do
    sed "s/\[127.0.0.1\]/[$ip]/" "$M/good" > "$M/x"; run card --json < "$M/x"
    [ "$(level spf-fail <<< "$output")" = fail ] || { echo "$ip: $output"; false; }
  done
}

@test "options stand over the trace: a forger's address" {
  run -1 card --client-addr 198.51.100.1 --json < "$M/plain"
  [ "$(level spf-client <<< "$output")" = "" ]
  run card --client-addr 198.51.100.1 --sender alice@example.test --json < "$M/plain"
  for id in spf-fail dmarc-fail; do [ "$(level $id <<< "$output")" = fail ] || { echo "$output"; false; }; done
  [ "$(level dkim-none <<< "$output")" = warn ]
}

@test "a block list that has the client" {
  run -1 card --rbl bl.example.test --json < "$M/good"
  [ "$(level rbl-listed <<< "$output")" = fail ]
}

@test "fields and shape: table" {
  while IFS='|' read -r id edit; do
    sed "$edit" "$M/plain" > "$M/x"
    run mx-dnscheck message --offline --json < "$M/x"
    [ -n "$(level "$id" <<< "$output")" ] || { echo "$id: $output"; false; }
    # and not without that edit
    run mx-dnscheck message --offline --json < "$M/plain"
    [ -z "$(level "$id" <<< "$output")" ] || { echo "$id also without: $output"; false; }
  done <<'TABLE'
from-count|/^From:/d
from-count|s/^From:.*/&\n&/
from-address|s/^From:.*/From: nobody/
from-address|s/^From:.*/From: a@b.cd, c@d.ef/
date|/^Date:/d
date|s/^Date:.*/Date: yesterday/
date-future|s/^Date:.*2026/Date: Sat, 21 Nov 2099/
message-id|/^Message-ID:/d
subject|/^Subject:/,/subject/d
no-recipient|/^To:/d
field-twice|s/^To:.*/&\n&/
html-only|s/^To:/Content-Type: text\/html\n&/
utf8-header|s/X-Other: x/X-Other: grüße/
one-click|s/X-Other: x/Precedence: bulk/
TABLE
  { cat "$M/plain"; head -c 1200 /dev/zero | tr '\0' x; } > "$M/x"
  run mx-dnscheck message --offline --json < "$M/x"
  [ "$(level long-line <<< "$output")" = warn ]
}

@test "one-click unsubscription as RFC 8058 wants it" {
  sed 's|X-Other: x|List-Unsubscribe: <https://x.test/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click|' "$M/plain" > "$M/x"
  run mx-dnscheck message --offline --json < "$M/x"
  [ "$(level one-click <<< "$output")" = ok ]
}

@test "--offline: what the receiver noted, and the body hash; no question to DNS" {
  { printf 'Authentication-Results: mx.here; spf=pass smtp.mailfrom=a@b;\n dkim=pass header.d=example.test\nAuthentication-Results: mx.here; dmarc=pass\n'; cat "$M/good"; } > "$M/x"
  run mx-dnscheck --resolver 127.0.0.1:1 message --offline --json < "$M/x"
  echo "$output"
  [ "$status" -eq 0 ]
  for id in spf-pass dkim-pass dmarc-pass dkim-body; do [ "$(level $id <<< "$output")" = ok ] || { echo $id; false; }; done
  echo changed >> "$M/x"
  run mx-dnscheck message --offline --json < "$M/x"
  [ "$(level dkim-body <<< "$output")" = fail ]
}

@test "DNS that is away is unknown, 75; no message is 65" {
  run -75 mx-dnscheck --resolver 127.0.0.1:1 message --json < "$M/good"
  [ "$(level dkim-temperror <<< "$output")" = unknown ]
  run -65 mx-dnscheck message < /dev/null
  run -64 mx-dnscheck message file < "$M/good"
}
