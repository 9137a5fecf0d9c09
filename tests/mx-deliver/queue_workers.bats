#!/usr/bin/env bats
# The runner's workers that wait for work: it sleeps while they do, and hears
# of their end.
load queue
bats_require_minimum_version 1.5.0

setup() { queue_setup; }
teardown() { common_teardown; }

# children [STATE]: of the runner
children() { ps -o stat=,pid= --ppid "$SPAWNED" | awk -v s="${1:-}" '$1 ~ "^" s {print $2}'; }
none_dead() { [ -z "$(children Z)" ]; }
delivered() { [ "$(count vm/joe/new)" -eq "$1" ] && [ "$(queued)" -eq 0 ]; }

@test "idle workers that are killed are buried at once, and new ones do the work" {
  spawn mx-deliver --queue-run --watch
  submit joe@out.example joe@virt.example ann@virt.example
  wait_for 20 delivered 1
  [ -n "$(children)" ]
  for n in 2 3; do
    # mx-send is none: no mail went out
    for p in $(children); do kill -KILL "$p"; done
    wait_for 20 none_dead
    submit joe@out.example joe@virt.example ann@virt.example
    wait_for 20 delivered "$n"
  done
}

@test "a worker that is stopped for a time holds its own entry up, not the others" {
  spawn mx-deliver --queue-run --watch
  submit joe@out.example joe@virt.example ann@virt.example
  wait_for 20 delivered 1
  for p in $(children); do kill -STOP "$p"; done
  submit joe@out.example joe@virt.example ann@virt.example
  submit joe@out.example joe@virt.example ann@virt.example
  # one has the stopped worker, the other one a new one
  wait_for 20 eval '[ "$(count vm/joe/new)" -ge 2 ]'
  for p in $(children T); do kill -CONT "$p"; done
  wait_for 20 delivered 3
}
