#!/usr/bin/env bats
# The real procmail, maildrop and dovecot-lda, as mailbox_command of users of
# this host and through pipe transports, as they are set up for Postfix.
load queue
setup() {
  need_root
  queue_setup
  MXUSER=mxm$$
  useradd -M -d "$T/home" -s /bin/sh "$MXUSER" || skip "useradd does not work here"
  mkdir -m 700 "$T/home"
  A=$MXUSER@local.example
}
teardown() {
  common_teardown
  [ -z "${MXUSER:-}" ] || { userdel -f "$MXUSER" 2>/dev/null || true; rm -f "/var/mail/$MXUSER"; }
}
need() { command -v "$1" > /dev/null || [ -x "$1" ] || skip "$1 is not there"; }
rc() { cat > "$T/home/$1"; chmod 600 "$T/home/$1"; chown -R "$MXUSER:" "$T/home"; }
# go [ADDRESS]: accepted into the queue, and one pass
go() { submit ann@virt.example "${1:-$A}" 2>>"$MX_LOG"; run_queue 2>>"$MX_LOG"; }
status() { grep "to=<.*relay=${1:-local}" "$MX_LOG" | tail -n 1; }
in_dir() { find "$T/home/$1/new" -type f 2>/dev/null | wc -l; }

@test "procmail: recipes, \$EXTENSION, HOME, its EXITCODE" {
  need procmail
  conf 'mailbox_command = /usr/bin/procmail -t -a "$EXTENSION" -a "$SENDER|$RECIPIENT|$USER|$LOCAL|$DOMAIN|$SHELL"'
  rc .procmailrc <<'RC'
MAILDIR=$HOME
DEFAULT=$HOME/In/
EXT=$1
:0
* EXT ?? ^^work^^
Work/
:0 w
* ^Subject: bounce
{ EXITCODE=77 HOST }
:0 w
* ^Subject: later
{ EXITCODE=75 HOST }
:0 fhw
* ^Subject: hi
| formail -I "X-Env: $2"
RC
  go
  [ "$(in_dir In)" -eq 1 ]
  f=$(find "$T/home/In/new" -type f)
  [ "$(stat -c %U "$f")" = "$MXUSER" ]
  grep -qx "X-Env: ann@virt.example|$A|$MXUSER|$MXUSER|local.example|/bin/sh" "$f"
  grep -q '^Return-Path: <ann@virt.example>' "$f"
  grep -q "^Delivered-To: $A" "$f"
  go "$MXUSER+work@local.example"
  [ "$(in_dir Work)" -eq 1 ]
  printf 'Subject: bounce\n\nx\n' > "$T/m"; go
  [[ $(status) == *"dsn=5.7.0, status=bounced (permission denied"* ]]
  printf 'Subject: later\n\nx\n' > "$T/m"; go
  [[ $(status) == *"dsn=4."*"status=deferred"* ]]
  [ "$(queued)" -eq 1 ]
  # the recipe is mended: it is there
  sed -i 's/later/never/' "$T/home/.procmailrc"
  mx-deliver --flush; run_queue
  [ "$(queued)" -eq 0 ]; [ "$(in_dir In)" -eq 2 ]
}

@test "maildrop: .mailfilter of the user, EXITCODE, a broken filter waits" {
  need maildrop
  conf 'mailbox_command = /usr/bin/maildrop'
  for d in In Hi; do maildirmake "$T/home/$d" 2>/dev/null || mkdir -p "$T/home/$d"/{cur,new,tmp}; done
  rc .mailfilter <<'RC'
if (/^Subject: *bounce/)
{
  echo "not wanted"
  EXITCODE=77
  exit
}
if (/^Subject: *hi/)
{
  to "Hi/"
}
to "In/"
RC
  go
  [ "$(in_dir Hi)" -eq 1 ]
  [ "$(stat -c %U "$T"/home/Hi/new/*)" = "$MXUSER" ]
  printf 'Subject: other\n\nx\n' > "$T/m"; go
  [ "$(in_dir In)" -eq 1 ]
  printf 'Subject: bounce\n\nx\n' > "$T/m"; go
  [[ $(status) == *"status=bounced (permission denied. Command output: not wanted)" ]]
  printf 'if (\n' >> "$T/home/.mailfilter"
  printf 'Subject: third\n\nx\n' > "$T/m"; go
  [[ $(status) == *"status=deferred"* ]]
  [ "$(queued)" -eq 1 ]
}

