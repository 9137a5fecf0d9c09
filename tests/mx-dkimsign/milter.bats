# mx-dkimsign --milter behind a real Postfix, in the place of opendkim.
load ../lib/common
load ../lib/dkim
load ../lib/postfix
bats_require_minimum_version 1.5.0

setup() {
  common_setup; need_root; dkim_keys; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf
  chmod 755 "$T"; mkdir -m 777 "$T/vm"
  { read -r MILTER; read -r SMTP; } < <(free_port 2)
}
teardown() { common_teardown; }

# start [ARG...]: the milter on $MILTER (or as the arguments say)
start() {
  spawn_logged mx-dkimsign --milter -o sign_user=nobody "$@"
  DKIMSIGN=$SPAWNED DKIMSIGN_LOG=$SPAWNED_LOG
  wait_port "$MILTER"
}

# mta [LINE...]: Postfix with that milter, all mail of dest.test in $T/vm
mta() {
  postfix_start mta "$SMTP" "smtpd_milters = inet:127.0.0.1:$MILTER" "non_smtpd_milters = inet:127.0.0.1:$MILTER" \
    "virtual_mailbox_domains = dest.test" "virtual_mailbox_base = $T/vm" "virtual_mailbox_maps = static:box/" \
    "virtual_uid_maps = static:65534" "virtual_gid_maps = static:65534" \
    "smtpd_authorized_xclient_hosts = 127.0.0.1" "$@"
}

# send FILE [SWAKS-ARG...]
send() {
  local f=$1; shift
  swaks --server "127.0.0.1:$SMTP" --helo me.test --from a@example.test --to joe@dest.test --data @"$f" "$@" > "$T/swaks" || { cat "$T/swaks"; return 1; }
}
arrived() { local n; n=$(ls "$T/vm/box/new" 2>/dev/null | wc -l); [ "$n" -ge "$1" ]; }
newest() { find "$T/vm/box/new" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }

@test "signs what this host's clients send; OpenDKIM, dkimpy and mx-dnscheck say pass" {
  dkim_serve
  start --listen "127.0.0.1:$MILTER" -d example.test -s rsa -k "$T/rsa.pem" -s ed -k "$T/ed.pem"
  mta
  message > "$T/m"
  send "$T/m"
  wait_for 10 arrived 1
  f=$(newest); cat "$f"
  opendkim_verifies "$f"
  pydkim verify "$f"
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$f"
  [ "${lines[0]}" = 'pass d=example.test s=rsa a=rsa-sha256 reason=""' ]
  [ "${lines[1]}" = 'pass d=example.test s=ed a=ed25519-sha256 reason=""' ]
  # sendmail(1)'s mail, too
  sendmail -C "$T/mta/conf" -f a@example.test joe@dest.test < "$T/m" || postfix -c "$T/mta/conf" status
}

@test "opendkim.conf as it is: strangers' mail is not signed, logins' and trusted hosts' is" {
  dkim_serve
  echo '192.0.2.0/24
127.0.0.1' > "$T/trusted"
  echo "*@example.test key1" > "$T/signing"; echo "key1 example.test:rsa:$T/rsa.pem" > "$T/keys"
  chmod 600 "$T/rsa.pem"
  cat > "$T/opendkim.conf" <<C
Mode sv
Canonicalization relaxed/simple
KeyTable $T/keys
SigningTable refile:$T/signing
InternalHosts refile:$T/trusted
ExternalIgnoreList refile:$T/trusted
Socket inet:$MILTER@127.0.0.1
C
  start --opendkim-conf "$T/opendkim.conf"
  mta
  message > "$T/m"
  n=0
  while read -r signed xclient; do
    send "$T/m" --xclient "$xclient"
    n=$((n + 1)); wait_for 10 arrived $n
    echo "$xclient"; head -n 20 "$(newest)"
    [ "$(grep -c '^DKIM-Signature' "$(newest)")" -eq "$signed" ]
  done <<'E'
0 ADDR=203.0.113.9 NAME=stranger.test
1 ADDR=192.0.2.7 NAME=inside.test
1 ADDR=203.0.113.9 NAME=stranger.test LOGIN=joe
E
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$(newest)"
  [[ $output == pass*s=rsa* ]]
  # another domain's From is nobody's here
  sed -i 's/@example.test/@other.test/' "$T/m"
  send "$T/m"; wait_for 10 arrived 4
  ! grep -q '^DKIM-Signature' "$(newest)"
}

