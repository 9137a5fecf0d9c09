# ARC, RFC 8617: chains validated and sealed, here and by python3-dkim.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  dkim_keys
  printf 'gone._domainkey TXT "v=DKIM1; p="\n_dmarc TXT "v=DMARC1; p=reject"\n' >> "$T/example.zone"
  dkim_serve
  message > "$T/plain"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T M=$BATS_TEST_TMPDIR; }

arc() { mx-dnscheck --resolver 127.0.0.1:$DNS arc "$@"; }
make_arc() { T=$T /usr/bin/python3 "$ROOT/tests/lib/arcmake.py" "$@" < "$T/plain"; }
seal() { mx-dkimsign --resolver 127.0.0.1:$DNS --arc -d example.test -s rsa -k "$T/rsa.pem" --authserv-id here.test "$@"; }
pyarc() {
  DNS=$DNS T=$T /usr/bin/python3 - "$1" <<'PY'
import os, sys, dkim, dns.resolver
r = dns.resolver.Resolver(configure=False)
r.nameservers, r.port = ["127.0.0.1"], int(os.environ["DNS"])
def txt(name, timeout=5):
    return b"".join(r.resolve(name.decode().rstrip("."), "TXT")[0].strings)
cv, results, why = dkim.arc_verify(open(sys.argv[1], "rb").read(), dnsfunc=txt)
print((cv or b"none").decode(), why)
PY
}

@test "chains by hand: every rule of 5.2, table" {
  while IFS='|' read -r args want; do
    run arc < <(make_arc $args)
    [[ $output == $want* ]] || { echo "$args: $output, expected $want"; false; }
  done <<'TABLE'
1|pass i=1 oldest-pass=0
2|pass i=2 oldest-pass=0
5|pass i=5 oldest-pass=0
50|pass i=50 oldest-pass=0
3 body=1|pass i=3 oldest-pass=2
3 body=2|pass i=3 oldest-pass=3
3 subject=1|pass i=3 oldest-pass=2
3 body=3|fail i=3
1 body=1|fail i=1
1 subject=1|fail i=1
1 cv1=fail|fail i=1
2 cv2=fail|fail i=2
3 cv2=fail|fail i=3
1 cv1=pass|fail i=1
2 cv2=none|fail i=2
2 cv1=pass|fail i=2
2 cv2=other|fail i=2
2 skip=1|fail i=2
3 skip=2|fail i=3
1 drop=aar1|fail
1 drop=ams1|fail
1 drop=as1|fail
2 drop=aar1|fail
2 drop=ams1|fail
2 drop=as1|fail
2 drop=as2|fail
1 twice=aar1|fail
1 twice=ams1|fail
1 twice=as1|fail
2 twice=as1|fail
1 h=as1|fail
2 h=as1|fail
1 v=ams1|pass
1 tamper=aar1|fail
2 tamper=aar1|fail
2 tamper=aar2|fail
1 tamper=ams1|fail
3 tamper=ams2|fail
1 tamper=as1|fail
3 tamper=as1|fail
3 tamper=as3|fail
1 inst=as1:0|fail
1 inst=as1:51|fail
1 inst=as1:x|fail
1 inst=aar1:2|fail
1 inst=ams1:01|pass
51|fail
1 hadd=ams1:ARC-Seal|fail
1 hadd=ams1:arc-message-signature|fail
1 hadd=ams1:ARC-Authentication-Results|fail
1 hadd=ams1:X-Other|pass
1 nofrom=ams1|fail
1 x=ams1|fail
2 x=ams1|pass i=2 oldest-pass=2
1 sel1=weak|pass
1 sel1=old|fail
2 sel1=old|fail
1 sel1=gone|fail
1 sel1=nokey|fail
2 sel1=nokey|fail
1 alg=as1:rsa-sha1|fail
1 alg=ams1:rsa-sha1|fail
1 alg=as1:other|fail
TABLE
}

