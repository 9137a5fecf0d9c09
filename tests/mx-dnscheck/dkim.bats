# mx-dnscheck dkim: other people's signatures, and everything that may be
# wrong with one.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

verify() { mx-dnscheck dkim --resolver "127.0.0.1:$DNS" "$@"; }
# signed OPTION...: a message with our signature of the key rsa
signed() { message | mx-dkimsign -d example.test -s "${S:-rsa}" -k "$T/${K:-rsa}.pem" "$@"; }

@test "signatures of OpenDKIM and dkimpy verify here, LF and CRLF" {
  dkim_keys; dkim_serve
  local k c
  for k in rsa ed; do
    for c in simple/simple simple/relaxed relaxed/simple relaxed/relaxed; do
      a=$([ $k = ed ] && echo ed25519 || echo rsa)-sha256
      message | pydkim sign $k $a $c > "$T/m"
      run -0 verify < "$T/m"
      [ "$output" = "pass d=example.test s=$k a=$a reason=\"\"" ]
      tr -d '\r' < "$T/m" > "$T/lf"
      run -0 verify < "$T/lf"
    done
  done
  for c in simple/simple relaxed/relaxed; do
    message > "$T/m"
    opendkim_signs "$T/m" "$c" > "$T/head"
    cat "$T/head" "$T/m" > "$T/signed"
    run -0 verify < "$T/signed"
    [ "$output" = 'pass d=example.test s=rsa a=rsa-sha256 reason=""' ]
  done
  # opendkim-testmsg knows rsa-sha1 alone: never a pass (RFC 8301)
  message | opendkim-testmsg -C -d example.test -s rsa -k "$T/rsa.pem" > "$T/m"
  run -65 verify < "$T/m"
  [ "$output" = 'permerror d=example.test s=rsa a=rsa-sha1 reason="rsa-sha1 is not accepted (RFC 8301)"' ]
}

@test "RFC 8463 appendix A: both signatures pass" {
  cat > "$T/football.zone" <<'ZONE'
$ORIGIN football.example.com.
$TTL 60
@ SOA ns root 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
brisbane._domainkey TXT ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
test._domainkey TXT ("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
 "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
 "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
 "Ip3G+2kryOTIKT+l/K4w3QIDAQAB")
ZONE
  DNS=$(free_port)
  dns_serve "$DNS" football.example.com "$T/football.zone"
  cat > "$T/m" <<'MSG'
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
MSG
  run -0 verify < "$T/m"
  [ "${lines[0]}" = 'pass d=football.example.com s=brisbane a=ed25519-sha256 reason=""' ]
  [ "${lines[1]}" = 'pass d=football.example.com s=test a=rsa-sha256 reason=""' ]
  run -0 verify --json < "$T/m"
  [ "$output" = '[{"result":"pass","d":"football.example.com","s":"brisbane","a":"ed25519-sha256","reason":""},{"result":"pass","d":"football.example.com","s":"test","a":"rsa-sha256","reason":""}]' ]
}

@test "what may be wrong with a signature, table" {
  dkim_keys
  {
    dkim_txt revoked "v=DKIM1; p="
    dkim_txt nothing "v=DKIM1; k=rsa"
    dkim_txt sha1only "v=DKIM1; h=sha1; p=$(dkim_public rsa)"
    dkim_txt notmail "v=DKIM1; s=tlsrpt; p=$(dkim_public rsa)"
    dkim_txt strict "v=DKIM1; t=s; p=$(dkim_public rsa)"
    dkim_txt testing "v=DKIM1; t=y; p=$(dkim_public rsa)"
    dkim_txt edasrsa "v=DKIM1; k=ed25519; p=$(dkim_public ed)"
    dkim_txt garbage "v=DKIM1; p=%%%"
    echo 'nokey._domainkey TXT "hello world"'
    dkim_txt both "hello"
    dkim_txt both "v=DKIM1; p=$(dkim_public rsa)"
  } >> "$T/example.zone"
  printf 'broken' > "$T/broken.zone"
  dkim_serve broken.test "$T/broken.zone"
  local bad=0 want status name change out got
  while IFS='|' read -r want status name options change; do
    want=$(echo $want) status=$(echo $status) name=$(echo $name)
    out=$(S=$name signed -t 1700000000 $options | sed -E "$change" | verify 2>&1) && got=0 || got=$?
    case $out in "$want "*) ;; *) echo "$name$options$change: $out"; bad=1 ;; esac
    [ "$got" -eq "$status" ] || { echo "$name$options$change: $out: status $got"; bad=1; }
  done <<'TABLE'
