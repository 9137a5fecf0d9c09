#!/usr/bin/env bats
# AUTH as a client of a real Postfix whose passwords Dovecot checks.
load ../lib/common
load ../lib/send
load ../lib/postfix

setup_file() {
  need_root
  common_setup
  make_cert pf.test; chmod 644 "$T"/*
  # "%" and "=" are what SCRAM escapes or Dovecot might expand
  printf 'joe:{PLAIN}p w;"x%%u:::::\na,b=c:{PLAIN}two:::::\n' > "$T/users"; chmod 644 "$T/users"
  cat > "$T/dovecot.conf" <<D
base_dir = $T/dove
state_dir = $T/dove
log_path = $T/dovecot.log
protocols =
ssl = no
auth_failure_delay = 0
auth_mechanisms = plain login scram-sha-1 scram-sha-256
auth_username_chars =
disable_plaintext_auth = no
passdb {
  driver = passwd-file
  args = $T/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/
}
service auth {
  unix_listener auth-test {
    mode = 0666
  }
}
# no waits that double with each wrong password
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
D
  spawn dovecot -F -c "$T/dovecot.conf"
  wait_for 10 test -S "$T/dove/auth-test"
  PORT=$(free_port)
  postfix_start pf "$PORT" 'smtpd_sasl_auth_enable = yes' 'smtpd_sasl_type = dovecot' \
    "smtpd_sasl_path = $T/dove/auth-test" 'smtpd_sasl_security_options = noanonymous' \
    "smtpd_tls_cert_file = $T/pf.test.crt" "smtpd_tls_key_file = $T/pf.test.key" \
    'smtpd_tls_security_level = may' 'smtpd_delay_reject = yes' \
    'smtpd_relay_restrictions = permit_sasl_authenticated, reject' \
    'smtpd_recipient_restrictions = permit_sasl_authenticated, reject' 'local_recipient_maps ='
  FILE_T=$T; export FILE_T PORT FILE_PIDS="${PIDS[*]}"
}
teardown_file() { [ -n "${FILE_T:-}" ] || return 0; read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }
setup() { need_root; T=$FILE_T; }

# ask TABLE-LINE OPTION...: may we send, with these passwords?
ask() {
  printf '%b\n' "$1" > "$T/sasl"; shift
  run send --probe --trace -o "relayhost=[127.0.0.1]:$PORT" -o smtp_sasl_auth_enable=yes \
    -o "smtp_sasl_password_maps=texthash:$T/sasl" "$@" b@else.test
  echo "$output"
}
# the last client that Postfix knows by name
logged() { grep -o 'sasl_method=[^,]*, sasl_username=.*' "$T/pf/log" | tail -n 1; }

@test "each mechanism, with TLS and without; no password is shown" {
  local m o
  for m in SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN; do
    ask '127.0.0.1 joe:p w;"x%u' -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 0 ]
    for o in 'p w;"x%u' "$(printf 'p w;"x%%u' | base64)" "$(printf '\0joe\0p w;"x%%u' | base64)"; do
      ! grep -qF -- "$o" <<<"$output"
    done
    wait_for 10 eval "[ \"\$(logged)\" = 'sasl_method=$m, sasl_username=joe' ]"
    ask '127.0.0.1 joe:p w;"x%u' -o "smtp_sasl_mechanism_filter=$m" -o smtp_tls_security_level=none
    case $m in
    SCRAM*) [ "$status" -eq 0 ] ;;
    *) [ "$status" -eq 75 ]; grep -q 'travel in clear' <<<"$output"
      ask '127.0.0.1 joe:p w;"x%u' -o "smtp_sasl_mechanism_filter=$m" -o smtp_tls_security_level=none \
        -o smtp_sasl_security_options=noanonymous
      [ "$status" -eq 0 ] ;;
    esac
  done
}

@test "a name with comma and equals sign" {
  local m
  for m in SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN; do
    ask '127.0.0.1 a,b=c:two' -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 0 ]
    wait_for 10 eval "[ \"\$(logged)\" = 'sasl_method=$m, sasl_username=a,b=c' ]"
  done
}

@test "wrong passwords: the mail waits, or not (smtp_sasl_auth_soft_bounce); none: the server's no" {
  local m
  for m in SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN; do
    ask '127.0.0.1 joe:wrong' -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 75 ]; grep -q '^b@else.test deferred 4.7.8 .*said: 535' <<<"$output"
    ask '127.0.0.1 joe:wrong' -o "smtp_sasl_mechanism_filter=$m" -o smtp_sasl_auth_soft_bounce=no
    [ "$status" -eq 69 ]; grep -q '^b@else.test undeliverable 5.7.8 .*said: 535' <<<"$output"
  done
  ask 'other.test joe:p w;"x%u'
  [ "$status" -eq 69 ]; ! grep -q '^> AUTH' <<<"$output"
}

@test "the host with its port, the host, the sender" {
  ask "[127.0.0.1]:$PORT joe:p w;\"x%u"; [ "$status" -eq 0 ]
  ask '127.0.0.1 joe:wrong\nann@x.test a,b=c:two' -f ann@x.test; [ "$status" -eq 75 ]
  ask '127.0.0.1 joe:wrong\nann@x.test a,b=c:two' -f ann@x.test -o smtp_sender_dependent_authentication=yes
  [ "$status" -eq 0 ]
  wait_for 10 eval "logged | grep -q 'sasl_username=a,b=c'"
  ask '127.0.0.1 joe:p w;"x%u\nann@x.test a,b=c:bad' -f bob@x.test -o smtp_sender_dependent_authentication=yes
  [ "$status" -eq 0 ]
}
