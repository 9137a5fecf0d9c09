# Law 3: a message for one local mailbox is written once and flushed once.
load ../lib/common
load ../lib/fault

setup() { common_setup; }
teardown() { common_teardown; }

# serve: mx-deliver under the counting shim, and mx-recv; $PORT
serve() {
  local user=nobody
  PORT=$(free_port)
  mkdir -p "$T/run" "$T/spool" "$T/mail"
  cat > "$T/mx.conf" <<CF
myhostname = mx.test
mydestination = local.test
run_directory = $T/run
queue_directory = $T/spool
data_directory = $T/data
virtual_mailbox_domains = mx.test
virtual_mailbox_base = $T/mail
virtual_mailbox_maps = inline:{ann@mx.test=ann/ bob@mx.test=bob/}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
mail_uid = 65534
mail_gid = 65534
smtpd_peername_lookup = no
alias_maps =
CF
  if [ "$(id -u)" -eq 0 ]; then
    chown 65534:65534 "$T/mail"
    getent passwd mxnet >/dev/null || systemd-sysusers "$ROOT/cmd/mx-deliver/mx.sysusers"
    chown mx:mx "$T/spool"
  fi
  export MX_CONFIG=$T/mx.conf
  LD_PRELOAD="$MX_BUILD/lib/shim_fault.so" MX_FAULT="$1" MX_FAULT_PATH=$T/ \
    MX_FAULT_STATE=$T/fault.state spawn mx-deliver --lmtp --listen "unix:$T/run/deliver"
  wait_for 5 test -S "$T/run/deliver"
  spawn mx-recv --mode smtp --listen "127.0.0.1:$PORT"
  wait_port "$PORT"
}

send() { # RCPT
  swaks --server "127.0.0.1:$PORT" --from joe@ex.test --to "$1" --body hello --silent 3
}

@test "five messages to one mailbox: five flushes, five writes" {
  serve 'fsync|fdatasync:0:count'
  send ann@mx.test # makes the mailbox, which is flushed too
  local i before; before=$(fault_count)
  for i in 1 2 3 4 5; do send ann@mx.test; done
  [ "$(ls "$T/mail/ann/new" | wc -l)" -eq 6 ]
  [ "$(($(fault_count) - before))" -eq 5 ]
}

@test "a flush that fails: 451, nothing kept, and the next message is fine" {
  serve 'fsync:1:EIO'
  mkdir -p "$T/mail/ann/tmp" "$T/mail/ann/new" "$T/mail/ann/cur"
  [ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$T/mail/ann"
  run swaks --server "127.0.0.1:$PORT" --from joe@ex.test --to ann@mx.test --body hello
  [ "$status" -ne 0 ]
  [[ "$output" == *"<** 451 4.3.0 "* ]]
  [ "$(fault_struck)" -eq 1 ]
  [ -z "$(ls "$T/mail/ann/new" "$T/mail/ann/tmp" | grep -v :)" ]
  send ann@mx.test
  [ "$(ls "$T/mail/ann/new" | wc -l)" -eq 1 ]
}
