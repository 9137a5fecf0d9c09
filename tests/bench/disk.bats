#!/usr/bin/env bats
# The benchmark's own disk: fresh, told of, and gone however the run ends.
load ../lib/common
setup() { common_setup; }
teardown() { common_teardown; }

# PYTHON: in a folder `d` from disk.place(None), in the background.
on_disk() {
  cd "$BATS_TEST_DIRNAME" || return 1
  TMPDIR=$T python3 -B -c "
import disk, os, sys, time
disk.stop_signals()
with disk.place(None) as d:
    open(d + '/file', 'w').close()
    $1"
}

wants_loop() {
  [ "$(id -u)" -eq 0 ] && [ -e /dev/loop-control ] || skip "needs root and loop devices"
}

nothing_left() {
  [ -z "$(ls -A "$T" | grep mxdisk)" ]
  ! losetup -a | grep -F "$T"
}

@test "bench: the disk is a fresh ext4 with a journal, and says so" {
  wants_loop
  run on_disk "print(os.listdir(d), os.statvfs(d).f_blocks * os.statvfs(d).f_frsize <= disk.SIZE)
    print(os.path.exists('/proc/fs/jbd2/' + os.path.basename(disk.kind(d).split()[0]) + '-8'))"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "file system: fresh, /dev/loop"*" ext4 "* ]]
  [[ $output == *"'lost+found'"*True* ]]
  [ "${lines[-1]}" = True ]
  nothing_left
}

@test "bench: an error, an interrupt and a SIGTERM leave nothing" {
  wants_loop
  run on_disk "raise SystemExit(3)"
  [ "$status" -eq 3 ]
  nothing_left
  for sig in INT TERM; do
    run on_disk "os.kill(os.getpid(), disk.signal.SIG$sig); time.sleep(60)"
    [ "$status" -ne 0 ]
    nothing_left
  done
}

@test "bench: SIGKILL leaves an empty folder and no disk" {
  wants_loop
  run on_disk "os.kill(os.getpid(), 9)"
  [ "$status" -eq 137 ]
  [ -z "$(find "$T" -name '*.img')" ]
  # the kernel lets go of it when the last user is gone
  for _ in $(seq 100); do
    losetup -a | grep -qF "$T" || break
    sleep 0.1
  done
  ! losetup -a | grep -F "$T"
  ! grep -F "$T" /proc/mounts
}

@test "bench: --dir is worked in as it is" {
  cd "$BATS_TEST_DIRNAME"
  mkdir "$T/here"
  run python3 -B -c "
import disk, os, sys
with disk.place('$T/here') as d:
    print(os.path.dirname(d), os.stat(d).st_dev == os.stat('$T').st_dev)"
  [ "$status" -eq 0 ]
  [[ $output == *"$T/here True"* ]]
  [[ $output != *fresh* ]]
  [ -z "$(ls -A "$T/here")" ]
}
