# mx-filter procmail beside Debian's procmail, and --to-sieve.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

@test "400 pairs of rcfile and mail: the same files, output and status as procmail" {
  command -v procmail || skip "procmail is not there"
  mkdir "$T/w"
  run python3 "$BATS_TEST_DIRNAME/procmail/run.py" "$BATS_TEST_DIRNAME/procmail" "$(command -v mx-filter)" "$T/w"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[-1]%% *}" -gt 400 ]
}

pm() { (cd "$T" && mx-filter procmail "$@"); }

@test "a mail is never lost: no rcfile, no folder, an empty filter" {
  printf 'Subject: x\n\nb\n' > "$T/m"
  run -75 pm ./none < "$T/m"
  printf 'SHELL=/bin/sh\nDEFAULT=%s/no/such/box\nORGMAIL=%s/no/other\n' "$T" "$T" > "$T/rc"
  run -75 pm ./rc < "$T/m"
  printf 'SHELL=/bin/sh\nDEFAULT=box\n:0 f\n| cat >/dev/null; exit 1\n' > "$T/rc"
  run -0 pm ./rc < "$T/m"
  grep -q '^Subject: x' "$T/box"
  printf 'DEFAULT=box2\n:0 fw\n| kill -9 $$; true\n' > "$T/rc"
  run -0 pm ./rc < "$T/m"
  grep -q '^Subject: x' "$T/box2"
  run -65 pm ./rc < /dev/null
}

@test "rcfiles that include themselves, open blocks, endless text: they end" {
  printf 'Subject: x\n\nb\n' > "$T/m"
  printf 'DEFAULT=box\nINCLUDERC=rc\n' > "$T/rc"
  run -0 timeout 60 bash -c "cd '$T' && mx-filter procmail ./rc < m"
  printf 'DEFAULT=box\nSWITCHRC=rc\n' > "$T/rc"
  run timeout 60 bash -c "cd '$T' && mx-filter procmail ./rc < m"
  [ "$status" -ne 124 ]
  { echo DEFAULT=box; for i in $(seq 3000); do echo ':0'; echo '{'; done; } > "$T/rc"
  run -0 timeout 60 bash -c "cd '$T' && mx-filter procmail ./rc < m"
  printf 'DEFAULT=box\n:0\n* (a*)*(a*)*(a*)*b$\nx\n' > "$T/rc"
  { echo "Subject: $(printf 'a%.0s' $(seq 5000))"; echo; } > "$T/m2"
  run -0 timeout 60 bash -c "cd '$T' && mx-filter procmail ./rc < m2"
}

@test "--to-sieve: what has a counterpart is translated, the rest is marked" {
  cat > "$T/rc" <<'R'
MAILDIR=$HOME/Mail
# lists
:0:
* ^List-Id:.*<dev\.example
lists/dev
:0
* ^Subject:.*money
* ! ^From:.*friend@
/dev/null
:0 c
! other@example.org
:0 fw
| spamassassin
:0
* > 100000
big/
:0
* ^TO_me@example.org
{
	:0 B
	* anvil
	acme
}
R
  run -0 --separate-stderr mx-filter procmail --to-sieve "$T/rc"
  echo "$output" > "$T/out.sieve"
  run -0 mx-filter check "$T/out.sieve"
  grep -q 'fileinto :create "lists.dev"' "$T/out.sieve"
  grep -q 'allof (header :contains \["Subject"\] "money", not header :contains \["From"\] "friend@")' "$T/out.sieve"
  grep -q '# not translated: the action has no counterpart' "$T/out.sieve"
  printf 'Subject: money\nFrom: x@y\n\nb\n' > "$T/m"
  run -0 mx-filter sieve --actions --script "$T/out.sieve" < "$T/m"
  [[ $output == discard ]]
  printf 'Subject: anvil\nTo: me@example.org\n\nan anvil\n' > "$T/m"
  run -0 mx-filter sieve --actions --script "$T/out.sieve" < "$T/m"
  [[ $output == $'redirect\tother@example.org\tcopy\nfileinto\tacme\tcreate' ]]
}

@test "without RCFILE: the user's own file, if nobody else may write it" {
  need_root
  user=pm$$
  useradd -M -d "$T/home" -s /bin/sh "$user" || skip "useradd does not work here"
  chmod 755 "$T"; mkdir "$T/home"
  printf 'Subject: x\n\nb\n' > "$T/m"; cp "$(command -v mx-filter)" "$T/mx-filter"
  printf 'DEFAULT=Maildir/\n:0\n* ^Subject: y\nother\n' > "$T/home/.procmailrc"
  chown -R "$user:" "$T/home"
  as() { setpriv --reuid "$user" --regid "$user" --clear-groups "$T/mx-filter" procmail < "$T/m"; }
  run as; first=$status
  chmod 666 "$T/home/.procmailrc"
  run as; second=$status
  n=$(find "$T/home/Maildir/new" -type f | wc -l)
  userdel -f "$user"
  [ "$first" -eq 0 ] && [ "$second" -eq 75 ] && [ "$n" -eq 1 ]
}
