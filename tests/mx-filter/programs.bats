# mx-filter sieve: programs that scripts may run (vnd.dovecot.pipe, filter,
# execute), report, environment; beside Debian's sieve-test where it is there.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() {
  common_setup
  unset "${!MX_SENDER@}" "${!MX_RECIPIENTS@}" "${!MX_CLIENT@}" MX_ACTIONS MX_MAILDIR
  mkdir "$T/bin" "$T/home"
  export HOME=$T/home MX_CONFIG=$T/mx.conf
  cat > "$T/mx.conf" <<C
myhostname = mail.c.example
mydomain = c.example
sieve_pipe_bin_dir = $T/bin
sieve_filter_bin_dir = $T/bin
sieve_execute_bin_dir = $T/bin
sieve_environment = mail_host=abc other=x
C
  printf 'From: a@b.example\nTo: joe@c.example\nSubject: hi\n\nbody\n' > "$T/m"
  program ok <<P
cat > $T/got; printf '%s\n' "\$@" > $T/args; env | sort > $T/env; echo "out line"
P
  program bad <<< 'cat > /dev/null; echo half; exit 3'
  program tag <<< "sed 's/^Subject: /Subject: [x] /'"
  program fast <<< 'exit 0'
}
teardown() { common_teardown; }
program() { { echo '#!/bin/sh'; cat; } > "$T/bin/$1"; chmod 755 "$T/bin/$1"; }

# run_it [OPTION...]: actions of the script on stdin, tabs as |
run_it() {
  cat > "$T/s.sieve"
  mx-filter sieve --script "$T/s.sieve" --actions --sender a@b.example --recipient joe@c.example "$@" \
    < "$T/m" > "$T/acts" 2> "$T/err" || { cat "$T/err"; return 1; }
  tr '\t' '|' < "$T/acts"
}
is() {
  local want=$1; shift
  got=$(run_it "$@")
  [ "$got" = "$want" ] || { printf 'want: %s\ngot:  %s\n' "$want" "$got"; cat "$T/err"; return 1; }
}

@test "pipe: the whole message, arguments as they are, an environment of its own; nothing is kept then" {
  SECRET=1 MX_QUEUE_ID=x is discard <<'S'
require "vnd.dovecot.pipe";
pipe "ok" ["a b", "$(touch x); 'y'", "é"];
S
  cmp "$T/m" "$T/got"
  diff - "$T/args" <<'A'
a b
$(touch x); 'y'
é
A
  grep -qx SENDER=a@b.example "$T/env"
  grep -qx RECIPIENT=joe@c.example "$T/env"
  grep -qx ORIG_RECIPIENT=joe@c.example "$T/env"
  grep -qx HOST=mail.c.example "$T/env"
  ! grep -E 'SECRET|MX_' "$T/env"
}

@test "pipe :copy and other actions: the keep stays" {
  is keep <<< 'require ["vnd.dovecot.pipe","copy"]; pipe :copy "ok";'
  is $'discard\nfileinto|A' <<< 'require ["vnd.dovecot.pipe","fileinto"]; pipe "ok"; fileinto "A";'
}

@test "pipe: without --actions nothing runs" {
  echo 'require "vnd.dovecot.pipe"; pipe "ok";' > "$T/s.sieve"
  run -0 mx-filter sieve --script "$T/s.sieve" < "$T/m"
  [ ! -e "$T/got" ]
}

@test "pipe that fails: kept, all else is forgotten; with :try the rest is done and the mail is not lost" {
  is keep <<< 'require ["vnd.dovecot.pipe","fileinto"]; fileinto "A"; pipe "bad";'
  grep -q 'failed with status' "$T/err"
  is keep <<< 'require "vnd.dovecot.pipe"; pipe :try "bad";'
  is 'fileinto|A' <<< 'require ["vnd.dovecot.pipe","fileinto"]; fileinto "A"; pipe :try "bad";'
  is keep <<< 'require "vnd.dovecot.pipe"; pipe "none";'
  is 'fileinto|A' <<< 'require ["vnd.dovecot.pipe","fileinto"]; fileinto "A"; pipe :try "none";'
  is keep <<< 'require "vnd.dovecot.pipe"; pipe :try "none";'
}