lda_conf() {
  cat > "$T/dovecot.conf" <<EOF
base_dir = $T/dovecot
log_path = $T/dovecot.log
first_valid_uid = 1
ssl = no
mail_location = maildir:~/Maildir
postmaster_address = postmaster@mail.example.org
hostname = mail.example.org
auth_socket_path = $T/run/auth-master
recipient_delimiter = +
lda_mailbox_autocreate = yes
EOF
  touch "$T/dovecot.log"; chmod 666 "$T/dovecot.log"
  LDA="/usr/lib/dovecot/dovecot-lda -c $T/dovecot.conf"
}

@test "dovecot-lda as mailbox_command: the user's Maildir, an extension's folder, over quota" {
  need /usr/lib/dovecot/dovecot-lda
  lda_conf
  conf "mailbox_command = $LDA -f \"\$SENDER\" -a \"\$RECIPIENT\" -m \"\$EXTENSION\" -e"
  chown "$MXUSER:" "$T/home"
  go || true
  cat "$T/dovecot.log"; tail -n 3 "$MX_LOG"
  [ "$(in_dir Maildir)" -eq 1 ]
  go "$MXUSER+work@local.example"
  [ "$(in_dir Maildir/.work)" -eq 1 ]
  # a home that is not the user's: later
  chown root: "$T/home"; chmod 755 "$T/home"; rm -rf "$T/home/Maildir"; go
  [[ $(status) == *"status=deferred"* ]]
  chown "$MXUSER:" "$T/home"; mx-deliver --flush; run_queue
  [ "$(in_dir Maildir)" -eq 1 ]
}

@test "pipes of master.cf: maildrop -d, dovecot-lda -d with mx-auth's userdb" {
  need maildrop; need /usr/lib/dovecot/dovecot-lda
  lda_conf
  mkdir -p "$T/home/v/bob"; chown -R "$MXUSER:" "$T/home"
  echo "bob@e.example:{PLAIN}x:$(id -u "$MXUSER"):$(id -g "$MXUSER")::$T/home/v/bob::userdb_mail=maildir:$T/home/v/bob/M" > "$T/users"
  spawn mx-auth -o "userdb=passwd-file:$T/users" -o "passdb=passwd-file:$T/users" -o auth_user= -o "auth_master_users=$MXUSER" \
    --listen "auth-master=unix:$T/run/auth-master" --listen "auth=unix:$T/run/auth"
  wait_for 10 test -S "$T/run/auth-master"
  chmod 777 "$T/run/auth-master"
  mkdir -p "$T/home/Maildir"/{cur,new,tmp}
  rc .mailfilter <<< 'to "Maildir/"'
  conf "pipe_maildrop = flags=DRhu user=$MXUSER argv=/usr/bin/maildrop -d \${user}" 'maildrop_destination_recipient_limit = 1' \
    "pipe_dovecot = flags=DRhu user=$MXUSER argv=$LDA -f \${sender} -d \$(recipient)" 'dovecot_destination_recipient_limit = 1'
  printf '%s\n' 'a.example maildrop:' 'e.example dovecot:' >> "$T/transport"
  submit ann@virt.example "$MXUSER@a.example" bob@e.example nobody@e.example
  run_queue
  cat "$T"/out.0 "$T/dovecot.log"; tail -n 5 "$MX_LOG"
  [ "$(in_dir Maildir)" -eq 1 ]
  [ "$(in_dir v/bob/M)" -eq 1 ]
  grep -q '^Delivered-To: bob@e.example' "$T"/home/v/bob/M/new/*
  grep -q "to=<bob@e.example>, relay=dovecot, .*dsn=2.0.0, status=sent (delivered via dovecot service" "$MX_LOG"
  # 67 of the real program: unknown there
  grep -q "to=<nobody@e.example>, relay=dovecot, .*dsn=5.1.1, status=bounced" "$MX_LOG"
}
