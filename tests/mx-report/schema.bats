# The XML that mx-report makes and reads, beside RFC 9990's text and schema.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  {
    printf '$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'
    printf 'sub.in A 192.0.2.1\nin TXT "v=spf1 ip4:192.0.2.1 -all"\nh TXT "v=spf1 ip4:192.0.2.1 -all"\n'
    printf '_dmarc.in TXT "v=DMARC1; p=Reject; sp=none; np=quarantine; adkim=S; fo=1:d; rua=mailto:d@in.test"\n'
    printf '_dmarc.mild TXT "v=DMARC1; p=reject; t=y; rua=mailto:d@mild.test"\n'
    printf '_dmarc.bad TXT "v=DMARC1; p=refuse; aspf=x; rua=mailto:d@bad.test"\n'
    printf '_dmarc.over TXT "v=DMARC1; p=none; rua=mailto:a@one.test,mailto:a@two.test,mailto:b@one.test"\n'
    printf 'over.test._report._dmarc.one TXT "v=DMARC1; rua=mailto:c@one.test"\n'
    printf 'over.test._report._dmarc.two TXT "v=DMARC1; rua=mailto:c@victim.test"\n'
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
  printf '#!/bin/sh\nn=$(ls %s/sent.* 2>/dev/null | wc -l)\ncat > %s/sent.$n\n' "$M" "$M" > "$M/submit"
  chmod 755 "$M/submit"
  printf 'dmarc_history_file = %s\nmyhostname = mx.here.test\nmydomain = here.test\nreport_command = %s\nresolver = 127.0.0.1:%s\n' "$H" "$M/submit" "$DNS" > "$M/mx.conf"
  export MX_CONFIG=$M/mx.conf
}
# seen FROM IP SENDER: a message of yesterday
seen() {
  sed "s/alice@example.test/alice@$1/" "$T/m" |
    mx-dnscheck auth --sender "$3" --helo h.test --client-addr "$2" > /dev/null
}
send() { MX_TEST_TIME=+$((${LATER:-1} * 86400)) mx-report --send "$@"; }
# xml N: the report in mail N
xml() {
  /usr/bin/python3 - "$M/sent.$1" <<'PY'
import email, gzip, sys
m = email.message_from_file(open(sys.argv[1]))
p = [p for p in m.walk() if p.get_content_type() == "application/gzip"][0]
sys.stdout.buffer.write(gzip.decompress(p.get_payload(decode=True)))
PY
}
valid() { xmllint --nonet --noout --schema "$ROOT/tests/mx-report/dmarc-2.0.xsd" "$@"; }
# at N XPATH: what the report says there (namespaces left out)
at() { xml "$1" | sed 's/ xmlns="[^"]*"//' | xmllint --xpath "$2" -; }

@test "made reports hold to the schema: pass, fail, null sender, subdomain, IPv6" {
  seen in.test 192.0.2.1 a@in.test
  seen in.test 192.0.2.66 a@in.test
  seen in.test 2001:db8::9 a@in.test
  seen sub.in.test 192.0.2.66 a@other.test
  seen in.test 192.0.2.1 ''
  run -0 send -o report_extra_contact_info='https://here.test/<dmarc>'
  xml 0 > "$M/x"
  valid "$M/x"
  [ "$(at 0 'string(//discovery_method)')" = treewalk ]
  [ "$(at 0 'string(//policy_published/p)')" = reject ]
  [ "$(at 0 'string(//policy_published/adkim)')" = s ]
  [ "$(at 0 'string(//policy_published/aspf)')" = r ]
  [ "$(at 0 'string(//np)')" = quarantine ]
  [ "$(at 0 'string(//fo)')" = 1:d ]
  [ "$(at 0 'string(//testing)')" = n ]
  [ "$(at 0 'string(//extra_contact_info)')" = 'https://here.test/<dmarc>' ]
  [ "$(at 0 'count(//error)')" = 0 ]
  # passing with an enforcing policy; not acted upon, with the reason; sp=none
  [ "$(at 0 'string(//record[row/source_ip="192.0.2.1" and identifiers/envelope_from="in.test"]//disposition)')" = pass ]
  [ "$(at 0 'string(//record[row/source_ip="2001:db8::9"]//reason/type)')" = local_policy ]
  [ "$(at 0 'count(//record[identifiers/header_from="sub.in.test"]//reason)')" = 0 ]
  # null reverse-path: RFC 7208 2.4
  [ "$(at 0 'count(//record[identifiers/envelope_from=""])')" = 1 ]
  [ "$(at 0 'string(//record[identifiers/envelope_from=""]//spf[domain="h.test"]/scope)')" = mfrom ]
}

