#!/usr/bin/env bats
# TLS sessions of the queue's runner are noted for reports (RFC 8460), by the
# process that reads no byte of other hosts.
load queue
bats_require_minimum_version 1.5.0
setup() {
  queue_setup
  make_cert mx.remote.test
  chmod 644 "$T"/*.crt "$T"/*.key
  DNS=$(free_port)
  printf '$ORIGIN remote.test.\n$TTL 60\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n@ MX 10 mx\nmx A 127.0.0.1\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@remote.test"\n' > "$T/zone"
  dns_serve "$DNS" remote.test "$T/zone"
  peer ok --cert "$T/mx.remote.test.crt" --key "$T/mx.remote.test.key"
  mkdir -p "$T/data"; chown "$OWNER" "$T/data"
  conf "resolver = 127.0.0.1:$DNS" "smtp_tcp_port = $PEER" 'inet_interfaces = 127.0.0.7' 'smtp_host_lookup = dns' \
    "tlsrpt_history_file = $T/data/tls" 'queue_process_limit = 1' 'smtp_connection_cache_time_limit = 60s'
}
teardown() { common_teardown; }

@test "a line a session, not a message; the file is the mail owner's" {
  for i in 1 2 3 4; do submit joe@virt.example "b$i@remote.test"; done
  run_queue
  [ "$(taken)" -eq 4 ]
  cat "$T/data/tls"
  [ "$(wc -l < "$T/data/tls")" -eq 2 ]
  [ "$(stat -c %U:%a "$T/data/tls")" = "$OWNER:600" ]
  grep -cE '^mx-tlsrpt-1 time=[0-9]+ domain=remote.test type=no-policy-found result=success mx=mx.remote.test ip=127.0.0.1 local=127.0.0.1 helo=[^ ]+ reason=""$' "$T/data/tls"
  # root reports, the owner writes on
  printf '#!/bin/sh\ncat > %s/sent\n' "$T" > "$T/sub"; chmod 755 "$T/sub"; conf "report_command = $T/sub"
  submit joe@virt.example b9@remote.test
  MX_TEST_TIME=+86400 run -0 mx-report --send-tls
  run -0 mx-report --json "$T/sent"
  [ "$(jq -r '.[0].records[0].successful' <<< "$output")" = 2 ]
  run_queue
  [ "$(taken)" -eq 5 ]; [ "$(wc -l < "$T/data/tls")" -eq 1 ]
}

@test "a report on its way: nothing is kept of its connection, nothing noted" {
  sed -i '1i TLS-Report-Domain: remote.test' "$T/m"
  conf 'smtp_connection_cache_destinations = remote.test'
  for i in 1 2 3; do submit joe@virt.example "b$i@remote.test"; done
  run_queue
  [ "$(taken)" -eq 3 ]
  [ ! -s "$T/data/tls" ]
  [ "$(grep -c '"event": "connect"' "$PEER_LOG")" -eq 4 ] # one is wait_port's
}
