# mx-dnscheck --milter behind a real Postfix, in the place of opendkim's
# verifier, opendmarc and policyd-spf.
load ../lib/common
load ../lib/dkim
load ../lib/postfix
bats_require_minimum_version 1.5.0

setup() {
  common_setup; need_root; dkim_keys
  printf 'authserv_id = mx.test\nmynetworks = 127.0.0.0/8\nfilter_user = nobody\n' > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf
  mkdir -m 777 "$T/vm" "$T/hist"
  { read -r MILTER; read -r SMTP; } < <(free_port 2)
  # strict: pass for 192.0.2.7 alone, DMARC reject
  printf '@ TXT "v=spf1 ip4:192.0.2.7 -all"\n_dmarc TXT "v=DMARC1; p=reject; ruf=mailto:f@example.test"\nheld TXT "v=spf1 -all"\n_dmarc.held TXT "v=DMARC1; p=quarantine"\n' >> "$T/example.zone"
  dkim_serve
}
teardown() { common_teardown; }

start() {
  spawn_logged mx-dnscheck --milter --listen "127.0.0.1:$MILTER" --resolver "127.0.0.1:$DNS" "$@"
  CHECK=$SPAWNED CHECK_LOG=$SPAWNED_LOG
  wait_port "$MILTER"
  mta
}
mta() {
  postfix_start mta "$SMTP" "smtpd_milters = inet:127.0.0.1:$MILTER" \
    "virtual_mailbox_domains = dest.test" "virtual_mailbox_base = $T/vm" "virtual_mailbox_maps = static:box/" \
    "virtual_uid_maps = static:65534" "virtual_gid_maps = static:65534" \
    "smtpd_authorized_xclient_hosts = 127.0.0.1"
}
send() {
  local f=$1; shift
  swaks --server "127.0.0.1:$SMTP" --helo me.test --from a@example.test --to joe@dest.test --data @"$f" "$@" > "$T/swaks" || { cat "$T/swaks"; return 1; }
}
arrived() { local n; n=$(ls "$T/vm/box/new" 2>/dev/null | wc -l); [ "$n" -ge "$1" ]; }
newest() { find "$T/vm/box/new" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
# fields NAME: unfolded values in the newest mail
fields() { awk -v n="$1" 'tolower($1) == tolower(n ":") { p = 1; printf "%s%s", (c++ ? "\n" : ""), $0; next } /^[ \t]/ && p { sub(/^[ \t]+/, " "); printf "%s", $0; next } { p = 0 } /^$/ { exit } END { print "" }' "$(newest)"; }

@test "strangers' mail is judged: pass with SPF and DKIM, forged results removed, ours on top" {
  start
  message | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" > "$T/m"
  { printf 'Authentication-Results: mx.test; spf=pass\nAuthentication-Results: other.test; spf=fail\nAuthentication-Results: MX.test 1; dkim=pass header.d=forged.test\n'; cat "$T/m"; } > "$T/forged"
  send "$T/forged" --xclient "ADDR=192.0.2.7 NAME=good.test"
  wait_for 10 arrived 1
  cat "$(newest)"
  run fields Authentication-Results
  [ "${#lines[@]}" -eq 3 ]
  [[ ${lines[0]} == *"mx.test; spf=pass smtp.mailfrom=a@example.test; dkim=pass header.d=example.test header.s=rsa header.a=rsa-sha256"* ]]
  [[ ${lines[1]} == *"mx.test; dmarc=pass (p=reject dis=none) header.from=example.test"* ]]
  [[ ${lines[2]} == *"other.test; spf=fail"* ]]
  run fields Received-SPF
  [[ $output == *"pass (mx.test: "*"client-ip=192.0.2.7"* ]]
  grep -q 'client=192.0.2.7 spf=pass dkim=pass dmarc=pass' "$CHECK_LOG"
}

@test "a failing policy: marked by default, 550 with dmarc_reject_failures; history is written" {
  echo "dmarc_history_file = $T/hist/h" >> "$T/mx.conf"
  start
  message > "$T/m"
  send "$T/m" --xclient "ADDR=203.0.113.9 NAME=evil.test"
  wait_for 10 arrived 1
  run fields Authentication-Results
  [[ $output == *"spf=fail"*"dkim=none"*"dmarc=fail (p=reject dis=reject)"* ]]
  grep -q 'from=example.test .*disposition=none' "$T/hist/h"
  echo "dmarc_reject_failures = yes" >> "$T/mx.conf"
  kill -HUP "$CHECK"
  refused() { ! send "$T/m" --xclient "ADDR=203.0.113.9 NAME=evil.test" && grep -q '550 5.7.1 rejected by the DMARC policy of example.test' "$T/swaks"; }
  wait_for 20 refused
}

@test "a failure that somebody asked to hear of waits for mx-report" {
  echo "dmarc_failure_file = $T/hist/f" >> "$T/mx.conf"
  start
  message > "$T/m"
  send "$T/m" --xclient "ADDR=203.0.113.9 NAME=evil.test"
  wait_for 10 arrived 1
  run -0 mx-report --resolver "127.0.0.1:$DNS" --send-failures --print
  [[ $output == *"Auth-Failure: dmarc"*"Source-IP: 203.0.113.9"*"From: "*"@example.test"* ]]
}

@test "our own mail is not judged, but cannot bring results of ours; a large message" {
  start
  { echo 'Authentication-Results: mx.test; dmarc=pass'; message; for i in $(seq 60000); do echo "line $i of a large message"; done; } > "$T/m"
  send "$T/m"
  wait_for 10 arrived 1
  [ -z "$(fields Authentication-Results)" ]
  # a login is ours, wherever it comes from
  send "$T/m" --xclient "ADDR=203.0.113.9 NAME=evil.test LOGIN=joe"
  wait_for 10 arrived 2
  [ -z "$(fields Authentication-Results)" ]
  # the same from a stranger is judged with its whole body
  sed 1d "$T/m" | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -c simple/simple > "$T/signed"
  send "$T/signed" --xclient "ADDR=203.0.113.9 NAME=s.test"
  wait_for 10 arrived 3
  [[ $(fields Authentication-Results) == *dkim=pass*header.s=ed* ]]
}

@test "a header that is not seen whole is refused; thousands of forged results are removed" {
  start
  { head -c 1048500 /dev/zero | tr '\0' 'x' | fold -w 900 | sed 's/^/X: /'; message; } > "$T/m"
  run send "$T/m" --xclient "ADDR=203.0.113.9 NAME=s.test"
  [ "$status" -ne 0 ]
  grep -q '552 5.3.4 header too large' "$T/swaks"
  { for _ in $(seq 3000); do printf 'Authentication-Results: mx.test; dmarc=pass\nAuthentication-Results: other.test; spf=fail\n'; done; message; } > "$T/m"
  send "$T/m" --xclient "ADDR=203.0.113.9 NAME=s.test"
  wait_for 20 arrived 1
  [ "$(grep -c '^Authentication-Results: mx.test' "$(newest)")" -eq 2 ]
  [ "$(grep -c '^Authentication-Results: other.test; spf=fail' "$(newest)")" -eq 3000 ]
  ! grep -q 'dmarc=pass' "$(newest)"
}

@test "DNS is away: temperror, never a fail; the worker holds no rights" {
  start --resolver 127.0.0.1:9
  message | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" > "$T/m"
  send "$T/m" --xclient "ADDR=192.0.2.7 NAME=good.test"
  wait_for 10 arrived 1
  [[ $(fields Authentication-Results) == *"spf=temperror"*"dkim=temperror"* ]]
  ! grep -q 'dmarc=fail' "$(newest)"
  for p in $(pgrep -P "$CHECK"); do
    [ "$(awk '/^Uid/ { print $2 }' "/proc/$p/status")" -eq "$(id -u nobody)" ]
    grep -q '^Seccomp:.*2' "/proc/$p/status"
  done
}

@test "opendmarc.conf in the place of opendmarc: Socket, UserID, UMask, CopyFailuresTo, HoldQuarantinedMessages" {
  cat > "$T/opendmarc.conf" <<C
AuthservID mx.test
Socket inet:$MILTER@127.0.0.1
UserID mail:mail
UMask 0007
PidFile $T/pid
SyslogFacility mail
CopyFailuresTo copy@dest.test
HoldQuarantinedMessages true
C
  echo "opendmarc_conf = $T/opendmarc.conf" >> "$T/mx.conf"
  spawn_logged mx-dnscheck --milter --resolver "127.0.0.1:$DNS"
  CHECK=$SPAWNED CHECK_LOG=$SPAWNED_LOG
  wait_port "$MILTER"
  for p in $(pgrep -P "$CHECK"); do [ "$(awk '/^Uid/ { print $2 }' "/proc/$p/status")" -eq "$(id -u mail)" ]; done
  grep -q 'opendmarc.conf: SyslogFacility does not count: the log goes to facility mail' "$CHECK_LOG"
  mta
  message > "$T/m"
  send "$T/m" --xclient "ADDR=203.0.113.9 NAME=evil.test"
  wait_for 20 arrived 2
  grep -l '^Delivered-To: copy@dest.test' "$T"/vm/box/new/*
  # held: in the hold queue, not delivered
  sed 's/alice@example.test/alice@held.example.test/' "$T/m" > "$T/q"
  send "$T/q" --xclient "ADDR=203.0.113.9 NAME=evil.test"
  held() { [ "$(find "$T/mta/queue/hold" -type f | wc -l)" -eq 1 ]; }
  wait_for 20 held
}
