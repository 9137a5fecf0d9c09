#!/usr/bin/env bats
# XACTION and VRFY: what mx-recv's restrictions say about a message.
load deliver
setup() { deliver_setup; }
teardown() { common_teardown; }

# mail ACTION [RCPT...]: a session; the last reply is printed
mail() {
  local a=$1 r; shift
  {
    printf '> EHLO x\n> MAIL FROM:<a@b.example>\n'
    for r in "${@:-joe@virt.example}"; do printf '> RCPT TO:<%s>\n' "$r"; done
    printf '> XACTION %s\n# %s\n' "$a" "$T/m"
  } | talk > "$T/out"
  tail -n 1 "$T/out"
}
entry() { sed '/^$/,$d' "$T"/spool/queue/*/*; }

@test "EHLO offers XACTION beside XFORWARD" {
  printf '> EHLO x\n' | talk > "$T/out"
  grep -q '250.XACTION HOLD REDIRECT FILTER BCC LATE' "$T/out"
}

@test "HOLD: an entry on hold, nothing in the mailbox" {
  [[ "$(mail HOLD)" == "250 2.0.0 "* ]]
  [ "$(count vm)" -eq 0 ] && [ "$(queued)" -eq 1 ]
  mx-deliver --list 2>/dev/null | grep -qi 'hold\|!'
}

@test "REDIRECT: all recipients become one, unknown ones too late for 5xx" {
  [[ "$(mail REDIRECT=ann@virt.example joe@virt.example far@remote.example)" == "250 "* ]]
  [ "$(count vm/ann/new)" -eq 1 ] && [ "$(count vm/joe)" -eq 0 ] && [ "$(queued)" -eq 0 ]
  [[ "$(mail REDIRECT=nobody@virt.example)" == "451 "* ]]
}

@test "FILTER: the entry names its transport; BCC: one recipient more" {
  [[ "$(mail FILTER=smtp:[127.0.0.1]:10024)" == "250 "* ]]
  entry | grep -q '^transport: smtp:\[127.0.0.1\]:10024$'
  rm -rf "$T"/spool/queue/*/*
  [[ "$(mail 'BCC=boss@remote.example BCC=ann@virt.example')" == "250 "* ]]
  entry | grep -q 'joe@virt.example'; entry | grep -q 'boss@remote.example'; entry | grep -q 'ann@virt.example'
}

@test "LATE: until the last chunk; without it no more after the first" {
  for late in LATE ''; do
    {
      printf '> EHLO x\n> MAIL FROM:<a@b.example>\n> RCPT TO:<joe@virt.example>\n'
      [ -z "$late" ] || printf '> XACTION LATE\n'
      printf '>> BDAT 10\nraw Subject:\\r\\n\n< 1\n> XACTION REDIRECT=ann@virt.example\n> BDAT 0 LAST\n'
    } | talk > "$T/out.late$late" || true
    cat "$T/out.late$late"
  done
  [ "$(count vm/ann/new)" -eq 1 ]
  grep -q '^503 .*LATE' "$T/out.late"
}

@test "values that are no address or transport; twice; out of order" {
  for a in NONE HOLD=1 REDIRECT REDIRECT=+40 'REDIRECT=a+0Ab@x' BCC= FILTER=smtp ''; do
    mail "$a" >/dev/null
    grep -q '^501 5.5.4' "$T/out" || { echo "$a"; cat "$T/out"; false; }
  done
  printf '> EHLO x\n> XACTION HOLD\n' | talk | grep -q '^503'
}

# lmail ACTION RCPT...: the same after LHLO; the reply of each recipient
lmail() {
  local a=$1 r; shift
  {
    printf '> LHLO x\n> MAIL FROM:<a@b.example>\n'
    for r in "$@"; do printf '> RCPT TO:<%s>\n' "$r"; done
    printf '> XACTION %s\n# %s\n' "$a" "$T/m"
    for r in "${@:2}"; do printf '< 1\n'; done
  } | talk > "$T/out"
  cat "$T/out"
  [ "$(tail -n $# "$T/out" | grep -c '^250 ')" -eq $# ]
}

@test "after LHLO too, with a reply for each: HOLD, FILTER, REDIRECT, one BCC" {
  lmail HOLD joe@virt.example ann@virt.example
  [ "$(count vm)" -eq 0 ] && [ "$(queued)" -eq 2 ]
  mx-deliver --list 2>/dev/null | grep -ci 'hold\|!'
  rm -rf "$T"/spool/queue/*/*
  lmail FILTER=smtp:[127.0.0.1]:10024 joe@virt.example
  entry | grep -q '^transport: smtp:\[127.0.0.1\]:10024$'
  rm -rf "$T"/spool/queue/*/*
  lmail BCC=boss@remote.example joe@virt.example ann@virt.example
  ls "$T"/spool/queue/*/*; grep -a boss "$T"/spool/queue/*/*
  [ "$(grep -al boss@remote.example "$T"/spool/queue/*/* | wc -l)" -eq 1 ]
  rm -rf "$T"/spool/queue/*/*
  lmail REDIRECT=ann@virt.example joe@virt.example joe@virt.example
  [ "$(count vm/ann/new)" -eq 1 ] && [ "$(count vm/joe)" -eq 0 ]
}

@test "VRFY tells a trusted peer what RCPT would say; a stranger nothing" {
  printf '> EHLO x\n> VRFY <joe@virt.example>\n> VRFY <no@virt.example>\n> VRFY <x@remote.example>\n> VRFY <\n' | talk > "$T/out"
  tail -n 4 "$T/out" | cut -c1-9 > "$T/got"
  diff "$T/got" - <<X
250 2.1.5
550 5.1.1
250 2.1.5
252 2.0.0
X
}
