# Words of the mx-auth tests:  load auth
# auth_conf [LINES...]: $T/mx.conf with a passwd-file $T/users, no delays
auth_conf() {
  mkdir -p "$T/run"
  cat > "$T/mx.conf" <<CF
run_directory = $T/run
passdb = passwd-file:$T/users
mail_owner = $(id -un)
auth_user = nobody
auth_failure_delay = 0
CF
  [ "$(id -u)" -eq 0 ] || sed -i '/^auth_user/d' "$T/mx.conf"
  printf '%s\n' "$@" >> "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
  : >> "$T/users"
  chmod 644 "$T/users"
}

# auth_try USER PASSWORD [OPTIONS...]: mx-auth test, password on stdin
auth_try() {
  local user=$1 password=$2; shift 2
  printf '%s\n' "$password" | mx-auth test "$@" "$user"
}

# auth_serve [OPTIONS...]: both sockets below $T/run
auth_serve() {
  spawn mx-auth "$@" --listen "unix:$T/run/auth" --listen "unix:$T/run/auth-master"
  wait_for 5 test -S "$T/run/auth-master"
}

# auth_talk SOCKET: the client's lines from stdin, all the server says until
# it has been silent for a while or closed
auth_talk() {
  python3 - "$1" 3<&0 <<'PY'
import os, select, socket, sys
data = os.fdopen(3, "rb").read()
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(data)
out, wait = b"", 2.0
while select.select([s], [], [], wait)[0]:
    d = s.recv(65536)
    if not d: out += b"<closed>\n"; break
    out += d
    wait = 0.7
sys.stdout.buffer.write(out)
PY
}

# b64 TEXT (printf escapes)
b64() { printf "$1" | base64 -w0; }
HELLO=$'VERSION\t1\t2\nCPID\t4711\n'
