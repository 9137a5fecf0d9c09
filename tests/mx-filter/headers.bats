# mx-filter headers: Postfix's header_checks and body_checks.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  cat > "$T/msg" <<'M'
Received: from a (b)
	by c
From: Anna <anna@example.net>
To: user@example.org
Subject: old news
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=xx

preamble
--xx
Content-Type: application/octet-stream;
	name="virus.exe"

AAAA
--xx
Content-Type: message/rfc822

Subject: inner
X-Inner: yes

the inner body
--xx--
M
}
teardown() { common_teardown; }

# checks RULE...: the table $T/t
checks() { printf '%s\n' "$@" > "$T/t"; }
filter() { mx-filter headers "pcre:$T/t" < "$T/msg" > "$T/out" 2> "$T/err"; }

@test "no match: the message comes out as it went in" {
  checks '/^Subject: nothing/ REJECT'
  filter
  cmp "$T/msg" "$T/out"
  [ ! -s "$T/err" ]
}

@test "CRLF and bytes that are no text come out as they went in" {
  printf 'From: a@b\r\nX: \351\r\n\r\n\0\r\nx' > "$T/msg"
  checks '/^Subject/ IGNORE'
  filter
  cmp "$T/msg" "$T/out"
}

@test "REJECT: 69, nothing on stdout, the text is the last line of stderr" {
  checks '/^Subject: old/ REJECT no old news'
  run -69 --separate-stderr mx-filter headers "pcre:$T/t" < "$T/msg"
  [ -z "$output" ]
  [ "${stderr_lines[-1]}" = "5.7.1 no old news" ]
  checks '/^Subject: old/ REJECT 5.7.0 go away'
  run -69 --separate-stderr mx-filter headers "pcre:$T/t" < "$T/msg"
  [ "${stderr_lines[-1]}" = "5.7.0 go away" ]
  checks '/^Subject: old/ REJECT'
  run -69 --separate-stderr mx-filter headers "pcre:$T/t" < "$T/msg"
  [ "${stderr_lines[-1]}" = "5.7.1 message content rejected" ]
  checks '/^Subject: old/ REJECT 4.7.0 later'
  run -75 --separate-stderr mx-filter headers "pcre:$T/t" < "$T/msg"
  [ "${stderr_lines[-1]}" = "4.7.0 later" ]
}

@test "IGNORE, REPLACE, PREPEND edit and leave the rest alone" {
  checks '/^From:/ IGNORE' '/^To: (.*)/ PREPEND X-To: $1' \
    '/^Subject: old (.*)/ REPLACE Subject: new $1' '/^X-Inner/ STRIP gone'
  filter
  sed -e '/^From:/d' -e '/^X-Inner/d' -e 's/^To: /X-To: user@example.org\n&/' \
    -e 's/Subject: old/Subject: new/' "$T/msg" | cmp - "$T/out"
}

@test "edits keep CRLF" {
  sed -i 's/$/\r/' "$T/msg"
  checks '/^To:/ PREPEND X: y' '/^the inner/ REPLACE another' '/^From:/ IGNORE'
  mx-filter headers --body "pcre:$T/t" "pcre:$T/t" < "$T/msg" > "$T/out"
  ! grep -qv $'\r$' "$T/out"
  grep -q $'^X: y\r$' "$T/out"
  grep -q $'^another\r$' "$T/out"
}

@test "a folded header is one key, with its folds" {
  checks '/^Received: from a \(b\)\n\tby c$/ REJECT seen'
  run -69 filter
  printf '%s\n' '/^Received:.*by c/ REJECT seen' > "$T/t"
  run -69 mx-filter headers "regexp:$T/t" < "$T/msg"
}

@test "MIME headers and headers of attached messages have tables of their own" {
  checks '/name="?.*\.exe/ REJECT 5.7.0 no programs'
  run -69 filter
  checks '/^Subject: inner/ REJECT'
  run -69 filter
  checks '/^(Subject: inner|Content)/ REJECT'
  : > "$T/none"
  run -0 mx-filter headers --mime "pcre:$T/none" --nested "pcre:$T/none" "pcre:$T/t" < "$T/msg"
  run -69 mx-filter headers --mime "pcre:$T/t" < "$T/msg"
  run -69 mx-filter headers --nested "pcre:$T/t" < "$T/msg"
}

@test "body lines: only with --body, and not the headers of parts" {
  checks '/^(preamble|AAAA|the inner|--xx)/ IGNORE' '/^X-Inner/ REJECT'
  mx-filter headers --body "pcre:$T/t" < "$T/msg" > "$T/out"
  grep -vE '^(preamble|AAAA|the inner|--xx)' "$T/msg" | diff - "$T/out"
  checks '/^AAAA/ PREPEND one' '/^the inner/ REPLACE two'
  mx-filter headers --body "pcre:$T/t" < "$T/msg" > "$T/out"
  sed -e 's/^AAAA/one\n&/' -e 's/^the inner.*/two/' "$T/msg" | cmp - "$T/out"
}

@test "long body lines are looked up in pieces, parts up to the size limit" {
  { printf 'A: b\n\n'; head -c 3000 /dev/zero | tr '\0' x; printf 'END\n'; } > "$T/msg"
  checks '/^x{2048}$/ WARN first' '/^x*END$/ WARN second'
  run -0 --separate-stderr mx-filter headers --body "pcre:$T/t" < "$T/msg"
  [[ $stderr == *first*second* ]]
  run -0 --separate-stderr mx-filter -o body_checks_size_limit=100 headers --body "pcre:$T/t" < <(printf 'A: b\n\n%0200d\nEND\n' 0)
  [[ $stderr != *second* ]]
}

