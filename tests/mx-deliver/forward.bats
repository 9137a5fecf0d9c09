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

# waits WORDS: the mail is neither kept here nor sent on, and the log says why
waits() {
  run submit ann@virt.example "$A"
  [ "$status" -eq 75 ]
  [[ ${lines[-1]} == *".forward cannot be used: $1"* ]] && [[ ${lines[-1]} != *"$T"* ]]
  [[ $output == *"home/.forward: $1: mail for its owner waits"* ]]
  [ "$(home)" -eq 0 ] && [ "$(count vm/joe/new)" -eq 0 ]
}
@test "writable by others, not the user's, a FIFO, a directory, a link, too large: mail waits, said" {
  dot 'joe@virt.example\n'
  chmod 606 "$T/home/.forward"; waits 'its group or others may write it'
  chmod 664 "$T/home/.forward"; waits 'its group or others may write it'
  chmod 644 "$T/home/.forward"; chown nobody "$T/home/.forward"; waits 'it belongs to somebody else'
  rm "$T/home/.forward"; mkfifo "$T/home/.forward"; waits 'no regular file'
  rm "$T/home/.forward"; mkdir "$T/home/.forward"; waits 'no regular file'
  rmdir "$T/home/.forward"; ln -s /etc/shadow "$T/home/.forward"; waits 'a symbolic link'
  rm "$T/home/.forward"; yes joe@virt.example | head -c 3000000 > "$T/home/.forward"
  chown "$MXUSER:" "$T/home/.forward"; waits 'it is too large'
  # in the queue already: it waits there until the file is mended
  dot 'joe@virt.example\n'; chmod 644 "$T/home/.forward"
  echo "both: $MXUSER, ann@virt.example" > "$T/aliases"
  echo "alias_maps = texthash:$T/aliases" >> "$T/mx.conf"
  go "$A"
  [ "$(count vm/joe/new)" -eq 1 ] && [ "$(home)" -eq 0 ]
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
