# mx-dkimsign: signatures that others verify, tables, keys, exit codes.
load ../lib/common

setup() {
  common_setup
  mx-dkimsign --genkey -d ex.test -s rsa -D "$T" > "$T/out1"
  mx-dkimsign --genkey -d ex.test -s ed -a ed25519 -D "$T" > "$T/out2"
  printf 'From: A <a@ex.test>\r\nTo: b@c.d\r\nSubject: hello\r\n\tfolded  text \r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\n\r\nbody  line \r\n\r\n.dot\r\n\r\n\r\n' > "$T/crlf"
  tr -d '\r' < "$T/crlf" > "$T/lf"
  # python3-dkim of Debian, with keys from the files
  cat > "$T/verify.py" <<'PY'
import re, sys
import dkim
d = sys.argv[1]
def dns(name, timeout=5):
    name = name if isinstance(name, str) else name.decode()
    s = name.split(".")[0]
    return "".join(re.findall(r'"([^"]*)"', open(f"{d}/{s}.txt").read())).encode()
m = sys.stdin.buffer.read()
v = dkim.DKIM(m)
for i in range(len(re.findall(rb"(?mi)^DKIM-Signature:", m))):
    print("pass" if v.verify(idx=i, dnsfunc=dns) else "fail")
PY
}
teardown() { common_teardown; }

sign() { mx-dkimsign -d ex.test -s rsa -k "$T/rsa.private" "$@"; }
verify() { /usr/bin/python3 "$T/verify.py" "$T"; }

@test "each canonicalization, CRLF and LF: python3-dkim says pass" {
  local c
  for c in relaxed/relaxed relaxed/simple simple/relaxed simple/simple relaxed; do
    run bash -c "mx-dkimsign -d ex.test -s rsa -k $T/rsa.private -c $c < $T/crlf | /usr/bin/python3 $T/verify.py $T"
    [ "$output" = pass ] || { echo "$c CRLF: $output" >&2; false; }
    run bash -c "mx-dkimsign -d ex.test -s rsa -k $T/rsa.private -c $c < $T/lf | sed 's/\$/\r/' | /usr/bin/python3 $T/verify.py $T"
    [ "$output" = pass ] || { echo "$c LF: $output" >&2; false; }
  done
}

@test "two keys: RSA first, both pass" {
  mx-dkimsign -d ex.test -s ed -k "$T/ed.private" -s rsa -k "$T/rsa.private" < "$T/crlf" > "$T/s"
  run verify < "$T/s"
  [ "$output" = $'pass\npass' ]
  run grep -o 'a=[a-z0-9-]*' "$T/s"
  [ "$output" = $'a=rsa-sha256\na=ed25519-sha256' ]
}

@test "a changed byte no longer passes" {
  sign < "$T/crlf" | sed 's/hello/hallo/' > "$T/s"
  run verify < "$T/s"
  [ "$output" = fail ]
}

@test "the rest is the input byte for byte; --header-only is the fields alone" {
  sign -t 1700000000 < "$T/crlf" > "$T/s"
  sign -t 1700000000 --header-only < "$T/crlf" > "$T/h"
  cat "$T/h" "$T/crlf" | cmp - "$T/s"
  ! grep -qv $'\r$' "$T/h"
  awk 'length($0) > 79 { exit 1 }' "$T/h"
  tail -c 7 "$T/crlf" | cmp - <(tail -c 7 "$T/s")
}

@test "default fields are listed once more than they occur; -H, -i, -t, -x" {
  run bash -c "tr -d '\n\t ' < <(mx-dkimsign -d ex.test -s rsa -k $T/rsa.private -t 1700000000 -x 60 -i x@sub.ex.test < $T/lf)"
  [[ "$output" == *"h=From:From:To:To:Cc:Subject:Subject:Date:Date:"* ]]
  [[ "$output" == *"i=x@sub.ex.test;t=1700000000;x=1700000060;"* ]]
  run bash -c "tr -d '\n\t ' < <(mx-dkimsign -d ex.test -s rsa -k $T/rsa.private -H From:X-None:Subject < $T/lf)"
  [[ "$output" == *"h=From:X-None:Subject;"* ]]
}

