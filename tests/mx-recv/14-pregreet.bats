# mx-recv: before the greeting: early talkers, scores of block lists, clients
# that passed.
load ../lib/common
load recv

setup() { common_setup; recv_conf "smtpd_peername_lookup = no" "mynetworks = 127.0.0.99"; deliver_start; }
teardown() { common_teardown; }
# early SOURCE [WORD]: speaks at once (or waits); the answers to the greeting
# and to RCPT
early() {
  python3 - "$PORT" "$@" <<'PY'
import socket, sys
c = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20, (sys.argv[2], 0)); f = c.makefile("rb")
if len(sys.argv) > 3: c.sendall(sys.argv[3].encode() + b"\r\n")
def reply():
    while True:
        try: l = f.readline()
        except OSError: l = b""
        if l[3:4] != b"-": return l.decode().strip()
print(reply(), end="|")
for cmd in (b"EHLO x", b"MAIL FROM:<a@x.test>", b"RCPT TO:<b@mx.test>"):
    try: c.sendall(cmd + b"\r\n")
    except OSError: pass
    r = reply()
print(r)
PY
}
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2"; return 1; }; }
ok='220 mx.test ESMTP|250 2.1.5 Ok: taken'

@test "early talkers: refused at RCPT, or dropped; who waits passes and is remembered, over workers" {
  o=(-o postscreen_greet_wait=1s -o postscreen_access_list=permit_mynetworks -o max_use=1)
  recv_start "${o[@]}" -o postscreen_greet_action=enforce
  is "$(early 127.0.0.1 'EHLO early')" "220 mx.test ESMTP|550 5.5.1 Protocol error"
  wait_for 5 grep -q 'PREGREET 12 after [0-9]* ms from \[127.0.0.1\]:[0-9]*: EHLO early' "$RECV_LOG"
  is "$(early 127.0.0.1)" "$ok"
  wait_for 5 grep -q 'PASS NEW \[127.0.0.1\]' "$RECV_LOG"
  [ "$(mails)" -eq 0 ]
  is "$(early 127.0.0.1)" "$ok"
  is "$(early 127.0.0.99)" "$ok"
  [ "$(grep -c 'PASS NEW \[127.0.0.1\]' "$RECV_LOG")" -eq 1 ]
  ! grep -q 'PASS NEW \[127.0.0.99\]' "$RECV_LOG"
  recv_start "${o[@]}" -o postscreen_greet_action=drop
  is "$(early 127.0.0.1 'GET / HTTP/1.0')" "521 5.5.1 Protocol error|"
  # off by default: no wait, no test
  recv_start; is "$(early 127.0.0.1)" "$ok"
  ! grep -q 'PASS\|PREGREET' "$RECV_LOG"
}

@test "DNSBL: weights add up, filters and allow lists count, a list that is away counts nothing" {
  dns=$(free_port)
  cat > "$T/z" <<'Z'
$ORIGIN test.
@ 60 SOA ns h 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
2.0.0.127.one A 127.0.0.2
2.0.0.127.two A 127.0.0.4
3.0.0.127.one A 127.0.0.2
4.0.0.127.one A 127.0.0.2
4.0.0.127.two A 127.0.0.4
4.0.0.127.white A 127.0.9.2
Z
  dns_serve "$dns" test "$T/z"
  o=(--resolver "127.0.0.1:$dns" -o 'postscreen_dnsbl_sites=one.test*2, two.test=127.0.0.[3..5], white.test=127.0.[0..255].[1..3]*-2, other.zone*5' -o postscreen_dnsbl_threshold=3)
  recv_start "${o[@]}" -o postscreen_dnsbl_action=enforce
  is "$(early 127.0.0.2)" "220 mx.test ESMTP|550 5.7.1 Service unavailable; client [127.0.0.2] blocked using one.test"
  wait_for 5 grep -q 'DNSBL rank 3 for \[127.0.0.2\]' "$RECV_LOG"
  is "$(early 127.0.0.3)" "$ok"
  is "$(early 127.0.0.4)" "$ok"
  wait_for 5 grep -q 'NOQUEUE: reject: RCPT from unknown\[127.0.0.2\]: 550 5.7.1 Service unavailable; client' "$RECV_LOG"
  recv_start "${o[@]}" -o postscreen_dnsbl_action=drop
  is "$(early 127.0.0.2)" "521 5.7.1 Service unavailable; client [127.0.0.2] blocked using one.test|"
}

