# reject_unverified_sender, reject_unverified_recipient: mx-recv asks
# mx-deliver, that asks its cache and then, by mx-send --probe, the next host.
load ../lib/common
load recv

setup() {
  common_setup
  chmod 755 "${BATS_RUN_TMPDIR:-/tmp}" 2>/dev/null || true
  mkdir "$T"/{spool,vm,data}
  owner=$(id -un)
  [ "$(id -u)" -eq 0 ] && { owner=nobody; chown nobody "$T"/{spool,vm,data}; }
}
teardown() { common_teardown; }

# system MODE [LINE...]: the other host, in that mode, and mx in front of it
system() {
  local mode=$1; shift
  PEER=$(free_port)
  : > "$T/peer.log"
  spawn python3 "$HERE/far_host.py" "$PEER" "$T/peer.log" "$mode"
  FAR=$SPAWNED
  wait_listen "$PEER"
  recv_conf "queue_directory = $T/spool" "data_directory = $T/data" "mail_owner = $owner" \
    "filter_user = $owner" "alias_maps =" "myorigin = mx.test" "smtpd_peername_lookup = no" \
    "virtual_mailbox_domains = virt.test" \
    "virtual_mailbox_maps = inline:{ {joe@virt.test = joe/} }" "virtual_mailbox_base = $T/vm" \
    "relay_domains = far.test" "transport_maps = inline:{ {far.test = smtp:[127.0.0.1]:$PEER} }" \
    "smtpd_relay_restrictions = reject_unauth_destination" \
    "address_verify_poll_delay = 30s" "$@"
  spawn mx-deliver -c "$T/mx.conf" --lmtp --listen "unix:$T/deliver"
  MTA=$SPAWNED
  DELIVER_LOG=$T/out.$((${#PIDS[@]} - 1))
  wait_for 10 test -S "$T/deliver"
  recv_start
}
# rcpt FROM TO EXPECTED
rcpt() {
  talk <<<"< 220
> EHLO me.test
<- 250
> MAIL FROM:<$1>
< 250
> RCPT TO:<$2>
< $3
> QUIT"
}
probes() { grep -c '^C: RCPT TO' "$T/peer.log"; }

@test "a recipient that the next host takes, once asked for" {
  system ok "smtpd_recipient_restrictions = reject_unverified_recipient"
  rcpt a@x.test joe@far.test "250"
  rcpt a@x.test joe@FAR.test "250"
  [ "$(probes)" -eq 1 ]
  grep '^C: MAIL FROM:<double-bounce@mx.test>' "$T/peer.log"
  ! grep '^C: DATA' "$T/peer.log"
  grep -x 'joe@far.test' "$T"/data/verify_cache/*
  # the users of this host need no probe
  rcpt a@x.test joe@virt.test "250"
  rcpt a@x.test nobody@virt.test "450 4.1.1 <nobody@virt.test>: Recipient address rejected: unverified address"
  [ "$(probes)" -eq 1 ]
}

@test "a recipient that the next host refuses: code, reason, cache; a lost cache asks anew" {
  system reject "smtpd_recipient_restrictions = reject_unverified_recipient" \
    "unverified_recipient_reject_code = 550" "address_verify_sender = <>"
  rcpt a@x.test joe@far.test "550 5.1.1 <joe@far.test>: Recipient address rejected: unverified address:"
  rcpt a@x.test joe@far.test "550 5.1.1"
  [ "$(probes)" -eq 1 ]
  grep '^C: MAIL FROM:<>' "$T/peer.log"
  rm -r "$T/data/verify_cache"
  rcpt a@x.test joe@far.test "550 5.1.1"
  [ "$(probes)" -eq 2 ]
}

@test "a host that is away, or says later, is never a permanent answer" {
  system later "smtpd_recipient_restrictions = reject_unverified_recipient" \
    "unverified_recipient_reject_code = 550"
  rcpt a@x.test joe@far.test "450 4.1.1 <joe@far.test>: Recipient address rejected: unverified address:"
  kill "$FAR"
  rcpt a@x.test jim@far.test "450 4.1.1"
}

@test "the sender: own code and reason; the null sender is not asked for" {
  system reject "smtpd_sender_restrictions = reject_unverified_sender" \
    "unverified_sender_reject_code = 553" "unverified_sender_reject_reason = nobody there"
  rcpt bad@far.test joe@virt.test "553 5.1.7 <bad@far.test>: Sender address rejected: unverified address: nobody there"
  rcpt "" joe@virt.test "250"
  rcpt joe@virt.test joe@virt.test "250"
  [ "$(probes)" -eq 1 ]
}

@test "an answer that takes long: not now, and known the next time" {
  system slow "smtpd_recipient_restrictions = reject_unverified_recipient" \
    "address_verify_poll_delay = 0s" "address_verify_poll_count = 2"
  rcpt a@x.test joe@far.test "450 4.1.1 <joe@far.test>: Recipient address rejected: unverified address: Address verification in progress"
  wait_for 30 grep -x joe@far.test -r "$T/data/verify_cache"
  rcpt a@x.test joe@far.test "250"
  [ "$(probes)" -eq 1 ]
}

@test "answers grow old: refreshed behind the reply, a failure does not undo a success, expired asks anew" {
  system reject "smtpd_recipient_restrictions = reject_unverified_recipient" "unverified_recipient_reject_code = 550"
  rcpt a@x.test joe@far.test "550"
  f=$(grep -lx joe@far.test "$T"/data/verify_cache/*)
  now=$(date +%s)
  # a success of eight days: counts, is probed again, and stays
  printf 'joe@far.test\n0:%d:%d:2.1.5 it was there\n' $((now - 691200)) $((now - 691200)) > "$f"
  rcpt a@x.test joe@far.test "250"
  wait_for 20 bash -c "[ \$(grep -c '^C: RCPT TO' '$T/peer.log') -eq 2 ]"
  wait_for 20 bash -c "! ls '$T'/data/verify_cache/*.lock 2>/dev/null"
  grep 'it was there' "$f"
  # one of 32 days counts no more
  printf 'joe@far.test\n0:%d:%d:2.1.5 it was there\n' $((now - 2764800)) $((now - 2764800)) > "$f"
  rcpt a@x.test joe@far.test "550"
  grep '^2:' "$f"
  # what is no file of ours is not believed
  printf 'other@far.test\n0:%d:%d:2.1.5 another\n' "$now" "$now" > "$f"
  rcpt a@x.test joe@far.test "550"
}

@test "without a cache, with a delivery side that does not know XVERIFY, and under --explain" {
  system ok "smtpd_recipient_restrictions = reject_unverified_recipient" "address_verify_map ="
  rcpt a@x.test joe@far.test "250"
  rcpt a@x.test joe@far.test "250"
  [ "$(probes)" -eq 2 ]
  run mx-recv -c "$T/mx.conf" --explain client=192.0.2.1 helo=x from=a@x.test rcpt=joe@far.test </dev/null
  echo "$output"
  [[ $output == *"probe    joe@far.test: not asked"* ]]
  [ "$(probes)" -eq 2 ]
  deliver_start
  recv_start
  rcpt a@x.test joe@far.test "450 4.1.1 <joe@far.test>: Recipient address rejected: unverified address: Address verification is not available"
}

@test "probes go other ways than mail: address_verify_transport_maps, _relayhost, _relay_transport" {
  far2=$(free_port); : > "$T/peer2.log"
  spawn python3 "$HERE/far_host.py" "$far2" "$T/peer2.log" reject
  wait_listen "$far2"
  rules=("smtpd_recipient_restrictions = reject_unverified_recipient" "unverified_recipient_reject_code = 550")
  system ok "${rules[@]}" "address_verify_transport_maps = inline:{ {far.test = smtp:[127.0.0.1]:$far2} }"
  rcpt a@x.test joe@far.test "550 5.1.1"
  grep -q '^C: RCPT TO:<joe@far.test>' "$T/peer2.log"
  [ "$(probes)" -eq 0 ]
  # mail itself still goes the first way
  mx-deliver -c "$T/mx.conf" -f a@x.test joe@far.test <<<'Subject: x'
  mx-deliver -c "$T/mx.conf" --queue-run
  wait_for 20 grep -q '^C: RCPT TO:<joe@far.test>' "$T/peer.log"
  # the class's transport, where no table says more; a SIGHUP is heard
  sed -i 's/^address_verify_transport_maps.*/address_verify_transport_maps =/' "$T/mx.conf"
  echo "address_verify_relay_transport = smtp:[127.0.0.1]:$far2" >> "$T/mx.conf"
  kill -HUP "$MTA"
  : > "$T/peer2.log"
  asked() { rcpt a@x.test "n$RANDOM@far.test" "550 5.1.1" && grep -q '^C: RCPT TO:<n' "$T/peer2.log"; }
  wait_for 20 asked
  [ "$(probes)" -eq 1 ]
}

@test "mail to the sender of probes is taken and forgotten; address_verify_sender_ttl" {
  system ok "smtpd_recipient_restrictions = reject_unverified_recipient" "address_verify_sender_ttl = 1h" "address_verify_sender = probe"
  rcpt a@x.test joe@far.test "250"
  from=$(sed -n 's/^C: MAIL FROM:<\([^>]*\)>.*/\1/p' "$T/peer.log")
  echo "$from"
  [[ $from =~ ^probe[0-9b-df-hj-np-tv-z]{3,}@mx.test$ ]]
  # who is asked asks back
  rcpt "" "$from" "250"
  rcpt "" probe0@mx.test "450 4.1.1"
  mx-deliver -c "$T/mx.conf" -f '' "$from" <<<'Subject: back'
  mx-deliver -c "$T/mx.conf" --queue-run
  [ -z "$(find "$T/spool/queue" -type f 2>/dev/null)" ]
}
