# mx-recv: the rules that ask DNS, against real zones of NSD; and when DNS
# does not answer: never a permanent no.
load ../lib/common
load recv

setup() {
  common_setup; recv_conf; deliver_start
  dns=$(free_port)
  cat > "$T/z" <<'Z'
$ORIGIN test.
@ 60 SOA ns h 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
good A 127.0.0.2
badmx MX 10 evil
evil A 192.0.2.66
evil AAAA 2001:db8::66
ns.evil A 192.0.2.67
null MX 0 .
helo MX 10 good
2.0.0.127.bl A 127.0.0.4
2.0.0.127.bl TXT "see example"
3.0.0.127.bl A 192.0.2.1
2.0.0.127.wl A 127.0.10.3
bad.test.rhs A 127.0.0.2
bad.test.rhs TXT "bad domain"
4.0.0.127.bl A 127.0.0.2
Z
  cat > "$T/r" <<'Z'
$ORIGIN 127.in-addr.arpa.
@ 60 SOA ns.test. h.test. 1 60 60 60 60
@ NS ns.test.
2.0.0 PTR good.test.
3.0.0 PTR liar.test.
4.0.0 PTR evil.test.
Z
  cat > "$T/n" <<'Z'
$ORIGIN badns.test.
@ 60 SOA ns.evil.test. h.test. 1 60 60 60 60
@ NS ns.evil.test.
a A 192.0.2.1
Z
  # other zones: NSD refuses, so nobody knows
  dns_serve "$dns" test "$T/z" 127.in-addr.arpa "$T/r" badns.test "$T/n"
}
teardown() { common_teardown; }
start() { recv_start --resolver "127.0.0.1:$dns" -o mynetworks= "$@"; }
reply() {
  python3 - "$PORT" "$1" "$2" "${3:-me.test}" "${4:-127.0.0.2}" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), source_address=(sys.argv[5], 0))
s.ehlo(sys.argv[4]); s.docmd("MAIL FROM:<%s>" % sys.argv[2])
code, text = s.docmd("RCPT TO:<%s>" % sys.argv[3]); print(code, text.decode()); s.close()
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; return 1; }; }
taken='250 2.1.5 Ok: taken'

@test "client names: confirmed, any, leading somewhere" {
  start -o smtpd_client_restrictions=reject_unknown_client_hostname -o unknown_client_reject_code=550
  is "$(reply a@b.other b@mx.test x 127.0.0.2)" "$taken"
  is "$(reply a@b.other b@mx.test x 127.0.0.3)" "550 5.7.25 Client host rejected: cannot find your hostname, [127.0.0.3]"
  is "$(reply a@b.other b@mx.test x 127.0.0.9)" "550 5.7.25 Client host rejected: cannot find your hostname, [127.0.0.9]"
  start -o smtpd_client_restrictions=reject_unknown_reverse_client_hostname
  is "$(reply a@b.other b@mx.test x 127.0.0.3)" "$taken"
  is "$(reply a@b.other b@mx.test x 127.0.0.9)" "450 4.7.25 Client host rejected: cannot find your reverse hostname, [127.0.0.9]"
  start -o smtpd_client_restrictions=reject_unknown_forward_client_hostname
  is "$(reply a@b.other b@mx.test x 127.0.0.4)" "$taken"
  is "$(reply a@b.other b@mx.test x 127.0.0.3)" "450 4.7.25 Client host rejected: cannot find your hostname, [127.0.0.3]"
}

