#!/usr/bin/env bats
# Laws 1 and 2 for mx-deliver: the Nth file operation fails, is cut short or
# kills; what was acknowledged is there once, what was not is not half there.
load deliver
load ../lib/fault
setup() {
  deliver_setup
  # what may fail lies below $T/disk: not the script's own files
  mkdir "$T/disk"
  install -m 755 /dev/null "$T/faulty"
  mv "$T/vm" "$T/spool" "$T/disk/"
  sed -i "s,$T/vm,$T/disk/vm,; s,$T/spool,$T/disk/spool," "$T/mx.conf"
}
teardown() { common_teardown; }

# sweep ACTION COMMAND: COMMAND under the shim for N = 1, 2, ... until a run
# is not hit; after each run `check STATUS` judges
sweep() {
  local n st
  for n in $(seq 200); do
    # the queue's 256 folders stay: making them is tried by the first run
    find "$T/disk/spool" -type f -delete
    rm -rf "$T"/disk/vm/*
    st=0
    rm -f "$T/fault.state"
    # the shim is for the program alone, not for the shell before it
    cat > "$T/faulty" <<EOF
#!/bin/sh
MX_FAULT=any:$n:$1 MX_FAULT_PATH=/disk/ MX_FAULT_STATE=$T/fault.state \\
  LD_PRELOAD=$MX_BUILD/lib/shim_fault.so exec mx-deliver "\$@"
EOF
    bash -c "$2" >"$T/out" 2>"$T/log" || st=$?
    check "$st" || { echo "N=$n $1: status $st"; cat "$T/out" "$T/log"; find "$T/disk/vm" "$T/disk/spool" -type f; return 1; }
    [ "$(fault_struck)" -gt 0 ] || { [ "$n" -gt 5 ]; return; }
  done
  return 1
}
in_box() { find "$T/disk/vm" -type f -path '*/new/*' | wc -l; }
whole() { # every file in new/ is the message, with its size in its name
  local f
  while read -r f; do
    cmp -s <(body "$f") "$T/m" || return 1
    [[ $f == *",S=$(stat -c %s "$f"),"* ]] || return 1
  done < <(find "$T/disk/vm" -type f -path '*/new/*')
}

@test "a bare deposit: exit 0 and there, or not 0 and not there" {
  check() {
    whole || return 1
    if [ "$1" -eq 0 ]; then [ "$(in_box)" -eq 1 ]; else
      [ "$(in_box)" -eq 0 ] && { [ "$1" -eq 75 ] || [ "$1" -eq 77 ] || [ "$1" -eq 74 ]; }
    fi
  }
  for a in EIO ENOSPC EACCES short; do
    sweep "$a" "$T/faulty --maildir $T/disk/vm/box < $T/m"
    [ -z "$(cd "$T/disk" && find vm -path '*/tmp/*' -type f)" ]
  done
  # killed: a copy may be in place unacknowledged (DESIGN 3.9), never half
  check() { whole && { [ "$1" -ne 0 ] || [ "$(in_box)" -eq 1 ]; }; }
  sweep kill "$T/faulty --maildir $T/disk/vm/box < $T/m"
}

@test "mbox: on any failure it is as it was before" {
  mkdir -p "$T/disk/vm"
  check() {
    if [ "$1" -eq 0 ]; then
      [ "$(grep -c '^From ' "$T/disk/vm/box")" -eq 1 ]
    else
      [ ! -s "$T/disk/vm/box" ]
    fi
  }
  for a in EIO ENOSPC short; do
    sweep "$a" "$T/faulty --mbox $T/disk/vm/box < $T/m"
  done
}

session() {
  cat > "$T/script" <<EOF
> EHLO x
> MAIL FROM:<a@b>
$1
# $T/m
EOF
  echo "python3 $BATS_TEST_DIRNAME/talk.py 'exec:$T/faulty --lmtp' < $T/script | tail -n 1"
}

@test "direct delivery: 250 and there once, or 4xx and not there" {
  check() {
    whole || return 1
    case $(cat "$T/out") in
      250*) [ "$(in_box)" -eq 1 ] ;;
      4*) [ "$(in_box)" -eq 0 ] ;;
      "(closed)"|"503 "*) [ "$(in_box)" -eq 0 ] ;;
      *) return 1 ;;
    esac
  }
  for a in EIO ENOSPC short; do
    sweep "$a" "$(session '> RCPT TO:<joe@virt.example>')"
  done
  check() {
    whole || return 1
    case $(cat "$T/out") in 250*) [ "$(in_box)" -eq 1 ] ;; 5*) return 1 ;; esac
  }
  sweep kill "$(session '> RCPT TO:<joe@virt.example>')"
}

@test "the queue: 250 and one whole entry, or 4xx and none" {
  mx-deliver -f a@b r@remote.example < "$T/m" 2>/dev/null
  entries() { find "$T/disk/spool/queue" -type f 2>/dev/null; }
  check() {
    local n; n=$(entries | wc -l)
    case $(cat "$T/out") in
      250*) [ "$n" -eq 1 ] && tail -n 1 "$(entries)" | grep -q '^mx-end: ' ;;
      4*|"(closed)") [ "$n" -eq 0 ] ;;
      *) return 1 ;;
    esac
  }
  for a in EIO ENOSPC short; do
    sweep "$a" "$(session '> RCPT TO:<r@remote.example>')"
  done
  check() {
    case $(cat "$T/out") in
      250*) [ "$(entries | wc -l)" -eq 1 ] ;;
      5*) return 1 ;;
    esac
    for f in $(entries); do tail -n 1 "$f" | grep -q '^mx-end: ' || return 1; done
  }
  sweep kill "$(session '> RCPT TO:<r@remote.example>')"
}
