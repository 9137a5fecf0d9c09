# A log that takes nothing is no reason to lose mail (THREATS 113).
load ../lib/common
load recv
setup() { common_setup; recv_conf "mynetworks ="; deliver_start; }
teardown() { common_teardown; }

@test "standard error on a full disk: mail goes on, refusals too" {
  PORT=$(free_port)
  mx-recv -c "$T/mx.conf" --listen "127.0.0.1:$PORT" >/dev/full 2>/dev/full 3>&- &
  PIDS+=("$!")
  wait_listen "$PORT"
  talk <<'X'
< 220
> EHLO me.test
<- 250
> MAIL FROM:<a@x.test>
< 250
> RCPT TO:<b@far.test>
< 554 5.7.1
> RCPT TO:<b@mx.test>
< 250
> DATA
< 354
= 'Subject: s\r\n\r\nx\r\n.\r\n'
< 250 2.0.0
> QUIT
< 221
X
  [ "$(mails)" -eq 1 ]
}
