# Words of the tests of mailbox servers:  load ../lib/mailbox
# mailbox_host [LINES for mx.conf...]: mx.conf with TLS, a running mx-auth;
# users joe and eve at x.test, password "secret", mail in $T/mail/NAME
mailbox_host() {
  local uid gid
  uid=$(id -u) gid=$(id -g)
  # as root the sessions become a user of no other right
  if [ "$uid" -eq 0 ]; then uid=$(id -u nobody) gid=$(id -g nobody); fi
  mkdir -p "$T/run" "$T/mail"
  chown "$uid" "$T/mail"
  make_cert localhost
  cat > "$T/mx.conf" <<CF
run_directory = $T/run
data_directory = $T
passdb = passwd-file:$T/users
mail_location = maildir:$T/mail/%n
net_user = nobody
auth_user = nobody
mail_owner = $(id -un)
auth_failure_delay = 0
login_trusted_networks = 127.0.0.0/8
ssl_cert = <$T/localhost.crt
ssl_key = <$T/localhost.key
first_valid_uid = 1
mail_max_userip_connections = 50
CF
  printf '%s\n' "$@" >> "$T/mx.conf"
  printf '%s:{PLAIN}secret:%s:%s::%s::\n' joe@x.test "$uid" "$gid" "$T/mail/joe" \
    eve@x.test "$uid" "$gid" "$T/mail/eve" > "$T/users"
  chmod 644 "$T/users"
  export MX_CONFIG=$T/mx.conf MX_LOG=$T/mail.log
  : > "$MX_LOG"; chmod 666 "$MX_LOG"
  spawn mx-auth --listen "unix:$T/run/auth" --listen "unix:$T/run/auth-master"
  wait_for 5 test -S "$T/run/auth-master"
}

# mbsync_conf LINES...: $T/mbsyncrc, channel "c" between joe's mailboxes at
# $IMAPS and the tree $T/near; LINES end its section (Create, Expunge, ...)
mbsync_conf() {
  mkdir -p "$T/near"
  cat > "$T/mbsyncrc" <<CF
IMAPAccount a
Host localhost
Port $IMAPS
User joe@x.test
Pass secret
SSLType IMAPS
CertificateFile $T/localhost.crt

IMAPStore far
Account a

MaildirStore near
Path $T/near/
Inbox $T/near/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
SyncState *
CF
  printf '%s\n' "$@" >> "$T/mbsyncrc"
}
