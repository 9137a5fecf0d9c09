# Words of the mx-imapd tests:  load imap
load ../lib/mailbox
# py: Python from stdin with the words of imap.py, in $T
py() {
  cd "$T" || return 1
  { echo 'from imap import *'; cat; } > "$T/prog.py"
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-imapd python3 "$T/prog.py" "$@"
}

# imap_serve [LINES for mx.conf...]: mx-auth and mx-imapd with TLS; users joe
# and eve, password "secret"; sets IMAP and IMAPS (ports)
imap_serve() {
  read -r -d '' IMAP IMAPS < <(free_port 2; printf '\0') || true
  mailbox_host "$@"
  spawn mx-imapd --mode imap --listen "127.0.0.1:$IMAP"
  IMAPD=$SPAWNED
  spawn mx-imapd --mode imaps --listen "127.0.0.1:$IMAPS"
  wait_port "$IMAP"
  wait_port "$IMAPS"
  export IMAP IMAPS
}

# dovecot_session MAILDIR < lines: the same through Dovecot's own server
dovecot_conf() {
  cat > "$T/dovecot.conf" <<CF
base_dir = $T/dovecot
log_path = $T/dovecot.log
mail_uid = $(id -u nobody)
mail_gid = $(id -g nobody)
first_valid_uid = 1
protocols = imap
ssl = no
default_internal_user = nobody
default_login_user = nobody
mail_location = maildir:$1
namespace inbox {
  inbox = yes
  separator = .
}
CF
}
