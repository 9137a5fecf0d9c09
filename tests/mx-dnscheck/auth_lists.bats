# mx-dnscheck auth: ignore lists, trusted results, opendmarc.conf as it is, the
# history.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  printf '$ORIGIN example.test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n@ TXT "v=spf1 ip4:192.0.2.1 -all"\n_dmarc TXT "v=DMARC1; p=reject; adkim=s"\nasks A 192.0.2.1\n_dmarc.asks TXT "v=DMARC1; p=reject; ruf=mailto:f@example.test"\n' > "$T/example.zone"
  DNS=$(free_port)
  dns_serve "$DNS" example.test "$T/example.zone"
  message > "$T/m"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T M=$BATS_TEST_TMPDIR; : > "$M/mx.conf"; export MX_CONFIG=$M/mx.conf; }

auth() { mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here auth --authserv-id mx.here --sender alice@example.test --helo x "$@"; }
# dmarc OPTION...: the word of DMARC's field, - without one
dmarc() { auth "$@" < "${MSG:-$T/m}" | sed -n 's/^Authentication-Results: mx.here; dmarc=\([a-z]*\).*/\1/p' | grep . || echo -; }

@test "ignored: hosts by address, network, name, file; From; logins; table" {
  printf '# ours\n203.0.113.0/24\nmail.good.test\n' > "$M/hosts"
  while IFS='|' read -r args want; do
    got=$(eval "dmarc $args")
    [ "$got" = "$want" ] || { echo "$args: $got, not $want"; false; }
  done <<TABLE
--client-addr 192.0.2.9|fail
--client-addr 192.0.2.1|pass
--client-addr 192.0.2.9 -o dmarc_ignore_hosts=192.0.2.9|-
--client-addr 192.0.2.9 -o dmarc_ignore_hosts=192.0.2.0/24|-
--client-addr 192.0.3.9 -o dmarc_ignore_hosts=192.0.2.0/24|fail
--client-addr 192.0.2.9 --client-name a.b.test -o dmarc_ignore_hosts=a.b.test|-
--client-addr 192.0.2.9 --client-name a.b.test -o dmarc_ignore_hosts=.b.test|-
--client-addr 192.0.2.9 --client-name a.b.test -o dmarc_ignore_hosts=b.test|fail
--client-addr 203.0.113.7 -o dmarc_ignore_hosts=$M/hosts|-
--client-addr 192.0.2.9 --client-name mail.good.test -o dmarc_ignore_hosts=$M/hosts|-
--client-addr 192.0.2.9 -o dmarc_ignore_hosts=$M/hosts|fail
--client-addr 127.0.0.1 -o dmarc_ignore_hosts=localhost|-
--client-addr 2001:db8::1 -o dmarc_ignore_hosts=2001:db8::/32|-
--client-addr 192.0.2.9 -o dmarc_ignore_mail_from=Example.TEST,other.test|-
--client-addr 192.0.2.9 -o dmarc_ignore_mail_from=other.test|fail
--client-addr 192.0.2.9 --auth-user joe|fail
--client-addr 192.0.2.9 --auth-user joe -o dmarc_ignore_authenticated=yes|-
--client-addr 192.0.2.9 -o dmarc_ignore_authenticated=yes|fail
TABLE
  run -78 auth --client-addr 192.0.2.9 -o dmarc_ignore_hosts="$M/none" < "$T/m" ||
    run -66 auth --client-addr 192.0.2.9 -o dmarc_ignore_hosts="$M/none" < "$T/m" || [ "$status" -ne 0 ]
}

