# Words of the mx-imapd tests:  load imap
# py: Python from stdin with the words of imap.py, in $T
py() {
  cd "$T" || return 1
  { echo 'from imap import *'; cat; } > "$T/prog.py"
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-imapd python3 "$T/prog.py" "$@"
}

# imap_serve [LINES for mx.conf...]: mx-auth and mx-imapd with TLS; users joe
# and eve, password "secret"; sets IMAP and IMAPS (ports)
imap_serve() {
  local uid gid
  uid=$(id -u) gid=$(id -g)
  # as root the sessions become a user of no other right
  if [ "$uid" -eq 0 ]; then uid=$(id -u nobody) gid=$(id -g nobody); fi
  mkdir -p "$T/run" "$T/mail"
  chown "$uid" "$T/mail"
  make_cert localhost
  read -r -d '' IMAP IMAPS < <(free_port 2; printf '\0') || true
  cat > "$T/mx.conf" <<CF
run_directory = $T/run
data_directory = $T
passdb = passwd-file:$T/users
mail_location = maildir:$T/mail/%n
net_user = nobody
auth_user = nobody
mail_owner = $(id -un)
auth_failure_delay = 0
ssl_cert = <$T/localhost.crt
ssl_key = <$T/localhost.key
first_valid_uid = 1
mail_max_userip_connections = 50
CF
  printf '%s\n' "$@" >> "$T/mx.conf"
  printf '%s:{PLAIN}secret:%s:%s::%s::\n' joe@x.test "$uid" "$gid" "$T/mail/joe" \
    eve@x.test "$uid" "$gid" "$T/mail/eve" > "$T/users"
  chmod 644 "$T/users"
  export MX_CONFIG=$T/mx.conf MX_LOG=$T/imap.log
  : > "$MX_LOG"; chmod 666 "$MX_LOG"
  spawn mx-auth --listen "unix:$T/run/auth" --listen "unix:$T/run/auth-master"
  wait_for 5 test -S "$T/run/auth-master"
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
