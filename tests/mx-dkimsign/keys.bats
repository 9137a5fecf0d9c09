# mx-dkimsign --genkey and --testkey; the examples of its page.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; cd "$T"; }
teardown() { common_teardown; }

# zone SELECTOR...: the .txt files in a zone of example.test, served
zone() {
  { printf '$ORIGIN example.test.\n$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'; cat "$@"; } > example.zone
  DNS=$(free_port)
  dns_serve "$DNS" example.test "$T/example.zone" broken.test "$T/none.zone"
}

@test "--genkey: key 0600, record in one TXT of a zone file, never overwritten" {
  mkdir keys
  run -0 mx-dkimsign --genkey -d example.test -s mail -D keys
  [ "$(stat -c %a keys/mail.private)" = 600 ]
  [ "$(openssl rsa -in keys/mail.private -noout -text 2>/dev/null | sed -n 's/.*Private-Key: (\([0-9]*\) bit.*/\1/p')" = 2048 ]
  [[ $(head -1 keys/mail.txt) == 'mail._domainkey	IN	TXT	( "v=DKIM1; '* ]]
  sum=$(cat keys/* | sha256sum)
  run mx-dkimsign --genkey -d example.test -s mail -D keys
  [ "$status" -ne 0 ]
  [ "$sum" = "$(cat keys/* | sha256sum)" ]
  mx-dkimsign --genkey -d example.test -s big -b 4096
  mx-dkimsign --genkey -d example.test -s ed -a ed25519
  zone keys/mail.txt big.txt ed.txt
  for s in keys/mail big ed; do
    message | mx-dkimsign -d example.test -s "${s#keys/}" -k "$s.private" > signed
    run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < signed
    [[ $output == pass* ]]
  done
}

@test "--genkey: the record as one text and in strings, for forms; what is printed is a zone still" {
  mx-dkimsign --genkey -d example.test -s mail > out
  zone out
  # what DNS holds, joined, is the one text; and so are the strings
  drill -p "$DNS" @127.0.0.1 mail._domainkey.example.test TXT | sed -n 's/^mail.*IN[[:space:]]*TXT[[:space:]]*//p' | sed 's/" "//g; s/"//g' > dns
  [ "$(wc -c < dns)" -gt 400 ]
  sed -n '/^; as one text:/,/^; in strings:/s/^; value  //p' out | cmp - dns
  sed -n '/^; in strings:/,$s/^; value  //p' out > strings
  sed 's/" "//g; s/"//g' strings | cmp - dns
  [ "$(grep -o '"[^"]*"' strings | awk 'length > 257' | wc -l)" -eq 0 ]
}

@test "a key and record of opendkim-genkey are as good as ours" {
  opendkim-genkey -d example.test -s theirs -b 2048
  zone theirs.txt
  run -0 mx-dkimsign --testkey --resolver "127.0.0.1:$DNS" -d example.test -s theirs -k theirs.private
  message | mx-dkimsign -d example.test -s theirs -k theirs.private > signed
  run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < signed
}

@test "--genkey: what is refused" {
  run -64 mx-dkimsign --genkey -d example.test -s x -b 1023
  run -64 mx-dkimsign --genkey -d example.test -s x -b many
  run -64 mx-dkimsign --genkey -d example.test
  run -64 mx-dkimsign --genkey -s x
  run -64 mx-dkimsign --genkey -d example.test -s x -a dsa
  run -64 mx-dkimsign --genkey -d example.test -s ../x
  run -64 mx-dkimsign --genkey -d 'a b' -s x
  run mx-dkimsign --genkey -d example.test -s x -D none
  [ "$status" -ne 0 ]
  [ -z "$(ls *.private *.txt 2>/dev/null)" ]
}

@test "--testkey: 0 this key, 1 another, none or revoked, 75 trouble" {
  mx-dkimsign --genkey -d example.test -s mail
  mx-dkimsign --genkey -d example.test -s ed -a ed25519
  echo 'revoked._domainkey TXT "v=DKIM1; p="' > more
  sed 's/^mail/moved/' mail.txt >> more
  echo 'text._domainkey TXT "no key"' >> more
  zone mail.txt ed.txt more
  testkey() { mx-dkimsign --testkey --resolver "127.0.0.1:$DNS" "$@"; }
  run -0 testkey -d example.test -s mail -k mail.private
  run -0 testkey -d example.test -s ed -k ed.private
  run -0 testkey -d example.test -s moved -k mail.private
  run -1 testkey -d example.test -s mail -k ed.private
  [ -n "$output" ]
  run -1 testkey -d example.test -s revoked -k mail.private
  run -1 testkey -d example.test -s absent -k mail.private
  run -1 testkey -d example.test -s text -k mail.private
  run -75 testkey -d broken.test -s mail -k mail.private
  run -75 mx-dkimsign --testkey --resolver "127.0.0.1:$(free_port)" -d example.test -s mail -k mail.private
  run -78 testkey -d example.test -s mail -k none.private
  run -64 testkey -d example.test -s mail
}

@test "a key under a passphrase is refused: the message is not asked for it" {
  openssl genpkey -algorithm ed25519 -aes128 -pass 'pass:X: secret' -out key.pem
  { echo 'X: secret'; message; } > m
  run -78 setsid -w mx-dkimsign -d example.test -s x -k key.pem < m
  [[ $output == *"key.pem: expected a private key in PEM, without a passphrase"* ]]
  [[ $output != *DKIM-Signature* ]]
}
