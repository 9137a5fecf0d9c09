# Every fuzzer for a minute, two at a time; `make fuzz FUZZ_S=600` runs them
# longer.
load ../lib/common

setup() { common_setup; }
teardown() { common_teardown; }

@test "the fuzzers find nothing" {
  command -v clang >/dev/null || skip "clang is not there"
  FUZZ_S=${FUZZ_S:-60} FUZZ_J=2 "$ROOT/tests/fuzz/run" >"$T/fuzz" 2>&1 ||
    { cat "$T/fuzz"; false; }
  n=$(ls "$ROOT"/tests/fuzz/fuzz_*.c | wc -l)
  grep -qx "$n passed, 0 failed" "$T/fuzz"
}
