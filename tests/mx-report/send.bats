# mx-report --send: the history becomes reports that this program, and any
# reader of XML, understands.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  {
    printf '$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'
    printf 'in TXT "v=spf1 ip4:192.0.2.1 -all"\n_dmarc.in TXT "v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:d@in.test,mailto:x@reports.in.test!10m"\n'
    printf '_dmarc.out TXT "v=DMARC1; p=none; rua=mailto:a@ok.test,mailto:a@no.test,https://x.test/"\n'
    printf '_dmarc.quiet TXT "v=DMARC1; p=none"\n'
    printf 'out.test._report._dmarc.ok TXT "v = DMARC1;"\n'
  } > "$T/zone"
  DNS=$(free_port)
  dns_serve "$DNS" test "$T/zone"
  message > "$T/m"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() {
  T=$FILE_T M=$BATS_TEST_TMPDIR H=$M/history
  printf '#!/bin/sh\nn=$(ls %s/sent.* 2>/dev/null | wc -l)\necho "$@" > %s/args.$n\ncat > %s/sent.$n\n' "$M" "$M" "$M" > "$M/submit"
  printf '#!/bin/sh\nexit 75\n' > "$M/away"
  chmod 755 "$M/submit" "$M/away"
  printf 'dmarc_history_file = %s\nmyhostname = mx.here.test\nmydomain = here.test\nreport_command = %s -t -f $report_sender\nresolver = 127.0.0.1:%s\n' "$H" "$M/submit" "$DNS" > "$M/mx.conf"
  export MX_CONFIG=$M/mx.conf
}
# seen FROM IP: a message in the history, of yesterday unless DAY says else
seen() {
  sed "s/alice@example.test/alice@$1/" "$T/m" |
    MX_TEST_TIME=+$(((${DAY:--1} + 1) * 86400)) mx-dnscheck auth --sender "alice@$1" --helo h.test --client-addr "$2" > /dev/null
}
# tomorrow
send() { MX_TEST_TIME=+$((${LATER:-1} * 86400)) mx-dnscheck report --send "$@"; }

@test "sent, read again: rows counted, policy, identifiers, results" {
  for _ in 1 2 3; do seen in.test 192.0.2.1; done
  seen in.test 192.0.2.66
  run -0 send
  [ ! -e "$H" ] || [ ! -s "$H" ]
  [ "$(ls "$M"/sent.* | wc -l)" = 1 ]
  grep -q '^To: d@in.test,$' "$M/sent.0"
  grep -q 'x@reports.in.test' "$M/sent.0"
  grep -q '^Subject: Report Domain: in.test$' "$M/sent.0"
  [ "$(cat "$M/args.0")" = "-t -f postmaster@mx.here.test" ]
  run -0 mx-report --json "$M/sent.0"
  [ "$(jq -r '.[0] | [.type, .org_name, .domain, .p, .sp, .adkim] | join(" ")' <<< "$output")" = "dmarc here.test in.test reject none s" ]
  [ "$(jq -r '.[0].records | sort_by(.source_ip) | map([.source_ip, .count, .disposition, .dkim, .spf, .spf_result, .header_from, .envelope_from] | map(tostring) | join(" ")) | join("|")' <<< "$output")" = \
    "192.0.2.1 3 pass fail pass pass in.test in.test|192.0.2.66 1 none fail fail fail in.test in.test" ] || { echo "$output"; false; }
  /usr/bin/python3 - "$M/sent.0" <<'PY'
import email, gzip, sys, xml.etree.ElementTree as E
m = email.message_from_file(open(sys.argv[1]))
part = [p for p in m.walk() if p.get_content_type() == "application/gzip"][0]
name = part.get_filename()
assert name.startswith("mx.here.test!in.test!") and name.endswith(".xml.gz"), name
x = E.fromstring(gzip.decompress(part.get_payload(decode=True)))
ns = "{urn:ietf:params:xml:ns:dmarc-2.0}"
assert x.tag == ns + "feedback"
assert x.find(f"{ns}policy_published/{ns}testing").text == "n"
PY
}

@test "external destinations: with consent, without, and what is no mailto" {
  seen out.test 192.0.2.5
  run -0 send
  [[ $output == *"no.test has not said"* ]]
  grep -q '^To: a@ok.test$' "$M/sent.0"
}

