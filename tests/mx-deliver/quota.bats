#!/usr/bin/env bats
# Quotas: rules of the configuration and the userdb, maildirsize, grace,
# 552 or 452, the warning by mail.
load deliver
setup() { deliver_setup; head -c 2000 /dev/zero | tr '\0' x | fold -w 70 > "$T/pad"; { printf 'Subject: big\n\n'; cat "$T/pad"; } > "$T/big"; }
teardown() { common_teardown; }
send() {
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b.example>'; printf '> RCPT TO:<%s>\n' "${2:-joe@virt.example}"; echo "# ${1:-$T/big}"; } | talk | grep -v '^554 5.5.1' | tail -n 1
}
# ask [ADDRESS [SIZE]]: the answer to RCPT
ask() { { echo '> EHLO x'; echo "> MAIL FROM:<a@b.example>${2:+ SIZE=$2}"; printf '> RCPT TO:<%s>\n' "${1:-joe@virt.example}"; } | talk | tail -n 1; }
messages() { find "$T/vm/joe" -path '*/new/*' -type f | wc -l; }
prepare() { mkdir -p "$T/vm/joe"/{cur,new,tmp}; [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/vm/joe"; }

@test "storage: full is 552 5.2.2, what was there stays" {
  conf 'quota_rule = *:bytes=5000' 'quota_grace = 0'
  [[ $(send) == *delivered* ]]
  [[ $(send) == *delivered* ]]
  [[ $(send) == "552 5.2.2 Quota exceeded (mailbox is full)" ]]
  [ "$(messages)" -eq 2 ]
  [ "$(count vm/joe/tmp)" -eq 0 ]
  head -n 1 "$T/vm/joe/maildirsize" | grep -q '^5000S'
  # a small one still fits
  printf 'Subject: s\n\nx\n' > "$T/m"
  [[ $(send "$T/m") == *delivered* ]]
}

@test "count; grace for the last message; a temporary answer" {
  conf 'quota_rule = *:messages=2'
  send > /dev/null; send > /dev/null
  [[ $(send) == "552 5.2.2"* ]]
  [ "$(messages)" -eq 2 ]
  rm -rf "$T/vm/joe"; sed -i '/^quota_rule/d' "$T/mx.conf"
  conf 'quota_rule = *:storage=4K' 'quota_grace = 50' 'quota_full_tempfail = yes' 'quota_exceeded_message = come back later'
  send > /dev/null
  [[ $(send) == *delivered* ]]
  [[ $(send) == "452 4.2.2 <joe@virt.example>: Recipient address rejected: come back later" ]]
  [ "$(messages)" -eq 2 ]
}

@test "maildirsize of others counts: Courier's and Dovecot's" {
  prepare
  printf '3000S,10C\n2500 1\n' > "$T/vm/joe/maildirsize"
  [ "$(id -u)" -ne 0 ] || chown nobody "$T/vm/joe/maildirsize"
  conf 'quota_grace = 0'
  # the sum was stale: it is counted anew before anybody is refused
  [[ $(send) == *delivered* ]]
  [[ $(send) == 552* ]]
  [ "$(messages)" -eq 1 ]
  rm "$T"/vm/joe/new/*
  [[ $(send) == *delivered* ]]
}

@test "no quota, no file" {
  [[ $(send) == *delivered* ]]
  [ ! -e "$T/vm/joe/maildirsize" ]
}

@test "the warning comes once, when the percentage is passed" {
  conf 'quota_rule = *:bytes=10000' 'quota_warning = 60% 90'
  for i in 1 2; do send > /dev/null; done
  [ "$(messages)" -eq 2 ]
  send > /dev/null
  [ "$(messages)" -eq 4 ]
  w=$(grep -rl '^Subject: Your mailbox is 60% full$' "$T/vm/joe/new")
  grep -qx 'To: <joe@virt.example>' "$w"
  grep -qx 'Return-Path: <>' "$w"
  grep -qx 'Auto-Submitted: auto-generated' "$w"
  send > /dev/null
  [ "$(grep -rl '^Subject: Your mailbox is' "$T/vm/joe/new" | wc -l)" -eq 2 ]
}

@test "several folders count; a message from the queue bounces as full" {
  conf 'quota_rule = *:bytes=3000' 'quota_grace = 0' 'virtual_alias_maps = inline:{ {two@virt.example = joe@virt.example ann@virt.example} }'
  send > /dev/null
  [[ $(send "$T/big" two@virt.example) == *queued* ]]
  mx-deliver --queue-run > "$T/run.log" 2>&1
  grep -q 'to=<joe@virt.example>.*dsn=5.2.2, status=bounced (Quota' "$T/run.log"
  grep -q 'to=<ann@virt.example>.*status=sent' "$T/run.log"
}

@test "rules of the userdb: quota_rule, the old quota=, nonsense is said" {
  mkdir -m 777 "$T/umail"
  user() { printf '%s@virt.example:{PLAIN}x:%s:%s::%s::userdb_mail=maildir:%s userdb_%s\n' "$1" "$(id -u nobody)" "$(id -g nobody)" "$T/umail/$1" "$T/umail/$1/M" "$2"; }
  { user new 'quota_rule=*:bytes=3000'; user old 'quota=maildir:storage=3'; user bad 'quota_rule=*:nonsense=3'; } > "$T/users"
  conf 'virtual_mailbox_maps =' "auth_master_socket = unix:$T/run/auth-master" 'quota_grace = 0' \
    "userdb = passwd-file:$T/users" "passdb = passwd-file:$T/users" 'auth_user ='
  spawn mx-auth --listen "auth-master=unix:$T/run/auth-master" --listen "auth=unix:$T/run/auth"
  wait_for 10 test -S "$T/run/auth-master"
  chmod 777 "$T/run/auth-master"
  wait_for 10 sh -c "printf '' | nc -U -w1 $T/run/auth-master | grep -q VERSION"
  for u in new old; do
    [[ $(send "$T/big" $u@virt.example) == *delivered* ]]
    [[ $(send "$T/big" $u@virt.example) == 552* ]]
  done
  [[ $(send "$T/big" bad@virt.example) == *delivered* ]]
  grep -q 'is no rule for a quota' "$T/log"
}

@test "at RCPT: full by storage or count, by the announced size, what is not there yet" {
  conf 'quota_rule = *:bytes=5000' 'quota_grace = 0'
  [[ $(ask) == 250* ]]
  [ ! -e "$T/vm/joe" ]
  [[ $(ask joe@virt.example 5001) == "552 5.2.2 <joe@virt.example>: Recipient address rejected: Quota exceeded (mailbox is full)" ]]
  send > /dev/null
  [[ $(ask joe@virt.example 2000) == 250* ]]
  [[ $(ask joe@virt.example 4000) == 552* ]]
  [[ $(ask joe+ext@virt.example 4000) == 552* ]]
  [[ $(ask ann@virt.example 4000) == 250* ]]
  # mail to several is queued: each mailbox has its own answer then
  conf 'virtual_alias_maps = inline:{ {two@virt.example = joe@virt.example ann@virt.example} }'
  [[ $(ask two@virt.example 4000) == 250* ]]
  sed -i '/^quota_rule/d' "$T/mx.conf"
  conf 'quota_rule = *:messages=1'
  [[ $(ask) == 552* ]]
  rm "$T"/vm/joe/new/*
  [[ $(ask) == 250* ]]
}

@test "quota_status_overquota, _toolarge, _nouser, _success say what is answered" {
  conf 'quota_rule = *:bytes=2500' 'quota_grace = 0' 'quota_status_overquota = 452 4.2.2 Mailbox full, come back' \
    'quota_status_toolarge = 554 5.2.3 Never' 'quota_status_nouser = REJECT Nobody here' 'quota_status_success = DUNNO'
  send > /dev/null
  [[ $(ask joe@virt.example 2000) == "452 4.2.2 <joe@virt.example>: Recipient address rejected: Mailbox full, come back" ]]
  [[ $(ask joe@virt.example 2501) == "554 5.2.3 <joe@virt.example>: Recipient address rejected: Never" ]]
  [[ $(ask no@virt.example) == "550 5.1.1 <no@virt.example>: Recipient address rejected: Nobody here" ]]
  # only at the end
  conf 'quota_status_overquota = DUNNO'
  [[ $(ask joe@virt.example 2000) == 250* ]]
  [[ $(send) == "552 5.2.2 Quota exceeded"* ]]
  conf 'quota_status_overquota = DEFER later'
  [[ $(ask joe@virt.example 2000) == "450 4.2.2 <joe@virt.example>: Recipient address rejected: later" ]]
  # nonsense lets it pass, and is said
  conf 'quota_status_overquota = nonsense'
  [[ $(ask joe@virt.example 2000) == 250* ]]
  grep -q 'is no answer to RCPT' "$T/log"
}

@test "mx-recv's client hears it at RCPT, and the others get their copy" {
  conf 'quota_rule = *:messages=1' "delivery = unix:$T/run/deliver"
  send > /dev/null
  serve
  P=$(free_port)
  spawn mx-recv --listen "127.0.0.1:$P"
  wait_for 10 nc -z 127.0.0.1 "$P"
  swaks --server "127.0.0.1:$P" --from a@b.example --to joe@virt.example,ann@virt.example --timeout 20 > "$T/swaks"
  grep -q '552 5.2.2 <joe@virt.example>: Recipient address rejected: Quota exceeded' "$T/swaks"
  [ "$(messages)" -eq 1 ]
  wait_for 10 test "$(count vm/ann/new)" -eq 1
}

@test "quota_warning runs Dovecot's scripts: the first limit that was passed, as the owner" {
  printf '#!/bin/sh\necho "$* $USER $(id -un)" >> %s/warned\n' "$T" > "$T/quota-warning"
  chmod 755 "$T/quota-warning"; touch "$T/warned"; chmod 666 "$T/warned"
  conf 'quota_rule = *:bytes=10000:messages=10' 'quota_grace = 0' "quota_warning = storage=60%% $T/quota-warning 60 %u" \
    "quota_warning2 = storage=40%% $T/quota-warning 40 %n" "quota_warning3 = messages=10%% $T/quota-warning \"m %d\"" \
    "quota_warning4 = -storage=100%% $T/quota-warning below"
  send > /dev/null
  [ "$(cat "$T/warned")" = "m virt.example joe@virt.example $OWNER" ]
  send > /dev/null; send > /dev/null
  [ "$(sed 1d "$T/warned")" = "40 joe joe@virt.example $OWNER
60 joe@virt.example joe@virt.example $OWNER" ]
  send > /dev/null
  [ "$(wc -l < "$T/warned")" -eq 3 ]
  # a script that fails is said; the mail is there
  rm "$T"/vm/joe/new/*; rm "$T/vm/joe/maildirsize"
  printf '#!/bin/sh\necho trouble >&2; exit 3\n' > "$T/quota-warning"
  [[ $(send) == *delivered* ]]
  grep -q "quota_warning: .*joe@virt.example: status .*: trouble" "$T/log"
}

@test "mailbox_size_limit, virtual_mailbox_limit: 5.2.2, nothing is cut; smaller than a message: refused" {
  conf 'message_size_limit = 3000' 'virtual_mailbox_limit = 4000'
  [[ $(send "$T/big" box@virt.example) == *delivered* ]]
  cp "$T/vm/box" "$T/before"
  [[ $(send "$T/big" box@virt.example) == "552 5.2.2 cannot update mailbox"*"file too large"* ]]
  cmp "$T/vm/box" "$T/before"
  # a Maildir's messages count one by one
  for i in 1 2 3; do [[ $(send) == *delivered* ]]; done
  conf 'virtual_mailbox_limit = 2999'
  run mx-deliver -f a@b.example joe@virt.example < "$T/m"
  [ "$status" -eq 78 ]
  [[ $output == *"virtual_mailbox_limit = 2999 is smaller than message_size_limit = 3000: raise it"* ]]
  # not set: it grows
  sed -i '/limit/d' "$T/mx.conf"
  conf 'message_size_limit = 60000000'
  [[ $(send "$T/big" box@virt.example) == *delivered* ]]
}
