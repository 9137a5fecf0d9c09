# Helpers of mx-deliver's tests: a host mail.example.org below $T.
load ../lib/common

# deliver_setup: $T/mx.conf, $T/spool, $T/run, $T/vm; as root the mail owner
# is nobody
deliver_setup() {
  common_setup
  chmod 755 "${BATS_RUN_TMPDIR:-/tmp}" 2>/dev/null || true
  mkdir "$T"/{run,spool,vm}
  OWNER=$(id -un)
  if [ "$(id -u)" -eq 0 ]; then
    OWNER=nobody
    chown nobody "$T"/{spool,vm}
  fi
  cat > "$T/mx.conf" <<EOF
myhostname = mail.example.org
mydestination = mail.example.org, local.example
run_directory = $T/run
queue_directory = $T/spool
data_directory = $T/data
mail_owner = $OWNER
net_user = $OWNER
filter_user = $OWNER
alias_maps =
virtual_mailbox_domains = virt.example
virtual_mailbox_maps = inline:{ {joe@virt.example = joe/} {ann@virt.example = ann/} {box@virt.example = box} }
virtual_mailbox_base = $T/vm
recipient_delimiter = +
EOF
  export MX_CONFIG=$T/mx.conf
  printf 'Subject: hi\nMessage-ID: <m1@x>\n\nline\n.dot\n..two\n' > "$T/m"
}

conf() { printf '%s\n' "$@" >> "$T/mx.conf"; }

# talk: script on stdin to a fresh `mx-deliver --lmtp`; log in $T/log
talk() {
  python3 "$BATS_TEST_DIRNAME/talk.py" "${TALK:-exec:mx-deliver --lmtp}" 2>"$T/log"
}

# body FILE: a delivered message without the fields that delivery added
body() { sed -e '/^Subject:/,$!d' "$1"; }
count() { find "$T/$1" -type f 2>/dev/null | wc -l; }
queued() { find "$T/spool/queue" -type f 2>/dev/null | wc -l; }

# serve [ARG...]: mx-deliver --lmtp on $T/run/deliver, ready when it returns
serve() {
  spawn mx-deliver --lmtp --listen "deliver=unix:$T/run/deliver" "$@"
  TALK=$T/run/deliver
  wait_for 10 python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(s.recv(3) != b"220")' "$TALK"
}
