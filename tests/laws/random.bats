# Names that can be guessed are worse than no service (THREATS 119): where the
# kernel gives no random bytes a program stops, and says why.
load ../lib/common
load ../lib/fault

setup() {
  common_setup
  local owner=$(id -un)
  mkdir -p "$T/disk"
  [ "$(id -u)" -ne 0 ] || { owner=nobody; chown nobody "$T/disk"; }
  printf '%s\n' "queue_directory = $T/disk/spool" "mail_owner = $owner" "net_user = $owner" "filter_user = $owner" \
    "myhostname = mx.test" "mydestination =" > "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
}
teardown() { common_teardown; }

@test "no random bytes: nothing is delivered or queued, the status is not 0, no message is lost" {
  local n where
  for where in "--maildir $T/box" "-f a@x.test joe@far.test"; do
    for n in $(seq 100); do
      rm -rf "$T/box" "$T/disk/spool"
      # shellcheck disable=SC2086
      fault "getrandom:$n+:EIO" "" mx-deliver $where <<< "Subject: x"$'\n\nx' 2> "$T/err" && break
      [ "$n" -gt 1 ] || grep -q "no random bytes" "$T/err"
      [ -z "$(find "$T/box/new" "$T/disk/spool" -type f 2>/dev/null | grep -v '/tmp/')" ]
    done
    [ "$n" -gt 1 ] && [ "$n" -lt 100 ]
    [ "$(fault_struck)" -eq 0 ]
  done
}
