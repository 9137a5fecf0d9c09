# Real data bases, each on a free port and a UNIX socket of its own, as an
# unprivileged user, stopped by process id:  load ../lib/databases
# $D is the folder where they live: $T, or $BATS_FILE_TMPDIR in setup_file.

as_nobody() { (nobody_exec "$@"); }
nobody_exec() {
  if [ "$(id -u)" -eq 0 ]; then exec setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/nonexistent "$@"; else exec "$@"; fi
}
nobodys() { mkdir -p "$@"; [ "$(id -u)" -ne 0 ] || chown nobody:nogroup "$@"; }

# pg_make [NAME]: makes the server's files in $D/NAME.
pg_make() {
  PG_BIN=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
  nobodys "$D/${1:-pg}"
  as_nobody "$PG_BIN/initdb" -D "$D/${1:-pg}" -U mx -A trust --no-sync --no-instructions -E UTF8 --locale C.UTF-8 > "$D/initdb.log" 2>&1 ||
    { cat "$D/initdb.log" >&2; return 1; }
}
# pg_run PORT [NAME]: starts it; the socket is in $D/NAME; $PG is its process
pg_run() {
  local dir=$D/${2:-pg}
  PG_BIN=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
  (nobody_exec "$PG_BIN/postgres" -D "$dir" -k "$dir" -p "$1" -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=30 > "$D/pg.log" 2>&1 3>&-) &
  PG=$!
  wait_for 30 "$PG_BIN/pg_isready" -q -h 127.0.0.1 -p "$1" || { cat "$D/pg.log" >&2; return 1; }
}
pg_sql() { psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -U mx "${2:-postgres}"; }

# maria_make [NAME], maria_run PORT [NAME]: the same for MariaDB; the socket is
# $D/NAME/s; $MARIA is its process
maria_make() {
  nobodys "$D/${1:-maria}"
  as_nobody mariadb-install-db --no-defaults --datadir="$D/${1:-maria}/data" --auth-root-authentication-method=normal --skip-test-db > "$D/maria-make.log" 2>&1 ||
    { cat "$D/maria-make.log" >&2; return 1; }
}
maria_run() {
  local dir=$D/${2:-maria}
  (nobody_exec mariadbd --no-defaults --datadir="$dir/data" --socket="$dir/s" --port="$1" --bind-address=127.0.0.1 \
    --pid-file="$dir/pid" --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=16M > "$D/maria.log" 2>&1 3>&-) &
  MARIA=$!
  wait_for 30 mariadb-admin --no-defaults -u root --socket="$dir/s" ping || { cat "$D/maria.log" >&2; return 1; }
}
maria_sql() { mariadb --no-defaults -u root --socket="$D/${1:-maria}/s" ${2:+"$2"}; }

# stop PID [SIGNAL]: and wait until it is gone (INT: PostgreSQL's fast way)
stop() {
  [ -n "${1:-}" ] || return 0
  kill "-${2:-TERM}" "$1" 2>/dev/null
  for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$1"
}
