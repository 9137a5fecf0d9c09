#!/usr/bin/env bats
# Address rewriting beside the real cleanup(8) and trivial-rewrite(8): random
# tables, classes, masquerading, completion; the same sender, recipients and
# addresses in the header.
load deliver
load ../lib/postfix
setup() { deliver_setup; }
teardown() { common_teardown; }

@test "random tables and messages: envelope and header as Postfix rewrites them" {
  need_root
  command -v postconf postcat > /dev/null || skip "Postfix is not there"
  p=$(free_port)
  postfix_start pf "$p" 'mydomain = test' 'local_recipient_maps =' \
    'smtpd_recipient_restrictions = check_client_access static:OK, reject' 'smtpd_relay_restrictions =' 'in_flow_delay = 0' \
    'defer_transports = local smtp virtual relay error' 'enable_long_queue_ids = yes' 'virtual_alias_maps ='
  sed -i '/^virtual_mailbox\|^recipient_delimiter/d; s/^myhostname.*/myhostname = pf.test/; s/^mydestination.*/mydestination = pf.test/' "$T/mx.conf"
  conf 'mydomain = test' 'mynetworks = 127.0.0.0/8' 'local_recipient_maps =' 'virtual_alias_maps =' \
    'transport_maps = inline:{ {* = smtp:[127.0.0.1]:1} }'
  mkdir "$T/w"
  run /usr/bin/python3 "$BATS_TEST_DIRNAME/canonical_peer.py" "$T/pf/conf" "$p" "$T/w" "$T/mx.conf" ${SEED:-11} ${CONFIGS:-12} 8
  echo "$output"; grep -E "fatal|panic|warning" "$T/pf/log" | tail -n 5
  [ "$status" -eq 0 ]
  [ "${lines[-1]%% *}" -ge 90 ]
}
