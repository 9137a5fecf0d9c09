# SpamAssassin's rules over what mx-dnscheck auth writes: those users wrote for
# OpenDMARC's field, its SPF plugin with Received-SPF, its AuthRes plugin.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  dkim_keys
  printf '@ TXT "v=spf1 ip4:192.0.2.7 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n' >> "$T/example.zone"
  dkim_serve
  mkdir -p "$T/rules" "$T/site" "$T/home"
  cat > "$T/rules/init.pre" <<'C'
loadplugin Mail::SpamAssassin::Plugin::SPF
loadplugin Mail::SpamAssassin::Plugin::AuthRes
loadplugin Mail::SpamAssassin::Plugin::Check
C
  cat > "$T/rules/local.cf" <<'C'
required_score 50
report_safe 0
clear_headers
add_header all Status tests=_TESTS(,)_ end
dns_available no
header SPF_PASS eval:check_for_spf_pass()
header SPF_FAIL eval:check_for_spf_fail()
score SPF_FAIL 4.0
header CUST_DMARC_FAIL Authentication-Results =~ /mail\.example\.com; dmarc=fail/
score CUST_DMARC_FAIL 5.0
header CUST_DMARC_PASS Authentication-Results =~ /mail\.example\.com; dmarc=pass/
score CUST_DMARC_PASS -1.0
authres_networks all
authres_trusted_authserv mail.example.com
header AR_SPF_PASS eval:check_authres_result('spf', 'pass')
header AR_SPF_FAIL eval:check_authres_result('spf', 'fail')
header AR_DKIM_PASS eval:check_authres_result('dkim', 'pass')
header AR_DMARC_PASS eval:check_authres_result('dmarc', 'pass')
header AR_DMARC_FAIL eval:check_authres_result('dmarc', 'fail')
C
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T; }

# rules IP: those that fire on the message on standard input, judged by auth
rules() {
  mx-dnscheck auth --resolver "127.0.0.1:$DNS" --authserv-id mail.example.com --sender a@example.test --helo h.test --client-addr "$1" |
    { printf 'Received: from h.test (h.test [%s]) by mail.example.com (mx) with ESMTP id 1 for <b@here.test>; Sat, 21 Nov 2026 09:00:00 +0000\n' "$1"; cat; } > "$T/judged"
  # the MTA's Received stands below what its filter puts on top
  /usr/bin/python3 - "$T/judged" <<'PY'
import sys
text = open(sys.argv[1]).read()
received, rest = text.split("\n", 1)
fields = rest.split("\nFrom:", 1)
open(sys.argv[1], "w").write(fields[0] + "\n" + received + "\nFrom:" + fields[1])
PY
  HOME=$T/home spamassassin --siteconfigpath="$T/site" --configpath="$T/rules" -L -t < "$T/judged" 2> "$T/sa.err" |
    sed -n '/^X-Spam-Status/,/ end/p' | tr -d ' \n\t' | sed -n 's/.*tests=\([A-Z_,]*\)end.*/\1/p'
}

@test "a pass: DMARC, DKIM and SPF rules fire, none of the failures" {
  run -0 rules 192.0.2.7 < <(message | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem")
  echo "$output"; cat "$T/sa.err"
  for r in CUST_DMARC_PASS SPF_PASS AR_SPF_PASS AR_DKIM_PASS AR_DMARC_PASS; do [[ ,$output, == *,$r,* ]]; done
  [[ $output != *FAIL* ]]
}

@test "a failure: the rules written for OpenDMARC's field, and SPF's" {
  run -0 rules 203.0.113.9 < <(message)
  echo "$output"; cat "$T/sa.err"
  for r in CUST_DMARC_FAIL SPF_FAIL AR_SPF_FAIL AR_DMARC_FAIL; do [[ ,$output, == *,$r,* ]]; done
  [[ $output != *PASS* ]]
}

@test "a forged pass of our name fires nothing" {
  run -0 rules 203.0.113.9 < <({ printf 'Authentication-Results: mail.example.com; dmarc=pass\nAuthentication-Results: mail.example.com; spf=pass; dkim=pass\n'; message; })
  echo "$output"
  [[ $output == *CUST_DMARC_FAIL* && $output != *PASS* ]]
}
