# What mx-submit makes of a message, as a sink behind its socket sees it.
load ../lib/common
load submit

setup() { submit_setup; }
teardown() { common_teardown; }

@test "From, Date and Message-ID are added where they are missing, nothing else" {
  sink ok
  printf 'Subject: hello\n\nbody\n' | mx-submit -F 'Jo "J" Doe' bob@example.net
  took body > "$T/b"
  [ "$(sed -n 1p "$T/b")" = "Subject: hello" ]
  [ "$(sed -n 2p "$T/b")" = "From: \"Jo \\\"J\\\" Doe\" <$(id -un)@example.org>" ]
  sed -n 3p "$T/b" | grep -E '^Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} [0-9:]{8} [+-][0-9]{4}$'
  sed -n 4p "$T/b" | grep -E '^Message-ID: <[0-9]+\.[A-Za-z0-9]+@host\.example>$'
  [ "$(sed -n '5,$p' "$T/b")" = "$(printf '\nbody')" ]
  [ "$(took sender | cut -d' ' -f1)" = "FROM:<$(id -un)@example.org>" ]
  [ "$(took rcpts)" = "TO:<bob@example.net>" ]
}

@test "what is there is left byte for byte, Bcc and Return-Path are dropped" {
  sink ok
  printf 'from:  A <a@b.c>\ndate: then\nMESSAGE-ID: <x@y>\nBcc: secret@x.y,\n other@x.y\nX-Odd:\tkept \n  folded\nReturn-Path: <x@y>\nResent-Bcc: s@x.y\n\n.dot\n\n' |
    mx-submit -i a@b.c
  took body > "$T/b"
  printf 'from:  A <a@b.c>\ndate: then\nMESSAGE-ID: <x@y>\nX-Odd:\tkept \n  folded\n\n.dot\n\n' | head -c -1 > "$T/want"
  diff <(cat "$T/b") <(printf '%s\n' "$(cat "$T/want")"; echo)
}

@test "a body alone, CRLF, an mbox From_ line: all are messages" {
  sink ok
  echo "just text" | mx-submit a@b.c
  took body | tail -2 | diff - <(printf '\njust text\n')
  printf 'Subject: x\r\n\r\nline\r\n' | mx-submit a@b.c
  took body | sed -n '1p;$p' | diff - <(printf 'Subject: x\nline\n')
  printf 'From me@here Thu Jan  1 00:00:00 1970\nSubject: x\n\nb\n' | mx-submit a@b.c
  [ "$(took body | head -1)" = "Subject: x" ]
  # quoted, and several, as Postfix's sendmail passes over
  printf '>From me@here Thu Jan  1 00:00:00 1970\n>>From you\nSubject: y\n\nb\n' | mx-submit a@b.c
  [ "$(took body | head -1)" = "Subject: y" ]
  [ "$(count)" -eq 4 ]
}

@test "a dot alone ends the message, but for -i, -oi" {
  sink ok
  printf 'Subject: x\n\none\n.\ntwo\n' | mx-submit a@b.c
  [ "$(took body | tail -1)" = one ]
  printf 'Subject: x\n\none\n.\ntwo\n' | mx-submit -i a@b.c
  [ "$(took body | tail -2)" = "$(printf '.\ntwo')" ]
  printf 'Subject: x\n\none\n.\ntwo\n' | mx-submit -oi -oem -odb -f a@b.c a@b.c
  [ "$(took body | tail -2)" = "$(printf '.\ntwo')" ]
}

@test "the table of senders" {
  sink ok
  local f want n=0
  while IFS='|' read -r f want; do
    printf 'Subject: x\n\nb\n' | mx-submit -f "$f" a@b.c
    [ "$(took sender | sed "s, SIZE=.*,,")" = "FROM:$want" ] || { echo "-f $f: $(took sender)"; return 1; }
    n=$((n + 1))
  done <<'T'
|<>
<>|<>
jo|<jo@example.org>
jo@Example.COM|<jo@example.com>
<jo@example.com>|<jo@example.com>
"j o"@example.com|<"j o"@example.com>
T
  [ "$n" -eq 6 ]
  run mx-submit -f 'a b@c d' x@y.z < /dev/null
  [ "$status" -eq 64 ] || [ "$status" -eq 65 ]
  printf 'Subject: x\n\nb\n' | mx-submit -r jo a@b.c
  [ "$(took sender | cut -d' ' -f1)" = "FROM:<jo@example.org>" ]
}

@test "the null sender's message has a From all the same" {
  sink ok
  printf 'Subject: x\n\nb\n' | mx-submit -f '' a@b.c
  took body | grep -E "^From: .*$(id -un)@example.org"
}

@test "names: NAME, -F, other scripts as encoded words" {
  sink ok
  echo b | NAME='Env Name' mx-submit a@b.c
  took body | grep -F "From: Env Name <"
  echo b | NAME='Env Name' mx-submit -F 'Given' a@b.c
  took body | grep -F "From: Given <"
    echo b | mx-submit -F $'J\xc3\xb6rg' a@b.c
  took body | grep -iE '^From: =\?utf-8\?[BQ]\?[^ ]*\?= <' || { took body; false; }
  echo b | mx-submit -F $'x\nEvil: yes' a@b.c
  ! took body | grep '^Evil'
}