@test "none, JSON, exit status, DNS trouble is temperror" {
  run -1 arc < "$T/plain"
  [ "$output" = 'none i=0 oldest-pass=0 reason=""' ]
  make_arc 2 > "$M/two"
  run -0 arc --json < "$M/two"
  [ "$(jq -r '.result + .d' <<< "$output")" = passexample.test ]
  run -1 arc < <(make_arc 1 body=1)
  [[ $output == *'reason="message signature i=1: body hash does not match"' ]]
  run -75 mx-dnscheck --resolver 127.0.0.1:1 arc < "$M/two"
  [[ $output == temperror* ]]
  run -65 arc < /dev/null
}

@test "sealed here: one, two, three hops pass here and in python3-dkim" {
  { printf 'Authentication-Results: here.test; spf=pass smtp.mailfrom=a@b;\n dkim=pass (ok) header.d=example.test\nAuthentication-Results: other.test; spf=fail\nAuthentication-Results: here.test; dmarc=pass header.from=example.test\n'; cat "$T/plain"; } > "$M/0"
  for hop in 1 2 3; do
    seal < "$M/$((hop - 1))" > "$M/$hop"
    run -0 arc < "$M/$hop"
    [[ $output == "pass i=$hop oldest-pass=0"* ]]
    [ "$(sed -n 1p "$M/$hop" | cut -d';' -f1)" = "ARC-Seal: i=$hop" ]
    run pyarc "$M/$hop"
    [[ $output == "pass success" ]]
  done
  # ours in order, no others; the rest byte for byte
  sed -n '/^ARC-Auth/,/^Authentication/p' "$M/1" | head -n -1 | tr -s '\n\t' ' ' > "$M/aar"
  [ "$(cat "$M/aar")" = "ARC-Authentication-Results: i=1; here.test; spf=pass smtp.mailfrom=a@b; dkim=pass (ok) header.d=example.test; dmarc=pass header.from=example.test " ]
  tail -c "$(stat -c %s "$M/0")" "$M/1" | cmp - "$M/0"
}

