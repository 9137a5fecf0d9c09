# Over SMTP with TLS and AUTH to a smarthost, by mx-smarthost (libcurl).
load ../lib/common
load ../lib/send
load submit

setup() {
  submit_setup
  make_cert localhost
  printf 'secret\n' > "$T/password"
}
teardown() { common_teardown; }

# conf URL: where mail goes
conf() {
  printf 'submit_url = %s\nsubmit_password_file = %s/password\nsmtp_tls_CAfile = %s/localhost.crt\n' "$1" "$T" "$T" >> "$T/mx.conf"
}

# host MODE OPTION...: the smarthost
host() {
  local mode=$1; shift
  peer "$mode" --cert "$T/localhost.crt" --key "$T/localhost.key" --auth jo:secret "$@"
  LOG=$PEER_LOG
}

@test "STARTTLS and AUTH, the message whole, CRLF and dots right" {
  host ok
  conf "smtp://jo@localhost:$PEER"
  run mx-submit -f me@x.y a@b.c 'c@d.e' <<< $'Subject: x\n\n.dot\n..\n\nend'
  echo "$output"
  [ "$status" -eq 0 ] && [ -z "$output" ]
  [ "$(took user)" = jo ] && [ "$(took tls)" = True ]
  [ "$(took rcpts)" = "$(printf 'TO:<a@b.c>\nTO:<c@d.e>')" ]
  [[ $(took sender) == "FROM:<me@x.y>"* ]]
  took body | tail -4 | diff - <(printf '.dot\n..\n\nend\n')
}

@test "smtps, and XOAUTH2 with a token from a command" {
  host ok --wrap
  conf "smtps://jo@localhost:$PEER"
  run mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  printf 'submit_token_command = echo secret\n' >> "$T/mx.conf"
  run mx-submit a@b.c <<< 'hello again'
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [ "$(took user)" = jo ]
  [ "$(count)" -eq 2 ]
}

@test "never in clear text: a server without TLS gets neither password nor mail" {
  peer ok --auth jo:secret
  LOG=$PEER_LOG
  conf "smtp://jo@localhost:$PEER"
  run mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  [[ $output == *"submit_url"* || $output == *"smtp://"* ]]
  [ "$(count)" -eq 0 ]
}

@test "a certificate that nobody vouches for is refused: 75" {
  host ok
  conf "smtp://jo@localhost:$PEER"
  run mx-submit -O smtp_tls_CAfile= a@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  [[ $output == *ertificate* ]]
  [ "$(count)" -eq 0 ]
}

@test "a wrong password is 77, a refused recipient is named with the server's words" {
  host ok
  conf "smtp://jo@localhost:$PEER"
  run mx-submit a@b.c nobody@b.c <<< 'hello'
  [ "$status" -eq 69 ]
  echo "$output";   [[ $output == *"nobody@b.c: "*"550 5.1.1 no such user"* ]]
  run mx-submit later@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  [[ $output == *"later@b.c: "*"450 4.2.1 later"* ]]
  printf 'wrong\n' > "$T/password"
  run mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 77 ]
  [[ $output != *wrong* ]]
  [ "$(count)" -eq 0 ]
}

@test "a smarthost that is away, or goes away after the dot: 75" {
  conf "smtp://jo@localhost:$(free_port)"
  run mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  : > "$T/mx.conf"
  host drop-dot
  conf "smtp://jo@localhost:$PEER"
  run mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 75 ]
}

@test "no password file, no mx-smarthost, -bs: sentences" {
  host ok
  conf "smtp://jo@localhost:$PEER"
  rm "$T/password"
  run mx-submit a@b.c <<< 'hello'
  [ "$status" -ne 0 ]
  [[ $output == *"$T/password"* ]]
  run mx-submit -bs < /dev/null
  [ "$status" -eq 69 ]
  [[ $output == *submit_url* ]]
  mkdir "$T/bin"; ln -s "$MX_BIN/mx-submit" "$T/bin/mx-submit"
  PATH=$T/bin:/usr/bin:/bin run mx-submit a@b.c <<< 'hello'
  [ "$status" -eq 75 ]
  [[ $output == *mx-smarthost* ]]
  [ "$(count)" -eq 0 ]
}

@test "plain runs do not load libcurl" {
  ! ldd "$MX_BIN/mx-submit" | grep curl
  ldd "$MX_BIN/mx-smarthost" | grep -q curl
}