@test "the period is the day, and the same day has the same names again" {
  seen in.test 192.0.2.1 a@in.test
  cp "$H" "$M/again"
  run -0 send
  cp "$M/again" "$H"
  run -0 send
  local b e
  b=$(at 0 'string(//begin)') e=$(at 0 'string(//end)')
  [ $((b % 86400)) = 0 ]
  [ $((e - b)) = 86399 ]
  for f in '^Message-ID:' 'Report-ID:' filename=; do
    [ "$(grep "$f" "$M/sent.0")" = "$(grep "$f" "$M/sent.1")" ]
  done
  grep -q "filename=\"mx.here.test!in.test!$b!$e.xml.gz\"" "$M/sent.0"
  # ridtxt: dot-atom @ dot-atom, the same in both places
  local id
  id=$(at 0 'string(//report_id)')
  [[ $id =~ ^[A-Za-z0-9.-]+@mx.here.test$ ]]
  grep -qF "Report-ID: <$id>" "$M/sent.0"
}

@test "one report a day and domain" {
  seen in.test 192.0.2.1 a@in.test
  MX_TEST_TIME=+86400 seen in.test 192.0.2.1 a@in.test
  seen mild.test 192.0.2.1 a@in.test
  LATER=2 run -0 send
  [ "$(ls "$M"/sent.* | wc -l)" = 3 ]
  for n in 0 1 2; do
    xml "$n" > "$M/x"
    valid "$M/x"
  done
}

@test "t=y: the reason is the test mode" {
  seen mild.test 192.0.2.66 a@in.test
  run -0 send
  [ "$(at 0 'string(//testing)')" = y ]
  [ "$(at 0 'string(//reason/type)')" = policy_test_mode ]
}

@test "values no schema knows: the default, and an error that says so" {
  seen bad.test 192.0.2.66 a@in.test
  run -0 send
  xml 0 > "$M/x"
  valid "$M/x"
  [ "$(at 0 'string(//policy_published/p)')" = none ]
  [[ $(at 0 'string(//error)') == *"tag p"*"tag aspf"* ]]
  run -0 mx-report "$M/sent.0"
  [[ $output == *"they say: the tag p"* ]]
}

