# mx-dkimsign --opendkim-conf: OpenDKIM's own configuration, as it is.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() {
  common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf
  openssl genrsa -out "$T/dkim.key" 2048 2>/dev/null
  openssl genpkey -algorithm ed25519 -out "$T/ed.pem"
  message > "$T/m"
  printf 'Domain example.test\nSelector dkim\nKeyFile %s/dkim.key\n' "$T" > "$T/base"
}
teardown() { common_teardown; }

# sign LINES... : the message, signed under base and these lines
sign() { { cat "$T/base"; [ $# -eq 0 ] || printf '%s\n' "$@"; } > "$T/opendkim.conf"; mx-dkimsign --opendkim-conf "$T/opendkim.conf" < "$T/m"; }
field() { sed -n '/^DKIM-Signature/,/ b=/p' | tr -d '\n\t '; }

@test "the guide's single domain (Canonicalization, Mode sv, Domain, KeyFile, Selector, SOCKET)" {
  cat > "$T/opendkim.conf" <<X
Canonicalization relaxed/simple
Mode sv
Domain example.test
KeyFile $T/dkim.key
Selector dkim
SOCKET inet:8891@127.0.0.1
X
  mx-dkimsign --opendkim-conf "$T/opendkim.conf" < "$T/m" > "$T/out"
  grep -q 'c=relaxed/simple; d=example.test;' "$T/out"
  grep -q 's=dkim;' "$T/out"
  # and OpenDKIM, with the same file, takes what we signed
  echo "dkim._domainkey.example.test v=DKIM1; k=rsa; p=$(openssl pkey -in "$T/dkim.key" -pubout -outform DER 2>/dev/null | base64 -w0)" > "$T/opendkim.keys"
  printf 'TestPublicKeys %s/opendkim.keys\nSyslog no\nUserID root\nMode v\n' "$T" > "$T/verify.conf"
  run opendkim -x "$T/verify.conf" -t "$T/out" -vv
  [[ $output == *dkim=pass* ]]
}

@test "the other guide's tables: KeyTable, SigningTable, TrustedHosts in their folder" {
  mkdir -p "$T/keys/example.test"; cp "$T/dkim.key" "$T/keys/example.test/mail.private"
  printf '127.0.0.1\nlocalhost\n192.168.0.1/24\n*.example.test\n' > "$T/TrustedHosts"
  echo '*@example.test mail._domainkey.example.test' > "$T/SigningTable"
  echo "mail._domainkey.example.test example.test:mail:$T/keys/example.test/mail.private" > "$T/KeyTable"
  cat > "$T/opendkim.conf" <<X
AutoRestart             Yes
AutoRestartRate         10/1h
UMask                   002
Syslog                  yes
SyslogSuccess           Yes
LogWhy                  Yes
Canonicalization        relaxed/simple
ExternalIgnoreList      refile:$T/TrustedHosts
InternalHosts           refile:$T/TrustedHosts
KeyTable                refile:$T/KeyTable
SigningTable            refile:$T/SigningTable
Mode                    sv
PidFile                 /var/run/opendkim/opendkim.pid
SignatureAlgorithm      rsa-sha256
UserID                  opendkim:opendkim
Socket                  inet:12301@localhost
X
  s() { mx-dkimsign --opendkim-conf "$T/opendkim.conf" < "$T/m" | head -1; }
  [[ $(MX_CLIENT_ADDR=192.168.0.77 s) == DKIM-Signature* ]]
  [[ $(MX_CLIENT_ADDR=192.0.2.1 s) == From* ]]
  [[ $(MX_CLIENT_ADDR=192.0.2.1 MX_CLIENT_NAME=a.example.test s) == DKIM-Signature* ]]
  [[ $(MX_CLIENT_ADDR=192.0.2.1 MX_AUTH_USER=alice s) == DKIM-Signature* ]]
  # the parameter does the same
  mx-dkimsign -o opendkim_conf="$T/opendkim.conf" < "$T/m" | head -1 | grep -q ^DKIM
}

@test "Mode v signs nothing; Domain is exact unless SubDomains; lists and files of domains" {
  sign "Mode v" | cmp - "$T/m"
  sign "Mode s" | head -1 | grep -q ^DKIM
  sed -i 's/alice@example.test/alice@sub.example.test/' "$T/m"
  sign | cmp - "$T/m"
  sign "SubDomains yes" | field | grep -q 'd=example.test;'
  sign "Domain other.test, sub.example.test" | field | grep -q 'd=sub.example.test;'
  printf '# ours\nsub.example.test\n' > "$T/domains"
  sign "Domain $T/domains" | field | grep -q 'd=sub.example.test;'
  sign "domain file:$T/domains" | field | grep -q 'd=sub.example.test;'
}

@test "InternalHosts: 127.0.0.1 without it, inline lists" {
  [[ $(MX_CLIENT_ADDR=127.0.0.1 sign | head -1) == DKIM* ]]
  [[ $(MX_CLIENT_ADDR=192.0.2.1 sign | head -1) == From* ]]
  [[ $(MX_CLIENT_ADDR=192.0.2.1 sign "InternalHosts 10.0.0.0/8, 192.0.2.0/24" | head -1) == DKIM* ]]
  [[ $(MX_CLIENT_ADDR=127.0.0.1 sign "InternalHosts 10.0.0.0/8" | head -1) == From* ]]
  [[ $(MX_CLIENT_ADDR=192.0.2.1 sign "InternalHosts csl:192.0.2.1" | head -1) == DKIM* ]]
}

@test "canonicalization, SignHeaders, OversignHeaders, OmitHeaders, SignatureTTL" {
  sign | field | grep -q 'c=simple/simple;'
  sign "SignHeaders From,Subject,X-Other" | field | grep -q 'h=From:Subject:X-Other;'
  sign "SignHeaders Subject,Date" "OversignHeaders From,Subject" | field | grep -q 'h=Date:From:From:Subject:Subject;'
  sign "SignHeaders +X-Other,-Date" | field > "$T/h"
  grep -q 'X-Other:X-Other' "$T/h"
  ! grep -q 'Date' "$T/h"
  sign "OmitHeaders Subject" | field > "$T/h"
  ! grep -q 'Subject' "$T/h"
  sign "OversignHeaders From" | field | grep -q 'h=From:From:To:To'
  sign "SignatureTTL 3600" | field | grep -q 'x='
}

@test "Include; comments; a word that OpenDKIM does not know is 78 with its line" {
  echo "Selector included # really" > "$T/more"
  sign "# Selector no" "Include $T/more" | field | grep -q 's=included;'
  run -78 sign "Selectr x"
  [[ $output == *"$T/opendkim.conf:4: Selectr: not a word of this"* ]]
  # what is behind an Include counts over what is in it
  sign "Include $T/more" "Selector behind" | field | grep -q 's=behind;'
  sign "Selector before" "Include $T/more" | field | grep -q 's=included;'
  # a file that includes itself
  printf 'Include %s\n' "$T/opendkim.conf" >> "$T/opendkim.conf"
  run -78 mx-dkimsign --opendkim-conf "$T/opendkim.conf" < "$T/m"
  [[ $output == *"include one another"* ]]
  run -78 mx-dkimsign --opendkim-conf "$T/none" < "$T/m"
  run -78 sign "KeyFile $T/none"
  run -78 sign "SubDomains perhaps"
}

@test "every word of opendkim.conf(5) is known" {
  man opendkim.conf 2>/dev/null | col -b | grep -oE '^       [A-Z][A-Za-z0-9-]+ \((string|Boolean|boolean|dataset|integer|address|filename)' > "$T/words" || true
  [ -s "$T/words" ] || skip "no manual page of opendkim.conf here"
  [ "$(wc -l < "$T/words")" -gt 110 ]
  touch "$T/list"
  while read -r w kind; do
    case $w:$kind in
      Domain:* | Include:* | KeyTable:* | KeyFile:* | Selector:* | Canonicalization:* | SigningTable:* | SignatureTTL:* | Mode:*) continue ;;
      BaseDirectory:*) v=$T ;;
      UMask:*) v=007 ;;
      *oolean) v=no ;;
      *dataset) v=$T/list ;;
      *) v=x ;;
    esac
    sign "$w $v" > /dev/null || { echo "$w $v"; false; }
  done < "$T/words"
}