@test "a large message, many messages on many links, SIGHUP with a new key; memory stays" {
  dkim_serve
  printf 'dkim_domain = example.test\ndkim_selector = rsa\ndkim_key_file = %s\n' "$T/key.pem" > "$T/mx.conf"
  cp "$T/rsa.pem" "$T/key.pem"
  start --listen "127.0.0.1:$MILTER" -o default_process_limit=4
  mta
  { message; for i in $(seq 60000); do echo "line $i of a large message"; done; } > "$T/big"
  send "$T/big"; wait_for 20 arrived 1
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$(newest)"
  smtp-source -c -m 300 -s 4 -f a@example.test -t joe@dest.test "127.0.0.1:$SMTP"
  wait_for 60 arrived 301
  [ "$(grep -lr '^DKIM-Signature' "$T/vm/box/new" | wc -l)" -ge 1 ]
  for p in $(pgrep -P "$DKIMSIGN"); do
    [ "$(awk '/^VmRSS/ { print $2 }' "/proc/$p/status")" -lt 40000 ]
    # nothing of root's is left there
    [ "$(awk '/^Uid/ { print $2 }' "/proc/$p/status")" -eq "$(id -u nobody)" ]
  done
  cp "$T/ed.pem" "$T/key.pem"; sed -i 's/= rsa/= ed/' "$T/mx.conf"
  kill -HUP "$DKIMSIGN"
  message > "$T/m"
  again() { send "$T/m" && sleep 0.3 && grep -q 's=ed' "$(newest)"; }
  wait_for 20 again
}

@test "a key that is gone is no reason to start; a key lost under way is tempfail, in words" {
  run -78 mx-dkimsign --milter --listen "127.0.0.1:$MILTER" -d example.test -s x -k "$T/none.pem"
  [[ $output == *none.pem* ]]
  echo "*@example.test %" > "$T/signing"; echo "% %:rsa:$T/%.pem" > "$T/keys"
  start --listen "127.0.0.1:$MILTER" --key-table "$T/keys" --signing-table "refile:$T/signing"
  mta
  message > "$T/m"
  run ! send "$T/m"
  grep -q '451 4.7.1' "$T/swaks"
  grep -q 'cannot sign: ' "$DKIMSIGN_LOG"
}

