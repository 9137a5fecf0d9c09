# mx-dnscheck policy: SPF and block lists for Postfix, in policyd-spf's place.
load ../lib/common
load ../lib/postfix
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  {
    printf '$ORIGIN test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'
    printf 'hard TXT "v=spf1 ip4:192.0.2.1 -all exp=why.test"\nwhy TXT "%%{i} is not one of ours"\n'
    printf 'soft TXT "v=spf1 ip4:192.0.2.1 ~all"\nneutral TXT "v=spf1 ?all"\nbroken TXT "v=spf1 ip4:x -all"\ntemp TXT "v=spf1 include:away.invalid2. -all"\n'
    printf 'helo TXT "v=spf1 ip4:192.0.2.1 -all"\nloop TXT "v=spf1 ip4:127.0.0.1 -all"\nnolocal TXT "v=spf1 -all"\n'
    printf '66.2.0.192.bl A 127.0.0.2\n66.2.0.192.bl TXT "spam"\n'
  } > "$T/zone"
  DNS=$(free_port)
  dns_serve "$DNS" test "$T/zone"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T M=$BATS_TEST_TMPDIR PIDS=(); : > "$M/mx.conf"; export MX_CONFIG=$M/mx.conf; }
teardown() { local p; for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null || true; done; }

# ask CLIENT HELO SENDER [INSTANCE] [LOGIN]: a request on stdout
ask() { printf 'request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=%s\nclient_name=c.test\nhelo_name=%s\nsender=%s\ninstance=%s\nsasl_username=%s\n\n' "$1" "$2" "$3" "${4:-}" "${5:-}"; }
# as spawn(8) runs it: a session on standard input and output
policy() { mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here policy "$@" 2>/dev/null; }

