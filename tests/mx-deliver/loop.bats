#!/usr/bin/env bats
# Loops over two hosts end by Delivered-To, as with local(8): a and b, each an
# mx-deliver of its own, LMTP between them.
load queue
setup() {
  queue_setup
  local h
  for h in a b; do host $h; done
}
teardown() { common_teardown; }

# host NAME: its configuration, and its server
host() {
  local o=b; [ "$1" = a ] || o=a
  mkdir "$T/$1" "$T/$1"/{spool,vm,run}
  [ "$OWNER" != nobody ] || chown nobody "$T/$1"/{spool,vm,run}
  cat > "$T/$1/mx.conf" <<CF
myhostname = $1.test
mydestination = $1.test
run_directory = $T/$1/run
queue_directory = $T/$1/spool
data_directory = $T/data
mail_owner = $OWNER
net_user = $OWNER
filter_user = $OWNER
alias_maps = texthash:$T/$1/aliases
virtual_mailbox_domains = v$1.test
virtual_mailbox_maps = inline:{ {ann@v$1.test = ann/} {joe@v$1.test = joe/} }
virtual_mailbox_base = $T/$1/vm
transport_maps = inline:{ {$o.test = lmtp:unix:$T/$o/run/deliver} {v$o.test = lmtp:unix:$T/$o/run/deliver} }
recipient_delimiter = +
CF
  : > "$T/$1/aliases"
}
on() { local h=$1; shift; MX_CONFIG=$T/$h/mx.conf "$@"; }
start() {
  local h
  for h in a b; do
    MX_CONFIG=$T/$h/mx.conf serve_at "$T/$h/run/deliver"
  done
}
serve_at() {
  spawn mx-deliver --lmtp --listen "deliver=unix:$1"
  wait_for 10 python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(s.recv(3) != b"220")' "$1"
}
# all queues until they are empty, at most so many rounds
rounds() {
  local i
  for ((i = 0; i < ${1:-8}; i++)); do
    on a mx-deliver --queue-run; on b mx-deliver --queue-run
  done
  [ -z "$(find "$T"/[ab]/spool/queue -type f)" ]
}
box() { cat "$T/$1/vm/$2"/new/* 2>/dev/null; }
hops() { grep -c 'status=sent' "$MX_LOG"; }

@test "two aliases that name each other: mail forwarding loop, told once, after one round" {
  echo 'loop: loop@b.test' > "$T/a/aliases"
  echo 'loop: loop@a.test' > "$T/b/aliases"
  start
  on a submit ann@va.test loop@a.test
  rounds
  cat "$MX_LOG"
  grep -q 'to=<loop@b.test>.*status=sent' "$MX_LOG"
  grep -q 'to=<loop@a.test>.*dsn=5.4.6, status=bounced (.*mail forwarding loop for loop@a.test' "$MX_LOG"
  [ "$(box a ann | grep -c '^Subject: Undelivered')" -eq 1 ]
  # each Delivered-To above the Received of the host that added it
  box a ann | grep -E '^(Delivered-To|Received): ' | grep -v owner- | cut -c1-30 > "$T/got"
  cat "$T/got"
  [ "$(grep -c '^Delivered-To: loop@' "$T/got")" -eq 2 ]
  [ "$(hops)" -le 3 ]
}

@test "an alias of several: who does not loop gets it, the bounce goes to owner-" {
  printf 'all: loop, ann@va.test\nowner-loop: joe@va.test\nloop: far@b.test\n' > "$T/a/aliases"
  echo 'far: all@a.test' > "$T/b/aliases"
  start
  on a submit ann@vb.test all@a.test
  rounds
  cat "$MX_LOG"
  # all -> loop -> far@b -> all@a: "all" is named first
  [ "$(box a ann | grep -c '^Subject: hi')" -eq 1 ]
  # a message that went through "loop" only: ann gets it, loop bounces
  printf 'Delivered-To: LOOP@a.test\nSubject: again\n\nx\n' > "$T/m"
  on a submit ann@vb.test all@a.test
  rounds
  [ "$(box a ann | grep -c '^Subject: again')" -eq 1 ]
  box a joe | grep -q '^Final-Recipient: rfc822; *loop@a.test'
  box a joe | grep -q '^Status: 5.4.6'
}

@test "nobody else is named: refused before the answer; a mailbox behind the alias" {
  echo 'loop: ann@va.test' > "$T/a/aliases"
  start
  printf 'Delivered-To: loop@a.test\nSubject: x\n\nx\n' > "$T/m"
  run on a submit joe@va.test loop@a.test
  [ "$status" -ne 0 ] && [ "$status" -ne 75 ]
  [[ $output == *'mail forwarding loop for loop@a.test'* ]]
  printf 'Subject: x\n\nx\n' > "$T/m"
  on a submit joe@va.test loop@a.test
  rounds
  box a ann | grep -E '^Delivered-To' > "$T/got"
  [ "$(tr '\n' ' ' < "$T/got")" = 'Delivered-To: ann@va.test Delivered-To: loop@a.test ' ]
}

@test "Sieve redirects of two mailboxes to each other" {
  local h
  for h in a b; do
    echo "redirect \"joe@v$([ $h = a ] && echo b || echo a).test\";" > "$T/$h/s.sieve"
    echo "sieve_after = $T/$h/s.sieve" >> "$T/$h/mx.conf"
    sed -i "s,{ann@v$h.test = ann/} ,," "$T/$h/mx.conf"
  done
  start
  on a submit ann@a.test joe@va.test || true
  rounds || true
  cat "$MX_LOG"
  grep -q 'status=bounced (.*mail forwarding loop for joe@va.test' "$MX_LOG"
  [ "$(hops)" -le 4 ]
}

@test "prepend_delivered_header without forward: no such field" {
  echo 'out: x@b.test' > "$T/a/aliases"
  echo 'prepend_delivered_header = command, file' >> "$T/a/mx.conf"
  on a submit ann@va.test out@a.test
  ! grep -rq '^Delivered-To' "$T/a/spool/queue"
  sed -i '/^prepend/d' "$T/a/mx.conf"
  on a submit ann@va.test OUT@a.test
  grep -rqx 'Delivered-To: out@a.test' "$T/a/spool/queue"
}

@test ".forward of users: as local(8), step by step" {
  need_root
  U=mxl$$ V=mxm$$
  useradd -M -d "$T/u" -s /bin/sh $U && useradd -M -d "$T/v" -s /bin/sh $V || skip "useradd does not work here"
  mkdir -m 700 "$T/u" "$T/v"
  echo "$V, far@b.test" > "$T/u/.forward"; chown -R $U: "$T/u"; chown $V: "$T/v"
  echo 'mail_location = maildir:~/Maildir' >> "$T/a/mx.conf"
  printf '%s\n' "list: $U" "nest: list" "own: $V" 'owner-own: ann@va.test' "inc: :include:$T/inc" > "$T/a/aliases"
  echo "$V" > "$T/inc"
  fields() { cat "$T/v/Maildir/new"/* | sed -n 's/^Delivered-To: //p' | tr '\n' ' '; rm -f "$T/v/Maildir/new"/*; }
  sent() { rm -rf "$T"/a/spool/queue/*/*; on a submit ann@va.test "$1@a.test"; on a mx-deliver --queue-run || true; }
  : > "$T/got"
  sent $V; { echo "V: $(fields)"; } >> "$T/got"
  sent $U; { echo "U: $(fields)"; } >> "$T/got"
  sent list; { echo "list: $(fields)"; } >> "$T/got"
  sent own; { echo "own: $(fields)"; } >> "$T/got"
  sent inc; { echo "inc: $(fields)"; } >> "$T/got"
  sent nest; { echo "nest: $(fields)"; } >> "$T/got"
  userdel $U; userdel $V
  sed -i "s/$U/u/g; s/$V/v/g; s/ $//" "$T/got"; cat "$T/got"
  diff - "$T/got" <<'X'
V: v@a.test
U: v@a.test u@a.test
list: v@a.test list@a.test
own: v@a.test own@a.test
inc: v@a.test inc@a.test
nest: v@a.test nest@a.test
X
}
