# mx-mail-in-the-wild(7): each entry names the tests that hold it, and they
# are there.
load ../lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "mail in the wild: every entry names tests that exist" {
  python3 "$ROOT/tests/repo/wild.py" "$ROOT/man/mx-mail-in-the-wild.7"
}

@test "mail in the wild: a test that is gone, and an entry without one, are told" {
  local page=$ROOT/man/mx-mail-in-the-wild.7
  sed '0,/^smuggling: nothing/s//smuggling: something/' "$page" > "$T/1.7"
  sed '0,/ \/ bare LF$/s// \/ bare FF/' "$page" > "$T/2.7"
  sed '0,/02-hostile/s//02-friendly/' "$page" > "$T/3.7"
  sed '0,/^test_words /s//test_work /' "$page" > "$T/4.7"
  sed '0,/^\.It Sy/s//.It Sy Untested\n.It Sy/' "$page" > "$T/5.7"
  for n in 1 2 3 4 5; do
    cmp -s "$page" "$T/$n.7" && { echo "$n is unchanged"; false; }
    run python3 "$ROOT/tests/repo/wild.py" "$T/$n.7"
    echo "$n: $output"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
  done
}
