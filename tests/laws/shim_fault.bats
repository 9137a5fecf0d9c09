# The fault shim itself: what it breaks, it breaks; what it counts is right.
load ../lib/common
load ../lib/fault

setup() {
  common_setup
  [ -e "$MX_BUILD/lib/shim_fault.so" ] || make -s -C "$ROOT" shims
}
teardown() { common_teardown; }

# three writes to the file, one fsync each, one rename, in plain system calls
work() {
  python3 - "$T/data" <<'PY'
import os, sys
p = sys.argv[1]
fd = os.open(p + ".tmp", os.O_CREAT | os.O_WRONLY, 0o600)
for part in (b"one\n", b"two\n", b"three\n"):
    n = os.write(fd, part)
    if n != len(part): sys.exit(9)
    os.fsync(fd)
os.close(fd)
os.rename(p + ".tmp", p)
PY
}

@test "count: every matching call, and nothing happens" {
  fault 'write|fsync:0:count' data work
  [ "$(fault_count)" -eq 6 ]
  [ "$(fault_struck)" -eq 0 ]
  [ "$(cat "$T/data")" = $'one\ntwo\nthree' ]
}

@test "the path limits what counts" {
  fault 'write:0:count' nothing-has-this-name work
  [ "$(fault_count)" -eq 0 ]
}

@test "the second fsync fails with EIO" {
  run fault fsync:2:EIO data work
  [ "$status" -ne 0 ]
  [[ "$output" == *"Input/output error"* ]]
  [ "$(fault_struck)" -eq 1 ]
  [ "$(cat "$T/data.tmp")" = $'one\ntwo' ]
}

@test "rename, openat and close fail" {
  run fault rename:1:ENOSPC data work
  [[ "$output" == *"No space left"* ]]
  [ ! -e "$T/data" ]
  rm -f "$T"/data*
  run fault 'open|openat:1:EROFS' data.tmp work
  [[ "$output" == *"Read-only file system"* ]]
  [ ! -e "$T/data.tmp" ]
  run fault close:1:EIO data.tmp work
  [[ "$output" == *"Input/output error"* ]]
}

@test "N+ fails from there on: a full disk" {
  run fault write:2+:ENOSPC data bash -c "cat <<<a > $T/data.a; cat <<<b > $T/data.b; cat <<<c > $T/data.c"
  [ "$(cat "$T/data.a")" = a ]
  [ ! -s "$T/data.b" ]
  [ ! -s "$T/data.c" ]
  [ "$(fault_struck)" -ge 2 ]
}

@test "short: half of a write" {
  run fault write:3:short data work
  [ "$status" -eq 9 ]
  [ "$(cat "$T/data.tmp")" = $'one\ntwo\nthr' ]
}

@test "kill: dead before the call, in a tree of processes" {
  run fault rename:1:kill data bash -c "$(declare -f work); work; echo status=\$?"
  [[ "$output" == *"status=137"* ]]
  [ -e "$T/data.tmp" ]
  [ ! -e "$T/data" ]
}

@test "one count for a tree: the second process is hit" {
  run fault write:2:ENOSPC data bash -c "T=$T; cat <<<a > $T/data.1; cat <<<b > $T/data.2; cat <<<c > $T/data.3"
  [ "$(cat "$T/data.1" "$T/data.2" "$T/data.3")" = $'a\nc' ]
}

@test "a sweep ends: N = 1, 2, ... until a run passes untouched" {
  local n
  for n in $(seq 1 20); do
    rm -f "$T"/data*
    fault "write|fsync|rename|close:$n:EIO" data work 2>/dev/null && break
    [ "$(fault_struck)" -eq 1 ]
    [ ! -e "$T/data" ]
  done
  [ "$(fault_struck)" -eq 0 ]
  [ "$n" -eq 9 ]
}

@test "a misspelt fault is no silent pass" {
  run fault write:1:ENOPE data /bin/true
  [ "$status" -eq 122 ]
}
