#!/usr/bin/env bats
# What RFC 3461 5.2 (DSN) says an SMTP client does, row by row; "old" is a
# server without DSN.  Which reports are made: tests/mx-deliver/musts_3461.bats.
load ../lib/common
load ../lib/send
load ../lib/dnssec
load ../lib/musts

setup_file() { musts_setup; musts_serve; }
teardown_file() { musts_teardown; }
setup() { T=$FILE_T; }

@test "parameters of MAIL and RCPT" {
  musts 18 <<'T'
5.2.1 a: ENVID MUST appear with the same value|to-tls.example --envid QQ314159||sent;+^> MAIL.* ENVID=QQ314159
5.2.1 a: as xtext|to-tls.example --envid a+b=c~d||sent;+^> MAIL.* ENVID=a+2Bb+3Dc+20d
5.2.1 a: none came: MUST NOT be supplied|to-tls.example||sent;-ENVID
5.2.1 b: RET=HDRS|to-tls.example --ret HDRS||sent;+^> MAIL.* RET=HDRS
5.2.1 b: RET=FULL|to-tls.example --ret FULL||sent;+^> MAIL.* RET=FULL
5.2.1 b: none came: MUST NOT be supplied|to-tls.example||sent;-RET=
5.2.1 c: NOTIFY with its value|to-tls.example --rcpt-options NOTIFY=SUCCESS,DELAY||sent;+^> RCPT TO:<b@to-tls.example> NOTIFY=SUCCESS,DELAY$
5.2.1 c: NEVER|to-tls.example --rcpt-options NOTIFY=NEVER||sent;+^> RCPT.* NOTIFY=NEVER$
5.2.1 c: none came: MUST NOT be supplied|to-tls.example||sent;-NOTIFY;+^> RCPT TO:<b@to-tls.example>$
5.2.1 d: ORCPT as it was, case and all|to-tls.example --rcpt-options ORCPT=rfc822^Bob+2BX@Example.COM||sent;+^> RCPT.* ORCPT=rfc822.Bob+2BX@Example.COM$
5.2.1: all of it|to-tls.example --envid e --ret HDRS --rcpt-options NOTIFY=FAILURE~ORCPT=rfc822^b@x.test||sent;+^> MAIL.* RET=HDRS ENVID=e;+^> RCPT.* NOTIFY=FAILURE ORCPT=rfc822.b@x.test
5.2.2 a: ENVID MUST NOT be issued|to-old.example --envid e||sent;-ENVID
5.2.2 a: nor RET|to-old.example --ret HDRS||sent;-RET=
5.2.2 a: nor NOTIFY|to-old.example --rcpt-options NOTIFY=SUCCESS||sent;-NOTIFY
5.2.2 a: nor ORCPT|to-old.example --rcpt-options ORCPT=rfc822^b@x.test||sent;-ORCPT
5.2.2 b: whoever drives us knows which it was: DSN|to-tls.example --times||sent;+^\. [0-9]* [0-9]* dsn
5.2.2 b: and none|to-old.example --times||sent;-^\. [0-9]* [0-9]* dsn
4.5: a refused MAIL is the verdict of each recipient|to-need.example --envid e --ret HDRS||bounced 5.7.1;+^> MAIL.* RET=HDRS ENVID=e
T
}
