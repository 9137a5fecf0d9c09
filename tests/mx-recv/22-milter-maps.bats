# smtpd_milter_maps: other milters, or none, by client address;
# milter_header_checks: what becomes of the fields that milters add.
load ../lib/common
load recv

setup() {
  common_setup
  deliver_start xaction
}
teardown() { common_teardown; }

# milter NAME [RULE...]: a milter; sets $NAME to its port, log in $T/NAME.log
milter() {
  local name=$1; shift
  printf -v "$name" %s "$(free_port)"
  : > "$T/$name.log"
  spawn python3 "$ROOT/tests/lib/milter_peer.py" "${!name}" "$T/$name.log" "$@"
  wait_listen "${!name}"
}

start() {
  recv_conf "smtpd_peername_lookup = no" \
    "smtpd_authorized_xclient_hosts = 127.0.0.1" \
    "smtpd_relay_restrictions = reject_unauth_destination" "$@"
  recv_start
}

# deliver EXPECTED [ADDR]: one small message of that client
deliver() {
  talk <<<"< 220
> EHLO proxy.test
<- 250
> XCLIENT NAME=[UNAVAILABLE] ADDR=${2:-192.0.2.1}
< 220
> EHLO me.test
<- 250
> MAIL FROM:<a@x.test>
<- 250
> RCPT TO:<joe@mx.test>
<- 250
> DATA
<- 354
= 'Subject: s\r\n\r\nbody\r\n.\r\n'
<- $1
> QUIT"
}
# refused EXPECTED ADDR: MAIL is
refused() {
  talk <<<"< 220
> EHLO proxy.test
<- 250
> XCLIENT NAME=[UNAVAILABLE] ADDR=$2
< 220
> EHLO me.test
<- 250
> MAIL FROM:<a@x.test>
< $1
> QUIT"
}
stop() {
  kill "$RECV"
  wait_for 10 bash -c "! kill -0 $RECV"
}
# last: the newest message
last() { tr -d '\r' < "$(ls -t "$T"/box/msg.* | head -1)" > "$T/last"; echo "$T/last"; }

@test "smtpd_milter_maps: a network's own milters, none, and the others" {
  milter one 'eom=add X-One: 1'
  milter two 'eom=add X-Two: 2'
  printf '%s\n' "192.0.2.0/25 disable" "198.51.100.0/24 inet:127.0.0.1:$two" \
    "203.0.113.0/24 inet:127.0.0.1:$one, { inet:127.0.0.1:$two, command_timeout=20s }" > "$T/map"
  start "smtpd_milters = inet:127.0.0.1:$one" "smtpd_milter_maps = cidr:$T/map"
  deliver 250 192.0.2.1
  grep -c X- "$(last)" | grep -x 0
  deliver 250 192.0.2.200
  grep X-One "$(last)" && ! grep X-Two "$(last)"
  deliver 250 198.51.100.9
  grep X-Two "$(last)" && ! grep X-One "$(last)"
  deliver 250 203.0.113.9
  grep X-Two "$(last)" && grep X-One "$(last)"
}

@test "smtpd_milter_maps: a table that does not answer is 451, whatever the default action" {
  milter one
  start "smtpd_milters = inet:127.0.0.1:$one" "milter_default_action = accept" \
    "smtpd_milter_maps = tcp:127.0.0.1:$(free_port)"
  refused "451 4.7.1" 192.0.2.1
}

@test "smtpd_milter_maps: a table that cannot be listed names milters of smtpd_milters and no others" {
  milter one 'eom=add X-One: 1'
  printf '%s\n' "192.0.2.1 inet:127.0.0.1:$one" "192.0.2.2 inet:127.0.0.1:9" "192.0.2.3 DISABLE" > "$T/map"
  start "smtpd_milter_maps = unionmap:{texthash:$T/map}" "non_smtpd_milters = inet:127.0.0.1:$one" \
    "milter_default_action = accept"
  deliver 250 192.0.2.1
  grep X-One "$(last)"
  refused "451 4.7.1" 192.0.2.2
  grep 'smtpd_milter_maps: inet:127.0.0.1:9: not known' "$RECV_LOG"
  deliver 250 192.0.2.3
  ! grep X-One "$(last)"
}

@test "smtpd_milter_maps: a bad value is told at start" {
  recv_conf "smtpd_milter_maps = inline:{ 192.0.2.1=exec:x }"
  run timeout 10 mx-recv -c "$T/mx.conf" --listen "127.0.0.1:$(free_port)"
  [ "$status" -eq 78 ]
  [[ $output == *smtpd_milter_maps* ]]
}

checks() {
  printf '%s\n' "$@" > "$T/checks"
  start "smtpd_milters = inet:127.0.0.1:$m" "milter_header_checks = regexp:$T/checks"
}

@test "milter_header_checks: replaced, dropped, told; the client's own are not looked at" {
  milter m 'eom=add X-Spam: yes' 'eom=add X-Gone: 1' 'eom=add X-Strip: 1' \
    'eom=insert 0 X-Info: top' 'eom=change 1 Subject: was s'
  checks '/^Subject: s$/ REJECT client field' '/^X-Spam: (.*)/ REPLACE X-Other: was $1' \
    '/^X-Gone:/ IGNORE' '/^X-Strip:/ STRIP taken out' '/^X-Info:/ INFO told' '/^Subject: was/ WARN changed'
  deliver 250
  cat "$(last)"
  grep -x 'X-Other: was yes' "$(last)"
  grep -x 'Subject: was s' "$(last)"
  grep -x 'X-Info: top' "$(last)"
  ! grep -E 'X-Spam|X-Gone|X-Strip' "$(last)"
  grep -E ': milter-header-info: header X-Info: top from unknown\[192.0.2.1\]: told; from=<a@x.test>' "$RECV_LOG"
  grep ': milter-header-warning: header Subject: was s from' "$RECV_LOG"
  grep ': milter-header-strip: header X-Strip: 1 from' "$RECV_LOG"
}

@test "milter_header_checks: REJECT with and without its own code, DISCARD, HOLD" {
  milter m 'header@s=continue' 'eom=add X-Spam: yes'
  checks '/^X-Spam: yes/ REJECT it is spam'
  deliver "550 5.7.1 it is spam"
  [ "$(mails)" -eq 0 ]
  stop
  checks '/^X-Spam: yes/ REJECT 4.7.9 later'
  deliver "450 4.7.9 later"
  stop
  checks '/^X-Spam: yes/ DISCARD'
  deliver 250
  [ "$(mails)" -eq 0 ]
  grep ': milter-header-discard: header X-Spam: yes' "$RECV_LOG"
  stop
  checks '/^X-Spam: yes/ HOLD'
  deliver 250
  grep -i 'xaction.*hold' "$T/box/log"
  [ "$(mails)" -eq 1 ]
}

@test "milter_header_checks: BCC, REDIRECT and FILTER reach the delivery side; a table that is away is 451" {
  milter m 'eom=add X-Spam: yes' 'eom=add X-B: 1'
  checks '/^X-Spam: yes/ REDIRECT spam@mx.test' '/^X-B/ BCC arch@mx.test'
  deliver 250
  grep -i 'xaction.*spam@mx.test' "$T/box/log"
  grep -i 'xaction.*arch@mx.test' "$T/box/log"
  stop
  start "smtpd_milters = inet:127.0.0.1:$m" "milter_header_checks = tcp:127.0.0.1:$(free_port)"
  deliver "451 4.3.0"
  [ "$(mails)" -eq 1 ]
}
