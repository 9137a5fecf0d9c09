# mx-filter test: test scripts and their TAP.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

@test "our own test scripts pass" {
  for f in "$ROOT"/tests/mx-filter/svtest/*.svtest; do
    run mx-filter test "$f"
    [ "$status" -eq 0 ] || { echo "$f"; echo "$output"; return 1; }
    [ "${lines[-1]}" = "1..$(grep -c '^test "' "$f")" ]
  done
}

# tap SCRIPT: runs it; the extension is required
tap() { { echo 'require ["vnd.dovecot.testsuite", "variables"];'; cat; } > "$T/t.svtest"; run --separate-stderr mx-filter test "$T/t.svtest"; }

@test "TAP: ok, not ok with the reason, the plan; status 1" {
  tap <<'S'
test "one" { }
test "two" { set "x" "why"; test_fail "reason ${x}"; discard; }
test "three" { if false { test_fail "no"; } }
S
  [ "$status" -eq 1 ]
  printf 'ok 1 - one\nnot ok 2 - two - reason why\nok 3 - three\n1..3\n' | diff - <(echo "$output")
}

@test "stop ends the run; the plan counts what was entered" {
  tap <<'S'
test "one" { stop; }
test "two" { }
S
  [ "$status" -eq 0 ]
  printf 'ok 1 - one\n1..1\n' | diff - <(echo "$output")
}

@test "Bail out: does not compile, a command fails, test_fail outside of a block" {
  tap <<< 'frob;'
  [ "$status" -eq 65 ]
  [[ $output == "Bail out! "* && $stderr == *"t.svtest:2:1: error:"* ]]
  tap <<< 'test "a" { } redirect "${none}"; test "b" { }'
  [ "$status" -eq 65 ]
  [[ ${lines[0]} == "ok 1 - a" && ${lines[1]} == "Bail out! "* && ${#lines[@]} -eq 2 ]]
  tap <<< 'test_fail "outside";'
  [ "$status" -eq 65 ]
  [ "$output" = "Bail out! outside" ]
  tap <<< 'test "a" { test "b" { } }'
  [ "$status" -eq 65 ]
  tap <<< 'test_set "none" "x";'
  [ "$status" -eq 65 ]
  run -66 mx-filter test "$T/none.svtest"
  run -64 mx-filter test
}

@test "nothing that a script says begins a line of TAP" {
  printf 'test "a\nok 9 - b" { test_fail "c\n1..7"; } test_message_print;\n' > "$T/in"
  tap < "$T/in"
  [ "$(grep -cE '^(ok|not ok|1\.\.|Bail)' <<< "$output")" -eq 2 ]
  [[ $output == *$'\n# Subject: Frop!\n'* ]]
}

@test "the language is unknown to ordinary scripts" {
  echo 'require "vnd.dovecot.testsuite"; test_fail "x";' > "$T/s"
  run -65 mx-filter check "$T/s"
  echo 'test_fail "x";' > "$T/s"
  run -65 mx-filter check "$T/s"
}