pass      | 0 | rsa |  |
pass      | 0 | testing | |
pass      | 0 | both | |
fail      | 1 | rsa | | s/Hello/Hullo/
fail      | 1 | rsa | | s/folded/falded/
fail      | 1 | rsa | | s/h=From:From/h=From/
fail      | 1 | weak | |
permerror | 65 | revoked | |
permerror | 65 | nothing | |
permerror | 65 | sha1only | |
permerror | 65 | notmail | |
permerror | 65 | edasrsa | |
permerror | 65 | garbage | |
permerror | 65 | nokey | |
permerror | 65 | absent | |
pass      | 0 | strict | -i x@example.test |
permerror | 65 | strict | -i x@sub.example.test |
permerror | 65 | rsa | -x 10 |
permerror | 65 | rsa | | s/t=1700000000/t=9900000000/
permerror | 65 | rsa | | s/v=1;/v=2;/
permerror | 65 | rsa | | s/a=rsa-sha256/a=rsa-sha512/
permerror | 65 | rsa | | s/a=rsa-sha256/a=rsa-sha1/
permerror | 65 | rsa | | s/a=rsa-sha256/a=ed25519-sha256/
permerror | 65 | rsa | | s/c=relaxed.relaxed/c=strict/
permerror | 65 | rsa | | s/ d=example.test;//
permerror | 65 | rsa | | s/d=example.test/d=test/
permerror | 65 | rsa | | s/d=example.test;/d=example.test.;/
fail      | 1 | rsa | | s/d=example.test;/d=example.test; i=a@sub. example . test;/
fail      | 1 | rsa | | s/Subject: a/Subject:\ra/
permerror | 65 | rsa | | s/d=example.test;/d=example.test; i=a@notexample.test;/
permerror | 65 | strict | | s/d=example.test;/d=example.test; i=a@sub.example.test;/
fail      | 1 | strict | | s/d=example.test;/d=example.test; i=a@EXAMPLE.test;/
permerror | 65 | rsa | | s/d=example.test/d=exa(mple.test/
permerror | 65 | rsa | | s/ s=rsa;//
permerror | 65 | rsa | | s/s=rsa;/s=r sa;/
permerror | 65 | rsa | | s/h=From:From:/h=/
permerror | 65 | rsa | | s/bh=.*$/bh=!;/
permerror | 65 | rsa | | s/t=1700000000/t=soon/
permerror | 65 | rsa | | s/t=1700000000;/t=1700000000; t=1;/
permerror | 65 | rsa | | s/t=1700000000;/q=http;/
permerror | 65 | rsa | | s/t=1700000000;/l=99999;/
permerror | 65 | rsa | | s/t=1700000000;/i=a@b.test;/
temperror | 75 | rsa | | s/d=example.test/d=broken.test/
TABLE
  [ "$bad" -eq 0 ]
}

@test "policy: valid but refused here" {
  dkim_keys; dkim_serve
  # RFC 8301: under 1024 bits (our signer refuses such a key, dkimpy does not)
  message | pydkim sign old rsa-sha256 relaxed/relaxed > "$T/m"
  run -1 verify < "$T/m"
  [ "$output" = 'policy d=example.test s=old a=rsa-sha256 reason="key under 1024 bits (RFC 8301)"' ]
  # l= that covers all is as good as none, one that leaves a rest is not
  message | pydkim sign rsa rsa-sha256 relaxed/relaxed l > "$T/m"
  grep -q 'l=[0-9]' "$T/m"
  run -0 verify < "$T/m"
  printf 'and click here\r\n' >> "$T/m"
  run -1 verify < "$T/m"
  [[ $output == 'policy '*'l= leaves body unsigned"' ]]
  # a second From above one that was signed once
  signed -H from:subject:date > "$T/m"
  { echo 'From: evil@example.org'; cat "$T/m"; } > "$T/two"
  run -1 verify < "$T/two"
  [[ $output == 'policy '*'second From is not signed"' ]]
  # rsa-sha1, whatever its mathematics say
  message | pydkim sign rsa rsa-sha1 relaxed/relaxed > "$T/m"
  run verify < "$T/m"
  [ "$status" -ne 0 ]; [[ $output != pass* ]]
}

