#!/usr/bin/env bats
# Published configurations acted out: postsrsd's place beside a real Postfix,
# the same canonical maps in mx, pipe(8) services of master.cf.
load queue
load ../lib/postfix
setup() {
  queue_setup
  echo 'a secret' > "$T/secrets"; chmod 600 "$T/secrets"
  conf 'srs_domain = fwd.example' "srs_secrets_file = $T/secrets"
  mapfile -t p < <(free_port 3); PF=${p[0]} PR=${p[1]} P25=${p[2]}
  spawn mx-deliver --srs-serve --listen "srs-forward=inet:127.0.0.1:$PF" --listen "srs-reverse=inet:127.0.0.1:$PR" --listen "srs=unix:$T/run/srs"
  wait_port "$PF"; wait_port "$PR"
  CANON=("sender_canonical_maps = tcp:127.0.0.1:$PF" 'sender_canonical_classes = envelope_sender'
    "recipient_canonical_maps = tcp:127.0.0.1:$PR" 'recipient_canonical_classes = envelope_recipient,header_recipient')
}
teardown() { common_teardown; }
# the senders and recipients that a peer took
got() { grep -o '"sender": "[^"]*"\|"rcpts": \[[^]]*\]' "$PEER_LOG"; }

@test "a real Postfix rewrites senders and finds bounces back, by tcp_table and by socketmap" {
  need_root
  chmod 755 "$T"
  peer ok
  postfix_start pf "$P25" "${CANON[@]}" 'virtual_alias_domains = v.example' \
    'virtual_alias_maps = inline:{ out@v.example=far@remote.example }' "relayhost = [127.0.0.1]:$PEER" 'smtp_tls_security_level = none' \
    'smtpd_relay_restrictions = permit_mynetworks, reject' 'smtpd_recipient_restrictions ='
  swaks --server 127.0.0.1:"$P25" --from joe@far.example --to out@v.example --silent 2
  wait_for 30 grep -q '"event": "message"' "$PEER_LOG"
  got | grep -q 'SRS0=....=..=far.example=joe@fwd.example'
  a=$(got | grep -o 'SRS0=[^">]*' | head -1)
  swaks --server 127.0.0.1:"$P25" --from '<>' --to "$a" --silent 2
  wait_for 30 sh -c 'grep -q "joe@far.example" "$1"' - "$PEER_LOG"
  # the newer postsrsd's way
  postconf -c "$T/pf/conf" -e "sender_canonical_maps = socketmap:unix:$T/run/srs:forward" "recipient_canonical_maps = socketmap:unix:$T/run/srs:reverse"
  postfix -c "$T/pf/conf" reload >/dev/null 2>&1
  swaks --server 127.0.0.1:"$P25" --from ann@other.example --to out@v.example --silent 2
  wait_for 30 grep -q 'SRS0=....=..=other.example=ann@fwd.example' "$PEER_LOG"
}

@test "the same four lines in mx.conf, with its own table server" {
  conf "${CANON[@]}" 'srs_domain =' 'virtual_alias_domains = v.example' 'virtual_alias_maps = inline:{ out@v.example=far@remote.example }'
  peer ok; to_peer remote.example; to_peer far.example
  submit joe@far.example out@v.example
  run_queue
  a=$(got | grep -o 'SRS0=[^">]*' | head -1)
  [[ $a == SRS0=????=??=far.example=joe@fwd.example ]]
  printf 'Subject: bounce\nTo: %s\n\nx\n' "$a" > "$T/m"
  submit '' "$a"
  grep -q '^Q recipient: joe@far.example' "$(the_entry)"
  grep -q '^To: joe@far.example' "$(the_entry)"
}

@test "maildrop, uucp, bsmtp, mailman, dovecot of master.cf: flags, macros, \$(name)" {
  for n in maildrop uux bsmtp postfix-to-mailman.py dovecot-lda; do
    printf '#!/bin/sh\n{ echo "${0##*/}" "$@"; cat; } > "%s/%s.out"\n' "$T" "$n" > "$T/$n"; chmod 755 "$T/$n"
    : > "$T/$n.out"; chmod 666 "$T/$n.out"
  done
  U=$([ "$(id -u)" -eq 0 ] && echo daemon || id -un)
  conf "pipe_maildrop = flags=DRhu user=$U argv=$T/maildrop -d \${recipient}" \
    "pipe_uucp = flags=Fqhu user=$U argv=$T/uux -r -n -z -a\$sender - \$nexthop!rmail (\$recipient)" \
    "pipe_bsmtp = flags=Fq. user=$U argv=$T/bsmtp -t\$nexthop -f\$sender \$recipient" \
    "pipe_mailman = flags=FR user=$U argv=$T/postfix-to-mailman.py \${nexthop} \${user}" \
    "pipe_dovecot = flags=DRhu user=$U argv=$T/dovecot-lda -d \$(recipient)" \
    'dovecot_destination_recipient_limit = 1' 'maildrop_destination_recipient_limit = 1'
  printf '%s\n' 'a.example maildrop:' 'b.example uucp:Host' 'c.example bsmtp:mx.c.example' 'd.example mailman:' 'e.example dovecot:' >> "$T/transport"
  printf 'Subject: s\n\n.dot\n' > "$T/m"
  submit joe@virt.example Bob@A.example bob@b.example bob@c.example list@d.example Bob@E.example
  run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(head -n 1 "$T/maildrop.out")" = 'maildrop -d bob@a.example' ]
  grep -qx 'Delivered-To: .*@a.example' "$T/maildrop.out"; grep -qx 'Return-Path: <joe@virt.example>' "$T/maildrop.out"
  [ "$(head -n 1 "$T/uux.out")" = 'uux -r -n -z -ajoe@virt.example - host!rmail (bob@b.example)' ]
  sed -n 2p "$T/uux.out" | grep -q '^From joe@virt.example  '
  [ "$(head -n 1 "$T/bsmtp.out")" = 'bsmtp -tmx.c.example -fjoe@virt.example bob@c.example' ]
  [ "$(tail -n 1 "$T/bsmtp.out")" = '..dot' ]
  [ "$(head -n 1 "$T/postfix-to-mailman.py.out")" = 'postfix-to-mailman.py d.example list' ]
  [ "$(head -n 1 "$T/dovecot-lda.out")" = 'dovecot-lda -d bob@e.example' ]
  mx-deliver --check-config
}
