# mx-filter replay, --explain, and what vacation and duplicate remember.
load ../lib/common
bats_require_minimum_version 1.5.0
setup() { common_setup; export HOME=$T; unset MX_ACTIONS; }
teardown() { common_teardown; }

@test "replay: which stored messages would change folder" {
  mkdir -p "$T"/M/{new,cur,tmp} "$T"/M/.Lists.a/{new,cur,tmp} "$T"/M/.notmail
  printf 'Return-Path: <x@y.example>\nSubject: list\n\nb\n' > "$T/M/new/1"
  printf 'Subject: other\n\nb\n' > "$T/M/cur/2:2,S"
  printf 'Subject: list\n\nb\n' > "$T/M/.Lists.a/cur/3:2,"
  printf 'Subject: gone\n\nb\n' > "$T/M/.Lists.a/new/4"
  printf 'Subject: bad\n\nb\n' > "$T/M/cur/5:2,"
  find "$T/M" -type f -exec md5sum {} + | sort > "$T/before"
  cat > "$T/s" <<'S'
require ["fileinto", "envelope", "variables", "vacation"];
vacation "away";
if header "subject" "list" { fileinto "Lists.a"; }
if header "subject" "gone" { discard; }
if header "subject" "bad" { redirect "${none}"; }
if envelope "from" "x@y.example" { fileinto "From.x"; }
S
  run -0 mx-filter replay --script "$T/s" "$T/M"
  [[ $output == *'new/1: INBOX -> Lists.a, From.x'* ]]
  [[ $output == *'new/4: Lists.a -> discard'* ]]
  [[ $output == *'cur/5:2,: INBOX -> INBOX ('*address* ]]
  [ "${lines[-1]}" = "5 messages, 3 would change folder, 1 failures" ]
  [ "${#lines[@]}" -eq 4 ]
  find "$T/M" -type f -exec md5sum {} + | sort | diff "$T/before" -
  [ ! -e "$T/.sieve-memory" ]
  run -64 mx-filter replay "$T/M"
  run -66 mx-filter replay --script "$T/s" "$T/none"
}

away() { mx-filter "$@" sieve --actions --script "$T/v" --sender "${FROM:-a@b.example}" --recipient me@d.example < "$T/m"; }

@test "vacation: one reply a sender and reply, remembered before it is told" {
  printf 'From: a@b.example\nTo: me@d.example\nSubject: s\n\nb\n' > "$T/m"
  echo 'require "vacation"; vacation "away";' > "$T/v"
  run -0 away; [ "${lines[0]}" = $'vacation\ta@b.example\tfrom=' ]
  run -0 away; [ "$output" = keep ]
  FROM=c@b.example run -0 away; [[ $output == vacation* ]]
  echo 'require "vacation"; vacation "another";' > "$T/v"
  run -0 away; [[ $output == vacation* ]]
  # time passes
  MX_TEST_TIME=+604900 run -0 away; [[ $output == vacation* ]]
  [ "$(stat -c %a "$T/.sieve-memory")" = 600 ]
  # a torn line at the end, and garbage: the rest still counts
  printf 'garbage\n\x00\xff\n99999' >> "$T/.sieve-memory"
  MX_TEST_TIME=+604900 run -0 away; [ "$output" = keep ]
  FROM=d@b.example run -0 away; [[ $output == vacation* ]]
  FROM=d@b.example run -0 away; [ "$output" = keep ]
}

@test "vacation: no reply where it cannot be remembered; the message is kept" {
  printf 'From: a@b.example\nTo: me@d.example\n\nb\n' > "$T/m"
  echo 'require "vacation"; vacation "away";' > "$T/v"
  mkdir "$T/.sieve-memory"
  run -0 --separate-stderr away; [ "$output" = keep ]
  [[ $stderr == *"no reply is sent"* ]]
}

@test "vacation: its bounds, and a memory that does not grow for ever" {
  printf 'From: a@b.example\nTo: me@d.example\n\nb\n' > "$T/m"
  echo 'require ["vacation", "vacation-seconds"]; vacation :seconds 10 "away";' > "$T/v"
  run -0 away -o sieve_vacation_min_period=0; [[ $output == *vacation* ]]
  MX_TEST_TIME=+20 run -0 away -o sieve_vacation_min_period=0; [[ $output == *vacation* ]]
  rm "$T/.sieve-memory"
  run -0 away; [[ $output == *vacation* ]]
  MX_TEST_TIME=+20 run -0 away; [ "${lines[-1]}" = keep ]; [[ $output != *vacation$'\t'* ]]
  for i in $(seq 300); do echo "$i 0123456789abcdef0123456789abcdef"; done > "$T/.sieve-memory"
  FROM=z@b.example run -0 away; [[ $output == *vacation* ]]
  [ "$(wc -l < "$T/.sieve-memory")" -lt 10 ]
}