@test "sealed in python3-dkim: passes here, and we continue the chain" {
  { printf 'Authentication-Results: py.test; spf=pass smtp.mailfrom=a@b\n'; cat "$T/plain"; } | sed 's/$/\r/' > "$M/0"
  DNS=$DNS T=$T /usr/bin/python3 - "$M" <<'PY'
import os, subprocess, sys, dkim
m = open(sys.argv[1] + "/0", "rb").read()
key = subprocess.run(["openssl", "rsa", "-traditional", "-in", os.environ["T"] + "/rsa.pem"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
f = dkim.arc_sign(m, b"rsa", b"example.test", key, b"py.test")
open(sys.argv[1] + "/1", "wb").write(b"".join(f) + m)
PY
  run -0 arc < "$M/1"
  [[ $output == "pass i=1"* ]]
  seal < "$M/1" > "$M/2"
  run -0 arc < "$M/2"
  [[ $output == "pass i=2"* ]]
  run pyarc "$M/2"
  [[ $output == "pass success" ]]
  # CRLF stays CRLF
  ! grep -qv $'\r$' "$M/2"
}

@test "a chain that fails now gets a set with cv=fail; a failed one stays as it is" {
  make_arc 2 body=2 > "$M/broken"
  seal < "$M/broken" > "$M/sealed"
  grep -q '^ARC-Seal: i=3;.*cv=fail' "$M/sealed"
  run -1 arc < "$M/sealed"
  [[ $output == 'fail i=3'*'newest seal says cv=fail'* ]]
  seal < "$M/sealed" > "$M/again"
  cmp "$M/sealed" "$M/again"
}

@test "the seal of cv=fail covers its own set alone (5.1.2)" {
  make_arc 1 body=1 | seal > "$M/x"
  T=$T /usr/bin/python3 - "$M/x" <<'PY'
import base64, os, re, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
head = open(sys.argv[1], "rb").read().split(b"\n\n")[0]
f = re.split(rb"\n(?![ \t])", head)[:3]
def relaxed(x):
    n, v = x.split(b":", 1)
    return n.lower() + b":" + re.sub(rb"[ \t\r\n]+", b" ", v).strip() + b"\r\n"
seal, ams, aar = f
b = base64.b64decode(re.sub(rb"\s", b"", seal.rsplit(b"b=", 1)[1]))
data = relaxed(aar) + relaxed(ams) + relaxed(seal.rsplit(b"b=", 1)[0] + b"b=")[:-2]
k = serialization.load_pem_private_key(open(os.environ["T"] + "/rsa.pem", "rb").read(), None).public_key()
k.verify(b, data, padding.PKCS1v15(), hashes.SHA256())
PY
}

@test "DKIM-Signatures are covered; DNS trouble seals nothing: 75" {
  mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" < "$T/plain" | seal > "$M/x"
  sed -n '/^ARC-Message-Signature/,/^[^\t]/p' "$M/x" | tr -d '\n\t ' | grep -q 'DKIM-Signature;bh='
  run -75 --separate-stderr mx-dkimsign --resolver 127.0.0.1:1 --arc -d example.test -s rsa -k "$T/rsa.pem" --authserv-id here.test < "$M/x"
  [ -z "$output" ]
  # the first set needs no DNS
  run -0 mx-dkimsign --resolver 127.0.0.1:1 --arc -d example.test -s rsa -k "$T/rsa.pem" --authserv-id here.test < "$T/plain"
}

@test "50 sets are enough; no From is 65; usage 64; configuration" {
  make_arc 50 > "$M/50"
  seal < "$M/50" | cmp - "$M/50"
  run -65 seal < <(printf 'To: a@b\n\nx\n')
  run -64 mx-dkimsign --arc -d example.test -s rsa -k "$T/rsa.pem" < "$T/plain"
  run -64 seal -k "$T/rsa.pem" < "$T/plain"
  run -64 seal -H from:arc-seal < "$T/plain"
  run -64 seal -H from:Authentication-Results < "$T/plain"
  # nothing configured: unchanged
  mx-dkimsign --arc < "$T/plain" | cmp - "$T/plain"
  mx-dkimsign --arc -o arc_domain=example.test -o arc_selector=rsa -o arc_key_file="$T/rsa.pem" -o authserv_id=conf.test < "$T/plain" > "$M/x"
  grep -q 'i=1; conf.test; none' "$M/x"
  run -0 arc < "$M/x"
  run -78 mx-dkimsign --arc -o arc_domain=example.test < "$T/plain"
}

@test "auth: arc_verify adds the result; off by default" {
  seal < "$T/plain" > "$M/x"
  run -0 mx-dnscheck --resolver 127.0.0.1:$DNS auth --authserv-id me.test < "$M/x"
  ! grep -q 'arc=' <<< "$output"
  run -0 mx-dnscheck --resolver 127.0.0.1:$DNS -o arc_verify=yes auth --authserv-id me.test --client-addr 192.0.2.7 < "$M/x"
  echo "$output"
  tr -s '\n\t' ' ' <<< "$output" | grep -q 'arc=pass (i=1) header.oldest-pass=0.*smtp.remote-ip=192.0.2.7'
}

@test "--header-only prints the set alone" {
  seal --header-only < "$T/plain" > "$M/set"
  cat "$M/set" "$T/plain" > "$M/x"
  run -0 arc < "$M/x"
}

@test "auth: a seal of dmarc_trusted_sealers outweighs a DMARC failure; no other, none that fails" {
  judge() { mx-dnscheck --resolver 127.0.0.1:$DNS -o dmarc_reject_failures=yes "$@" auth --authserv-id me.test --client-addr 192.0.2.7 --sender x@y.test --helo x < "$M/x"; }
  seal < "$T/plain" > "$M/x"
  run -69 judge
  run -69 judge -o dmarc_trusted_sealers=other.test
  run -0 judge -o dmarc_trusted_sealers=other.test,Example.TEST
  [[ $output == *"me.test; dmarc=fail (p=reject dis=none arc=pass)"* ]]
  [[ $output == *"arc=pass (i=1)"* ]]
  printf '# ours\nexample.test\n' > "$M/sealers"
  run -0 judge -o dmarc_trusted_sealers="$M/sealers"
  # as opendmarc.conf says it
  printf 'RejectFailures yes\nDomainWhitelist other.test\nDomainWhitelistFile %s\n' "$M/sealers" > "$M/opendmarc.conf"
  run -0 judge -o opendmarc_conf="$M/opendmarc.conf"
  seal < "$T/plain" | sed 's/last line/another line/; s/^Subject: /Subject: x/' > "$M/x"
  run -69 judge -o dmarc_trusted_sealers=example.test
}
