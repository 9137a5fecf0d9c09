#!/usr/bin/env bats
# Real servers of others take what mx-send has, each with what it offers: exim
# (PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8, DSN, SIZE), OpenSMTPD (8BITMIME,
# DSN, SIZE; no PIPELINING, no CHUNKING, no SMTPUTF8; mostly in clear, since its
# TLS server tells everybody "internal error" with the OpenSSL of today's
# Debian: a peer whose handshake fails).
load ../lib/common
load ../lib/send

setup_file() {
  common_setup
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/mx.peer.test.key" -out "$T/mx.peer.test.crt" -days 30 \
    -subj /CN=mx.peer.test -addext subjectAltName=DNS:mx.peer.test 2>/dev/null
  chmod 644 "$T/mx.peer.test.crt"
  chmod 755 "${BATS_RUN_TMPDIR:-/tmp}" "$T" 2>/dev/null || true
  mapfile -t p < <(free_port 2); EXIM=${p[0]} SMTPD=${p[1]}
  EXIM_OK=; SMTPD_OK=
  if [ "$(id -u)" -eq 0 ]; then exim_start; unshare -m true 2>/dev/null && smtpd_start; fi
  FILE_T=$T; export FILE_T EXIM SMTPD EXIM_OK SMTPD_OK FILE_PIDS="${PIDS[*]}"
}
teardown_file() { read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }
setup() { T=$FILE_T; }

exim_start() {
  local exim=/usr/sbin/exim4 peers
  [ -x "$exim" ] || { peers=$("$ROOT/tests/packages" unpack exim4-daemon-heavy) && exim=$peers/usr/sbin/exim4; }
  "$exim" --version >/dev/null 2>&1 || return 0
  mkdir -p "$T/exim/mail"; chmod 777 "$T/exim" "$T/exim/mail"
  cp "$T/mx.peer.test.key" "$T/exim/key"; chmod 644 "$T/exim/key"
  cat > "$T/exim.conf" <<C
primary_hostname = mx.peer.test
spool_directory = $T/exim
log_file_path = $T/exim/%slog
exim_user = nobody
exim_group = nogroup
never_users =
keep_environment =
domainlist local = exim.test
tls_advertise_hosts = *
tls_certificate = $T/mx.peer.test.crt
tls_privatekey = $T/exim/key
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
message_size_limit = 300K
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
begin acl
rcpt:
  deny message = no such user
       local_parts = nobody
  defer message = not now
       local_parts = later
  accept domains = +local
  deny message = relay not permitted
begin routers
here:
  driver = accept
  domains = +local
  transport = box
begin transports
box:
  driver = appendfile
  directory = $T/exim/mail
  maildir_format
  create_directory
  envelope_to_add
  user = nobody
  group = nogroup
C
  chmod 644 "$T/exim.conf"
  spawn "$exim" -C "$T/exim.conf" -bdf -odi -oX "127.0.0.1.$EXIM" -oP "$T/exim/pid"
  wait_listen "$EXIM" && EXIM_OK=1
}

smtpd_start() {
  local peers u
  peers=$("$ROOT/tests/packages" unpack opensmtpd) || return 0
  cp /etc/passwd "$T/passwd"; cp /etc/group "$T/group"
  for u in opensmtpd:9001 opensmtpq:9002; do
    echo "${u%:*}:x:${u#*:}:${u#*:}::/var/lib/opensmtpd/empty:/bin/sh" >> "$T/passwd"
    echo "${u%:*}:x:${u#*:}:" >> "$T/group"
  done
  chmod 600 "$T/mx.peer.test.key"
  # its own delivery needs helpers in folders of its package: it relays
  peer ok; SINK=$PEER_LOG; export SINK
  cat > "$T/smtpd.conf" <<C
smtp max-message-size "300K"
pki mx.peer.test cert "$T/mx.peer.test.crt"
pki mx.peer.test key "$T/mx.peer.test.key"
listen on 127.0.0.1 port $SMTPD hostname mx.peer.test tls pki mx.peer.test
action "on" relay host "smtp://127.0.0.1:$PEER"
match from any for domain "smtpd.test" action "on"
C
  cat > "$T/opensmtpd.sh" <<C
mount --bind $T/passwd /etc/passwd && mount --bind $T/group /etc/group &&
mount -t tmpfs none /var/lib && mount -t tmpfs none /var/spool && mount -t tmpfs none /run &&
mkdir -p /var/lib/opensmtpd/empty && mkdir -m 711 /var/spool/smtpd &&
exec $peers/usr/sbin/smtpd -d -f $T/smtpd.conf
C
  spawn unshare -m bash "$T/opensmtpd.sh"
  wait_listen "$SMTPD" && SMTPD_OK=1
}

