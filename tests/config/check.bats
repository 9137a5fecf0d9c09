# Law 8: a broken configuration is told by FILE:LINE, name, what was expected
# and what to do.
load ../lib/common

setup() { common_setup; }
teardown() { common_teardown; }

# check TEXT: --check-config of mx-submit over these lines
check() {
  printf '%b\n' "$1" > "$T/mx.conf"
  run mx-submit -c "$T/mx.conf" --check-config
}

# broken TEXT LINE WORDS...: 78, and one line of output holds LINE and WORDS
broken() {
  local text=$1 line=$2 w; shift 2
  check "$text"
  [ "$status" -eq 78 ] || { echo "status $status for: $text"; echo "$output"; return 1; }
  local out; out=$(printf '%s\n' "$output" | grep -F "mx.conf:$line: ") ||
    { echo "no line $line for: $text"; echo "$output"; return 1; }
  for w; do
    [[ $out == *"$w"* ]] || { echo "no \"$w\" in: $out"; return 1; }
  done
}

@test "an empty file and a good one are fine and silent" {
  check ''
  [ "$status" -eq 0 ] && [ -z "$output" ]
  check '# a comment\nmyhostname = mail.example.org\nmynetworks = 127.0.0.0/8\n# inside\n  10.0.0.0/8\n\nmydomain=example.org'
  [ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "the table of broken configurations" {
  broken 'myhostname = a.b\nsandbox = perhaps' 2 sandbox '"perhaps"' 'try|require|off'
  broken 'message_size_limit = 10Q' 1 message_size_limit '"10Q"' 'a size such as 10M'
  broken '\n\nsubmit_timeout = soon' 3 submit_timeout '"soon"' 'a time such as 30s'
  broken 'submit_timeout = -1' 1 submit_timeout '"-1"' 'expected'
  broken 'log_format =\n  # between\n  xml' 1 log_format '"xml"' 'text|json'
  broken 'mesage_size_limit = 1' 1 mesage_size_limit 'unknown parameter' 'did you mean message_size_limit?'
  broken 'smtpd_tls_securty_level = may' 1 'did you mean smtpd_tls_security_level?'
  broken 'reslover = ::1' 1 'did you mean resolver?'
  broken 'flying_circus = yes' 1 flying_circus 'unknown parameter' 'mx.conf(5)'
  broken 'submission/sandbox = no' 1 sandbox '"no"' 'try|require|off'
  broken 'submission/flying_circus = no' 1 flying_circus 'unknown parameter'
  broken 'a_line_without_value' 1 'expected NAME = VALUE'
  broken '  myhostname = x' 1 'continuation line'
  broken 'my host = x' 1 'not a parameter name'
  broken 'myorigin = $mydomain\nmydomain = $myorigin' 1 myorigin 'refers to itself'
  broken 'mydomain = ${myhostname' 1 mydomain 'not closed'
  broken 'mydomain = ${myhostname!}' 1 mydomain '${NAME?TEXT}'
  broken 'mydomain = ${{a} ? {b}}' 1 mydomain '{A} == {B}'
  broken "myorigin = $T/nowhere" 1 myorigin "$T/nowhere" 'No such file'
}

@test "tables that do not open are told with their own lines" {
  printf '/((/ x\n' > "$T/bad.pcre"
  printf '# c\na b\nalone\n' > "$T/bad"
  printf 'smtp_sasl_password_maps = pcre:%s hash:%s\n' "$T/bad.pcre" "$T/gone" > "$T/mx.conf"
  run mx-send -c "$T/mx.conf" --check-config
  [ "$status" -eq 78 ]
  [[ $output == *"mx.conf:1: smtp_sasl_password_maps: "*"bad.pcre:1: "* ]]
  [[ $output == *"$T/gone: No such file"* ]]
  printf 'smtp_sasl_password_maps = flying:%s\n' "$T/bad" > "$T/mx.conf"
  run mx-send -c "$T/mx.conf" --check-config
  [ "$status" -eq 78 ]
  [[ $output == *'unknown table type "flying"'* ]]
}

@test "everything wrong is said at once, in the order of the lines" {
  check 'sandbox = x\nfoo_bar_baz = 1\nlog_format = y\nbiff = no'
  [ "$status" -eq 78 ]
  [ "$(printf '%s\n' "$output" | sed 's/.*mx.conf:\([0-9]*\):.*/\1/' | tr '\n' ' ')" = "1 2 3 4 " ]
}

@test "Postfix's names that mx lacks: a warning that says what to do" {
  check 'compatibility_level = 3.6\nbiff = no\ntlsproxy_watchdog_timeout = 1\nqmgr_message_active_limit = 1'
  [ "$status" -eq 0 ]
  [[ $output == *"mx.conf:1: warning: compatibility_level: "*"remove it"* ]]
  [[ $output == *"mx.conf:3: warning: tlsproxy_watchdog_timeout: "*"speak TLS themselves"* ]]
  [[ $output == *"mx.conf:4: warning: qmgr_message_active_limit: "*"--queue-run"* ]]
}

@test "Debian's main.cf for Postfix passes with warnings alone" {
  check 'smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)\nbiff = no\nappend_dot_mydomain = no\nreadme_directory = no\ncompatibility_level = 3.6\nsmtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem\nsmtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key\nsmtpd_tls_security_level=may\nsmtp_tls_CApath=/etc/ssl/certs\nsmtp_tls_security_level=may\nsmtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\nsmtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination\nmyhostname = mail.example.org\nalias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\nmydestination = $myhostname, localhost\nrelayhost = \nmynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\nmailbox_size_limit = 0\nrecipient_delimiter = +\ninet_interfaces = all\ninet_protocols = all'
  echo "$output"
  [ "$status" -eq 0 ]
  ! printf '%s\n' "$output" | grep -v ': warning: '
}

@test "every name of this Postfix is known: nobody's main.cf is an error" {
  command -v postconf >/dev/null || skip "no postconf here"
  postconf -d 2>/dev/null | sed 's/ = .*/ =/; s/ =$/ = /' | cut -d' ' -f1 | sed 's/$/ = /' > "$T/all.conf"
  [ "$(wc -l < "$T/all.conf")" -gt 800 ]
  run mx-submit -c "$T/all.conf" --check-config
  ! printf '%s\n' "$output" | grep 'unknown parameter'
}

@test "names of the user's own, of patterns and of other programs are fine" {
  check 'my_nets = 10.0.0.0/8\nmynetworks = $my_nets\nsmtpd_restriction_classes = strict, lax\nstrict = reject\nlax = permit\namavis_destination_recipient_limit = 1\nmailman_time_limit = 1h\npipe_mailman = user=list argv=/bin/mm ${recipient}\nsmtpd_timeout = 1h\nauth_mechanisms = plain\ninbound_filter = mx-dnscheck auth'
  echo "$output"
  [ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "a name set twice and a \$name that nobody sets are warnings" {
  check 'mydomain = a.b\nmydomain = c.d\nsyslog_name = x$nobody_sets_this'
  [ "$status" -eq 0 ]
  [[ $output == *"mx.conf:2: warning: mydomain: this replaces line 1"* ]]
  [[ $output == *"mx.conf:3: warning: syslog_name: nothing sets \$nobody_sets_this"* ]]
}

@test "a program starts with none of its values broken: 78 and the sentence" {
  printf 'sandbox = perhaps\n' > "$T/mx.conf"
  run mx-submit -c "$T/mx.conf" -bp
  [ "$status" -eq 78 ]
  [[ $output == *"$T/mx.conf:1: sandbox: \"perhaps\": expected try|require|off" ]]
}

@test "a file that was named and is not there is 78; the default one may be away" {
  run mx-submit -c "$T/nowhere.conf" --check-config
  [ "$status" -eq 78 ]
  [[ $output == *"$T/nowhere.conf"*"No such file"* ]]
  MX_CONFIG="$T/nowhere.conf" run mx-submit --check-config
  [ "$status" -eq 78 ]
}

@test "/dev/null is an empty configuration, any other device none" {
  run mx-submit -c /dev/null --check-config
  [ "$status" -eq 0 ] && [ -z "$output" ]
  run mx-submit -c /dev/zero --check-config
  [ "$status" -eq 78 ]
}

@test "every program knows the names of every other" {
  local p
  : > "$T/empty.conf"
  for p in "$MX_BIN"/mx-*; do
    case $(head -c 2 "$p") in '#!') continue ;; esac
    MX_CONFIG=$T/empty.conf "$p" --parameters 2>/dev/null
  done | sed 's/ = .*/ =/; s/ =$//' | sort -u | sed 's/$/ = /' > "$T/all.conf"
  [ "$(wc -l < "$T/all.conf")" -gt 100 ]
  run mx-smarthost -c "$T/all.conf" --check-config
  ! printf '%s\n' "$output" | grep 'unknown parameter'
}
