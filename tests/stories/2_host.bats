# Story 2: my own mail host: submission, signing, MX, another host (mx, or a
# real Postfix), verification, Sieve, IMAPS; and back.
load ../lib/common
load ../lib/host
load ../lib/postfix

setup() {
  common_setup
  mapfile -t p < <(free_port 2); PORT=${p[0]} DNS=${p[1]}
  export HOST_SMTP_PORT=$PORT
  A=$T/a B=$T/b
  HOST_ADDR=127.0.1.1 host_make "$A" mail.a.test a.test alice:wonder
  HOST_ADDR=127.0.2.1 host_make "$B" mail.b.test b.test bob:builder
  zone a 127.0.1.1 "$A/keys/mx.txt"
  zone b 127.0.2.1 "$B/keys/mx.txt"
  printf '$ORIGIN 127.in-addr.arpa.\n@ 60 IN SOA ns.a.test. h.a.test. 1 2 3 4 5\n@ IN NS ns.a.test.\n1.1.0 IN PTR mail.a.test.\n1.2.0 IN PTR mail.b.test.\n' > "$T/rev.zone"
  dns_serve "$DNS" a.test "$T/a.zone" b.test "$T/b.zone" 127.in-addr.arpa "$T/rev.zone"
  echo "resolver = 127.0.0.1:$DNS" | tee -a "$A/mx.conf" >> "$B/mx.conf"
  cat > "$B/sieve/bob@b.test.sieve" <<'SIEVE'
require ["fileinto", "mailbox"];
if address :domain "from" "a.test" { fileinto :create "From.A"; }
SIEVE
  chmod 644 "$B/sieve/bob@b.test.sieve"
}
teardown() { host_stop "$A"; host_stop "$B"; common_teardown; }

zone() { # NAME ADDR KEYRECORD
  cat > "$T/$1.zone" <<ZONE
\$ORIGIN $1.test.
@ 60 IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
mail IN A $2
@ IN MX 10 mail
@ IN TXT "v=spf1 ip4:$2 -all"
_dmarc IN TXT "v=DMARC1; p=reject"
$(cat "$3")
ZONE
}

submit() { # FROM-HOST-DIR USER PASSWORD TO
  host_env "$1"
  swaks --server "$ADDR:$SUBMISSION" --tls --auth PLAIN --auth-user "$2" --auth-password "$3" \
    --from "$2" --to "$4" --header "Subject: from $2" --body "greetings" >"$T/swaks" 2>&1 || { cat "$T/swaks" >&2; return 1; }
}

has_mail() { [ -n "$(find "$1"/new "$1"/cur -type f 2>/dev/null)" ]; }

