# A real Postfix in a folder of its own:  load ../lib/postfix
# postfix_start NAME PORT [MAIN.CF LINES...]: on $POSTFIX_ADDR (127.0.0.1):PORT, everything
# below $T/NAME (conf, queue, data, log); needs root.  It is ended with the
# test by its process id.
postfix_start() {
  local name=$1 port=$2 d=$T/$1; shift 2
  mkdir -p "$d/conf" "$d/queue" "$d/data"
  chown postfix "$d/data"
  cat > "$d/conf/main.cf" <<CF
compatibility_level = 3.6
queue_directory = $d/queue
data_directory = $d/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = $name.test
mydestination = $name.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
biff = no
disable_dns_lookups = yes
maillog_file = $d/log
maillog_file_prefixes = $d
smtpd_peername_lookup = no
CF
  sed -i '/^EOF_CF$/d' "$d/conf/main.cf"
  printf '%s\n' "$@" >> "$d/conf/main.cf"
  cat > "$d/conf/master.cf" <<CF
${POSTFIX_ADDR:-127.0.0.1}:$port inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
pickup unix n - n 60 1 pickup
CF
  postfix -c "$d/conf" start >"$d/start" 2>&1 || { cat "$d/start" "$d/log" >&2; return 1; }
  POSTFIX_PID=$(tr -d ' ' < "$d/queue/pid/master.pid")
  PIDS+=("$POSTFIX_PID")
  wait_port "$port" "${POSTFIX_ADDR:-127.0.0.1}"
}
