#!/usr/bin/env bats
# Connections that are kept for the next message, as Postfix keeps them.
load queue
setup() {
  queue_setup
  # one entry after the other, so that there is a next message
  conf 'queue_process_limit = 1' 'smtp_connection_cache_time_limit = 60s'
}
teardown() { common_teardown; }

# (one connection is wait_port's)
sessions() { echo $(($(grep -c '"event": "connect"' "${1:-$PEER_LOG}") - 1)); }
submits() { local i; for i in $(seq "$1"); do submit "joe@virt.example" "b$i@${2:-remote.example}"; done; }

@test "ten messages for one destination: two connections, the second for nine" {
  peer ok; to_peer remote.example
  submits 10
  run_queue
  cat "$PEER_LOG"
  [ "$(taken)" -eq 10 ]; [ "$(queued)" -eq 0 ]
  # the first has nothing before it, as with Postfix's on-demand cache
  [ "$(sessions)" -eq 2 ]
  grep -q 'relay=127.0.0.1\[127.0.0.1\]:[0-9]*, conn_use=9, delay=' "$MX_LOG"
}

@test "smtp_connection_cache_destinations: from the first on; on_demand = no: never" {
  conf 'smtp_connection_cache_on_demand = no' 'smtp_connection_cache_destinations = 127.0.0.1'
  peer ok; to_peer remote.example
  submits 3; run_queue
  [ "$(taken)" -eq 3 ]; [ "$(sessions)" -eq 1 ]
  conf 'smtp_connection_cache_destinations ='
  submits 3; run_queue
  [ "$(taken)" -eq 6 ]; [ "$(sessions)" -eq 4 ]
}

@test "one message alone leaves no connection behind" {
  peer ok; to_peer remote.example
  spawn mx-deliver --queue-run --watch; local runner=$SPAWNED
  submits 1
  wait_for 20 bash -c "[ \$(grep -c '\"event\": \"quit\"' $PEER_LOG) -eq 1 ]"
  [ "$(queued)" -eq 0 ]
}

@test "smtp_connection_reuse_count_limit, and a limit of time" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1' 'smtp_connection_reuse_count_limit = 2'
  peer ok; to_peer remote.example
  submits 6; run_queue
  [ "$(taken)" -eq 6 ]; [ "$(sessions)" -eq 3 ]
  conf 'smtp_connection_cache_time_limit = 0s'
  submits 2; run_queue
  [ "$(taken)" -eq 8 ]; [ "$(sessions)" -eq 5 ]
}

@test "a kept connection that the server has ended costs nobody anything" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1'
  local how
  for how in close 421 close-at-mail 421-at-mail 452-at-mail 421-at-rcpt close-at-data 550-at-mail; do
    peer ok --second "$how"
    echo "remote.example smtp:[127.0.0.1]:$PEER" > "$T/transport"
    : > "$MX_LOG"
    submits 4
    run_queue
    echo "$how: $(taken) in $(sessions)"
    cat "$PEER_LOG" "$MX_LOG"
    [ "$(taken)" -eq 4 ]; [ "$(queued)" -eq 0 ]; [ "$(sessions)" -ge 2 ]
    [ "$(grep -c 'status=sent' "$MX_LOG")" -eq 4 ]
    [ "$(grep -c 'status=\(deferred\|bounced\)' "$MX_LOG")" -eq 0 ]
  done
}

@test "refused recipients between: RSET, and the next message goes on" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1'
  peer ok; to_peer remote.example
  submit joe@virt.example no1@remote.example
  submit joe@virt.example b2@remote.example
  submit joe@virt.example no3@remote.example b3@remote.example
  submit joe@virt.example b4@remote.example
  run_queue
  cat "$PEER_LOG"
  [ "$(taken)" -eq 3 ]; [ "$(queued)" -eq 0 ]; [ "$(sessions)" -eq 1 ]
  grep -q '"event": "rset"' "$PEER_LOG"
}

@test "other destinations, and mail that wants more TLS, have connections of their own" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1'
  peer ok; to_peer a.example; local one=$PEER_LOG
  peer ok; to_peer b.example
  local i
  for i in 1 2 3; do submit joe@virt.example "x$i@a.example"; submit joe@virt.example "x$i@b.example"; done
  run_queue
  [ "$(taken "$one")" -eq 3 ]; [ "$(sessions "$one")" -eq 1 ]
  [ "$(taken)" -eq 3 ]; [ "$(sessions)" -eq 1 ]
}

@test "whose password: a sender's connection is not another sender's" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1' 'smtp_sasl_auth_enable = yes' \
    'smtp_sender_dependent_authentication = yes' "smtp_sasl_password_maps = texthash:$T/pw" \
    'smtp_sasl_security_options = noanonymous'
  peer ok --auth joe:one --mechs PLAIN; to_peer remote.example
  printf 'joe@virt.example joe:one\namy@virt.example joe:one\n' > "$T/pw"; chmod 644 "$T/pw"
  local i
  for i in 1 2 3; do submit joe@virt.example "x$i@remote.example"; submit amy@virt.example "x$i@remote.example"; done
  run_queue
  cat "$PEER_LOG" "$MX_LOG"
  [ "$(taken)" -eq 6 ]; [ "$(sessions)" -eq 2 ]
  [ "$(grep -c '"event": "auth"' "$PEER_LOG")" -eq 2 ]
}