@test "signatures: passing and aligned ones first; results of the schema alone" {
  printf 'mx-dmarc-1 time=1000 ip=192.0.2.1 from=a.in.test policy-domain=in.test policy=reject disposition=none spf-aligned=0 dkim-aligned=1 record="v=DMARC1; p=reject; rua=mailto:a@in.test" org=in.test spf=odd spf-domain=x.test dkim=fail dkim-domain=f.test dkim-selector=s dkim=strange dkim-domain=g.test dkim-selector=s dkim=pass dkim-domain=other.test dkim-selector=s dkim=pass dkim-domain=in.test dkim-selector=s dkim=pass dkim-domain=a.in.test dkim-selector=s\n' > "$H"
  run -0 send
  xml 0 > "$M/x"
  valid "$M/x"
  [ "$(for i in 1 2 3 4 5; do at 0 "string(//auth_results/dkim[$i]/domain)"; done | xargs)" = "a.in.test in.test other.test f.test g.test" ]
  [ "$(at 0 'string(//auth_results/dkim[5]/result)')" = neutral ]
}

@test "hostile history: the XML stays valid" {
  printf 'mx-dmarc-1 time=1000 ip="<ip>" from="\xef\xbf\xbe\\x01\xff]]>&<x" policy-domain=in.test policy=none disposition="<" spf-aligned=0 dkim-aligned=0 record="v=DMARC1; p=none; fo=<&; rua=mailto:a@in.test" org=in.test spf=none spf-domain="]]>\\"" dkim=pass dkim-domain="</dkim>" dkim-selector=s\n' > "$H"
  printf 'mx-dmarc-1 time=1000 ip=192.0.2.1 from=x policy-domain="in.test\\x0aBcc: victim@x.test" policy=none disposition=none spf-aligned=0 dkim-aligned=0 record="v=DMARC1; p=none; rua=mailto:a@in.test" org=in.test spf=none spf-domain=x\n' >> "$H"
  run -0 send
  [ "$(ls "$M"/sent.* | wc -l)" = 1 ]
  xml 0 > "$M/x"
  valid "$M/x"
}

@test "OpenDMARC's history: psl, valid" {
  printf 'job 1\nreporter mx.here.test\nreceived %s\nipaddr 198.51.100.9\nfrom in.test\nmfrom b.test\nspf 0\ndkim in.test 0\npdomain in.test\npolicy 15\nrua mailto:d@in.test\nadkim 114\naspf 115\np 113\nsp 0\nalign_dkim 4\nalign_spf 5\naction 2\n' $(($(date +%s) - 90000)) > "$H"
  run -0 send
  xml 0 > "$M/x"
  valid "$M/x"
  [ "$(at 0 'string(//discovery_method)')" = psl ]
  [ "$(at 0 'string(//disposition)')" = pass ]
}

@test "a message without a client has no row" {
  mx-dnscheck auth --sender a@in.test < <(sed s/@example.test/@in.test/ "$T/m") > /dev/null
  run -0 send
  [ ! -e "$M/sent.0" ]
}

@test "section 4: the consenting record's rua replaces, on the same host alone" {
  seen over.test 192.0.2.1 a@in.test
  run -0 --separate-stderr send
  [ "$(sed -n 's/^To: //p' "$M/sent.0")" = c@one.test ]
  [[ $stderr == *"two.test has not said"* ]]
  ! grep -q victim "$M/sent.0"
}

@test "read: extension elements are passed over, whatever their names" {
  cat > "$M/x.xml" <<'X'
<?xml version="1.0"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0" xmlns:e="urn:example:ext">
<version>1.0</version><report_metadata><org_name>o</org_name><email>e@o.test</email><extra_contact_info lang="en">web</extra_contact_info><report_id>r9</report_id><date_range><begin>0</begin><end>86399</end></date_range><error>broken rua</error><generator>g 1</generator></report_metadata>
<policy_published><domain>in.test</domain><discovery_method>psl</discovery_method><p>none</p><np>reject</np><fo>1</fo><testing>y</testing></policy_published>
<extension><e:policy_published><e:p>reject</e:p></e:policy_published></extension>
<record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated><disposition>pass</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>other</type><comment lang="de">so</comment></reason></policy_evaluated></row>
<identifiers><header_from>in.test</header_from><envelope_to>you.test</envelope_to></identifiers><auth_results/>
<e:row><e:source_ip>203.0.113.1</e:source_ip><e:count>99</e:count></e:row><e:record/></record>
</feedback>
X
  valid "$M/x.xml"
  run -0 mx-report --json "$M/x.xml"
  [ "$(jq -c '.[0] | [.p, .np, .fo, .testing, .discovery_method, .error, .generator, .extra_contact_info, (.records | length)]' <<< "$output")" = \
    '["none","reject","1","y","psl","broken rua","g 1","web",1]' ] || { echo "$output"; false; }
  [ "$(jq -c '.[0].records[0] | [.source_ip, .count, .disposition, .envelope_to, .reason, .comment]' <<< "$output")" = \
    '["192.0.2.1",2,"pass","you.test","other","so"]' ]
}