@test "pipe: a program that reads nothing; one that hangs is ended" {
  is discard <<< 'require "vnd.dovecot.pipe"; pipe "fast";'
  program hang <<< "sleep 600 & echo \$! > $T/pid; wait"
  echo 'sieve_execute_exec_timeout = 1s' >> "$T/mx.conf"
  is keep <<< 'require "vnd.dovecot.pipe"; pipe "hang";'
  wait_for 5 bash -c "! kill -0 $(< "$T/pid") 2> /dev/null"
}

@test "filter: what the program writes is the message" {
  is 'fileinto|yes' --edited "$T/edited" <<'S'
require ["vnd.dovecot.filter","fileinto"];
filter "tag";
if header "subject" "[x] hi" { fileinto "yes"; }
S
  cmp "$T/edited" <(sed 's/: hi/: [x] hi/' "$T/m")
}

@test "filter that fails or is not there: the message stays as it was" {
  is 'fileinto|yes' <<'S'
require ["vnd.dovecot.filter","fileinto"];
filter "bad";
if header "subject" "hi" { fileinto "yes"; }
S
  is 'fileinto|yes' <<< 'require ["vnd.dovecot.filter","fileinto"]; if filter "bad" { fileinto "no"; } else { fileinto "yes"; }'
  is 'fileinto|yes' <<< 'require ["vnd.dovecot.filter","fileinto"]; if filter "none" { fileinto "no"; } else { fileinto "yes"; }'
  is keep <<< 'require ["vnd.dovecot.filter","fileinto"]; filter "none"; fileinto "no";'
  grep -q 'not in sieve_filter_bin_dir' "$T/err"
}

@test "execute: status, :input, :pipe, :output" {
  is $'fileinto|A\nfileinto|B' <<'S'
require ["vnd.dovecot.execute","fileinto"];
if execute "ok" { fileinto "A"; }
if not execute "bad" { fileinto "B"; }
S
  [ ! -s "$T/got" ]
  program up <<< "tr a-z A-Z | tr -d '\n'"
  is 'fileinto|XABC' <<'S'
require ["vnd.dovecot.execute","fileinto","variables"];
set "v" "abc";
execute :input "x${v}" :output "o" "up";
fileinto "${o}";
S
  program subject <<< "sed -n 's/^Subject: //p' | tr -d '\n'"
  is 'fileinto|hi' <<'S'
require ["vnd.dovecot.execute","fileinto","variables"];
execute :pipe :output "o" "subject";
fileinto "${o}";
S
  is 'fileinto|Abefore' <<'S'
require ["vnd.dovecot.execute","fileinto","variables"];
set "o" "before";
execute :output "o" "bad";
if execute "none" { fileinto "no"; }
fileinto "A${o}";
S
}

@test "programs: only what lies in the directory, by bare name; without a directory none" {
  for n in ../bin/ok /bin/true . .. .ok ''; do
    printf 'require "vnd.dovecot.execute";\nexecute "%s";\n' "$n" > "$T/s"
    run -65 mx-filter check "$T/s"
    [[ $output == *"$T/s:2:"*"invalid program name"* ]]
  done
  is keep <<< 'require ["vnd.dovecot.execute","variables"]; set "n" "../bin/ok"; execute "${n}"; keep;'
  [ ! -e "$T/args" ]
  program open <<< 'exit 0'; chmod 777 "$T/bin/open"
  is 'keep' <<< 'require ["vnd.dovecot.execute"]; if execute "open" { discard; }'
  ln -s "$T/bin" "$T/bin/dir"
  is keep <<< 'require ["vnd.dovecot.execute"]; if anyof (execute "dir", execute "plain") { discard; }'
  sed -i /sieve_execute_bin_dir/d "$T/mx.conf"
  is keep <<< 'require "vnd.dovecot.execute"; execute "ok"; keep;'
  [ ! -e "$T/args" ]
}

