#!/usr/bin/env bats
# Laws 1 and 2 at the front door: mx-recv with mx-deliver behind it.  The Nth
# file operation fails, is cut short or kills; the disk is full.  What got a
# 250 is in exactly one place, what did not is nowhere by half.
load ../lib/common
load ../lib/fault

setup() {
  common_setup
  [ -e "$MX_BUILD/lib/shim_fault.so" ] || make -s -C "$ROOT" shims
  mkdir -p "$T"/disk/{spool,vm}
  owner=$(id -un)
  [ "$(id -u)" -ne 0 ] || { owner=nobody; chown -R nobody "$T/disk"; }
  cat > "$T/mx.conf" <<X
myhostname = mx.test
mydestination = mx.test
run_directory = $T
queue_directory = $T/disk/spool
data_directory = $T/data
net_user = $owner
mail_owner = $owner
filter_user = $owner
alias_maps =
virtual_mailbox_domains = virt.test
virtual_mailbox_maps = inline:{ {joe@virt.test = joe/} {ann@virt.test = ann/} }
virtual_mailbox_base = $T/disk/vm
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions =
smtpd_error_sleep_time = 0
X
  export MX_CONFIG=$T/mx.conf
}
teardown() {
  for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null || true; done
  ! mountpoint -q "$T/disk" || wait_for 20 umount "$T/disk"
  common_teardown
}

# session RCPT...: a session on a pipe with one message; what was said
session() {
  local r
  {
    printf 'EHLO me.test\r\nMAIL FROM:<a@x.test>\r\n'
    for r in "$@"; do printf 'RCPT TO:<%s>\r\n' "$r"; done
    printf 'DATA\r\n'
    sed 's/^\./../; s/$/\r/' "$T/m"
    printf '.\r\nQUIT\r\n'
  } | mx-recv -o "delivery=exec:$T/faulty --lmtp"
}

