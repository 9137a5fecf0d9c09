# mx-filter sieve beside Debian's sieve-test (dovecot-sieve): the same actions
# for the same scripts and messages.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

@test "the same actions as sieve-test on more than 500 pairs of script and message" {
  need_root
  command -v sieve-test || skip "sieve-test is not there"
  mkdir "$T/w"; chmod 755 "$T"
  run -0 python3 "$BATS_TEST_DIRNAME/pairs/run.py" "$BATS_TEST_DIRNAME/pairs" "$(command -v mx-filter)" "$T/w"
  [ "${lines[-1]%% *}" -gt 500 ]
}
