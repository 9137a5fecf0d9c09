# Every filter of mx-filter over one corpus: kept (mx-serve(5)) it gives the
# same bytes, actions, files and statuses as one process a message.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  printf 'myhostname = mx.test\n' > "$T/mx.conf"
  export MX_CONFIG=$T/mx.conf
  KEPT="/usr/bin/python3 $BATS_TEST_DIRNAME/kept.py"
  P=$ROOT/tests/mx-filter/pairs
}
teardown() { common_teardown; }

@test "sieve: more than 1200 answers of one kept process, scripts changing" {
  mkdir "$T/w"
  run -0 /usr/bin/python3 "$BATS_TEST_DIRNAME/corpus.py" "$P" "$T/w" "$(command -v mx-filter)"
  echo "$output"
  [ "${lines[-1]%% *}" -gt 1200 ]
  [[ ${lines[-1]} == *"[0, 65]" ]]
}

@test "procmail: every rcfile of the pairs, eight messages each: files, log, status" {
  mkdir "$T/w"
  run /usr/bin/python3 "$ROOT/tests/mx-filter/procmail/run.py" "$ROOT/tests/mx-filter/procmail" "$(command -v mx-filter)" "$T/w" --kept
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[-1]%% *}" -gt 800 ]
}

@test "headers: every action, edits and refusals" {
  cat > "$T/t" <<'C'
/^Subject: (.*)present/ REPLACE Subject: $1
/^Subject: x/ REJECT 4.7.1 not now
/^Content-Type: multipart/ PREPEND X-Parts: yes
/^(To|Cc):/ WARN who
/^Received:/ IGNORE
if /^From:/
/coyote/ REDIRECT a@b.example
!/coyote/ BCC boss@b.example
endif
/wild/ HOLD
C
  printf '/^./ PREPEND line\n' > "$T/b"
  run -0 $KEPT "$P"/{plain,mime,bare,odd} "$ROOT"/tests/mx-filter/procmail/m[1-4] -- mx-filter headers --body "pcre:$T/b" "pcre:$T/t"
  [ "$output" = "8 messages, statuses [0, 75]" ]
  run -0 $KEPT -r 150 "$P"/{plain,mime} -- mx-filter headers "pcre:$T/t"
}

@test "what is a server, or reads no message, has no --serve" {
  for sub in policy check test replay remember extensions; do
    run -64 mx-filter --serve "$sub" < /dev/null
    [[ $output == *"this is no filter"* ]]
  done
  # policy is one of its own: request after request on one connection
  run -0 bash -c "printf 'request=smtpd_access_policy\n\nrequest=smtpd_access_policy\n\n' | mx-filter -o data_directory='$T' policy"
  [ "$(grep -c '^action=' <<< "$output")" -eq 2 ]
}
