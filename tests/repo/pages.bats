# Documents are compared, not trusted: pages with --help and --parameters.
load ../lib/common

setup() { common_setup; : > "$T/empty.conf"; }
teardown() { common_teardown; }

@test "every program: its page tells its options, parameters and defaults" {
  local p bad=0
  for p in "$MX_BIN"/mx-*; do
    case $(head -c 2 "$p") in '#!') continue ;; esac
    python3 "$ROOT/tests/repo/pages.py" "$p" "$T/empty.conf" || bad=1
  done
  [ "$bad" -eq 0 ]
}

@test "every page is clean mdoc" {
  run bash -c "mandoc -Tlint '$ROOT'/man/*.[1-8] 2>&1 | grep -E '(WARNING|ERROR|UNSUPP)'"
  [ -z "$output" ]
}

@test "no page refers to a page of ours that is not there" {
  local m bad=0
  for m in $(sed -n 's/^\.Xr \(mx[a-z.-]*\) \([0-9]\).*/\1.\2/p' "$ROOT"/man/*.[1-8] | sort -u); do
    [ -e "$ROOT/man/$m" ] || { echo "no page $m"; bad=1; }
  done
  [ "$bad" -eq 0 ]
}