# places: files that hold the message; each must hold it whole
places() {
  local f n=0
  while read -r f; do
    n=$((n + 1))
    case $f in
      */queue/*) [[ $(tail -n 1 "$f") == mx-end:* ]] || [ -s "$f" ] || return 1 ;;
      *) cmp -s <(sed '/^Subject:/,$!d' "$f") "$T/m" || return 1 ;;
    esac
  done < <(find "$T/disk" -type f \( -path '*/new/*' -o -path '*/queue/*' \))
  echo "$n"
}

# the reply to the message: what followed 354, or nothing
verdict() { sed -n '/^354 /,$p' "$T/out" | tr -d '\r' | sed -n '2p'; }

# sweep ACTION MOST RCPT...: a 250 means exactly one place, another answer at
# most MOST (0; 1 when the process may be killed between commit and answer)
sweep() {
  local action=$1 most=$2 n got; shift 2
  printf 'Subject: hi\n\nline\n.dot\n' > "$T/m"
  for n in $(seq 150); do
    find "$T/disk" -type f -delete
    rm -f "$T/fault.state"
    cat > "$T/faulty" <<X
#!/bin/sh
MX_FAULT=any:$n:$action MX_FAULT_PATH=/disk/ MX_FAULT_STATE=$T/fault.state \\
  LD_PRELOAD=$MX_BUILD/lib/shim_fault.so exec mx-deliver "\$@"
X
    chmod 755 "$T/faulty"
    session "$@" >"$T/out" 2>"$T/log" || true
    got=$(places) || { echo "N=$n $action: a part of a message"; cat "$T/out"; return 1; }
    case $(verdict) in
      250*) [ "$got" -eq 1 ] ;;
      4??*|"") [ "$got" -le "$most" ] ;;
      *) false ;;
    esac || { echo "N=$n $action: $got places after: $(verdict)"; cat "$T/out" "$T/log"; return 1; }
    [ "$(fault_struck)" -gt 0 ] || { echo "$action: $n"; [ "$n" -gt 3 ] && [[ $(verdict) == 250* ]]; return; }
  done
  return 1
}

@test "faults, one recipient, straight into the mailbox" {
  for a in EIO ENOSPC short; do sweep "$a" 0 joe@virt.test; done
  sweep kill 1 joe@virt.test
}

@test "faults, two recipients, into the queue" {
  # the queue's 256 folders are there already
  printf 'Subject: first\n\nx\n' | mx-deliver -f a@x.test x@far.test 2>/dev/null
  for a in EIO ENOSPC short; do sweep "$a" 0 joe@virt.test x@far.test; done
  sweep kill 1 joe@virt.test x@far.test
}

@test "a full disk at reception: 4xx, nothing left; room again: 250" {
  need_root
  for rcpt in joe@virt.test "joe@virt.test x@far.test"; do
    mount -t tmpfs -o size=1200k,mode=755 tmpfs "$T/disk" || skip "no tmpfs can be mounted here"
    mkdir "$T"/disk/{spool,vm}; chown -R nobody "$T/disk"
    printf '#!/bin/sh\nexec mx-deliver "$@"\n' > "$T/faulty"; chmod 755 "$T/faulty"
    # the folders are there, then the disk fills
    printf 'Subject: first\n\nx\n' > "$T/m"
    session $rcpt > "$T/out" 2>"$T/log"
    [[ $(verdict) == 250* ]]
    find "$T/disk" -type f -delete
    head -c 2000000 /dev/zero > "$T/disk/ballast" 2>/dev/null || true
    { printf 'Subject: big\n\n'; head -c 60000 /dev/urandom | base64; } > "$T/m"
    session $rcpt > "$T/out" 2>"$T/log" || true
    cat "$T/out" "$T/log"
    [[ $(tail -n 2 "$T/out") == 4* ]]
    ! grep -q '^250 2.0.0' "$T/out"
    [ "$(places)" -eq 0 ]
    [ -z "$(cd "$T/disk" && find . -path '*/tmp/*' -type f)" ]
    rm "$T/disk/ballast"
    session $rcpt > "$T/out" 2>"$T/log"
    [[ $(verdict) == 250* ]]
    [ "$(places)" -eq 1 ]
    umount "$T/disk"
  done
}

@test "a full disk while others are served: each 250 is there, each 4xx is not" {
  need_root
  mount -t tmpfs -o size=1500k,mode=755 tmpfs "$T/disk" || skip "no tmpfs can be mounted here"
  mkdir "$T"/disk/{spool,vm}; chown -R nobody "$T/disk"
  spawn mx-deliver --lmtp --listen "unix:$T/deliver"
  port=$(free_port)
  spawn mx-recv -o "delivery=unix:$T/deliver" --listen "127.0.0.1:$port"
  wait_port "$port"
  wait_for 5 test -S "$T/deliver"
  python3 - "$port" > "$T/answers" <<'PY'
import smtplib, sys, threading
lock = threading.Lock()
def one(n):
    s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test")
    for i in range(6):
        id = "%d.%d" % (n, i)
        code = 0
        try:
            s.mail("a@x.test"); code = s.rcpt("joe@virt.test")[0]
            if code == 250: code = s.data("Subject: %s\r\n\r\n" % id + ("x" * 70 + "\r\n") * 700)[0]
            else: s.rset()
        except smtplib.SMTPDataError as e: code = e.smtp_code
        except smtplib.SMTPException as e:
            code = 499; s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("me.test")
        with lock: print(id, code)
t = [threading.Thread(target=one, args=(n,)) for n in range(8)]
[x.start() for x in t]; [x.join() for x in t]
PY
  cat "$T/answers"
  [ "$(wc -l < "$T/answers")" -eq 48 ]
  grep -q ' 250$' "$T/answers"
  grep -q ' 45[0-9]$' "$T/answers"
  ! grep -q ' 5[0-9][0-9]$' "$T/answers"
  diff <(sed -n 's/ 250$//p' "$T/answers" | sort) \
    <(sed -n 's/^Subject: //p' "$T"/disk/vm/joe/new/* | sort)
}
