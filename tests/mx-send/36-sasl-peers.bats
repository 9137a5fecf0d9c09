#!/usr/bin/env bats
# AUTH as a client of a real Postfix whose passwords Dovecot checks.
load ../lib/common
load ../lib/dovecot
load ../lib/send
load ../lib/postfix

setup_file() {
  need_root
  common_setup
  make_cert pf.test; chmod 644 "$T"/*
  # "%" and "=" are what SCRAM escapes or Dovecot might expand
  printf 'joe:{PLAIN}p w;"x%%u:::::\na,b=c:{PLAIN}two:::::\n' > "$T/users"; chmod 644 "$T/users"
  dovecot_auth "$(dovecot_file "$T/users")" "$(dovecot_nobody)" 'auth_mechanisms = plain login scram-sha-1 scram-sha-256' \
    'auth_username_chars ='
  # and one that asks a server of tokens
  mapfile -t p < <(free_port 3); PORT=${p[0]} TOKENS=${p[1]} OPORT=${p[2]}
  spawn python3 "$ROOT/tests/lib/token_server.py" "$TOKENS" joe=good 'a,b=c=comma'
  wait_port "$TOKENS"
  printf 'introspection_url = http://127.0.0.1:%s/\nintrospection_mode = post\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n' \
    "$TOKENS" > "$T/oauth2.ext"
  T=$T/o; mkdir "$T"; chmod 755 "$T"
  dovecot_auth "$(printf '  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = %s\n' "${T%/o}/oauth2.ext")" "$(dovecot_nobody)" \
    'auth_mechanisms = xoauth2 oauthbearer' 'auth_username_chars ='
  T=${T%/o}
  postfix_start po "$OPORT" 'smtpd_sasl_auth_enable = yes' 'smtpd_sasl_type = dovecot' \
    "smtpd_sasl_path = $T/o/dove/auth-test" 'smtpd_sasl_security_options = noanonymous' \
    "smtpd_tls_cert_file = $T/pf.test.crt" "smtpd_tls_key_file = $T/pf.test.key" 'smtpd_tls_security_level = may' \
    'smtpd_relay_restrictions = permit_sasl_authenticated, reject' \
    'smtpd_recipient_restrictions = permit_sasl_authenticated, reject' 'local_recipient_maps ='
  postfix_start pf "$PORT" 'smtpd_sasl_auth_enable = yes' 'smtpd_sasl_type = dovecot' \
    "smtpd_sasl_path = $T/dove/auth-test" 'smtpd_sasl_security_options = noanonymous' \
    "smtpd_tls_cert_file = $T/pf.test.crt" "smtpd_tls_key_file = $T/pf.test.key" \
    'smtpd_tls_security_level = may' 'smtpd_delay_reject = yes' \
    'smtpd_relay_restrictions = permit_sasl_authenticated, reject' \
    'smtpd_recipient_restrictions = permit_sasl_authenticated, reject' 'local_recipient_maps ='
  FILE_T=$T; export FILE_T PORT OPORT FILE_PIDS="${PIDS[*]}"
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

# bearer USER TOKEN OPTION...: may we send, with this token?
bearer() {
  local user=$1 token=$2; shift 2
  printf '#!/bin/sh\necho "$1" >> %s/asked\nprintf "%%s\\n" "%s"\n' "$T" "$token" > "$T/token"; chmod 755 "$T/token"
  ask "127.0.0.1 $user:unused" -o "relayhost=[127.0.0.1]:$OPORT" -o "smtp_sasl_token_command=$T/token" "$@"
}
@test "OAUTHBEARER and XOAUTH2: a token that Dovecot's server of tokens knows" {
  local m user
  for m in OAUTHBEARER XOAUTH2; do
    : > "$T/asked"
    bearer joe good -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 0 ]; ! grep -q good <<<"$output"; [ "$(cat "$T/asked")" = joe ]
    wait_for 10 grep -q "sasl_method=$m, sasl_username=joe" "$T/po/log"
    # names are escaped in the one form (RFC 5801 4) and not in the other
    bearer a,b=c comma -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 0 ]
    wait_for 10 grep -q "sasl_method=$m, sasl_username=a,b=c" "$T/po/log"
  done
  # the better one first
  bearer joe good; grep -q '^> (secret)' <<<"$output"
  wait_for 10 eval "grep -o 'sasl_method=[A-Z0-9]*' '$T/po/log' | tail -n 1 | grep -qx sasl_method=OAUTHBEARER"
}

@test "a token that is refused: the challenge is told and answered, the mail waits" {
  local m
  for m in OAUTHBEARER XOAUTH2; do
    bearer joe bad -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 75 ]
    grep -q '^b@else.test deferred 4.7.8 .*said: 535 5.7.8 .*"status":"' <<<"$output"
    # the link is in step: a QUIT, and its reply
    grep -q '^< 221' <<<"$output"
    # another's token
    bearer ann good -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 75 ]
    bearer joe bad -o "smtp_sasl_mechanism_filter=$m" -o smtp_sasl_auth_soft_bounce=no
    [ "$status" -eq 69 ]; grep -q '^b@else.test undeliverable 5.7.8 ' <<<"$output"
    # the server of tokens has trouble of its own, for which Postfix has the same reply
    bearer joe broken -o "smtp_sasl_mechanism_filter=$m"
    [ "$status" -eq 75 ]; grep -q '^b@else.test deferred ' <<<"$output"
  done
}

@test "no token: nothing is sent, the mail waits" {
  local c
  for c in /bin/false /nonexistent/token /bin/true "/bin/sh -c 'echo; exit 0'" "/bin/sh -c 'echo good; exit 1'"; do
    ask '127.0.0.1 joe:unused' -o "relayhost=[127.0.0.1]:$OPORT" -o "smtp_sasl_token_command=$c"
    [ "$status" -eq 75 ]; ! grep -q '^> \(AUTH\|(secret)\|MAIL\)' <<<"$output"
    grep -q '^b@else.test deferred 4' <<<"$output"
  done
}
