# mx-filter spam with the real spamd: what a user's own settings say, and
# learning (spamc -L) into SpamAssassin's Bayes of that user.
load ../lib/common
bats_require_minimum_version 1.5.0

setup_file() {
  export D=$BATS_FILE_TMPDIR
  load ../lib/common
  command -v spamd > /dev/null || return 0
  chmod 755 "$D"
  mkdir -p "$D/users/joe@d.example" "$D/users/eve@d.example"; chmod -R 777 "$D/users"
  echo 'blacklist_from a@b.example' > "$D/users/joe@d.example/user_prefs"
  printf 'whitelist_from a@b.example\nrequired_score 900\n' > "$D/users/eve@d.example/user_prefs"
  export SPAMD=$(free_port)
  ( cd "$D" && exec spamd -L -l -x --virtual-config-dir="$D/users/%u" -i 127.0.0.1 -p "$SPAMD" --max-children 2 --min-children 1 \
      -u nobody -s "$D/spamd.log" --helper-home-dir="$D" --cf='bayes_min_spam_num 1' --cf='bayes_min_ham_num 1' \
      --cf='bayes_auto_learn 0' --cf='use_bayes 1' 3>&- 4>&- > "$D/spamd.out" 2>&1 ) & echo $! > "$D/spamd.pid"
  for _ in $(seq 300); do
    bash -c "exec 5<>/dev/tcp/127.0.0.1/$SPAMD" 2> /dev/null && break
    sleep 0.2
  done
}
teardown_file() { [ ! -e "$D/spamd.pid" ] || kill "$(< "$D/spamd.pid")" 2> /dev/null || true; }
setup() {
  common_setup
  unset "${!MX_SENDER@}" "${!MX_RECIPIENTS@}" MX_ACTIONS
  [ -n "${SPAMD:-}" ] || skip "spamd is not there"
  : > "$T/mx.conf"
  msg 1 'meeting notes' > "$T/ham"
}
teardown() { common_teardown; }
msg() {
  printf 'From: a@b.example\nTo: c@d.example\nSubject: %s\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <%s@b.example>\n\n' "$2" "$1"
  printf 'the quick brown fox jumps over %s and %s beside the river bank today\n' "$2" "$1"
}
spam() { mx-filter -c "$T/mx.conf" spam --server "inet:127.0.0.1:$SPAMD" "$@"; }
# bayes USER: "NSPAM NHAM" in the user's data base
bayes() {
  sa-learn --dbpath "$D/users/$1/bayes" --dump magic 2> /dev/null |
    awk '/nspam$/ { s = $3 } /nham$/ { h = $3 } END { print s + 0, h + 0 }'
}

@test "user_prefs: the recipient's, or spam_user's; others have the rules of all" {
  spam --recipient joe@d.example < "$T/ham" > "$T/out"
  grep -qx 'X-Spam-Flag: YES' "$T/out"
  tr -d '\n\t ' < "$T/out" | grep -qE 'USER_IN_BL(ACK|OCK)LIST'
  spam --recipient eve@d.example < "$T/ham" > "$T/out"
  ! grep -q X-Spam-Flag "$T/out"
  grep -q '^X-Spam-Status: No, .*required=900' "$T/out"
  spam --recipient ann@d.example < "$T/ham" > "$T/out"
  ! grep -q X-Spam-Flag "$T/out"
  grep -q 'required=5' "$T/out"
  echo 'spam_user = joe@d.example' > "$T/mx.conf"
  spam --recipient eve@d.example < "$T/ham" > "$T/out"
  grep -qx 'X-Spam-Flag: YES' "$T/out"
}

@test "--learn: spam, ham, forget, into the user's own Bayes; the next verdict knows" {
  for i in 1 2 3 4; do
    msg "s$i" 'cheap pills lottery winner' | spam --recipient joe@d.example --learn spam > "$T/out"
    msg "h$i" 'project meeting agenda' | spam --recipient joe@d.example --learn ham >> "$T/out"
    [ ! -s "$T/out" ]
  done
  [ "$(bayes joe@d.example)" = '4 4' ]
  # once more the same: nothing new
  msg s1 'cheap pills lottery winner' | spam --recipient joe@d.example --learn spam
  [ "$(bayes joe@d.example)" = '4 4' ]
  # taken for the other one, and back
  msg s1 'cheap pills lottery winner' | spam --recipient joe@d.example --learn ham
  [ "$(bayes joe@d.example)" = '3 5' ]
  msg s1 'cheap pills lottery winner' | spam --recipient joe@d.example --learn forget
  [ "$(bayes joe@d.example)" = '3 4' ]
  [ "$(bayes eve@d.example)" = '0 0' ]
  msg s9 'cheap pills lottery winner' | spam --recipient joe@d.example > "$T/out"
  tr -d '\n\t ' < "$T/out" | grep -qE 'BAYES_(9|8)'
  msg h9 'project meeting agenda' | spam --recipient joe@d.example > "$T/out"
  tr -d '\n\t ' < "$T/out" | grep -qE 'BAYES_[012]'
  msg s9 'cheap pills lottery winner' | spam --recipient eve@d.example > "$T/out"
  ! tr -d '\n\t ' < "$T/out" | grep -q BAYES_
}

@test "a kept filter learns and forgets, message after message" {
  for i in 1 2 3; do msg "k$i" "kept number" > "$T/k$i"; done
  export MX_CONFIG=$T/mx.conf
  for how in spam forget; do
    run -0 python3 "$ROOT/tests/serve/kept.py" -e MX_RECIPIENTS=ann@d.example "$T"/k[123] -- \
      mx-filter spam --server "inet:127.0.0.1:$SPAMD" --learn $how
    [ "$output" = '3 messages, statuses [0]' ]
    [ "$(bayes ann@d.example)" = "$([ $how = spam ] && echo '3 0' || echo '0 0')" ]
  done
}

@test "as spamc -L, beside it" {
  command -v spamc > /dev/null || skip "spamc is not there"
  msg c1 'spamc and mx' > "$T/c1"
  spamc -d 127.0.0.1 -p "$SPAMD" -u bob@d.example -L spam < "$T/c1" || true
  [ "$(bayes bob@d.example)" = '1 0' ]
  spam --recipient bob@d.example --learn ham < "$T/c1"
  [ "$(bayes bob@d.example)" = '0 1' ]
  spamc -d 127.0.0.1 -p "$SPAMD" -u bob@d.example -L forget < "$T/c1" || true
  [ "$(bayes bob@d.example)" = '0 0' ]
}

@test "learning that cannot be done is said: a wrong word, no spamd" {
  run -64 spam --learn other < "$T/ham"
  run -75 mx-filter spam --server inet:127.0.0.1:1 --learn ham < "$T/ham"
}
