#!/usr/bin/env bats
# Laws 1 and 2 in the queue: one entry for a remote host, a mailbox and an
# unknown user (a report is due).  In each pass the Nth file operation fails,
# is cut short, or kills; passes without faults end the story.  Nobody loses a
# copy, and two copies lie only in the window after an answer was read and
# before its mark is written.
load queue
load ../lib/fault
bats_require_minimum_version 1.5.0

setup() {
  queue_setup
  peer ok; to_peer remote.example
  submit joe@virt.example b@remote.example ann@virt.example nobody@remote.example
  [ "$(queued)" -eq 1 ]
  cp -a "$(the_entry)" "$T/template"; place=$(the_entry)
}
teardown() { common_teardown; }

# pass: one attempt at all that waits, whatever its time
pass() { mx-deliver --flush 2>/dev/null; run_queue; }

sweep() { # ACTION
  local n remote ann joe
  for n in $(seq 200); do
    find "$T/vm" -type f -delete; find "$T/spool/queue" "$T/spool/tmp" "$T/spool/corrupt" -type f -delete
    cp -a "$T/template" "$place"
    : > "$PEER_LOG"
    fault "write|pwrite|fsync|rename|renameat|link|linkat|unlink|unlinkat|ftruncate:$n:$1" "$T/" timeout 60 mx-deliver --queue-run >"$T/out" 2>&1 || true
    struck=$(fault_struck)
    for _ in 1 2 3 4; do [ "$(queued)" -eq 0 ] || pass; done
    remote=$(taken) ann=$(count vm/ann/new) joe=$(count vm/joe/new)
    [ "$(queued)" -eq 0 ] && [ "$remote" -ge 1 ] && [ "$ann" -ge 1 ] && [ "$joe" -ge 1 ] &&
      [ $((remote + ann + joe)) -le 4 ] ||
      { echo "$1 N=$n: remote $remote, mailbox $ann, reports $joe, queued $(queued)"; cat "$T/out"; tail -n 20 "$MX_LOG"; return 1; }
    [ "$struck" -gt 0 ] || { echo "$1: $n"; [ "$n" -gt 10 ]; return; }
  done
  return 1
}

@test "the runner under I/O errors: EIO" { sweep EIO; }
@test "the runner on a full disk: ENOSPC" { sweep ENOSPC; }
@test "the runner with writes cut short" { sweep short; }
@test "the runner and its workers killed at each operation" { sweep kill; }

@test "sendmail into the submit socket: exit 0 means it is queued or delivered, once" {
  find "$T/spool/queue" -type f -delete
  conf "run_directory = $T/run"
  mkdir -p "$T/run"
  local n a got
  for a in EIO ENOSPC short kill; do
    for n in $(seq 60); do
      find "$T/spool/queue" "$T/spool/tmp" "$T/vm" -type f -delete
      rm -f "$T/fault.state" "$T/run/submit"
      MX_FAULT=any:$n:$a MX_FAULT_PATH=$T/ MX_FAULT_STATE=$T/fault.state LD_PRELOAD=$MX_BUILD/lib/shim_fault.so \
        mx-deliver --lmtp --listen "unix:$T/run/submit" >"$T/log.submit" 2>&1 3>&- &
      pid=$!; PIDS+=("$pid")
      for _ in $(seq 100); do [ -S "$T/run/submit" ] && break; kill -0 "$pid" 2>/dev/null || break; sleep 0.02; done
      status=0
      printf 'Subject: hi\n\nx\n' | mx-submit -f joe@virt.example ann@virt.example far@remote.example >"$T/out" 2>&1 || status=$?
      kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true
      got=$(find "$T/spool/queue" "$T/vm" -type f \( -path '*/queue/*' -o -path '*/new/*' \) -size +0 | wc -l)
      case $status in
        0) [ "$got" -eq 1 ] ;;
        75) [ "$got" -le $([ $a = kill ] && echo 1 || echo 0) ] ;;
        *) false ;;
      esac || { echo "$a N=$n: exit $status, $got copies"; cat "$T/out" "$T/log.submit"; return 1; }
      [ "$(fault_struck 2>/dev/null || echo 1)" -gt 0 ] || { echo "$a: $n"; [ "$status" -eq 0 ]; break; }
    done
    [ "$n" -lt 60 ]
  done
}
