# mx-dkimsign with OpenDKIM's files as they are: KeyTable, SigningTable,
# TrustedHosts.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() {
  common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf
  openssl genpkey -algorithm ed25519 -out "$T/ed.pem"
  mkdir -p "$T/keys/example.test"; cp "$T/ed.pem" "$T/keys/example.test/mail.private"
  cat > "$T/KeyTable" <<EOT
# name domain:selector:file
mail._domainkey.example.test example.test:mail:$T/ed.pem
other other.test:o:$T/ed.pem
any %:any:$T/ed.pem
example.test %:bydomain:$T/keys/%/mail.private
gone gone.test:g:$T/none.pem
short short.test:s
EOT
}
teardown() { common_teardown; }

# who ADDRESS: "d s i" of the signature that a message from ADDRESS gets
who() {
  message | sed "s/<alice@example.test>/<$1>/" > "$T/m"
  mx-dkimsign --key-table "$T/KeyTable" --signing-table "$SIGNING" "${@:2}" < "$T/m" > "$T/out" || return
  if cmp -s "$T/m" "$T/out"; then echo unsigned; return; fi
  tail -c "$(stat -c %s "$T/m")" "$T/out" | cmp - "$T/m" || return
  local h; h=$(sed -n '/^DKIM/,/ b=/p' "$T/out" | tr -d '\n' | tr '\t' ' ')
  tag() { grep -o " $1=[^;]*;" <<< "$h" | head -1 | sed "s/^ $1=//; s/;\$//"; }
  echo "$(tag d) $(tag s)$(grep -o ' i=[^;]*' <<< "$h" | head -1)"
}
# table WANT ADDRESS lines on stdin
table() {
  local bad=0 addr want got
  while IFS='|' read -r addr want; do
    got=$(who "$addr" 2>&1) || got="status $?"
    [ "$got" = "$want" ] || { echo "$addr: $got, not $want"; bad=1; }
  done
  return $bad
}

@test "refile: patterns, the first match signs; comments, no match" {
  printf '# comment\n*@sub.example.test other\n*@example.test mail._domainkey.example.test\nali*@Wild.test any # first\n*@wild.test other\nplain@lit.test other\n*@gone.test gone\n' > "$T/SigningTable"
  SIGNING=refile:$T/SigningTable
  table <<'TABLE'
alice@example.test|example.test mail
Alice@EXAMPLE.test|example.test mail
alice@sub.example.test|other.test o
alice@wild.test|wild.test any
bob@wild.test|other.test o
plain@lit.test|other.test o
x@lit.test|unsigned
alice@notexample.test|unsigned
alice@elsewhere.test|unsigned
TABLE
}

@test "without a prefix a * makes a pattern, other keys are addresses and domains" {
  printf 'boss@example.test other\nexample.test mail._domainkey.example.test\n.example.test any\n*@*.glob.test other\n' > "$T/SigningTable"
  SIGNING=$T/SigningTable
  table <<'TABLE'
boss@example.test|other.test o
alice@example.test|example.test mail
alice@a.b.example.test|a.b.example.test any
alice@x.glob.test|other.test o
alice@glob.test|unsigned
TABLE
}

@test "file: the most precise key is taken, whatever the order" {
  printf '* other\n.test any\n.example.test other\nexample.test mail._domainkey.example.test\nboss@.example.test any\nboss@example.test %%\nmaster@* any\n' > "$T/SigningTable"
  SIGNING=file:$T/SigningTable
  table <<'TABLE'
boss@example.test|example.test bydomain
alice@example.test|example.test mail
boss@sub.example.test|sub.example.test any
alice@sub.example.test|other.test o
alice@some.test|some.test any
master@example.org|example.org any
alice@example.org|other.test o
TABLE
}

@test "% stands for the From domain; i= from the second field, left out when outside d=" {
  printf '*@example.test %% @%%\n*@other.test other boss@sub.%%\n*@x.test other me@x.test\n' > "$T/SigningTable"
  SIGNING=refile:$T/SigningTable
  table <<'TABLE'
alice@example.test|example.test bydomain i=@example.test
alice@other.test|other.test o i=boss@sub.other.test
alice@x.test|other.test o
TABLE
}

