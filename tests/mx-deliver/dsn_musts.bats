#!/usr/bin/env bats
# Delivery status notifications: the MUSTs of RFC 3461, 3464, 6522, 6533 and
# 3834 as a table, each row with its section.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }

@test "RFC 3461, 3464, 6522, 6533, 3834: every row" {
  peer ok; to_peer remote.example; local with=$PEER_LOG
  peer ok --caps PIPELINING,8BITMIME; to_peer plain.example
  sed -i '/^virtual_mailbox_maps/d; /^alias_maps/d' "$T/mx.conf"
  echo '/^(s[0-9]+|ok|owner)@virt\.example$/ $1/' > "$T/boxes"
  conf "virtual_mailbox_maps = regexp:$T/boxes" "alias_maps = texthash:$T/aliases" \
    'delay_warning_time = 1h' 'maximal_queue_lifetime = 5d'
  cat > "$T/aliases" <<'A'
one: to@plain.example
list: to@remote.example, to@plain.example
owner-list: owner@virt.example
list2: no1@remote.example
owner-list2: owner@virt.example
A
  run python3 "$BATS_TEST_DIRNAME/dsn_musts.py" "$T" "$with" "$PEER_LOG"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ ${lines[-1]} == *" rows, 0 wrong" ]]
}
