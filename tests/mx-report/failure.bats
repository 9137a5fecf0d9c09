# Failure reports: RFC 9991, RFC 6591; what asks for one, what is in it, how
# many there are.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  {
    printf '$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'
    printf '%s TXT "v=spf1 ip4:192.0.2.1 -all"\n' zero one dee ess
    printf '_dmarc.zero TXT "v=DMARC1; p=reject; ruf=mailto:f@zero.test"\n'
    printf '_dmarc.one TXT "v=DMARC1; p=none; fo=1; ruf=mailto:f@one.test"\n'
    printf '_dmarc.dee TXT "v=DMARC1; p=none; fo=d; ruf=mailto:f@dee.test"\n'
    printf '_dmarc.ess TXT "v=DMARC1; p=none; fo=s:d; ruf=mailto:f@ess.test"\n'
    printf '_dmarc.psd TXT "v=DMARC1; p=none; psd=y; ruf=mailto:f@psd.test"\n'
    printf '_dmarc.none TXT "v=DMARC1; p=none; fo=1; rua=mailto:f@none.test"\n'
    printf '_dmarc.ext TXT "v=DMARC1; p=none; ruf=mailto:a@ok.test,mailto:a@no.test,mailto:in@ext.test"\n'
    printf 'ext.test._report._dmarc.ok TXT "v=DMARC1"\n'
  } > "$T/zone"
  DNS=$(free_port)
  dns_serve "$DNS" test "$T/zone"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() {
  T=$FILE_T M=$BATS_TEST_TMPDIR F=$M/failures
  printf '#!/bin/sh\nn=$(ls %s/sent.* 2>/dev/null | wc -l)\ncat > %s/sent.$n\n' "$M" "$M" > "$M/submit"
  printf '#!/bin/sh\nexit 75\n' > "$M/away"
  chmod 755 "$M/submit" "$M/away"
  printf 'dmarc_failure_file = %s\nmyhostname = mx.here.test\nmydomain = here.test\nreport_command = %s\nresolver = 127.0.0.1:%s\n' "$F" "$M/submit" "$DNS" > "$M/mx.conf"
  export MX_CONFIG=$M/mx.conf
}
sent() { ls "$M"/sent.* 2> /dev/null | wc -l; }
send() { mx-report --send-failures "$@"; }
# seen FROM IP [FIELD]: a message that auth sees
seen() {
  printf '%sFrom: "Alice Secret" <alice@%s>\nTo: Bob Hidden <bob@rcpt.test>, "x y"@rcpt.test\nSubject: the merger\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <1@%s>\nX-Mark: for=carol@rcpt.test\n\nbody text\n' "${3:+$3$'\n'}" "$1" "$1" |
    mx-dnscheck auth --sender "alice@$1" --helo h.test --client-addr "$2" > /dev/null
}
BROKEN='DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=sel; i=alice@%s; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA'
broken() { printf "$BROKEN" "$1" "$1"; }

@test "a report: its parts, what is in them, and nobody's name" {
  seen zero.test 192.0.2.66 "$(broken zero.test)"
  [ "$(stat -c %a "$F")" = 600 ]
  run -0 --separate-stderr send
  [[ $stderr == *"1 failure reports sent"* ]]
  [ ! -e "$F" ]
  [ "$(sent)" = 1 ]
  ! grep -qiE 'secret|hidden|alice|bob|carol|merger|body text|x y' "$M/sent.0" || { cat "$M/sent.0"; false; }
  /usr/bin/python3 - "$M/sent.0" <<'PY'
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert m["To"] == "f@zero.test" and m["Auto-Submitted"] == "auto-generated"
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "feedback-report"
text, fields, header = m.get_payload()
assert [p.get_content_type() for p in (text, fields, header)] == ["text/plain", "message/feedback-report", "text/rfc822-headers"]
f = fields.get_payload()[0] if isinstance(fields.get_payload(), list) else email.message_from_string(fields.get_payload())
want = {"Feedback-Type": "auth-failure", "Version": "1", "Auth-Failure": "dmarc", "Identity-Alignment": "dkim, spf",
        "Source-IP": "192.0.2.66", "Reported-Domain": "zero.test", "DKIM-Domain": "zero.test", "DKIM-Selector": "sel",
        "Authentication-Results": "mx.here.test; dmarc=fail header.from=zero.test", "Delivery-Result": "other",
        "SPF-DNS": 'txt : zero.test : "v=spf1 ip4:192.0.2.1 -all"'}
for k, v in want.items():
    assert f[k] == v, (k, f[k])
for k in ("User-Agent", "Arrival-Date", "Reporting-MTA"):
    assert f[k], k
h = email.message_from_string(header.get_payload())
local = h["From"].split("@")[0]
assert h["From"] == local + "@zero.test" and len(local) == 8
# the same person, the same word: everywhere
assert f["Original-Mail-From"] == f"<{local}@zero.test>" and f["DKIM-Identity"] == f"{local}@zero.test"
assert f"i={local}@zero.test" in h["DKIM-Signature"]
assert h["X-Mark"].startswith("for=") and h["X-Mark"].endswith("@rcpt.test")
assert h["Message-ID"] == "<1@zero.test>" and h["Subject"] == "[redacted]"
PY
  run -0 mx-report --json "$M/sent.0"
  [ "$(jq -c '.[0] | [.type, .domain, .records[0].source_ip, .records[0].auth_failure]' <<< "$output")" = '["failure","zero.test","192.0.2.66","dmarc"]' ]
}

