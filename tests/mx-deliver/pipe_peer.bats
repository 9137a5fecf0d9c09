#!/usr/bin/env bats
# pipe_NAME beside Postfix's pipe(8): the same message to the same attributes;
# arguments and standard input compared byte for byte.
load queue
load ../lib/postfix
setup() {
  need_root
  command -v postfix >/dev/null || [ -x /usr/sbin/postfix ] || skip "no postfix"
  queue_setup
  chmod 755 "$T"; mkdir -m 777 "$T/pf.out" "$T/mx.out"
  cat > "$T/dump" <<'SH'
#!/bin/sh
# DIR NAME ARG...: one file a call
f=$(mktemp "$1/$2.XXXXXX"); shift 2
{ for a; do printf '<%s>\n' "$a"; done; echo "cwd=$(pwd) id=$(id -un):$(id -gn)"; echo ----; cat; } > "$f"
SH
  chmod 755 "$T/dump"
  ARGS='s=$sender r=${recipient} o=${original_recipient} u=$user e=$extension m=$(mailbox) d=$domain n=$nexthop ca=$client_address ch=$client_hostname cp=$client_protocol cl=$client_helo su=$sasl_username sm=$sasl_method $$x { two words }'
}
teardown() { common_teardown; }

# lines "NAME ATTRIBUTES"; each is a transport of both, for NAME.test
SPECS='p0
pb flags=B
pd flags=D
pfrom flags=F
po flags=O
pr flags=R
pdor flags=DOR
pall flags=BDFORXhqu.>
ph flags=h
pu flags=u
pq flags=q
pdot flags=.
pgt flags=>
pn flags=R null_sender=
pnn flags=FRq null_sender=no.body
pe eol=\r\n
pe2 flags=FB eol=\r\n
peo eol=\055\n
pdir directory=/tmp
pg user=games:daemon
psz size=100'