@test "trusted results: theirs count, others' do not, ours that came along never do" {
  while IFS='|' read -r field want; do
    { printf 'Authentication-Results: %b\n' "$field"; cat "$T/m"; } > "$M/x"
    got=$(MSG=$M/x dmarc --client-addr 192.0.2.9 -o dmarc_trusted_authserv_ids=dkim.here)
    [ "$got" = "$want" ] || { echo "$field: $got, not $want"; false; }
  done <<'TABLE'
dkim.here; dkim=pass header.d=example.test|pass
dkim.here; dkim=pass (2048-bit key; secure) header.d=example.test header.s=x|pass
dkim.here 1; dkim/1=pass reason="all; good" header.d="example.test"|pass
dkim.here; spf=fail smtp.mailfrom=a@b;\n dkim = pass header.d = example.test|pass
dkim.here; spf=pass smtp.mailfrom=alice@example.test|pass
dkim.here; spf=pass smtp.mailfrom=example.test|pass
dkim.here; dkim=pass header.d=other.test|fail
dkim.here; dkim=pass header.d=sub.example.test|fail
dkim.here; dkim=fail header.d=example.test|fail
dkim.here; none|fail
dkim.here; dkim=pass|fail
dkim.here; x=y (dkim=pass header.d=example.test)|fail
dkim.here; reason="; dkim=pass header.d=example.test"|fail
dkim.there; dkim=pass header.d=example.test|fail
mx.here; dkim=pass header.d=example.test|fail
TABLE
}

@test "the guide's opendmarc.conf, as it is" {
  printf '127.0.0.1\nmail.example.com\n' > "$M/ignore.hosts"
  cat > "$M/opendmarc.conf" <<X
AuthservID mail.example.com
RejectFailures false
Syslog true
PidFile /var/run/opendmarc.pid
TrustedAuthservIDs HOSTNAME
UMask 0002
UserID opendmarc:opendmarc
HistoryFile $M/opendmarc.dat
IgnoreHosts $M/ignore.hosts
IgnoreMailFrom example.com,example2.com

# For testing
SoftwareHeader true
X
  a() { mx-dnscheck --resolver 127.0.0.1:$DNS -o opendmarc_conf="$M/opendmarc.conf" auth --sender alice@example.test --helo x "$@" < "${MSG:-$T/m}"; }
  a --client-addr 192.0.2.9 > "$M/out"
  grep -q '^Authentication-Results: mail.example.com; dmarc=fail (p=reject dis=reject) header.from=example.test$' "$M/out" ||
    sed 's/\n\t/ /' "$M/out" | grep -q '^Authentication-Results: mail.example.com; dmarc=fail'
  [ "$(wc -l < "$M/opendmarc.dat")" = 1 ]
  ! a --client-addr 127.0.0.1 | grep -q dmarc=
  ! a --client-addr 192.0.2.9 --client-name mail.example.com | grep -q dmarc=
  sed 's/alice@example.test/a@example.com/' "$T/m" > "$M/com"
  ! MSG=$M/com a --client-addr 192.0.2.9 | grep -q dmarc=
  sed -i 's/RejectFailures false/RejectFailures true/' "$M/opendmarc.conf"
  run -69 a --client-addr 192.0.2.9
  echo "RejectFailurs true" >> "$M/opendmarc.conf"
  run -78 a --client-addr 192.0.2.9
  [[ $output == *"opendmarc.conf:14: RejectFailurs"* ]]
}

@test "the history: a line a message, with what a report needs" {
  h=$M/history
  auth --client-addr 192.0.2.1 -o dmarc_history_file="$h" < "$T/m" > /dev/null
  MX_QUEUE_ID=ABC auth --client-addr 192.0.2.9 -o dmarc_history_file="$h" < "$T/m" > /dev/null
  [ "$(wc -l < "$h")" = 2 ]
  grep -q '^mx-dmarc-1 time=[0-9]* ip=192.0.2.1 from=example.test policy-domain=example.test policy=reject disposition=none spf-aligned=1 dkim-aligned=0 record="v=DMARC1; p=reject; adkim=s" org=example.test spf=pass spf-scope=mfrom spf-domain=example.test id=""$' "$h" || { cat "$h"; false; }
  grep -q ' id=ABC$' "$h"
  # a history that cannot be written stops no mail
  run -0 auth --client-addr 192.0.2.1 -o dmarc_history_file=/nonexistent/x < "$T/m"
}