@test "results and policyd-spf's words: table" {
  while IFS='|' read -r request options want; do
    got=$(ask $request | policy $options)
    [[ $got == "action=$want"* ]] || { echo "$request $options: $got, not $want"; false; }
  done <<'TABLE'
192.0.2.1 x.none.test a@hard.test||PREPEND Received-SPF: pass (mx.here:
192.0.2.9 x.none.test a@hard.test||550 5.7.23 SPF fail (MAIL FROM): 192.0.2.9 is not one of ours
192.0.2.9 x.none.test a@hard.test|-o spf_mail_from_reject=False|PREPEND Received-SPF: fail
192.0.2.9 x.none.test a@hard.test|-o spf_mail_from_reject=Softfail|550 5.7.23
192.0.2.9 x.none.test a@soft.test||PREPEND Received-SPF: softfail
192.0.2.9 x.none.test a@soft.test|-o spf_mail_from_reject=Softfail|550 5.7.23 SPF softfail (MAIL FROM): 192.0.2.9 may not send for soft.test
192.0.2.9 x.none.test a@neutral.test|-o spf_mail_from_reject=Softfail|PREPEND Received-SPF: neutral
192.0.2.9 x.none.test a@neutral.test|-o spf_mail_from_reject=SPF_Not_Pass|550 5.7.23 SPF neutral
192.0.2.9 x.none.test a@nothing.test|-o spf_mail_from_reject=SPF_Not_Pass|PREPEND Received-SPF: none
192.0.2.9 helo.test a@nothing.test||550 5.7.23 SPF fail (HELO)
192.0.2.9 helo.test a@nothing.test|-o spf_helo_reject=False|PREPEND Received-SPF: none
192.0.2.9 helo.test a@nothing.test|-o spf_helo_reject=No_Check|PREPEND Received-SPF: none
192.0.2.9 helo.test a@nothing.test|-o spf_helo_reject=Null|PREPEND Received-SPF: none
192.0.2.9 helo.test |-o spf_helo_reject=Null|550 5.7.23 SPF fail (HELO)
192.0.2.1 helo.test ||PREPEND Received-SPF: pass
192.0.2.9 helo.test |-o spf_helo_reject=No_Check|DUNNO
192.0.2.9 x.none.test a@broken.test||PREPEND Received-SPF: permerror
192.0.2.9 x.none.test a@broken.test|-o spf_permerror_reject=yes|550 5.7.24
192.0.2.9 x.none.test a@temp.test||PREPEND Received-SPF: temperror
192.0.2.9 x.none.test a@temp.test|-o spf_temperror_defer=yes|DEFER_IF_PERMIT 4.7.24
192.0.2.9 x.none.test a@soft.test|-o spf_header_type=AR|PREPEND Authentication-Results: mx.here; spf=softfail smtp.mailfrom=a@soft.test
192.0.2.9 x.none.test a@soft.test|-o spf_header_type=none|DUNNO
127.0.0.1 x.none.test a@hard.test||DUNNO
::1 x.none.test a@hard.test||DUNNO
192.0.2.9 x.none.test a@hard.test|-o spf_skip_addresses=192.0.2.0/24|DUNNO
192.0.2.9 x.none.test a@hard.test|-o spf_skip_addresses=cidr:/nonexistent|DEFER_IF_PERMIT 4.3.0 a table is away
192.0.2.66 x.none.test a@soft.test|-o policy_rbl_domains=bl.test|554 5.7.1 Service unavailable; Client host [192.0.2.66] blocked using bl.test; spam
192.0.2.9 x.none.test a@soft.test|-o policy_rbl_domains=bl.test|PREPEND
TABLE
}

@test "logins pass; one field for several recipients; several messages a connection" {
  [[ $(ask 192.0.2.9 x.none.test a@hard.test i1 joe | policy) == action=DUNNO ]]
  { ask 192.0.2.9 x.none.test a@soft.test i1; ask 192.0.2.9 x.none.test a@soft.test i1; ask 192.0.2.9 x.none.test a@soft.test i2; ask 192.0.2.9 x.none.test a@hard.test i3; ask 192.0.2.9 x.none.test a@hard.test i3; } > "$M/in"
  policy < "$M/in" | grep . | cut -c1-20 > "$M/out"
  printf '%s\n' 'action=PREPEND Recei' action=DUNNO 'action=PREPEND Recei' 'action=550 5.7.23 SP' 'action=550 5.7.23 SP' | cmp - "$M/out"
}

@test "hostile requests: no end, long lines, controls" {
  run -0 policy < <(printf 'client_address=192.0.2.9\n')
  [ -z "$output" ]
  run -0 policy < <(head -c 100000 /dev/zero | tr '\0' a; echo; echo)
  [ -z "$output" ]
  run -0 policy < <(for _ in $(seq 300); do echo a=b; done; echo)
  [ -z "$output" ]
  run -0 policy < <(ask 192.0.2.9 x.none.test $'a\x01b\x1b@soft.test')
  [ "$(grep -c . <<< "$output")" = 1 ]
}

@test "policyd-spf.conf as it is" {
  cat > "$M/policyd-spf.conf" <<X
#  For a fully commented sample config file see policyd-spf.conf.commented
debugLevel = 1
TestOnly = 1
HELO_reject = False
Mail_From_reject = False
PermError_reject = False
TempError_Defer = False
skip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1
X
  got=$(ask 192.0.2.9 helo.test a@hard.test | policy -o policyd_spf_conf="$M/policyd-spf.conf")
  [[ $got == "action=PREPEND Received-SPF: fail"* ]]
  sed -i 's/Mail_From_reject = False/Mail_From_reject = Fail/' "$M/policyd-spf.conf"
  got=$(ask 192.0.2.9 helo.test a@hard.test | policy -o policyd_spf_conf="$M/policyd-spf.conf")
  [[ $got == "action=550"* ]]
  echo "HELO_rejct = Fail" >> "$M/policyd-spf.conf"
  run -78 mx-dnscheck -o policyd_spf_conf="$M/policyd-spf.conf" policy < /dev/null
  [[ $output == *"policyd-spf.conf:9: HELO_rejct"* ]]
}

@test "as a server: several clients at once" {
  port=$(free_port)
  mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here policy --listen 127.0.0.1:$port > "$M/log" 2>&1 3>&- &
  PIDS+=($!)
  wait_port "$port"
  for i in 1 2 3 4; do ask 192.0.2.$i x.none.test a@hard.test | socat -t5 - tcp:127.0.0.1:$port > "$M/a$i" & jobs[$i]=$!; done
  wait "${jobs[@]}"
  grep -q 'Received-SPF: pass' "$M/a1"
  for i in 2 3 4; do grep -q '^action=550 5.7.23' "$M/a$i"; done
}

@test "behind a real Postfix: refused and let in, with policyd-spf's line in main.cf" {
  need_root
  T=$M
  port=$(free_port); smtp=$(free_port)
  mx-dnscheck --resolver 127.0.0.1:$DNS -o myhostname=mx.here -o spf_skip_addresses=192.0.2.0/24 policy --listen 127.0.0.1:$port > "$M/log" 2>&1 3>&- &
  PIDS+=($!)
  wait_port "$port"
  postfix_start mxp "$smtp" "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:127.0.0.1:$port" "smtpd_relay_restrictions =" "local_recipient_maps ="
  wait_port "$smtp"
  run swaks --server 127.0.0.1:$smtp --helo x.none.test --from a@nolocal.test --to joe@mxp.test --quit-after RCPT
  [[ $output == *"550 5.7.23"*"SPF fail (MAIL FROM): 127.0.0.1 may not send for nolocal.test"* ]]
  run -0 swaks --server 127.0.0.1:$smtp --helo x.none.test --from a@loop.test --to joe@mxp.test --quit-after RCPT
}