@test "Debian's own opendkim.conf, as it is and with the key it asks for" {
  [ -f /etc/opendkim.conf ] || skip "no /etc/opendkim.conf here"
  mx-dkimsign --opendkim-conf /etc/opendkim.conf < "$T/m" | cmp - "$T/m"
  sed "s|^#Domain.*|Domain example.test|; s|^#Selector.*|Selector 2020|; s|^#KeyFile.*|KeyFile $T/dkim.key|" /etc/opendkim.conf > "$T/debian.conf"
  mx-dkimsign --opendkim-conf "$T/debian.conf" < "$T/m" | field > "$T/h"
  grep -q 'c=relaxed/simple;d=example.test;s=2020;' "$T/h"
  grep -q 'h=[^;]*From:[^;]*From' "$T/h"
  # each example in its comments, too
  sed -E 's/^#([A-Z][A-Za-z]+[[:space:]].*)/\1/' "$T/debian.conf" | grep -vE '^(Domain example.com|Socket)' > "$T/all.conf"
  mx-dkimsign --opendkim-conf "$T/all.conf" < "$T/m" | grep -q '^DKIM-Signature'
}

@test "MultipleSignatures, SenderHeaders, ExemptDomains, DontSignMailTo, RequireSafeKeys, SignatureAlgorithm, BaseDirectory" {
  printf '*@example.test one\n*@example.test two\n' > "$T/signing"
  printf 'one example.test:a:%s/dkim.key\ntwo example.test:b:%s/ed.pem\n' "$T" "$T" > "$T/table"
  [ "$(sign "KeyTable $T/table" "SigningTable refile:$T/signing" | grep -c '^DKIM')" -eq 1 ]
  [ "$(sign "KeyTable $T/table" "SigningTable refile:$T/signing" "MultipleSignatures yes" | grep -c '^DKIM')" -eq 2 ]
  sed -i '1i Sender: s@example.test' "$T/m"; sed -i 's/^From: .*/From: x@else.test/' "$T/m"
  sign | cmp - "$T/m"
  sign "SenderHeaders Sender,From" | grep -q '^DKIM'
  sign "SenderHeaders Sender,From" "ExemptDomains example.test" | cmp - "$T/m"
  sign "SenderHeaders Sender,From" "ExemptDomains else.test" | grep -q '^DKIM'
  message > "$T/m"
  MX_RECIPIENTS=$'a@x.test\nno@y.test' sign "DontSignMailTo no@y.test" | cmp - "$T/m"
  MX_RECIPIENTS=$'a@x.test\nb@y.test' sign "DontSignMailTo no@y.test" | grep -q '^DKIM'
  MX_RECIPIENTS=b@y.test sign "DontSignMailTo *@y.test" | cmp - "$T/m"
  run -78 sign "SignatureAlgorithm rsa-sha1"
  sign "SignatureAlgorithm rsa-sha256" | grep -q '^DKIM'
  chmod 644 "$T/dkim.key"
  run -78 sign
  [[ $output == *"RequireSafeKeys"* ]]
  sign "RequireSafeKeys no" | grep -q '^DKIM'
  chmod 600 "$T/dkim.key"
  sign "BaseDirectory $T" "KeyFile dkim.key" | grep -q '^DKIM'
}
