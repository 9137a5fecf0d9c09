#!/usr/bin/env bats
# mx-deliver with the real interpreter: replies, notifications, copies of them,
# edited messages, and what is remembered.
load deliver
setup() {
  deliver_setup
  mkdir "$T/home"; chmod 777 "$T/home"
  conf "sieve = $T/%n.sieve" "sieve_memory = $T/home/memory"
  printf 'From: a@b.example\nTo: joe@virt.example\nSubject: hi\nMessage-ID: <1@b.example>\n\nbody\n' > "$T/m"
}
teardown() { common_teardown; }
script() { cat > "$T/joe.sieve"; }
send() {
  { echo '> EHLO x'; echo "> MAIL FROM:<${FROM-a@b.example}>"; echo '> RCPT TO:<joe@virt.example>'; echo "# $T/m"; } |
    talk | tail -n 1
}
queue() { find "$T/spool/queue" -type f | sort; }

@test "vacation: one reply in the queue, from the null sender, the message is kept" {
  script <<< 'require "vacation"; vacation :subject "away" "I am away";'
  [[ $(send) == *250* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  [ "$(queued)" -eq 1 ]
  q=$(queue)
  grep -qx 'sender: <>' "$q"
  grep -q '^Q recipient: a@b.example' "$q"
  grep -qx 'Subject: away' "$q"
  grep -qx 'Auto-Submitted: auto-replied (vacation)' "$q"
  grep -qx 'In-Reply-To: <1@b.example>' "$q"
  ! grep -q 'X-Sieve-Redirected-From' "$q"
  [[ $(send) == *250* ]]
  [ "$(queued)" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 2 ]
  FROM= ; [[ $(send) == *250* ]]
  [ "$(queued)" -eq 1 ]
}

@test "vacation :fcc and notify" {
  script <<< 'require ["vacation","fcc","mailbox","enotify","imap4flags"]; vacation :fcc "Sent" :create :flags "\\Seen" "x"; notify :message "news" "mailto:n@c.example,o@c.example";'
  [[ $(send) == *250* ]]
  [ "$(queued)" -eq 3 ]
  f=("$T"/vm/joe/.Sent/cur/*:2,S)
  grep -qx 'Subject: Auto: hi' "${f[0]}"
  grep -lx 'Subject: news' $(queue) | wc -l | grep -qx 2
  [ "$(count vm/joe/new)" -eq 1 ]
}

@test "editheader: the message before and after, in their folders" {
  script <<< 'require ["editheader","fileinto","mailbox","copy"]; fileinto :create "Before"; addheader "X-New" "1"; deleteheader "Message-ID"; fileinto :create "After"; redirect :copy "far@c.example"; keep;'
  [[ $(send) == *250* ]]
  f=("$T"/vm/joe/.Before/new/*); g=("$T"/vm/joe/.After/new/*); h=("$T"/vm/joe/new/*)
  grep -q '^Message-ID' "${f[0]}"
  ! grep -q '^X-New' "${f[0]}"
  grep -qx 'X-New: 1' "${g[0]}"
  ! grep -q '^Message-ID' "${g[0]}"
  cmp "${g[0]}" "${h[0]}"
  grep -qx 'X-New: 1' "$(queue)"
  [ "$(sed '1,/^$/d' "${g[0]}")" = body ]
}

@test "duplicate: the second one is discarded" {
  script <<< 'require "duplicate"; if duplicate { discard; }'
  [[ $(send) == *250* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  [[ $(send) == *250* ]]
  [ "$(count vm/joe/new)" -eq 1 ]
  sed -i 's/<1@b/<2@b/' "$T/m"
  [[ $(send) == *250* ]]
  [ "$(count vm/joe/new)" -eq 2 ]
}
