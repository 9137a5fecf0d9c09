#!/usr/bin/env bats
# mx-deliver: a user's Sieve script decides; actions are carried out here.
# The interpreter is a stand-in that prints action lines, so that every
# answer it may give is tried.
load deliver
setup() {
  deliver_setup
  mkdir "$T/bin"
  cp "$(command -v mx-deliver)" "$T/bin/"
  cat > "$T/interpreter" <<EOF
[ "\$1 \$2" = "sieve --actions" ] || exit 64
cat > "$T/seen"
env > "$T/seen.env"
. "\$MX_SIEVE_SCRIPT"
EOF
  printf '#!/bin/sh\nexec python3 "%s" "%s" "$@"\n' "$ROOT/tests/lib/kept.py" "$T/interpreter" > "$T/bin/mx-filter"
  chmod 755 "$T/bin/mx-filter"
  touch "$T/seen" "$T/seen.env"; chmod 666 "$T"/seen*
  PATH=$T/bin:$PATH
  conf "sieve = $T/%n.sieve"
}
teardown() { common_teardown; }

script() { printf '%s\n' "$1" > "$T/joe.sieve"; }
send() {
  local to=${TO-joe@virt.example}
  { echo '> EHLO x'; echo "> MAIL FROM:<${FROM-a@b}>"; echo "> RCPT TO:<$to>"; echo "# $T/m"; } |
    talk | tail -n 1
}
act() { script "printf '$1\\n'"; send; }