# not_in_memory PID KEYFILE...: neither the file's text nor the private numbers
not_in_memory() {
  python3 - "$@" <<'PY'
import re, subprocess, sys
from cryptography.hazmat.primitives import serialization as s
want = {}
for f in sys.argv[2:]:
    pem = open(f, "rb").read()
    k = s.load_pem_private_key(pem, None)
    want[f + ": PEM"] = pem.splitlines()[1]
    if hasattr(k, "private_numbers"):
        n = k.private_numbers()
        for name in ("d", "p", "q", "dmp1", "dmq1", "iqmp"):
            v = getattr(n, name)
            b = v.to_bytes((v.bit_length() + 7) // 8, "big")
            # a part is enough: limbs may be kept shifted or in pieces
            want[f"{f}: {name}"], want[f"{f}: {name} reversed"] = b[8:40], b[::-1][8:40]
    else:
        raw = k.private_bytes(s.Encoding.Raw, s.PrivateFormat.Raw, s.NoEncryption())
        want[f + ": raw"] = raw
found = set()
mem = open("/proc/%s/mem" % sys.argv[1], "rb")
for l in open("/proc/%s/maps" % sys.argv[1]):
    m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", l)
    if not m or "[v" in l: continue
    a, b = int(m[1], 16), int(m[2], 16)
    if b - a > 1 << 32: continue  # a sanitizer's shadow
    mem.seek(a)
    try: data = mem.read(b - a)
    except OSError: continue
    found |= {n for n, v in want.items() if v in data}
if found: sys.exit("in memory of %s: %s" % (sys.argv[1], sorted(found)))
PY
}

@test "the keys stay in the monitor: in no worker's memory, before and behind a reload; files no worker could read" {
  dkim_serve
  cp "$T/rsa.pem" "$T/example.test.pem"
  chmod 600 "$T"/*.pem
  echo '*@example.test one
*@* every' > "$T/signing"
  printf 'one example.test:rsa:%s\nevery %%:rsa:%s/%%.pem\n' "$T/rsa.pem" "$T" > "$T/keys"
  start --listen "127.0.0.1:$MILTER" --key-table "$T/keys" --signing-table "refile:$T/signing" --trusted-hosts "$T/trusted"
  echo 127.0.0.1 > "$T/trusted"
  mta
  message > "$T/m"
  send "$T/m"
  wait_for 10 arrived 1
  # the harness sees a key where there is one
  run not_in_memory "$DKIMSIGN" "$T/rsa.pem"
  [[ "$status" -ne 0 && "$output" == *"rsa.pem"* ]] || { echo "$output"; false; }
  workers() { pgrep -P "$DKIMSIGN"; }
  for p in $(workers); do not_in_memory "$p" "$T/rsa.pem"; done
  # a table that has changed: the monitor reads what it names now, "%" too
  echo '*@example.test every' > "$T/signing"
  send "$T/m"
  wait_for 10 arrived 2
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$(newest)"
  kill -HUP "$DKIMSIGN"
  send "$T/m"
  wait_for 10 arrived 3
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$(newest)"
  for p in $(workers); do not_in_memory "$p" "$T/rsa.pem"; done
  # ed25519
  echo "one example.test:ed:$T/ed.pem" > "$T/keys"
  echo '*@example.test one' > "$T/signing"
  kill -HUP "$DKIMSIGN"
  ed() { send "$T/m" && mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$(newest)" | grep -q '^pass .*a=ed25519'; }
  wait_for 20 ed
  for p in $(workers); do not_in_memory "$p" "$T/rsa.pem" "$T/ed.pem"; done
}

@test "opendkim.conf: UserID, PeerList, MTA, MacroList, RemoveOldSignatures, SoftwareHeader, DontSignMailTo, LogWhy; what does not count is said" {
  dkim_serve
  chown mail "$T/rsa.pem"
  cat > "$T/opendkim.conf" <<C
Mode sv
Domain example.test
Selector rsa
KeyFile $T/rsa.pem
InternalHosts 192.0.2.7
PeerList 192.0.2.8
MTA submission,other
MacroList {client_name}=mac.test|mack.test
RemoveOldSignatures yes
SoftwareHeader yes
DontSignMailTo never@dest.test
LogWhy yes
UserID mail
UMask 007
On-BadSignature reject
Quarantine no
LDAPUseTLS no
Socket inet:$MILTER@127.0.0.1
C
  start --opendkim-conf "$T/opendkim.conf"
  for p in $(pgrep -P "$DKIMSIGN"); do [ "$(awk '/^Uid/ { print $2 }' "/proc/$p/status")" -eq "$(id -u mail)" ]; done
  grep -q 'opendkim.conf: On-BadSignature does not count: mx-dnscheck --milter verifies' "$DKIMSIGN_LOG"
  ! grep -qE 'Quarantine|LDAPUseTLS' "$DKIMSIGN_LOG"
  mta "milter_mail_macros = i {client_name} {auth_type} {auth_authen}"
  message > "$T/plain"
  { printf 'DKIM-Signature: v=1; a=old-one\nDKIM-Signature: v=1; a=old-two\n'; cat "$T/plain"; } > "$T/m"
  n=0
  while read -r signed to xclient; do
    send "$T/m" --xclient "$xclient" --to "$to@dest.test"
    n=$((n + 1)); wait_for 10 arrived $n
    echo "$xclient"; head -n 20 "$(newest)"
    if [ "$signed" = 1 ]; then
      [ "$(grep -c '^DKIM-Signature' "$(newest)")" -eq 1 ]
      ! grep -q old- "$(newest)"
      grep -q '^DKIM-Filter: mx-dkimsign ' "$(newest)"
      mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$(newest)"
    else
      [ "$(grep -c '^DKIM-Signature: v=1; a=old' "$(newest)")" -eq 2 ]
      ! grep -q '^DKIM-Filter' "$(newest)"
    fi
  done <<'E'
1 joe ADDR=192.0.2.7 NAME=inside.test
0 never ADDR=192.0.2.7 NAME=inside.test
0 joe ADDR=192.0.2.8 NAME=mac.test
0 joe ADDR=192.0.2.9 NAME=stranger.test
1 joe ADDR=192.0.2.9 NAME=mack.test
E
  grep -q 'not signed: DontSignMailTo' "$DKIMSIGN_LOG"
  grep -q 'stranger.test \[192.0.2.9\]: not signed: no login, and not in InternalHosts' "$DKIMSIGN_LOG"
  grep -q 'not signed: in PeerList' "$DKIMSIGN_LOG"
}
