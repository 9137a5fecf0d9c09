# Dovecot's auth service by itself:  load ../lib/dovecot

# dovecot_auth PASSDB USERDB [LINES...]: listens at $T/dove/auth-test and
# auth-userdb for anybody; what the two blocks hold, then lines of the whole.
# Its log is $T/dovecot.log; it is ended with the test by its process id.
dovecot_auth() {
  local pass=$1 user=$2; shift 2
  cat > "$T/dovecot.conf" <<D
base_dir = $T/dove
state_dir = $T/dove
log_path = $T/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
passdb {
$pass
}
userdb {
$user
}
service auth {
  unix_listener auth-test {
    mode = 0666
  }
  unix_listener auth-userdb {
    mode = 0666
  }
}
# no waits that double with each wrong password
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
D
  [ $# -eq 0 ] || printf '%s\n' "$@" >> "$T/dovecot.conf"
  spawn dovecot -F -c "$T/dovecot.conf"
  wait_for 10 test -S "$T/dove/auth-test"
}
# dovecot_file FILE: a passwd-file, for either block
dovecot_file() { printf '  driver = passwd-file\n  args = %s\n' "$1"; }
# dovecot_nobody: a userdb in which everybody is one user
dovecot_nobody() { printf '  driver = static\n  args = uid=65534 gid=65534 home=/\n'; }
