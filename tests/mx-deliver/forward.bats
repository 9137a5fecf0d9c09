#!/usr/bin/env bats
# .forward of system users: read and carried out with the user's rights.
load queue
setup() {
  need_root
  queue_setup
  MXUSER=mxf$$
  useradd -M -d "$T/home" -s /bin/sh "$MXUSER" || skip "useradd does not work here"
  mkdir -m 700 "$T/home"; chown "$MXUSER:" "$T/home"
  conf 'mail_location = maildir:~/Maildir'
  A=$MXUSER@local.example
}
teardown() {
  [ -z "${MXUSER:-}" ] || userdel -f "$MXUSER" 2>/dev/null || true
  common_teardown
}
dot() { printf "$@" > "$T/home/.forward"; chown "$MXUSER:" "$T/home/.forward"; }
go() { submit ann@virt.example "${1:-$A}" 2>>"$MX_LOG"; run_queue; run_queue; }
home() { find "$T/home/Maildir/new" -type f 2>/dev/null | wc -l; }

@test "elsewhere, and a copy kept by \\name or by name" {
  dot 'joe@virt.example\n'
  go
  [ "$(count vm/joe/new)" -eq 1 ] && [ "$(home)" -eq 0 ]
  dot '# mine\n\\%s, joe@virt.example\n' "$MXUSER"
  go
  [ "$(count vm/joe/new)" -eq 2 ] && [ "$(home)" -eq 1 ]
  dot '%s\n"joe@virt.example"\n' "$MXUSER"
  go
  [ "$(count vm/joe/new)" -eq 3 ] && [ "$(home)" -eq 2 ]
  # an empty one is none
  dot ''
  go
  [ "$(home)" -eq 3 ]
  [ "$(queued)" -eq 0 ]
}

@test "a command and a file, as the user" {
  dot '"|id -un > %s/home/who; cat >> %s/home/who", %s/home/box, %s/home/dir/\n' "$T" "$T" "$T" "$T"
  go
  [ "$(head -1 "$T/home/who")" = "$MXUSER" ]
  grep -q '^Subject: hi' "$T/home/who"
  grep -q '^From ann@virt.example' "$T/home/box"
  [ "$(stat -c %U "$T/home/box")" = "$MXUSER" ]
  [ "$(find "$T/home/dir/new" -type f | wc -l)" -eq 1 ]
  [ "$(home)" -eq 0 ]
}

@test "user+ext: .forward+ext first; an extension is no path" {
  dot 'joe@virt.example\n'
  printf 'box@virt.example\n' > "$T/home/.forward+list"; chown "$MXUSER:" "$T/home/.forward+list"
  go "$MXUSER+list@local.example"
  [ "$(count vm/joe/new)" -eq 0 ]
  grep -q '^Subject: hi' "$T/vm/box"
  go "$MXUSER+other@local.example"
  [ "$(count vm/joe/new)" -eq 1 ]
  go "$MXUSER+/x@local.example"
  [ "$(count vm/joe/new)" -eq 2 ]
}

@test "writable by others, not the user's, a FIFO, a directory: not used, said" {
  dot 'joe@virt.example\n'
  chmod 666 "$T/home/.forward"; go
  grep -q 'others may write it: it is not used' "$MX_LOG"
  chmod 644 "$T/home/.forward"; chown nobody "$T/home/.forward"; go
  grep -q 'belongs to somebody else: it is not used' "$MX_LOG"
  rm "$T/home/.forward"; mkfifo "$T/home/.forward"; go
  rm "$T/home/.forward"; mkdir "$T/home/.forward"; go
  [ "$(grep -c 'no regular file: it is not used' "$MX_LOG")" -ge 2 ]
  rmdir "$T/home/.forward"; ln -s /etc/shadow "$T/home/.forward"; go
  [ "$(home)" -eq 5 ] && [ "$(count vm/joe/new)" -eq 0 ]
}

@test "a broken one, one that is too long: 4xx, nothing is lost; forward_path = none" {
  dot ':include:relative\n'
  run submit ann@virt.example "$A"
  [ "$status" -eq 75 ]
  dot 'joe@virt.example\n'
  conf 'forward_path ='
  go
  [ "$(home)" -eq 1 ]
}

@test "two that forward to each other end" {
  dot '%s+x@local.example\n' "$MXUSER"
  printf '%s@local.example\n' "$MXUSER" > "$T/home/.forward+x"; chown "$MXUSER:" "$T/home/.forward+x"
  go || true
  run_queue
  [ "$(( $(home) + $(queued) + $(count vm/ann/new) ))" -ge 1 ]
}

@test "two users with the same command: each of them has it run" {
  local other=mxg$$
  useradd -M -d "$T/home2" -s /bin/sh "$other"
  mkdir -m 700 "$T/home2"; chown "$other:" "$T/home2"
  dot '"|cat >> $HOME/got"\n'
  cp "$T/home/.forward" "$T/home2/.forward"; chown "$other:" "$T/home2/.forward"
  echo "team: $MXUSER, $other" > "$T/aliases"
  conf "alias_maps = hash:$T/aliases"
  go team@local.example
  userdel -f "$other" 2>/dev/null || true
  [ "$(queued)" -eq 0 ]
  [ "$(grep -c '^Subject: hi' "$T/home/got")" -eq 1 ]
  [ "$(grep -c '^Subject: hi' "$T/home2/got")" -eq 1 ]
}

@test ":include: in it is read with the user's rights, not with ours" {
  echo 'joe@virt.example' > "$T/mine"; chown "$MXUSER:" "$T/mine"; chmod 600 "$T/mine"
  dot ':include:%s/mine\n' "$T"
  go
  [ "$(count vm/joe/new)" -eq 1 ]
  # the owner of the queue may read it, the user may not
  echo 'joe@virt.example' > "$T/secret"; chown nobody "$T/secret"; chmod 600 "$T/secret"
  dot ':include:%s/secret\n' "$T"
  run submit ann@virt.example "$A"
  [ "$status" -eq 75 ]
  [ "$(count vm/joe/new)" -eq 1 ] && [ "$(queued)" -eq 0 ]
}
