# Kept filters (mx-serve(5)): the same story gives the same bytes, actions and
# statuses, kept and run once a message; what dies, hangs or lies costs a 451.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  printf 'myhostname = mx.test\n' > "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
  KEPT="/usr/bin/python3 $BATS_TEST_DIRNAME/kept.py"
  printf 'From: a@mx.test\nTo: b@mx.test\nSubject: one\n\nHello\n' > "$T/1"
  printf 'Subject: urgent [list]\nFrom: =?utf-8?q?x?= <a@mx.test>\nX-Loop: 1\n\n%s\n' "$(seq 20000)" > "$T/2"
  printf 'From: a@mx.test\r\nSubject: crlf\r\n\r\nHello\r\n' > "$T/3"
  printf 'no header at all' > "$T/4"
  : > "$T/5"
  printf 'From: a@mx.test, c@other.test\nFrom: b@x.test\n\nx\n' > "$T/6"
  head -c 3000000 /dev/urandom | base64 | { printf 'From: a@mx.test\nSubject: big\n\n'; cat; } > "$T/7"
}
teardown() { common_teardown; }

@test "mx-dkimsign: the same signatures; nothing grows in a thousand" {
  mx-dkimsign --genkey -d mx.test -s s -D "$T"
  run -0 $KEPT "$T"/[1-7] -- mx-dkimsign -d mx.test -s s -k "$T/s.private" -t 1700000000
  [[ $output == "7 messages, statuses [0, 65]" ]]
  run -0 $KEPT -r 150 "$T"/[1-6] -- mx-dkimsign -d mx.test -s s -k "$T/s.private" -t 1700000000
}

@test "mx-filter sieve and headers: the same actions, the script by the environment" {
  cat > "$T/s.sieve" <<'S'
require ["fileinto", "imap4flags", "copy", "variables", "reject"];
if header :contains "subject" "urgent" { fileinto :copy :flags "\\Flagged" "Urgent"; redirect "c@mx.test"; }
elsif size :over 1M { reject "too big"; }
elsif header :matches "subject" "*" { set "s" "${1}"; fileinto "${s}"; }
S
  run -0 $KEPT -e MX_SIEVE_SCRIPT="$T/s.sieve" "$T"/[1-7] -- mx-filter sieve --actions
  [[ $output == "7 messages, statuses [0"* ]]
  run -0 $KEPT -r 150 -e MX_SIEVE_SCRIPT="$T/s.sieve" "$T"/[1-6] -- mx-filter sieve --actions
  cat > "$T/checks" <<'S'
/^Subject: one/ PREPEND X-One: yes
/^Subject: crlf/ REJECT no such thing
/^X-Loop:/ IGNORE
S
  run -0 $KEPT "$T"/[1-7] -- mx-filter headers "regexp:$T/checks"
  [[ $output == "7 messages, statuses [0, "*69* ]]
}

@test "mx-dnscheck auth: the same results" {
  p=$(free_port)
  cat > "$T/zone" <<'Z'
$ORIGIN mx.test.
@ 60 IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc IN TXT "v=DMARC1; p=reject"
Z
  dns_serve "$p" mx.test "$T/zone"
  echo "resolver = 127.0.0.1:$p" >> "$T/mx.conf"
  run -0 $KEPT -e MX_CLIENT_ADDR=192.0.2.1 -e MX_SENDER=a@mx.test -e MX_HELO=mx.test "$T"/[1-7] -- mx-dnscheck auth --authserv-id mx.test
  run -0 $KEPT -r 150 -e MX_CLIENT_ADDR=192.0.2.9 -e MX_SENDER=a@mx.test "$T"/[1-6] -- mx-dnscheck auth --authserv-id mx.test
}