both() {
  local name attr port; port=$(free_port)
  postfix_start pf "$port" 'recipient_delimiter = +' 'transport_maps = '"texthash:$T/routes" \
    'enable_long_queue_ids = yes' 'unknown_local_recipient_reject_code = 550' 'double_bounce_sender = db'
  PORT=$port
  while read -r name attr; do
    [[ $attr == *user=* ]] || attr="$attr user=nobody"
    [[ $attr == *directory=* ]] || attr="$attr directory=/"
    echo "$name unix - n n - - pipe $attr argv=$T/dump $T/pf.out $name $ARGS" >> "$T/pf/conf/master.cf"
    conf "pipe_$name = $attr argv=$T/dump $T/mx.out $name $ARGS"
    echo "$name.test $name:Next.Hop" >> "$T/routes"
    # several in one call, but with D and O: Postfix refuses those then
    limit=${LIMIT:-1}
    [[ $attr != *flags=*[DO]* ]] || limit=1
    echo "${name}_destination_recipient_limit = $limit" >> "$T/pf/conf/main.cf"
    conf "${name}_destination_recipient_limit = ${LIMIT:-1}"
  done <<< "$SPECS"
  cp "$T/routes" "$T/transport"
  conf 'mynetworks = 127.0.0.0/8' 'mydestination = pf.test' 'myhostname = pf.test' 'myorigin = pf.test'
  postfix -c "$T/pf/conf" reload >/dev/null 2>&1
}
# what differs by nature: our Received, dates, queue ids
plain() {
  sed -E -e '/^From .*  ?[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} /s/  ?[A-Z][a-z]{2} [A-Z][a-z]{2} .*20[0-9]{2}/ DATE/' "$1" |
    python3 -c 'import re,sys
b = sys.stdin.buffer.read()
sys.stdout.buffer.write(re.sub(rb"(?m)^Received: [^\n]*\n([ \t][^\n]*\n)*", b"", b, count=1))'
}
collect() {
  local f
  for f in "$T/$1.out"/*; do plain "$f" > "$f.plain"; done
  for f in "$T/$1.out"/*.plain; do echo "== $(basename "${f%%.??????.plain}")"; cat "$f"; done |
    python3 -c 'import sys
b = sys.stdin.buffer.read().split(b"== ")
sys.stdout.buffer.write(b"== ".join(sorted(b)))'
}
# send SENDER RCPT...: noted; send_all: over one connection to each
send() { local IFS=$'\t'; echo "$*" >> "$T/sends"; }
send_all() {
  python3 - "$PORT" "$T/msg" "$T/sends" <<'PY'
import smtplib, subprocess, sys
port, msg = sys.argv[1], open(sys.argv[2], "rb").read().replace(b"\n", b"\r\n")
todo = [l.rstrip("\n").split("\t") for l in open(sys.argv[3])]
s = smtplib.SMTP("127.0.0.1", int(port), local_hostname="Helo.Test")
assert s.docmd("EHLO Helo.Test")[0] == 250
dots = b"".join(b"." + l if l.startswith(b".") else l for l in msg.splitlines(True))
x, client = ["EHLO x"], "XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT=1 PROTO=ESMTP HELO=Helo.Test SOURCE=LOCAL"
for sender, *rcpts in todo:
    assert s.docmd("MAIL FROM:<%s>" % sender)[0] == 250
    for r in rcpts: assert s.docmd("RCPT TO:<%s>" % r)[0] == 250, r
    assert s.data(msg)[0] == 250
    x += [client, "MAIL FROM:<%s>" % sender] + ["RCPT TO:<%s>" % r for r in rcpts] + ["DATA", dots.decode() + "."]
s.quit()
p = subprocess.run(["mx-deliver", "--lmtp"], input=b"\r\n".join(l.encode() for l in x + ["QUIT", ""]), stdout=subprocess.PIPE)
assert p.stdout.count(b"\r\n354") == len(todo) and p.stdout.count(b"\r\n250 2.0.0") >= len(todo), p.stdout
PY
}

@test "flags, null_sender, eol, size, user, directory and each macro: the same bytes" {
  both
  printf 'From: a@s.test\nTo: b@s.test\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <1@s.test>\nSubject: pipe\n\nFrom here\n.dot\n..two\n>From x\nfour\n' > "$T/msg"
  local name attr n=0
  while read -r name attr; do
    send Ann.Smith@s.test "Joe+Ext@$name.test"
    n=$((n + 1))
  done <<< "$SPECS"
  for name in p0 pall pq pn pnn pfrom; do
    send '"x y"@s.test' "\"A b+X\"@$name.test" "plain@$name.test"
    send '' "joe@$name.test"
  done
  send_all
  timeout 60 mx-deliver --queue-run || true
  wait_for 60 bash -c "[ -z \"\$(find '$T/pf/queue/active' '$T/pf/queue/incoming' -type f)\" ]"
  collect pf > "$T/got.pf"; collect mx > "$T/got.mx"
  [ "$(grep -c "^== " "$T/got.pf")" -eq 38 ]
  diff -a "$T/got.pf" "$T/got.mx"
}

@test "several recipients in one call: a word for each of them, as many as the limit says" {
  LIMIT=3
  both
  printf 'From: a@s.test\nTo: b@s.test\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <1@s.test>\nSubject: pipe\n\nFrom here\n.dot\n' > "$T/msg"
  for name in p0 pd po pall ph pu pq pr psz; do
    send Ann.Smith@s.test "\"A b\"@$name.test" "Joe+Ext@$name.test"
    # (in the order into which qmgr(8) sorts them)
    send '' "Four+Y@$name.test" "five@$name.test" "one@$name.test" "three@$name.test" "two+x@$name.test"
    send ann@s.test "one@$name.test" one@p0.test "two@$name.test" two@pr.test
  done
  send_all
  timeout 60 mx-deliver --queue-run || true
  wait_for 60 bash -c "[ -z \"\$(find '$T/pf/queue/active' '$T/pf/queue/incoming' -type f)\" ]"
  collect pf > "$T/got.pf"; collect mx > "$T/got.mx"
  diff -a "$T/got.pf" "$T/got.mx"
  grep -a -A1 '^<r=three@p0.test>$' "$T/got.mx" | grep -q '^<r=two+x@p0.test>$'
}
