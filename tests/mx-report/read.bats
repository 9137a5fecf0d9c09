# mx-dnscheck report: what others send, in every packing; hostile ones.
load ../lib/common
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  /usr/bin/python3 "$ROOT/tests/lib/reports.py" "$T"
  printf '$ORIGIN 192.in-addr.arpa.\n$TTL 60\n@ SOA ns.test. root.test. 1 3600 600 86400 60\n@ NS ns.test.\n1.2.0 PTR mail.example.test.\n2.2.0 PTR fwd.example.test.\n' > "$T/rev.zone"
  printf '$ORIGIN example.test.\n$TTL 60\n@ SOA ns.test. root.test. 1 3600 600 86400 60\n@ NS ns.test.\nmail A 192.0.2.1\n' > "$T/zone"
  DNS=$(free_port)
  dns_serve "$DNS" 192.in-addr.arpa "$T/rev.zone" example.test "$T/zone"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T; }
report() { mx-dnscheck report "$@"; }

@test "every packing of an aggregate report says the same" {
  report --json "$T/good/old.xml" | jq -c '.[] | del(.file)' > "$BATS_TEST_TMPDIR/want"
  [ "$(jq -r '[.type, .org_name, .report_id, .domain, .begin, .end, .p, (.records | length)] | join(" ")' "$BATS_TEST_TMPDIR/want")" = \
    "dmarc google.com r1 example.org 1763596800 1763683199 reject 4" ]
  [ "$(jq -r '.records[1] | [.source_ip, .count, .disposition, .dkim, .spf, .dkim_domain, .dkim_selector, .dkim_result, .spf_domain, .spf_result, .header_from] | join(" ")' "$BATS_TEST_TMPDIR/want")" = \
    "192.0.2.2 30 none pass fail example.org t pass fwd.test pass example.org" ]
  for f in old.xml.gz old.zip stored.zip utf16.xml bom.xml gzip.eml zip.eml bare.eml xml.eml octet.eml; do
    run -0 --separate-stderr report --json "$T/good/$f"
    [ "$(jq -c '.[] | del(.file)' <<< "$output")" = "$(cat "$BATS_TEST_TMPDIR/want")" ] || { echo "$f: $output $stderr"; false; }
  done
}

@test "RFC 9990's form" {
  run -0 report --json "$T/good/new.xml"
  [ "$(jq -r '.[0] | [.type, .report_id, .np, .records[0].count] | join(" ")' <<< "$output")" = "dmarc r2 reject 7" ]
}

@test "TLS reports: plain, gz, mail" {
  for f in tls.json tls.json.gz tls.eml; do
    run -0 report --json "$T/good/$f"
    [ "$(jq -r '.[0] | [.type, .org_name, .report_id, .domain, .begin, .end] | join(" ")' <<< "$output")" = "tls Company-X 5065427c-23d3 example.org 1795132800 1795219199" ] || { echo "$output"; false; }
    [ "$(jq -r '.[0].records | map([.policy_type, .successful, .count, .result_type, .receiving_mx] | map(tostring) | join(" ")) | join("|")' <<< "$output")" = \
      "sts 5326 0 null null|sts 0 100 certificate-expired mx1.example.org|sts 0 200 starttls-not-supported mx2.example.org" ] || { echo "$output"; false; }
  done
}

@test "a TLS report whose members come in another order says the same (RFC 8259 4)" {
  report --json "$T/good/tls.json" | jq -c '.[] | del(.file)' > "$BATS_TEST_TMPDIR/want"
  run -0 report --json "$T/turned.json"
  [ "$(jq -c '.[] | del(.file)' <<< "$output")" = "$(cat "$BATS_TEST_TMPDIR/want")" ] || { echo "$output"; false; }
}

@test "failure reports: header or whole message" {
  for f in failure failure-whole; do
    run -0 report --json "$T/good/$f.eml"
    [ "$(jq -r '.[0] | [.type, .domain, .records[0].source_ip, .records[0].auth_failure, .records[0].disposition, .records[0].header_from, .records[0].subject] | join("|")' <<< "$output")" = \
      "failure|example.org|192.0.2.66|dkim|reject|Boss <boss@example.org>|Earn money" ] || { echo "$output"; false; }
  done
}

