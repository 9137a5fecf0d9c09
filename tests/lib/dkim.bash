# Keys, their records in a zone that NSD serves, and other people's DKIM.
# dkim_keys: keys rsa (2048), ed, weak (1024), old (768 bits) of example.test
# in $T, the records in $T/example.zone.
dkim_keys() {
  local k
  openssl genrsa -out "$T/rsa.pem" 2048 2>/dev/null
  openssl genrsa -out "$T/weak.pem" 1024 2>/dev/null
  openssl genrsa -out "$T/old.pem" 768 2>/dev/null
  openssl genpkey -algorithm ed25519 -out "$T/ed.pem"
  {
    printf '$ORIGIN example.test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'
    for k in rsa weak old ed; do dkim_txt "$k" "v=DKIM1; k=${k/#*/$([ "$k" = ed ] && echo ed25519 || echo rsa)}; p=$(dkim_public "$k")"; done
  } > "$T/example.zone"
}

# dkim_public KEY: the p= of $T/KEY.pem
dkim_public() {
  if [ "$1" = ed ]; then
    openssl pkey -in "$T/$1.pem" -pubout -outform DER 2>/dev/null | tail -c 32 | base64 -w0
  else
    openssl pkey -in "$T/$1.pem" -pubout -outform DER 2>/dev/null | base64 -w0
  fi
}

# dkim_txt SELECTOR TEXT: a zone line, in strings of 200 bytes
dkim_txt() {
  printf '%s._domainkey TXT' "$1"
  printf '%s' "$2" | fold -w 200 | while read -r part || [ -n "$part" ]; do printf ' "%s"' "$part"; done
  echo
}

# dkim_serve: the zone on 127.0.0.1:$DNS, and in opendkim's form
dkim_serve() {
  DNS=$(free_port)
  dns_serve "$DNS" example.test "$T/example.zone" "$@"
  local k
  for k in rsa ed weak; do
    echo "$k._domainkey.example.test v=DKIM1; k=$([ "$k" = ed ] && echo ed25519 || echo rsa); p=$(dkim_public "$k")"
  done > "$T/opendkim.keys"
  printf 'Mode v\nTestPublicKeys %s/opendkim.keys\nSyslog no\nUserID root\n' "$T" > "$T/opendkim.conf"
}

# opendkim_verifies FILE: all signatures pass in OpenDKIM
opendkim_verifies() {
  local out
  out=$(cd "$T" && opendkim -x opendkim.conf -t "$1" -vv 2>&1) || { echo "$out"; return 1; }
  case $out in *dkim=fail*|*dkim=permerror*|*dkim=neutral*|*dkim=policy*) echo "$out"; return 1 ;; esac
  case $out in *dkim=pass*) ;; *) echo "$out"; return 1 ;; esac
}

# opendkim_signs FILE CANON: the field that OpenDKIM makes with the key rsa
opendkim_signs() {
  printf 'Mode s\nCanonicalization %s\nDomain example.test\nSelector rsa\nKeyFile %s/rsa.pem\nSyslog no\nUserID root\nRequireSafeKeys no\n' "$2" "$T" > "$T/sign.conf"
  opendkim -x "$T/sign.conf" -t "$1" -vv 2>"$T/null" | sed -n "/hname='DKIM-Signature'/,/'\$/p" |
    sed "s/.*hvalue='/DKIM-Signature: /; s/'\$//"
}

# pydkim verify FILE | sign SELECTOR ALG CANON [l]: python3-dkim with our DNS
pydkim() { DNS=$DNS T=$T /usr/bin/python3 "$ROOT/tests/lib/pydkim.py" "$@"; }

# message: one with folds, blanks at line ends, and empty lines at the end
message() {
  printf 'From: Alice A. <alice@example.test>\nTo: bob@example.net\nSubject: a folded\n\tsubject   line \nDate: Sat, 21 Nov 2026 09:00:00 +0000\nMessage-ID: <1@example.test>\nList-Id: <l.example.test>\nX-Other: x\n\nHello  there \n\n\t.dot and tab\t\nlast line\n\n\n'
}