@test "mx to mx: signed, found by MX, SPF DKIM DMARC pass, filed, read by IMAP clients" {
  host_start "$A"; host_start "$B"
  submit "$A" alice@a.test wonder bob@b.test
  wait_for 20 has_mail "$B/mail/b.test/bob/.From.A" || { cat "$A/log" "$B/log" >&2; false; }
  m=$(find "$B/mail/b.test/bob/.From.A" -name '*S=*')
  grep -q '^DKIM-Signature: v=1; a=rsa-sha256; .*d=a.test' "$m"
  tr -d '\n\t' < "$m" | grep -q 'Authentication-Results: mail.b.test; spf=pass.*dkim=pass'
  grep -q '^Authentication-Results: mail.b.test; dmarc=pass' "$m"
  grep -q 'status=sent (250' "$A/log" || grep -q 'status=sent' "$A/log"
  host_env "$B"
  # curl
  run curl -sS -k --url "imaps://$ADDR:$IMAPS/From.A;MAILINDEX=1" --user bob@b.test:builder
  [ "$status" -eq 0 ]
  [[ "$output" == *greetings* ]]
  # Python's imaplib
  run python3 - "$ADDR" "$IMAPS" <<'PY'
import imaplib, ssl, sys
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
m = imaplib.IMAP4_SSL(sys.argv[1], int(sys.argv[2]), ssl_context=c)
m.login("bob@b.test", "builder")
print(m.select('"From.A"'))
t, d = m.fetch("1", "(UID FLAGS ENVELOPE BODYSTRUCTURE)")
print(d)
t, d = m.search(None, "SUBJECT", '"from alice"')
assert d == [b"1"], d
m.store("1", "+FLAGS", "\\Answered")
print(m.fetch("1", "(FLAGS)"))
m.logout()
PY
  [ "$status" -eq 0 ] || { echo "$output" >&2; false; }
  [[ "$output" == *'"from alice@a.test"'* ]]
  [[ "$output" == *'\\Answered'* ]]
  # mbsync verifies the certificate's name: localhost is one of them
  spawn mx-imapd -c "$B/mx.conf" --listen "imaps=127.0.0.1:$IMAPS"
  wait_port "$IMAPS"
  cat > "$T/mbsyncrc" <<RC
IMAPAccount b
Host localhost
Port $IMAPS
User bob@b.test
Pass builder
SSLType IMAPS
CertificateFile $B/tls/cert.pem

IMAPStore far
Account b

MaildirStore near
Path $T/synced/
Inbox $T/synced/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Near
SyncState *
RC
  mkdir -p "$T/synced"
  HOME=$T run mbsync -c "$T/mbsyncrc" -a
  [ "$status" -eq 0 ] || { echo "$output" >&2; false; }
  run grep -rl greetings "$T/synced"
  [ "${#lines[@]}" -eq 1 ]
  # mutt
  cat > "$T/muttrc" <<RC
set folder=imaps://bob%40b.test:builder@$ADDR:$IMAPS/
set ssl_verify_host=no ssl_verify_dates=no certificate_file=$B/tls/cert.pem
set imap_user=bob@b.test imap_pass=builder
RC
  HOME=$T TERM=dumb run timeout 20 mutt -n -F "$T/muttrc" -f "imaps://$ADDR:$IMAPS/From.A" -e 'push <exit>' < /dev/null
  # and back
  submit "$B" bob@b.test builder alice@a.test
  wait_for 20 has_mail "$A/mail/a.test/alice" || { cat "$A/log" "$B/log" >&2; false; }
  m=$(find "$A/mail/a.test/alice/new" -type f)
  grep -q '^Authentication-Results: mail.a.test; dmarc=pass' "$m"
}

@test "mx to a real Postfix, and back" {
  need_root
  mkdir "$T/in"; chmod 777 "$T/in"
  POSTFIX_ADDR=127.0.2.1 postfix_start pf "$PORT" "mydestination = b.test" "mynetworks = 127.0.2.1/32" \
    "relayhost = [127.0.1.1]:$PORT" "home_mailbox = Maildir/" "smtp_bind_address = 127.0.2.1" \
    "virtual_mailbox_domains =" "local_recipient_maps =" "mailbox_command = cat > $T/in/got; exit 0" "myhostname = mail.b.test"
  # a peer that is slow to greet is tried again soon
  printf 'smtp_helo_timeout = 5s\nminimal_backoff_time = 1s\n' >> "$A/mx.conf"
  host_start "$A"
  submit "$A" alice@a.test wonder daemon@b.test
  wait_for 40 test -s "$T/in/got" || { cat "$A/log" "$T/pf/log" >&2; false; }
  grep -q 'd=a.test' "$T/in/got"
  grep -q greetings "$T/in/got"
  grep -q 'relay=mail.b.test\[127.0.2.1\]:'"$PORT"'.*dsn=2.0.0, status=sent' "$A/log"
  # and back: Postfix relays for its own network
  swaks --server "127.0.2.1:$PORT" --local-interface 127.0.2.1 --from bob@b.test --to alice@a.test --header "Subject: back" >"$T/swaks" 2>&1
  wait_for 20 has_mail "$A/mail/a.test/alice" || { cat "$A/log" "$T/pf/log" >&2; false; }
  m=$(find "$A/mail/a.test/alice/new" -type f)
  tr -d '\n\t' < "$m" | grep -q 'spf=pass'
}
