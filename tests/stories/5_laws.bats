# Story 5: the laws, over whole servers: kill -9 of each process in the middle
# of a stream of messages; what was acknowledged is there.  The Nth failing
# write, fsync, rename and close: tests/laws and tests/mx-deliver.
load ../lib/common
load ../lib/host

setup() {
  common_setup
  H=$T/host
  host_make "$H" mail.law.test law.test alice:a bob:b
  sed -i -e '/^inbound_filter/d' -e '/^outbound_filter/d' "$H/mx.conf"
  printf 'smtpd_peername_lookup = no\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n' >> "$H/mx.conf"
  host_start "$H"
  host_env "$H"
}
teardown() { host_stop "$H"; common_teardown; }

# stream N RCPT...: sends N messages one after the other, each until it is
# acknowledged; the acknowledged go to $T/acked
stream() {
  python3 - "$SMTP" "$T/acked" "$@" <<'PY'
import smtplib, sys, time
port, out, n, rcpts = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
end = time.time() + 90
with open(out, "a") as f:
    for i in range(n):
        text = f"From: x@else.test\r\nSubject: {i}\r\nMessage-ID: <m{i}@else.test>\r\n\r\nbody {i}\r\n"
        while time.time() < end:
            try:
                s = smtplib.SMTP("127.0.0.1", port, timeout=10)
                s.sendmail("x@else.test", rcpts, text)
                f.write(f"m{i}\n"); f.flush()
                try: s.quit()
                except Exception: pass
                break
            except Exception: time.sleep(0.1)
PY
}

# Every acknowledged message is in the mailbox of each user.
all_there() {
  local id u
  for u; do
    for id in $(sort -u "$T/acked"); do
      grep -lq "^Message-ID: <$id@else.test>" -r "$H/mail/law.test/$u/new" || { echo "$id of $u is lost"; return 1; }
    done
  done
}

workers() { pgrep -P "$1"; }

kill_workers() { # MONITOR TIMES: kill -9 of its children, again and again
  local i p
  for i in $(seq "$2"); do
    for p in $(workers "$1"); do kill -9 "$p" 2>/dev/null || true; done
    sleep 0.3
  done
}

@test "kill -9 of mx-recv's and mx-deliver's workers: nothing acknowledged is lost" {
  mapfile -t pid < "$H/pids"
  stream 60 alice@law.test &
  s=$!
  kill_workers "${pid[3]}" 4
  kill_workers "${pid[1]}" 4
  wait "$s"
  [ "$(sort -u "$T/acked" | wc -l)" -eq 60 ]
  run all_there alice
  [ "$status" -eq 0 ] || { echo "$output" >&2; false; }
}

@test "kill -9 of the runner and its children: two recipients through the queue" {
  mapfile -t pid < "$H/pids"
  stream 40 alice@law.test bob@law.test &
  s=$!
  kill_workers "${pid[2]}" 3
  kill -9 "${pid[2]}"
  wait "$s"
  [ "$(sort -u "$T/acked" | wc -l)" -eq 40 ]
  # a new runner finds what the old one left
  host_spawn "$H" mx-deliver -c "$H/mx.conf" --queue-run --watch
  wait_for 40 all_there alice bob || { mx-deliver -c "$H/mx.conf" --list >&2; tail -n 3 "$H"/err.mx-deliver.* "$H/log" >&2; false; }
}

@test "kill -9 of the servers themselves: the next start goes on" {
  mapfile -t pid < "$H/pids"
  stream 10 alice@law.test
  kill -9 "${pid[@]}"
  rm -f "$H/pids"
  host_start "$H"
  stream 10 alice@law.test
  run all_there alice
  [ "$status" -eq 0 ] || { echo "$output" >&2; false; }
}
