# Values: main.cf's syntax, $name in all its forms, -o, --set, --parameters.
load ../lib/common

setup() { common_setup; : > "$T/mx.conf"; }
teardown() { common_teardown; }

# value NAME TEXT: what NAME is in a file with this text
value() {
  printf '%b\n' "$2" > "$T/mx.conf"
  mx-submit -c "$T/mx.conf" -v --parameters | grep -B1 "^$1 = " | sed -n 's/^# is now: //p; t; s/^'"$1"' = //p' | head -1
}

@test "the table of expansions" {
  local n=0 name text want got
  while IFS='|' read -r text want; do
    got=$(value syslog_name "x = yes\nempty =\nn = 10\n${text//\\/\\\\}")
    [ "$got" = "$want" ] || { echo "$text: \"$got\", expected \"$want\""; return 1; }
    n=$((n + 1))
  done <<'T'
syslog_name = $x|yes
syslog_name = a${x}b|ayesb
syslog_name = a$(x)b|ayesb
syslog_name = a$x-b|ayes-b
syslog_name = ${x?set}|set
syslog_name = ${empty?set}|
syslog_name = ${empty:unset}|unset
syslog_name = ${x:unset}|yes
syslog_name = ${x?{a b}:{c}}|a b
syslog_name = ${empty?{a}:{c d}}|c d
syslog_name = ${empty?{a}:{${x?{in}:{out}}}}|in
syslog_name = ${nobody}z|z
syslog_name = $$x|$x
syslog_name = 5 $ each|5 $ each
syslog_name = ${{$x} == {yes} ? {same} : {other}}|same
syslog_name = ${{$x} != {yes} ? {same} : {other}}|other
syslog_name = ${{$n} < {9} ? {text} : {number}}|number
syslog_name = ${{$n} >= {9} ? {number}}|number
syslog_name = ${{abc} < {abd} ? {less} : {more}}|less
T
  [ "$n" -eq 19 ]
}

@test "lazy: what is set later in the file counts, and so does -o" {
  printf 'syslog_name = $later\nlater = one\n' > "$T/mx.conf"
  run mx-submit -c "$T/mx.conf" -v --parameters
  [[ $output == *"# is now: one"* ]]
  printf 'mydomain = example.org\nmyhostname = h.$mydomain\nmyorigin = $myhostname\n' > "$T/mx.conf"
  run bash -c 'mx-submit -c "$T/mx.conf" -O mydomain=example.com -bv someone < /dev/null'
  [ "$output" = "someone@h.example.com" ]
}

@test "values that multiply end with a sentence, not with the machine" {
  local i
  { echo 'a0 ='; for i in $(seq 18); do echo "a$i = \$a$((i - 1))\$a$((i - 1))\$a$((i - 1))\$a$((i - 1))"; done
    echo 'syslog_name = $a18'; } > "$T/mx.conf"
  run timeout 20 mx-submit -c "$T/mx.conf" --check-config
  [ "$status" -eq 78 ]
  [[ $output == *"syslog_name: over 10000 \$names"* ]]
}

@test "continuation lines, comments and blank lines between them" {
  [ "$(value mynetworks 'mynetworks = 10.0.0.0/8\n# no\n\n   # neither\n\t127.0.0.0/8  \nmydomain = x')" = "10.0.0.0/8 127.0.0.0/8" ]
  [ "$(value mynetworks 'mynetworks=10.0.0.0/8\r')" = "10.0.0.0/8" ]
}

@test "host name: the system's, made full; \$mydomain behind it; myorigin a file" {
  local bare; bare=$(hostname); bare=${bare%%.*}
  run bash -c 'mx-submit -c "$T/mx.conf" -bv someone < /dev/null'
  [[ $output == "someone@$bare."* ]]
  [[ $(hostname) == *.* ]] || {
    run bash -c 'mx-submit -c "$T/mx.conf" -O mydomain=example.net -bv someone < /dev/null'
    [ "$output" = "someone@$bare.example.net" ]
  }
  printf '\nmail.example.org\nother\n' > "$T/mailname"
  run bash -c 'mx-submit -c "$T/mx.conf" -O myorigin=$T/mailname -bv someone < /dev/null'
  [ "$output" = "someone@mail.example.org" ]
}

@test "--set changes one assignment, keeps comments and all else" {
  printf '# top\nmydomain = a.b\n# middle\nmynetworks = 10.0.0.0/8,\n # inside\n   11.0.0.0/8\nmydomain = c.d\n# end\n' > "$T/mx.conf"
  chmod 640 "$T/mx.conf"
  run mx-submit -c "$T/mx.conf" --set 'mydomain = e.f'
  [ "$status" -eq 0 ] && [ -z "$output" ]
  run mx-submit -c "$T/mx.conf" --set 'mynetworks=[::1]/128'
  [ "$status" -eq 0 ]
  run mx-submit -c "$T/mx.conf" --set submission/log_format=json
  [ "$status" -eq 0 ]
  printf '# top\nmydomain = a.b\n# middle\nmynetworks = [::1]/128\n # inside\nmydomain = e.f\n# end\nsubmission/log_format = json\n' > "$T/want"
  diff "$T/want" "$T/mx.conf"
  [ "$(stat -c %a "$T/mx.conf")" = 640 ]
  [ "$(ls "$T" | wc -l)" -eq 2 ]
}

@test "--set refuses unknown names and bad values and leaves the file" {
  printf 'mydomain = a.b' > "$T/mx.conf"
  cp "$T/mx.conf" "$T/old"
  run mx-submit -c "$T/mx.conf" --set mydomian=c.d
  [ "$status" -eq 78 ]
  [[ $output == *"did you mean mydomain?"* ]]
  run mx-submit -c "$T/mx.conf" --set sandbox=perhaps
  [ "$status" -eq 78 ]
  run mx-submit -c "$T/mx.conf" --set sandbox
  [ "$status" -eq 64 ]
  run mx-submit -c "$T/mx.conf" --set $'mydomain=a\nmyhostname=b'
  [ "$status" -eq 64 ]
  cmp "$T/mx.conf" "$T/old"
}

@test "--set makes a file, writes through a link, and fails whole" {
  run mx-submit -c "$T/new.conf" --set mydomain=a.b
  [ "$status" -eq 0 ]
  [ "$(cat "$T/new.conf")" = "mydomain = a.b" ]
  ln -s new.conf "$T/link.conf"
  run mx-submit -c "$T/link.conf" --set mydomain=c.d
  [ "$status" -eq 0 ]
  [ -L "$T/link.conf" ] && [ "$(cat "$T/new.conf")" = "mydomain = c.d" ]
}

@test "--lookup: found 0, none 1, trouble 75, no key 64" {
  printf 'a@b.c  Right here \n' > "$T/t"
  run mx-submit --lookup "hash:$T/t" a@b.c
  [ "$status" -eq 0 ] && [ "$output" = "Right here" ]
  run mx-submit --lookup "hash:$T/t" x@b.c
  [ "$status" -eq 1 ] && [ -z "$output" ]
  run mx-submit --lookup "hash:$T/gone" x
  [ "$status" -eq 75 ]
  [[ $output == *"$T/gone"* ]]
  run mx-submit --lookup "hash:$T/t"
  [ "$status" -eq 64 ]
}

@test "an unknown option is 64 and names --help; --version and --help are 0" {
  run mx-submit --no-such-option
  [ "$status" -eq 64 ]
  [[ $output == *"mx-submit --help"* ]]
  run mx-submit --version
  [ "$status" -eq 0 ]
  run mx-submit --help
  [ "$status" -eq 0 ]
  [[ $output == "usage: mx-submit"* ]]
}
