# Helpers for every bats file:  load ../lib/common  (bats adds .bash).
# Each test has $T, a folder of its own that is removed afterwards, and
# stops by process id what it started with `spawn`.
ROOT=$(cd "$BATS_TEST_DIRNAME" && while [ ! -e Makefile ]; do cd ..; done; pwd)
export MX_BUILD=${MX_BUILD:-$ROOT/build}
export MX_BIN=${MX_BIN:-$MX_BUILD/bin}
# first/ is tests/run's; a user who is not root has no sbin there
export PATH=$MX_BIN:$MX_BUILD/first:$PATH:/usr/sbin:/sbin
unset MX_CONFIG
export LC_ALL=C.UTF-8 TZ=UTC

common_setup() {
  # other users must get to it: workers drop their rights
  [ -z "${BATS_RUN_TMPDIR:-}" ] || chmod 711 "$BATS_RUN_TMPDIR"
  T=$(mktemp -d "${BATS_RUN_TMPDIR:-/tmp}/mx.XXXXXX")
  chmod 755 "$T"
  export T
  PIDS=()
}

common_teardown() {
  local p
  for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null; done
  for p in "${PIDS[@]}"; do
    for _ in $(seq 50); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$p" 2>/dev/null
  done
  [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -n "${T:-}" ] && ls "$T" >&2
  rm -rf "$T"
}

# spawn COMMAND...: in the background, output in $T/log.N; sets $SPAWNED
spawn() {
  "$@" >"$T/out.${#PIDS[@]}" 2>&1 3>&- &
  SPAWNED=$!
  PIDS+=("$SPAWNED")
}

# spawn_logged COMMAND...: as spawn, its log in $T/log.N, which it shares with
# nobody: where /dev/log is, a server's lines go there and not to stderr; sets
# $SPAWNED_LOG
spawn_logged() {
  SPAWNED_LOG=$T/log.${#PIDS[@]}
  # it may drop its rights before it opens it
  : > "$SPAWNED_LOG"; chmod 666 "$SPAWNED_LOG"
  MX_LOG=$SPAWNED_LOG spawn "$@"
}

# free_port [N]: N different free TCP ports of 127.0.0.1, one a line
free_port() {
  python3 - "${1:-1}" <<'PY'
import socket, sys
s = []
for _ in range(int(sys.argv[1])):
    while True:
        k = socket.socket(); k.bind(("127.0.0.1", 0))
        p = k.getsockname()[1]
        # below the range of outgoing ports, so that nobody takes it meanwhile
        k.close()
        import random
        p = random.randint(10240, 32000)
        k = socket.socket()
        try: k.bind(("127.0.0.1", p))
        except OSError: k.close(); continue
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try: u.bind(("127.0.0.1", p))
        except OSError: k.close(); u.close(); continue
        u.close(); s.append(k); print(p); break
PY
}

# wait_port PORT [HOST]: until something listens there (10 s)
wait_port() {
  local i
  for i in $(seq 100); do
    (exec 9<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null && return 0
    sleep 0.1
  done
  echo "nothing listens on ${2:-127.0.0.1}:$1" >&2
  cat "$T"/out.* >&2
  return 1
}

# wait_listen PORT: as wait_port, but without a session (which servers log and
# tell their milters of)
wait_listen() {
  local i hex
  hex=$(printf ':%04X 0+:0000 0A ' "$1")
  for i in $(seq 100); do
    grep -qE "$hex" /proc/net/tcp /proc/net/tcp6 2>/dev/null && return 0
    sleep 0.1
  done
  echo "nothing listens on port $1" >&2
  cat "$T"/out.* >&2
  return 1
}

# memory_limit KB: bounds what follows in this shell; a sanitizer reserves
# terabytes, so there it bounds nothing
memory_limit() {
  case $MX_BUILD in *asan*) ;; *) ulimit -v "$1" ;; esac
}

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
  local n=$(($1 * 10)) i; shift
  for i in $(seq "$n"); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  echo "still failing: $*" >&2
  return 1
}

# have_root: skip unless root
need_root() { [ "$(id -u)" -eq 0 ] || skip "needs root"; }

# dns_serve PORT ZONE FILE [ZONE FILE...]: a real NSD with these zones on
# 127.0.0.1:PORT
dns_serve() {
  local port=$1; shift
  {
    printf 'server:\n ip-address: 127.0.0.1@%s\n port: %s\n username: ""\n' "$port" "$port"
    printf ' zonesdir: "%s"\n database: ""\n pidfile: "%s/nsd.pid"\n' "$T" "$T"
    printf ' xfrdfile: "%s/xfrd.state"\n zonelistfile: "%s/zone.list"\n rrl-ratelimit: 0\n server-count: 1\n' "$T" "$T"
    printf 'remote-control:\n control-enable: no\n'
    while [ $# -ge 2 ]; do
      printf 'zone:\n name: "%s"\n zonefile: "%s"\n' "$1" "$2"; shift 2
    done
  } > "$T/nsd.$port.conf"
  spawn nsd -d -c "$T/nsd.$port.conf"
  wait_port "$port"
}

# make_cert NAME [ALTNAMES]: $T/NAME.crt and $T/NAME.key, self-signed
make_cert() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$T/$1.key" -out "$T/$1.crt" -days 30 -subj "/CN=$1" \
    -addext "subjectAltName=${2:-DNS:$1,DNS:localhost,IP:127.0.0.1}" 2>/dev/null
}