# conf LINES...: an opendmarc.conf of the guide, and these lines
conf() { printf '%s\n' "AuthservID mx.here" "$@" > "$M/opendmarc.conf"; echo "opendmarc_conf = $M/opendmarc.conf" > "$M/mx.conf"; }
a() { mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here auth --sender alice@example.test --helo x --client-addr 192.0.2.9 "$@" < "${MSG:-$T/m}"; }

@test "Debian's own opendmarc.conf loads as it is" {
  [ -f /etc/opendmarc.conf ] || skip "no /etc/opendmarc.conf here"
  echo "opendmarc_conf = /etc/opendmarc.conf" > "$M/mx.conf"
  a > "$M/out"
  grep -q '^Authentication-Results: mx.here; dmarc=fail' "$M/out"
  # and with each example in its comments
  sed -E 's/^# ([A-Z][A-Za-z]+ .*[^.])$/\1/; t; s/^#.*//' /etc/opendmarc.conf | grep -vE '^(This|For|On|See|If|Identifies|Requests|Specifies|Attempts|Sets|Enables|Log|Gives|When|In|The|Provides|However|Socket)' > "$M/all"
  grep -q '^RejectFailures false' "$M/all"
  echo "opendmarc_conf = $M/all" > "$M/mx.conf"
  a > "$M/out"
}

@test "every word of opendmarc.conf(5) is known; wrong values are 78 with their line" {
  man opendmarc.conf 2>/dev/null | col -b | grep -oE '^       [A-Z][A-Za-z]+ \((string|Boolean|integer)\)' > "$M/words" || true
  [ -s "$M/words" ] || skip "no manual page of opendmarc.conf here"
  [ "$(wc -l < "$M/words")" -gt 40 ]
  while read -r w kind; do
    case $w:$kind in
      HistoryFile:*) v=$M/h ;;
      BaseDirectory:*) v=$M ;;
      IgnoreHosts:* | DomainWhitelist*) v=192.0.2.77 ;;
      RejectString:*) v='"no: %s"' ;;
      *Boolean*) v=false ;;
      *) v=7 ;;
    esac
    conf "$w $v"
    a > /dev/null || { echo "$w $v"; false; }
  done < "$M/words"
  conf "RejectString nobody"
  run -78 a
  [[ $output == *"opendmarc.conf:2: RejectString: %s is expected"* ]]
  conf "UMask 8"
  run -78 a
  conf "SoftwareHeader perhaps"
  run -78 a
}

@test "opendmarc.conf: RejectString, AuthservIDWithJobID, SoftwareHeader" {
  conf "RejectFailures true" 'RejectString "%s says no"'
  run -69 a
  [[ $output == *"example.test says no"* ]]
  conf "AuthservIDWithJobID true" "SoftwareHeader true"
  MX_QUEUE_ID=4Abc a > "$M/out"
  grep -q '^Authentication-Results: mx.here/4Abc; dmarc=fail' "$M/out"
  grep -q '^DMARC-Filter: mx-dnscheck [0-9.]* mx.here 4Abc$' "$M/out"
  # what claims to be such a field of ours is removed
  { printf 'Authentication-Results: mx.here/9; dmarc=pass\n'; cat "$T/m"; } > "$M/x"
  MSG=$M/x a > "$M/out"
  ! grep -q 'dmarc=pass' "$M/out"
}

