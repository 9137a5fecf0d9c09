#!/usr/bin/env bats
# What RFC 6531 (SMTPUTF8) says an SMTP client does, row by row.  "old" is a
# server without SMTPUTF8.
load ../lib/common
load ../lib/send
load ../lib/dnssec
load ../lib/musts

setup_file() {
  musts_setup
  must_mx xn--bcher-kva tls
  must_mx xn--bcher-kva2 old
  musts_serve
}
teardown_file() { musts_teardown; }
setup() { T=$FILE_T; }

@test "SMTPUTF8" {
  musts 19 <<'T'
3.4: an address that is not ASCII: MUST supply the parameter|jürgen@to-tls.example||sent;+^> MAIL FROM:<me@sender.test>.* SMTPUTF8;+^> RCPT TO:<jürgen@
3.4: a sender's|b@to-tls.example -f jürgen@sender.test||sent;+^> MAIL FROM:<jürgen@sender.test>.* SMTPUTF8
3.4: a header that is not ASCII, of a message that came with it|b@to-tls.example --utf8|Comments: grüße\n|sent;+^> MAIL.* SMTPUTF8
3.4: it has no value|b@to-tls.example --utf8|Comments: grüße\n|sent;-SMTPUTF8=
3.4: what needs none of it SHOULD NOT have it|b@to-tls.example --utf8||sent;-^> MAIL.*SMTPUTF8
3.4: nor does an 8-bit body|b@to-tls.example --utf8|From: a@x.test\n\ngrüße\n|sent;-^> MAIL.*SMTPUTF8;+^> MAIL.*BODY=8BITMIME
3.4: nor an A-label|b@xn--bcher-kva.example||sent;-^> MAIL.*SMTPUTF8
3.2: MUST NOT transmit an internationalized address to a server without|jürgen@to-old.example||bounced 5.6.7;-^> MAIL
3.2: nor a sender's|b@to-old.example -f jürgen@sender.test||bounced 5.6.7;-^> MAIL
3.2: nor an internationalized header|b@to-old.example --utf8|Comments: grüße\n|bounced 5.6.7;-^> MAIL
3.2: at any level of its MIME structure: a part's|b@to-old.example --utf8|MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Description: grüße\n\na\n--x--\n|bounced 5.6.7;-^> MAIL
3.2: an enclosed message's|b@to-old.example --utf8|MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: grüße\n\na\n|bounced 5.6.7;-^> MAIL
3.4: where it is offered such a message goes with it|b@to-tls.example --utf8|MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: grüße\n\na\n|sent;+^> MAIL.* SMTPUTF8
3.2: all else may go there|b@to-old.example --utf8||sent;-^> MAIL.*SMTPUTF8
3.2: a body is no header|b@to-old.example --utf8|From: a@x.test\n\ngrüße\n|sent;+^> MAIL.*BODY=8BITMIME
3.2: a domain that DNS is asked for is one of A-labels|b@bücher.example||sent;+tls.example\[127.0.0.11\]
3.6: SMTPUTF8 goes with 8BITMIME where the message is 8 bit|jürgen@to-tls.example|Comments: grüße\n|sent;+^> MAIL.*BODY=8BITMIME SMTPUTF8
3.7.1: EHLO has an ASCII name|jürgen@to-tls.example||sent;+^> EHLO client.example$
3.1 2: parameters behind the keyword are ignored|jürgen@to-later.example||sent;+^> MAIL.* SMTPUTF8
T
}