@test "no script: no interpreter is started" {
  [[ $(send) == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  [ ! -s "$T/seen" ]
}

@test "keep with flags; the script sees message and envelope" {
  [[ $(act 'keep\tflags=\\Seen \\Flagged') == *delivered* ]]
  f=("$T"/vm/joe/cur/*)
  [[ ${f[0]} == *:2,FS ]]
  cmp <(body "$T/seen") "$T/m"
  grep -qx 'MX_SENDER=a@b' "$T/seen.env"
  grep -qx 'MX_RECIPIENTS=joe@virt.example' "$T/seen.env"
}

@test "keywords: a known one keeps its letter, a new one is added as Dovecot does" {
  mkdir -p "$T/vm/joe"
  printf '0 $Forwarded\n1 Work\n' > "$T/vm/joe/dovecot-keywords"
  [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/vm/joe"
  inode=$(stat -c %i "$T/vm/joe/dovecot-keywords")
  [[ $(act 'keep\tflags=work \\Seen') == *delivered* ]]
  f=("$T"/vm/joe/cur/*)
  [[ ${f[0]} == *:2,Sb ]]
  [ "$(stat -c %i "$T/vm/joe/dovecot-keywords")" = "$inode" ]
  rm "$T"/vm/joe/cur/*
  [[ $(act 'keep\tflags=urgent $Forwarded') == *delivered* ]]
  f=("$T"/vm/joe/cur/*)
  [[ ${f[0]} == *:2,ac ]]
  grep -qx '2 urgent' "$T/vm/joe/dovecot-keywords"
  [ ! -e "$T/vm/joe/dovecot-keywords.lock" ]
  [[ $(act 'fileinto\tNew\tflags=urgent') == *delivered* ]]
  grep -qx '0 urgent' "$T/vm/joe/.New/dovecot-keywords"
  [[ $(act 'keep\tflags=bad(word) x]') == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "all letters taken: the mail comes without the keyword" {
  mkdir -p "$T/vm/joe"
  for i in $(seq 0 25); do echo "$i k$i"; done > "$T/vm/joe/dovecot-keywords"
  [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/vm/joe"
  [[ $(act 'keep\tflags=another k25') == *delivered* ]]
  f=("$T"/vm/joe/cur/*)
  [[ ${f[0]} == *:2,z ]]
  grep -q 'keyword another is not stored: all 26' "$T/log"
}

@test "a redirect waits for the mailbox copy: when that fails it is taken back" {
  # a folder that cannot be opened: a file stands in its place
  mkdir -p "$T/vm/joe"; : > "$T/vm/joe/.A"
  [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/vm/joe"
  script "printf 'redirect\\tfar@remote.example\\tcopy\\nfileinto\\tA\\n'"
  [[ $(send) == 451* ]]
  [ "$(queued)" -eq 0 ]
  rm "$T/vm/joe/.A"
  [[ $(send) == *delivered* ]]
  [ "$(queued)" -eq 1 ]
  # due now, not a minute later
  [ "$(stat -c %Y "$(find "$T/spool/queue" -type f)")" -le "$(date +%s)" ]
}

@test "fileinto: the folder is made, marked, named in modified UTF-7" {
  [[ $(act 'fileinto\tLists.Entwürfe') == *delivered* ]]
  d="$T/vm/joe/.Lists.Entw&APw-rfe"
  [ -e "$d/maildirfolder" ]
  [ "$(ls "$d/new" | wc -l)" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 0 ] && [ "$(count vm/joe/tmp)" -eq 0 ]
  [ ! -e "$T/vm/joe/subscriptions" ]
  grep -q 'delivered to maildir: Lists.Entw' "$T/log"
  [[ $(act 'fileinto\tNews\tcreate') == *delivered* ]]
  [[ $(act 'fileinto\tNews\tcreate') == *delivered* ]]
  [ "$(cat "$T/vm/joe/subscriptions")" = News ]
}

@test "several folders and keep: one file, a name in each" {
  [[ $(act 'keep\nfileinto\tA\nfileinto\tB\tflags=\\Seen\nfileinto\tA') == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  [ "$(count vm/joe/.A/new)" -eq 1 ]
  f=("$T"/vm/joe/.B/cur/*:2,S)
  [ "$(stat -c %h "${f[0]}")" -eq 3 ]
}

@test "names that lead elsewhere are refused for now, nothing is lost" {
  for n in '../x' 'a/b' '.hidden' 'a..b' ; do
    [[ $(act "fileinto\\t$n") == 451* ]]
  done
  [ "$(find "$T/vm" -type f -path '*/new/*' | wc -l)" -eq 0 ]
}

@test "discard; redirect with and without keep, null sender stays null" {
  [[ $(act 'discard') == *250* ]]
  [ "$(count vm/joe/new)" -eq 0 ]
  FROM=
  [[ $(act 'redirect\tfar@remote.example') == *250* ]]
  [ "$(count vm/joe/new)" -eq 0 ]
  q=$(find "$T/spool/queue" -type f)
  grep -qx 'sender: <>' "$q"
  grep -q '^Q recipient: far@remote.example' "$q"
  grep -q '^X-Sieve-Redirected-From: joe@virt.example' "$q"
  FROM=a@b
  [[ $(act 'redirect\tfar@remote.example\tcopy\nkeep') == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  [ "$(queued)" -eq 2 ]
}

@test "at most sieve_max_redirects, then keep" {
  [[ $(act 'redirect\ta@r\nredirect\tb@r\nredirect\tc@r\nredirect\td@r\nredirect\te@r') == *delivered* ]]
  [ "$(queued)" -eq 4 ]
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "reject and ereject are the answer" {
  [[ $(act 'reject\tnot here, please') == "550 5.7.1 not here, please" ]]
  [[ $(act 'ereject\tno\\n way') == "550 5.7.1 no  way" ]]
  [ "$(count vm/joe/new)" -eq 0 ] && [ "$(count vm/joe/tmp)" -eq 0 ]
}

@test "a script that fails never bounces: kept, with a warning" {
  for s in 'echo "line 3: oops" >&2; exit 65' 'kill -9 $$' 'exit 75' 'exit 69' ''; do
    script "$s"
    [[ $(send) == *delivered* ]]
  done
  [ "$(count vm/joe/new)" -eq 5 ]
  script 'echo "line 3: oops" >&2; exit 65'
  send
  grep -q 'sieve: .*line 3: oops: kept in the inbox' "$T/log"
  [[ $(act 'nonsense\tx') == *delivered* ]]
}

@test "the queue is away: the redirect is 451 and nothing is delivered" {
  rm -rf "$T/spool"; touch "$T/spool"
  [[ $(act 'redirect\tfar@remote.example\nkeep') == 451* ]]
  [ "$(count vm/joe/new)" -eq 0 ]
}

@test "a system user's script runs as the user" {
  need_root
  MXUSER=mxs$$
  useradd -M -d "$T/home" -s /bin/sh "$MXUSER" || skip "useradd does not work here"
  mkdir "$T/home"; chown "$MXUSER:" "$T/home"
  conf 'sieve = ~/.dovecot.sieve'
  printf 'printf "fileinto\\t%%s\\n" "$(id -un)"\n' > "$T/home/.dovecot.sieve"
  run mx-deliver -d "$MXUSER" < "$T/m"
  userdel -f "$MXUSER"
  [ "$status" -eq 0 ]
  [ "$(find "$T/home/Maildir/.$MXUSER/new" -type f | wc -l)" -eq 1 ]
}

@test "the real interpreter: fileinto with flags, redirect :copy, reject, a broken script" {
  rm "$T/bin/mx-filter"
  [ -x "$MX_BIN/mx-filter" ] || skip "mx-filter is not built"
  cp "$MX_BIN/mx-filter" "$T/bin/"
  cat > "$T/joe.sieve" <<'EOF'
require ["fileinto", "imap4flags", "mailbox", "copy", "envelope"];
if allof (header :contains "subject" "hi", envelope :is "from" "a@b") {
  fileinto :create :flags ["\\Flagged", "\\Seen"] "Lists.a";
  redirect :copy "far@remote.example";
}
EOF
  [[ $(send) == *delivered* ]]
  f=("$T"/vm/joe/.Lists.a/cur/*:2,FS)
  cmp <(body "${f[0]}") "$T/m"
  [ "$(queued)" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 0 ]
  echo 'require "reject"; reject "not today";' > "$T/joe.sieve"
  [[ $(send) == "550 5.7.1 not today" ]]
  echo 'require "fileinto"; fileinto' > "$T/joe.sieve"
  [[ $(send) == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "sieve_before, the user's, sieve_after: each while the one before it keeps" {
  mkdir "$T/global"
  conf "sieve_before = $T/before.sieve $T/missing.sieve $T/global" "sieve_after = $T/after.sieve"
  s() { printf "echo '%s' >> $T/order; printf '%s'\n" "$1" "$2" > "$T/$1.sieve"; }
  touch "$T/order"; chmod 666 "$T/order"
  s before 'fileinto\tCopies\tcopy\nkeep\n'; s global/20 'keep\n'; s global/10 'keep\n'; echo 'exit 1' > "$T/global/no"
  s joe 'fileinto\tMine\nkeep\n'; s after 'fileinto\tLast\n'
  [[ $(send) == *delivered* ]]
  [ "$(tr '\n' ' ' < "$T/order")" = 'before global/10 global/20 joe after ' ]
  [ "$(count vm/joe/.Copies/new)" -eq 1 ] && [ "$(count vm/joe/.Mine/new)" -eq 1 ] && [ "$(count vm/joe/.Last/new)" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 0 ]
  # the user takes the keep away: nothing runs behind it
  : > "$T/order"; s joe 'discard\n'
  [[ $(send) == 250* ]]
  [ "$(tr '\n' ' ' < "$T/order")" = 'before global/10 global/20 joe ' ]
  # no script of the user's; one that fails keeps, and the next one decides
  rm "$T/joe.sieve"; echo 'exit 65' > "$T/before.sieve"
  [[ $(send) == *delivered* ]]
  [ "$(count vm/joe/.Last/new)" -eq 2 ]
  # a junk folder for all, as a published set-up has it
  s before 'fileinto\tJunk\tcreate\n'; : > "$T/order"
  [[ $(send) == *delivered* ]]
  [ "$(count vm/joe/.Junk/new)" -eq 1 ]
  [ "$(cat "$T/order")" = before ]
  s before 'reject\tno\n'
  [[ $(send) == 550* ]]
}

@test "leftovers of a crash in tmp/ are swept after 36 hours" {
  mkdir -p "$T"/vm/joe/{cur,new,tmp}
  touch -d '40 hours ago' "$T/vm/joe/tmp/old"; touch "$T/vm/joe/tmp/young"
  [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/vm"
  # it is looked at now and then
  for i in $(seq 300); do
    mx-deliver -f a@b joe@virt.example < "$T/m" 2>/dev/null
    [ -e "$T/vm/joe/tmp/old" ] || break
  done
  [ ! -e "$T/vm/joe/tmp/old" ] && [ -e "$T/vm/joe/tmp/young" ]
}

@test "what a script remembers is written before what it sends can go (THREATS 43)" {
  cat > "$T/interpreter" <<X
case "\$1" in remember) find "$T/spool/queue" -type f -newermt '20 seconds' > "$T/seen"; exit 0;; esac
cat > /dev/null
. "\$MX_SIEVE_SCRIPT"
X
  act 'keep\nredirect\tout@remote.example\nremember\tx\n'
  # not due yet at that moment; due at the end
  [ "$(wc -l < "$T/seen")" -eq 1 ]
  [ "$(find "$T/spool/queue" -type f -newermt '20 seconds' | wc -l)" -eq 0 ] && [ "$(queued)" -eq 1 ]
}

@test "an address of a catch-all leads to nobody else's script" {
  mkdir -p "$T/vic/old"; echo "echo discard" > "$T/vic/old/s.sieve"
  echo "echo discard" > "$T/vic/s.sieve"
  conf "sieve = $T/%n/s.sieve" 'virtual_mailbox_maps = inline:{ {@virt.example = all/} }'
  TO=vic@virt.example send
  [ "$(count vm/all/new)" -eq 0 ]
  TO=vic/old@virt.example send
  [ "$(count vm/all/new)" -eq 1 ]
}
