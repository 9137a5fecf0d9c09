#!/usr/bin/env bats
# Many recipients here in one message: the child that became their user opens
# the next one's file with the commit of the one before.  Nobody gets two
# copies or none for it, whatever becomes of the mailbox in between.
load queue
load ../lib/fault
bats_require_minimum_version 1.5.0

BOX=65533
setup() {
  queue_setup
  need_root
  conf "virtual_mailbox_maps = inline:{ {a@virt.example = a/} {b@virt.example = b/} {c@virt.example = c/} {d@virt.example = d/} }" \
    "virtual_uid_maps = static:$BOX" "virtual_gid_maps = static:$BOX"
  chown "$BOX:$BOX" "$T/vm"
}
teardown() { common_teardown; }

copies() { local m; for m; do printf '%s ' "$(count "vm/$m/new")"; done; }
leftovers() { find "$T/vm" -path "$T/vm/*/tmp/*"; }

@test "four recipients: one copy each, its own head on each, nothing left in tmp" {
  submit joe@out.example a@virt.example b@virt.example c@virt.example d@virt.example
  run_queue
  [ "$(copies a b c d)" = "1 1 1 1 " ] && [ "$(queued)" -eq 0 ]
  [ -z "$(leftovers)" ]
  for m in a b c d; do
    grep -q "^Delivered-To: $m@virt.example" "$T"/vm/$m/new/*
    [ "$(grep -c '^Delivered-To:' "$T"/vm/$m/new/*)" -eq 1 ]
    cmp <(body "$T"/vm/$m/new/*) "$T/m"
    [ "$(stat -c %u "$T"/vm/$m/new/*)" -eq "$BOX" ]
  done
}

@test "a mailbox that cannot be opened ahead is its owner's trouble alone" {
  : > "$T/vm/b"; chown $BOX "$T/vm/b"
  submit joe@out.example a@virt.example b@virt.example c@virt.example d@virt.example
  run_queue
  [ "$(copies a c d)" = "1 1 1 " ] && [ "$(queued)" -eq 1 ] && [ -z "$(leftovers)" ]
  grep -q 'to=<b@virt.example>.*status=deferred' "$MX_LOG"
  rm "$T/vm/b"
  mx-deliver --flush; run_queue
  [ "$(copies a b c d)" = "1 1 1 1 " ] && [ "$(queued)" -eq 0 ]
}

@test "a message that loops at one of them: the file opened ahead is given up" {
  printf 'Delivered-To: c@virt.example\n' | cat - "$T/m" > "$T/m2"; mv "$T/m2" "$T/m"
  submit joe@out.example a@virt.example b@virt.example c@virt.example d@virt.example
  run_queue
  grep -q 'to=<c@virt.example>.*mail forwarding loop' "$MX_LOG"
  [ "$(copies a b d)" = "1 1 1 " ] && [ "$(count vm/c/new)" -eq 0 ] && [ -z "$(leftovers)" ]
}

@test "killed or failing at each operation: a copy each, at most one twice" {
  local act n total
  submit joe@out.example a@virt.example b@virt.example c@virt.example
  place=$(the_entry); cp -a "$place" "$T/template"
  for act in kill EIO; do
    for n in $(seq 100); do
      find "$T/vm" "$T/spool/queue" "$T/spool/tmp" "$T/spool/corrupt" -type f -delete
      cp -a "$T/template" "$place"
      fault "write|pwrite|fsync|rename|renameat|unlink|unlinkat:$n:$act" "$T/" timeout 60 mx-deliver --queue-run >"$T/out" 2>&1 || true
      struck=$(fault_struck)
      for _ in 1 2 3 4; do [ "$(queued)" -eq 0 ] || { mx-deliver --flush 2>/dev/null; run_queue; }; done
      total=$(($(count vm/a/new) + $(count vm/b/new) + $(count vm/c/new)))
      [ "$(queued)" -eq 0 ] && [ "$(count vm/a/new)" -ge 1 ] && [ "$(count vm/b/new)" -ge 1 ] &&
        [ "$(count vm/c/new)" -ge 1 ] && [ "$total" -le 4 ] ||
        { echo "$act N=$n: $(copies a b c), queued $(queued)"; cat "$T/out"; tail -n 20 "$MX_LOG"; return 1; }
      [ "$struck" -gt 0 ] || break
    done
    [ "$struck" -eq 0 ] && [ "$n" -gt 8 ] || { echo "$act: $n"; return 1; }
  done
}
