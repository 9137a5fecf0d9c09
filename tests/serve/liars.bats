#!/usr/bin/env bats
# A table of kept stages that die, hang and lie at each step of mx-serve(5).
load ../lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "every lie costs its message a 451 and nobody anything else" {
  need_root
  run timeout 280 python3 "$BATS_TEST_DIRNAME/liars.py" "$MX_BIN"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "${lines[-1]}" == *" cases, 0 wrong" ]]
}