@test "execute: output without end is refused, the message kept" {
  program flood <<< 'exec cat /dev/zero'
  is 'fileinto|x' <<< 'require ["vnd.dovecot.execute","variables","fileinto"]; if execute :output "o" "flood" { fileinto "no"; } else { fileinto "x"; }'
}

@test "report: an RFC 5965 report, from the user, beside the keep" {
  export MX_CLIENT_ADDR=192.0.2.7
  is $'notify|abuse@c.example|from=joe@c.example\nkeep' <<'S'
require "vnd.dovecot.report";
report "abuse" "This is spam." "abuse@c.example";
S
  MX_ACTIONS=3 mx-filter sieve --script "$T/s.sieve" --actions --sender a@b.example --recipient joe@c.example \
    < "$T/m" 3> /dev/null > "$T/report"
  python3 - "$T/report" <<'P'
import sys, email, email.policy
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "feedback-report", m
assert m["To"] == "abuse@c.example" and m["From"].addresses[0].addr_spec == "joe@c.example", m["From"]
assert m["Auto-Submitted"].startswith("auto-generated") and m["Message-ID"] and m["Date"]
text, fields, orig = m.get_payload()
assert text.get_content() == "This is spam.\n", text.get_content()
assert fields.get_content_type() == "message/feedback-report"
f = email.message_from_string(fields.get_payload()[0].as_string() if fields.is_multipart() else fields.get_payload())
for k, v in {"Feedback-Type": "abuse", "Version": "1", "Original-Mail-From": "<a@b.example>",
             "Original-Rcpt-To": "<joe@c.example>", "Source-IP": "192.0.2.7"}.items():
    assert f[k] == v, (k, f[k])
assert f["User-Agent"] and f["Arrival-Date"]
assert orig.get_content_type() == "message/rfc822" and orig.get_payload()[0]["Subject"] == "hi"
assert orig.get_payload()[0].get_content() == "body\n"
P
}

@test "report :headers_only; a type nobody knows is a note; addresses are checked" {
  run_it <<< 'require "vnd.dovecot.report"; report :headers_only "Not-Spam" "x" "<abuse@c.example>";'
  MX_ACTIONS=3 mx-filter sieve --script "$T/s.sieve" --actions --recipient joe@c.example < "$T/m" 3> /dev/null > "$T/report"
  grep -qx 'Content-Type: text/rfc822-headers' "$T/report"
  ! grep -qx body "$T/report"
  printf 'require "vnd.dovecot.report";\nreport "abuse" "x" "not an address";\n' > "$T/s"
  run -65 mx-filter check "$T/s"
  printf 'require "vnd.dovecot.report";\nreport "abuse";\n' > "$T/s"
  run -65 mx-filter check "$T/s"
}

@test "environment: the items of RFC 5183, unknown ones never match" {
  export USER=joe MX_CLIENT_ADDR=192.0.2.7 MX_CLIENT_NAME=client.b.example
  is 'fileinto|A' <<'S'
require ["environment","fileinto","variables"];
if not environment "domain" "c.example" { fileinto "no1"; }
if not environment "host" "mail.c.example" { fileinto "no2"; }
if not environment "location" "MDA" { fileinto "no3"; }
if not environment "phase" "during" { fileinto "no4"; }
if not environment "NAME" "mx" { fileinto "no5"; }
if not environment :matches "version" "?*" { fileinto "no6"; }
if not environment "remote-ip" "192.0.2.7" { fileinto "no7"; }
if not environment :contains "remote-host" "client" { fileinto "no8"; }
if environment :contains "nothing" "" { fileinto "no9"; }
if environment :contains "vnd.dovecot.username" "" { fileinto "no10"; }
fileinto "A";
S
  unset MX_CLIENT_ADDR MX_CLIENT_NAME
  is keep <<'S'
require ["environment","fileinto"];
if environment :contains "remote-ip" "" { fileinto "no1"; }
if environment :contains "remote-host" "" { fileinto "no2"; }
S
}

