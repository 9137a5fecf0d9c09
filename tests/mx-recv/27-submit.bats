# Mode submit: mx-recv on the socket where mx-submit hands mail in; milters,
# header checks and sender rules see it; the login is the program's user.
load ../lib/common
load recv

setup() {
  common_setup
  chmod 755 "$T" "${BATS_RUN_TMPDIR:-/tmp}" 2>/dev/null || true
  mkdir "$T"/{spool,vm}
  owner=$(id -un)
  [ "$(id -u)" -eq 0 ] && { owner=nobody; chown nobody "$T"/{spool,vm}; }
  export MX_CONFIG=$T/mx.conf
}
teardown() { common_teardown; }

# host [LINES...]: mx-deliver, and mx-recv before it on the submit socket
host() {
  recv_conf "queue_directory = $T/spool" "data_directory = $T/data" "mail_owner = $owner" "filter_user = $owner" \
    "alias_maps =" "virtual_mailbox_domains = virt.test" "virtual_mailbox_maps = inline:{ {joe@virt.test = joe/} }" \
    "virtual_mailbox_base = $T/vm" "$@"
  spawn mx-deliver --lmtp --listen "unix:$T/deliver"
  wait_for 5 test -S "$T/deliver"
  spawn mx-recv --mode submit --listen "unix:$T/submit"
  RECV=$SPAWNED RECV_LOG=$T/out.$((${#PIDS[@]} - 1))
  wait_for 5 test -S "$T/submit"
}
milter() {
  local name=$1; shift
  printf -v "$name" %s "$(free_port)"
  : > "$T/$name.log"
  spawn python3 "$ROOT/tests/lib/milter_peer.py" "${!name}" "$T/$name.log" "$@"
  wait_listen "${!name}"
}
# hand [USER] [ARGS...]: a message through mx-submit
hand() { printf 'Subject: s\n\nbody\n.\n..\n' | mx-submit -i "$@"; }
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
got() { cat "$T"/vm/joe/new/*; }

@test "non_smtpd_milters, Received and the log's line: as Postfix's pickup" {
  milter m 'eom=add X-Seen: y'
  milter n 'eom=add X-Net: y'
  host "non_smtpd_milters = inet:127.0.0.1:$m" "smtpd_milters = inet:127.0.0.1:$n"
  hand -f "joe@x.test" joe@virt.test
  got
  got | grep -q '^X-Seen: y'
  ! got | grep -q '^X-Net'
  got | tr -s '\n\t ' ' ' | grep -q "Received: by mx.test (mx, from userid $(id -un)) id "
  ! got | grep -q '^Received: from'
  [ "$(got | tail -2 | tr '\n' ' ')" = ". .. " ]
  grep -q "mx/pickup\[[0-9]*\]: [0-9A-Za-z]*: uid=$(id -u), from=<joe@x.test>" "$RECV_LOG"
  ! grep -q "connect from" "$RECV_LOG"
  grep -q '^connect localhost 4.*127.0.0.1 $' "$T/m.log"
  ! grep -q 'auth_authen\|auth_type' "$T/m.log"
}

@test "a milter's no is mx-submit's; away: 75" {
  milter m 'rcpt=reply 550 5.7.1 not him'
  host "non_smtpd_milters = inet:127.0.0.1:$m"
  run hand joe@virt.test
  [ "$status" -eq 69 ]
  [[ $output == *"not him"* ]]
  kill "${PIDS[0]}"
  wait_for 5 sh -c "! kill -0 ${PIDS[0]} 2>/dev/null"
  run hand joe@virt.test
  [ "$status" -eq 75 ]
  [ -z "$(ls "$T/vm/joe/new" 2>/dev/null)" ]
}

@test "the rules for strangers do not count here; submit/ lines do: logins and senders by uid" {
  need_root
  host "smtpd_client_restrictions = reject" "smtpd_recipient_restrictions = reject" "smtpd_sender_restrictions = reject" \
    "smtpd_relay_restrictions = reject" "smtpd_end_of_data_restrictions = reject" "smtpd_helo_restrictions = reject"
  hand -f joe@x.test joe@virt.test
  as_nobody mx-submit -f joe@x.test joe@virt.test <<<"Subject: n"
  got | tr -s '\n\t ' ' ' | grep -q "(mx, from userid nobody)"
  printf '%s\n' 'submit/smtpd_sender_restrictions = check_sasl_access inline:{root=OK}, reject_sender_login_mismatch' \
    'smtpd_sender_login_maps = inline:{ {joe@x.test = nobody} }' >> "$T/mx.conf"
  kill -HUP "$RECV"
  refused() { ! as_nobody mx-submit -f eve@x.test joe@virt.test <<<"Subject: n" 2>"$T/why"; }
  wait_for 10 refused
  cat "$T/why"
  grep -q 'eve@x.test' "$T/why"
  as_nobody mx-submit -f joe@x.test joe@virt.test <<<"Subject: n"
  hand -f eve@x.test joe@virt.test
}

@test "milter_header_checks; -bs; many recipients; not over a network" {
  milter m 'eom=add X-Drop: y'
  host "non_smtpd_milters = inet:127.0.0.1:$m" "milter_header_checks = pcre:{{/^X-Drop/ IGNORE}}"
  printf 'EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<joe@virt.test>\r\nDATA\r\nSubject: bs\r\n\r\nb\r\n.\r\nQUIT\r\n' | mx-submit -bs > "$T/bs"
  cat "$T/bs"
  grep -q '^250 2.0.0' "$T/bs"
  got | grep -q 'Subject: bs'
  ! got | grep -q X-Drop
  hand $(seq -f 'u%g@virt.test' 1 2) joe@virt.test && false || [ $? -eq 67 ]
  PORT=$(free_port)
  spawn mx-recv --mode submit --listen "127.0.0.1:$PORT"
  wait_listen "$PORT"
  talk <<<'< 521 5.3.2'
}
