#!/usr/bin/env bats
# Servers that break off at each step, lie of their extensions, say two things
# at once: a table of them (hostile.py), all at a time; each ends in the right
# verdict, no recipient is lost, none has the message twice.
load ../lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "every server of the table ends in its verdict" {
  run timeout 300 python3 "$BATS_TEST_DIRNAME/hostile.py"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "${lines[-1]}" == *" cases, 0 wrong" ]]
}