@test "refused with nothing written: 64, 65, 78" {
  local args want
  while IFS='|' read -r want args; do
    run bash -c "mx-dkimsign $args < $T/lf 2>/dev/null"
    [ "$status" -eq "$want" ] && [ -z "$output" ] || { echo "$args: $status, wanted $want" >&2; false; }
  done <<CASES
64|-d ex.test
64|-s rsa -k $T/rsa.private
64|-d ex.test -s rsa -k $T/rsa.private -a rsa-sha1
64|-d ex.test -s rsa -k $T/rsa.private -i a@else.test
64|-d ex.test -s rsa -k $T/rsa.private -H To:Subject
64|-d ex.test -s rsa -k $T/rsa.private -c wild
64|-d ex.test -s rsa -s ed -s x -k $T/rsa.private
64|--no-such-option
78|-d ex.test -s rsa -k $T/none
78|-d ex.test -s rsa -k $T/verify.py
CASES
  openssl genrsa -out "$T/weak.pem" 768 2>/dev/null || openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:768 -out "$T/weak.pem" 2>/dev/null
  run mx-dkimsign -d ex.test -s rsa -k "$T/weak.pem" < "$T/lf"
  [ "$status" -eq 78 ]
  run bash -c "printf 'To: x\n\nb\n' | mx-dkimsign -d ex.test -s rsa -k $T/rsa.private"
  [ "$status" -eq 65 ]
  run mx-dkimsign -d ex.test -s rsa -k "$T/rsa.private" < /dev/null
  [ "$status" -eq 65 ]
}

@test "OpenDKIM's tables: patterns, the From domain, no match, trusted hosts" {
  printf '# keys\nk1 %%:rsa:%s\nk2 other.test:ed:%s\n' "$T/rsa.private" "$T/ed.private" > "$T/KeyTable"
  printf '*@ex.test k1\nboss@other.test k2\n' > "$T/SigningTable"
  printf '10.0.0.0/8\n!192.0.2.5\n192.0.2.0/24\n*.friend.test\n' > "$T/TrustedHosts"
  tab() { mx-dkimsign --key-table "$T/KeyTable" --signing-table "refile:$T/SigningTable" "$@"; }
  tab < "$T/lf" | tr -d '\n\t ' | grep -q 'd=ex.test;s=rsa;'
  sed 's/a@ex.test/boss@other.test/' "$T/lf" | tab | tr -d '\n\t ' | grep -q 'a=ed25519-sha256;.*d=other.test;s=ed;'
  sed 's/a@ex.test/clerk@other.test/' "$T/lf" > "$T/m2"
  tab < "$T/m2" | cmp - "$T/m2"
  trust() { tab --trusted-hosts "$T/TrustedHosts" < "$T/lf" | grep -c '^DKIM-Signature'; }
  [ "$(MX_CLIENT_ADDR=10.1.2.3 trust)" = 1 ]
  [ "$(MX_CLIENT_ADDR=192.0.2.5 trust)" = 0 ]
  [ "$(MX_CLIENT_ADDR=192.0.2.6 trust)" = 1 ]
  [ "$(MX_CLIENT_ADDR=203.0.113.1 trust)" = 0 ]
  [ "$(MX_CLIENT_ADDR=203.0.113.1 MX_CLIENT_NAME=a.friend.test trust)" = 1 ]
  [ "$(MX_CLIENT_ADDR=203.0.113.1 MX_AUTH_USER=alice trust)" = 1 ]
}

@test "--genkey: 0600, never over another file, a record; --testkey asks DNS" {
  [ "$(stat -c %a "$T/rsa.private")" = 600 ]
  grep -q '^rsa._domainkey	IN	TXT	( "v=DKIM1; h=sha256; k=rsa; "' "$T/rsa.txt"
  cp "$T/rsa.private" "$T/before"
  run mx-dkimsign --genkey -d ex.test -s rsa -D "$T"
  [ "$status" -ne 0 ]
  cmp "$T/before" "$T/rsa.private"
  run mx-dkimsign --genkey -d ex.test -s small -b 512 -D "$T"
  [ "$status" -eq 64 ]
  local port; port=$(free_port)
  { printf '$ORIGIN ex.test.\n@ 60 IN SOA ns h 1 2 3 4 5\n@ IN NS ns\nns IN A 127.0.0.1\n'; cat "$T/rsa.txt"; printf 'gone._domainkey IN TXT "v=DKIM1; p="\n'; } > "$T/zone"
  dns_serve "$port" ex.test "$T/zone"
  run mx-dkimsign --testkey -d ex.test -s rsa -k "$T/rsa.private" --resolver "127.0.0.1:$port"
  [ "$status" -eq 0 ]
  run mx-dkimsign --testkey -d ex.test -s rsa -k "$T/ed.private" --resolver "127.0.0.1:$port"
  [ "$status" -eq 1 ]
  run mx-dkimsign --testkey -d ex.test -s gone -k "$T/rsa.private" --resolver "127.0.0.1:$port"
  [ "$status" -eq 1 ]
  run mx-dkimsign --testkey -d else.example -s rsa -k "$T/rsa.private" --resolver "127.0.0.1:$port"
  [ "$status" -eq 75 ]
}

@test "the page's EXAMPLES: genkey, sign" {
  mkdir "$T/keys"; cd "$T"
  mx-dkimsign --genkey -d example.org -s mx -D keys
  cp lf message
  run bash -c "mx-dkimsign -d example.org -s mx -k keys/mx.private < message"
  [ "$status" -eq 0 ]
  [[ "$output" == DKIM-Signature:* ]]
}
