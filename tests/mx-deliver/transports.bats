#!/usr/bin/env bats
# Transports: pipe(8) in the configuration, mailbox_transport, fallbacks,
# relays by sender, copies, clones of the SMTP client.
load queue
setup() {
  queue_setup
  cat > "$T/piped" <<EOF
#!/bin/sh
{ id -un; pwd; for a; do echo "[\$a]"; done; echo; cat; } > "$T/piped.out"
EOF
  chmod 755 "$T/piped"; : > "$T/piped.out"; chmod 666 "$T/piped.out"
}
teardown() { common_teardown; }
PIPE_USER=$([ "$(id -u)" -eq 0 ] && echo daemon || id -un)

@test "pipe: user, directory, macros as whole arguments, no shell" {
  conf "pipe_prog = user=$PIPE_USER directory=$T flags=hu argv=$T/piped -f \${sender} -- \$user \$(domain) \${nexthop} \${size} { ; rm -rf }"
  echo 'cmd.example prog:Next.Hop' >> "$T/transport"
  submit 'a@b' 'Joe@CMD.example'
  run mx-deliver --check-config
  [ "$status" -eq 0 ] && [ -z "$output" ] || { echo "$output"; false; }
  run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(sed -n 1p "$T/piped.out")" = "$PIPE_USER" ]
  [ "$(sed -n 2p "$T/piped.out")" = "$T" ]
  run sed -n '3,/^$/p' "$T/piped.out"
  [[ "$(tr '\n' ' ' <<<"$output")" == "[-f] [a@b] [--] [joe] [cmd.example] [next.hop] ["[0-9]*"] [; rm -rf] "* ]]
  cmp <(sed '1,/^$/d' "$T/piped.out" | sed '/^Subject:/,$!d') "$T/m"
  grep -q 'prog\[.*to=<.*relay=prog,.*status=sent (delivered via prog service)' "$MX_LOG"
}

@test "pipe: what has its own Delivered-To goes round (flag D)" {
  conf "pipe_prog = user=$PIPE_USER flags=DR argv=$T/piped"
  echo 'cmd.example prog:' >> "$T/transport"
  printf 'Delivered-To: Joe@cmd.example\nSubject: x\n\nbody\n' > "$T/m"
  submit a@b joe@cmd.example; run_queue
  [ ! -s "$T/piped.out" ]
  grep -q 'dsn=5.4.6, status=bounced (mail forwarding loop for joe@cmd.example)' "$MX_LOG"
  submit a@b ann@cmd.example; run_queue
  [ -s "$T/piped.out" ]
}

@test "pipe: flags D F O R, dots, From_, eol, the null sender" {
  conf "pipe_prog = user=$PIPE_USER flags=DFOR.>B null_sender=nobody eol=\\r\\n argv=$T/piped \$sender"
  echo 'cmd.example prog:' >> "$T/transport"
  printf 'Subject: x\n\n.dot\nFrom here\nend\n' > "$T/m"
  submit '' joe@cmd.example
  run_queue
  grep -q '^\[nobody\]$' "$T/piped.out"
  run sed '1,/^$/d' "$T/piped.out"
  [[ ${lines[0]} == "From nobody  "*$'\r' ]]
  [ "${lines[1]}" = $'Return-Path: <nobody>\r' ]
  [[ $output == *$'Delivered-To: joe@cmd.example\r\n'* ]]
  [[ $output == *$'\r\n..dot\r\n>From here\r\nend\r\n\r' ]]
}

@test "pipe: its exit status decides: bounce, again, size" {
  conf "pipe_prog = user=$PIPE_USER size=100000 argv=$T/fails"
  echo 'cmd.example prog:' >> "$T/transport"
  printf '#!/bin/sh\ncat >/dev/null; echo "no such box" >&2; exit 67\n' > "$T/fails"; chmod 755 "$T/fails"
  submit joe@virt.example a@cmd.example
  run_queue
  grep -q 'to=<a@cmd.example>.*dsn=5.1.1, status=bounced (.*no such box)' "$MX_LOG"
  printf '#!/bin/sh\nexit 75\n' > "$T/fails"
  submit joe@virt.example b@cmd.example
  run_queue
  grep -q 'to=<b@cmd.example>.*dsn=4.*status=deferred' "$MX_LOG"
  { printf 'Subject: big\n\n'; head -c 100000 /dev/zero | tr '\0' x; } > "$T/m"
  submit joe@virt.example c@cmd.example
  run_queue
  grep -q 'to=<c@cmd.example>.*dsn=5.2.3, status=bounced (message size' "$MX_LOG"
}

