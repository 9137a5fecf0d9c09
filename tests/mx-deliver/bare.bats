#!/usr/bin/env bats
# mx-deliver --maildir, --mbox: bare deposits.
load ../lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "the message lies in new/, bytes equal, with S= and W= in its name" {
  printf 'Subject: x\n\nnul \0 byte \377\nlast' > "$T/m"
  mx-deliver --maildir "$T/Maildir" < "$T/m"
  f=("$T"/Maildir/new/*)
  [ ${#f[@]} -eq 1 ]
  cmp "$T/m" "${f[0]}"
  size=$(stat -c %s "$T/m")
  [[ ${f[0]} == *",S=$size,W=$((size + 3))" ]]
  [ "$(stat -c %a "${f[0]}")" = 600 ]
  [ "$(stat -c %a "$T/Maildir")" = 700 ]
  [ -z "$(ls -A "$T/Maildir/tmp")" ]
}

@test "CRLF becomes LF, a stray CR stays, a leading From_ line goes" {
  printf 'From joe Mon Jan  1 00:00:00 2024\r\nA: b\r\n\r\nx\ry\r\n\r' > "$T/m"
  mx-deliver --maildir "$T/M" < "$T/m"
  printf 'A: b\n\nx\ry\n\r' | cmp - "$T"/M/new/*
  rm "$T"/M/new/*
  # quoted, in two writes; but no line that only looks like one
  { printf '>>Fr'; sleep 0.2; sed s/^From/om/ "$T/m"; } | mx-deliver --maildir "$T/M"
  printf 'A: b\n\nx\ry\n\r' | cmp - "$T"/M/new/*
  rm "$T"/M/new/*
  printf '>Fro' | mx-deliver --maildir "$T/M"
  printf '>Fro' | cmp - "$T"/M/new/*
}

@test "a message of 5 MB from a slow pipe" {
  head -c 5000000 /dev/urandom | base64 > "$T/m"
  (head -c 3000000 "$T/m"; sleep 0.3; tail -c +3000001 "$T/m") | mx-deliver --maildir "$T/M"
  cmp "$T/m" "$T"/M/new/*
}

@test "a folder below: maildirfolder marks it" {
  echo x | mx-deliver --maildir "$T/M/.Lists"
  [ -e "$T/M/.Lists/maildirfolder" ]
  [ -d "$T/M/.Lists/cur" ]
  [ "$(ls "$T/M/.Lists/new" | wc -l)" -eq 1 ]
}

@test "no configuration is read, a broken one does no harm" {
  echo 'this is = = broken $(' > "$T/mx.conf"; echo nonsense >> "$T/mx.conf"
  echo x | MX_CONFIG="$T/mx.conf" strace -f -e trace=openat -o "$T/st" mx-deliver --maildir "$T/M"
  ! grep mx.conf "$T/st"
  [ "$(ls "$T/M/new" | wc -l)" -eq 1 ]
}

@test "one write, one flush: one fsync of the file after the rename on ext4" {
  [ "$(stat -f -c %T "$T")" = ext2/ext3 ] || skip "not on ext4"
  mkdir -p "$T"/M/{cur,new,tmp}
  echo x | strace -f -o "$T/st" mx-deliver --maildir "$T/M"
  [ "$(grep -c 'fsync(' "$T/st")" -eq 1 ]
  [ "$(grep -cE 'fdatasync\(|sync\(\)|syncfs' "$T/st")" -eq 0 ]
  [ "$(grep -cE ' write\([0-9]+, "x' "$T/st")" -eq 1 ]
  order=$(grep -oE 'sync_file_range|rename[a-z0-9]*|fsync' "$T/st" | tr '\n' ' ')
  [[ $order =~ ^sync_file_range\ rename[a-z0-9]*\ fsync\ $ ]]
}

@test "elsewhere than ext4 the directory is synced too" {
  need_root
  mkdir "$T/tm"
  mount -t tmpfs -o size=4m tmpfs "$T/tm" || skip "no tmpfs mount here"
  mkdir -p "$T"/tm/M/{cur,new,tmp}
  echo x | strace -f -o "$T/st" mx-deliver --maildir "$T/tm/M" || st=$?
  umount "$T/tm"
  [ "${st:-0}" -eq 0 ]
  [ "$(grep -c 'fsync(' "$T/st")" -eq 2 ]
}

@test "a full disk is 75 and leaves nothing behind" {
  need_root
  mkdir "$T/tm"
  mount -t tmpfs -o size=64k tmpfs "$T/tm" || skip "no tmpfs mount here"
  head -c 300000 /dev/zero | mx-deliver --maildir "$T/tm/M" 2>"$T/err" || st=$?
  head -c 300000 /dev/zero | mx-deliver --mbox "$T/tm/box" 2>"$T/err2" || st2=$?
  left=$(find "$T/tm/M" -type f | wc -l); size=$(stat -c %s "$T/tm/box")
  umount "$T/tm"
  [ "$st" -eq 75 ] && [ "$st2" -eq 75 ]
  [ "$left" -eq 0 ] && [ "$size" -eq 0 ]
  grep -q 'No space left' "$T/err" && grep -q 'No space left' "$T/err2"
}

@test "empty input is 65 and deposits nothing" {
  run mx-deliver --maildir "$T/M" < /dev/null
  [ "$status" -eq 65 ]
  [ "$(find "$T/M" -type f | wc -l)" -eq 0 ]
  run mx-deliver --mbox "$T/box" < /dev/null
  [ "$status" -eq 65 ]
  [ ! -s "$T/box" ]
}

@test "symbolic links are not followed" {
  mkdir "$T/real"; ln -s "$T/real" "$T/M"; echo old > "$T/x"; ln -s "$T/x" "$T/box"
  run mx-deliver --maildir "$T/M" <<< x
  [ "$status" -ne 0 ]
  run mx-deliver --maildir "$T/M/" <<< x
  [ "$status" -ne 0 ]
  [ -z "$(ls -A "$T/real")" ]
  run mx-deliver --mbox "$T/box" <<< x
  [ "$status" -eq 77 ]
  [[ $output == *"symbolic link"* ]]
  [ "$(cat "$T/x")" = old ]
}

@test "mbox: two messages that mutt and formail count as two" {
  printf 'Subject: one\n\nFrom here on\n' | mx-deliver --mbox "$T/box" -f joe@example.org
  printf 'Subject: two\r\n\r\nno end' | mx-deliver --mbox "$T/box"
  [ "$(grep -c '^From ' "$T/box")" -eq 2 ]
  grep -q '^From joe@example.org  ' "$T/box"
  grep -q '^>From here on' "$T/box"
  [ "$(formail -s sh -c 'echo x' < "$T/box" | wc -l)" -eq 2 ]
  [ "$(python3 -c "import mailbox,sys; print(len(mailbox.mbox(sys.argv[1])))" "$T/box")" -eq 2 ]
}

@test "twenty deposits at once into one mbox" {
  for i in $(seq 20); do
    (for j in $(seq 200); do echo "line $i"; done) | mx-deliver --mbox "$T/box" &
    pids+=($!)
  done
  for p in "${pids[@]}"; do wait "$p"; done
  [ "$(grep -c '^From ' "$T/box")" -eq 20 ]
  [ "$(grep -c '^line' "$T/box")" -eq 4000 ]
  [ "$(uniq < <(grep '^line' "$T/box") | wc -l)" -eq 20 ]
  [ ! -e "$T/box.lock" ]
}

@test "usage" {
  run mx-deliver --maildir "$T/M" --mbox "$T/b" <<< x
  [ "$status" -eq 64 ]
  run mx-deliver --maildir "$T/M" someone <<< x
  [ "$status" -eq 64 ]
  run mx-deliver --nonsense
  [ "$status" -eq 64 ]
}
