#!/usr/bin/env bats
# Disks that are really full (small tmpfs) while the queue is worked on; that
# of reception is in tests/laws/reception.bats.
load queue
setup() {
  need_root
  queue_setup
  mkdir "$T/disk"
  mount -t tmpfs -o size=1500k,mode=755 tmpfs "$T/disk" || skip "no tmpfs can be mounted here"
}
teardown() { umount "$T/disk" 2>/dev/null || true; common_teardown; }
fill() { head -c 4000000 /dev/zero > "$T/disk/ballast" 2>/dev/null || true; }
again() { mx-deliver --flush 2>/dev/null; run_queue; }

@test "the mailboxes' disk is full: mail waits in the queue, then each copy is there once" {
  mkdir "$T/disk/vm"; chown nobody "$T/disk/vm"
  conf "virtual_mailbox_base = $T/disk/vm"
  { printf 'Subject: big\n\n'; head -c 30000 /dev/urandom | base64; } > "$T/m"
  for i in 1 2 3 4 5; do submit a@b.example joe@virt.example ann@virt.example box@virt.example; done
  fill
  again || true; again || true
  grep -q 'to=<joe@virt.example>.*dsn=4\.[0-9.]*, status=deferred' "$MX_LOG"
  grep -q 'to=<box@virt.example>.*dsn=4\.[0-9.]*, status=deferred' "$MX_LOG"
  ! grep -q 'status=bounced' "$MX_LOG"
  [ "$(queued)" -eq 5 ]
  [ -z "$(cd "$T/disk/vm" && find . -path '*/tmp/*' -type f)" ]
  [ ! -s "$T/disk/vm/box" ]
  rm "$T/disk/ballast"
  again
  [ "$(queued)" -eq 0 ]
  [ "$(find "$T/disk/vm/joe/new" -type f | wc -l)" -eq 5 ]
  [ "$(find "$T/disk/vm/ann/new" -type f | wc -l)" -eq 5 ]
  [ "$(grep -c '^From a@b.example' "$T/disk/vm/box")" -eq 5 ]
  for f in "$T"/disk/vm/joe/new/*; do cmp <(body "$f") "$T/m"; done
}

@test "the queue's disk is full: what can be sent is sent once, reports wait, nothing is lost" {
  mkdir "$T/disk/spool"; chown nobody "$T/disk/spool"
  conf "queue_directory = $T/disk/spool"
  peer ok; to_peer remote.example
  for i in 1 2 3; do submit joe@virt.example b@remote.example nobody@remote.example ann@virt.example later@remote.example; done
  fill
  # new mail: 4xx
  { printf 'Subject: big\n\n'; head -c 60000 /dev/urandom | base64; } > "$T/m"
  run submit joe@virt.example c@remote.example
  [ "$status" -eq 75 ]
  again || true; again || true
  [ "$(find "$T/disk/spool/queue" -type f | wc -l)" -eq 3 ]
  rm "$T/disk/ballast"
  again; again
  cat "$MX_LOG"
  [ "$(find "$T/disk/spool/queue" -type f | wc -l)" -eq 3 ]
  [ "$(count vm/joe/new)" -eq 3 ]
  [ "$(count vm/ann/new)" -eq 3 ]
  [ "$(grep -c '"event": "message"' "$PEER_LOG")" -eq 3 ]
  [ "$(find "$T/disk/spool/tmp" "$T/disk/spool/corrupt" -type f | wc -l)" -eq 0 ]
  for f in "$T"/disk/spool/queue/*/*; do grep -q '^Q recipient: later@remote.example' "$f"; done
}
