#!/usr/bin/env bats
# mx-deliver: where recipients go: virtual aliases, aliases(5), classes of
# domains, transports.
load deliver
setup() {
  deliver_setup
  # system users come from the userdb of the host: the one who runs the tests
  ME=$(id -un)
}
teardown() { common_teardown; }

# rcpt ADDRESS...: the answers to RCPT
rcpt() {
  { echo '> LHLO x'; echo '> MAIL FROM:<a@b>'; printf '> RCPT TO:<%s>\n' "$@"; } |
    talk | tail -n "$#"
}
# send ADDRESS...: one ESMTP message to all of them
send() {
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; printf '> RCPT TO:<%s>\n' "$@"; echo "# $T/m"; } |
    talk | tail -n 1
}
entry() { find "$T/spool/queue" -type f -exec cat {} +; }

@test "classes of domains: known, unknown, remote" {
  conf 'virtual_alias_domains = alias.example' 'virtual_alias_maps = inline:{ info@alias.example=joe@virt.example }'
  run rcpt joe@virt.example JOE@VIRT.EXAMPLE joe+x@virt.example none@virt.example \
    info@alias.example none@alias.example nosuchuser@mail.example.org x@remote.example
  [[ ${lines[0]} == 250* && ${lines[1]} == 250* && ${lines[2]} == 250* ]]
  [[ ${lines[3]} == "550 5.1.1 <none@virt.example>: Recipient address rejected: User unknown in virtual mailbox table" ]]
  [[ ${lines[4]} == 250* ]]
  [[ ${lines[5]} == *"User unknown in virtual alias table" ]]
  [[ ${lines[6]} == "550 5.1.1 "*"User unknown in local recipient table" ]]
  [[ ${lines[7]} == 250* ]]
}

@test "a table that is away is 451, never unknown" {
  conf "virtual_alias_maps = texthash:$T/missing"
  run rcpt joe@virt.example
  [[ ${lines[0]} == 451\ 4.* ]]
}

