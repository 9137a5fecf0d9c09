# mx-dkimsign --rotate: a key's life, against two name servers.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() {
  common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf
  DNS=$(free_port)
  zone; dns_serve "$DNS" example.test "$T/example.zone"
  message > "$T/m"
}
teardown() { common_teardown; }

# zone [RECORDS]: the zone with them
zone() {
  printf '$ORIGIN example.test.\n$TTL 1\n@ SOA ns root %s 3600 600 86400 1\n@ NS ns\n@ NS ns2\nns A 127.0.0.1\nns2 A %s\n' "$((++SERIAL))" "${NS2:-127.0.0.1}" > "$T/example.zone"
  cat >> "$T/example.zone"
} < /dev/null
publish() {
  { zone; cat "$@" >> "$T/example.zone"; }
  kill -HUP "$SPAWNED"
  local name; name=$(sed 's/[ \t].*//;q' "$1").example.test
  wait_for 10 bash -c "drill -p $DNS @127.0.0.1 TXT $name | grep -q DKIM1"
}
rotate() { MX_TEST_TIME=+$((${DAYS:-0} * 86400)) mx-dkimsign --resolver 127.0.0.1:$DNS --dns-port $DNS --rotate -d example.test -D "$T/dkim" -a ed25519 "$@"; }
sign() { mx-dkimsign --key-table "$T/dkim/KeyTable" --signing-table "refile:$T/dkim/SigningTable" < "$T/m"; }
states() { sed -n 's/^\(mx[^ ]*\) \([a-z]*\) .*/\2/p' "$T/dkim/example.test/keys" | tr '\n' ' '; }

@test "made, waited for, switched, retired, gone" {
  run -0 rotate
  [[ $output == *"_domainkey"*"publish this record"* ]]
  [ "$(states)" = "next " ]
  first=$(sed -n 's/^\(mx[^ ]*\) .*/\1/p' "$T/dkim/example.test/keys")
  # not in DNS: it does not sign
  run -0 rotate
  [[ $output == *"waiting: $first"* ]]
  [ ! -e "$T/dkim/KeyTable" ]
  publish "$T/dkim/example.test/$first.txt"
  run -0 rotate
  [[ $output == *"$first signs from now on"* ]]
  sign > "$T/out"
  grep -q "s=$first;" "$T/out"
  run -0 mx-dnscheck --resolver 127.0.0.1:$DNS dkim < "$T/out"
  # not due, and due
  DAYS=10 run -0 rotate
  [[ $output == *"is due in 80"* ]]
  [ "$(states)" = "active " ]
  DAYS=90 run -0 rotate
  [ "$(states)" = "active next " ]
  second=$(sed -n 's/^\(mx[^ ]*\) next .*/\1/p' "$T/dkim/example.test/keys")
  sign | grep -q "s=$first;"
  publish "$T/dkim/example.test/$second.txt" "$T/dkim/example.test/$first.txt"
  DAYS=91 run -0 rotate
  [ "$(states)" = "retired active " ]
  sign | grep -q "s=$second;"
  [ -e "$T/dkim/example.test/$first.private" ]
  DAYS=97 run -0 rotate
  [ "$(states)" = "retired active " ]
  DAYS=98 run -0 rotate
  [[ $output == *"$first._domainkey"*'"v=DKIM1; p="'* ]]
  [ "$(states)" = "gone active " ]
  [ ! -e "$T/dkim/example.test/$first.private" ]
}

@test "one name server without the record is enough to wait; one that is away is 75" {
  rotate > /dev/null
  first=$(sed -n 's/^\(mx[^ ]*\) .*/\1/p' "$T/dkim/example.test/keys")
  NS2=127.0.0.2 publish "$T/dkim/example.test/$first.txt"
  run -75 rotate
  [[ $output == *waiting* ]]
  # it comes up, with the zone of before
  cp "$T/example.zone" "$T/new.zone"; NS2=127.0.0.2 zone; cp "$T/example.zone" "$T/old.zone"; cp "$T/new.zone" "$T/example.zone"
  sed "s/127.0.0.1@/127.0.0.2@/; s/example.zone/old.zone/; s/nsd.pid/nsd2.pid/; s/xfrd.state/xfrd2.state/; s/zone.list/zone2.list/" "$T/nsd.$DNS.conf" > "$T/nsd2.conf"
  spawn nsd -d -c "$T/nsd2.conf"
  wait_port "$DNS" 127.0.0.2
  run -0 rotate
  [[ $output == *waiting* ]]
  [ "$(states)" = "next " ]
}

@test "--force; other lines of the tables stay; two keys of a day have two names" {
  mkdir -p "$T/dkim"
  echo "other.test other.test:x:/x" > "$T/dkim/KeyTable"
  echo "*@other.test other.test" > "$T/dkim/SigningTable"
  rotate > /dev/null
  first=$(sed -n 's/^\(mx[^ ]*\) .*/\1/p' "$T/dkim/example.test/keys")
  publish "$T/dkim/example.test/$first.txt"
  rotate > /dev/null
  run -0 rotate --force
  [ "$(states)" = "active next " ]
  [ "$(ls "$T/dkim/example.test/"*.private | wc -l)" = 2 ]
  grep -q '^other.test other.test:x:/x' "$T/dkim/KeyTable"
  grep -q '^example.test example.test:' "$T/dkim/KeyTable"
  [ "$(wc -l < "$T/dkim/SigningTable")" = 2 ]
}

@test "a broken state file is named with its line; usage" {
  rotate > /dev/null
  echo "mx1 sleeping 2026-01-01" >> "$T/dkim/example.test/keys"
  run -78 rotate
  [[ $output == *"keys:3: sleeping: expected next, active, retired or gone"* ]]
  run -64 mx-dkimsign --rotate
  run -64 rotate -s x
  rm "$T/dkim/example.test/keys"
  run -64 rotate -a rsa -b 512
}
