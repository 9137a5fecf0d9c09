# mail_fsync: a flag that was acknowledged is on the disk (one fsync of cur/ for
# a STORE, behind its renames and before its OK), and what it costs to say so.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

# traced WORD COMMANDS...: the calls of a session that count, a line each
traced() {
  local how=$1 out=$T/trace; shift
  cd "$T" || return 1
  [ -d m/cur ] || { mkdir -p m/cur m/new m/tmp; for i in 1 2 3; do printf 'Subject: %s\n\nx\n' "$i" > "m/cur/160000000$i.M1P1.h:2,"; done; }
  { printf 'a SELECT INBOX\r\n'; printf '%s\r\n' "$@"; printf 'z LOGOUT\r\n'; } > in
  strace -y -s 4000 -o "$out" -e trace=renameat,rename,renameat2,unlinkat,fsync,fdatasync,write \
    mx-imapd --preauth --maildir m -o "mail_fsync=$how" < in > answers 2> errors || return 1
  grep -E 'cur|[a-z] (OK|NO)' "$out" | sed -nE 's/^renameat[2]?\(.*"cur\/.*/rename/p; s/^unlinkat\(.*"cur\/.*/unlink/p; s/^fsync\([0-9]+<.*\/cur>\).*/fsync/p; s/^write\(.*b OK.*/ok/p'
}

@test "STORE: renames, one fsync, OK; none where nothing changed" {
  run traced optimized 'b STORE 1:3 +FLAGS (\Seen)'
  [ "$(echo $output)" = "rename rename rename fsync ok" ]
  run traced optimized 'b STORE 1:3 +FLAGS (\Seen)'
  [ "$(echo $output)" = "ok" ]
  run traced optimized 'b UID STORE 2 -FLAGS.SILENT (\Seen)'
  [ "$(echo $output)" = "rename fsync ok" ]
}

@test "optimized leaves what FETCH marks and EXPUNGE removes to the system, always does not; never syncs no flag" {
  run traced optimized 'b FETCH 1 BODY[]'
  [ "$(echo $output)" = "rename ok" ]
  run traced always 'b FETCH 2 BODY[]'
  [ "$(echo $output)" = "rename fsync ok" ]
  run traced never 'b STORE 3 FLAGS (\Deleted)'
  [ "$(echo $output)" = "rename ok" ]
  run traced optimized 'b EXPUNGE'
  [ "$(echo $output)" = "unlink ok" ]
  traced never 'b STORE 1:2 FLAGS (\Deleted)' > "$T/x"
  run traced always 'b UID EXPUNGE 1' 'c CLOSE'
  [ "$(echo $output)" = "unlink fsync unlink fsync ok" ]
}

@test "a disk that fails: NO, not OK; the session lives" {
  cd "$T"
  mkdir -p m/cur m/new m/tmp; printf 'Subject: x\n\nx\n' > 'm/cur/1600000001.M1P1.h:2,'
  printf 'a SELECT INBOX\r\nz LOGOUT\r\n' | mx-imapd --preauth --maildir m > first
  printf 'a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Flagged)\r\nc NOOP\r\nz LOGOUT\r\n' |
    strace -o trace -e trace=fsync -e inject=fsync:error=EIO mx-imapd --preauth --maildir m > answers 2> errors
  grep -q '^b NO ' answers
  grep -q '^c OK ' answers
  run traced nosuch 'b NOOP'
  [ "$status" -ne 0 ]
}
