# Story 6: two hosts, each in a network namespace of its own, and a wire
# between them that is cut and healed while mail goes both ways.  Nothing is
# lost; twice comes only what was cut off between the end of a message and its
# reply (RFC 1047, RFC 5321 4.5.3.2.6).
load ../lib/common
load ../lib/host

N=45 # messages each way

setup() {
  common_setup
  need_root
  host_users >&2
  NSA=mxa$$ NSB=mxb$$
  ip netns add "$NSA" 2>/dev/null && ip netns add "$NSB" &&
    ip link add veth0 netns "$NSA" type veth peer name veth0 netns "$NSB" 2>/dev/null ||
    skip "no network namespaces, or no veth, here"
  wire up
  chmod 711 "$T"
  local ns n=1
  for ns in $NSA $NSB; do
    ip -n "$ns" link set lo up
    ip -n "$ns" addr add "10.77.0.$n/24" dev veth0
    n=$((n + 1))
  done
  machine a "$NSA" 1; machine b "$NSB" 2
}
teardown() {
  common_teardown
  ip netns del "$NSA" 2>/dev/null || true
  ip netns del "$NSB" 2>/dev/null || true
}

# on a|b COMMAND...: on that host
on() {
  local h=$1 ns=$NSA; shift
  [ "$h" = a ] || ns=$NSB
  MX_CONFIG=$T/$h/mx.conf MX_LOG=$T/$h/log ip netns exec "$ns" "$@"
}
wire() { ip -n "$NSA" link set veth0 "$1"; ip -n "$NSB" link set veth0 "$1"; }

machine() { # NAME NAMESPACE NUMBER
  local d=$T/$1
  mkdir -p "$d"/{run,spool,lib,mail}
  chmod 755 "$d" "$d"/{run,mail}
  chown mx: "$d"/{spool,lib,mail}
  : > "$d/log"; chmod 666 "$d/log"
  cat > "$d/mx.conf" <<CONF
myhostname = mx.$1.test
mydestination =
mynetworks =
alias_maps =
inet_interfaces = 10.77.0.$3
virtual_mailbox_domains = $1.test
virtual_mailbox_maps = static:box/
virtual_mailbox_base = $d/mail
virtual_alias_maps = inline:{ loop@$1.test=loop@$([ "$1" = a ] && echo b || echo a).test }
transport_maps = inline:{ $([ "$1" = a ] && echo "b.test=smtp:[10.77.0.2]" || echo "a.test=smtp:[10.77.0.1]") }
run_directory = $d/run
queue_directory = $d/spool
data_directory = $d/lib
virtual_uid_maps = static:$(id -u mx)
virtual_gid_maps = static:$(id -g mx)
virtual_minimum_uid = 1
mail_uid = $(id -u mx)
mail_gid = $(id -g mx)
smtpd_peername_lookup = no
smtpd_timeout = 5s
smtp_connect_timeout = 2s
smtp_helo_timeout = 2s
smtp_mail_timeout = 2s
smtp_rcpt_timeout = 2s
smtp_data_init_timeout = 2s
smtp_data_xfer_timeout = 2s
smtp_data_done_timeout = 2s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
default_destination_concurrency_limit = 2
message_size_limit = 2000000
CONF
  MX_CONFIG=$d/mx.conf MX_LOG=$d/log spawn ip netns exec "$2" mx-deliver --lmtp --listen "unix:$d/run/deliver" --listen "unix:$d/run/submit"
  MX_CONFIG=$d/mx.conf MX_LOG=$d/log spawn ip netns exec "$2" mx-deliver --queue-run --watch
  MX_CONFIG=$d/mx.conf MX_LOG=$d/log spawn ip netns exec "$2" mx-recv --listen "smtp=10.77.0.$3:25"
  wait_for 20 test -S "$d/run/submit"
  wait_for 20 bash -c "[ -n \"\$(ip netns exec $2 ss -Hltn 'sport = :25')\" ]"
}

arrived() { find "$T/$1/mail" -path '*/new/*' -type f 2>/dev/null | wc -l; }
more_than() { [ "$(arrived a)" -gt "$1" ] && [ "$(arrived b)" -gt "$2" ]; }
nothing() { [ -z "$(find "$T/$1/spool/queue" -type f 2>/dev/null)" ]; }
empty() { nothing a && nothing b; }
noticed() { # NUMBER NUMBER: each has deferred more than that, or has nothing left
  { [ "$(deferred a)" -gt "$1" ] || nothing a; } && { [ "$(deferred b)" -gt "$2" ] || nothing b; }
}
deferred() { grep -c status=deferred "$T/$1/log" || true; }
# submit FROM TO FIRST LAST: big ones, so that a cut finds them on the way
submit() {
  local i
  for i in $(seq "$3" "$4"); do
    { printf 'Subject: %s to %s number %d\n\n' "$1" "$2" "$i"; cat "$T/big"; } |
      on "$1" mx-submit -i -f "joe@$1.test" "ann@$2.test"
  done
}

