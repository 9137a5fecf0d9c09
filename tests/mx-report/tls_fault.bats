# mx-report --send-tls with each call on its history failing, or killed there:
# no session is lost to the report, and what was added meanwhile stays.
load ../lib/common
load ../lib/fault
bats_require_minimum_version 1.5.0

setup() {
  common_setup
  H=$T/h/tls; mkdir "$T/h"
  DNS=$(free_port)
  printf '$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n_smtp._tls.a TXT "v=TLSRPTv1; rua=mailto:t@a.test"\n' > "$T/zone"
  dns_serve "$DNS" test "$T/zone"
  printf '#!/bin/sh\ncat > %s/sent.$$\n' "$T" > "$T/submit"; chmod 755 "$T/submit"
  printf 'tlsrpt_history_file = %s\nmyhostname = mx.here.test\nmydomain = here.test\nreport_command = %s\nresolver = 127.0.0.1:%s\n' \
    "$H" "$T/submit" "$DNS" > "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
  NOW=$(date +%s)
}
teardown() { common_teardown; }
# note SECONDS DOMAIN: a session that long ago
note() { echo "mx-tlsrpt-1 time=$((NOW - $1)) domain=$2.test type=no-policy-found result=success mx=m ip=192.0.2.1 local=192.0.2.2 helo=h reason=\"\"" >> "$H"; }

sweep() { # ACTION
  local n
  for n in $(seq 40); do
    rm -f "$T"/sent.* "$H"*
    note 86400 a; note 0 b
    fault "any:$n:$1" "$T/h" timeout 60 mx-report --send-tls > "$T/log" 2>&1 || true
    local struck; struck=$(fault_struck)
    # what mx-send adds afterwards
    note 0 c
    timeout 60 mx-report --send-tls > "$T/log2" 2>&1 || { cat "$T/log" "$T/log2"; return 1; }
    ls "$T"/sent.* > /dev/null || { echo "$1 at call $n: never reported"; cat "$T/log"; return 1; }
    grep -q domain=b.test "$H" && grep -q domain=c.test "$H" || { echo "$1 at call $n: lost"; ls "$T/h"; cat "$H"; return 1; }
    [ ! -e "$H.sending" ]
    [ "$struck" -gt 0 ] || { echo "$1: $((n - 1)) places"; [ "$n" -gt 3 ]; return; }
  done
  echo "more than 40 places?"; return 1
}

@test "killed at each call" { sweep kill; }
@test "EIO at each call" { sweep EIO; }
@test "ENOSPC at each call" { sweep ENOSPC; }
