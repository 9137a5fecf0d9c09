#!/usr/bin/env bats
# Several Maildirs of one owner at once: one request, a verdict each.  Laws 1
# to 3: a flush a file, nobody without a copy, nobody with two, whoever is
# killed where.
load queue
load ../lib/fault
bats_require_minimum_version 1.5.0

setup() {
  queue_setup
  BOX=65533
  # as another user all is done with our own rights: the same code, no hand
  [ "$(id -u)" -eq 0 ] || BOX=$(id -u)
  { for u in {a..z}; do echo "$u@virt.example $u/"; done; for u in {1..12}; do echo "n$u@virt.example n$u/"; done; } > "$T/boxes"
  { for u in {a..z}; do echo "$u@virt.example $BOX"; done; for u in {1..12}; do echo "n$u@virt.example $(id -u nobody)"; done; } > "$T/uids"
  conf "virtual_mailbox_maps = texthash:$T/boxes" "virtual_gid_maps = static:$BOX"
  [ "$(id -u)" -ne 0 ] || { conf "virtual_uid_maps = texthash:$T/uids"; chmod 1777 "$T/vm"; }
  # what a pass waits for, and no second one
  conf 'minimal_backoff_time = 60s'
}
teardown() { common_teardown; }

to() { local r=(); for u; do r+=("$u@virt.example"); done; submit joe@out.example "${r[@]}"; }
copies() { local m; for m; do printf '%s ' "$(count "vm/$m/new")"; done; }
leftovers() { find "$T/vm" -path "$T/vm/*/tmp/*"; }
pass() { mx-deliver --flush 2>/dev/null; run_queue; }
# each has exactly this message, its own head, its size in its name
whole() {
  local m f
  for m; do
    f=$(echo "$T"/vm/"$m"/new/*)
    [ "$(grep -c '^Delivered-To:' "$f")" -eq 1 ] && grep -q "^Delivered-To: $m@virt.example" "$f" &&
      cmp <(body "$f") "$T/m" && [[ $f == *",S=$(stat -c %s "$f"),W="* ]] || { echo "$m: $f"; return 1; }
  done
}

@test "38 recipients of two owners: each one copy, its owner's, in as many flushes" {
  to {a..z} n{1..12}
  fault fsync:1:count "$T/vm/" run_queue
  [ "$(queued)" -eq 0 ] && [ -z "$(leftovers)" ]
  whole {a..z} n{1..12}
  [ "$(grep -c 'relay=virtual.*status=sent (delivered to maildir)' "$MX_LOG")" -eq 38 ]
  [ "$(find "$T/vm" -path '*/new/*' -type f | wc -l)" -eq 38 ]
  [ "$(id -u)" -ne 0 ] || { [ "$(stat -c %u "$T"/vm/a/new/*)" -eq "$BOX" ] && [ "$(stat -c %u "$T"/vm/n1/new/*)" -eq "$(id -u nobody)" ]; }
  # those of each new Maildir and its parent, and one a message
  local once; once=$(fault_count)
  to {a..z} n{1..12}
  fault fsync:1:count "$T/vm/" run_queue
  [ "$(fault_count)" -eq 38 ] && [ "$once" -ge 38 ]
}

@test "the same mailbox twice, two messages with one ID: no copy is taken for another" {
  conf 'recipient_delimiter = +'
  submit joe@out.example a@virt.example a+x@virt.example b@virt.example
  run_queue
  [ "$(copies a b)" = "2 1 " ] && [ "$(queued)" -eq 0 ]
  # as a content filter hands it in once more
  for i in 1 2; do
    { echo '> EHLO x'; echo '> XFORWARD IDENT=SAME1234567'; echo '> MAIL FROM:<x@out.example>'
      echo '> RCPT TO:<a@virt.example>'; echo '> RCPT TO:<b@virt.example>'; echo "# $T/m"; } | talk
    [ "$(the_id)" = SAME1234567 ]
    run_queue
  done
  [ "$(copies a b)" = "4 3 " ] && [ "$(queued)" -eq 0 ]
}

@test "one that is full, one that cannot be opened, one where it loops: their trouble alone" {
  conf 'quota_rule = *:messages=1' 'quota_grace = 0'
  : > "$T/vm/b"; chown "$BOX" "$T/vm/b"
  printf 'Delivered-To: d@virt.example\n' | cat - "$T/m" > "$T/m2"; mv "$T/m2" "$T/m"
  to a b c d e f
  submit joe@out.example c@virt.example; submit joe@out.example e@virt.example
  : > "$MX_LOG"
  run_queue
  cat "$MX_LOG"
  [ "$(copies a c d e f)" = "1 1 0 1 1 " ] && [ -z "$(leftovers)" ]
  grep -q 'to=<b@virt.example>.*status=deferred' "$MX_LOG"
  grep -q 'to=<c@virt.example>.*dsn=5.2.2, status=bounced' "$MX_LOG"
  grep -q 'to=<e@virt.example>.*dsn=5.2.2, status=bounced' "$MX_LOG"
  grep -q 'to=<d@virt.example>.*mail forwarding loop' "$MX_LOG"
  rm "$T/vm/b"; pass
  [ "$(copies a b f)" = "1 1 1 " ]
}

@test "a message too large for one request goes alone, with NUL and 8-bit bytes" {
  { cat "$T/m"; head -c 40000 /dev/zero; printf '\n\377\n'; } > "$T/m2"; mv "$T/m2" "$T/m"
  to a b c
  run_queue
  whole a b c && [ "$(queued)" -eq 0 ]
  { printf 'Subject: z\n\n'; head -c 20000 /dev/zero; printf '\n\377\n'; } > "$T/m"
  to d e f
  run_queue
  whole d e f && [ "$(queued)" -eq 0 ]
}

# only what is done to the mailboxes: queue_fault.bats has the queue's own
sweep() { # ACTION
  local n struck place
  to a b n1
  place=$(the_entry); cp -a "$place" "$T/template"
  for n in $(seq 60); do
    rm -rf "$T"/vm/*; cp -a "$T/template" "$place"
    fault "write|fsync|rename|renameat2|unlinkat|close:$n:$1" "$T/vm/" timeout 60 mx-deliver --queue-run >"$T/out" 2>&1 || true
    struck=$(fault_struck)
    for _ in 1 2 3; do [ "$(queued)" -eq 0 ] || pass; done
    [ "$(queued)" -eq 0 ] && [ "$(copies a b n1)" = "1 1 1 " ] && whole a b n1 ||
      { echo "$1 N=$n: $(copies a b n1), queued $(queued)"; cat "$T/out"; tail -n 20 "$MX_LOG"; return 1; }
    [ "$struck" -gt 0 ] || { echo "$1: $n"; [ "$n" -gt 8 ]; return; }
  done
  return 1
}
@test "killed at each operation: one copy each, never two" { sweep kill; }
@test "each operation fails: one copy each, never two" { sweep EIO; }

@test "a copy that a killed attempt left fills the mailbox: it is the one, and no bounce" {
  conf 'quota_rule = *:messages=1' 'quota_grace = 0'
  to a b; run_queue; find "$T/vm" -type f -delete
  to a b
  fault fsync:1:kill "$T/vm/" mx-deliver --queue-run || true
  [ "$(queued)" -eq 1 ] && [ "$(copies a b)" = "1 1 " ]
  rm -f "$T"/vm/*/maildirsize
  pass
  [ "$(queued)" -eq 0 ] && [ "$(copies a b)" = "1 1 " ]
  [ "$(grep -c 'status=bounced' "$MX_LOG")" -eq 0 ]
  whole a b
}

@test "what a power cut left of a copy is no copy" {
  to a b c; run_queue; find "$T/vm" -type f -delete
  to a b c
  fault fsync:2:kill "$T/vm/" mx-deliver --queue-run || true
  [ "$(queued)" -eq 1 ]
  # the names came through, bytes of one did not
  [ "$(copies a b c)" = "1 1 1 " ]
  truncate -s 0 "$T"/vm/b/new/*
  pass
  [ "$(queued)" -eq 0 ] && [ "$(copies a b c)" = "1 1 1 " ] && [ -z "$(leftovers)" ]
  whole a b c
}