@test "vnd.dovecot.environment: its items, \${env.*}" {
  export USER=joe
  is $'fileinto|A\nfileinto|mail.c.example-joe-abc-' <<'S'
require ["environment","vnd.dovecot.environment","fileinto","variables"];
if not environment "vnd.dovecot.username" "joe" { fileinto "no1"; }
if not environment "vnd.dovecot.default-mailbox" "INBOX" { fileinto "no2"; }
if not environment "vnd.dovecot.config.mail_host" "abc" { fileinto "no3"; }
if environment :contains "vnd.dovecot.config.none" "" { fileinto "no4"; }
fileinto "A";
fileinto "${env.host}-${env.vnd.dovecot.username}-${env.vnd.dovecot.config.mail_host}-${env.vnd.dovecot.config.none}";
S
}

@test "the same as Pigeonhole's programs: results, unchanged messages, variables" {
  need_root
  command -v sieve-test || skip "sieve-test is not there"
  [ -e /usr/lib/dovecot/modules/sieve/lib90_sieve_extprograms_plugin.so ] || skip "no extprograms plugin"
  chmod -R a+rX "$T"; chmod 777 "$T" "$T/home"; touch "$T"/{got,args,env}; chmod 666 "$T"/{got,args,env}
  cat > "$T/dc.conf" <<C
mail_uid = nobody
mail_gid = nogroup
mail_home = $T/home
mail_location = maildir:$T/home/Maildir
ssl = no
plugin {
  sieve_plugins = sieve_extprograms
  sieve_extensions = +vnd.dovecot.pipe +vnd.dovecot.filter +vnd.dovecot.execute +vnd.dovecot.environment +vnd.dovecot.report
  sieve_pipe_bin_dir = $T/bin
  sieve_filter_bin_dir = $T/bin
  sieve_execute_bin_dir = $T/bin
}
C
  n=0
  while IFS= read -r script; do
    printf 'require ["vnd.dovecot.filter","vnd.dovecot.execute","fileinto","variables"];\n%s\n' "$script" > "$T/p.sieve"
    theirs=$(setpriv --reuid=nobody --regid=nogroup --clear-groups sieve-test -c "$T/dc.conf" -f a@b.example \
      -a joe@c.example "$T/p.sieve" "$T/m" 2> "$T/err2" | sed -n 's/.*store message in folder: //p' | sort | tr '\n' ' ')
    ! grep -q 'resolved with successful implicit keep' "$T/err2" || theirs='INBOX '
    ours=$(mx-filter sieve --script "$T/p.sieve" --actions --sender a@b.example --recipient joe@c.example < "$T/m" 2> "$T/err" |
      sed -E 's/^keep.*/fileinto\tINBOX/; s/^fileinto\t([^\t]*).*/\1/' | sort | tr '\n' ' ')
    [ "$ours" = "$theirs" ] || { echo "$script"; echo "ours: $ours theirs: $theirs"; cat "$T/err" "$T/err2"; return 1; }
    n=$((n + 1))
  done <<'S'
filter "bad"; keep;
filter "tag"; if header "subject" "[x] hi" { fileinto "yes"; }
if filter "bad" { fileinto "no"; } else { fileinto "yes"; }
if filter "tag" { fileinto "yes"; } else { fileinto "no"; }
filter "none"; fileinto "yes";
if execute "none" { fileinto "no"; } else { fileinto "yes"; }
if execute "ok" { fileinto "yes"; } else { fileinto "no"; }
if not execute "bad" { fileinto "yes"; }
set "x" "before"; execute :output "x" "bad"; fileinto "A${x}";
execute :input "abc" "bad"; fileinto "A";
filter "tag"; filter "tag"; if header "subject" "[x] [x] hi" { fileinto "twice"; }
filter "tag"; filter "bad"; if header "subject" "[x] hi" { fileinto "once"; }
execute "bad";
execute "none"; fileinto "no";
if anyof (execute "bad", execute "ok") { fileinto "yes"; }
S
  [ "$n" -eq 15 ]
}