@test "virtual aliases: chain, several, domain, itself, loop, limit" {
  cat > "$T/virtual" <<'EOF'
one@v.example     two@v.example
two@v.example     joe@virt.example
many@v.example    joe@virt.example, ann@virt.example  far@remote.example
self@v.example    self@v.example, ann@virt.example
@whole.example    @virt.example
loop1@v.example   loop2@v.example
loop2@v.example   loop1@v.example
EOF
  conf 'virtual_alias_domains = v.example, whole.example' "virtual_alias_maps = texthash:$T/virtual"
  [[ $(send one@v.example) == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  grep -q '^X-Original-To: one@v.example$' "$T"/vm/joe/new/*
  [[ $(send joe@whole.example) == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 2 ]
  [[ $(send many@v.example) == *queued* ]]
  [ "$(entry | grep -c '^Q recipient: ')" -eq 3 ]
  [ "$(entry | grep -c '^ original: many@v.example')" -eq 3 ]
  [[ $(rcpt loop1@v.example) == 451\ 4.4.6* ]]
}

@test "an expansion that grows without end is stopped" {
  conf 'virtual_alias_domains = v.example' 'virtual_alias_expansion_limit = 50' \
    'virtual_alias_maps = pcre:{ {/^a(.*)@v\.example$/ aa$1@v.example ab$1@v.example} }'
  [[ $(rcpt a@v.example) == 451\ 4.4.6* ]]
}

@test "aliases: names, self, owner, include, extension, folding, unknown inside" {
  printf 'joe@virt.example\n# comment\nann@virt.example, far@remote.example\n' > "$T/list"
  cat > "$T/aliases" <<EOF
# a comment
one: two
Two: joe@virt.example
"quoted name": joe@virt.example
both: joe@virt.example,
    ann@virt.example
list: :include:$T/list
owner-list: ann@virt.example
broken: nosuchuser, joe@virt.example
a: b
b: a
EOF
  conf "alias_maps = hash:$T/aliases"
  [[ $(send one@mail.example.org) == *delivered* ]]
  [[ $(send TWO+ext@local.example) == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 2 ]
  grep -q '^Delivered-To: joe@virt.example$' "$T"/vm/joe/new/*
  [[ $(send both@mail.example.org) == *queued* ]]
  [ "$(entry | grep -c '^Q recipient: ')" -eq 2 ]
  rm -rf "$T"/spool/queue
  [[ $(send list@mail.example.org) == *queued* ]]
  [ "$(entry | grep -c '^Q recipient: ')" -eq 3 ]
  entry | grep -q '^sender: owner-list@mail.example.org$'
  rm -rf "$T"/spool/queue
  [[ $(send broken@mail.example.org) == *queued* ]]
  entry | grep -q '^Q recipient: nosuchuser@mail.example.org$'
  [[ $(rcpt a@mail.example.org) == 250* ]]
}

@test "programs and files come from aliases only, never from an address" {
  cat > "$T/aliases" <<EOF
prog: "|/bin/cat > /dev/null"
file: $T/out.mbox
EOF
  conf "alias_maps = hash:$T/aliases"
  run rcpt '"|/bin/sh"@mail.example.org' '"/etc/passwd"@mail.example.org' \
    '":include:/etc/passwd"@mail.example.org' prog@mail.example.org file@mail.example.org
  [[ ${lines[0]} == 550* && ${lines[1]} == 550* && ${lines[2]} == 550* ]]
  [[ ${lines[3]} == 250* && ${lines[4]} == 250* ]]
  [[ $(send prog@mail.example.org) == *queued* ]]
  entry | grep -qx 'Q recipient: prog@mail.example.org'
  entry | grep -qx ' place: |/bin/cat > /dev/null'
}

@test "no programs and files from :include:, which others may write (allow_mail_to_commands, _files)" {
  printf '"|/bin/cat > %s/ran"\n%s/out.mbox\njoe@virt.example\n' "$T" "$T" > "$T/list"
  printf 'list: :include:%s/list\nown: "|/bin/true", %s/out.mbox\n' "$T" "$T" > "$T/aliases"
  conf "alias_maps = hash:$T/aliases"
  [[ $(send list@mail.example.org) == *queued* ]]
  entry | grep -qx 'Q recipient: joe@virt.example'
  [ "$(entry | grep -c '^ place: [|/]')" -eq 0 ]
  # neither is lost without a word: they are unknown users
  [ "$(entry | grep -c '^Q recipient: ')" -eq 3 ]
  rm -rf "$T"/spool/queue
  conf 'allow_mail_to_commands = include' 'allow_mail_to_files = alias include'
  [[ $(send list@mail.example.org) == *queued* ]]
  [ "$(entry | grep -c '^ place: [|/]')" -eq 2 ]
  rm -rf "$T"/spool/queue
  [[ $(send own@mail.example.org) == *queued* ]]
  [ "$(entry | grep -c '^ place: [|/]')" -eq 1 ]
}

@test "aliases are read again when the file changes; a missing file is 451" {
  echo 'one: joe@virt.example' > "$T/aliases"
  conf "alias_maps = hash:$T/aliases"
  serve
  [[ $(rcpt one@mail.example.org) == 250* ]]
  [[ $(rcpt two@mail.example.org) == 550* ]]
  sleep 0.01; echo 'two: joe@virt.example' > "$T/aliases"
  [[ $(rcpt two@mail.example.org) == 250* ]]
  rm "$T/aliases"
  [[ $(rcpt two@mail.example.org) == 451* ]]
}

@test "broken lines of aliases are named with their number and left out" {
  printf 'good: joe@virt.example\nno colon here\n: nobody\nempty:\n' > "$T/aliases"
  conf "alias_maps = hash:$T/aliases"
  [[ $(rcpt good@mail.example.org) == 250* ]]
  grep -q "$T/aliases:2: " "$T/log" && grep -q "$T/aliases:3: " "$T/log" && grep -q "$T/aliases:4: " "$T/log"
}

@test "transport_maps: error, discard of a domain, and what stays" {
  conf 'transport_maps = inline:{ {bad@remote.example = error:5.7.1 no mail here} {.sub.example = smtp:[127.0.0.1]:26} }'
  run rcpt bad@remote.example x@a.sub.example
  [[ ${lines[0]} == 550*"no mail here" ]]
  [[ ${lines[1]} == 250* ]]
}

@test "local_recipient_maps: empty takes every name, a list is the list, extra tables add to it" {
  conf 'local_recipient_maps ='
  run rcpt nosuchuser@mail.example.org "$ME@mail.example.org"
  [[ ${lines[0]} == 250* && ${lines[1]} == 250* ]]
  sed -i '/^local_recipient_maps/d' "$T/mx.conf"
  conf 'local_recipient_maps = inline:{ {listed = x} {whole@local.example = x} }'
  run rcpt listed@mail.example.org listed+ext@local.example whole@local.example whole@mail.example.org "$ME@mail.example.org"
  [[ ${lines[0]} == 250* && ${lines[1]} == 250* && ${lines[2]} == 250* ]]
  [[ ${lines[3]} == *"User unknown in local recipient table" ]]
  [[ ${lines[4]} == *"User unknown in local recipient table" ]]
  sed -i '/^local_recipient_maps/d' "$T/mx.conf"
  conf 'local_recipient_maps = proxy:unix:passwd.byname $alias_maps inline:{ listed=x }'
  run rcpt listed@mail.example.org nosuchuser@mail.example.org
  [[ ${lines[0]} == 250* && ${lines[1]} == 550* ]]
  # what is accepted and unknown comes back from the queue
  send listed@mail.example.org
  mx-deliver --queue-run 2>&1 | grep -q 'to=<listed@mail.example.org>.*status=bounced (unknown user'
  sed -i '/^local_recipient_maps/d' "$T/mx.conf"
  conf 'local_recipient_maps = tcp:127.0.0.1:1'
  run rcpt listed@mail.example.org
  [[ ${lines[0]} == 451* ]]
}

@test "relay_recipient_maps" {
  conf 'relay_domains = relay.example' 'relay_recipient_maps = inline:{ known@relay.example=x }'
  run rcpt known@relay.example unknown@relay.example
  [[ ${lines[0]} == 250* && ${lines[1]} == *"User unknown in relay recipient table" ]]
}

@test "always_bcc: every message has one more" {
  conf 'always_bcc = ann@virt.example'
  [[ $(send joe@virt.example) == *queued* ]]
  [ "$(entry | grep -c '^Q recipient: ')" -eq 2 ]
}

@test "hostile names: no way out of the mailbox folder" {
  conf 'virtual_mailbox_maps =' 'virtual_mailbox_domains = virt.example' 'mail_location = maildir:/nowhere/%d/%n'
  run rcpt '../etc@virt.example' '"../../x"@virt.example' '"a/b"@virt.example' 'x@..'
  for l in "${lines[@]}"; do [[ $l == 5* ]]; done
}

@test "the command line: exit 0 delivered, 67 unknown, 64 usage, 65 empty" {
  run mx-deliver -f a@b joe@virt.example < "$T/m"
  [ "$status" -eq 0 ]
  [ "$(count vm/joe/new)" -eq 1 ]
  run mx-deliver none@virt.example < "$T/m"
  [ "$status" -eq 67 ]
  run mx-deliver joe@virt.example < /dev/null
  [ "$status" -eq 65 ]
  run mx-deliver < "$T/m"
  [ "$status" -eq 64 ]
  run mx-deliver 'a b@c' < "$T/m"
  [ "$status" -eq 64 ]
  [ "$(count vm/joe/new)" -eq 1 ]
}
