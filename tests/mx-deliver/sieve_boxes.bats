#!/usr/bin/env bats
# A user's Sieve script at delivery acts on what an IMAP client set through
# mx-imapd: special uses, mailbox ids, annotations.  RFC 8579, 9042, 5490.
load deliver
bats_require_minimum_version 1.5.0
setup() {
  deliver_setup
  mkdir "$T/home" "$T/vm/joe"
  chmod 777 "$T/home"
  chown "$OWNER" "$T/vm/joe"
  conf "sieve = $T/%n.sieve" "sieve_memory = $T/home/memory"
}
teardown() { common_teardown; }

# imap: Python from stdin with the words of tests/mx-imapd/imap.py, on joe's
# mailboxes
imap() {
  cat > "$T/prog.py"
  (cd "$T" && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT/tests/mx-imapd python3 -c "
from imap import *
c = preauth('vm/joe')
exec(open('prog.py').read())")  || return
  chown -R "$OWNER" "$T/vm/joe"
}
# deliver: joe's script from stdin, one message; its reply is a delivery
deliver() {
  cat > "$T/joe.sieve"
  mx-filter check "$T/joe.sieve"
  { echo '> EHLO x'; echo '> MAIL FROM:<a@b>'; echo '> RCPT TO:<joe@virt.example>'; echo "# $T/m"; } |
    talk | tail -n 1 | grep delivered
}
in_box() { [ "$(count "vm/joe/$1/new")" -eq "$2" ]; }

@test "fileinto :specialuse: what CREATE (USE ...) gave, what the configuration says, else the name" {
  imap <<'P'
c.cmd('CREATE "Unerw&APw-nscht" (USE (\\Junk))').ok()
c.cmd('CREATE Trash').ok()
P
  deliver <<'S'
require ["fileinto", "special-use"];
fileinto :specialuse "\\Junk" "Elsewhere";
S
  in_box '.Unerw&APw-nscht' 1
  deliver <<'S'
require ["fileinto", "special-use"];
fileinto :specialuse "\\Trash" "Elsewhere";
S
  in_box .Trash 1
  deliver <<'S'
require ["fileinto", "special-use", "variables"];
set "u" "\\Flagged";
fileinto :specialuse "${u}" "Elsewhere";
S
  in_box .Elsewhere 1
  # it was made, and has the use now
  imap <<'P'
c.cmd('LIST (SPECIAL-USE) "" *').find(rb'\\Flagged\) "\." "?Elsewhere')
P
  deliver <<'S'
require ["fileinto", "special-use"];
fileinto :specialuse "\\Flagged" "Third";
S
  in_box .Elsewhere 2
}

@test "fileinto :specialuse: the named mailbox of several; a use that moved is followed" {
  imap <<'P'
for n in "A", "B", "C":
    c.cmd(f'CREATE {n} (USE (\\Archive))').ok()
P
  s='require ["fileinto", "special-use"]; fileinto :specialuse "\\Archive" "B";'
  deliver <<< "$s"
  in_box .B 1
  imap <<< 'c.cmd("SETMETADATA B (/private/specialuse NIL)").ok()'
  deliver <<< "$s"
  deliver <<< "$s"
  in_box .A 2
  in_box .B 1
}

@test "specialuse_exists, with and without a mailbox" {
  imap <<'P'
c.cmd('CREATE Old (USE (\\Archive))').ok()
c.cmd('CREATE Junk').ok()
P
  deliver <<'S'
require ["fileinto", "special-use", "imap4flags"];
if specialuse_exists "\\Archive" { addflag "one"; }
if specialuse_exists ["\\Archive", "\\Junk"] { addflag "two"; }
if specialuse_exists "Old" "\\Archive" { addflag "three"; }
if specialuse_exists "old" "\\archive" { addflag "four"; }
if specialuse_exists "Old" ["\\Archive", "\\Junk"] { addflag "no1"; }
if specialuse_exists ["\\Archive", "\\Sent"] { addflag "no2"; }
if specialuse_exists "Nowhere" "\\Archive" { addflag "no3"; }
if specialuse_exists "INBOX" "\\Archive" { addflag "no4"; }
keep;
S
  run cut -d' ' -f2 "$T/vm/joe/dovecot-keywords"
  [ "$output" = $'one\ntwo\nthree' ]
}

@test "fileinto :mailboxid, mailboxidexists: the id that SELECT tells, after a RENAME too" {
  imap <<'P'
c.cmd('CREATE First').ok()
c.cmd('CREATE Other').ok()
m = c.cmd('SELECT First').find(rb'MAILBOXID \(([^)]+)\)')
open('id', 'wb').write(m.group(1))
c.cmd('CLOSE').ok()
c.cmd('RENAME First "A&AOQ-B.Second"').ok()
P
  id=$(<"$T/id")
  deliver <<S
require ["fileinto", "mailboxid", "imap4flags"];
if mailboxidexists "$id" { addflag "one"; }
if mailboxidexists ["$id", "Gdeadbeef"] { addflag "no"; }
fileinto :mailboxid "$id" "First";
S
  [ "$(count 'vm/joe/.A&AOQ-B.Second/cur')" -eq 1 ]
  [ ! -e "$T/vm/joe/.First" ]
  run cut -d' ' -f2 "$T/vm/joe/.A&AOQ-B.Second/dovecot-keywords"
  [ "$output" = one ]
  # none such: the name
  deliver <<'S'
require ["fileinto", "mailboxid"];
fileinto :mailboxid "Gdeadbeef" "Other";
S
  in_box .Other 1
}

@test "metadata, metadataexists, servermetadata: what SETMETADATA set" {
  imap <<'P'
c.cmd('CREATE "P&AOQ-r"').ok()
c.cmd('SETMETADATA "P&AOQ-r" (/private/comment "Ein Wort" /private/vendor/x/filter "42")').ok()
c.cmd('SETMETADATA "" (/private/vendor/x/vacation "on")').ok()
P
  deliver <<'S'
require ["mboxmetadata", "servermetadata", "imap4flags", "relational", "comparator-i;ascii-numeric", "variables"];
if metadata "Pär" "/private/comment" "ein wort" { addflag "one"; }
if metadata :value "ge" :comparator "i;ascii-numeric" "Pär" "/PRIVATE/vendor/x/filter" "40" { addflag "two"; }
if metadataexists "Pär" ["/private/comment", "/private/vendor/x/filter"] { addflag "three"; }
if servermetadata :is "/private/vendor/x/vacation" "on" { addflag "four"; }
if servermetadataexists "/private/vendor/x/vacation" { addflag "five"; }
if metadata :matches "Pär" "/private/comment" "* *" { addflag "${2}"; }
if metadataexists "Pär" ["/private/comment", "/private/none"] { addflag "no1"; }
if metadata "Nowhere" "/private/comment" "" { addflag "no2"; }
if metadataexists "INBOX" "/private/comment" { addflag "no3"; }
if servermetadataexists "/shared/comment" { addflag "no4"; }
keep;
S
  run cut -d' ' -f2 "$T/vm/joe/dovecot-keywords"
  [ "$output" = $'one\ntwo\nthree\nfour\nfive\nWort' ]
  # gone again
  imap <<< 'c.cmd("SETMETADATA \"\" (/private/vendor/x/vacation NIL)").ok()'
  deliver <<'S'
require ["servermetadata", "imap4flags"];
if servermetadataexists "/private/vendor/x/vacation" { addflag "no5"; }
keep;
S
  ! grep -q no "$T/vm/joe/dovecot-keywords"
}

@test "mailboxexists at delivery" {
  imap <<< 'c.cmd("CREATE Lists.x").ok()'
  deliver <<'S'
require ["fileinto", "mailbox"];
if mailboxexists ["INBOX", "Lists.x"] { fileinto "Lists.x"; }
if mailboxexists "Lists.y" { fileinto "Lists.y"; }
S
  in_box .Lists.x 1
  [ ! -e "$T/vm/joe/.Lists.y" ]
}

@test "a copy of a vacation reply goes where :specialuse says" {
  imap <<< "c.cmd('CREATE Gesendet (USE (\\\\Sent))').ok()"
  cat > "$T/m" <<'M'
From: a@b
To: joe@virt.example
Subject: hi

x
M
  deliver <<'S'
require ["vacation", "fcc", "special-use"];
vacation :fcc "Elsewhere" :specialuse "\\Sent" "away";
S
  in_box .Gesendet 1
  grep -q away "$T"/vm/joe/.Gesendet/new/*
}

@test "compile errors: a use that is none, :mailboxid with :specialuse; at run time: kept" {
  printf 'require ["fileinto","special-use"];\nfileinto :specialuse "Junk" "x";\n' > "$T/s"
  run -65 mx-filter check "$T/s"
  [[ $output == *"$T/s:2:"*"invalid special-use flag 'Junk'"* ]]
  printf 'require ["fileinto","special-use","mailboxid"];\nfileinto :mailboxid "G1" :specialuse "\\\\Junk" "x";\n' > "$T/s"
  run -65 mx-filter check "$T/s"
  [[ $output == *"$T/s:2:"*"cannot be used together"* ]]
  deliver <<'S'
require ["fileinto", "special-use", "variables"];
set "u" "Junk";
fileinto :specialuse "${u}" "x";
S
  [ "$(find "$T/vm/joe/new" -type f | wc -l)" -eq 1 ]
}