@test "what is no filter has no --serve; a malformed request ends it" {
  run mx-dnscheck --serve mx example.test < /dev/null
  [ "$status" -eq 64 ]
  [[ $output == *"this is no filter"* ]]
  run mx-recv --serve < /dev/null
  [ "$status" -eq 64 ]
  run bash -c "printf 'MESSAGE 1 1 99999999999999999999\n' | mx-filter --serve headers"
  [ "$status" -eq 65 ]
  run bash -c "printf 'MESSAGE 1 3 0\nA=B' | mx-filter --serve headers"
  [ "$status" -eq 65 ]
  run bash -c "printf 'MESSAGE 1 4 10\nA=B\0short' | mx-filter --serve headers"
  [ "$status" -eq 65 ]
  # the request of version 1, and a serial that is no number
  run -65 bash -c "printf 'MESSAGE 0 4\nx\n\n' | mx-filter --serve headers"
  run -65 bash -c "printf 'MESSAGE x 0 0\n' | mx-filter --serve headers"
  run -0 bash -c "mx-filter --serve headers < /dev/null"
  [ "$output" = "mx-serve 2" ]
}

# host DIR: mx-deliver with one virtual mailbox and a filter "mx-filter" that
# is a script of the test
fake() {
  mkdir -p "$T/bin" "$T/box"
  ln -sf "$MX_BIN/mx-deliver" "$T/bin/mx-deliver.real"
  cp "$MX_BIN/mx-deliver" "$T/bin/mx-deliver"
  cat > "$T/bin/mx-filter"; chmod 755 "$T/bin/mx-filter"
  chmod 777 "$T/box"
  cat >> "$T/mx.conf" <<C
mydestination =
virtual_mailbox_domains = mx.test
virtual_mailbox_base = $T/box
virtual_mailbox_maps = static:b/
queue_directory = $T/spool
run_directory = $T/run
inbound_filter = mx-filter headers
filter_time_limit = 2s
C
}
lmtp() {
  printf 'LHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nRSET\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\nSubject: y\r\n\r\ny\r\n.\r\nQUIT\r\n' |
    setpriv --reuid=65534 --regid=65534 --clear-groups "$T/bin/mx-deliver" --lmtp 2>&1
}
answers() { grep -cE "^$1" <<<"$output"; }

@test "a stage that dies, hangs or lies: 451, and the next message has a fresh one" {
  need_root
  for how in 'exit 1' 'sleep 60' 'printf "HELLO\n"' 'printf "STATUS 1 0 9\n"' 'printf "STATUS 1 0 -1 0 0\n"'; do
    fake <<S
#!/bin/bash
printf 'mx-serve 2\n'
read -r line
if [ ! -e $T/box/second ]; then : > $T/box/second; $how; exit 1; fi
read -r _ k e n <<<"\$line"
head -c "\$e" > /dev/null; m=\$(head -c "\$n"; echo .); m=\${m%.}
printf 'STATUS %d 0 %d 0 0\n%sEND %d\n' "\$k" "\${#m}" "\$m" "\$k"
S
    rm -f "$T/box/second"
    run lmtp
    [ "$(answers 451)" -eq 1 ] || { echo "$how: $output"; false; }
    [ "$(answers 250.2.0.0)" -ge 1 ]
    [ "$(find "$T/box/b/new" -type f | wc -l)" -eq 1 ]
    rm -rf "$T/box/b"
  done
}

@test "a stage that does not start: 451 with what it said in the log" {
  need_root
  fake <<'S'
#!/bin/bash
echo "mx-filter: no such table" >&2
exit 78
S
  run lmtp
  [ "$(answers 451)" -eq 2 ]
  [[ $output == *"no such table"* ]]
}

@test "a stage of another version is refused in words" {
  need_root
  fake <<'S'
#!/bin/bash
echo "mx-serve 1"
exec sleep 60
S
  run lmtp
  [ "$(answers 451)" -eq 2 ]
  [[ $output == *"a kept filter speaks mx-serve 1, not mx-serve 2: it is of another version of mx"* ]]
}

@test "the example of mx-serve(5)" {
  sed -n '/^\.Bd/,/^\.Ed/p' "$ROOT/man/mx-serve.5" | sed '1d;$d;s/\\e/\\/g' > "$T/page"
  run -0 bash -c "$(sed -n '1s/^\$ //p' "$T/page")"
  [ "$output" = "$(sed 1d "$T/page")" ]
}
