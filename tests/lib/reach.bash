# Sourced by tests/run, tests/demo and tests/bench/run with "$@" as theirs.
# Servers drop their rights and then run other programs: as root in a folder
# that others cannot enter (/root), everything runs on a copy in /tmp.
reach() { # SCRIPT ARGUMENTS...
  local script=$1 root copy status
  root=$(cd "$here" && while [ ! -e Makefile ]; do cd ..; done; pwd)
  shift
  [ "$(id -u)" -eq 0 ] || return 0
  setpriv --reuid=65534 --clear-groups test -x "$MX_BUILD/bin/mx-deliver" && return 0
  copy=$(mktemp -d /tmp/mx-copy.XXXXXX) && chmod 755 "$copy" || exit 74
  echo "Other users cannot enter $root: this runs on a copy in $copy"
  mkdir "$copy/build" &&
    cp -a "$root"/{cmd,common,man,tests,Makefile,README.md,.clang*} "$copy/" &&
    tar -C "$MX_BUILD" --exclude=./asan --exclude=./fuzz -cf - . |
    tar -C "$copy/build" -xf - || exit 74
  trap : INT
  MX_BIN="" MX_BUILD=$copy/build "$copy/tests/$script" "$@"
  status=$?
  [ ! -e "$copy/build/check.tap" ] || cp "$copy/build/check.tap" "$MX_BUILD/"
  rm -rf "$copy"
  exit $status
}