@test "full: 421; a client too often: 421" {
  recv_start -o default_process_limit=2 -o smtpd_client_connection_count_limit=1
  python3 - "$PORT" <<'PY'
import socket, sys
def connect(src):
    c = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20, (src, 0)); f = c.makefile("rb"); return c, f, f.readline()
a = connect("127.0.0.2"); assert a[2].startswith(b"220")
b = connect("127.0.0.2"); assert b[2].startswith(b"421 4.7.0"), b
c = connect("127.0.0.3"); assert c[2].startswith(b"220"), c
d = connect("127.0.0.4"); assert d[2].startswith(b"421 4.3.2"), d
PY
}

@test "postscreen_access_list: tables that permit, reject, know nothing, in order; postscreen_denylist_action" {
  printf '127.0.0.7 permit\n127.0.0.8 reject\n127.0.0.9 dunno\n127.0.0.10 perhaps\n127.0.0.0/27 reject\n' > "$T/c"
  o=(-o postscreen_greet_wait=1s -o postscreen_greet_action=enforce -o "postscreen_access_list=permit_mynetworks, 127.0.0.6, cidr:$T/c")
  recv_start "${o[@]}" -o postscreen_denylist_action=enforce
  for a in 99 6 7; do is "$(early 127.0.0.$a)" "$ok"; done
  ! grep -q 'PASS NEW' "$RECV_LOG"
  for a in 8 11; do is "$(early 127.0.0.$a)" "220 mx.test ESMTP|550 5.3.2 Service currently unavailable"; done
  # no word of the table: tested as anybody
  for a in 9 10 200; do is "$(early 127.0.0.$a 'EHLO early')" "220 mx.test ESMTP|550 5.5.1 Protocol error"; done
  wait_for 5 grep -q 'DENYLISTED \[127.0.0.8\]:' "$RECV_LOG"
  grep -q '"perhaps": expected permit, reject or dunno' "$RECV_LOG"
  recv_start "${o[@]}" -o postscreen_blacklist_action=drop
  is "$(early 127.0.0.8)" "521 5.3.2 Service currently unavailable|"
  # by default it is told in the log alone
  recv_start "${o[@]}"
  is "$(early 127.0.0.8)" "$ok"
  wait_for 5 grep -q 'DENYLISTED' "$RECV_LOG"
  # as Postfix's page has it, and a table that is away
  recv_start -o postscreen_denylist_action=drop -o postscreen_access_list=permit_mynetworks,cidr:"$T/none"
  is "$(early 127.0.0.8)" "$ok"
}

@test "postscreen_dnsbl_allowlist_threshold: no wait; postscreen_dnsbl_reply_map: no key is told" {
  dns=$(free_port)
  printf '$ORIGIN test.\n@ 60 SOA ns h 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n2.0.0.127.s3cret.one A 127.0.0.2\n3.0.0.127.white A 127.0.9.2\n' > "$T/z"
  dns_serve "$dns" test "$T/z"
  o=(--resolver "127.0.0.1:$dns" -o 'postscreen_dnsbl_sites=s3cret.one.test*3, white.test*-2' -o postscreen_dnsbl_threshold=3 -o postscreen_dnsbl_action=enforce
    -o postscreen_greet_wait=2s -o postscreen_greet_action=enforce -o 'postscreen_dnsbl_reply_map=inline:{s3cret.one.test=one.test}')
  recv_start "${o[@]}"
  is "$(early 127.0.0.2)" "220 mx.test ESMTP|550 5.7.1 Service unavailable; client [127.0.0.2] blocked using one.test"
  is "$(early 127.0.0.3 'EHLO early')" "220 mx.test ESMTP|550 5.5.1 Protocol error"
  # longer than the client would wait
  recv_start "${o[@]}" -o postscreen_dnsbl_allowlist_threshold=-2 -o postscreen_greet_wait=60s
  is "$(early 127.0.0.3)" "$ok"
  wait_for 5 grep -q 'PASS NEW \[127.0.0.3\]' "$RECV_LOG"
  recv_start "${o[@]}" -o postscreen_dnsbl_allowlist_threshold=-2
  is "$(early 127.0.0.2)" "220 mx.test ESMTP|550 5.7.1 Service unavailable; client [127.0.0.2] blocked using one.test"
  recv_start "${o[@]}" -o postscreen_dnsbl_whitelist_threshold=-3
  is "$(early 127.0.0.3 'EHLO early')" "220 mx.test ESMTP|550 5.5.1 Protocol error"
}
