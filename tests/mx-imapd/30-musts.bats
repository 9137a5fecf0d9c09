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

@test "RFC 7162: CONDSTORE and QRESYNC" { musts rfc7162 92; }
@test "RFC 9051, and 3501 where it differs" { musts rfc9051 88; }
@test "RFC 4731, 5182, 9394, 5267, 5032: what SEARCH returns" { musts search 31; }
@test "RFC 6851, 4315, 8508, 3502, 4469, 3516: messages come and go" { musts copies 31; }
@test "RFC 5258, 5819, 6154, 8440: names" { musts names 28; }
@test "RFC 5464, 5465, 9208: annotations, NOTIFY, quota" { musts notes 25; }
@test "RFC 8474, 8970, 8514, 6855, 5256, 5957, 7888, 9738, 9586 and others" { musts items 33; }
@test "RFC 9051 6.2, 4959, 4978, 8437, 5530: before a login, and how one gets there" {
  imap_serve
  mkdir "$T/w"; musts login 26
}
