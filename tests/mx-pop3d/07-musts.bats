# What the POP3 RFCs demand of a server, row by row: the table is in musts/, how
# a row reads tells musts.py.
load ../lib/common
load pop3
setup() { common_setup; }
teardown() { common_teardown; }

@test "RFC 1939, 2449, 5034, 6856: every rule for a server" {
  pop3_serve 'disable_plaintext_auth = no'
  PYTHONDONTWRITEBYTECODE=1 python3 "$ROOT/tests/mx-pop3d/musts.py" pop3 47 "$POP3" "$T/mail/joe"
}
