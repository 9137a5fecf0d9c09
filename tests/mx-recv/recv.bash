# Helpers of the mx-recv tests: a configuration, a delivery side, the server.

HERE=$ROOT/tests/mx-recv

# recv_conf [LINE...]: $T/mx.conf
recv_conf() {
  {
    echo "run_directory = $T"
    echo "myhostname = mx.test"
    echo "mydestination = mx.test"
    echo "smtpd_error_sleep_time = 0"
    [ "$(id -u)" -eq 0 ] && echo "net_user = nobody"
    printf '%s\n' "$@"
  } > "$T/mx.conf"
}

# deliver_start [OPTION...]: the fake delivery side on $T/deliver, mail in $T/box
deliver_start() {
  rm -f "$T/deliver"
  spawn python3 "$HERE/fake_delivery.py" "$T/deliver" "$T/box" "$@"
  DELIVER=$SPAWNED
  wait_for 10 test -S "$T/deliver"
}

# recv_start [ARG...]: mx-recv on $PORT
recv_start() {
  PORT=$(free_port)
  spawn mx-recv -c "$T/mx.conf" --listen "127.0.0.1:$PORT" "$@"
  RECV=$SPAWNED RECV_LOG=$T/out.$((${#PIDS[@]} - 1))
  wait_listen "$PORT"
}

# talk [tls]: the script on stdin against the server
talk() { python3 "$HERE/talk.py" "127.0.0.1:$PORT" "$@"; }

# one FILE...: a session on a pipe, lines of stdin get CRLF
pipe() { sed 's/$/\r/' | mx-recv -c "$T/mx.conf" "$@" 2>"$T/pipe.log"; }

# mails: how many messages the delivery side holds
mails() { ls "$T"/box/msg.* 2>/dev/null | wc -l; }