@test "standard input, -, several files, folders, Maildirs" {
  run -0 report --json < "$T/good/old.xml.gz"
  [ "$(jq length <<< "$output")" = 1 ]
  run -0 report --json - < "$T/good/tls.eml"
  run -0 report --json "$T/maildir"
  [ "$(jq -r 'map(.type) | join(" ")' <<< "$output")" = "dmarc failure" ]
  run -0 report --json "$T/good"
  [ "$(jq length <<< "$output")" = "$(ls "$T/good" | wc -l)" ]
  run -0 mx-report --json "$T/good/old.xml" "$T/good/new.xml"
  [ "$(jq length <<< "$output")" = 2 ]
}

@test "the table: sources added up, with names, alignment, and what to do" {
  run -0 mx-dnscheck --resolver 127.0.0.1:$DNS report "$T/good/old.xml" "$T/good/new.xml" "$T/good/tls.json" "$T/good/failure.eml"
  echo "$output"
  [[ $output == *"dmarc example.org 2025-11-20 to 2025-11-20 from google.com, p=reject, 157 messages"* ]]
  [[ $output == *"     127    100%  100%  100%  192.0.2.1 mail.example.test From example.org"*"-> fine"* ]]
  [[ $output == *"192.0.2.2 (fwd.example.test)"*"-> fine; SPF does not cover it"* ]]
  [[ $output == *"198.51.100.7 - From example.org, 5 rejected"*"forged"* ]]
  [[ $output == *"2001:db8::5"*"1 quarantined"* || $output == *"2 quarantined"*"signed as lists.test, not as example.org"* ]]
  [[ $output == *"100 failed: certificate-expired at mx1.example.org -> renew its certificate"* ]]
  [[ $output == *"192.0.2.66 sent as Boss <boss@example.org>: dkim, reject, Subject Earn money"* ]]
}

@test "CSV: a row a record, quoted, no formulas" {
  sed 's/google.com</=cmd("x"),y</' "$T/good/old.xml" > "$T/formula.xml"
  run -0 report --csv "$T/formula.xml"
  [ "${#lines[@]}" = 5 ]
  [[ ${lines[1]} == "dmarc,\"'=cmd(\"\"x\"\"),y\",r1,example.org,"* ]]
  /usr/bin/python3 -c 'import csv,sys; r = list(csv.DictReader(sys.stdin)); assert r[0]["count"] == "120" and r[3]["source_ip"] == "2001:db8::5", r' <<< "$output"
}

@test "no report is 65 and a line that names the file; the others are printed" {
  for f in "$T"/bad/*; do
    run -65 --separate-stderr report --json "$f" "$T/good/new.xml"
    [ "$(jq length <<< "$output")" = 1 ] || { echo "$f: $output"; false; }
    [[ $stderr == *"$f: "* ]] || { echo "$f: $stderr"; false; }
  done
  run -65 report "$T/nothing-here"
}

@test "bombs are bounded: 100 MB unpacked, DTDs, entities, depth" {
  check() { run -65 --separate-stderr report --json "$T/bad/$1"; [[ $stderr == *"$2"* ]] || { echo "$1: $stderr"; return 1; }; }
  check bomb.gz "more than 100 MB"
  check bomb.zip "more than 100 MB"
  check bomb.eml "more than 100 MB"
  for f in dtd xxe xxe16 laughs; do check $f.xml "refused"; done
  check deep.xml "XML"
  check twice.gz "no report"
  # memory: a gigabyte would be too much
  (memory_limit 900000; mx-report "$T/bad/bomb.gz" 2> "$T/err" || [ $? -eq 65 ])
}

@test "options before and behind; usage" {
  run -0 mx-dnscheck --json report "$T/good/new.xml"
  [ "$(jq length <<< "$output")" = 1 ]
  run -0 mx-dnscheck -o myhostname=x.test report --json "$T/good/new.xml"
  run -64 mx-dnscheck report --nonsense
  mx-dnscheck --help | grep -q 'report \[FILE|MAILDIR'
}