@test "trouble in the tables is 78 with nothing written" {
  printf '*@example.test nokey\n*@gone.test gone\n*@short.test short\n*@noprefix.test %%\n' > "$T/SigningTable"
  SIGNING=refile:$T/SigningTable
  for a in alice@example.test alice@gone.test alice@short.test; do
    run -78 --separate-stderr who "$a"
    [ ! -s "$T/out" ]; [ -n "$stderr" ]
  done
  SIGNING=$T/none run -78 who alice@example.test
  # a From domain never leads a path elsewhere
  printf '*@* example.test\n' > "$T/SigningTable"
  SIGNING=refile:$T/SigningTable run -0 who alice@example.test
  for a in 'a@../../keys/example.test' 'a@"/x"' 'a@[../x]'; do
    message > "$T/m"
    A=$a perl -pi -e 's/<alice\@example.test>/<$ENV{A}>/' "$T/m"
    run mx-dkimsign --key-table "$T/KeyTable" --signing-table "refile:$T/SigningTable" < "$T/m"
    [[ $output != *d=* ]]
  done
}

@test "trusted hosts: others pass unsigned, logins are signed" {
  printf '*@example.test mail._domainkey.example.test\n' > "$T/SigningTable"
  SIGNING=refile:$T/SigningTable
  printf '127.0.0.1\nlocalhost\n192.168.0.1/24\n!192.168.0.66\n*.example.test\n.dot.test\n!bad.dot.test\n2001:db8::/32\n[198.51.100.1]\n198.51.100.9\n!198.51.100.0/24\n' > "$T/TrustedHosts"
  local bad=0 addr name want got
  while read -r addr name want; do
    got=$(MX_CLIENT_ADDR=$addr MX_CLIENT_NAME=$name who alice@example.test --trusted-hosts "$T/TrustedHosts") || got=$?
    [ "$got" = "${want/signed/example.test mail}" ] || [ "$got$want" = "unsignedno" ] || { echo "$addr $name: $got"; bad=1; }
  done <<'TABLE'
127.0.0.1 localhost signed
127.0.0.9 unknown signed
192.168.0.7 unknown signed
192.168.0.66 unknown no
192.168.1.7 unknown no
203.0.113.5 host.example.test signed
203.0.113.5 example.test no
203.0.113.5 a.dot.test signed
203.0.113.5 bad.dot.test no
2001:db8:1::1 unknown signed
2001:db9::1 unknown no
198.51.100.1 unknown signed
198.51.100.9 unknown signed
198.51.100.8 unknown no
unknown unknown no
TABLE
  [ "$bad" -eq 0 ]
  MX_CLIENT_ADDR=203.0.113.5 MX_AUTH_USER=alice run -0 who alice@example.test --trusted-hosts "$T/TrustedHosts"
  [ "$output" = 'example.test mail' ]
  # no client at all: a local submission
  run -0 who alice@example.test --trusted-hosts "$T/TrustedHosts"
  [ "$output" = 'example.test mail' ]
  MX_CLIENT_ADDR=203.0.113.5 run -78 who alice@example.test --trusted-hosts "$T/none"
}

@test "the tables as parameters, for a stage" {
  printf '*@example.test mail._domainkey.example.test\n' > "$T/SigningTable"
  printf 'dkim_key_table = %s/KeyTable\ndkim_signing_table = refile:%s/SigningTable\ndkim_trusted_hosts = %s/TrustedHosts\n' "$T" "$T" "$T" > "$T/mx.conf"
  echo 127.0.0.1 > "$T/TrustedHosts"
  message | MX_CLIENT_ADDR=127.0.0.1 mx-dkimsign > "$T/out"
  grep -q ' d=example.test;' "$T/out"
  message > "$T/m"
  MX_CLIENT_ADDR=192.0.2.1 mx-dkimsign < "$T/m" | cmp - "$T/m"
}

@test "an odd domain in From is nobody's, with a key of all domains, too: 65, no error of the table" {
  printf '*@* any\n' > "$T/s"
  message | sed 's/<alice@example.test>/<alice@[192.0.2.1]>/' > "$T/m"
  run -65 mx-dkimsign --key-table "$T/KeyTable" --signing-table "refile:$T/s" < "$T/m"
  [[ $output == *"not a plain name"* ]]
}
