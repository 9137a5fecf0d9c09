#!/usr/bin/env bats
# mx-send: MX records as they are met (mx-mail-in-the-wild(7)). A real NSD.
load ../lib/common
load ../lib/send
setup() {
  common_setup
  DNS=$(free_port)
  cat > "$T/zone" <<'Z'
$ORIGIN example.
$TTL 60
@ SOA ns.example. root.example. 1 3600 600 86400 60
@ NS ns.example.
ns A 127.0.0.1
good A 127.0.0.1
two MX 10 good.example.
alias CNAME good.example.
chain CNAME chain2.example.
chain2 CNAME two.example.
loop CNAME loop2.example.
loop2 CNAME loop.example.
aliasmx MX 10 alias.example.
addrmx MX 10 127.0.0.1.
deadaddrmx MX 10 127.0.0.9.
deadaddrmx MX 20 good.example.
dotfirst MX 0 .
dotfirst MX 10 good.example.
dotlast MX 10 good.example.
dotlast MX 20 .
lostfirst MX 10 nowhere.example.
lostfirst MX 20 good.example.
under_score MX 10 good.example.
host_name A 127.0.0.1
underhost MX 10 host_name.example.
twice MX 10 good.example.
twice MX 20 good.example.
Z
  for i in $(seq 60); do echo "crowd MX $i c$i.example."; echo "c$i A 127.0.0.$((i == 60 ? 1 : 100 + i))"; done >> "$T/zone"
  for i in $(seq 40); do echo "crowd40 MX $i d$i.example."; echo "d$i A 127.0.0.$((i == 40 ? 1 : 100 + i))"; done >> "$T/zone"
  dns_serve "$DNS" example "$T/zone"
}
teardown() { common_teardown; }
msg() { printf "Subject: x\n\nhello\n"; }

@test "MX records that are not as they should be: table" {
  local bad=0 name want text
  peer ok
  while IFS='|' read -r name want text; do
    name=$(echo $name) want=$(echo $want) text=$(echo $text)
    run send --resolver "127.0.0.1:$DNS" -o "smtp_tcp_port=$PEER" -o inet_interfaces=127.0.0.7 -o smtp_host_lookup=dns \
      -o smtp_mx_session_limit=0 -o smtp_mx_address_limit=0 "b@$name.example" < <(msg)
    [ "$status" -eq "$want" ] && grep -qF -- "$text" <<< "$output" || { echo "$name: $status $output"; bad=1; }
  done <<'TABLE'
alias       |  0 | alias.example[127.0.0.1]
chain       |  0 | good.example[127.0.0.1]
loop        | 75 | deferred
aliasmx     |  0 | alias.example[127.0.0.1]
addrmx      |  0 | 127.0.0.1[127.0.0.1]
deadaddrmx  |  0 | good.example[127.0.0.1]
dotfirst    |  0 | good.example[127.0.0.1]
dotlast     |  0 | good.example[127.0.0.1]
lostfirst   |  0 | good.example[127.0.0.1]
under_score |  0 | good.example[127.0.0.1]
underhost   |  0 | host_name.example[127.0.0.1]
twice       |  0 | good.example[127.0.0.1]
crowd       | 75 | c50.example[127.0.0.150]
crowd40     |  0 | d40.example[127.0.0.1]
TABLE
  [ "$bad" -eq 0 ]
}
