# mx-filter: a run that was taken over can start no program and reach no
# network (seccomp); where scripts may run programs it is as free as they are.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  unset "${!MX_SENDER@}" "${!MX_RECIPIENTS@}" MX_ACTIONS MX_MAILDIR
  export HOME=$T MX_CONFIG=$T/mx.conf
  case $(< /proc/self/status) in *Seccomp:*) ;; *) skip "a kernel without seccomp" ;; esac
  [[ ${CFLAGS-}${ASAN_OPTIONS-} != *san* ]] || skip "the sanitizer's own calls are refused"
  printf 'sandbox = try\n' > "$T/mx.conf"
  printf 'From: a@b\nSubject: hi\n\nbody\n' > "$T/m"
  echo 'keep;' > "$T/s.sieve"
}
teardown() { common_teardown; }
# tries COMMAND...: what an intruder can do in it: names of what was not
# refused by the sandbox (EPERM)
tries() {
  : > "$T/report"; chmod 666 "$T/report"
  MX_INTRUDER=$T/report LD_PRELOAD=$MX_BUILD/lib/shim_intruder.so "$@" < "$T/m" > "$T/out" 2> "$T/err" || true
  [ -s "$T/report" ] || { echo none; return; }
  awk '$2 != 1 { printf "%s ", $1 }' "$T/report"
}

@test "sieve and check: no socket, no fork, no exec, no ptrace, no signal" {
  [ "$(tries mx-filter sieve --actions --script "$T/s.sieve")" = 'write ' ]
  [ "$(< "$T/out")" = keep ]
  [ "$(tries mx-filter check "$T/s.sieve")" = 'write ' ]
}

@test "headers: the same" {
  echo '/^Subject:/ PREPEND X-A: b' > "$T/t"
  [ "$(tries mx-filter headers "pcre:$T/t")" = 'write ' ]
  grep -qx 'X-A: b' "$T/out"
}

@test "spam and virus: they may connect, no more" {
  for c in spam virus; do
    [ "$(tries mx-filter $c --server 127.0.0.1:1)" = 'socket unix write ' ]
  done
}

@test "sandbox = off, programs for scripts, tables that ask somebody: none" {
  echo 'sandbox = off' > "$T/mx.conf"
  [ "$(tries mx-filter sieve --script "$T/s.sieve")" = none ]
  echo "sieve_execute_bin_dir = $T" > "$T/mx.conf"
  [ "$(tries mx-filter sieve --script "$T/s.sieve")" = none ]
  : > "$T/mx.conf"
  [ "$(tries mx-filter headers socketmap:unix:"$T/none":x)" = none ]
}

@test "in the sandbox all still works: memory, included scripts, lists, edited messages" {
  mkdir "$T/sieve" "$T/Maildir" "$T/Maildir/cur"
  echo 'require "fileinto"; fileinto "Inc";' > "$T/sieve/inc.sieve"
  echo 'a@b x' > "$T/list"
  cat >> "$T/mx.conf" <<C
sieve_dir = $T/sieve
sieve_extlists = urn:l=texthash:$T/list
sieve_memory = $T/memory
C
  cat > "$T/s.sieve" <<'S'
require ["include", "duplicate", "extlists", "editheader", "fileinto", "mailbox", "vacation", "envelope"];
if duplicate { fileinto "Dup"; stop; }
include :personal "inc";
if header :list "from" "urn:l" { fileinto "List"; }
if mailboxexists "INBOX" { fileinto "Box"; }
addheader "X-New" "1";
S
  printf 'From: a@b\nTo: me@c\nMessage-ID: <1@b>\nSubject: hi\n\nbody\n' > "$T/m"
  run -0 mx-filter sieve --actions --edited "$T/edited" --maildir "$T/Maildir" --sender a@b --recipient me@c --script "$T/s.sieve" < "$T/m"
  [[ $output == *Inc*List*Box* ]]
  grep -qx 'X-New: 1' "$T/edited"
  mark=$(sed -n 's/^remember\t//p' <<< "$output")
  mx-filter remember "$mark"
  run -0 mx-filter sieve --actions --sender a@b --recipient me@c --script "$T/s.sieve" < "$T/m"
  [[ $output == *Dup* ]]
}
