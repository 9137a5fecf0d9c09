# What comes of the answers: exit status and sentence; nothing is said to be
# taken before the server said so.
load ../lib/common
load submit

setup() { submit_setup; }
teardown() { common_teardown; }

@test "the table of answers" {
  local mode want words n=0
  while read -r mode want words; do
    sink "$mode"
    run timeout 60 mx-submit -O submit_timeout=2s a@b.c <<< 'hello'
    [ "$status" -eq "$want" ] || { echo "$mode: status $status, expected $want: $output"; return 1; }
    [[ $output == *"$words"* ]] || { echo "$mode: no \"$words\" in: $output"; return 1; }
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ]
    [ "$(count)" -eq 0 ]
    kill "$SPAWNED"; wait "$SPAWNED" 2>/dev/null || true; rm -f "$T/run/submit"
    n=$((n + 1))
  done <<'T'
421-greeting 75 told to say so
554-greeting 69 told to say so
451-mail 75 told to say so
550-mail 69 told to say so
550-rcpt 69 a@b.c: 550
451-rcpt 75 a@b.c: 451
451-data 75 told to say so
554-data 69 told to say so
452-dot 75 told to say so
554-dot 69 told to say so
drop-greeting 75 lost connection
drop-mail 75 lost connection
drop-rcpt 75 lost connection
drop-data 75 lost connection
drop-dot 75 lost connection
drop-body 75 mx-submit:
half-mail 75 mx-submit:
garbage-greeting 75 mx-submit:
garbage-mail 75 mx-submit:
silent-mail 75 timed out
silent-dot 75 timed out
slow-mail 75 timed out
endless-ehlo 75 mx-submit:
long-mail 75 mx-submit:
nul-rcpt 67 5.1.1 a?b?[31mc
T
  [ "$n" -eq 25 ]
}

@test "one refused recipient refuses the message, and is named: 67, 75" {
  sink ok
  run mx-submit good@b.c nobody@b.c fine@b.c <<< 'hello'
  [ "$status" -eq 67 ]
  [[ $output == "mx-submit: nobody@b.c: 550 5.1.1 no such user" ]]
  run mx-submit good@b.c later@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  [[ $output == *"later@b.c: 450 4.2.1 later"* ]]
  [ "$(count)" -eq 0 ]
}

@test "nobody listens: anyone but root gets 75 and what to start" {
  chmod 644 "$T/mx.conf"
  run as_nobody mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  [[ $output == *"mx-deliver --lmtp"*"--spool"* ]]
}

@test "an empty standard input is a failed stage before: 65; too large: a sentence" {
  sink ok
  run mx-submit a@b.c < /dev/null
  [ "$status" -eq 65 ]
  run bash -c 'head -c 20000 /dev/zero | tr "\0" x | mx-submit -O message_size_limit=10000 a@b.c'
  [ "$status" -eq 65 ] || [ "$status" -eq 69 ]
  [[ $output == *10000* ]]
  [ "$(count)" -eq 0 ]
}

@test "a large message arrives whole" {
  sink ok --caps ''
  { printf 'Subject: big\n\n'; seq 300000; } > "$T/m"
  run mx-submit a@b.c < "$T/m"
  [ "$status" -eq 0 ]
  [ "$(took body | tail -n +6 | md5sum)" = "$(seq 300000 | md5sum)" ] ||
    { took body | head -8; false; }
}

@test "-bs speaks SMTP with the caller, on standard input and output" {
  sink ok
  run bash -c 'printf "EHLO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nSubject: x\r\n\r\nb\r\n.\r\nQUIT\r\n" | mx-submit -bs'
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "220 "* ]]
  [[ $output == *"354 go"*"250 2.0.0 taken"*"221 "* ]]
  [ "$(took rcpts)" = "TO:<d@e.f>" ]
}

@test "swaks drives -bs" {
  sink ok
  run swaks --pipe "mx-submit -bs" --from a@b.c --to d@e.f --body swaks-was-here
  [ "$status" -eq 0 ]
  took body | grep swaks-was-here
}

@test "links: newaliases is 0; mailq, -bp and -q run mx-deliver" {
  mkdir "$T/bin"
  ln -s "$MX_BIN/mx-submit" "$T/bin/sendmail"
  ln -s "$MX_BIN/mx-submit" "$T/bin/mailq"
  ln -s "$MX_BIN/mx-submit" "$T/bin/newaliases"
  printf '#!/bin/sh\necho "$*" | sed "s,$T,T,"\n' > "$T/bin/mx-deliver"
  chmod 755 "$T/bin/mx-deliver"
  PATH=$T/bin:$PATH
  run newaliases
  [ "$status" -eq 0 ] && [ -z "$output" ]
  run sendmail -bi
  [ "$status" -eq 0 ] && [ -z "$output" ]
  run mailq
  [ "$output" = "--list" ]
  run sendmail -bp -c "$T/mx.conf" -O recipient_delimiter=+
  [ "$output" = "--config=T/mx.conf -o recipient_delimiter=+ --list" ]
  run sendmail -q
  [ "$output" = "--flush" ]
  run sendmail -q15m
  [ "$output" = "--flush" ]
  run sendmail -qI4F2A
  [ "$output" = "--flush 4F2A" ]
  run sendmail -qRexample.org
  [ "$output" = "--flush example.org" ]
}

@test "mail(1) of bsd-mailx and mutt send through the sendmail link" {
  sink ok
  ln -s "$MX_BIN/mx-submit" "$T/sendmail"
  command -v mutt >/dev/null || skip "no mutt here"
  echo "by mutt" | HOME=$T mutt -F /dev/null -e "set sendmail='$T/sendmail -oem -oi'" -e 'set copy=no' -s 'hello there' jo@x.y
  wait_for 10 grep -q '"event": "message"' "$LOG"
  [ "$(took rcpts)" = "TO:<jo@x.y>" ]
  took body | grep -q '^Subject: hello there'
  took body | grep -q '^by mutt'
  if command -v bsd-mailx >/dev/null; then
    printf 'set sendmail=%s\n' "$T/sendmail" > "$T/.mailrc"
    echo "My message" | HOME=$T MAILRC=$T/.mailrc bsd-mailx -s subject vagrant@lab1
    wait_for 10 grep -q 'vagrant@lab1' "$LOG"
    [ "$(took rcpts)" = "TO:<vagrant@lab1>" ]
    took body | grep -q '^Subject: subject'
    took body | grep -q '^My message'
  fi
}
