#!/usr/bin/env bats
# TLS reports as a sender (RFC 8460): what mx-send notes of its sessions, with
# signed zones behind Unbound and policies over HTTPS, and what mx-report makes
# of it, read again by mx-dnscheck report.  TLS, OTHER, SELF, EXPIRED and PLAIN
# are ports of peers with those certificates, or none.
load ../lib/common
load ../lib/send
load ../lib/dnssec
bats_require_minimum_version 1.5.0

leaf() { # FILE ALTNAMES [OPTION...]
  local f=$1 names=$2; shift 2
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/$f.key" -out "$T/$f.csr" -subj "/CN=$f" 2>/dev/null
  openssl x509 -req -in "$T/$f.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial "$@" \
    -extfile <(echo "subjectAltName=$names") -out "$T/$f.crt" 2>/dev/null
}

setup_file() {
  common_setup
  local key zero d h
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" \
    -out "$T/ca.crt" -days 30 -subj "/CN=ca" -addext basicConstraints=critical,CA:true 2>/dev/null
  leaf mx DNS:mx.mail.test -days 30
  leaf old DNS:mx.mail.test -days 0
  leaf other DNS:else.mail.test -days 30
  leaf web "$(printf 'DNS:mta-sts.s%s.test,' 1 2 3 4 5 6 7)DNS:localhost" -days 30
  make_cert self DNS:mx.mail.test
  mapfile -t p < <(free_port 4); NSD=${p[0]} DNS=${p[1]} WEB=${p[2]} POST=${p[3]}
  peer ok --cert "$T/mx.crt" --key "$T/mx.key"; TLS=$PEER
  peer ok --cert "$T/other.crt" --key "$T/other.key"; OTHER=$PEER
  peer ok --cert "$T/self.crt" --key "$T/self.key"; SELF=$PEER
  peer ok --cert "$T/old.crt" --key "$T/old.key"; EXPIRED=$PEER
  peer ok; PLAIN=$PEER
  key=$(openssl x509 -in "$T/mx.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
  zero=$(printf '%064d' 0)
  h='@ 60 IN SOA ns h 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
'
  { printf '$ORIGIN example.\n$TTL 60\n%s' "$h"
    for d in good wrong unusable none; do
      printf '%s 60 IN MX 10 mx%s\nmx%s 60 IN A 127.0.0.1\n' $d $d $d
      printf '_smtp._tls.%s 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@%s.example"\n' $d $d
    done
    printf 'bogus 60 IN MX 10 mx.bogus.test.\n_smtp._tls.bogus 60 IN TXT "v=TLSRPTv1;rua=mailto:tls@bogus.example!10m , https://localhost:%s/in"\n' "$POST"
    printf '_%s._tcp.mxgood 60 IN TLSA 3 1 1 %s\n' "$TLS" "$key"
    printf '_%s._tcp.mxwrong 60 IN TLSA 3 1 1 %s\n' "$TLS" "$zero"
    printf '_%s._tcp.mxunusable 60 IN TLSA 1 1 1 %s\n' "$TLS" "$zero"
  } > "$T/zone"
  printf '$ORIGIN bogus.test.\n$TTL 60\n%smx 60 IN A 127.0.0.1\n_%s._tcp.mx 60 IN TLSA 3 1 1 %s\n' "$h" "$TLS" "$key" > "$T/zbogus"
  : > "$T/anchors"
  zone_sign example "$T/zone"
  zone_sign bogus.test "$T/zbogus"
  sed -i "s/\(IN\tTLSA\t3 1 1 \)$key/\1$zero/" "$T/zbogus.signed"
  local zones=() names=()
  for d in 1 2 3 4 5 6 7 8; do
    { printf '$ORIGIN s%s.test.\n$TTL 1\n%s@ MX 10 mx.mail.test.\nmta-sts A 127.0.0.1\n_mta-sts TXT "v=STSv1; id=a1;"\n' $d "$h"
      case $d in
      6) printf '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:a@s6.test"\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:b@s6.test"\n' ;;
      7) printf '_smtp._tls TXT "v=TLSRPTv1; rua=https://localhost:%s/in"\n' "$POST" ;;
      *) printf '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@s%s.test"\n' $d ;;
      esac; } > "$T/z$d"
    zones+=("s$d.test" "$T/z$d") names+=("s$d.test")
  done
  printf '$ORIGIN mail.test.\n$TTL 1\n%smx A 127.0.0.1\n' "$h" > "$T/zmail"
  dns_serve "$NSD" example "$T/zone.signed" bogus.test "$T/zbogus.signed" mail.test "$T/zmail" "${zones[@]}"
  resolver_serve "$DNS" "$NSD" example bogus.test mail.test "${names[@]}"
  mkdir -p "$T/www/.well-known" "$T/data"; chmod 755 "$T/data"
  spawn python3 "$ROOT/tests/lib/https_server.py" "$WEB" "$T/web.crt" "$T/web.key" "$T/www"
  wait_port "$WEB"
  cat > "$T/post.py" <<'P'
