# Story 4: the programs at a shell, in pipes.
load ../lib/common

setup() {
  common_setup
  printf 'From: a@ex.test\nTo: b@ex.test\nSubject: [x] hello\nDate: Sat, 21 Nov 2026 08:00:00 +0000\n\nbody\n' > "$T/m"
  mapfile -t p < <(free_port 1); R=127.0.0.1:${p[0]}
  mx-dkimsign --genkey -d ex.test -s mx -D "$T" > "$T/record"
  {
    printf '$ORIGIN ex.test.\n@ 60 IN SOA ns h 1 2 3 4 5\n@ IN NS ns\nns IN A 127.0.0.1\n'
    printf '@ IN TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'
    cat "$T/record"
  } > "$T/zone"
  dns_serve "${p[0]}" ex.test "$T/zone"
}
teardown() { common_teardown; }

@test "mx-dkimsign | mx-dnscheck dkim: pass" {
  run bash -c "mx-dkimsign -d ex.test -s mx -k $T/mx.private < $T/m | mx-dnscheck dkim --resolver $R"
  [ "$status" -eq 0 ]
  [[ "$output" == "pass d=ex.test s=mx a=rsa-sha256 "* ]]
}

@test "a changed message fails" {
  run bash -c "mx-dkimsign -d ex.test -s mx -k $T/mx.private < $T/m | sed s/body/bodies/ | mx-dnscheck dkim --resolver $R"
  [ "$status" -eq 1 ]
  [[ "$output" == "fail "*"body hash"* ]]
}

@test "mx-filter sieve --explain tells what each test saw" {
  printf 'require "fileinto";\nif header :contains "subject" "[x]" { fileinto "X"; }\n' > "$T/s"
  run bash -c "mx-filter sieve --script $T/s --explain < $T/m"
  [ "$status" -eq 0 ]
  [[ "$output" == *'header: true (saw "[x] hello")'* ]]
  [[ "$output" == *'fileinto X'* ]]
}

@test "mx-dnscheck spf; echo \$?" {
  run mx-dnscheck spf --resolver "$R" --ip 192.0.2.7 --sender a@ex.test --helo h.ex.test
  [ "$status" -eq 0 ]
  [ "$output" = 'pass mechanism=ip4:192.0.2.0/24 lookups=0 voids=0 explanation=""' ]
  run mx-dnscheck spf --resolver "$R" --ip 198.51.100.7 --sender a@ex.test --helo h.ex.test
  [ "$status" -eq 1 ]
  [[ "$output" == "fail mechanism=-all "* ]]
}

@test "mx-deliver --maildir deposits the bytes" {
  mx-deliver --maildir "$T/M" < "$T/m"
  run bash -c "cat $T/M/new/*"
  [ "$status" -eq 0 ]
  [ "$output" = "$(cat "$T/m")" ]
}

@test "five stages: all succeed" {
  printf '/^Subject:/ REPLACE Subject: changed\n' > "$T/hc"
  run bash -c "set -o pipefail; mx-filter headers pcre:$T/hc < $T/m \
    | mx-dkimsign -d ex.test -s mx -k $T/mx.private \
    | mx-dnscheck auth --authserv-id t --resolver $R --client-addr 192.0.2.9 --sender a@ex.test --helo h \
    | mx-dkimsign | mx-deliver --maildir $T/M"
  [ "$status" -eq 0 ]
  run bash -c "cat $T/M/new/*"
  [[ "$output" == *"dkim=pass"* ]]
  [[ "$output" == *"Subject: changed"* ]]
}

@test "five stages, the third fails: nothing is delivered" {
  run bash -c "set -o pipefail; mx-dkimsign < $T/m | mx-dkimsign \
    | mx-dkimsign -d ex.test -s mx -k $T/nokey \
    | mx-dkimsign | mx-deliver --maildir $T/M"
  [ "$status" -eq 65 ]
  run find "$T/M" -type f
  [ -z "$output" ] || [ "$status" -ne 0 ]
}
