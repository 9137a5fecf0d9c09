# mx-recv and mx-deliver together: into a Maildir, with no daemon at all.
load ../lib/common
load recv

setup() {
  common_setup
  chmod 755 "${BATS_RUN_TMPDIR:-/tmp}" 2>/dev/null || true
  mkdir "$T"/{spool,vm}
  owner=$(id -un)
  [ "$(id -u)" -eq 0 ] && { owner=nobody; chown nobody "$T"/{spool,vm}; }
  recv_conf "queue_directory = $T/spool" "data_directory = $T/data" "mail_owner = $owner" \
    "filter_user = $owner" "alias_maps =" "virtual_mailbox_domains = virt.test" \
    "virtual_mailbox_maps = inline:{ {joe@virt.test = joe/} }" "virtual_mailbox_base = $T/vm"
  export MX_CONFIG=$T/mx.conf
}
teardown() { common_teardown; }

session='EHLO me.test
MAIL FROM:<a@x.test>
RCPT TO:<joe@virt.test>
RCPT TO:<nobody-here@virt.test>
DATA
Subject: whole

.dot
.
QUIT'

@test "a session on a pipe, delivery by exec:, one file in the Maildir" {
  pipe -o 'delivery=exec:mx-deliver --lmtp' <<<"${session/.dot/..dot}" >"$T/out"
  cat "$T/out" "$T/pipe.log"
  grep -q '^250 2.*' "$T/out"
  grep -q '^550 5.1.1 ' "$T/out"
  f=("$T"/vm/joe/new/*)
  [ ${#f[@]} -eq 1 ]
  grep -q '^Subject: whole$' "${f[0]}"
  grep -q '^\.dot$' "${f[0]}"
  id=$(sed -n 's/.*: connect from.*//;s/.*\]: \([0-9A-Za-z]*\): client=.*/\1/p' "$T/pipe.log")
  grep -qr "id $id" "$T/vm/joe/new" || grep -qr "$id" "$T/vm/joe/new"
}

@test "over sockets: mx-deliver on its unix socket, two messages, swaks" {
  spawn mx-deliver --lmtp --listen "unix:$T/deliver"
  wait_for 5 test -S "$T/deliver"
  recv_start
  for _ in 1 2; do
    swaks --server "127.0.0.1:$PORT" --helo me.test --from a@x.test --to joe@virt.test >"$T/swaks" || { cat "$T/swaks" "$T"/out.*; false; }
  done
  [ "$(ls "$T/vm/joe/new" | wc -l)" -eq 2 ]
  run swaks --server "127.0.0.1:$PORT" --helo me.test --from a@x.test --to none@virt.test
  [ "$status" -ne 0 ]
  [[ "$output" == *"550 5.1.1"* ]]
}

@test "the way of one message costs few system calls" {
  command -v strace >/dev/null || skip "no strace here"
  deliver_start
  recv_start -o default_process_limit=1 -o smtpd_peername_lookup=no
  s='< 220
> EHLO me.test
< 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
> x
> .
< 250
> QUIT
< 221
eof'
  talk <<<"$s" >/dev/null
  worker=$(pgrep -P "$RECV" | head -1)
  strace -c -f -o "$T/calls" -p "$worker" 3>&- & tracer=$!
  sleep 1
  for _ in 1 2 3 4 5 6 7 8 9 10; do talk <<<"$s" >/dev/null; done
  kill -INT "$tracer"; wait "$tracer" || true
  n=$(awk '$NF == "total" { print $4 }' "$T/calls")
  cat "$T/calls"
  [ "$n" -gt 0 ] && [ "$n" -le 450 ]
}

@test "a stranger is never taken for the user who was logged in before, whatever the HELO is" {
  make_cert mx.test
  echo 'joe:{PLAIN}secret' > "$T/users"; chmod 644 "$T/users"
  # what strangers send is refused, what users send is not
  printf '#!/bin/sh\ncat >/dev/null\necho stranger >&2\nexit 69\n' > "$T/no"; chmod 755 "$T/no"
  printf '%s\n' "delivery = exec:mx-deliver --lmtp" "inbound_filter = $T/no" "smtpd_sasl_auth_enable = yes" \
    "smtpd_tls_auth_only = no" "auth_socket = exec:mx-auth" "passdb = passwd-file:$T/users" \
    "auth_user = $owner" "mynetworks =" >> "$T/mx.conf"
  recv_start -o default_process_limit=1
  mail="> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<joe@virt.test>
< 250
> DATA
< 354
= 'Subject: s\\r\\n\\r\\nx\\r\\n.\\r\\n'"
  # each byte of these names is three in XFORWARD
  for n in 1 85 86 100 110 255; do
    talk <<<"< 220
> EHLO me.test
<- 250
> AUTH PLAIN $(printf '\0joe\0secret' | base64 -w0)
< 235
$mail
< 250
> QUIT
< 221"
    talk <<<"< 220
> EHLO $(printf '+%.0s' $(seq "$n"))
<- 250
$mail
< 550 5.7.1 stranger
> QUIT
< 221"
  done
  [ "$(ls "$T/vm/joe/new" | wc -l)" -eq 6 ]
  # and what is said of it is not lost
  [ "$(grep -c "XFORWARD is refused" "$RECV_LOG")" -eq 0 ]
}