@test "pipe: a broken line says what is expected, mail waits" {
  conf "pipe_prog = user=$PIPE_USER flags=Z argv=$T/piped" "pipe_two = argv=$T/piped" "pipe_three = user=root argv=$T/piped"
  printf 'one.example prog:\ntwo.example two:\nthree.example three:\nfour.example nosuch:\n' >> "$T/transport"
  submit joe@virt.example a@one.example a@two.example a@three.example a@four.example
  run_queue
  grep -q 'a@one.example>.*status=deferred (pipe_prog: flags: "Z": expected letters' "$MX_LOG"
  grep -q 'a@two.example>.*status=deferred (pipe_two: user= is missing' "$MX_LOG"
  grep -q "a@three.example>.*status=deferred (.*not with root's rights" "$MX_LOG"
  grep -q 'a@four.example>.*status=deferred (mail transport "nosuch" is not known' "$MX_LOG"
}

@test "a clone of the SMTP client, and its own limits" {
  peer ok
  echo "far.example smtp-amavis:[127.0.0.1]:$PEER" >> "$T/transport"
  conf 'smtp-amavis_destination_concurrency_limit = 2'
  submit joe@virt.example a@far.example
  run_queue
  [ "$(taken)" -eq 1 ]
  [ "$(queued)" -eq 0 ]
}

@test "relays by sender: address, @domain, the null sender; transport_maps before them" {
  peer ok; one=$PEER one_log=$PEER_LOG
  peer ok; two=$PEER two_log=$PEER_LOG
  conf "sender_dependent_relayhost_maps = inline:{ {joe@virt.example = [127.0.0.1]:$one} {@virt.example = [127.0.0.1]:$two} {<> = [127.0.0.1]:$two} }" \
    'relayhost = [127.0.0.1]:1'
  submit joe@virt.example a@far.example; run_queue
  [ "$(taken "$one_log")" -eq 1 ]
  submit ann@virt.example a@far.example; run_queue
  [ "$(taken "$two_log")" -eq 1 ]
  submit '' a@far.example; run_queue
  [ "$(taken "$two_log")" -eq 2 ]
  echo "tm.example smtp:[127.0.0.1]:$two" >> "$T/transport"
  submit joe@virt.example a@tm.example; run_queue
  [ "$(taken "$two_log")" -eq 3 ]
}

@test "copies: sender_bcc_maps, recipient_bcc_maps; the answer waits for them" {
  conf 'sender_bcc_maps = inline:{ {@boss.example = ann@virt.example} }' \
    'recipient_bcc_maps = inline:{ {joe@virt.example = ann@virt.example} }'
  submit x@other.example joe@virt.example; run_queue
  [ "$(count vm/joe/new)" -eq 1 ]
  [ "$(count vm/ann/new)" -eq 1 ]
  submit x@boss.example joe@virt.example; run_queue
  [ "$(count vm/joe/new)" -eq 2 ]
  [ "$(count vm/ann/new)" -eq 2 ]
  conf 'recipient_bcc_maps = tcp:127.0.0.1:1'
  run submit x@other.example joe@virt.example
  [ "$status" -eq 75 ]
}

@test "local names: mailbox_transport_maps; fallback_transport_maps; luser_relay" {
  conf "pipe_prog = user=$PIPE_USER argv=$T/piped \$user" 'mailbox_transport_maps = inline:{ {daemon = prog:} }' \
    'fallback_transport_maps = inline:{ {nosuch1 = prog:} }' 'luser_relay = joe+$user@virt.example'
  submit joe@virt.example daemon@local.example; run_queue
  grep -q '^\[daemon\]$' "$T/piped.out"
  submit joe@virt.example nosuch1@local.example; run_queue
  grep -q '^\[nosuch1\]$' "$T/piped.out"
  submit joe@virt.example nosuch2@local.example; run_queue
  [ "$(count vm/joe/new)" -eq 1 ]
  grep -qx 'Delivered-To: joe+nosuch2@virt.example' "$T"/vm/joe/new/*
  grep -qx 'Delivered-To: nosuch2@local.example' "$T"/vm/joe/new/*
}