@test "over TLS" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1' 'smtp_tls_security_level = encrypt'
  make_cert srv
  peer ok --cert "$T/srv.crt" --key "$T/srv.key"; to_peer remote.example
  submits 4; run_queue
  cat "$MX_LOG"
  [ "$(taken)" -eq 4 ]; [ "$(sessions)" -eq 1 ]
  [ "$(grep -c '"tls": true' "$PEER_LOG")" -eq 4 ]
  grep -q "Untrusted TLS connection established to 127.0.0.1\[127.0.0.1\]:$PEER: TLSv1.3 with cipher TLS_AES_[0-9A-Z_]* ([0-9]*/[0-9]* bits)" "$MX_LOG"
  : > "$MX_LOG"; conf 'smtp_tls_loglevel = 0'
  submits 1; run_queue; grep -q 'status=sent' "$MX_LOG"
  run ! grep -q 'TLS connection' "$MX_LOG"
}

@test "mx-send dies, or is told to read its configuration anew: nothing is lost" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1' 'smtp_connection_cache_time_limit = 60s' 'minimal_backoff_time = 1s' 'maximal_backoff_time = 1s' 'queue_run_delay = 1s'
  peer ok; to_peer remote.example
  spawn mx-deliver --queue-run --watch; local runner=$SPAWNED
  submits 2
  wait_for 20 bash -c "[ \$(grep -c 'status=sent' $MX_LOG) -eq 2 ]"
  local broker; broker=$(pgrep -P "$runner" mx-send)
  kill -9 $(pgrep -P "$broker") "$broker"
  submits 2
  wait_for 30 bash -c "[ \$(grep -c 'status=sent' $MX_LOG) -eq 4 ]"
  kill -HUP "$runner"
  submits 2
  wait_for 30 bash -c "[ \$(grep -c 'status=sent' $MX_LOG) -eq 6 ]"
  [ "$(taken)" -eq 6 ]
}

@test "TLS sessions are taken up again, under the same policy, TLS 1.2 and 1.3" {
  conf 'smtp_connection_cache_on_demand = no' 'smtp_tls_security_level = encrypt'
  make_cert srv
  local v
  for v in "" --tls12; do
    peer ok --cert "$T/srv.crt" --key "$T/srv.key" $v
    echo "remote.example smtp:[127.0.0.1]:$PEER" > "$T/transport"
    submits 3; run_queue
    cat "$PEER_LOG"
    [ "$(taken)" -eq 3 ]; [ "$(sessions)" -eq 3 ]
    [ "$(grep -c '"resumed": true' "$PEER_LOG")" -eq 2 ]
  done
  # the old one is not taken for a host that must now show who it is
  conf "smtp_tls_CAfile = $T/srv.crt" 'smtp_tls_session_cache_timeout = 0s'
  submits 2; run_queue
  [ "$(taken)" -eq 5 ]
  [ "$(grep -c '"resumed": true' "$PEER_LOG")" -eq 2 ]
}

@test "a resumed session is as well verified as the one it came from" {
  make_cert srv "DNS:localhost,IP:127.0.0.1"
  conf 'smtp_connection_cache_on_demand = no' 'smtp_tls_security_level = verify' "smtp_tls_CAfile = $T/srv.crt" \
    "smtp_tls_policy_maps = texthash:$T/policy"
  peer ok --cert "$T/srv.crt" --key "$T/srv.key"
  to_peer one.example; to_peer two.example
  echo "[127.0.0.1]:$PEER verify match=127.0.0.1" > "$T/policy"
  submits 2 one.example; run_queue
  [ "$(taken)" -eq 2 ]; [ "$(grep -c '"resumed": true' "$PEER_LOG")" -eq 1 ]
  spawn mx-deliver --queue-run --watch
  submits 2 two.example
  wait_for 20 bash -c "[ \$(grep -c 'status=sent' $MX_LOG) -eq 4 ]"
  # other names are wanted: a new session, and it is refused
  echo "[127.0.0.1]:$PEER verify match=other.example" > "$T/policy"
  submits 1 two.example
  wait_for 20 grep -q 'status=deferred' "$MX_LOG"
  [ "$(taken)" -eq 4 ]
}

@test "XFORWARD: a content filter hears of the client, each message anew over one connection" {
  conf 'smtp_connection_cache_destinations = 127.0.0.1' 'smtp_send_xforward_command = yes'
  peer ok --caps "PIPELINING,XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"; to_peer remote.example
  submits 2; run_queue
  cat "$PEER_LOG"
  [ "$(taken)" -eq 2 ]; [ "$(sessions)" -eq 1 ]
  [ "$(grep -c '"event": "xforward".*IDENT=[0-9A-F]* SOURCE=LOCAL"' "$PEER_LOG")" -eq 2 ]
}