@test "several signatures: a line each from the top down, and which status" {
  dkim_keys
  printf 'broken' > "$T/broken.zone"
  dkim_serve broken.test "$T/broken.zone"
  signed --header-only > "$T/good"
  sed 's/d=example.test/d=broken.test/' "$T/good" > "$T/temp"
  S=absent signed --header-only > "$T/perm"
  sed 's/t=1/t=10/' "$T/good" | sed 's/t=\([0-9]*\)/t=1/' > "$T/fail"
  message > "$T/m"
  status_of() { cat "$@" "$T/m" | verify | sed 's/ .*//' | tr '\n' ' '; cat "$@" "$T/m" | verify > "$T/null" && echo 0 || echo $?; }
  [ "$(status_of "$T/perm" "$T/temp" "$T/good")" = 'permerror temperror pass 0' ]
  [ "$(status_of "$T/perm" "$T/temp" "$T/fail")" = 'permerror temperror fail 75' ]
  [ "$(status_of "$T/perm" "$T/perm")" = 'permerror permerror 65' ]
  [ "$(status_of "$T/perm" "$T/fail")" = 'permerror fail 1' ]
  [ "$(status_of)" = 'none 1' ]
}

@test "no more than ten signatures are verified, and a thousand cost no more" {
  dkim_keys; dkim_serve
  signed --header-only > "$T/good"
  { for _ in $(seq 12); do cat "$T/good"; done; message; } > "$T/m"
  run -0 verify < "$T/m"
  [ "${#lines[@]}" -eq 12 ]
  [[ ${lines[9]} == pass* && ${lines[10]} == policy*'more than 10 signatures"' ]]
  # bad ones in front must not hide the rest from the count
  { for _ in $(seq 900); do echo 'DKIM-Signature: v=1; d=a.example.test; s=x; b=x'; done; message; } > "$T/m"
  run -1 verify < "$T/m"
  [ "${#lines[@]}" -eq 900 ]
}

@test "ten signatures cost two walks over the body, not ten; those of other bodies are not mixed up" {
  dkim_keys; dkim_serve
  { message; for _ in $(seq 40); do head -c 500000 /dev/zero | tr '\0' 'x' | fold -w 70; echo; done; } > "$T/big"
  mx-dkimsign -d example.test -s ed -k "$T/ed.pem" --header-only < "$T/big" > "$T/one"
  mx-dkimsign -d example.test -s ed -k "$T/ed.pem" -c simple/simple --header-only < "$T/big" > "$T/simple"
  cat "$T/one" "$T/big" > "$T/m1"
  { for _ in $(seq 5); do cat "$T/one" "$T/simple"; done; cat "$T/big"; } > "$T/m10"
  cpu() { local TIMEFORMAT=%U; { time verify < "$1" > "$T/out"; } 2>&1; }
  cpu "$T/m1" > "$T/a"; cpu "$T/m10" > "$T/b"
  [ "$(grep -c ^pass "$T/out")" -eq 10 ]
  echo "$(cat "$T/a") and $(cat "$T/b")"
  awk -v a="$(cat "$T/a")" -v b="$(cat "$T/b")" 'BEGIN { exit !(b < 5 * a + 0.05) }'
}

@test "--time verifies as of then" {
  dkim_keys; dkim_serve
  signed -t 1700000000 -x 100 > "$T/m"
  run -65 verify < "$T/m"
  [[ $output == *'reason="signature expired"' ]]
  run -0 verify --time 1700000050 < "$T/m"
  run -65 verify --time 1700000101 < "$T/m"
  run -65 verify --time 1600000000 < "$T/m"
  run -64 verify --time yesterday < "$T/m"
}

@test "one line whatever the field holds; empty input is 65" {
  DNS=$(free_port)
  printf 'DKIM-Signature: v=1; d=a"b\x01.test; s="; a=x\n y\nFrom: a@b.test\n\nx\n' > "$T/m"
  run -65 verify < "$T/m"
  [ "${#lines[@]}" -eq 1 ]
  printf 'DKIM-Signature: v=1; d=a"b.\n\ttest; s=\\; a=x\n y\nFrom: a@b.test\n\nx\n' > "$T/m"
  run -65 verify < "$T/m"
  [ "${#lines[@]}" -eq 1 ]
  run -65 verify < /dev/null
  run -64 verify operand < /dev/null
}