import http.server, os, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        b = self.rfile.read(int(self.headers["Content-Length"]))
        bad = os.path.exists(sys.argv[4] + ".refuse")
        open(sys.argv[4] + (".refused" if bad else ""), "wb").write(b)
        open(sys.argv[4] + ".type", "w").write(self.headers["Content-Type"])
        self.send_response(500 if bad else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *a): pass
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(sys.argv[2], sys.argv[3])
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
P
  spawn python3 "$T/post.py" "$POST" "$T/web.crt" "$T/web.key" "$T/posted"
  wait_port "$POST"
  chmod 644 "$T"/*.crt "$T"/*.key
  wait_for 10 bash -c "! openssl x509 -in '$T/old.crt' -noout -checkend 0"
  FILE_T=$T; export FILE_T TLS OTHER SELF EXPIRED PLAIN DNS NSD WEB POST FILE_PIDS="${PIDS[*]}"
}
teardown_file() { read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }
setup() {
  T=$FILE_T M=$BATS_TEST_TMPDIR H=$BATS_TEST_TMPDIR/tls
  printf '#!/bin/sh\nn=$(ls %s/sent.* 2>/dev/null | wc -l)\ncat > %s/sent.$n\n' "$M" "$M" > "$M/submit"
  printf '#!/bin/sh\nexit 75\n' > "$M/away"
  chmod 755 "$M/submit" "$M/away"
  {
    printf 'tlsrpt_history_file = %s\nmyhostname = mx.here.test\nmydomain = here.test\n' "$H"
    printf 'report_command = %s\nreport_CAfile = %s\nresolver = 127.0.0.1:%s\nreport_sender = tls@out.here.test\n' "$M/submit" "$T/ca.crt" "$DNS"
    printf 'inet_interfaces = 127.0.0.7\nsmtp_host_lookup = dns\ndata_directory = %s\nmta_sts_port = %s\n' "$T/data" "$WEB"
    printf 'smtp_tls_CAfile = %s\nsmtp_tls_security_level = dane\nnet_user = nobody\n' "$T/ca.crt"
  } > "$M/mx.conf"
  export MX_CONFIG=$M/mx.conf
}
policy() { # MODE MAX_AGE MX...
  local m; { printf 'version: STSv1\r\nmode: %s\r\nmax_age: %s\r\n' "$1" "$2"; shift 2
    for m; do printf 'mx: %s\r\n' "$m"; done; } > "$T/www/.well-known/mta-sts.txt"
}
to() { # DOMAIN PORT [OPTION...]
  local domain=$1 port=$2; shift 2
  run mx-send -o "smtp_tcp_port=$port" -f a@here.test "$@" "b@$domain" < "${MSG:-$ROOT/tests/mx-send/65-tlsrpt.msg}"
  echo "$output"
}
# tomorrow
report() { MX_TEST_TIME=+$((${LATER:-1} * 86400)) mx-dnscheck report --send-tls "$@"; }
raw() { # NUMBER: the JSON that is in the mail
  /usr/bin/python3 - "$M/sent.$1" <<'P'
import email, gzip, sys
m = email.message_from_file(open(sys.argv[1]))
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "tlsrpt"
p = [p for p in m.walk() if p.get_content_type() == "application/tlsrpt+gzip"][0]
n = p.get_filename().split("!")
assert n[0] == m["TLS-Report-Submitter"] and n[1] == m["TLS-Report-Domain"] and n[3].endswith(".json.gz"), n
assert int(n[2]) % 86400 == 0 and int(n[3].split(".")[0]) == int(n[2]) + 86399
sys.stdout.write(gzip.decompress(p.get_payload(decode=True)).decode())
P
}

@test "a TLSA record and its key: a success; the report's form; what is sent is gone" {
  to good.example "$TLS"; [ "$status" -eq 0 ]
  to good.example "$TLS"; [ "$status" -eq 0 ]
  cat "$H"; [ "$(wc -l < "$H")" -eq 2 ]
  # not before the day is over
  LATER=0 run -0 report; [ "$(wc -l < "$H")" -eq 2 ]; [ ! -e "$M/sent.0" ]
  run -0 report
  [ ! -s "$H" ]; [ ! -e "$M/sent.1" ]
  cat "$M/sent.0"
  grep -q '^To: tls@good.example$' "$M/sent.0"
  grep -q '^TLS-Report-Domain: good.example$' "$M/sent.0"
  grep -q '^TLS-Report-Submitter: out.here.test$' "$M/sent.0"
  grep -q '^Subject: Report Domain: good.example$' "$M/sent.0"
  raw 0 > "$M/raw"; cat "$M/raw"
  [ "$(jq -r '[.["organization-name"], .["contact-info"]] | join(" ")' "$M/raw")" = "here.test tls@out.here.test" ]
  [ "$(jq -r '.["date-range"]["start-datetime"]' "$M/raw")" = "$(date -u +%Y-%m-%dT00:00:00Z)" ]
  [ "$(jq -r '.["date-range"]["end-datetime"]' "$M/raw")" = "$(date -u +%Y-%m-%dT23:59:59Z)" ]
  [ "$(jq -c '.policies | length' "$M/raw")" = 1 ]
  [ "$(jq -r '.policies[0].policy["policy-type"], .policies[0].policy["policy-domain"]' "$M/raw" | xargs)" = "tlsa good.example" ]
  jq -r '.policies[0].policy["policy-string"][0]' "$M/raw" | grep -qiE '^3 1 1 [0-9a-f]{64}$'
  [ "$(jq -c '.policies[0].summary' "$M/raw")" = '{"total-successful-session-count":2,"total-failure-session-count":0}' ]
  run -0 mx-dnscheck report --json "$M/sent.0"
  [ "$(jq -r '.[0] | [.type, .domain, .records[0].policy_type, .records[0].successful] | join(" ")' <<< "$output")" = "tls good.example tlsa 2" ]
}

@test "DANE's failures: tlsa-invalid, starttls-not-supported, dnssec-invalid, dane-required" {
  to wrong.example "$TLS"; [ "$status" -eq 75 ]
  to wrong.example "$TLS"; [ "$status" -eq 75 ]
  to good.example "$TLS"; [ "$status" -eq 0 ]
  to unusable.example "$TLS"; [ "$status" -eq 0 ]
  to bogus.example "$TLS"; [ "$status" -eq 75 ]
  to none.example "$TLS" -o smtp_tls_security_level=dane-only; [ "$status" -eq 75 ]
  run -0 report --print
  [ "$(grep -c '^To: ' <<< "$output")" -eq 5 ]
  run -0 report
  for i in 0 1 2 3 4; do raw $i; done | tee "$M/all"
  f() { jq -r "select(.policies[0].policy[\"policy-domain\"] == \"$1\") | .policies[0] | [.policy[\"policy-type\"], .summary[\"total-failure-session-count\"], .[\"failure-details\"][0][\"result-type\"], .[\"failure-details\"][0][\"failed-session-count\"], .[\"failure-details\"][0][\"receiving-mx-hostname\"], .[\"failure-details\"][0][\"receiving-ip\"], .[\"failure-details\"][0][\"sending-mta-ip\"]] | map(tostring) | join(\" \")" "$M/all"; }
  [ "$(f wrong.example)" = "tlsa 2 tlsa-invalid 2 mxwrong.example 127.0.0.1 127.0.0.1" ]
  [ "$(f unusable.example)" = "tlsa 1 tlsa-invalid 1 mxunusable.example 127.0.0.1 127.0.0.1" ]
  [[ "$(f bogus.example)" = "tlsa 1 dnssec-invalid 1 mx.bogus.test 127.0.0.1 "* ]]
  [[ "$(f none.example)" = "tlsa 1 dane-required 1 mxnone.example 127.0.0.1 "* ]]
  # the URI's size is not the address's; the other one has it, too
  grep -l '^To: tls@bogus.example$' "$M"/sent.*
  [ "$(cat "$T/posted.type")" = application/tlsrpt+gzip ]
  [ "$(mx-dnscheck report --json "$T/posted" | jq -r '.[0].domain')" = bogus.example ]
}

@test "no policy: STARTTLS not offered is a failure, any TLS a success" {
  to none.example "$TLS"; [ "$status" -eq 0 ]
  to none.example "$PLAIN"; [ "$status" -eq 0 ]
  run -0 report
  raw 0 | tee "$M/raw"
  [ "$(jq -r '.policies[0] | [.policy["policy-type"], .summary[], .["failure-details"][0]["result-type"]] | join(" ")' "$M/raw")" = "no-policy-found 1 1 starttls-not-supported" ]
  [ "$(jq -r '.policies[0]["failure-details"][0]["receiving-mx-helo"]' "$M/raw")" != null ]
}

@test "MTA-STS: enforced and tested alike; names, authorities, hosts that are not named" {
  policy enforce 86400 mx.mail.test
  to s1.test "$TLS"; [ "$status" -eq 0 ]
  to s1.test "$OTHER"; [ "$status" -eq 75 ]
  to s1.test "$SELF"; [ "$status" -eq 75 ]
  to s1.test "$PLAIN"; [ "$status" -eq 75 ]
  to s1.test "$EXPIRED"; [ "$status" -eq 75 ]
  policy testing 86400 mx.mail.test '*.x.test'
  to s2.test "$OTHER"; [ "$status" -eq 0 ]
  to s2.test "$SELF"; [ "$status" -eq 0 ]
  to s2.test "$TLS"; [ "$status" -eq 0 ]
  policy testing 86400 nobody.test
  to s3.test "$TLS"; [ "$status" -eq 0 ]
  run -0 report
  for i in 0 1 2; do raw $i; done | tee "$M/all"
  f() { jq -r "select(.policies[0].policy[\"policy-domain\"] == \"$1\") | .policies[0] | [.policy[\"policy-type\"], (.summary | tostring), (.policy[\"mx-host\"] | join(\",\")), (.[\"failure-details\"] | map(.[\"result-type\"]) | sort | join(\",\"))] | join(\" \")" "$M/all"; }
  [ "$(f s1.test)" = 'sts {"total-successful-session-count":1,"total-failure-session-count":4} mx.mail.test certificate-expired,certificate-host-mismatch,certificate-not-trusted,starttls-not-supported' ]
  [ "$(f s2.test)" = 'sts {"total-successful-session-count":1,"total-failure-session-count":2} mx.mail.test,*.x.test certificate-host-mismatch,certificate-not-trusted' ]
  [ "$(f s3.test)" = 'sts {"total-successful-session-count":0,"total-failure-session-count":1} nobody.test validation-failure' ]
  [ "$(jq -c 'select(.policies[0].policy["policy-domain"] == "s2.test") | .policies[0].policy["policy-string"]' "$M/all")" = \
    '["version: STSv1","mode: testing","max_age: 86400","mx: mx.mail.test","mx: *.x.test"]' ]
}

@test "a policy that cannot be had: fetch, contents, the server's certificate" {
  rm -f "$T/www/.well-known/mta-sts.txt"
  to s4.test "$TLS"; [ "$status" -eq 0 ]
  # nobody asks again at once, but it is told for each session
  to s4.test "$TLS"; [ "$status" -eq 0 ]
  echo nonsense > "$T/www/.well-known/mta-sts.txt"
  to s5.test "$TLS"; [ "$status" -eq 0 ]
  policy enforce 86400 mx.mail.test
  to s8.test "$TLS"; [ "$status" -eq 0 ]
  cat "$H"
  run -0 report
  for i in 0 1 2; do raw $i; done | tee "$M/all"
  f() { jq -r ".policies[] | select(.policy[\"policy-domain\"] == \"$1\") | [.policy[\"policy-type\"], (.summary | tostring), .[\"failure-details\"][0][\"result-type\"] // \"\"] | join(\" \")" "$M/all" | sort; }
  [ "$(f s4.test)" = 'no-policy-found {"total-successful-session-count":2,"total-failure-session-count":0} 
sts {"total-successful-session-count":0,"total-failure-session-count":2} sts-policy-fetch-error' ]
  f s5.test | grep -q 'sts-policy-invalid$'
  f s8.test | grep -q 'sts-webpki-invalid$'
}

@test "a report is sent whatever DANE and MTA-STS say, and does not count; nothing of it helps the next message" {
  printf 'From: tls@here.test\nTLS-Report-Domain: x\nTLS-Report-Submitter: y\nSubject: x\n\nbody\n' > "$M/m"
  policy enforce 86400 mx.mail.test
  MSG=$M/m to wrong.example "$TLS"; [ "$status" -eq 0 ]
  MSG=$M/m to bogus.example "$TLS"; [ "$status" -eq 0 ]
  MSG=$M/m to s1.test "$PLAIN"; [ "$status" -eq 0 ]
  MSG=$M/m to s1.test "$OTHER"; [ "$status" -eq 0 ]
  [ ! -s "$H" ]
  # our own rules stand
  MSG=$M/m to none.example "$PLAIN" -o smtp_tls_security_level=encrypt; [ "$status" -eq 75 ]
  [ ! -s "$H" ] || ! grep -v 'domain=none.example' "$H"
  # nor does the field undo what REQUIRETLS asks for (RFC 8689 4.2.1)
  MSG=$M/m to wrong.example "$TLS" --requiretls; [ "$status" -eq 69 ]; grep -q " bounced 5.7.10 " <<<"$output"
  MSG=$M/m to s1.test "$OTHER" --requiretls; [ "$status" -eq 69 ]; grep -q " bounced 5.7.10 " <<<"$output"
  rm -f "$H"
  # in a body it is text
  printf 'Subject: x\n\nTLS-Report-Domain: x\n' > "$M/m"
  MSG=$M/m to wrong.example "$TLS"; [ "$status" -eq 75 ]
  [ -s "$H" ]
}

@test "what nobody asked for is dropped; what could not be sent waits, and is given up in time" {
  policy enforce 86400 mx.mail.test
  to s6.test "$TLS"; [ "$status" -eq 0 ]
  to s1.test "$TLS"; [ "$status" -eq 0 ]
  sed -i "s,^report_command.*,report_command = $M/away," "$MX_CONFIG"
  run -75 report
  # two records are none (RFC 8460 3)
  [ "$(wc -l < "$H")" -eq 1 ]; grep -q 'domain=s1.test' "$H"
  # the resolver is away
  run -75 report --resolver 127.0.0.1:1
  [ "$(wc -l < "$H")" -eq 1 ]
  # a run that was killed is finished
  mv "$H" "$H.sending"
  LATER=5 run -75 report
  [ ! -s "$H" ]
}

@test "https: any status but 2xx is a report that was not taken" {
  policy enforce 86400 mx.mail.test
  to s7.test "$TLS"; [ "$status" -eq 0 ]
  rm -f "$T/posted"; : > "$T/posted.refuse"
  run -75 report
  [ -s "$T/posted.refused" ]; [ "$(wc -l < "$H")" -eq 1 ]
  rm "$T/posted.refuse"
  run -0 report
  [ "$(mx-dnscheck report --json "$T/posted" | jq -r '.[0] | [.type, .domain, .org_name] | join(" ")')" = "tls s7.test here.test" ]
  [ ! -s "$H" ]
}

@test "other levels, relays and literal hosts have no policy domain; a file that cannot be written harms nothing" {
  to none.example "$SELF" -o smtp_tls_security_level=none; [ "$status" -eq 0 ]
  to none.example "$TLS" -o smtp_tls_security_level=secure; [ "$status" -eq 75 ]
  to none.example 25 --nexthop "[127.0.0.1]:$TLS"; [ "$status" -eq 0 ]
  to none.example 25 --host "127.0.0.1:$TLS"; [ "$status" -eq 0 ]
  [ ! -s "$H" ]
  to none.example "$TLS" -o tlsrpt_history_file=/nonexistent/x; [ "$status" -eq 0 ]
}
