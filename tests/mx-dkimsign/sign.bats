# mx-dkimsign: signatures that OpenDKIM, dkimpy and mx-dnscheck verify.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() { common_setup; dkim_keys; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

@test "every canonicalization and kind of key verifies at OpenDKIM, dkimpy and here" {
  dkim_serve
  local c k
  for c in simple/simple simple/relaxed relaxed/simple relaxed/relaxed; do
    for k in rsa ed weak; do
      message | mx-dkimsign -d example.test -s $k -k "$T/$k.pem" -c $c > "$T/signed"
      grep -q "c=$c;" "$T/signed"
      opendkim_verifies "$T/signed"
      pydkim verify "$T/signed"
      run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$T/signed"
      [ "$output" = "pass d=example.test s=$k a=$([ $k = ed ] && echo ed25519 || echo rsa)-sha256 reason=\"\"" ]
    done
  done
}

@test "several -s -k pairs: RSA first, each verifies; one -s serves all keys" {
  dkim_serve
  message | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -s rsa -k "$T/rsa.pem" > "$T/signed"
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$T/signed"
  [ "${lines[0]}" = 'pass d=example.test s=rsa a=rsa-sha256 reason=""' ]
  [ "${lines[1]}" = 'pass d=example.test s=ed a=ed25519-sha256 reason=""' ]
  opendkim_verifies "$T/signed"
  message | mx-dkimsign -d example.test -s one -k "$T/rsa.pem" -k "$T/ed.pem" > "$T/signed"
  [ "$(grep -c 's=one' "$T/signed")" -eq 2 ]
  run -64 mx-dkimsign -d example.test -s a -s b -k "$T/rsa.pem" < /dev/null
  run -64 mx-dkimsign -d example.test -s a -s b -s c -k "$T/rsa.pem" -k "$T/ed.pem" < /dev/null
}

@test "new fields come first, the rest is the input byte for byte; line ends are the message's" {
  message > "$T/m"
  mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" < "$T/m" > "$T/signed"
  tail -c "$(stat -c %s "$T/m")" "$T/signed" | cmp - "$T/m"
  mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" --header-only < "$T/m" > "$T/head"
  [ "$(grep -c '^DKIM-Signature: ' "$T/head")" -eq 1 ]
  ! grep -q -v '^DKIM-Signature: \|^	' "$T/head"
  awk 'length($0) > 78 { exit 1 }' "$T/head"
  message | sed 's/$/\r/' > "$T/m"
  mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" < "$T/m" > "$T/signed"
  ! grep -qv $'\r$' "$T/signed"
  tail -c "$(stat -c %s "$T/m")" "$T/signed" | cmp - "$T/m"
  # an mbox From line stays the first
  { echo 'From alice Sat Nov 21 09:00:00 2026'; message; } | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" > "$T/signed"
  [ "$(head -c 5 "$T/signed")" = 'From ' ]
  [[ $(sed -n 2p "$T/signed") == DKIM-Signature:* ]]
}

@test "LF and CRLF of one message give one signature" {
  a=$(message | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -t 1700000000 --header-only)
  b=$(message | sed 's/$/\r/' | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -t 1700000000 --header-only | tr -d '\r')
  [ "$a" = "$b" ]
}

@test "tags: t, x, i, c, and the default list once more than the fields occur" {
  message | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -t 1700000000 -x 3600 -i 'a b=;@sub.example.test' --header-only | tr -d '\n\t' > "$T/h"
  grep -q ' t=1700000000; x=1700003600;' "$T/h"
  grep -q ' i=a=20b=3D=3B@sub.example.test;' "$T/h"
  grep -q 'c=relaxed/relaxed;' "$T/h"
  h=$(sed 's/.* h=\([^;]*\);.*/:\1:/' "$T/h")
  for n in From To Subject Date Message-ID List-Id; do [[ $h == *":$n:$n:"* && $h != *":$n:$n:$n:"* ]]; done
  for n in Cc Reply-To In-Reply-To References MIME-Version Content-Type List-Unsubscribe; do [[ $h == *":$n:"* && $h != *":$n:$n:"* ]]; done
  [[ $h != *X-Other* ]]
  { echo 'Content-Odd: 1'; echo 'list-odd: 2'; message; } | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" --header-only | tr -d '\n\t' > "$T/h"
  grep -q ':Content-Odd:Content-Odd:list-odd:list-odd;' "$T/h"
  message | mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -H from:subject:X-Absent:to -c simple --header-only | tr -d '\n\t' > "$T/h"
  grep -q ' h=from:subject:X-Absent:to;' "$T/h"
  grep -q 'c=simple/simple' "$T/h"
}

