# Many hands on one user's mail for five minutes (SOAK_S seconds): see soak.py.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "soak: clients, deliveries, mutt, mbsync and kill -9: UIDs, numbers, mail and flags hold" {
  imap_serve "imap_process_limit = 100"
  mbsync_conf "Create Near" "Sync Pull" "Expunge Near"
  printf 'set move=no mark_old=no quit=yes delete=yes wait_key=no check_new=yes\n' > "$T/muttrc"
  chmod 755 "$T"; chmod 644 "$T/muttrc"
  PID=$(pgrep -o -f "^mx-imapd --mode imaps --listen 127.0.0.1:$IMAPS")
  echo "$PID"
  IMAPD_PID=$PID PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-imapd \
    python3 "$ROOT/tests/mx-imapd/soak.py" "${SOAK_S:-300}" "$T/mail/joe" > "$T/soak.out" 2>&1 || { cat "$T/soak.out"; false; }
  sed 's/^/# /' "$T/soak.out" >&3
  ! grep -i "panic\|bug\|assert\|damaged" "$MX_LOG"
}
