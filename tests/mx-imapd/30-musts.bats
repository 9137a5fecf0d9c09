# What each RFC demands of a server, row by row: the tables are in musts/, how
# a row reads tells musts.py.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

musts() {
  cd "$T" || return 1
  PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/tests/mx-imapd/musts.py" "$@"
}

@test "RFC 7162: CONDSTORE and QRESYNC" { musts rfc7162 88; }
