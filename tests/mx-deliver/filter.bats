#!/usr/bin/env bats
# mx-deliver: inbound_filter and outbound_filter as real pipes; verdicts,
# actions, environment.
load deliver
setup() { deliver_setup; }
teardown() { common_teardown; }

# from ADDR [LOGIN]: one message of that client for joe
from() {
  talk <<EOF | tail -n 1
> EHLO x
> XFORWARD ADDR=$1 HELO=h.example NAME=n.example IDENT=Q1${2:+ LOGIN=$2}
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
# $T/m
EOF
}
stage() { printf '#!/bin/sh\n%s\n' "$2" > "$T/$1"; chmod 755 "$T/$1"; }

@test "strangers go through inbound_filter, our users through outbound_filter" {
  conf "inbound_filter = sed s/line/INBOUND/ | sed 's/two/a | b/'" 'outbound_filter = sed s/line/OUTBOUND/'
  [[ $(from 192.0.2.1) == *delivered* ]]
  grep -q '^INBOUND$' "$T"/vm/joe/new/* && grep -q '^..a | b$' "$T"/vm/joe/new/*
  rm "$T"/vm/joe/new/*
  [[ $(from 127.0.0.1) == *delivered* ]]
  grep -q '^OUTBOUND$' "$T"/vm/joe/new/*
  rm "$T"/vm/joe/new/*
  [[ $(from 192.0.2.1 someone) == *delivered* ]]
  grep -q '^OUTBOUND$' "$T"/vm/joe/new/*
}

@test "the first failing stage from the left decides, and nothing is delivered" {
  stage ok 'cat'
  stage slow69 'cat >/dev/null; sleep 0.2; echo first >&2; printf "no\033[31m spam here\n" >&2; exit 69'
  stage fail75 'cat >/dev/null; exit 75'
  stage fail65 'cat >/dev/null; exit 65'
  stage fail77 'cat >/dev/null; echo forbidden >&2; exit 77'
  stage sig 'kill -9 $$'
  stage cut 'head -c 10; exit 0'
  while read -r stages want; do
    sed -i '/^inbound_filter/d' "$T/mx.conf"
    conf "inbound_filter = $(echo "$stages" | sed "s,+, | $T/,g; s,^,$T/,")"
    run from 192.0.2.1
    echo "$stages: $output"
    [[ $output == $want ]]
  done <<'EOF'
ok+slow69+fail75 550\ 5.7.1*no*spam\ here
ok+fail75+slow69 451\ 4.3.0*
fail65+ok 550\ 5.6.0*Message\ content\ rejected
fail77+fail75+fail65 550\ 5.7.1*forbidden
ok+sig+ok 451\ 4.3.0*
missing+ok 451\ 4.3.0*
EOF
  [ "$(count vm)" -eq 0 ] && [ "$(queued)" -eq 0 ]
  from 192.0.2.1 >/dev/null
  ! grep -q $'\033' "$T/log"
}

@test "an empty output with status 0 is refused" {
  conf 'inbound_filter = sed -n 1,0d'
  [[ $(from 192.0.2.1) == 550\ 5.6.0* ]]
  [ "$(count vm)" -eq 0 ]
}

@test "the envelope stands in MX_*, and nobody outside can set it" {
  export MX_AUTH_USER=evil MX_FOO=bar
  stage envs "env | grep ^MX_ | sort > $T/envout; cat"
  touch "$T/envout"; chmod 666 "$T/envout"
  conf "inbound_filter = $T/envs"
  [[ $(from 192.0.2.1) == *delivered* ]]
  grep -qx 'MX_SENDER=a@b' "$T/envout"
  grep -qx 'MX_RECIPIENTS=joe@virt.example' "$T/envout"
  grep -qx 'MX_CLIENT_ADDR=192.0.2.1' "$T/envout"
  grep -qx 'MX_CLIENT_NAME=n.example' "$T/envout"
  grep -qx 'MX_HELO=h.example' "$T/envout"
  grep -qx 'MX_QUEUE_ID=Q1' "$T/envout"
  grep -qx 'MX_ACTIONS=3' "$T/envout"
  ! grep -q 'MX_AUTH_USER\|MX_FOO' "$T/envout"
}

@test "actions on fd 3: hold, discard, bcc, reject; unknown ones are left out" {
  stage act 'printf "%s\n" "$ACT" >&3; cat'
  act() {
    stage act "printf '$1\\n' >&3; cat"
    sed -i '/^inbound_filter/d' "$T/mx.conf"; conf "inbound_filter = $T/act"
    from 192.0.2.1
  }
  [[ $(act 'discard') == *250* ]]
  [ "$(count vm)" -eq 0 ] && [ "$(queued)" -eq 0 ]
  [[ $(act 'reject\tgo away') == "550 5.7.1 go away" ]]
  [[ $(act 'hold') == *queued* ]]
  grep -q '^H id: ' "$(find "$T/spool/queue" -type f)"
  rm -rf "$T/spool/queue"
  [[ $(act 'bcc\tann@virt.example') == *queued* ]]
  grep -q 'recipient: ann@virt.example' "$(find "$T/spool/queue" -type f)"
  rm -rf "$T/spool/queue"
  [[ $(act 'filter\tsmtp:[127.0.0.1]:10024') == *queued* ]]
  grep -qx 'transport: smtp:\[127.0.0.1\]:10024' "$(find "$T/spool/queue" -type f)"
  rm -rf "$T/spool/queue"
  before=$(count vm/ann/new)
  [[ $(act 'redirect\tann@virt.example') == *delivered* ]]
  [ "$(count vm/ann/new)" -eq $((before + 1)) ]
  [[ $(act 'redirect\tno such address') == *delivered* ]]
  grep -q 'action "redirect" is not known' "$T/log"
  [[ $(act 'frobnicate\tx') == *delivered* ]]
  grep -q 'frobnicate' "$T/log"
}

@test "a filter's redirect after LHLO: one copy, a reply for each recipient" {
  stage act 'printf "redirect\tbox@virt.example\n" >&3; cat'
  conf "inbound_filter = $T/act"
  { printf '> LHLO x\n> XFORWARD ADDR=192.0.2.1\n> MAIL FROM:<a@b>\n> RCPT TO:<joe@virt.example>\n> RCPT TO:<ann@virt.example>\n> DATA\n= %s\n< 1\n' "$T/m"; } | talk > "$T/out"
  [ "$(tail -n 2 "$T/out" | grep -c '^250 2')" -eq 2 ]
  [ "$(grep -c '^From ' "$T/vm/box")" -eq 1 ]
  [ "$(count vm/joe/new)" -eq 0 ] && [ "$(count vm/ann/new)" -eq 0 ]
}

@test "a message of 3 MB passes two stages; LMTP recipients share one run" {
  conf 'message_size_limit = 0' "inbound_filter = cat | $T/once"
  stage once "echo x >> $T/runs; cat"
  touch "$T/runs"; chmod 666 "$T/runs"
  { cat "$T/m"; head -c 3000000 /dev/urandom | base64; } > "$T/big"
  run talk <<EOF
> LHLO x
> MAIL FROM:<a@b>
> RCPT TO:<joe@virt.example>
> RCPT TO:<ann@virt.example>
> DATA
= $T/big
< 1
EOF
  [ "$(wc -l < "$T/runs")" -eq 1 ]
  cmp <(body "$T"/vm/joe/new/*) "$T/big"
  cmp <(body "$T"/vm/ann/new/*) "$T/big"
}

@test "stages run as filter_user, with no descriptor of ours" {
  need_root
  conf 'filter_user = daemon'
  stage who "id -un > $T/o.who; ls -l /proc/self/fd | sed 1d >> $T/o.who; cat"
  touch "$T/o.who"; chmod 666 "$T/o.who"
  conf "inbound_filter = $T/who"
  [[ $(from 192.0.2.1) == *delivered* ]]
  [ "$(head -1 "$T/o.who")" = daemon ]
  # 0 1 2 3 and the one that ls opened
  [ "$(sed 1d "$T/o.who" | wc -l)" -le 5 ]
}

@test "mx-dkimsign runs as sign_user, its neighbours as filter_user" {
  need_root
  conf 'filter_user = daemon' 'sign_user = games'
  for s in a b; do stage $s "id -un >> $T/o.who; cat"; done
  echo "id -un >> $T/o.who; cat" > "$T/signer"
  printf '#!/bin/sh\nexec python3 "%s" "%s" "$@"\n' "$ROOT/tests/lib/kept.py" "$T/signer" > "$T/mx-dkimsign"
  chmod 755 "$T/mx-dkimsign"
  : > "$T/o.who"; chmod 666 "$T/o.who"
  conf "inbound_filter = $T/a | $T/mx-dkimsign | $T/b | $T/a"
  [[ $(from 192.0.2.1) == *delivered* ]]
  [ "$(tr '\n' ' ' < "$T/o.who")" = "daemon games daemon daemon " ]
}

@test "several kept stages one after the other: each sees each message, once" {
  for i in 1 2 3; do echo "/^Subject: (.*)/ PREPEND X-Stage-$i: \$1" > "$T/t$i"; done
  chmod 644 "$T"/t?
  conf "inbound_filter = mx-filter headers pcre:$T/t1 | sed s/line/LINE/ | mx-filter headers pcre:$T/t2 | mx-filter headers pcre:$T/t3"
  for i in 1 2 3 4; do printf 'From: a@b\nSubject: number %s\n\nline\n' $i > "$T/m$i"; done
  talk <<EOF
> EHLO x
> XFORWARD ADDR=192.0.2.1 HELO=h.example NAME=n.example IDENT=Q1
$(for i in 1 2 3 4; do printf '> MAIL FROM:<a@b>\n> RCPT TO:<joe@virt.example>\n# %s\n' "$T/m$i"; done)
EOF
  [ "$(ls "$T/vm/joe/new" | wc -l)" -eq 4 ]
  for i in 1 2 3 4; do
    f=$(grep -l "^Subject: number $i" "$T"/vm/joe/new/*)
    cat "$f"
    for s in 1 2 3; do [ "$(grep -c "^X-Stage-$s: number $i$" "$f")" -eq 1 ]; done
    grep -q '^LINE$' "$f"
  done
}
