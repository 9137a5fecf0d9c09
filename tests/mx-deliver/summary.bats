#!/usr/bin/env bats
# The log with syslog_name = postfix, as the real pflogsumm counts it.
load queue
setup() { queue_setup; }
teardown() { common_teardown; }
total() { sed -n "s/^ *\([0-9][0-9]*\)  *$1.*/\1/p" "$T/summary" | head -n 1; }

@test "pflogsumm's totals: received, delivered, deferred, bounced, rejected" {
  command -v pflogsumm > /dev/null || skip "pflogsumm is not there"
  conf 'syslog_name = postfix' "delivery = unix:$T/run/deliver" 'mynetworks = 192.0.2.0/24' 'relay_domains = remote.example'
  peer ok; to_peer remote.example
  serve
  P=$(free_port)
  spawn mx-recv --listen "127.0.0.1:$P"
  wait_port "$P"
  mail() { swaks --server "127.0.0.1:$P" --from joe@virt.example --to "$1" --silent 3 --timeout 20 || true; }
  mail joe@virt.example; mail joe@virt.example         # 2 delivered at once
  mail joe@virt.example,ann@virt.example               # 2 from the queue
  mail b@remote.example                                # 1 sent
  mail later@remote.example                            # 1 deferred
  mail nobody@remote.example                           # 1 bounced, 1 report delivered
  mail no@virt.example; mail x@elsewhere.example       # 2 rejected
  submit ann@virt.example joe@virt.example             # 1 more, by hand
  run_queue
  pflogsumm "$MX_LOG" > "$T/summary"
  sed -n "1,20p" "$T/summary"
  [ "$(total received)" -eq 7 ]
  [ "$(total delivered)" -eq 7 ]
  [ "$(total 'deferred ')" -eq 1 ]
  [ "$(total bounced)" -eq 1 ]
  [ "$(total rejected)" -eq 2 ]
}
