# Helpers for tests of mx-submit: a sink behind run_directory/submit.

submit_setup() {
  common_setup
  mkdir "$T/run"
  chmod 755 "$T/run"
  printf 'myhostname = host.example\nmyorigin = example.org\nrun_directory = %s/run\n' "$T" > "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
}

# sink MODE [OPTION...]: smtp_peer.py on the submit socket
sink() {
  local mode=$1; shift
  LOG=$T/sink.log
  : > "$LOG"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$T/run/submit" --mode "$mode" --log "$LOG" "$@"
  wait_for 10 test -S "$T/run/submit"
}

# took KEY: that of the last message taken; a list one a line
took() {
  python3 - "$LOG" "$1" <<'PY'
import json, sys
m = [json.loads(l) for l in open(sys.argv[1]) if '"event": "message"' in l]
v = m[-1][sys.argv[2]] if m else "nothing was taken"
print("\n".join(v) if isinstance(v, list) else v)
PY
}

# how many messages were taken
count() { grep -c '"event": "message"' "$LOG" || true; }

# as_nobody COMMAND...: as another user where we are root
as_nobody() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$@"; else "$@"; fi
}