@test "actions: on fd 3 where MX_ACTIONS=3, else on stderr" {
  checks '/^From:/ BCC boss@example.org' '/^To:/ HOLD look' \
    '/^Subject: old/ REDIRECT other@example.org' '/^MIME/ FILTER smtp:there'
  MX_ACTIONS=3 mx-filter headers "pcre:$T/t" < "$T/msg" 3> "$T/acts" > "$T/out"
  printf 'hold\nbcc\tboss@example.org\nredirect\tother@example.org\n' | diff - "$T/acts"
  cmp "$T/msg" "$T/out"
  run -0 --separate-stderr mx-filter headers "pcre:$T/t" < "$T/msg"
  [[ $stderr == *$'\nhold\nbcc\tboss@example.org\nredirect\tother@example.org' ]]
  checks '/^MIME/ FILTER smtp:there'
  MX_ACTIONS=3 mx-filter headers "pcre:$T/t" < "$T/msg" 3> "$T/acts" > "$T/out"
  printf 'filter\tsmtp:there\n' | diff - "$T/acts"
  MX_ACTIONS=3 run -75 mx-filter headers "pcre:$T/t" 3>&- < "$T/msg"
}

@test "DISCARD and PASS end the inspection" {
  checks '/^From:/ DISCARD gone' '/^Subject/ REJECT'
  MX_ACTIONS=3 mx-filter headers "pcre:$T/t" < "$T/msg" 3> "$T/acts" > "$T/out"
  [ "$(cat "$T/acts")" = discard ]
  checks '/^From:/ PASS trusted' '/^Subject/ REJECT'
  filter
  cmp "$T/msg" "$T/out"
}

@test "WARN and INFO are logged, bytes escaped" {
  printf 'Subject: a\033b\n\n' > "$T/msg"
  checks '/^Subject/ WARN look here'
  filter
  grep -q 'warning: header Subject: a?b: look here' "$T/err"
}

@test "what a typing error wrote changes nothing and is said" {
  checks '/^From:/ REJCT x' '/^To:/ REPLACE no colon' '/^Subject: old/ REDIRECT nobody' '/^MIME/ FILTER x'
  filter
  cmp "$T/msg" "$T/out"
  cat "$T/err"
  [ "$(grep -c 'left out' "$T/err")" -eq 4 ]
}

@test "a table that cannot be read is temporary" {
  run -75 --separate-stderr mx-filter headers "pcre:$T/none" < "$T/msg"
  [ -z "$output" ]
  [[ $stderr == *"$T/none"* ]]
}

@test "empty input is 65, no table is 64" {
  checks '/x/ IGNORE'
  run -65 mx-filter headers "pcre:$T/t" < /dev/null
  run -64 mx-filter headers < "$T/msg"
}

@test "tables come from the configuration where none is named" {
  checks '/^Subject: (old|inner)/ WARN found'
  printf 'header_checks = pcre:%s/t\nnested_header_checks =\n' "$T" > "$T/mx.conf"
  run -0 --separate-stderr mx-filter -c "$T/mx.conf" headers < "$T/msg"
  [ "$(grep -c found <<< "$stderr")" -eq 1 ]
}

@test "Postfix's answers: the same tables, the same keys" {
  command -v postmap > /dev/null || skip "needs postmap"
  checks '/^received:.*BY C$/ WARN one' '/^From:.*<(.*)>/ WARN two $1' 'if /^Subject/' '!/new/ WARN three' 'endif'
  while IFS= read -r key; do
    postmap -c /etc/postfix -q "$key" "regexp:$T/t" || :
  done < <(printf 'From: Anna <anna@example.net>\nSubject: old news\n') > "$T/want" 2>/dev/null
  [ -s "$T/want" ] || skip "postmap does not run here"
  run -0 --separate-stderr mx-filter headers "regexp:$T/t" < "$T/msg"
  while read -r _ text; do [[ $stderr == *": $text"* ]]; done < "$T/want"
}

@test "S4's file unchanged: what postmap -hmq says IGNORE of goes, all else stays" {
  command -v postmap > /dev/null || skip "needs postmap"
  cat > "$T/s4" <<'C'
/^Received:/                 IGNORE
/^User-Agent:/               IGNORE
/^X-Mailer:/                 IGNORE
/^X-Originating-IP:/         IGNORE
/^x-cr-[a-z]*:/              IGNORE
/^Thread-Index:/             IGNORE
C
  cat > "$T/m" <<'M'
Received: from a
	by b
From: a@b
User-Agent: x
X-Mailer: y
X-Originating-IP: [1.2.3.4]
X-CR-abc: 1
X-CR-9: kept
Thread-Index: z
Subject: hi

Received: in the body
M
  mx-filter headers "regexp:$T/s4" < "$T/m" > "$T/out"
  # what Postfix names, with its folds, is what is missing in ours
  postmap -c /etc/postfix -hmq - "regexp:$T/s4" < "$T/m" 2> /dev/null | sed 's/\tIGNORE$//' > "$T/gone"
  [ "$(wc -l < "$T/gone")" -eq 7 ]
  diff <(grep -vxFf "$T/gone" "$T/m") "$T/out"
}