# each FROM TO: every message came; twice only as often as a sender lost sight
# of one at its end
each() {
  local subjects=$T/subjects.$2 twice unseen
  find "$T/$2/mail" -path '*/new/*' -type f -exec grep -hm1 '^Subject: ' {} + | sort > "$subjects"
  [ "$(sort -u "$subjects" | grep -c "^Subject: $1 to $2 ")" -eq "$N" ] || { echo "lost"; cat "$subjects"; return 1; }
  twice=$(($(wc -l < "$subjects") - N))
  unseen=$(grep -cE 'status=deferred.*(while sending end of data|may be sent more than once)' "$T/$1/log" || true)
  echo "$1 to $2: $twice twice, $unseen cut off at the end"
  [ "$twice" -le "$unseen" ]
}

@test "the wire is cut and healed in the middle: every message arrives" {
  head -c 600000 /dev/zero | tr '\0' x | fold -w 70 > "$T/big"
  local cut x y
  for cut in 0 1 2; do
    wire down
    submit a b $((cut * N / 3 + 1)) $(((cut + 1) * N / 3))
    submit b a $((cut * N / 3 + 1)) $(((cut + 1) * N / 3))
    wait_for 60 noticed 0 0
    x=$(arrived a) y=$(arrived b)
    wire up
    wait_for 60 more_than "$x" "$y" || { tail -n 20 "$T"/?/log; false; }
    x=$(deferred a) y=$(deferred b)
    empty || echo "cut $cut: in the middle"
    wire down
    wait_for 60 noticed "$x" "$y"
    wire up
  done
  wait_for 120 empty || { on a mx-deliver --list; on b mx-deliver --list; tail -n 20 "$T"/?/log "$T"/out.*; false; }
  each a b
  each b a
  # nobody was told of a failure that was none
  ! grep -h 'status=bounced' "$T/a/log" "$T/b/log"
}

@test "a host that is cut off keeps what it has; its queue is carried to the other by hand" {
  wire down
  printf 'Subject: by hand\n\nx\n' | on a mx-submit -i -f joe@a.test ann@b.test
  wait_for 60 grep -q status=deferred "$T/a/log"
  local e; e=$(find "$T/a/spool/queue" -type f)
  [ "$(arrived b)" -eq 0 ]
  # the same folder of the other one's queue
  local to=$T/b/spool/queue${e#"$T/a/spool/queue"}
  install -d -o mx -g mx "$(dirname "$to")"
  install -m 600 -o mx -g mx "$e" "$T/b/spool/carried"; mv "$T/b/spool/carried" "$to"
  on a mx-deliver --delete "$(basename "$e")"
  on b mx-deliver --flush
  wait_for 60 bash -c "[ \$(find '$T/b/mail' -path '*/new/*' -type f | wc -l) -eq 1 ]"
  grep -rq '^Subject: by hand' "$T/b/mail"
  [ -z "$(find "$T/b/spool/queue" "$T/a/spool/queue" -type f)" ] || wait_for 20 empty
}

@test "two hosts that forward an address to each other: it ends at hopcount_limit, its sender is told once" {
  printf 'Subject: round and round\n\nx\n' | on a mx-submit -i -f joe@a.test loop@a.test
  wait_for 120 bash -c "grep -rlq '^Subject: Undelivered' '$T/a/mail'"
  wait_for 60 empty
  local b; b=$(grep -rl '^Subject: Undelivered' "$T/a/mail"); cat "$b"
  [ "$(wc -l <<< "$b")" -eq 1 ]
  grep -q 'too many hops' "$b"
  grep -q '^Final-Recipient: .*loop@[ab].test' "$b"
  # each host had it half of the way, and nobody has it now
  [ "$(grep -c 'to=<loop@b.test>.*status=sent' "$T/a/log")" -ge 24 ]
  [ "$(cat "$T/a/log" "$T/b/log" | grep -c 'to=<loop@.*status=sent')" -le 60 ]
  [ "$(($(arrived a) + $(arrived b)))" -eq 1 ]
}
