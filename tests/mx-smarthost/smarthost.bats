# mx-smarthost alone: what it is told on its command line, and its exit status;
# mx-submit's side of it is tests/mx-submit/30-smarthost.bats.
load ../lib/common
load ../lib/send

setup() {
  common_setup
  make_cert localhost
  : > "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
  printf 'secret\nsecond line\n' > "$T/password"
  printf 'Subject: x\n\n.dot\nend\n' > "$T/msg"
}
teardown() { common_teardown; }

# host MODE OPTION...: the smarthost
host() {
  local mode=$1; shift
  peer "$mode" --cert "$T/localhost.crt" --key "$T/localhost.key" --auth jo@x.test:secret "$@"
}
# told FIELD: of the last message that the host took
told() {
  python3 - "$PEER_LOG" "$1" <<'P'
import json, sys
m = [json.loads(l) for l in open(sys.argv[1]) if '"event": "message"' in l]
v = m[-1][sys.argv[2]] if m else "nothing was taken"
print("\n".join(v) if isinstance(v, list) else v)
P
}
taken() { grep -c '"event": "message"' "$PEER_LOG" || true; }
send() { mx-smarthost --ca-file "$T/localhost.crt" --password-file "$T/password" "$@"; }

@test "the page's example: sender, recipients, a user with an @, the message as it is" {
  host ok
  send --url "smtp://jo%40x.test@localhost:$PEER" --from jo@x.test bo@y.test al@y.test < "$T/msg"
  [ "$(told user)" = jo@x.test ]
  [ "$(told tls)" = True ]
  [[ $(told sender) == "FROM:<jo@x.test>"* ]]
  [ "$(told rcpts)" = "$(printf 'TO:<bo@y.test>\nTO:<al@y.test>')" ]
  told body | diff - "$T/msg"
}

@test "no --from is the null sender; TLS from the first byte on; a token" {
  host ok --wrap
  send --url "smtps://jo%40x.test@localhost:$PEER" bo@y.test < "$T/msg"
  [[ $(told sender) == "FROM:<>"* ]]
  mx-smarthost --ca-file "$T/localhost.crt" --token-command "echo secret" \
    --url "smtps://jo%40x.test@localhost:$PEER" bo@y.test < "$T/msg"
  [ "$(taken)" -eq 2 ]
}

@test "statuses: usage 64, nothing to send 65, a wrong password 77, refused 69, later 75" {
  host ok
  u=smtp://jo%40x.test@localhost:$PEER
  run mx-smarthost bo@y.test < "$T/msg"; [ "$status" -eq 64 ]
  run send --url "$u" < "$T/msg"; [ "$status" -eq 64 ]
  run send --url "$u" bo@y.test < /dev/null; [ "$status" -eq 65 ]
  run send --url "$u" nobody@y.test < "$T/msg"; [ "$status" -eq 69 ]
  [[ $output == *"550 5.1.1"* ]]
  run send --url "$u" later@y.test < "$T/msg"; [ "$status" -eq 75 ]
  echo wrong > "$T/password"
  run send --url "$u" bo@y.test < "$T/msg"; [ "$status" -eq 77 ]
  [[ $output != *wrong* ]]
  [ "$(taken)" -eq 0 ]
}

@test "no TLS, or a certificate of nobody known: neither password nor mail, 75" {
  host ok
  run mx-smarthost --password-file "$T/password" --url "smtp://jo%40x.test@localhost:$PEER" bo@y.test < "$T/msg"
  [ "$status" -eq 75 ]
  run send --url "smtp://jo%40x.test@127.0.0.2:$PEER" bo@y.test < "$T/msg"
  [ "$status" -eq 75 ]
  [ "$(taken)" -eq 0 ]
  peer ok --auth jo@x.test:secret
  run send --url "smtp://jo%40x.test@localhost:$PEER" bo@y.test < "$T/msg"
  [ "$status" -eq 75 ]
  ! grep -qi auth "$PEER_LOG"
}