@test "HELO names and domains of addresses; trouble waits, and only when nothing else refuses" {
  start -o smtpd_helo_restrictions=reject_unknown_helo_hostname -o unknown_hostname_reject_code=550
  is "$(reply a@b.other b@mx.test good.test)" "$taken"
  is "$(reply a@b.other b@mx.test helo.test)" "$taken"
  is "$(reply a@b.other b@mx.test none.test)" "550 5.7.1 <none.test>: Helo command rejected: Host not found"
  is "$(reply a@b.other b@mx.test x.other)" "450 4.7.1 <x.other>: Helo command rejected: Host not found"
  start -o 'smtpd_sender_restrictions=reject_unknown_sender_domain' -o unknown_address_reject_code=550
  is "$(reply a@good.test b@mx.test)" "$taken"
  is "$(reply a@mx.test b@mx.test)" "$taken"
  is "$(reply a@none.test b@mx.test)" "550 5.1.8 <a@none.test>: Sender address rejected: Domain not found"
  is "$(reply a@null.test b@mx.test)" "550 5.7.27 <a@null.test>: Sender address rejected: Domain null.test does not accept mail (nullMX)"
  is "$(reply a@x.other b@mx.test)" "450 4.1.8 <a@x.other>: Sender address rejected: Domain not found"
  is "$(reply a@x.other b@else.test)" "554 5.7.1 <b@else.test>: Relay access denied"
  start -o 'smtpd_sender_restrictions=reject_unknown_sender_domain' -o reject_tempfail_action=defer
  is "$(reply a@x.other b@else.test)" "450 4.1.8 <a@x.other>: Sender address rejected: Domain not found"
  start -o 'smtpd_recipient_restrictions=reject_unknown_recipient_domain' -o smtpd_relay_restrictions=
  is "$(reply a@good.test b@null.test)" "556 5.1.10 <b@null.test>: Recipient address rejected: Domain null.test does not accept mail (nullMX)"
  is "$(reply a@good.test b@none.test)" "450 4.1.2 <b@none.test>: Recipient address rejected: Domain not found"
}

@test "block lists: reply filters, what strangers' wildcards say, reply texts, domains" {
  start -o 'smtpd_client_restrictions=reject_rbl_client bl.test'
  is "$(reply a@good.test b@mx.test)" "554 5.7.1 Service unavailable; Client host [127.0.0.2] blocked using bl.test; see example"
  is "$(reply a@good.test b@mx.test x 127.0.0.3)" "$taken"
  start -o 'smtpd_client_restrictions=reject_rbl_client bl.test=127.0.0.[2;8..10]'
  is "$(reply a@good.test b@mx.test)" "$taken"
  is "$(reply a@good.test b@mx.test x 127.0.0.4)" "554 5.7.1 Service unavailable; Client host [127.0.0.4] blocked using bl.test"
  start -o 'smtpd_client_restrictions=reject_rbl_client bl.test=127.0.0.[3..5], reject_rbl_client other.zone' -o maps_rbl_reject_code=550
  is "$(reply a@good.test b@mx.test)" "550 5.7.1 Service unavailable; Client host [127.0.0.2] blocked using bl.test; see example"
  # nobody answers for this zone: nobody is listed
  is "$(reply a@good.test b@mx.test x 127.0.0.9)" "$taken"
  echo 'default_rbl_reply = $rbl_code 5.7.9 $rbl_class $rbl_what in $rbl_domain: $rbl_data ${rbl_reason:no reason} for $recipient' >> "$T/mx.conf"
  start -o 'smtpd_client_restrictions=reject_rbl_client bl.test'
  is "$(reply a@good.test b@mx.test x 127.0.0.4)" "554 5.7.9 Client host 127.0.0.4 in bl.test: 127.0.0.2 no reason for b@mx.test"
  echo 'bl.test 521 5.7.1 listed: $client_address' > "$T/rm"
  start -o 'smtpd_client_restrictions=reject_rbl_client bl.test' -o "rbl_reply_maps=texthash:$T/rm"
  is "$(reply a@good.test b@mx.test x 127.0.0.4)" "521 5.7.1 listed: 127.0.0.4"
  start -o 'smtpd_recipient_restrictions=reject_rhsbl_sender rhs.test, reject_rhsbl_helo rhs.test, reject_rhsbl_recipient rhs.test, reject_rhsbl_client rhs.test' -o 'default_rbl_reply=$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}' -o relay_domains=bad.test
  is "$(reply a@bad.test b@mx.test)" "554 5.7.1 Service unavailable; Sender address [a@bad.test] blocked using rhs.test; bad domain"
  is "$(reply a@good.test b@mx.test bad.test)" "554 5.7.1 Service unavailable; Helo command [bad.test] blocked using rhs.test; bad domain"
  is "$(reply a@good.test b@bad.test)" "554 5.7.1 Service unavailable; Recipient address [b@bad.test] blocked using rhs.test; bad domain"
}