@test "duplicate: remembered when the delivery says so" {
  printf 'From: a@b.example\nMessage-ID: <1@x>\n\nb\n' > "$T/m"
  echo 'require "duplicate"; if duplicate { discard; }' > "$T/v"
  run -0 away; [ "${lines[0]}" = keep ]; [[ ${lines[1]} == $'remember\t43200 duplicate  <1@x>' ]]
  run -0 away; [ "${lines[0]}" = keep ]
  run -0 mx-filter remember '43200 duplicate  <1@x>'
  run -0 away; [ "${lines[0]}" = discard ]
  MX_TEST_TIME=+50000 run -0 away; [ "${lines[0]}" = keep ]
  run -65 mx-filter remember nonsense
}

@test "MX_ACTIONS=3: messages on standard output, their places in the lines" {
  printf 'From: a@b.example\nTo: me@d.example\nSubject: s\n\nb\n' > "$T/m"
  echo 'require ["vacation","editheader","fileinto"]; fileinto "A"; vacation "away"; addheader "X" "1"; fileinto "B"; fileinto "C";' > "$T/v"
  MX_ACTIONS=3 away > "$T/out" 3> "$T/lines"
  IFS=$'\t' read -r -a a < <(sed -n 2p "$T/lines")
  [ "${a[0]}" = vacation ]
  at=${a[3]#at=} size=${a[4]#size=}
  tail -c +$((at + 1)) "$T/out" | head -c "$size" | grep -q '^Subject: Auto: s'
  IFS=$'\t' read -r -a b < <(sed -n 3p "$T/lines")
  [ "${b[1]}" = B ]
  at=${b[2]#at=} size=${b[3]#size=}
  tail -c +$((at + 1)) "$T/out" | head -c "$size" | grep -q '^X: 1'
  [ "$(sed -n 4p "$T/lines")" = $'fileinto\tC\t'"at=$at"$'\t'"size=$size" ]
  [ "$(sed -n 1p "$T/lines")" = $'fileinto\tA' ]
}

@test "hostile scripts end, in bounded time and memory" {
  printf 'Subject: %s\n\n%s\n' "$(printf 'a%.0s' $(seq 3000))" x > "$T/m"
  run_it() { run timeout 60 bash -c "$(declare -f memory_limit); memory_limit 2000000; mx-filter -o sieve_max_cpu_time=2s sieve --script '$T/v' < '$T/m'"; [ "$status" -eq 0 ] || { echo "$output" | tail -n 3; return 1; }; }
  { echo 'require "variables"; set "a" "0123456789";'; for i in $(seq 3000); do echo 'set "a" "${a}${a}${a}${a}";'; done; } > "$T/v"; run_it
  { echo 'require "regex";'; for i in $(seq 300); do echo 'if header :regex "subject" "(a*)*(a*)*(a|aa)*b" { stop; }'; done; } > "$T/v"; run_it
  { echo 'require "editheader";'; for i in $(seq 3000); do echo "addheader \"X$i\" \"v\";"; done; } > "$T/v"; run_it
  { printf 'if header :matches "subject" "'; printf '*a%.0s' $(seq 200); echo 'b" { stop; }'; } > "$T/v"; run_it
  { echo 'require ["foreverypart","enclose"];'; for i in $(seq 200); do echo 'enclose "x";'; done; } > "$T/v"; run_it
  { echo 'require ["foreverypart","mime","replace"]; foreverypart { foreverypart { foreverypart { foreverypart { replace :mime "Content-Type: multipart/mixed; boundary=b'; echo; echo; echo '--b'; echo; echo '--b--'; echo '"; } } } }'; } > "$T/v"; run_it
}

@test "vacation: killed at any moment, the memory stays whole and nobody is answered twice" {
  printf 'From: a@b.example\nTo: me@d.example\nSubject: s\n\nb\n' > "$T/m"
  echo 'require "vacation"; vacation "away";' > "$T/v"
  cat > "$T/kill.py" <<'P'
import os, random, subprocess, sys, time
t = sys.argv[1]
def start(i): return subprocess.Popen(["mx-filter", "sieve", "--actions", "--script", f"{t}/v", "--sender", f"s{i}@b.example", "--recipient", "me@d.example"],
                                      stdin=open(f"{t}/m"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
random.seed(7)
told, killed = [], 0
took = time.time(); start("warm").communicate(); took = time.time() - took
for i in range(120):
    p = start(i); time.sleep(random.uniform(0, took * 1.5)); p.kill()
    out = p.communicate()[0]
    if b"vacation\t" in out: told.append(i)
    elif p.returncode == -9: killed += 1
twice = [i for i in told if b"vacation\t" in start(i).communicate()[0]]
lines = open(f"{t}/.sieve-memory", "rb").read()
ok = all(len(l.split(b" ", 1)) == 2 and l.split(b" ")[0].isdigit() for l in lines.splitlines() if l)
fresh = start("new").communicate()[0]
again = start("new").communicate()[0]
print(len(told), killed, twice, ok, b"vacation\t" in fresh, b"vacation\t" in again)
assert told and killed and not twice and b"vacation\t" in fresh and b"vacation\t" not in again
P
  run python3 "$T/kill.py" "$T"
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "implicit keep on each failure: of the run, of a limit, of a list, of a program; nothing else is done" {
  printf 'From: a@b.example\nTo: me@d.example\nSubject: s\n\nb\n' > "$T/m"
  n=0
  while IFS= read -r s; do
    printf '%s\n' "$s" > "$T/v"
    run -0 --separate-stderr mx-filter -o sieve_max_redirects=1 -o sieve_max_actions=3 sieve --actions --script "$T/v" --sender a@b.example < "$T/m"
    [ "$output" = keep ] || { echo "$s: $output"; false; }
    [[ $stderr == *": kept"* ]] || { echo "$s: $stderr"; false; }
    n=$((n + 1))
  done <<'S'
require "fileinto"; fileinto "before"; redirect "a@b.c"; redirect "d@e.f";
require "fileinto"; fileinto "a"; fileinto "b"; fileinto "c"; fileinto "d";
require ["ihave"]; discard; error "on purpose";
require ["variables", "fileinto"]; discard; redirect "${none}";
require ["variables", "fileinto"]; discard; fileinto "${none}";
require ["reject", "fileinto"]; fileinto "x"; reject "no";
require ["enotify", "variables"]; discard; set "m" "xmpp:x"; notify "${m}";
S
  [ "$n" -eq 7 ]
  # a script that does not compile, and one that is not there
  echo 'discard; nonsense;' > "$T/v"
  run mx-filter sieve --actions --script "$T/v" < "$T/m"
  [ "$status" -ne 0 ] && [[ $output != *discard* ]]
}

# lines FROM TO EXPIRY: what `remember` writes, for ids that nobody asks about
lines() { seq "$1" "$2" | awk -v e="$3" '{ printf "%d %032x\n", e, $1 }'; }

@test "what is remembered stays bounded, whatever strangers send; the newest stays known" {
  printf 'sieve_memory = %s/mem\n' "$T" > "$T/mem.conf"
  export MX_CONFIG=$T/mem.conf
  # 20 MB that has not expired, as it grew once
  lines 1 450000 9999999999 > "$T/mem"
  [ "$(stat -c %s "$T/mem")" -gt 16777216 ]
  mx-filter remember '43200 one' '43200 two'
  [ "$(wc -l < "$T/mem")" -le 262144 ]
  [ "$(grep -vc ' 0000000000' "$T/mem")" = 2 ]
  # the oldest went, each line is whole
  [ "$(grep -c ' 0*6ddd0$' "$T/mem")" = 1 ]
  [ "$(grep -c ' 0*1$' "$T/mem")" = 0 ]
  ! grep -qvxE '[0-9]+ [0-9a-f]{32}' "$T/mem"
  [ ! -e "$T/mem.new" ]
  # an id said again counts as new
  { lines 1 1 9999999999; lines 2 262200 9999999999; lines 1 1 9999999998; } > "$T/mem"
  mx-filter remember '43200 three'
  [ "$(wc -l < "$T/mem")" = 131072 ]
  grep -qx '9999999998 0*1' "$T/mem"
}

@test "marks of one command behind the one that rewrote the file are in the new one" {
  printf 'sieve_memory = %s/mem\n' "$T" > "$T/mem.conf"
  export MX_CONFIG=$T/mem.conf
  lines 1 150 1 > "$T/mem"
  mx-filter remember '43200 one' '43200 two' '43200 three'
  [ "$(wc -l < "$T/mem")" = 3 ]
}
