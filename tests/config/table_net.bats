# tcp:, socketmap: and pipemap:, beside Postfix's own clients, and with servers
# that misbehave: whatever is no answer is 75, never "none".
load ../lib/common

setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

# server PROTO MODE: sets $SPEC
server() {
  local port; port=$(free_port)
  spawn python3 "$BATS_TEST_DIRNAME/table_peer.py" "$port" "$1" "$2"
  wait_port "$port"
  case $1 in tcp) SPEC=tcp:127.0.0.1:$port ;; *) SPEC=socketmap:inet:127.0.0.1:$port:users ;; esac
}

@test "the same answers as Postfix gets" {
  local proto key want got ws gs
  for proto in tcp socketmap; do
    server "$proto" ok
    for key in jo@example.org per%cent list 'no such' $'tab\there' x; do
      ws=0; want=$(postmap -q "$key" "$SPEC" 2>/dev/null) || ws=$?
      gs=0; got=$(mx-submit --lookup "$SPEC" "$key") || gs=$?
      [ "$want" = "$got" ] && [ "$ws" = "$gs" ] || { echo "$SPEC [$key]: \"$want\" ($ws), \"$got\" ($gs)"; return 1; }
    done
  done
}

@test "over a unix socket" {
  spawn python3 "$BATS_TEST_DIRNAME/table_peer.py" "$T/s" socketmap ok
  wait_for 10 test -S "$T/s"
  run mx-submit --lookup "socketmap:unix:$T/s:users" jo@example.org
  [ "$status" -eq 0 ] && [ "$output" = "jo smith/" ]
}

@test "trouble of every kind is 75 with a sentence" {
  local proto mode
  for proto in tcp socketmap; do
    for mode in temp perm drop garbage huge; do
      server "$proto" "$mode"
      run timeout 60 mx-submit --lookup "$SPEC" jo@example.org
      [ "$status" -eq 75 ] || { echo "$proto $mode: $status $output"; return 1; }
      [ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ]
      [[ $output == *127.0.0.1* ]]
    done
  done
  run mx-submit --lookup "tcp:127.0.0.1:$(free_port)" x
  [ "$status" -eq 75 ] && [[ $output == *refused* ]]
}

@test "a connection that the server closed between questions is made anew" {
  server tcp once
  run mx-submit --lookup "pipemap:{$SPEC,static:x}" list
  [ "$status" -eq 0 ]
  # the second lookup of one run goes to the table that was closed by then
  run mx-submit --lookup "unionmap:{$SPEC, pipemap:{inline:{list=list}, $SPEC}}" list
  [ "$status" -eq 0 ] && [ "$output" = "a,b,a,b" ]
}

@test "names that are wrong are told" {
  local s
  for s in socketmap:x socketmap:inet:127.0.0.1:5 socketmap:inet:127.0.0.1:5: tcp: pipemap:{} pipemap:x; do
    run mx-submit --lookup "$s" x
    [ "$status" -eq 75 ] || { echo "$s: $status $output"; return 1; }
    [ -n "$output" ]
  done
  [[ $output == *"expected {TYPE:NAME, ...}"* ]]
}

@test "pipemap: the value of one is the key of the next, as in Postfix" {
  local key want got ws gs spec='pipemap:{inline:{a=b, c=d}, inline:{b=x}}'
  for key in a c z; do
    ws=0; want=$(postmap -q "$key" "$spec" 2>/dev/null) || ws=$?
    gs=0; got=$(mx-submit --lookup "$spec" "$key") || gs=$?
    [ "$want" = "$got" ] && [ "$ws" = "$gs" ]
  done
  run mx-submit --lookup 'pipemap:{inline:{a=b}, hash:/nonexistent}' a
  [ "$status" -eq 75 ]
  run mx-submit --lookup 'pipemap:{inline:{a=b}, hash:/nonexistent}' z
  [ "$status" -eq 1 ]
}
