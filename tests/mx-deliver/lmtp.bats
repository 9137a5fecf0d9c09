#!/usr/bin/env bats
# mx-deliver --lmtp: ESMTP and LMTP sessions, direct delivery, the queue.
load deliver
setup() { deliver_setup; }
teardown() { common_teardown; }

@test "ESMTP: one local recipient is delivered before the 250" {
  run talk <<EOF
> EHLO client
> MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME
> RCPT TO:<joe@virt.example>
> DATA
= $T/m
> QUIT
EOF
  [[ $output == *"250 2.0.0 Ok: delivered as "* ]]
  f=("$T"/vm/joe/new/*)
  [ ${#f[@]} -eq 1 ]
  cmp <(body "${f[0]}") "$T/m"
  [ "$(head -1 "${f[0]}")" = "Return-Path: <a@b.example>" ]
  grep -q '^X-Original-To: joe@virt.example$' "${f[0]}"
  grep -q '^Delivered-To: joe@virt.example$' "${f[0]}"
  grep -q '^Received: from client ' "${f[0]}"
  [ "$(queued)" -eq 0 ]
  grep -qE 'mx/virtual\[[0-9]+\]: [0-9A-Za-z]+: to=<joe@virt.example>, relay=virtual, delay=[0-9.]+, delays=[0-9.]+/0/0/0, dsn=2.0.0, status=sent \(delivered to maildir\)' "$T/log"
  grep -q 'message-id=<m1@x>' "$T/log"
}

@test "greeting, capabilities, XFORWARD only for those who are believed" {
  run talk <<< '> EHLO x'
  [[ ${lines[0]} == "220 mail.example.org "* ]]
  for c in PIPELINING 8BITMIME SMTPUTF8 ENHANCEDSTATUSCODES DSN CHUNKING "SIZE 10240000"; do
    [[ $output == *"$c"* ]]
  done
  [[ $output == *"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE LOGIN TLS"* ]]
}

@test "XFORWARD, MAIL and RCPT in one write get one answer; IDENT is the queue ID" {
  run talk <<EOF
> EHLO x
>> XFORWARD NAME=client.example ADDR=192.0.2.1 PORT=1 PROTO=ESMTP HELO=h IDENT=AB12cd SOURCE=REMOTE
>> MAIL FROM:<a@b>
>> RCPT TO:<joe@virt.example>
< 3
# $T/m
EOF
  [[ $output == *"Ok: delivered as AB12cd"* ]]
  ! grep -q '^Received:' "$T"/vm/joe/new/*
  grep -q 'AB12cd: to=<joe' "$T/log"
}

@test "LMTP: a reply for each recipient" {
  run talk <<EOF
> LHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> RCPT TO:<nobody@virt.example>
> RCPT TO:<ann@virt.example>
> RCPT TO:<someone@remote.example>
> DATA
= $T/m
< 2
> QUIT
EOF
  [ "$(grep -c '^250 2.0.0 Ok: delivered' <<< "$output")" -eq 2 ]
  [ "$(grep -c '^250 2.0.0 Ok: queued' <<< "$output")" -eq 1 ]
  [[ $output == *"550 5.1.1 <nobody@virt.example>: Recipient address rejected"* ]]
  [ "$(count vm/joe/new)" -eq 1 ] && [ "$(count vm/ann/new)" -eq 1 ]
  [ "$(queued)" -eq 1 ]
}

@test "several recipients: one queue entry, complete, then 250" {
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b> RET=HDRS ENVID=e+2B1
> RCPT TO:<joe@virt.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;joe+40x
> RCPT TO:<x@remote.example>
> RCPT TO:<x@remote.example>
# $T/m
EOF
  [[ $output == *"Ok: queued as "* ]]
  [ "$(queued)" -eq 1 ]
  q=$(find "$T/spool/queue" -type f)
  grep -q '^Q recipient: joe@virt.example$' "$q"
  [ "$(grep -c 'recipient: x@remote' "$q")" -eq 1 ]
  grep -q '^ notify: SUCCESS,FAILURE$' "$q"
  grep -q '^ orcpt: rfc822;joe@x$' "$q"
  grep -q '^ret: HDRS$' "$q" && grep -q '^envid: e+1$' "$q"
  tail -1 "$q" | grep -q '^mx-end: '
  [ "$(count vm/joe)" -eq 0 ]
}

@test "BDAT in pieces, bytes equal; a stray CR is a space; DATA inside BDAT is refused" {
  printf 'raw BDAT 10\\r\\nSubject: h\n< 1\nraw BDAT 7 LAST\\r\\ni\\r\\n\\r\\nx\\r\n< 1\n' > "$T/chunks"
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
$(head -1 "$T/chunks")
< 1
> DATA
$(sed -n 3p "$T/chunks")
< 1
EOF
  [[ $output == *"503 5.5.1"* ]]
  [[ $output == *"Ok: delivered"* ]]
  printf 'Subject: hi\n\nx ' | cmp - <(body "$T"/vm/joe/new/*)
}

@test "a BDAT chunk that is refused is consumed, not executed" {
  run talk <<'EOF'
> EHLO x
raw BDAT 37 LAST\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<j@v>\r\n\r\n
< 1
> NOOP
EOF
  [[ ${lines[-2]} == 503* ]]
  [[ ${lines[-1]} == "250 2.0.0 Ok" ]]
}

@test "BDAT with a size that is no number closes" {
  for s in -1 18446744073709551616 1e3 ''; do
    run talk <<< "> EHLO x
> BDAT $s LAST
> NOOP"
    [[ $output == *"501 5.5.4"* ]]
    [[ ${lines[-1]} == "(closed)" ]]
  done
}

@test "no smuggling: only CRLF.CRLF ends" {
  run talk <<'EOF'
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
raw Subject: hi\r\n\r\na\n.\nb\n.\r\nc\r\n.\nd\r.\re\r\n.\r\n
< 1
EOF
  [[ $output == *"Ok: delivered"* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  body "$T"/vm/joe/new/* | grep -q '^c$'
}

@test "a connection that ends before the dot leaves nothing" {
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
raw Subject: hi\r\n\r\nhalf
close
EOF
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> RCPT TO:<r@remote.example>
raw BDAT 100 LAST\r\nSubject
close
EOF
  [ "$(find "$T/vm" "$T/spool" -type f | wc -l)" -eq 0 ]
}

@test "too large: refused at MAIL, and at the end with 552, still in step" {
  conf 'message_size_limit = 1000'
  head -c 5000 /dev/zero | tr '\0' x | fold > "$T/big"
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b> SIZE=1001
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
= $T/big
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
# $T/big
> NOOP
EOF
  [ "$(grep -c '^552 5.3.4' <<< "$output")" -eq 3 ]
  [[ ${lines[-1]} == "250 2.0.0 Ok" ]]
  [ "$(find "$T/vm" -type f | wc -l)" -eq 0 ]
}

@test "order of commands, syntax, hostile lines" {
  run talk <<'EOF'
> MAIL FROM:<a@b>
> EHLO
> EHLO x
> RCPT TO:<joe@virt.example>
> DATA
> MAIL FROM:a b
> MAIL FROM:<a@b> NONSENSE=1
> MAIL FROM:<a@b>
> MAIL FROM:<a@b>
> DATA
> RCPT TO:<>
> RCPT TO:<-oQ/tmp@virt.example>
> RCPT TO:<joe@virt.example> NOTIFY=NEVER,SUCCESS
> VRFY joe
> FROB
> RSET
> RCPT TO:<joe@virt.example>
raw NOOP\0x\r\n
< 1
EOF
  codes=$(grep -oE '^[0-9]{3} ' <<< "$output" | tr -d '\n')
  [ "$codes" = "220 503 501 250 503 503 555 555 250 503 554 501 501 501 252 500 250 503 500 " ]
}

@test "long lines: 500 and the session goes on; too many errors: 421" {
  run talk <<EOF
> EHLO x
> NOOP $(head -c 5000 /dev/zero | tr '\0' a)
> NOOP
EOF
  [ "$(grep -c '^500 ' <<< "$output")" -eq 1 ]
  [[ ${lines[-1]} == "250 2.0.0 Ok" ]]
  run talk <<< "$(for i in $(seq 25); do echo '> FROB'; done)"
  [[ $output == *"421 4.7.0"* ]]
}

@test "hop count and Delivered-To loops are refused" {
  { for i in $(seq 51); do echo "Received: from x by y"; done; echo; echo x; } > "$T/hops"
  printf 'Delivered-To: joe@virt.example\n\nx\n' > "$T/loop"
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
= $T/hops
> MAIL FROM:<a@b>
> RCPT TO:<Joe@virt.example>
> DATA
= $T/loop
EOF
  [[ $output == *"554 5.4.0 Error: too many hops"* ]]
  [[ $output == *"554 5.4.6 mail forwarding loop for "* ]]
  [ "$(find "$T/vm" -type f | wc -l)" -eq 0 ]
}

@test "a mailbox that cannot be written is 451, not 550" {
  mkdir "$T/vm/joe"; echo > "$T/vm/joe/tmp"; ln -s /nowhere "$T/vm/ann"
  [ "$(id -u)" -ne 0 ] || chown -Rh nobody "$T/vm"
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
= $T/m
> MAIL FROM:<a@b>
> RCPT TO:<ann@virt.example>
> DATA
= $T/m
EOF
  [ "$(grep -c '^451 4' <<< "$output")" -eq 2 ]
}

@test "a full disk is 452 or 451 and leaves nothing" {
  need_root
  mount -t tmpfs -o size=256k tmpfs "$T/vm" || skip "no tmpfs mount here"
  chmod 777 "$T/vm"
  head -c 600000 /dev/zero | tr '\0' x | fold > "$T/big"
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
= $T/big
> NOOP
EOF
  left=$(find "$T/vm" -type f | wc -l)
  umount "$T/vm"
  [[ $output == *$'\n45'[12]* ]]
  [[ ${lines[-1]} == "250 2.0.0 Ok" ]]
  [ "$left" -eq 0 ]
}

@test "a full queue is 451" {
  need_root
  mount -t tmpfs -o size=200k tmpfs "$T/spool" || skip "no tmpfs mount here"
  chown nobody "$T/spool"
  head -c 600000 /dev/zero | tr '\0' x | fold > "$T/big"
  run talk <<EOF
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<r@remote.example>
> DATA
= $T/big
EOF
  left=$(find "$T/spool" -type f | wc -l)
  umount "$T/spool"
  [[ ${lines[-1]} == 45[12]" 4.3."* ]]
  [ "$left" -eq 0 ]
}

@test "the submit profile: login is the peer's uid, XFORWARD is refused, Received added" {
  serve --listen "unix:$T/run/submit"
  [ "$(stat -c %a "$T/run/submit")" = 666 ]
  [ "$(stat -c %a "$T/run/deliver")" = 660 ]
  TALK=$T/run/submit
  run talk <<EOF
> EHLO x
> XFORWARD ADDR=192.0.2.1
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> DATA
= $T/m
EOF
  [[ $output != *"250-XFORWARD"* ]]
  [[ $output == *"550 5.7.0"* ]]
  grep -q "^Received: by mail.example.org (mx, from userid $(id -un)) id " "$T"/vm/joe/new/*
}

@test "XFORWARD from a uid that is not listed is refused" {
  need_root
  conf 'authorized_forward_users = root' 'net_user = daemon'
  serve
  chmod 777 "$T/run/deliver"
  run su -s /bin/sh daemon -c "printf '> EHLO x\n> XFORWARD ADDR=1.2.3.4\n' | python3 $BATS_TEST_DIRNAME/talk.py $T/run/deliver"
  [[ $output == *"550 5.7.0"* ]]
  run python3 "$BATS_TEST_DIRNAME/talk.py" "$T/run/deliver" <<< '> EHLO x
> XFORWARD ADDR=1.2.3.4'
  [[ ${lines[-1]} == "250 2.0.0 Ok" ]]
}

@test "ten clients at once, fifty messages, none lost" {
  serve
  python3 - "$T/run/deliver" <<'PY'
import smtplib, socket, sys, threading
class U(smtplib.LMTP): pass
def one(i):
    c = smtplib.LMTP(sys.argv[1])
    for k in range(5):
        c.sendmail("a@b", ["joe@virt.example"], "Subject: %d\n\n%d.%d\n" % (i, i, k))
    c.quit()
t = [threading.Thread(target=one, args=(i,)) for i in range(10)]
[x.start() for x in t]; [x.join() for x in t]
PY
  [ "$(count vm/joe/new)" -eq 50 ]
  [ "$(cat "$T"/vm/joe/new/* | grep -cE '^[0-9]\.[0-9]$')" -eq 50 ]
  [ "$(count vm/joe/tmp)" -eq 0 ]
}

@test "one flush a message, no fork and no exec on the default path" {
  [ "$(stat -f -c %T "$T")" = ext2/ext3 ] || skip "not on ext4"
  [ "$(id -u)" -ne 0 ] || { conf "mail_owner ="; chown root "$T"/{vm,spool}; }
  python3 "$BATS_TEST_DIRNAME/talk.py" "exec:strace -f -o $T/st -e trace=fsync,fdatasync,rename,renameat,renameat2,clone,clone3,fork,vfork,execve,openat,sync_file_range mx-deliver --lmtp" <<EOF 2>"$T/log"
> EHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
# $T/m
> NOOP
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
# $T/m
> NOOP
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
# $T/m
EOF
  [ "$(count vm/joe/new)" -eq 3 ]
  # behind the second message: exactly one of each
  last=$(grep -n 'renameat' "$T/st" | sed -n 2p | cut -d: -f1)
  tail -n "+$((last + 2))" "$T/st" > "$T/tail"
  [ "$(grep -c 'fsync(' "$T/tail")" -eq 1 ]
  [ "$(grep -cE 'clone|fork|execve' "$T/tail")" -eq 0 ]
  [ "$(grep -c 'O_CREAT' "$T/tail")" -eq 1 ]
  # rename, then fsync
  grep -oE 'renameat|fsync' "$T/tail" | tr '\n' ' ' | grep -q '^renameat fsync $'
}

@test "a Maildir that is renamed away while a message comes: 451, not into the old one" {
  serve
  mkfifo "$T/go"
  { printf '> EHLO x\n> MAIL FROM:<a@b>\n> RCPT TO:<joe@virt.example>\n> DATA\nraw Subject: x\\r\\n\\r\\n\n'
    cat "$T/go"; printf 'raw body\\r\\n.\\r\\n\n< 1\n'; } | talk > "$T/out" &
  local pid=$!
  wait_for 10 sh -c 'ls "$1"/vm/joe/tmp 2>/dev/null | grep -q .' - "$T"
  mv "$T/vm/joe" "$T/vm/old"
  echo > "$T/go"
  wait $pid
  tail -n 1 "$T/out" | grep -q '^451 4.2.0'
  [ "$(count vm/old)" -eq 0 ]
  printf '> EHLO x\n> MAIL FROM:<a@b>\n> RCPT TO:<joe@virt.example>\n# %s\n' "$T/m" | talk > "$T/out"
  tail -n 1 "$T/out" | grep -q '^250'
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "MAIL: no sender that looks like an option, no UTF-8 without SMTPUTF8" {
  run talk <<'X'
> EHLO x
> MAIL FROM:<-oQ/tmp@x.example>
> MAIL FROM:<"ü SMTPUTF8"@x.example>
> MAIL FROM:<"ü SMTPUTF8"@x.example> SMTPUTF8
> RSET
> MAIL FROM:<"u SMTPUTF8"@x.example>
X
  printf '%s\n' "${lines[@]}"
  n=${#lines[@]}
  [[ ${lines[$((n-5))]} == "501 5.1.7"* ]]
  [[ ${lines[$((n-4))]} == "550 5.6.7"* ]]
  [[ ${lines[$((n-3))]} == 250* ]]
  [[ ${lines[$((n-1))]} == 250* ]]
}
