# Helpers for tests that send: a peer that behaves as told (smtp_peer.py).

# peer MODE [OPTION...]: starts one; sets $PEER (its port) and $PEER_LOG
peer() {
  local mode=$1; shift
  PEER=$(free_port)
  PEER_LOG=$T/peer.$PEER
  : > "$PEER_LOG"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PEER" --mode "$mode" \
    --log "$PEER_LOG" "$@"
  PEER_PID=$SPAWNED
  wait_port "$PEER"
}

# how many messages the peer took
taken() { grep -c '"event": "message"' "${1:-$PEER_LOG}" || true; }

# send OPTION...: mx-send as the tests run it
send() {
  mx-send -o net_user=nobody -o myhostname=client.example "$@"
}