@test "-t: To, Cc and Bcc, groups, comments, once each, and operands too" {
  sink ok
  printf 'To: Bob <bob@x.y>, "Q, R" <q@x.y>\nCc: friends: a@x.y, (c) b@x.y;,\n bob@x.y\nBcc: local, "o d"@x.y\nSubject: t\n\nb\n' |
    mx-submit -t -i extra@x.y
  [ "$(took rcpts | tr '\n' ' ')" = 'TO:<extra@x.y> TO:<bob@x.y> TO:<q@x.y> TO:<a@x.y> TO:<b@x.y> TO:<local@example.org> TO:<"o d"@x.y> ' ]
  ! took body | grep -i '^Bcc'
}

@test "-t: Resent fields count alone, and Resent-From, Date, Message-ID are added" {
  sink ok
  printf 'Resent-To: new@x.y\nTo: old@x.y\nFrom: o@x.y\nDate: d\nMessage-ID: <a@b>\n\nb\n' | mx-submit -t
  [ "$(took rcpts)" = "TO:<new@x.y>" ]
  took body | grep -q '^Resent-From: '
  took body | grep -q '^Resent-Date: '
  took body | grep -q '^Resent-Message-ID: <'
}

@test "-t without a recipient, and none at all: 64 and what to do" {
  run mx-submit -t <<< 'Subject: x'
  [ "$status" -eq 64 ]
  [[ $output == *"no recipients"*"-t"* ]]
  run mx-submit <<< 'Subject: x'
  [ "$status" -eq 64 ]
}

@test "operands: lists in one word, bare names, duplicates; -bv prints them" {
  run mx-submit -bv 'a@x.y, Bo <b@x.y>' c a@x.y '<d@x.y>'
  [ "$status" -eq 0 ]
  [ "$output" = "$(printf 'a@x.y\nb@x.y\nc@example.org\nd@x.y')" ]
}

@test "a recipient that is no address is named: 67, and nothing is sent" {
  sink ok
  run mx-submit 'a@b..c' <<< 'x'
  [ "$status" -eq 67 ]
  [[ $output == *'a@b..c'* ]]
  run mx-submit -t <<< $'To: ok@x.y, Bad <@>\n\nx'
  [ "$status" -eq 67 ]
  run mx-submit '' <<< 'x'
  [ "$status" -eq 67 ]
  [ "$(count)" -eq 0 ]
}

@test "8 bit, UTF-8 and DSN options go along where the server offers them" {
  sink ok
  printf 'Subject: x\n\n\xe4\n' | mx-submit -N success,delay -R hdrs -V 'id=1+2' a@b.c
  [[ $(took sender) == *" BODY=8BITMIME"*" RET=hdrs"*" ENVID=id+3D1+2B2"* ]]
  [ "$(took rcpts)" = "TO:<a@b.c> NOTIFY=success,delay" ]
  printf 'Subject: x\n\nb\n' | mx-submit $'\xc3\xbc@b.c'
  [[ $(took sender) == *" SMTPUTF8"* ]]
  printf 'Subject: x\n\nb\n' | mx-submit a@b.c
  [[ $(took sender) != *BODY* && $(took sender) != *SMTPUTF8* ]]
}

@test "an address that needs SMTPUTF8 where it is not offered is refused" {
  sink ok --caps 8BITMIME
  run mx-submit $'\xc3\xbc@b.c' <<< x
  [ "$status" -eq 69 ]
  [[ $output == *SMTPUTF8* ]]
  [ "$(count)" -eq 0 ]
}

@test "-N, -R, -b, -q with other words are 64" {
  local o
  for o in "-N sometimes" "-N never,delay" "-R all" "-bx" "-bd" "-qSsite" "-XV"; do
    run mx-submit $o a@b.c <<< x
    [ "$status" -eq 64 ] || { echo "$o: $status $output"; return 1; }
  done
}

@test "lines that end in strange ways are clean on the wire" {
  sink ok
  printf 'Subject: x\n\na\rb\r\r\n..\n.\r\nend' | mx-submit -i a@b.c
  took body | tail -4 > "$T/b"
  [ "$(tail -1 "$T/b")" = end ]
  grep -qx '\.\.' "$T/b"
}

@test "sendmail's -h HOPS is no question for help: the message goes" {
  sink ok
  printf 'Subject: x\n\none\n' | mx-submit -h 5 a@b.c
  printf 'Subject: x\n\ntwo\n' | mx-submit -h25 -x -i a@b.c
  [ "$(count)" -eq 2 ]
  [ "$(took body | tail -1)" = two ]
  mx-submit -h | grep -q '^usage: mx-submit'
}

@test "a header of megabytes: the Bcc at its end is taken and dropped, names hold no lines" {
  sink ok
  { for _ in $(seq 1200); do printf 'X: %01000d\n' 0; done; printf 'To: a@b.c\nBcc: hidden@b.c\n\nbody\n'; } > "$T/m"
  mx-submit -t -F $'Jo\nBcc: evil@b.c' < "$T/m"
  [ "$(took rcpts)" = "$(printf 'TO:<a@b.c>\nTO:<hidden@b.c>')" ]
  took body > "$T/b"
  ! grep -q '^Bcc' "$T/b"
  [ "$(tail -2 "$T/b")" = "$(printf '\nbody')" ]
}