@test "opendmarc.conf: RejectMultiValueFrom, RequiredHeaders" {
  sed 's/^From: .*/From: a@example.test, b@other.test/' "$T/m" > "$M/two"
  sed 's/^From: .*/From: a@example.test, b@example.test/' "$T/m" > "$M/one"
  conf "RejectMultiValueFrom true"
  MSG=$M/two run -69 a
  [[ $output == *"several domains"* ]]
  MSG=$M/one run -0 a
  conf "RejectMultiValueFrom false"
  MSG=$M/two run -0 a
  conf "RequiredHeaders true"
  run -0 a
  while read -r edit; do
    sed "$edit" "$T/m" > "$M/x"
    MSG=$M/x run -69 a || { echo "$edit"; false; }
    [[ $output == *"is missing, or there too often"* ]]
  done <<'E'
/^Date:/d
/^From:/d
s/^Subject:.*/&\n&/
s/^From:.*/&\n&/
s/^To:.*/&\n&/
s/^From:.*/From: nobody/
E
}

@test "opendmarc.conf: RecordAllMessages, IgnoreMailTo" {
  printf 'From: x@none.test\nDate: Sat, 21 Nov 2026 04:00:00 +0000\n\nx\n' > "$M/x"
  conf "HistoryFile $M/h"
  MSG=$M/x a > /dev/null
  [ ! -e "$M/h" ]
  conf "HistoryFile $M/h" "RecordAllMessages true"
  MSG=$M/x a > /dev/null
  grep -q 'from=none.test ' "$M/h"
  # such a line is no report of anybody
  run -0 mx-report --resolver 127.0.0.1:$DNS -o opendmarc_conf="$M/opendmarc.conf" --send --print
  [[ $output != *none.test* ]]
  conf "HistoryFile $M/i" "IgnoreMailTo dmarc@mx.here,x@y.test"
  MX_RECIPIENTS=DMARC@mx.here a > /dev/null
  [ ! -e "$M/i" ]
  MX_RECIPIENTS=$'dmarc@mx.here\njoe@mx.here' a > /dev/null
  [ "$(wc -l < "$M/i")" -eq 1 ]
}

@test "opendmarc.conf: SPFIgnoreResults" {
  { printf 'Authentication-Results: spf.here; spf=pass smtp.mailfrom=example.test\n'; cat "$T/m"; } > "$M/x"
  conf "TrustedAuthservIDs spf.here"
  MSG=$M/x a | grep -q 'mx.here; dmarc=pass'
  conf "TrustedAuthservIDs spf.here" "SPFIgnoreResults true"
  MSG=$M/x a | grep -q 'mx.here; dmarc=fail'
}

@test "opendmarc.conf: FailureReports and its kin, through mx-report" {
  r() { mx-report --resolver 127.0.0.1:$DNS -o opendmarc_conf="$M/opendmarc.conf" --send-failures --print; }
  # nobody asks: no report; somebody of ours does
  conf "HistoryFile $M/h" "FailureReports true"
  a > /dev/null
  [ ! -e "$M/dmarc-failures" ]
  conf "HistoryFile $M/h" "FailureReports true" "FailureReportsBcc boss@mx.here" "FailureReportsSentBy dmarc@mx.here"
  a > /dev/null
  run -0 r
  [[ $output == *"From: DMARC reports <dmarc@mx.here>"*"To: boss@mx.here"*"Auth-Failure: dmarc"* ]]
  conf "HistoryFile $M/h" "FailureReports false" "FailureReportsBcc boss@mx.here"
  rm "$M/dmarc-failures"
  a > /dev/null
  [ ! -e "$M/dmarc-failures" ]
}

