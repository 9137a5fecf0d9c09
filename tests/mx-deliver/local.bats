#!/usr/bin/env bats
# mx-deliver: what ends on this host but goes through the queue: several
# mailboxes, commands, files, lists, unknown names, users.
load deliver
setup() {
  deliver_setup
  mkdir -m 777 "$T/out"
}
teardown() {
  common_teardown
  [ -z "${MXUSER:-}" ] || userdel -f "$MXUSER" 2>/dev/null || true
}

# send ADDRESS...: accepted into the queue, then one pass over it
send() {
  { echo '> EHLO x'; echo "> MAIL FROM:<${FROM-a@b.example}>"; printf '> RCPT TO:<%s>\n' "$@"; echo "# ${M:-$T/m}"; } |
    talk | tail -n 1
}
run_queue() { mx-deliver --queue-run >"$T/run.out" 2>"$T/run.log" || { cat "$T/run.log" >&2; return 1; }; }
entry() { find "$T/spool/queue" -type f -exec cat {} +; }
aliases() { cat > "$T/aliases"; conf "alias_maps = hash:$T/aliases"; }

@test "several mailboxes: each has its copy, the entry is gone" {
  [[ $(send joe@virt.example ann@virt.example box@virt.example) == *queued* ]]
  run_queue
  [ "$(queued)" -eq 0 ]
  for u in joe ann; do
    cmp <(body "$T"/vm/$u/new/*) "$T/m"
    grep -q "^Delivered-To: $u@virt.example" "$T"/vm/$u/new/*
  done
  grep -q '^Subject: hi' "$T/vm/box"
  [ "$(grep -c 'status=sent' "$T/run.log")" -eq 3 ]
  grep -qE 'mx/virtual\[[0-9]+\]: [0-9A-Za-z.]+: to=<joe@virt.example>, relay=virtual, delay=.*status=sent \(delivered to maildir\)' "$T/run.log"
}

@test "commands and files of aliases: with default_privs, or our own rights" {
  aliases <<EOF
both: "|cat > $T/out/cmd; id -un > $T/out/who", $T/out/file.mbox, $T/out/box/
EOF
  [[ $(send both@mail.example.org) == *queued* ]]
  run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(cat "$T/out/who")" = "$([ "$(id -u)" -eq 0 ] && echo nobody || id -un)" ]
  grep -q '^From a@b.example ' "$T/out/cmd" && grep -q '^Delivered-To: both@mail.example.org' "$T/out/cmd"
  grep -q '^From a@b.example ' "$T/out/file.mbox"
  cmp <(body "$T"/out/box/new/*) "$T/m"
  grep -q 'status=sent (delivered to command: cat > ' "$T/run.log"
  grep -q 'status=sent (delivered to file)' "$T/run.log"
}

@test "a command's status: 75 waits, 67 bounces with what it said" {
  aliases <<EOF
later: "|cat >/dev/null; exit 75"
never: "|cat >/dev/null; echo 'who is that?' >&2; exit 67"
EOF
  FROM=joe@virt.example
  [[ $(send later@mail.example.org) == *queued* ]]
  run_queue
  [ "$(queued)" -eq 1 ]
  grep -q 'status=deferred' "$T/run.log"
  mx-deliver --delete "$(basename "$(find "$T/spool/queue" -type f)")"
  [[ $(send never@mail.example.org) == *queued* ]]
  run_queue; run_queue
  [ "$(queued)" -eq 0 ]
  grep -q 'status=bounced (.*who is that?' "$T/run.log" || grep -rq 'who is that?' "$T/vm/joe/new"
  grep -q '^Content-Type: multipart/report' "$T"/vm/joe/new/*
  grep -q 'who is that?' "$T"/vm/joe/new/*
}

@test "a list: owner is the sender, unknown members bounce to the owner" {
  aliases <<EOF
list: joe@virt.example, nosuchname
owner-list: ann@virt.example
EOF
  [[ $(send list@mail.example.org) == *queued* ]]
  run_queue; run_queue
  grep -q '^Return-Path: <owner-list@mail.example.org>' "$T"/vm/joe/new/*
  grep -q '^X-Original-To: list@mail.example.org' "$T"/vm/joe/new/*
  grep -q 'nosuchname@mail.example.org' "$T"/vm/ann/new/*
  grep -q '^Return-Path: <>' "$T"/vm/ann/new/*
  [ "$(queued)" -eq 0 ]
}

@test "Delivered-To stops an alias loop over the queue" {
  aliases <<EOF
a: joe@virt.example, ann@virt.example
EOF
  printf 'Delivered-To: joe@virt.example\nSubject: hi\n\nx\n' > "$T/loop"
  M=$T/loop FROM=
  [[ $(send a@mail.example.org) == *queued* ]]
  run_queue
  [ "$(count vm/joe)" -eq 0 ] && [ "$(count vm/ann/new)" -eq 1 ]
  grep -q 'mail forwarding loop for joe@virt.example' "$T/run.log"
}

@test "an entry that was not expanded yet is expanded by the runner" {
  aliases <<EOF
one: joe@virt.example
two: joe@virt.example, ann@virt.example
EOF
  mkdir "$T/bin"; cp "$(command -v mx-deliver)" "$T/bin/"
  echo 'cat >/dev/null; . "$MX_SIEVE_SCRIPT"' > "$T/interpreter"
  printf '#!/bin/sh\nexec python3 "%s" "%s" "$@"\n' "$ROOT/tests/lib/kept.py" "$T/interpreter" > "$T/bin/mx-filter"
  chmod 755 "$T/bin/mx-filter"
  PATH=$T/bin:$PATH
  conf "sieve = $T/%n.sieve" 'virtual_mailbox_maps = inline:{ {joe@virt.example = joe/} {ann@virt.example = ann/} {red@virt.example = red/} }'
  # a redirect is queued as it was written
  for to in one two nosuch; do
    printf 'printf "redirect\\t%s@mail.example.org\\n"\n' "$to" > "$T/red.sieve"
    FROM=ann@virt.example send red@virt.example >/dev/null
    [ "$(queued)" -eq 1 ]
    entry | grep -q "^Q recipient: $to@mail.example.org"
    run_queue; run_queue
    [ "$(queued)" -eq 0 ]
  done
  [ "$(count vm/joe/new)" -eq 2 ]
  # one copy, and the report about nosuch
  [ "$(count vm/ann/new)" -eq 2 ]
  grep -q 'nosuch@mail.example.org' "$T"/vm/ann/new/*
}

@test "system users through the queue, as root: each becomes the user" {
  need_root
  MXUSER=mxl$$
  useradd -M -d "$T/home" -s /bin/sh "$MXUSER" || skip "useradd does not work here"
  mkdir -m 700 "$T/home"; chown "$MXUSER:" "$T/home"
  [[ $(send "$MXUSER@mail.example.org" joe@virt.example) == *queued* ]]
  run_queue
  [ "$(queued)" -eq 0 ]
  f=$(find "$T/home/Maildir/new" -type f)
  [ "$(stat -c %U "$f")" = "$MXUSER" ]
  [ "$(stat -c %U "$T"/vm/joe/new/*)" = nobody ]
}

@test "a Sieve reject found in the queue is a report to the sender" {
  mkdir "$T/bin"; cp "$(command -v mx-deliver)" "$T/bin/"
  echo 'cat >/dev/null; . "$MX_SIEVE_SCRIPT"' > "$T/interpreter"
  printf '#!/bin/sh\nexec python3 "%s" "%s" "$@"\n' "$ROOT/tests/lib/kept.py" "$T/interpreter" > "$T/bin/mx-filter"
  chmod 755 "$T/bin/mx-filter"
  PATH=$T/bin:$PATH
  printf 'printf "reject\\tI do not want this\\n"\n' > "$T/joe.sieve"
  conf "sieve = $T/%n.sieve"
  FROM=ann@virt.example
  [[ $(send joe@virt.example box@virt.example) == *queued* ]]
  run_queue; run_queue
  [ "$(count vm/joe/new)" -eq 0 ]
  grep -q 'I do not want this' "$T"/vm/ann/new/*
}

@test "NOTIFY=SUCCESS goes through the queue, so that the report is made" {
  run talk <<EOF
> EHLO x
> MAIL FROM:<ann@virt.example>
> RCPT TO:<joe@virt.example> NOTIFY=SUCCESS
# $T/m
EOF
  [[ $output == *queued* ]]
  run_queue; run_queue
  [ "$(count vm/joe/new)" -eq 1 ]
  grep -q 'Action: delivered' "$T"/vm/ann/new/*
}
