# mx-filter sieve and check: RFC 5228 with its examples, and the extensions.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  unset "${!MX_SENDER@}" "${!MX_RECIPIENTS@}"
  # messages A and B of RFC 5228 1.2
  cat > "$T/A" <<'M'
Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
From: coyote@desert.example.org
To: roadrunner@acme.example.com
Subject: I have a present for you

Look, I'm sorry about the whole anvil thing, and I really
didn't mean to try and drop it on you from the top of the
cliff.
M
  cat > "$T/B" <<'M'
From: youcouldberich!@reply-by-postal-mail.invalid
Sender: b1ff@de.res.example.com
To: rube@landru.example.com
Date:  Mon, 31 Mar 1997 18:26:10 -0800
Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$

YOU MAY HAVE ALREADY WON TEN MILLION DOLLARS, BUT I DOUBT
IT!
M
  printf 'From: x@y.example\nSubject: other\n\nbody\n' > "$T/C"
}
teardown() { common_teardown; }

# acts MSG: the actions of the script on stdin; tabs as |, ends as ;
acts() {
  local m=$1; shift
  cat > "$T/s.sieve"
  mx-filter sieve --script "$T/s.sieve" --actions "$@" < "$T/$m" > "$T/acts" || return
  tr '\t\n' '|;' < "$T/acts"
}
# is MSG ACTIONS [OPTION...]: does the script on stdin give these?
is() {
  local m=$1 want=$2 got; shift 2
  got=$(acts "$m" "$@") || { echo "status $?"; return 1; }
  [ "$got" = "$want" ] || { echo "on $m: got $got, want $want"; cat "$T/s.sieve"; return 1; }
}
# yes|no TEST [REQUIRE]: is the test true for message A?
yes() { { [ -z "${2:-}" ] || echo "require [$2];"; echo "if $1 { discard; }"; } | is A 'discard;'; }
no() { { [ -z "${2:-}" ] || echo "require [$2];"; echo "if $1 { discard; }"; } | is A 'keep;'; }
# bad SCRIPT WORDS...: does not compile, and says the words
bad() {
  printf '%s' "$1" > "$T/s.sieve"; shift
  run -65 mx-filter check "$T/s.sieve"
  local w
  for w; do [[ $output == *"$w"* ]] || { echo "no \"$w\" in: $output"; return 1; }; done
}
good() { printf '%s' "$1" > "$T/s.sieve"; run -0 mx-filter check "$T/s.sieve"; [ -z "$output" ]; }

@test "the empty script keeps" {
  is A 'keep;' < /dev/null
  is A 'keep;' <<< '# nothing'
  is A 'keep;' <<< '/* nothing
  */'
}

@test "RFC 5228 3.1: if, elsif, else" {
  s='if header :contains ["From"] ["coyote"] {
                redirect "acm@example.com";
             } elsif header :contains "Subject" "$$$" {
                redirect "postmaster@example.com";
             } else {
                redirect "field@example.com";
             }'
  is A 'redirect|acm@example.com;' <<< "$s"
  is B 'redirect|postmaster@example.com;' <<< "$s"
  is C 'redirect|field@example.com;' <<< "$s"
  is A 'keep;' <<< 'if false { if true { discard; } } elsif false { } else { if false { } }'
  is A 'discard;' <<< 'if true { if false { } } elsif true { redirect "a@b.c"; } if false {} else { discard; }'
}

@test "RFC 5228: the examples of the text" {
  is A 'discard;' <<< 'if size :under 100k { # this is a comment
  discard; }'
  is A 'keep;' <<< 'if size :over 100K { /* this is a comment
  this is still a comment */ discard; /* this is a comment */ }'
  is B 'discard;' <<< 'require "encoded-character"; if header :contains "Subject" "$${hex:24 24}" { discard; }'
  is C 'discard;' <<< 'if anyof (not exists ["From", "Date"], header :contains "from" "fool@example.com") { discard; }'
  is B 'discard;' <<< 'if header :contains :comparator "i;octet" "Subject" "MILLIONAIRE" { discard; }'
  is B 'keep;' <<< 'if header :contains :comparator "i;octet" "Subject" "millionaire" { discard; }'
  is A 'fileinto|INBOX.harassment;' <<< 'require "fileinto"; if header :contains ["from"] "coyote" { fileinto "INBOX.harassment"; }'
  is A 'redirect|bart@example.com;' <<< 'redirect "bart@example.com";'
  is A 'keep;' <<< 'if size :under 1M { keep; } else { discard; }'
  is A 'keep;' <<< 'if not size :under 1M { discard; }'
  is A 'keep;' <<< 'if header :contains ["from"] ["idiot@example.com"] { discard; }'
  is A 'discard;' <<< 'if address :is :all "from" "coyote@desert.example.org" { discard; }'
  is C 'discard;' <<< 'if not exists ["From","Date"] { discard; }'
  MX_SENDER=tim@example.com is A 'discard;' <<< 'require "envelope"; if envelope :all :is "from" "tim@example.com" { discard; }'
}