@test "oversigned: a field added behind the signature breaks it" {
  dkim_serve
  message | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" > "$T/signed"
  for f in 'Reply-To: evil@example.org' 'Subject: other' 'From: evil@example.org' 'Content-Type: text/html'; do
    { echo "$f"; cat "$T/signed"; } > "$T/bad"
    run -1 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$T/bad"
    [ "$output" = 'fail d=example.test s=rsa a=rsa-sha256 reason="signature does not match"' ]
  done
}

@test "refused with nothing written: options 64, no From 65, keys 78" {
  openssl genpkey -algorithm ed448 -out "$T/ed448.pem"
  echo no key > "$T/text.pem"
  local bad=0 want args out
  while read -r want args; do
    out=$(message | eval "mx-dkimsign $args" 2>"$T/err") && got=0 || got=$?
    [ "$got" -eq "$want" ] && [ -z "$out" ] && [ "$(wc -l < "$T/err")" -ge 1 ] || { echo "$args: $got $out $(cat "$T/err")"; bad=1; }
  done <<'TABLE'
64 -d example.test -s x
64 -d example.test -k $T/rsa.pem
64 -s x -k $T/rsa.pem
64 -i a@example.test
64 -d example.test -s x -k $T/rsa.pem -a rsa-sha1
64 -d example.test -s x -k $T/rsa.pem -i a@other.test
64 -d example.test -s x -k $T/rsa.pem -i a@notexample.test
64 -d example.test -s x -k $T/rsa.pem -H to:subject
64 -d example.test -s x -k $T/rsa.pem -H 'from:a;b=c'
64 -d example.test -s x -k $T/rsa.pem -H from::to
64 -d example.test -s x -k $T/rsa.pem -c strict
64 -d example.test -s x -k $T/rsa.pem -t soon
64 -d example.test -s x -k $T/rsa.pem -x 0
64 -d 'a b.test' -s x -k $T/rsa.pem
64 -d 'a;b=' -s x -k $T/rsa.pem
64 -d example.test -s 'x;y' -k $T/rsa.pem
64 -d example.test -s x -k $T/rsa.pem operand
64 --bogus
78 -d example.test -s x -k $T/none.pem
78 -d example.test -s x -k $T/old.pem
78 -d example.test -s x -k $T/text.pem
78 -d example.test -s x -k $T/ed448.pem
78 -d example.test -s x -k $T
TABLE
  [ "$bad" -eq 0 ]
  run -65 --separate-stderr bash -c "printf 'To: a@b.test\n\nx\n' | mx-dkimsign -d example.test -s x -k $T/rsa.pem"
  [ -z "$output" ]; [[ $stderr == *From* ]]
  run -65 --separate-stderr mx-dkimsign -d example.test -s x -k "$T/rsa.pem" < /dev/null
  [ -z "$output" ]; [ -n "$stderr" ]
}

@test "a write that fails is 74" {
  message > "$T/m"
  run -74 bash -c "mx-dkimsign -d example.test -s rsa -k $T/rsa.pem < $T/m > /dev/full"
}

@test "a stage with nothing configured passes the message as it is" {
  message > "$T/m"
  mx-dkimsign < "$T/m" | cmp - "$T/m"
  printf 'no header at all' > "$T/m"
  mx-dkimsign < "$T/m" | cmp - "$T/m"
}

@test "parameters: dkim_domain with its selector and key signs the domain and those below it" {
  dkim_serve
  printf 'dkim_domain = other.test, example.test\ndkim_selector = rsa\ndkim_key_file = %s\ndkim_canonicalization = relaxed/simple\n' "$T/rsa.pem" > "$T/mx.conf"
  message | mx-dkimsign > "$T/signed"
  grep -q 'c=relaxed/simple; d=example.test' "$T/signed"
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$T/signed"
  message | sed 's/alice@example/alice@sub.example/' | mx-dkimsign > "$T/signed"
  grep -q 'd=example.test' "$T/signed"
  message | sed 's/alice@example/alice@notexample/' > "$T/m"
  mx-dkimsign < "$T/m" | cmp - "$T/m"
  echo 'dkim_domain = example.test' > "$T/mx.conf"
  run -78 bash -c "mx-dkimsign < $T/signed"
}

@test "large message: memory stays bounded" {
  { message; head -c 60000000 /dev/zero | tr '\0' 'x' | fold -w 500; } > "$T/big"
  (memory_limit 300000; mx-dkimsign -d example.test -s ed -k "$T/ed.pem" < "$T/big" | tail -c "$(stat -c %s "$T/big")" | cmp - "$T/big")
}
