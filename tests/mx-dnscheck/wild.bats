# mx-dnscheck: headers and records as they are met (mx-mail-in-the-wild(7)).
# alice@example.test may send from 192.0.2.1; bank.test refuses everybody's.
load ../lib/common
load ../lib/dkim

setup_file() {
  common_setup
  printf '$ORIGIN example.test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n@ TXT "v=spf1 ip4:192.0.2.1 -all"\n_dmarc TXT "v=DMARC1; p=reject; adkim=s"\n' > "$T/example.zone"
  printf '$ORIGIN bank.test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns.example.test.\n@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n' > "$T/bank.zone"
  DNS=$(free_port)
  dns_serve "$DNS" example.test "$T/example.zone" bank.test "$T/bank.zone"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T M=$BATS_TEST_TMPDIR; : > "$M/mx.conf"; export MX_CONFIG=$M/mx.conf; }

auth() { mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here auth --authserv-id mx.here --sender alice@example.test --helo x --client-addr 192.0.2.1; }

@test "From fields that cannot be judged do not pass" {
  local bad=0 name want header got
  while IFS='|' read -r name want header; do
    name=$(echo $name) want=$(echo $want)
    printf "${header# }"'\n\nbody\n' > "$M/x"
    got=$(auth < "$M/x" | sed -nE 's/.*; dmarc=([a-z]*).*/\1/p')
    [ "$got" = "$want" ] || { echo "$name: $got, not $want"; bad=1; }
  done <<'TABLE'
a good one                     | pass      | From: alice@example.test\nSubject: x
no From                        | permerror | Subject: x
an empty From                  | permerror | From:\nSubject: x
two From fields                | fail      | From: alice@example.test\nFrom: ceo@bank.test
the second one is no address   | fail      | From: alice@example.test\nFrom: x
a blank before the colon       | fail      | From : ceo@bank.test\nFrom: alice@example.test
two addresses                  | fail      | From: alice@example.test, ceo@bank.test
a name that is an address      | fail      | From: ceo@bank.test <alice@example.test>
the same in quotes             | pass      | From: "ceo@bank.test" <alice@example.test>
a quote that is not closed     | permerror | From: "Alice <alice@example.test>
several @                      | fail      | From: <alice@example.test@bank.test>
several @, without brackets    | fail      | From: alice@bank.test@example.test
the same the other way round   | fail      | From: alice@example.test@bank.test
an @ behind all                | fail      | From: alice@example.test @bank.test
a quote that hides a second    | fail      | From: alice@example.test, "x <ceo@bank.test>
a comment that hides a second  | fail      | From: alice@example.test (x <ceo@bank.test>
a bracket that is not closed   | pass      | From: Alice <alice@example.test
a route                        | pass      | From: <@bank.test:alice@example.test>
a group                        | fail      | From: G: alice@example.test, ceo@bank.test;
an empty group                 | permerror | From: undisclosed-senders:;
an address as an encoded word  | pass      | From: =?utf-8?q?ceo=40bank.test?= <alice@example.test>
a comment in the address       | pass      | From: alice(ceo@bank.test)@(x)example.test
a folded address               | pass      | From:\n alice\n @example.test
a fold of blanks alone         | fail      | From: alice@example.test\n \n ,ceo@bank.test
a control in the domain        | fail      | From: alice@example.test, ceo@bank\177.test
8 bit in the domain            | fail      | From: alice@example.test, ceo@b\377nk.test
a dot at the end               | pass      | From: alice@example.test.
an mbox From_ line above       | pass      | From x Mon Jan  1 00:00:00 2001\nFrom: alice@example.test
TABLE
  [ "$bad" -eq 0 ]
}
