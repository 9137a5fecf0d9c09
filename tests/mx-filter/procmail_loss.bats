# mx-filter procmail: what must not cost a mail, a mailbox or a lock.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  printf 'From a@b.c Sat Nov 21 10:00:00 2026\nFrom: a@b.c\nSubject: new\n\nb\n' > "$T/m"
  printf 'From o@b.c Sat Nov 21 09:00:00 2026\nSubject: old\n\nstays\n\n' > "$T/box"
  touch -d '2 hours ago' "$T/box"
  printf 'MAILDIR=.\nSHELL=/bin/sh\nLOCKSLEEP=1\n' > "$T/head"
}
teardown() { common_teardown; }
# pm [SECONDS]: the rcfile on stdin
pm() { cat "$T/head" - > "$T/rc"; (cd "$T" && timeout "${1:-30}" mx-filter procmail ./rc < m); }
count() { grep -c "^Subject: $1" "$T/$2"; }

@test "a mailbox is never taken for a stale lock" {
  # procmail waits, too: what is larger than 16 bytes is not removed
  run -124 pm 4 <<< $'DEFAULT=def\n:0:box\nother'
  [ "$(count old box)" = 1 ]
  # a real one that is old is
  printf 0 > "$T/l"; touch -d '2 hours ago' "$T/l"
  run -0 pm <<< $'DEFAULT=def\n:0:l\nother'
  [[ $output == *'Forcing lock on "l"'* ]]
  [ "$(count new other)" = 1 ]; [ ! -e "$T/l" ]
}

@test "an empty LOCKEXT, a folder as its own lock: both mails are there" {
  run -0 pm <<< $'LOCKEXT=\nDEFAULT=box'
  [ "$(count old box)" = 1 ]; [ "$(count new box)" = 1 ]
  run -0 pm <<< $'LOCKEXT=\nDEFAULT=def\n:0:\nbox'
  [ "$(count new box)" = 2 ]
  run -0 pm <<< $'DEFAULT=def\n:0:box\nbox'
  [[ $output == *'cannot be its own lockfile'* ]]
  [ "$(count old box)" = 1 ]; [ "$(count new box)" = 3 ]; [ ! -e "$T/def" ]
}

@test "the lock that is held is not waited for; none is left where MAILDIR changes" {
  run -0 pm <<< $'LOCKFILE=box.lock\nDEFAULT=def\n:0:\nbox'
  [[ $output == *'Deadlock attempted on "box.lock"'* ]]
  [ "$(count new box)" = 1 ]; [ ! -e "$T/box.lock" ]
  mkdir "$T/sub"
  run -0 pm <<< $'LOCKFILE=l\nMAILDIR=sub\nDEFAULT=def'
  [ "$(count new sub/def)" = 1 ]; [ ! -e "$T/l" ]
}

@test "SIGTERM: 75, and no lock is left; nor of a clone's parent" {
  (cd "$T"; cat head - > rc <<< $'LOCKFILE=l\n:0:k\n| touch here; sleep 60'
   exec mx-filter procmail ./rc < m) & local pid=$!
  wait_for 20 test -e "$T/here"
  [ -e "$T/l" ]; [ -e "$T/k" ]
  kill -TERM "$pid"
  run -75 wait "$pid"
  [ ! -e "$T/l" ]; [ ! -e "$T/k" ]
  # what a clone does ends with its parent's lock still there
  run -0 pm <<< $'LOCKFILE=l\n:0 c\n{\n:0\n/dev/null\n}\n:0\n| test -e l && cat > box2'
  [ "$(count new box2)" = 1 ]; [ ! -e "$T/l" ]
}

@test "a program that is not there has not taken the mail" {
  run -0 pm <<< $'DEFAULT=def\n:0\n| /nonexistent/program'
  [ "$(count new def)" = 1 ]
  run -0 pm <<< $'DEFAULT=def\n:0\n| no-such-program -x'
  [ "$(count new def)" = 2 ]
}

@test "EXITCODE=0, or a TRAP that ends so, does not make a lost mail a delivered one" {
  run -75 pm <<< $'DEFAULT=/dev/full\nORGMAIL=/dev/full\nEXITCODE=0'
  run -75 pm <<< $'DEFAULT=/dev/full\nORGMAIL=/dev/full\nEXITCODE=""\nTRAP="exit 0;"'
  run -77 pm <<< $'DEFAULT=/dev/full\nORGMAIL=/dev/full\nEXITCODE=77'
  run -0 pm <<< $'DEFAULT=def\nEXITCODE=0'
  # a holder of the rcfile may still say so (procmailrc(5), DELIVERED)
  run -0 pm <<< $'DEFAULT=/dev/full\nORGMAIL=/dev/full\nDELIVERED=yes'
}

@test "an expression that cannot be read matches nothing, nor does its opposite" {
  local deep; deep=$(printf '(%.0s' $(seq 300))x$(printf ')%.0s' $(seq 300))
  run -0 pm <<< $'DEFAULT=def\n:0\n* ! ^Subject: '"$deep"$'\n/dev/null'
  [ "$(count new def)" = 1 ]
}

@test "! with an address out of the mail: never an option of sendmail" {
  printf '#!/bin/sh\necho "$@" >> %s/args; cat > /dev/null\n' "$T" > "$T/sendmail"; chmod +x "$T/sendmail"
  sed -i '3a Reply-To: -X/tmp/x joe@b.c' "$T/m"
  run -0 pm <<< $'SENDMAIL=./sendmail\nDEFAULT=def\nTO=`formail -xReply-To:`\n:0\n! $TO'
  [[ $output == *'Not forwarded'* ]]
  [ ! -e "$T/args" ]; [ "$(count new def)" = 1 ]
  # in quotes, and by a backquote in the line itself
  run -0 pm <<< $'SENDMAIL=./sendmail\nDEFAULT=def\nTO=-t\n:0\n! "$TO"'
  run -0 pm <<< $'SENDMAIL=./sendmail\nDEFAULT=def\n:0\n! `echo -t`'
  [ ! -e "$T/args" ]; [ "$(count new def)" = 3 ]
  # what the rcfile itself says is the user's, and flags have their variable
  run -0 pm <<< $'SENDMAIL=./sendmail\nSENDMAILFLAGS="-oi -f x"\nTO="a@b.c d@e.f"\n:0\n! -N never $TO'
  [ "$(cat "$T/args")" = '-oi -f x -N never a@b.c d@e.f' ]
}

@test "a kept filter forgets a HOST of others, and its locks" {
  run -0 pm <<< $'LOCKFILE=l\nHOST=other.example\n:0\nbox'
  [ "$(count old box)" = 1 ]; run -1 count new box; [ ! -e "$T/l" ]
}