@test "today's messages and those nobody asks about: kept, dropped" {
  DAY=0 seen in.test 192.0.2.1
  seen quiet.test 192.0.2.1
  seen in.test 192.0.2.1
  run -0 send
  [ "$(ls "$M"/sent.* | wc -l)" = 1 ]
  [ "$(wc -l < "$H")" = 1 ]
  run -0 send --until $(($(date +%s) + 2 * 86400))
  [ "$(ls "$M"/sent.* | wc -l)" = 2 ]
}

@test "not sent: the history keeps it, 75; sent next time; given up after report_expire" {
  seen in.test 192.0.2.1
  cp "$H" "$M/before"
  run -75 send -o report_command="$M/away"
  cmp "$H" "$M/before"
  # DNS that is away is no refusal
  seen out.test 192.0.2.1
  cp "$H" "$M/before"
  MX_TEST_TIME=+86400 run -75 mx-dnscheck --resolver 127.0.0.1:1 report --send
  [ "$(grep -c out.test "$H")" = 1 ]
  run -0 send
  [ ! -e "$H" ]
  seen in.test 192.0.2.1
  LATER=20 run -75 send -o report_command="$M/away"
  [ ! -e "$H" ]
}

@test "a run that was killed is finished by the next one; --print changes nothing" {
  seen in.test 192.0.2.1
  mv "$H" "$H.sending"
  seen in.test 192.0.2.2
  cp "$H" "$M/before"
  run -0 send
  cmp "$H" "$M/before"
  [ "$(ls "$M"/sent.* | wc -l)" = 1 ]
  run -0 send --print
  [[ $output == *"Subject: Report Domain: in.test"* ]]
  cmp "$H" "$M/before"
  [ "$(ls "$M"/sent.* | wc -l)" = 1 ]
}

@test "OpenDMARC's HistoryFile" {
  cat > "$H" <<X
job 4A5B6C7D
reporter mx.here.test
received $(($(date +%s) - 90000))
ipaddr 198.51.100.9
from in.test
mfrom bounce.in.test
spf 0
dkim in.test sel 0
dkim other.test sel 7
pdomain in.test
policy 15
rua mailto:d@in.test
pct 100
adkim 114
aspf 115
p 113
sp 0
align_dkim 4
align_spf 5
arc 7
arc_policy 2 json:[]
action 2
job 4A5B6C7E
reporter mx.here.test
received $(($(date +%s) - 90000))
ipaddr 198.51.100.10
from in.test
mfrom evil.test
spf 7
pdomain in.test
policy 16
rua mailto:d@in.test
pct 100
adkim r
aspf s
p q
sp 0
align_dkim 5
align_spf 5
action 4
X
  run -0 send
  run -0 mx-report --json "$M/sent.0"
  [ "$(jq -r '.[0] | [.p, .aspf] | join(" ")' <<< "$output")" = "quarantine s" ] || { echo "$output"; false; }
  [ "$(jq -r '.[0].records | sort_by(.source_ip) | map([.source_ip, .disposition, .dkim, .spf, .spf_result, .dkim_domain, .dkim_result] | map(tostring) | join(" ")) | join("|")' <<< "$output")" = \
    "198.51.100.10 quarantine fail fail fail null null|198.51.100.9 pass pass fail pass in.test pass" ] || { echo "$output"; false; }
}

@test "hostile names in the history stay inside the XML and the header" {
  printf 'mx-dmarc-1 time=1000 ip=192.0.2.1 from="<x>&\\x0a" policy-domain=in.test policy=none disposition=none spf-aligned=0 dkim-aligned=0 record="v=DMARC1; p=none; rua=mailto:a@in.test%%0aBcc:b@c,mailto:d@in.test" org=in.test spf=none spf-domain="]]>\\"" dkim=pass dkim-domain="</dkim>" dkim-selector=s\n' > "$H"
  run -0 send
  run -0 mx-report --json "$M/sent.0"
  [ "$(jq -r '.[0].records[0].dkim_domain' <<< "$output")" = "</dkim>" ]
  ! grep -q Bcc "$M/sent.0"
}

@test "usage" {
  run -64 send -o dmarc_history_file=
  run -64 send file
  run -64 send --until soon
}
