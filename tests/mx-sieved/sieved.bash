# Words of the mx-sieved tests:  load sieved
load ../lib/mailbox

# py: Python from stdin with the words of sieved.py, in $T
py() {
  cd "$T" || return 1
  { echo 'from sieved import *'; cat; } > "$T/prog.py"
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-sieved python3 "$T/prog.py" "$@"
}

# sieve_serve [LINES for mx.conf...]: a host with mx-sieved; sets SIEVE
sieve_serve() {
  SIEVE=$(free_port)
  # a sanitizer reads its options in /proc, which the checker's sandbox hides
  case $MX_BUILD in *asan*) set -- "$@" "sandbox = off" ;; esac
  mailbox_host "$@"
  spawn mx-sieved --mode sieve --listen "127.0.0.1:$SIEVE"
  SIEVED=$SPAWNED
  wait_port "$SIEVE"
  export SIEVE SIEVED
}
