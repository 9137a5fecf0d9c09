#!/usr/bin/env bats
# SRS: senders of forwarded mail, bounces that come back, key rotation, and
# the same for a Postfix in postsrsd's place.
load queue
setup() {
  queue_setup
  printf '# the first one signs\nsecret one\n' > "$T/secrets"; chmod 600 "$T/secrets"
  conf 'srs_domain = fwd.example' "srs_secrets_file = $T/secrets" \
    'virtual_alias_domains = fwd.example, v.example' \
    'virtual_alias_maps = inline:{ {out@v.example = far@remote.example} {both@v.example = far@remote.example ann@virt.example} {in@v.example = joe@virt.example} }'
}
teardown() { common_teardown; }
# from SENDER RCPT...: what a stranger sends
from() {
  local s=$1; shift
  { printf '> EHLO x\n> XFORWARD ADDR=192.0.2.1\n> MAIL FROM:<%s>\n' "$s"; printf '> RCPT TO:<%s>\n' "$@"; printf '# %s\n' "$T/m"; } | talk | tail -n 1
}
senders() { find "$T/spool/queue" -type f -exec sed -n 's/^sender: //p' {} + | sort; }
drop() { rm -rf "$T/spool/queue"; }

@test "--srs and --srs-reverse: there and back, wrong, old, excluded" {
  run mx-deliver --srs joe@far.example
  [ "$status" -eq 0 ]
  [[ $output == SRS0=????=??=far.example=joe@fwd.example ]]
  a=$output
  [ "$(mx-deliver --srs-reverse "$a")" = joe@far.example ]
  [ "$(later 1728000 mx-deliver --srs-reverse "$a")" = joe@far.example ]
  run later 2000000 mx-deliver --srs-reverse "$a"
  [ "$status" -eq 67 ] && [[ $output == *expired* ]]
  run mx-deliver --srs-reverse "${a/joe/jim}"
  [ "$status" -eq 67 ] && [[ $output == *hash* ]]
  [ "$(mx-deliver --srs joe@virt.example)" = joe@virt.example ]
  [ "$(mx-deliver --srs joe@mail.example.org)" = joe@mail.example.org ]
  [ "$(mx-deliver -o 'srs_exclude_domains = .friend.example' --srs joe@a.friend.example)" = joe@a.friend.example ]
  [[ $(mx-deliver --srs SRS0=AAAA=BB=c.example=d@e.example) == SRS1=????=e.example==AAAA=BB=c.example=d@fwd.example ]]
  run mx-deliver -o srs_domain= --srs joe@far.example
  [ "$status" -eq 78 ]
}

@test "only what strangers send and is forwarded gets another sender" {
  [[ $(from joe@far.example out@v.example) == *queued* ]]
  [[ $(senders) == SRS0=????=??=far.example=joe@fwd.example ]]
  drop
  [[ $(from joe@far.example in@v.example) == *delivered* ]]
  grep -rqx 'Return-Path: <joe@far.example>' "$T/vm/joe/new"
  [[ $(from '' out@v.example) == *queued* ]]
  [ "$(senders)" = '<>' ]; drop
  [[ $(from ann@virt.example out@v.example) == *queued* ]]
  [ "$(senders)" = ann@virt.example ]; drop
  submit joe@far.example out@v.example
  [ "$(senders)" = joe@far.example ]; drop
  # two ways, two entries
  [[ $(from joe@far.example both@v.example) == *queued* ]]
  [ "$(senders | wc -l)" -eq 2 ]
  senders | grep -qx joe@far.example
  senders | grep -q '^SRS0='
  # relayed mail keeps its sender
  drop; conf 'relay_domains = relay.example'
  [[ $(from joe@far.example x@relay.example) == *queued* ]]
  [ "$(senders)" = joe@far.example ]
}

@test "a bounce comes back to the sender; keys rotate; a forged address is refused" {
  peer 550-rcpt; to_peer remote.example
  peer ok; to_peer far.example
  [[ $(from joe@far.example out@v.example) == *queued* ]]
  a=$(senders)
  printf 'secret two\nsecret one\n' > "$T/secrets"
  [[ $(mx-deliver --srs joe@far.example) != "$a" ]]
  [[ $(from '' "$a") == *queued* ]]
  grep -rqx 'Q recipient: joe@far.example' "$T/spool/queue"
  printf 'secret two\n' > "$T/secrets"
  [[ $(from '' "$a") == "550 5.1.1 "*hash* || $(from '' "$a") == 554* ]]
  printf 'secret one\n' > "$T/secrets"
  run_queue; run_queue
  # remote refused it: the report went to SRS0, and so to joe@far.example
  grep -q 'to=<far@remote.example>.*status=bounced' "$MX_LOG"
  grep -q "to=<joe@far.example>, orig_to=<$a>.*status=sent" "$MX_LOG"
}