@test "the word is another one with another key; Subject if it is wanted" {
  seen zero.test 192.0.2.66
  cp "$F" "$M/again"
  run -0 send -o failure_report_subject=yes
  cp "$M/again" "$F"
  run -0 send
  [ "$(grep '^From:.*@zero' "$M/sent.0")" = "$(grep '^From:.*@zero' "$M/sent.1")" ]
  cp "$M/again" "$F"
  rm "$F.key"
  run -0 send
  [ "$(grep '^From:.*@zero' "$M/sent.0")" != "$(grep '^From:.*@zero' "$M/sent.2")" ]
  grep -qx 'Subject: the merger' "$M/sent.0"
}

@test "fo: 0 is the default, 1, d, s; psd=y, no ruf, a pass: none" {
  seen zero.test 192.0.2.1
  seen psd.test 192.0.2.66
  seen none.test 192.0.2.66
  seen dee.test 192.0.2.66
  seen ess.test 192.0.2.1
  [ ! -e "$F" ]
  # SPF passes, no signature of ours: one mechanism did not
  seen one.test 192.0.2.1
  seen dee.test 192.0.2.1 "$(broken dee.test)"
  seen ess.test 192.0.2.66
  run -0 send
  [ "$(sent)" = 3 ]
  grep -l 'Reported-Domain: one.test' "$M"/sent.* | xargs grep -x 'Identity-Alignment: dkim'
  local d s
  d=$(grep -l 'Reported-Domain: dee.test' "$M"/sent.*) s=$(grep -l 'Reported-Domain: ess.test' "$M"/sent.*)
  grep -qx 'Auth-Failure: signature' "$d"
  grep -qx 'Authentication-Results: mx.here.test; dkim=fail header.d=dee.test' "$d"
  grep -qx 'Auth-Failure: spf' "$s"
  grep -q '^SPF-DNS: txt : ess.test : "v=spf1' "$s"
}

@test "external destinations: with consent alone" {
  seen ext.test 192.0.2.66
  run -0 --separate-stderr send
  [[ $stderr == *"no.test has not said"* ]]
  [ "$(sed -n '/^To: /,/^Subject/p' "$M/sent.0" | grep -o '[a-z]*@[a-z]*.test' | head -2 | xargs)" = "a@ok.test in@ext.test" ]
  ! grep -q 'a@no.test' "$M/sent.0"
}

@test "like failures are one report; the limit of the day holds over runs" {
  for _ in 1 2 3; do seen zero.test 192.0.2.66; done
  seen zero.test 192.0.2.67
  run -0 send
  [ "$(sent)" = 2 ]
  grep -qx 'Incidents: 3' "$M"/sent.*
  for i in 1 2 3 4; do seen zero.test "192.0.2.7$i"; done
  seen one.test 192.0.2.66
  run -0 --separate-stderr send -o failure_report_limit=4
  [[ $stderr == *"3 failure reports sent"*"2 failures over the limit"* ]] || { echo "$stderr"; false; }
  [ "$(sent)" = 5 ]
  seen zero.test 192.0.2.80
  run -0 send -o failure_report_limit=4
  [ "$(sent)" = 5 ]
  # the next day is another one
  seen zero.test 192.0.2.80
  MX_TEST_TIME=+86400 run -0 send -o failure_report_limit=4
  [ "$(sent)" = 6 ]
}

@test "not sent: it waits, 75; DNS trouble, too; a report is never reported" {
  seen zero.test 192.0.2.66
  cp "$F" "$M/before"
  run -75 send -o report_command="$M/away"
  cmp "$F" "$M/before"
  run -0 send --print
  [[ $output == *"Auth-Failure: dmarc"* ]]
  cmp "$F" "$M/before"
  MX_TEST_TIME=+$((20 * 86400)) run -0 send
  [ "$(sent)" = 0 ]
  seen ext.test 192.0.2.66
  run -75 mx-report --resolver 127.0.0.1:1 --send-failures
  [ -s "$F" ]
  rm "$F"
  seen zero.test 192.0.2.66 'Content-Type: multipart/report; report-type=feedback-report; boundary=x'
  [ ! -e "$F" ]
}

@test "hostile headers stay inside their part" {
  seen zero.test 192.0.2.66 "$(printf 'X-Evil: a\n --=failure\n\tBcc: q@v.test\r\n  "@"@"@@@x@y\nX-Long: %05000d@x' 1)"
  run -0 send
  run -0 mx-report --json "$M/sent.0"
  [ "$(jq -r '.[0].type' <<< "$output")" = failure ]
  [ "$(/usr/bin/python3 -c 'import email,sys; print(len(email.message_from_binary_file(open(sys.argv[1],"rb")).get_payload()))' "$M/sent.0")" = 3 ]
  [ "$(awk '{ if (length($0) > m) m = length($0) } END { print (m <= 998) }' "$M/sent.0")" = 1 ]
}

@test "usage" {
  run -64 send -o dmarc_failure_file=
  run -64 send file
}