@test "forged results of ours in odd spellings: none is left" {
  printf '%b\n' 'Authentication-Results : mx.here; dmarc=pass' 'AUTHENTICATION-RESULTS: mx.here;dkim=pass' \
    'Authentication-Results:mx.here(c);spf=pass' 'Authentication-Results:\n\t(a)\n mx.here\n ; spf=pass' \
    'Authentication-Results: mx.here.; spf=pass' 'Authentication-Results: "mx.here" 1 (x); spf=pass' \
    'Authentication-Results: "mx\\.here"; spf=pass' 'Authentication-Results: (unclosed mx.here; spf=pass' \
    'Authentication-Results: MX.HERE/5; spf=pass' 'Authentication-Results: mx.here spf=pass' \
    'Authentication-Results: ;mx.here; spf=pass' 'Authentication-Results: i=1; mx.here; spf=pass' \
    'Authentication-Results: a.test; x=y z.helo=mx.here (c)\n ; dmarc=pass' 'Authentication-Results: a.test; x=fail reason="mx.here; dmarc=pass"' > "$M/x"
  cat "$T/m" >> "$M/x"
  MSG=$M/x auth --client-addr 192.0.2.9 < "$M/x" > "$M/out"
  cat "$M/out"
  [ "$(grep -ciE '^authentication-results ?:' "$M/out")" -eq 2 ]
  ! grep -q '=pass' "$M/out"
  # those of others stay, even if they know us
  { printf 'Authentication-Results: sub.mx.here; spf=pass\nAuthentication-Results: a.test; spf=pass smtp.helo=mx.here\nAuthentication-Results: mx.hereafter.test; spf=pass\n'; cat "$T/m"; } > "$M/x"
  [ "$(auth --client-addr 192.0.2.9 < "$M/x" | grep -c 'spf=pass')" -eq 3 ]
}

@test "a header that is not seen whole is refused: a From or forged results could hide behind it" {
  { head -c 1048500 /dev/zero | tr '\0' 'x' | fold -w 4000 | sed 's/^/X: /'; printf 'Authentication-Results: mx.here; dmarc=pass\n'; cat "$T/m"; } > "$M/x"
  run -69 auth --client-addr 192.0.2.9 < "$M/x"
  [[ $output == *"the header is too large"* ]]
  # a long body is none
  { cat "$T/m"; head -c 2000000 /dev/zero | tr '\0' 'x' | fold -w 70 | sed 's/^/X: /'; } > "$M/x"
  auth --client-addr 192.0.2.9 < "$M/x" > "$M/out"
  grep -q '^Authentication-Results: mx.here' "$M/out"
}

@test "From that names more than can be read does not pass: table" {
  local bad=0 want from got
  while IFS='|' read -r want from; do
    want=$(echo $want)
    printf 'From: %b\nSubject: x\n\nbody\n' "$from" > "$M/x"
    got=$(auth --client-addr 192.0.2.1 < "$M/x" | sed -nE 's/.*; dmarc=([a-z]*).*/\1/p')
    [ "$got" = "$want" ] || { echo "$from: $got, not $want"; bad=1; }
  done <<TABLE
pass | alice@example.test
pass | Doe, Joe <alice@example.test>
pass | "ceo@bank.test" <alice@example.test>
fail | alice@example.test, ceo@bank\0177.test
fail | alice@example.test, ceo@b\0377nk.test
fail | $(for _ in $(seq 100); do printf 'alice@example.test, '; done)ceo@bank.test
TABLE
  [ "$bad" -eq 0 ]
}

@test "a failure that is written down while mx-report takes the file's lines away is not lost" {
  local pid
  printf 'dmarc_failure_file = %s/f\n' "$M" >> "$M/mx.conf"
  asks() { mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here auth --client-addr 192.0.2.9 --sender x@asks.example.test --helo x < "$M/x" > "$M/out"; }
  printf 'From: a@asks.example.test\nSubject: x\n\nbody\n' > "$M/x"
  asks
  [ "$(grep -c ^mx-failure-1 "$M/f")" -eq 1 ]
  exec 8<>"$M/f"; flock -x 8
  asks 8>&- & pid=$!
  stuck() { ! kill -0 "$pid" 2>/dev/null || grep -q -- '->.*FLOCK.*READ' /proc/locks; }
  wait_for 20 stuck
  mv "$M/f" "$M/f.sending"
  exec 8>&-
  wait "$pid"
  [ "$(grep -c ^mx-failure-1 "$M/f.sending")" -eq 1 ]
  [ "$(grep -c ^mx-failure-1 "$M/f")" -eq 1 ]
}
