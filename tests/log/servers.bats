# Policy servers and milters log where the other servers do: syslog, or the file
# of MX_LOG, with Postfix's tag; not to stderr.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  export MX_LOG=$T/mail.log MX_CONFIG=$T/mx.conf
  : > "$MX_LOG"; chmod 666 "$MX_LOG"
  mkdir -m 777 "$T/data"
  printf 'data_directory = %s\nmyhostname = mx.test\nsyslog_name = postfix\n' "$T/data" > "$T/mx.conf"
  [ "$(id -u)" -ne 0 ] || printf 'filter_user = nobody\nsign_user = nobody\n' >> "$T/mx.conf"
}
teardown() { common_teardown; }

# logs ROLE PROGRAM [ARGUMENT...]: at SIGHUP the server says so in MX_LOG alone
logs() {
  local role=$1 port; shift
  port=$(free_port)
  spawn "$@" --listen "127.0.0.1:$port"
  wait_port "$port"
  kill -HUP "$SPAWNED"
  wait_for 30 grep -q "postfix/$role\\[$SPAWNED\\]: reload: " "$MX_LOG"
  kill "$SPAWNED"
  ! grep -q 'reload: ' "$T"/out.*
}

@test "mx-filter policy, mx-dnscheck policy and --milter, mx-dkimsign --milter" {
  logs policy mx-filter policy
  : > "$MX_LOG"
  logs policy mx-dnscheck policy
  logs auth mx-dnscheck --milter
  openssl genrsa -out "$T/k.pem" 2048 2> /dev/null; chmod 600 "$T/k.pem"
  logs dkim mx-dkimsign --milter -d example.test -s x -k "$T/k.pem"
}