@test "a Sieve redirect is a forward, too" {
  conf "sieve = $T/%n.sieve"
  echo 'redirect "far@remote.example";' > "$T/joe.sieve"
  [[ $(from joe@far.example joe@virt.example) == 250* ]]
  [[ $(senders) == SRS0=????=??=far.example=joe@fwd.example ]]
}

@test "no secrets: 451 and how to make them, mail for us goes on" {
  rm "$T/secrets"
  [[ $(from joe@far.example out@v.example) == 451* ]]
  grep -q 'srs_secrets_file: .*openssl rand' "$MX_LOG"
  [[ $(from joe@far.example in@v.example) == *delivered* ]]
}

serve_srs() {
  PF=$(free_port) PR=$(free_port)
  spawn mx-deliver --srs-serve --listen "srs-forward=inet:127.0.0.1:$PF" --listen "srs-reverse=inet:127.0.0.1:$PR" --listen "srs=unix:$T/run/srs"
  wait_for 10 test -S "$T/run/srs"
}

@test "tcp_table and socketmap: postmap asks; hostile questions" {
  serve_srs
  a=$(postmap -q joe@far.example "tcp:127.0.0.1:$PF")
  [[ $a == SRS0=????=??=far.example=joe@fwd.example ]]
  [ "$(postmap -q "$a" "tcp:127.0.0.1:$PR")" = joe@far.example ]
  run postmap -q joe@virt.example "tcp:127.0.0.1:$PF"
  [ "$status" -eq 1 ]
  run postmap -q joe@far.example "tcp:127.0.0.1:$PR"
  [ "$status" -eq 1 ]
  [ "$(postmap -q joe@far.example "socketmap:unix:$T/run/srs:forward")" = "$a" ]
  [ "$(postmap -q "$a" "socketmap:unix:$T/run/srs:reverse")" = joe@far.example ]
  run postmap -q "${a/joe/jim}" "socketmap:unix:$T/run/srs:reverse"
  [ "$status" -eq 1 ]
  run postmap -q x@y.example "socketmap:unix:$T/run/srs:nosuch"
  [ "$status" -ne 0 ]
  for q in 'get\n' 'put a b\n' 'get %zz\n' 'get a%40b%0a\n' '\n'; do
    [[ $(printf '%b' "$q" | nc -N 127.0.0.1 "$PF") == 500* ]] || { echo "$q"; false; }
  done
  head -c 100000 /dev/zero | nc -N 127.0.0.1 "$PF" >/dev/null || true
  for q in '5:abc,' '99999999:x,' 'x' ':' '-1:a,' '0:,' '9:forward a,' '9:forward ab'; do
    printf '%s' "$q" | nc -N -U "$T/run/srs" > "$T/out" || true
    ! grep -q 'OK' "$T/out"
  done
  # in pieces
  { printf '23:forward jo'; sleep 0.2; printf 'e@far.example,'; } | nc -N -U "$T/run/srs" | grep -q 'OK SRS0='
}

@test "over LMTP, too: a sender of ours for what goes elsewhere, each recipient by itself" {
  lmtp() { { printf '> LHLO x\n> XFORWARD ADDR=192.0.2.1\n> MAIL FROM:<a@far.example>\n'; printf '> RCPT TO:<%s>\n' "$@"; printf '# %s\n' "$T/m"; } | talk | tail -n 1; }
  [[ $(lmtp out@v.example) == 250* ]]
  [[ $(senders) == SRS0=????=??=far.example=a@fwd.example ]]
  drop
  [[ $(lmtp both@v.example) == 250* ]]
  [ "$(queued)" -eq 2 ]
  [[ $(senders) == SRS0=*$'\n'a@far.example ]]
  find "$T/spool/queue" -type f -exec grep -l '^sender: SRS0' {} + | xargs grep -q '^Q recipient: far@remote.example'
}
