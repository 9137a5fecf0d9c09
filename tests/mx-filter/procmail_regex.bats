# The regular expressions of procmail: which of several matches counts.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

# matches EXPRESSION TEXT: what MATCH gets
matches() {
  printf 'LOGABSTRACT=no\nLOGFILE=%s\nT="%s"\n:0\n* T ?? %s\n{ LOG="$MATCH" }\n:0\n/dev/null\n' "$T/log" "$2" "$1" > "$T/rc"
  : > "$T/log"
  printf 'Subject: x\n\nb\n' | (cd "$T" && timeout 60 mx-filter procmail -m ./rc)
  cat "$T/log"
}

@test "left of \\/ the shortest, right of it the longest, whatever the order of alternatives" {
  [ "$(matches 'x\/(a|ab|abc)' 'yxabcd')" = abc ]
  [ "$(matches 'x(ab|a)\/.+' 'xabc')" = bc ]
  [ "$(matches 'x(a+|b)\/(a|b)+' 'xaab')" = ab ]
  [ "$(matches '^^.*\/[0-9]+' 'a 12 b 345')" = 12 ]
  [ "$(matches 'x(a\/b|c)' 'xab')" = b ]
}

@test "720 random expressions: MATCH and the number of matches as procmail's" {
  command -v procmail || skip "procmail is not there"
  for seed in 1 2 3 4 5 6; do
    mkdir "$T/$seed"
    run -0 timeout 60 python3 "$BATS_TEST_DIRNAME/procmail/regex.py" procmail "$(command -v mx-filter)" "$T/$seed" $seed 60
  done
}

@test "hostile expressions and texts end" {
  t=$(printf 'a%.0s' {1..3000})
  matches '(a*)*b\/c' "$t" > "$T/out"
  ! grep -q '^a' "$T/out"
  [[ $(matches '(aa)*\/(a|aa)*a' "$t") == aaa* ]]
}