need() { [ -n "$1" ] || skip "$2 does not run here"; }
# give PORT TEXT [OPTION... RECIPIENT...]
give() {
  local port=$1 text=$2; shift 2
  printf "$text" > "$BATS_TEST_TMPDIR/m"
  run send --trace --host "127.0.0.1:$port" -o "smtp_tls_CAfile=$T/mx.peer.test.crt" -o smtp_tls_security_level=secure \
    -o smtp_tls_secure_cert_match=mx.peer.test -f joe@x.test "$@" < "$BATS_TEST_TMPDIR/m"
  echo "$output"
}
give_clear() { local text=$1; shift; give "$SMTPD" "$text" -o smtp_tls_security_level=may "$@"; }
said() { grep -q -- "^> $1" <<< "$output"; }
# box FOLDER WORD: the message there whose Subject has that word is $BOX
box() { found() { BOX=$(grep -rlx "Subject: $2" "$T/$1" --include='*' 2>/dev/null | grep /new/ | head -n 1); [ -n "$BOX" ]; }
  wait_for 20 found "$@" || { cat "$T"/exim/mainlog; return 1; }; found "$@"; cat "$BOX"; }

@test "exim: TLS with its name, PIPELINING, CHUNKING, SIZE; dots and long lines as they were" {
  need "$EXIM_OK" exim
  give "$EXIM" 'Subject: one\n\n.dot\n..two\nlast\n' a1@exim.test a2@exim.test
  [ "$status" -eq 0 ]
  said STARTTLS; said 'MAIL FROM:<joe@x.test> .*SIZE='; said 'BDAT [0-9]* LAST'
  # one flight: both RCPT before the first reply to them
  grep -A3 '^> MAIL' <<< "$output" | grep -c '^> RCPT' | grep -qx 2
  box exim/mail one; sed '1,/^$/d' "$BOX" | cmp - <(printf '.dot\n..two\nlast\n')
  [ "$(grep -rlx 'Subject: one' "$T/exim/mail" | wc -l)" -eq 2 ] # a copy each
  grep -q 'with esmtps.*TLS1' "$BOX"
  # without CHUNKING it is DATA
  give "$EXIM" 'Subject: two\n\n.dot\n..two\nlast\n' -o smtp_chunking=no a3@exim.test
  [ "$status" -eq 0 ]; said DATA
  box exim/mail two; sed '1,/^$/d' "$BOX" | cmp - <(printf '.dot\n..two\nlast\n')
}
@test "exim: 8BITMIME, SMTPUTF8, DSN" {
  need "$EXIM_OK" exim
  give "$EXIM" 'Subject: eight\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nß\n' b1@exim.test
  [ "$status" -eq 0 ]; said 'MAIL.*BODY=8BITMIME'
  box exim/mail eight; grep -qx 'ß' "$BOX"
  give "$EXIM" 'Subject: ß\n\nx\n' --utf8 'bß@exim.test'
  [ "$status" -eq 0 ]; said 'MAIL.*SMTPUTF8'
  box exim/mail ß; grep -q '^Envelope-to: bß@exim.test' "$BOX"
  give "$EXIM" 'Subject: x\n\nx\n' --envid E1 --ret HDRS --rcpt-options 'NOTIFY=SUCCESS ORCPT=rfc822;b2@exim.test' b2@exim.test
  [ "$status" -eq 0 ]; said 'MAIL.*RET=HDRS.*ENVID=E1'; said 'RCPT.*NOTIFY=SUCCESS ORCPT='
}
@test "exim: refusals of one recipient, for now and for good; more than its SIZE is not even begun" {
  need "$EXIM_OK" exim
  give "$EXIM" 'Subject: some\n\nx\n' nobody@exim.test c1@exim.test later@exim.test a@else.test
  [ "$status" -eq 75 ]
  grep -q '^nobody@exim.test bounced 5' <<< "$output"; grep -q '^c1@exim.test sent 2' <<< "$output"
  grep -q '^later@exim.test deferred 4' <<< "$output"; grep -q '^a@else.test bounced 5.* relay not permitted' <<< "$output"
  box exim/mail some
  head -c 400000 /dev/zero | tr '\0' 'x' | fold -w 70 > "$BATS_TEST_TMPDIR/big"
  run send --trace --host "127.0.0.1:$EXIM" -f joe@x.test c2@exim.test < <(printf 'Subject: x\n\n'; cat "$BATS_TEST_TMPDIR/big")
  echo "$output"
  grep -q '^c2@exim.test bounced 5.3.4' <<< "$output"; ! said 'BDAT'
}
sink_body() { python3 -c 'import json,sys
for l in open(sys.argv[1]):
    e = json.loads(l)
    if "Subject: " + sys.argv[2] in e.get("body", ""): sys.stdout.write(e["body"]); break' "$SINK" "$1"; }
arrived() { [ -n "$(sink_body "$1")" ]; }

@test "OpenSMTPD: no PIPELINING, no CHUNKING; 8BITMIME" {
  need "$SMTPD_OK" OpenSMTPD
  give_clear 'Subject: one\n\n.dot\n..two\nlast\n' ann@smtpd.test
  [ "$status" -eq 0 ]
  said 'DATA'; ! said BDAT
  # a command, then its reply
  grep -A1 '^> MAIL' <<< "$output" | grep -q '^< 250'
  wait_for 20 arrived one
  sink_body one | tr -d '\r' | sed '1,/^$/d' | cmp - <(printf '.dot\n..two\nlast') # (the log has no last line end)
  sink_body one | grep -q 'by mx.peer.test (OpenSMTPD) with ESMTP'
  give_clear 'Subject: eight\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nß\n' ann@smtpd.test
  [ "$status" -eq 0 ]; said 'MAIL.*BODY=8BITMIME'
  wait_for 20 arrived eight; sink_body eight | tr -d '\r' | grep -qx 'ß'
}
@test "OpenSMTPD: an address it cannot say, a domain it does not take, more than its SIZE" {
  need "$SMTPD_OK" OpenSMTPD
  give_clear 'Subject: ß\n\nx\n' --utf8 'aß@smtpd.test'
  [ "$status" -eq 69 ]; grep -q ' bounced 5.6.7 ' <<< "$output"; ! said 'MAIL'
  give_clear 'Subject: x\n\nx\n' ann@smtpd.test a@else.test
  [ "$status" -eq 69 ]
  grep -q '^ann@smtpd.test sent' <<< "$output"; grep -q '^a@else.test bounced 5' <<< "$output"
  head -c 400000 /dev/zero | tr '\0' 'x' | fold -w 70 > "$BATS_TEST_TMPDIR/big"
  run send --trace --host "127.0.0.1:$SMTPD" -f joe@x.test ann@smtpd.test < <(printf 'Subject: x\n\n'; cat "$BATS_TEST_TMPDIR/big")
  grep -q '^ann@smtpd.test bounced 5.3.4' <<< "$output"; ! said 'DATA'
}
# level PORT LEVEL RECIPIENT [OPTION...]: --host is an address, the name is told
level() {
  local port=$1 level=$2 to=$3; shift 3
  give "$port" "Subject: $level\n\nx\n" -o "smtp_tls_security_level=$level" -o smtp_tls_verify_cert_match=mx.peer.test "$@" "$to"
}
@test "exim: encrypt, verify and fingerprint; a certificate of nobody, another name, another key" {
  need "$EXIM_OK" exim
  local fp l
  fp=$(openssl x509 -in "$T/mx.peer.test.crt" -noout -fingerprint -sha256 | cut -d= -f2)
  for l in encrypt verify; do
    level "$EXIM" "$l" d1@exim.test; [ "$status" -eq 0 ]; said STARTTLS
    box exim/mail "$l"; grep -q 'with esmtps.*TLS1' "$BOX"
  done
  level "$EXIM" fingerprint d1@exim.test -o "smtp_tls_fingerprint_cert_match=$fp"; [ "$status" -eq 0 ]
  level "$EXIM" encrypt d1@exim.test -o smtp_tls_CAfile=/dev/null; [ "$status" -eq 0 ]
  for l in "verify -o smtp_tls_verify_cert_match=other.test" "fingerprint -o smtp_tls_fingerprint_cert_match=${fp/[0-9]/}" \
    "verify -o smtp_tls_CAfile=$T/exim.crt"; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out "$T/exim.crt" -days 3 -subj /CN=x 2>/dev/null
    level "$EXIM" ${l%% *} d1@exim.test ${l#* }
    [ "$status" -eq 75 ]; grep -q ' deferred 4.7.5 ' <<< "$output"; ! said MAIL
  done
}
@test "OpenSMTPD, whose handshake fails: in clear at level may, never at encrypt and verify" {
  need "$SMTPD_OK" OpenSMTPD
  local l
  for l in encrypt verify; do
    level "$SMTPD" "$l" ann@smtpd.test
    [ "$status" -eq 75 ]; grep -q ' deferred 4.7.5 ' <<< "$output"; said STARTTLS; ! said MAIL
  done
  level "$SMTPD" may ann@smtpd.test
  [ "$status" -eq 0 ]; said STARTTLS; said MAIL
  wait_for 20 arrived may
}
