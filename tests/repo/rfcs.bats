# Pointers to RFCs beside tests/rfc-status.txt and the sections that exist.
load ../lib/common

setup() { common_setup; }
teardown() { common_teardown; }

check() { python3 "$ROOT/tests/repo/rfcs.py" "$@"; }

@test "every RFC that is pointed at has its status, every section exists" {
  run check
  [ "$status" -eq 0 ]
  [[ "$output" == *" 0 faults" ]]
}

@test "a section that does not exist is found in each form of a pointer" {
  local form n=0
  while IFS= read -r form; do
    printf '%b\n' "$form" > "$T/x.c"
    run check "$ROOT/tests/rfc-status.txt" "$ROOT/tests/repo/rfc-sections.txt" "$T/x.c"
    [ "$status" -eq 1 ] || { echo "not found: $form"; false; }
    [[ "$output" == *"has no section"* ]]
    n=$((n + 1))
  done <<'FORMS'
/* RFC 5321 4.5.3.9: a rule */
/* RFC 8460 4.4, 5.9 */
/* RFC 5321 4.4, 3207 9 and 1870 */
/* 4.1 (RFC 4954 4 (AUTH), 2920 3.9) */
/* a rule of RFC\n * 7208 4.6.9. */
/* a rule of RFC 7208\n * 4.6.9. */
# as RFC 5228\n# 2.4.2.1 to 2.4.9 say
// RFC 6376 section 3.99
/* RFC 5321 appendix Z */ /* RFC 5321 appendix H */
RFCs 3463 3 and 3464 9
FORMS
  [ "$n" -eq 10 ]
}

@test "what is no pointer is not taken for one" {
  cat > "$T/x.c" <<'EOT'
/* RFC 5321 4.4, 250 bytes; RFC 5321 says 512; RFC822.SIZE; text/rfc822-headers;
 * RFC 3461's ORCPT=rfc822;a@b; RFC 7208 4.6.4: 10 mechanisms; 8.99 seconds. */
EOT
  run check "$ROOT/tests/rfc-status.txt" "$ROOT/tests/repo/rfc-sections.txt" "$T/x.c"
  [ "$output" = "4 pointers, 2 with a section, 0 faults" ]
}

@test "a document without a status, and a status that says nothing, are found" {
  echo '/* RFC 1149 3 */' > "$T/x.c"
  run check "$ROOT/tests/rfc-status.txt" "$ROOT/tests/repo/rfc-sections.txt" "$T/x.c"
  [[ "$output" == *"x.c:1: RFC 1149 has no line in rfc-status.txt"* ]]
  cat > "$T/status" <<'EOT'
1149 | Pigeons addresses | partial | mx-recv |
1919 | Proxies | all | mx-recv | nothing
1920 | Standards | full | mx-none |
1920 | Standards | full | mx-recv |
1921 | Terminals
EOT
  run check "$T/status" "$ROOT/tests/repo/rfc-sections.txt" "$T/x.c"
  [ "${lines[-1]}" = "1 pointers, 1 with a section, 5 faults" ]
}

@test "the list of sections is read out of a text: contents, lists and prose are none" {
  cat > "$T/rfc1.txt" <<'EOT'
Table of Contents
   1.  Introduction ....... 1
   2.  Model .............. 2
1.  Introduction
   Of lists:
   1.  One
   2.  Two
   12.  Twelve
2.  Model
2.1.  Parts
2.2.  wholes: of parts
   20 minutes Later
3.  Rest
Appendix A.  More
A.1.  Still more
EOT
  run python3 "$ROOT/tests/repo/rfc_sections.py" "$T"
  [ "$output" = "1 1-3 A 2.1-2 A.1" ]
}
