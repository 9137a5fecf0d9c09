# Words of the mx-pop3d tests:  load pop3
load ../lib/mailbox

# py: Python from stdin with the words of pop3.py, in $T
py() {
  cd "$T" || return 1
  { echo 'from pop3 import *'; cat; } > "$T/prog.py"
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-pop3d python3 "$T/prog.py" "$@"
}

# pop3_serve [LINES for mx.conf...]: a host with mx-pop3d; sets POP3, POP3S
pop3_serve() {
  read -r -d '' POP3 POP3S < <(free_port 2; printf '\0') || true
  mailbox_host "$@"
  spawn mx-pop3d --mode pop3 --listen "127.0.0.1:$POP3"
  POP3D=$SPAWNED
  spawn mx-pop3d --mode pop3s --listen "127.0.0.1:$POP3S"
  wait_port "$POP3"
  wait_port "$POP3S"
  export POP3 POP3S POP3D
}

# mails USER N [FROM]: N messages as mx-deliver names them, in USER's new/
mails() {
  local i
  mkdir -p "$T/mail/$1"/{cur,new,tmp}
  for i in $(seq "${3:-1}" $((${3:-1} + $2 - 1))); do
    printf 'From: a@x.test\nTo: %s@x.test\nSubject: number %d\n\nline %d\n.dot\n' "$1" "$i" "$i" \
      > "$T/mail/$1/new/17000000$(printf %02d "$i").M1P1Q$i.host"
  done
  [ "$(id -u)" -ne 0 ] || chown -R nobody: "$T/mail/$1"
}