@test "RFC 5228 9: the extended example" {
  s='require ["fileinto"];
  if header :is "Sender" "owner-ietf-mta-filters@imc.org" { fileinto "filter"; }
  elsif address :DOMAIN :is ["From", "To"] "example.com" { keep; }
  elsif anyof (NOT address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
    header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) { fileinto "spam"; }
  else { fileinto "personal"; }'
  is A 'fileinto|spam;' <<< "$s"
  printf 'Sender: owner-ietf-mta-filters@imc.org\n\n' > "$T/D"
  is D 'fileinto|filter;' <<< "$s"
  printf 'From: x@EXAMPLE.com\n\n' > "$T/D"
  is D 'keep;' <<< "$s"
  printf 'From: x@example.net\nTo: "me" <me@example.com.au>\nSubject: hello\n\n' > "$T/D"
  is D 'fileinto|personal;' <<< "$s"
}

@test "RFC 5228 2.4.2.4: encoded characters" {
  while IFS='|' read -r in out; do
    printf 'X: %s\n\n' "$out" > "$T/D"
    printf 'require "encoded-character"; if header :is "x" "%s" { discard; }' "$in" > "$T/in"
    is D 'discard;' < "$T/in"
  done <<'T'
$${hex:40}|$@
${hex: 40 }|@
${HEX: 40}|@
${hex:40|${hex:40
${hex:400}|${hex:400}
${hex:4${hex:30}}|${hex:40}
${unicode:40}|@
${ unicode:40}|${ unicode:40}
${UNICODE:40}|@
${UnICoDE:0000040}|@
${Unicode:40}|@
${Unicode:Cool}|${Unicode:Cool}
${hex:c3 a9}|é
${unicode:e9 20ac}|é€
T
  bad 'require "encoded-character"; redirect "${unicode:200000}";' nicode
  bad 'require "encoded-character"; redirect "${Unicode:DF01}";' nicode
  printf 'X: ${hex:40}\n\n' > "$T/D"
  is D 'discard;' <<< 'if header :is "x" "${hex:40}" { discard; }'
}

@test "allof, anyof, not, true, false" {
  for t in 'allof (true, true)' 'anyof (true, false)' 'anyof (false, true)' 'not false' 'not not true' \
    'anyof (false, allof (true, not false))' 'allof (true)'; do yes "$t"; done
  for t in 'allof (false, false)' 'allof (false, true)' 'allof (true, false)' 'anyof (false, false)' 'not true'; do no "$t"; done
}

@test "allof and anyof stop as soon as they know" {
  echo 'if anyof (true, exists "x") {} if allof (false, exists "y") {}' > "$T/p"
  run -0 mx-filter sieve --explain --script "$T/p" < "$T/A"
  [[ $output != *exists* ]]
}

@test "header: match types and comparators" {
  yes 'header :is "subject" "i HAVE a present for you"'
  no 'header :is "subject" "I have a present"'
  no 'header :is :comparator "i;octet" "subject" "i have a present for you"'
  yes 'header "subject" "I have a present for you"'
  yes 'header :contains "subject" "PRESENT"'
  yes 'header :contains "subject" ""'
  no 'header :is "subject" ""'
  no 'header :contains "x-none" ""'
  yes 'header :contains ["x-none", "SUBJECT"] ["nothing", "have"]'
  yes 'header :matches "subject" "I*you"'
  yes 'header :matches "subject" "i have ? present *"'
  no 'header :matches "subject" "have*"'
  yes 'header :matches "subject" "*"'
  no 'header :matches "subject" "I have a present for yo"'
  no 'header :matches "subject" "I have a present for you?"'
  yes 'header :matches "from" "*@*.*.*"'
}

@test "header: wildcards quoted, over many characters, over UTF-8" {
  printf 'Subject: a*b?c\\d\nX: *\nY: =?utf-8?q?=C3=A9t=C3=A9?=\n\n' > "$T/D"
  d() { echo "if header :matches $1 { discard; }" | is D "$2"; }
  d '"subject" "a\\*b\\?c\\\\d"' 'discard;'
  d '"subject" "a\\*b*"' 'discard;'
  d '"subject" "a\\?b*"' 'keep;'
  d '"x" "\\*"' 'discard;'
  d '"x" "\\?"' 'keep;'
  d '"y" "?t?"' 'discard;'
  d '"y" "????"' 'keep;'
  d '"y" "été"' 'discard;'
  d '"y" "ÉTÉ"' 'keep;'
}

@test "header: folds, encoded words, blanks at the ends, several fields" {
  printf 'Subject:  one\n\ttwo  \nSubject: =?iso-8859-1?q?caf=E9?=\nEmpty:\n\n' > "$T/D"
  h() { echo "if header $1 { discard; }" | is D 'discard;'; }
  h ':is "subject" "one two"'
  h ':is "subject" "café"'
  h ':is "empty" ""'
  echo 'if exists ["subject", "empty"] { discard; }' | is D 'discard;'
}

@test "address: parts, lists, groups, comments, display names are not looked at" {
  cat > "$T/D" <<'M'
From: "Boss, the <x@y>" (c) <Tim.O@Example.COM>
To: a@b.example, List: c@d.example, "q q"@e.example;, f@g.example (Fred)
Cc: undisclosed-recipients:;
Bcc:

M
  d() { echo "if address $1 { discard; }" | is D "$2"; }
  d '"from" "tim.o@example.com"' 'discard;'
  d ':localpart "from" "tim.o"' 'discard;'
  d ':domain "from" "example.com"' 'discard;'
  d ':domain :comparator "i;octet" "from" "EXAMPLE.com"' 'keep;'
  d ':contains "from" "boss"' 'keep;'
  d ':contains "from" "x@y"' 'keep;'
  d '["to", "cc"] "c@d.example"' 'discard;'
  d '"to" "f@g.example"' 'discard;'
  d ':localpart "to" "q q"' 'discard;'
  d ':all :matches "to" "*@g.example"' 'discard;'
  d ':contains "cc" ""' 'keep;'
  d ':contains "bcc" ""' 'keep;'
}

@test "address: only fields that hold addresses" {
  bad 'if address "subject" "x" { keep; }' subject
  good 'if address ["reply-to", "Resent-From"] "x" { keep; }'
}

@test "envelope: from and to, parts, the null sender, options and environment" {
  d() { echo "require [\"envelope\", \"subaddress\"]; if envelope $1 { discard; }" | is A "$2" --sender "tim@example.com" --recipient "me+box@example.net"; }
  d '"from" "tim@example.com"' 'discard;'
  d ':domain "from" "example.com"' 'discard;'
  d ':localpart "to" "me+box"' 'discard;'
  d ':user "to" "me"' 'discard;'
  d ':detail "to" "box"' 'discard;'
  d '"to" "me@example.net"' 'keep;'
  d ':all ["FROM", "to"] "me+box@example.net"' 'discard;'
  n='require "envelope"; if envelope :is "from" "" { discard; }'
  is A 'discard;' --sender '' <<< "$n"
  MX_SENDER='' is A 'discard;' <<< "$n"
  is A 'keep;' <<< "$n"
  MX_SENDER=x@y MX_RECIPIENTS=$'a@b\nc@d' is A 'discard;' <<< 'require "envelope"; if allof (envelope "from" "x@y", envelope "to" "a@b") { discard; }'
  bad 'require "envelope"; if envelope "cc" "x" { keep; }' cc
}

@test "size: as on the wire, over and under are strict" {
  printf 'A: b\n\n12345678\n' > "$T/D" # 6 + 2 + 10 = 18 bytes with CRLF
  d() { echo "if size $1 { discard; }" | is D "$2"; }
  d ':over 17' 'discard;'
  d ':over 18' 'keep;'
  d ':under 19' 'discard;'
  d ':under 18' 'keep;'
  d ':over 1K' 'keep;'
  d ':under 1g' 'discard;'
  bad 'if size 10 { keep; }' size
  bad 'if size :over :under 10 { keep; }' 'duplicate limit'
}

@test "actions: keep, discard, redirect, fileinto; each once; stop" {
  is A 'keep;' <<< 'keep; keep;'
  is A 'discard;' <<< 'discard; discard;'
  is A 'discard;keep;' <<< 'discard; keep;'
  is A 'fileinto|a;fileinto|b;' <<< 'require "fileinto"; fileinto "a"; fileinto "b"; fileinto "a";'
  is A 'fileinto|a;keep;' <<< 'require "fileinto"; fileinto "a"; keep;'
  is A 'keep;' <<< 'stop; discard;'
  is A 'discard;' <<< 'if true { discard; stop; } redirect "a@b.c";'
  is A 'redirect|a@b.c;' <<< 'redirect "a@b.c"; redirect "a@b.c";'
}

@test "copy: the implicit keep stays" {
  is A 'fileinto|a|copy;keep;' <<< 'require ["copy", "fileinto"]; fileinto :copy "a";'
  is A 'redirect|a@b.c|copy;keep;' <<< 'require "copy"; redirect :copy "a@b.c";'
  is A 'redirect|a@b.c|copy;discard;' <<< 'require "copy"; redirect :copy "a@b.c"; discard;'
  bad 'require "fileinto"; fileinto :copy "a";' copy
}

@test "mailbox: :create, mailboxexists" {
  is A 'fileinto|a|create;' <<< 'require ["mailbox", "fileinto"]; fileinto :create "a";'
  is A 'fileinto|a|copy|create;keep;' <<< 'require ["mailbox", "copy", "fileinto"]; fileinto :create :copy "a";'
  mkdir -p "$T/md/cur" "$T/md/.Work/cur"
  is A 'discard;' --maildir "$T/md" <<< 'require "mailbox"; if mailboxexists ["INBOX", "Work"] { discard; }'
  is A 'keep;' --maildir "$T/md" <<< 'require "mailbox"; if mailboxexists ["Work", "None"] { discard; }'
  is A 'keep;' --maildir "$T/md" <<< 'require "mailbox"; if mailboxexists "../../etc" { discard; }'
}

@test "RFC 5232: imap4flags" {
  f() { echo "require [\"imap4flags\", \"fileinto\"]; $1" | is A "$2"; }
  f 'setflag "\\Deleted"; fileinto "INBOX.From Boss";' 'fileinto|INBOX.From Boss|flags=\Deleted;'
  f 'setflag "\\Deleted"; addflag ["\\Flagged", "\\deleted"]; keep;' 'keep|flags=\Deleted \Flagged;'
  f 'addflag "\\Flagged $label1"; removeflag "\\flagged";' 'keep|flags=$label1;'
  f 'setflag ["\\Deleted", "\\Seen"]; removeflag ["\\Seen"]; if hasflag :contains "del" { keep :flags "x"; }' 'keep|flags=x;'
  f 'if hasflag "\\Seen" { discard; }' 'keep;'
  f 'addflag "\\Seen"; if hasflag ["a", "\\seen"] { discard; }' 'discard;'
  f 'addflag "\\Seen"; keep :flags "";' 'keep|flags=;'
  f 'fileinto :flags ["a b", "A c"] "x";' 'fileinto|x|flags=a b c;'
  bad 'addflag "x";' imap4flags
}

@test "subaddress: without a separator there is no detail" {
  printf 'To: ken+sieve@example.org\nCc: ken@example.org, x+@example.org\n\n' > "$T/D"
  d() { echo "require \"subaddress\"; if address $1 { discard; }" | is D "$2"; }
  d ':detail "to" "sieve"' 'discard;'
  d ':user "to" "ken"' 'discard;'
  d ':detail :contains "cc" ""' 'discard;'
  d ':detail :is "cc" ""' 'discard;'
  d ':detail :is "to" ""' 'keep;'
  d ':user "cc" "ken"' 'discard;'
}

@test "reject and ereject: text on one line, alone" {
  is A 'reject|go away\nplease\n;' <<'S'
require "reject";
reject text:
go away
please
.
;
S
  is A 'ereject|no;' <<< 'require "ereject"; ereject "no";'
  echo 'require ["reject", "fileinto"]; fileinto "x"; reject "y";' > "$T/p"
  run -0 --separate-stderr mx-filter sieve --actions --script "$T/p" < "$T/A"
  [ "$output" = keep ]
  [[ $stderr == *reject* ]]
}

@test "strings: quotes, text:, dot-stuffing, comments" {
  printf 'X: a"b\\c\nY: .\n\n' > "$T/D"
  is D 'discard;' <<< 'if header "x" "a\"b\\c" { discard; }'
  is D 'discard;' <<< 'if header "\x" "a\"\b\\c" { discard; }'
  is A 'reject|.one\n..\ntwo\n;' <<'S'
require "reject";
reject text: # a comment
..one
...
two
.
;
S
  printf 'reject text:\r\nx\r\n.\r\n;\r\n' | cat <(printf 'require "reject";\r\n') - > "$T/in"
  is A 'reject|x\n;' < "$T/in"
}

@test "an argument can bring neither a line nor a field of its own" {
  is A 'fileinto|a b;' <<< "$(printf 'require "fileinto"; fileinto "a\tb";')" || bad "$(printf 'require "fileinto"; fileinto "a\tb";')" 'folder name'
  bad $'require "fileinto"; fileinto "a\nkeep";' 'folder name'
  bad 'redirect "a@b.c
keep";' address
}

@test "flags are flags: no line ends, no blanks, no specials" {
  f() { printf 'require ["imap4flags", "fileinto"]; %s' "$1" > "$T/in"; is A "$2" < "$T/in"; }
  f $'keep :flags ["a\nkeep", "b\tc", "ok"];' 'keep|flags=ok;'
  f $'addflag ["a\nb", "(", "\\\\Seen"]; keep;' 'keep|flags=\Seen;'
}

@test "RFC 5231: relational" {
  printf 'X-Priority: 3\nFrom: a@b.c\nTo: a@b.c, d@e.f\nTo: g@h.i\nCc:\n\n' > "$T/D"
  d() { echo "require [\"relational\", \"comparator-i;ascii-numeric\", \"envelope\"]; if $1 { discard; }" | is D "$2"; }
  d 'header :value "lt" :comparator "i;ascii-numeric" "x-priority" "10"' 'discard;'
  d 'header :value "lt" "x-priority" "10"' 'keep;'
  d 'header :value "ge" :comparator "i;ascii-numeric" "x-priority" ["5", "003"]' 'discard;'
  d 'header :value "ne" :comparator "i;ascii-numeric" "x-priority" "3"' 'keep;'
  d 'header :value "eq" :comparator "i;ascii-numeric" "x-priority" "3abc"' 'discard;'
  d 'header :value "gt" :comparator "i;ascii-numeric" "from" "99999999999999999999999"' 'discard;'
  d 'header :is :comparator "i;ascii-numeric" "x-priority" "03"' 'discard;'
  d 'address :count "ge" :comparator "i;ascii-numeric" ["to"] ["3"]' 'discard;'
  d 'address :count "gt" :comparator "i;ascii-numeric" ["to"] ["3"]' 'keep;'
  d 'header :count "eq" :comparator "i;ascii-numeric" ["to", "x-none"] "2"' 'discard;'
  d 'header :count "eq" :comparator "i;ascii-numeric" "x-none" "0"' 'discard;'
  d 'not header :count "eq" :comparator "i;ascii-numeric" "x-none" "0"' 'keep;'
  d 'header :value "lt" "from" "b"' 'discard;'
  bad 'if header :value "lt" "a" "b" {}' relational
  bad 'require "relational"; if header :value "xx" "a" "b" {}' xx
  bad 'require "relational"; if header :count "gt" :comparator "i;ascii-numeric" "a" "b" {}' 'comparator-i;ascii-numeric'
  bad 'require "comparator-i;ascii-numeric"; if header :contains :comparator "i;ascii-numeric" "a" "b" {}' contains
  bad 'require "relational"; if header :value "lt" :is "a" "b" {}' 'duplicate match type'
}

@test "RFC 5229: set, references, modifiers" {
  # v SETS TEXT: TEXT expanded, as a folder's name
  v() { printf 'require ["variables", "fileinto", "encoded-character"]; %s fileinto "<%s>";' "$1" "$2" > "$T/in"; is A "fileinto|<$3>;" < "$T/in"; }
  v '' '&%${}!' '&%${}!'
  v '' '${doh!}' '${doh!}'
  v 'set "company" "ACME";' '${full}' ''
  v 'set "company" "ACME";' '${company}' ACME
  v 'set "company" "ACME";' '${BAD${Company}' '${BADACME'
  v 'set "company" "ACME";' '${President, ${Company} Inc.}' '${President, ACME Inc.}'
  v 'set "foo" "x";' '${fo\o}' x
  v 'set "foo" "x";' '${fo\\o}' '${fo\o}'
  v 'set "foo" "x";' '\\${foo}' '\x'
  v 'set "dollar" "$"; set "text" "regarding ${dollar}{beep}";' '${text}' 'regarding ${beep}'
  v 'set "name" "Ethelbert";' 'dear${hex:20 24 7b 4e}ame}' 'dear Ethelbert'
  a='set "a" "juMBlEd lETteRS";'
  v "$a" '${a}' 'juMBlEd lETteRS'
  v "$a set :length \"b\" \"\${a}\";" '${b}' 15
  v "$a set :lower \"b\" \"\${a}\";" '${b}' 'jumbled letters'
  v "$a set :upperfirst \"b\" \"\${a}\";" '${b}' 'JuMBlEd lETteRS'
  v "$a set :upperfirst :lower \"b\" \"\${a}\";" '${b}' 'Jumbled letters'
  v 'set :quotewildcard "b" "Rock*";' '${b}' 'Rock\*'
  v 'set :length "b" "été";' '${b}' 3
  v 'set :quotewildcard :length "b" "a*";' '${b}' 3
  bad 'require "variables"; set "1" "x";' 'name'
  bad 'require "variables"; set "a.b" "x";' 'name'
  bad 'require "variables"; set :upper :lower "a" "x";' 'duplicate case modifier'
  bad 'require "variables"; set :frob "a" "x";' ':frob'
  bad 'require ["variables"]; set "a" "${env.x}";' 'env.x'
  bad 'set "a" "b";' variables
  is A 'redirect|x@y.example;' <<< 'require "variables"; set "u" "x"; redirect "${u}@y.example";'
  printf 'require ["variables"]; redirect "${u}";' > "$T/p"
  run -0 --separate-stderr mx-filter sieve --actions --script "$T/p" < "$T/A"
  [ "$output" = keep ]
  [[ $stderr == *"invalid address"* ]]
  is C 'fileinto|${a};' <<< 'require "fileinto"; fileinto "${a}";'
}

@test "RFC 5229: match variables take as little as they can" {
  m() { printf 'require ["variables", "fileinto"]; if %s { fileinto "%s"; }' "$1" "$2" > "$T/in"; is D "fileinto|$3;" < "$T/in"; }
  printf 'List-ID: Some list <users@lists.example>\nSubject: [acme-users] [fwd] version 1.0 is out\nTo: coyote@ACME.Example.COM\n\n' > "$T/D"
  m 'header :matches "List-ID" "*<*@*"' 'INBOX.lists.${2}' INBOX.lists.users
  m 'header :matches "Subject" "[*] *"' '${1}|${2}' 'acme-users|[fwd] version 1.0 is out'
  m 'address :matches ["To", "Cc"] ["coyote@**.com", "wile@**.com"]' '${0} ${1}.${2}' 'coyote@ACME.Example.COM .ACME.Example'
  m 'anyof (true, address :domain :matches "To" "*.com")' '<${1}>' '<>'
  m 'header :matches "subject" "?acme?*"' '${01}${2}${3}${4}' '[-users] [fwd] version 1.0 is out'
  # a match that fails leaves the older values
  m 'allof (header :matches "subject" "*", not header :matches "subject" "x*")' '${1}' '[acme-users] [fwd] version 1.0 is out'
  m 'string :matches "a-b-c" "*-*"' '${1}|${2}' 'a|b-c'
}

@test "variables: string, :count, flags in variables, limits" {
  is A 'discard;' <<< 'require "variables"; set "state" "x pending y"; if string :matches " ${state} " "* pending *" { discard; }'
  is A 'discard;' <<< 'require ["variables", "relational", "comparator-i;ascii-numeric"]; if string :count "eq" :comparator "i;ascii-numeric" ["a", "", "${b}", "c"] "2" { discard; }'
  is A 'keep|flags=a b;' <<< 'require ["variables", "imap4flags"]; setflag "x" ["a", "b"]; keep :flags "${x}";'
  is A 'discard;' <<< 'require ["variables", "imap4flags"]; set "x" "A b"; removeflag "x" "a"; if allof (hasflag "x" "b", not hasflag ["x"] "a") { discard; }'
  { echo 'require ["variables", "fileinto"]; set "a" "0123456789abcdef";'; for i in $(seq 12); do echo 'set "a" "${a}${a}";'; done
    echo 'set :length "n" "${a}"; fileinto "${n}";'; } > "$T/in"
  is A 'fileinto|4096;' < "$T/in"
  { echo 'require "variables";'; for i in $(seq 300); do echo "set \"v$i\" \"x\";"; done; echo 'discard;'; } > "$T/p"
  run -0 --separate-stderr mx-filter sieve --actions --script "$T/p" < "$T/A"
  [ "$output" = keep ]
  [[ $stderr == *variables* ]]
}

@test "errors: FILE:LINE:COL, several in one run" {
  bad $'keep;\nfrob;\nif header "x" { keep; }\nredirect "no address";\nfileinto "x";\n' \
    's.sieve:2:1: error:' 's.sieve:3:' 's.sieve:4:10:' 's.sieve:5:1:' 'frob' 'fileinto'
  bad 'require "x-none";' "unknown Sieve capability 'x-none'"
  bad 'require ["fileinto", "vnd.none", "other"];' vnd.none other
  bad $'keep\nkeep;' 's.sieve:1:1' semicolon
  bad 'if true { keep;' 'end of the script'
  bad 'keep "x";' keep
  bad 'stop "x" true { }' stop
  bad 'else { keep; }' else
  bad 'if true { } keep; elsif true { }' elsif
  bad 'keep; require "fileinto";' require
  bad 'if true { require "fileinto"; }' require
  bad 'keep :frob;' ':frob'
  bad 'if header :is :contains "a" "b" { }' 'match type'
  bad 'if header :comparator "i;none" "a" "b" { }' 'i;none'
  bad 'if not { keep; }' not
  bad 'if allof true { keep; }' allof
  bad 'if header "a b" "c" { }' 'a b'
  bad 'keep; }' '"}"'
  bad '/* no end' comment
  bad 'redirect "no end' string
  bad $'redirect text:\nno end' text
  bad 'if size :over 99999999999999999999 { }' number
  bad $'redirect "\xff";' UTF-8
  bad 'redirect "a@b.c", "c@d.e";' '","'
}

@test "limits: nesting, actions, redirects" {
  deep() { printf 'if true {%.0s' $(seq "$1"); printf 'discard;'; printf '}%.0s' $(seq "$1"); }
  deep 15 > "$T/in"; is A 'discard;' < "$T/in"
  bad "$(deep 33)" deep
  bad "if $(printf 'not %.0s' $(seq 40)) true {}" deep
  bad "if $(printf 'anyof (%.0s' $(seq 100000))" deep
  for i in 1 2 3 4 5; do echo "redirect \"u$i@example.org\";"; done > "$T/s5"
  run -0 --separate-stderr mx-filter sieve --actions --script "$T/s5" < "$T/A"
  [ "$output" = keep ]
  [[ $stderr == *"redirect actions exceeds"* ]]
  { echo 'require "fileinto";'; for i in $(seq 40); do echo "fileinto \"f$i\";"; done; } > "$T/s6"
  run -0 mx-filter sieve --actions --script "$T/s6" < "$T/A"
  [ "${lines[-1]}" = keep ]
}

@test "RFC 5173 5.2: a multipart's prologue and epilogue are two strings, without the delimiters" {
  local t
  printf 'From: x@y.example\nContent-Type: multipart/mixed; boundary=b\n\npro\n--b\n\ninner\n--b--\nepi\n' > "$T/M"
  for t in ':is "pro"' ':contains "epi"' ':matches "e*"'; do
    is M "fileinto|yes;" <<< "require [\"body\",\"fileinto\"]; if body :content \"multipart\" $t { fileinto \"yes\"; }" || { echo "$t"; false; }
  done
  for t in ':contains "--b"' ':matches "pro*epi*"' ':contains "inner"'; do
    is M "keep;" <<< "require [\"body\",\"fileinto\"]; if body :content \"multipart\" $t { fileinto \"yes\"; }" || { echo "$t"; false; }
  done
}

@test "the message may be odd: no header, no body, NUL, 8 bit, CRLF" {
  for m in 'x' 'A: b' 'Subject: \351\0x\n\n\0' 'Subject: x\r\n\r\ny\r\n' '\n'; do
    printf "$m" > "$T/D"
    is D 'keep;' <<< 'if header :contains "subject" "zzz" { discard; }'
  done
  printf 'Subject: x\r\n y\r\n\r\n' > "$T/D"
  is D 'discard;' <<< 'if header :is "subject" "x y" { discard; }'
  echo keep\; > "$T/p"
  run -65 mx-filter sieve --script "$T/p" < /dev/null
}

@test "explain: each test with the values that it saw" {
  cat > "$T/s" <<'S'
if header :contains "subject" "present" {
  keep;
}
S
  run -0 mx-filter sieve --explain --script "$T/s" < "$T/A"
  [[ ${lines[0]} == *"s:1: header: true (saw \"I have a present for you\")" ]]
  [ "${lines[1]}" = keep ]
}

@test "without --actions: words; a missing script is said" {
  echo 'require ["fileinto","copy"]; fileinto :copy "my box";' > "$T/p"
  run -0 mx-filter sieve --script "$T/p" < "$T/A"
  [ "${lines[0]}" = 'fileinto "my box" (copy)' ]
  run -66 mx-filter sieve --script "$T/none" < "$T/A"
  [[ $output == *"$T/none"* ]]
  run -64 mx-filter sieve < "$T/A"
}

@test "--edited: the message as it is" {
  echo 'keep;' > "$T/p"
  mx-filter sieve --edited "$T/out" --script "$T/p" < "$T/A"
  cmp "$T/A" "$T/out"
}

@test "time grows with the message, not with its square" {
  t() { # N: milliseconds
    { printf 'Subject: '; head -c "$1" /dev/zero | tr '\0' a; printf '\n\n'; } > "$T/D"
    local a b
    a=$(date +%s%N)
    mx-filter sieve --script "$T/s" < "$T/D" > /dev/null
    b=$(date +%s%N)
    echo $(((b - a) / 1000000))
  }
  echo 'if header :matches "subject" "*a*a*a*a*a*b" { discard; }' > "$T/s"
  t 1000 > /dev/null
  one=$(t 200000) two=$(t 400000)
  [ "$two" -lt $((3 * one + 200)) ]
}

@test "nothing heavy is linked" {
  run -0 ldd "$MX_BIN/mx-filter"
  [[ $output != *libssl* && $output != *libcurl* && $output != *libxml* && $output != *libldns* ]]
}

@test "redirect :list: to each member of an external list (RFC 6134)" {
  printf 'a@one.example x\nb@two.example x\n' > "$T/list"
  printf 'sieve_extlists = tag:l=texthash:%s, tag:r=regexp:%s\n' "$T/list" "$T/re" >> "$T/mx.conf"
  echo '/x/ y' > "$T/re"
  list() { mx-filter -c "$T/mx.conf" sieve --actions --script "$T/s" "$@" < "$T/A" | tr '\0' '\n'; }
  echo 'require ["extlists", "copy"]; redirect :copy :list "tag:l"; redirect :list "tag:l";' > "$T/s"
  run -0 --separate-stderr list
  [ "$(sort <<< "$output")" = "redirect	a@one.example	copy
redirect	b@two.example	copy" ]
  # a list that is not there, one that does not tell its members: the message is kept
  for s in none r; do
    echo "require \"extlists\"; redirect :list \"tag:$s\";" > "$T/s"
    run -0 --separate-stderr list
    [ "$output" = keep ]
    [[ $stderr == *'there is no list "tag:none"'* || $stderr == *'cannot be listed'* ]]
  done
  echo 'require "extlists"; redirect :list "tag:l";' > "$T/s"
  run list -o sieve_max_redirects=1
  [[ $output == *"policy limit"* ]]
  echo 'redirect :list "tag:l";' > "$T/s"
  run -65 mx-filter -c "$T/mx.conf" check "$T/s"
}
