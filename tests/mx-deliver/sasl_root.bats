#!/usr/bin/env bats
# A password file that only root may read, with a runner that was started by
# root: who speaks to other hosts does not run as root and logs in all the same.
load queue
setup() {
  queue_setup
  need_root
  peer ok --auth joe:secret; to_peer remote.example
  echo "[127.0.0.1]:$PEER joe:secret" > "$T/sasl_passwd"
  chown root: "$T/sasl_passwd"; chmod 600 "$T/sasl_passwd"
  conf 'smtp_sasl_auth_enable = yes' "smtp_sasl_password_maps = hash:$T/sasl_passwd" 'smtp_sasl_security_options ='
}
teardown() { common_teardown; }

@test "root's own file is read, by nobody else; a changed one is read anew" {
  run setpriv --reuid nobody --clear-groups cat "$T/sasl_passwd"
  [ "$status" -ne 0 ]
  spawn mx-deliver --queue-run --watch
  submit joe@virt.example b@remote.example
  wait_for 20 grep -q 'status=sent' "$MX_LOG"
  [ "$(taken)" -eq 1 ]
  # nobody there is root but the runner itself
  local p; p=$(pgrep -P "$SPAWNED" mx-send)
  [ "$(stat -c %U "/proc/$p")" = "$OWNER" ]
  grep -q '^CapEff:[[:space:]]*0*$' "/proc/$p/status"
  echo "[127.0.0.1]:$PEER joe:wrong" > "$T/sasl_passwd"
  submit joe@virt.example c@remote.example
  wait_for 20 grep -q 'to=<c@remote.example>.*status=deferred' "$MX_LOG"
  echo "[127.0.0.1]:$PEER joe:secret" > "$T/sasl_passwd"
  submit joe@virt.example d@remote.example
  wait_for 20 grep -q 'to=<d@remote.example>.*status=sent' "$MX_LOG"
  cat "$MX_LOG"
  [ "$(taken)" -eq 2 ]
}
@test "one that nobody can read is trouble, not an attempt without password" {
  # a runner that is not root
  chown -R nobody "$T/spool"; chmod 711 "$T"
  run setpriv --reuid nobody --clear-groups mx-deliver -o "mail_owner=nobody" --queue-run
  submit joe@virt.example b@remote.example
  run setpriv --reuid nobody --clear-groups mx-deliver --queue-run
  cat "$MX_LOG"
  grep -q 'status=deferred' "$MX_LOG"
  [ "$(taken)" -eq 0 ]
}
