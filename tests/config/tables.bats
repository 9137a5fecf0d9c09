# Tables: the same answers as Postfix's own readers give, and what is wrong
# with a table said with file and line.
load ../lib/common

setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

# same SPEC KEY...: postmap -q and --lookup agree on value and on "none"
same() {
  local spec=$1 key want got ws gs; shift
  for key; do
    ws=0; want=$(postmap -q "$key" "$spec" 2>/dev/null) || ws=$?
    gs=0; got=$(mx-submit --lookup "$spec" "$key" 2>"$T/err") || gs=$?
    [ "$want" = "$got" ] && [ "$ws" = "$gs" ] || {
      echo "$spec [$key]: Postfix \"$want\" ($ws), mx \"$got\" ($gs)"; cat "$T/err"; return 1
    }
  done
}

# type NAME: this Postfix has that type
type_there() { postconf -m 2>/dev/null | grep -qx "$1" || skip "this Postfix has no $1"; }

@test "texthash: as Postfix reads it" {
  type_there texthash
  cat > "$T/t" <<'F'
# comment
jo@example.org  jo/
JO@Example.com	Jo Upper
two   words and  more
cont first
   second
	third

   # a comment within
next value
[host]:587 user:pass
192.0.2.1 OK
long@key.example              v
F
  same "texthash:$T/t" jo@example.org JO@EXAMPLE.ORG jo@example.com two cont next '[host]:587' 192.0.2.1 long@key.example none second
}

@test "inline, static, unionmap: as Postfix reads them" {
  type_there inline
  same 'inline:{a=b, c=d}' a c A x
  same 'inline:{ {k = v w}, {b = 2} c=3 }' k b v c
  same 'static:yes' anything
  same 'unionmap:{static:one,inline:{k=two}}' k x
}

@test "regexp: as Postfix reads it" {
  type_there regexp
  cat > "$T/r" <<'F'
# comment
/^(.+)@lists\.example\.org$/    $1@other.example
/^POSTmaster@/i    case counts
/^([a-z]+)-([0-9]+)@/  ${2}x$1$$
!/example/    outside
if /sub/
/^a.*sub/   a-sub
if !/^b/
/c$/  not b, ends in c
endif
endif
/[\]@w/ bracket
/[[:digit:]]{3}/  digits
/one|two/
   continued
F
  same "regexp:$T/r" dev@lists.example.org DEV@LISTS.EXAMPLE.ORG postmaster@example POSTmaster@example \
    abc-42@example a.sub.example c.sub.example.c b.sub.example.c 'example\@w' example555 example.two example other
}

@test "pcre: as Postfix reads it" {
  type_there pcre
  cat > "$T/p" <<'F'
/^(?:x|y)-(\w+)@example$/  $1
/^(\d+)(?=@)/x  number $1
!/example/  outside
if /^in/
/(\S+)\.example/ got $(1)
endif
|pipe/delim|  other delimiter
/a{2}$/
  two a
F
  same "pcre:$T/p" x-jo@example 55@example abc in.a.example in.example pipe/delim.example exampleaa Y-JO@EXAMPLE example
}

@test "cidr: as Postfix reads it" {
  type_there cidr
  cat > "$T/c" <<'F'
192.0.2.1            one
192.0.2.0/25         low
if 198.51.100.0/24
198.51.100.5         five
!198.51.100.0/28     high
endif
[2001:db8::]/32      six
2001:db9::1          single
::/0                 any six
F
  same "cidr:$T/c" 192.0.2.1 192.0.2.2 192.0.2.200 198.51.100.5 198.51.100.6 198.51.100.77 2001:db8::5 2001:db9::1 2001:dba::1 203.0.113.1
  # what is no address of the family is not "outside" either
  printf '192.0.2.1 one\nif !192.0.2.0/24\n203.0.113.0/24 in\nendif\n!10.0.0.0/8 out\n!2001:db8::/32 six\n' > "$T/c2"
  same "cidr:$T/c2" 192.0.2.1 203.0.113.1 10.1.1.1 198.51.100.1 2001:db8::1 2001:db9::1 unknown mail.example.org 198.51.100 10 ''
}

@test "the table of tables that cannot be read: FILE:LINE and what was expected, 75" {
  local n=0 type text want
  while IFS='|' read -r type text want; do
    printf '%b' "$text" > "$T/t"
    run mx-submit --lookup "$type:$T/t" key
    [ "$status" -eq 75 ] || { echo "$type $text: $status $output"; return 1; }
    [[ $output == *"$want"* ]] || { echo "$type $text: no \"$want\" in: $output"; return 1; }
    n=$((n + 1))
  done <<'F'
pcre|/a/ x\n\n/(/ y\n|t:3: /(/: missing closing parenthesis
pcre|no pattern\n|t:1: expected /PATTERN/FLAGS RESULT
pcre|/a/q x\n|"q": unknown flag
pcre|/a x\n|t:1: expected /PATTERN/FLAGS RESULT
regexp|# c\n/a/s y\n|t:2: "s": unknown flag
pcre|if /a/\n/b/ x\n|line 1: "if" without "endif"
pcre|/b/ x\nendif\n|line 2: "endif" without "if"
cidr|192.0.2.0/24 a\n192.0.2.300 b\n|t:2: "192.0.2.300": expected NETWORK/BITS
cidr|192.0.2.0/33 a\n|t:1: "192.0.2.0/33": expected NETWORK/BITS
F
  [ "$n" -eq 9 ]
  run mx-submit --lookup "inline:{a}" key
  [ "$status" -eq 75 ] && [[ $output == *'"a": expected KEY=VALUE'* ]]
  run mx-submit --lookup "hash:$T" key
  [ "$status" -eq 75 ]
  run mx-submit --lookup "flying:x" key
  [ "$status" -eq 75 ] && [[ $output == *'unknown table type "flying"'* ]]
}

@test "a text line that is no entry is said with its line, the others count" {
  printf 'a b\nalone\na c\nd e\n' > "$T/t"
  run mx-submit --lookup "hash:$T/t" d
  [ "$status" -eq 0 ]
  [ "${lines[2]}" = e ]
  [[ $output == *"$T/t:2: \"alone\": expected KEY VALUE"* ]]
  [[ $output == *"$T/t:3: \"a\" stands there already"* ]]
}

@test "a hostile key costs a pattern its limit, not the server: 75 in time" {
  printf '/^(a|aa)+$/ x\n' > "$T/t"
  run timeout 20 mx-submit --lookup "pcre:$T/t" "$(printf 'a%.0s' $(seq 60))b"
  [ "$status" -eq 75 ] || [ "$status" -eq 1 ]
}

@test "the page's examples" {
  cd "$T"
  printf '# people\njo@example.org  jo/\n@example.org  catchall/\n' > mailboxes
  run mx-submit --lookup texthash:mailboxes JO@example.org
  [ "$output" = jo/ ]
  run mx-submit --lookup 'pcre:{{/^list-(.+)@/ $1@lists.example.org}}' list-dev@x
  [ "$output" = dev@lists.example.org ]
}
