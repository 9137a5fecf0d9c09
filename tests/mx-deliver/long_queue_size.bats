#!/usr/bin/env bats
# The queue's size: ten times as many entries cost ten times as much, and no
# more memory.  tests/bench/queue.py prints the figures.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

@test "10,000 and 100,000 entries: start, --list, --flush and a pass stay linear, memory stays" {
  run -0 env MX_BIN="$MX_BIN" "$ROOT/tests/bench/queue.py" 10000 100000
  echo "$output" >&3
  awk 'NR > 1 && $1 == 10000 { cost[$2] = $5; room[$2] = $6 }
    NR > 1 && $1 == 100000 {
      n++
      if ($5 > 2 * cost[$2] + 2 || $6 > room[$2] + 4096) { print; bad = 1 }
    }
    END { exit bad || n != 4 }' <<< "$output"
}
