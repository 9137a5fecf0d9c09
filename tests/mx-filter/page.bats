# The examples of mx-filter(1) run.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

@test "mx-filter(1): every example runs" {
  page=$ROOT/man/mx-filter.1
  cd "$T"
  printf 'Subject: make money fast\nX-Spam-Flag: no\n\nx\n' > message
  echo 'if header :contains "subject" "money" { discard; }' > list.sieve
  # the table of the page
  sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$page" | grep '^/' > header_checks
  [ "$(wc -l < header_checks)" -eq 2 ]
  sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$page" | grep '^mx-filter' > lines
  [ "$(wc -l < lines)" -ge 2 ]
  run -0 bash -c "$(grep sieve lines)"
  [[ ${lines[0]} == *'header: true (saw "make money fast")' && ${lines[1]} == discard ]]
  run -69 bash -c "$(grep headers lines)"
  [ "$output" != "${output/no advertisements/}" ]
  printf 'Subject: other\nX-Spam-Flag: no\n\nx\n' > message
  run -0 bash -c "$(grep headers lines)"
  printf 'Subject: other\n\nx\n' | cmp - checked
}
