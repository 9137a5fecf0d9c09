# A whole mx host in a folder of its own, on free loopback ports.
#   host_make DIR HOSTNAME DOMAIN USER:PASSWORD...   configuration, users, keys
#   host_start DIR                                   starts its four servers
#   host_stop DIR
# HOST_ADDR (127.0.0.1) is where it listens and sends from; HOST_SMTP_PORT a
# port for SMTP that several hosts share, so that MX finds them.
# After host_make, "$DIR/ports" holds SMTP= SUBMISSION= IMAPS= ...; `host_env
# DIR` reads them.  Needs lib/common.bash (free_port, wait_port).

# The users that programs drop to (as root only; sysusers file of mx).
host_users() {
  [ "$(id -u)" -eq 0 ] || return 0
  local u
  for u in mx mxnet mxfilter mxsign mxauth; do
    id "$u" >/dev/null 2>&1 && continue
    echo "adding the system user $u"
    useradd --system --user-group --no-create-home --home-dir /nonexistent \
      --shell /usr/sbin/nologin "$u"
  done
}

host_make() {
  local d=$1 name=$2 domain=$3 u map=; shift 3
  local p addr=${HOST_ADDR:-127.0.0.1}; mapfile -t p < <(free_port 5)
  [ -n "${HOST_SMTP_PORT:-}" ] && p[0]=$HOST_SMTP_PORT
  mkdir -p "$d"/{run,spool,lib,mail,keys,sieve,tls}
  chmod 755 "$d" "$d"/{run,mail,keys,sieve}
  host_users >&2
  printf 'ADDR=%s\n' "$addr" > "$d/ports"
  printf 'SMTP=%s\nSUBMISSION=%s\nSUBMISSIONS=%s\nIMAP=%s\nIMAPS=%s\nNAME=%s\nDOMAIN=%s\n' \
    "${p[@]}" "$name" "$domain" >> "$d/ports"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$d/tls/key.pem" -out "$d/tls/cert.pem" -days 30 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name,DNS:localhost,IP:$addr" 2>/dev/null
  mx-dkimsign --genkey -d "$domain" -s mx -D "$d/keys" >/dev/null
  : > "$d/users"
  for u; do
    printf '%s@%s:%s\n' "${u%%:*}" "$domain" "$(printf '%s\n' "${u#*:}" | mx-auth hash -s SHA512-CRYPT)" >> "$d/users"
    map="$map ${u%%:*}@$domain=$domain/${u%%:*}/,"
  done
  local owner=$(id -un)
  [ "$(id -u)" -eq 0 ] && owner=mx
  cat > "$d/mx.conf" <<CONF
myhostname = $name
mydomain = $domain
myorigin = $domain
mydestination = localhost
alias_maps =
mynetworks = 127.0.0.77/32
inet_interfaces = $addr
smtp_bind_address = $addr
smtp_tcp_port = ${HOST_SMTP_PORT:-25}
run_directory = $d/run
queue_directory = $d/spool
data_directory = $d/lib
log_format = text
virtual_mailbox_domains = $domain
virtual_mailbox_base = $d/mail
virtual_mailbox_maps = inline:{${map%,} }
virtual_alias_maps = inline:{ postmaster@$domain=$(printf '%s' "$1" | cut -d: -f1)@$domain }
virtual_uid_maps = static:$(id -u "$owner")
virtual_gid_maps = static:$(id -g "$owner")
virtual_minimum_uid = 1
mail_uid = $(id -u "$owner")
mail_gid = $(id -g "$owner")
mail_location = maildir:$d/mail/%d/%n
recipient_delimiter = +
passdb = passwd-file:$d/users
auth_socket = unix:$d/run/auth
auth_master_socket = unix:$d/run/auth-master
smtpd_tls_cert_file = $d/tls/cert.pem
smtpd_tls_key_file = $d/tls/key.pem
ssl_cert = <$d/tls/cert.pem
ssl_key = <$d/tls/key.pem
smtp_tls_security_level = may
inbound_filter = mx-dnscheck auth
outbound_filter = mx-dkimsign
authserv_id = $name
dkim_domain = $domain
dkim_selector = mx
dkim_key_file = $d/keys/mx.private
sieve = $d/sieve/%u.sieve
CONF
  if [ "$(id -u)" -eq 0 ]; then
    chown -R mx:mx "$d/mail" "$d/spool" "$d/lib"
    chown mxsign: "$d/keys/mx.private"
    chown mxauth: "$d/users"
    chmod 640 "$d/users"
  fi
}

host_env() { local line; while read -r line; do eval "$line"; done < "$1/ports"; }

# Extra arguments go to every program (-o name=value).
host_start() {
  local d=$1; shift
  host_env "$d"
  : > "$d/pids"
  export MX_LOG=$d/log
  : > "$d/log"; chmod 666 "$d/log"
  host_spawn "$d" mx-auth -c "$d/mx.conf" "$@" --listen "unix:$d/run/auth" --listen "unix:$d/run/auth-master"
  host_spawn "$d" mx-deliver -c "$d/mx.conf" "$@" --lmtp --listen "unix:$d/run/deliver" --listen "unix:$d/run/submit"
  host_spawn "$d" mx-deliver -c "$d/mx.conf" "$@" --queue-run --watch
  host_spawn "$d" mx-recv -c "$d/mx.conf" "$@" --listen "smtp=$ADDR:$SMTP" \
    --listen "submission=$ADDR:$SUBMISSION" --listen "submissions=$ADDR:$SUBMISSIONS"
  host_spawn "$d" mx-imapd -c "$d/mx.conf" "$@" --listen "imap=$ADDR:$IMAP" --listen "imaps=$ADDR:$IMAPS"
  unset MX_LOG
  local p
  for p in "$SMTP" "$SUBMISSION" "$SUBMISSIONS" "$IMAPS"; do wait_port "$p" "$ADDR" || { cat "$d"/err.*; return 1; }; done
}

host_spawn() {
  local d=$1; shift
  "$@" >"$d/err.$1.$RANDOM" 2>&1 </dev/null 3>&- &
  echo $! >> "$d/pids"
}

host_stop() {
  local p
  [ -e "$1/pids" ] || return 0
  for p in $(cat "$1/pids"); do kill "$p" 2>/dev/null; done
  for p in $(cat "$1/pids"); do
    for _ in $(seq 100); do kill -0 "$p" 2>/dev/null || break; sleep 0.05; done
    kill -9 "$p" 2>/dev/null
  done
  rm -f "$1/pids"
}
