# mx-filter headers beside the real smtpd and cleanup of Postfix: the same
# tables and messages, the same answer, queue file, envelope and log lines.
# All cases of headers_cases.py.
load ../lib/common
load ../lib/postfix
bats_require_minimum_version 1.5.0
setup() { common_setup; }
teardown() { common_teardown; }

@test "every action, table, flag and limit as the real cleanup does it" {
  need_root
  command -v postconf postcat > /dev/null || skip "Postfix is not there"
  chmod 755 "$T"
  p=$(free_port)
  postfix_start peer "$p" 'in_flow_delay = 0' 'defer_transports = local smtp virtual relay error' 'local_header_rewrite_clients =' \
    'local_recipient_maps =' 'remote_header_rewrite_domain =' 'always_add_missing_headers = no' 'smtpd_delay_reject = no'
  mkdir "$T/w"
  # it reads its tables when it starts
  sed -i 's/ 0 cleanup$/ 0 cleanup -o max_use=1/' "$T/peer/conf/master.cf"
  postfix -c "$T/peer/conf" reload 2> /dev/null
  run /usr/bin/python3 "$BATS_TEST_DIRNAME/headers_peer.py" "$T/peer/conf" "$p" "$T/w" "$(command -v mx-filter)" 0:1
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[-1]%% *}" -ge 130 ]
}
