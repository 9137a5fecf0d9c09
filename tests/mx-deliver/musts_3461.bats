#!/usr/bin/env bats
# What RFC 3461 5.2, 6 say of the reports that an MTA makes or leaves to others,
# row by row.  What it says to the next server: tests/mx-send/96-musts_3461.bats.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }

# row WHAT MAIL RCPT WANT: joe sends; WANT is "none", or the Action, then
# ";REGEX" for what the report has and ";-REGEX" for what it has not
row() {
  local what=$1 mail=$2 rcpt=$3 parts p bad=''
  IFS=';' read -ra parts <<< "$4"
  rm -f "$T"/vm/joe/new/*
  esmtp_in "<joe@virt.example>$mail" "$rcpt" > /dev/null
  run_queue > /dev/null
  inbox joe > "$T/report" || true
  if [ "${parts[0]}" = none ]; then
    [ ! -s "$T/report" ] || bad='a report'
  else
    [ "$(count vm/joe/new)" -eq 1 ] || bad="$(count vm/joe/new) reports"
    grep -q "^Action: ${parts[0]}\$" "$T/report" || bad="$bad, not ${parts[0]}"
  fi
  for p in "${parts[@]:1}"; do
    case $p in
    -*) ! grep -q -- "${p#-}" "$T/report" || bad="$bad, but ${p#-}" ;;
    *) grep -q -- "$p" "$T/report" || bad="$bad, no $p" ;;
    esac
  done
  [ -z "$bad" ] || { echo "FAILED: $what: $bad"; cat "$T/report"; return 1; }
}

@test "reports" {
  local n=0 failed=0 what mail rcpt want
  peer ok; to_peer dsn.example
  peer ok --caps PIPELINING,8BITMIME; to_peer plain.example
  while IFS='|' read -r what mail rcpt want; do
    n=$((n + 1))
    row "$what" "$mail" "$rcpt" "$want" < /dev/null || failed=$((failed + 1))
  done <<'T'
5.2.1: SUCCESS, the next server does DSN: it reports||<b@dsn.example> NOTIFY=SUCCESS|none
5.2.2 b: SUCCESS, it does not: MUST issue "relayed"||<b@plain.example> NOTIFY=SUCCESS|relayed;^Status: 2\.
5.2.2 c: FAILURE and a 5xx: MUST issue "failed"||<no@plain.example> NOTIFY=FAILURE|failed;^Status: 5.1.1
5.2.2 d: NEVER: MUST NOT, taken||<b@plain.example> NOTIFY=NEVER|none
5.2.2 d: NEVER: MUST NOT, refused||<no@plain.example> NOTIFY=NEVER|none
5.2.2 e: no NOTIFY, taken: MUST NOT||<b@plain.example>|none
5.2.2 f: no NOTIFY, refused: MUST||<no@plain.example>|failed
5.2.2: SUCCESS alone and a 5xx: no report||<no@plain.example> NOTIFY=SUCCESS|none
5.2.3 a: local, SUCCESS: MUST issue "delivered"||<ann@virt.example> NOTIFY=SUCCESS|delivered;^Status: 2\.
5.2.3 b: local, no SUCCESS: MUST NOT||<ann@virt.example> NOTIFY=FAILURE,DELAY|none
5.2.3 c: local, no NOTIFY: MUST NOT||<ann@virt.example>|none
5.2.6 a: FAILURE of a server with DSN that refuses||<no@dsn.example> NOTIFY=FAILURE|failed
5.2.6 b: not asked for||<no@dsn.example> NOTIFY=DELAY|none
6.3 a: Original-Envelope-ID as it came| ENVID=a+2Bb|<no@plain.example>|failed;^Original-Envelope-Id: a+b
6.3 a: none came: MUST NOT||<no@plain.example>|failed;-Original-Envelope-Id
6.3 b: Reporting-MTA MUST be supplied||<no@plain.example>|failed;^Reporting-MTA: dns; mail.example.org
6.3 d: Original-Recipient of ORCPT||<no@plain.example> ORCPT=rfc822;Bob+2Bx@x.example|failed;^Original-Recipient: rfc822
6.3 d: none came: MUST NOT||<no@plain.example>|failed;-^Original-Recipient
6.3 e f g: Final-Recipient, Action, Status||<no@plain.example>|failed;^Final-Recipient: rfc822;^Status: 5
6.3 i j: Remote-MTA and Diagnostic-Code of who refused||<no@plain.example>|failed;^Remote-MTA: dns; 127.0.0.1;^Diagnostic-Code: smtp; 550 5.1.1
4.3 6.2: RET=HDRS: the header alone| RET=HDRS|<no@plain.example>|failed;^Content-Type: text/rfc822-headers;-^body
4.3 6.2: RET=FULL: all of it| RET=FULL|<no@plain.example>|failed;^Content-Type: message/rfc822;^body
6.2: no failure in it: the header alone| RET=FULL|<b@plain.example> NOTIFY=SUCCESS|relayed;-^body
6.1: its sender is the null sender||<no@plain.example>|failed;^Return-Path: <>
T
  echo "$n rows, $failed failed"
  [ "$n" -eq 24 ]; [ "$failed" -eq 0 ]
}