@test "allow lists: permit; where they do not answer a later no is not for good" {
  start -o 'smtpd_client_restrictions=permit_dnswl_client wl.test=127.0.[0..255].[1..3], reject_rbl_client bl.test'
  is "$(reply a@good.test b@mx.test)" "$taken"
  is "$(reply a@good.test b@mx.test x 127.0.0.4)" "554 5.7.1 Service unavailable; Client host [127.0.0.4] blocked using bl.test"
  start -o 'smtpd_client_restrictions=permit_dnswl_client other.zone, reject'
  [[ "$(reply a@good.test b@mx.test)" == "450 4.7.1 "*"no answer from other.zone" ]]
  start -o 'smtpd_client_restrictions=permit_dnswl_client other.zone'
  is "$(reply a@good.test b@mx.test)" "$taken"
}

@test "the hosts behind a name: a, mx, ns access; OK is not believed" {
  printf '192.0.2.66 REJECT spammer\n192.0.2.67 REJECT its server\nevil.test OK\n127.0.0.2 554 near\n2001:db8 REJECT six\n' > "$T/t"
  printf '192.0.2.66 REJECT spammer\n192.0.2.67 REJECT its server\n' > "$T/u"
  start -o "smtpd_sender_restrictions=check_sender_mx_access texthash:$T/u, check_sender_ns_access texthash:$T/u"
  is "$(reply a@badmx.test b@mx.test)" "554 5.7.1 <a@badmx.test>: Sender address rejected: spammer"
  is "$(reply a@a.badns.test b@mx.test)" "554 5.7.1 <a@a.badns.test>: Sender address rejected: its server"
  is "$(reply a@good.test b@mx.test)" "$taken"
  is "$(reply 'a@[192.0.2.66]' b@mx.test)" "554 5.7.1 <a@[192.0.2.66]>: Sender address rejected: spammer"
  is "$(reply a@x.other b@mx.test)" "$taken"
  start -o "smtpd_recipient_restrictions=check_sender_mx_access texthash:$T/t, reject"
  is "$(reply a@badmx.test b@mx.test)" "554 5.7.1 <b@mx.test>: Recipient address rejected: Access denied"
  wait_for 5 grep -q 'check_sender_mx_access .*: OK is not believed here' "$RECV_LOG"
  # nor of an address, which anybody's zone may name
  echo '127.0.0.2 OK' > "$T/w"
  start -o "smtpd_recipient_restrictions=check_helo_a_access texthash:$T/w, reject"
  is "$(reply a@x.test b@mx.test good.test)" "554 5.7.1 <b@mx.test>: Recipient address rejected: Access denied"
  start -o "smtpd_helo_restrictions=check_helo_a_access texthash:$T/t, check_helo_mx_access texthash:$T/t"
  is "$(reply a@x.test b@mx.test good.test)" "554 5.7.1 <good.test>: Helo command rejected: near"
  is "$(reply a@x.test b@mx.test helo.test)" "554 5.7.1 <helo.test>: Helo command rejected: near"
  start -o "smtpd_client_restrictions=check_client_a_access texthash:$T/u, check_reverse_client_hostname_a_access texthash:$T/u, check_reverse_client_hostname_access inline:{liar.test=REJECT}"
  is "$(reply a@x.test b@mx.test x 127.0.0.4)" "554 5.7.1 <evil.test>: Unverified Client host rejected: spammer"
  is "$(reply a@x.test b@mx.test x 127.0.0.3)" "554 5.7.1 <liar.test>: Unverified Client host rejected: Access denied"
}

@test "MX backup: permitted where this host is one of the MX" {
  printf 'backup MX 20 mx\nmx A 127.0.0.1\n' >> "$T/z"
  dns=$(free_port); dns_serve "$dns" test "$T/z"
  start -o smtpd_relay_restrictions=permit_mx_backup,reject -o smtpd_peername_lookup=no
  is "$(reply a@x.test b@backup.test)" "$taken"
  is "$(reply a@x.test b@helo.test)" "554 5.7.1 <b@helo.test>: Recipient address rejected: Access denied"
  is "$(reply a@x.test b@x.other)" "554 5.7.1 <b@x.other>: Recipient address rejected: Access denied"
}

@test "one question a name, however many recipients" {
  start -o 'smtpd_client_restrictions=reject_rbl_client other.zone' -o smtpd_sender_restrictions=reject_unknown_sender_domain
  python3 - "$PORT" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), source_address=("127.0.0.2", 0))
s.ehlo("x"); s.docmd("MAIL FROM:<a@good.test>")
for i in range(20): assert s.docmd("RCPT TO:<b%d@mx.test>" % i)[0] == 250
PY
  [ "$(grep -c 'other.zone' "$RECV_LOG")" -eq 1 ]
}
