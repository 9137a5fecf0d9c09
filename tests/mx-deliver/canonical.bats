#!/usr/bin/env bats
# canonical(5), address completion, masquerading: envelope and header, as
# Postfix's cleanup(8) does it.
load deliver
setup() { deliver_setup; }
teardown() { common_teardown; }

# send FROM TO [FILE]: one message from a local client
send() {
  { echo '> EHLO x'; echo "> MAIL FROM:<$1>"; echo "> RCPT TO:<$2>"; echo "# ${3:-$T/m}"; } |
    talk | tail -n 1
}
newest() { find "$T/vm/$1/new" -type f -printf '%T@ %p\n' | sort | tail -n 1 | cut -d' ' -f2; }

@test "recipient_canonical_maps: address, user, @domain, extension, until nothing changes" {
  cat > "$T/canon" <<'EOF'
old@virt.example     joe@virt.example
joe.user             joe@virt.example
@other.example       @virt.example
two@virt.example     old@virt.example
self@virt.example    self@virt.example
EOF
  conf "recipient_canonical_maps = hash:$T/canon" 'virtual_alias_domains = other.example'
  for a in old@virt.example OLD+x@virt.example joe.user@mail.example.org joe@other.example two@virt.example; do
    [[ $(send a@b.example "$a") == *delivered* ]] || { echo "$a"; cat "$T/log"; false; }
  done
  [ "$(count vm/joe/new)" -eq 5 ]
  grep -qx 'X-Original-To: two@virt.example' "$(newest joe)"
  grep -qx 'Delivered-To: joe@virt.example' "$(newest joe)"
  grep -rqx 'Delivered-To: joe+x@virt.example' "$T/vm/joe/new"
  [[ $(send a@b.example self@virt.example) != *delivered* ]]
  # a sender is another class
  send old@virt.example joe@virt.example
  grep -qx 'Return-Path: <old@virt.example>' "$(newest joe)"
}

@test "sender_canonical_maps: envelope and header, the null sender stays" {
  conf 'sender_canonical_maps = inline:{ {me@box.example = Real.Name@b.example} }'
  printf 'From: "Me, myself" <me@box.example> (comment)\nTo: me@box.example\nCc: x: me@box.example;\nSubject: s\n\nFrom: me@box.example\n' > "$T/m2"
  [[ $(send me@box.example joe@virt.example "$T/m2") == *delivered* ]]
  f=$(newest joe)
  grep -qx 'Return-Path: <Real.Name@b.example>' "$f"
  grep -qx 'From: "Me, myself" <Real.Name@b.example>' "$f"
  grep -qx 'To: me@box.example' "$f"
  [ "$(tail -n 1 "$f")" = 'From: me@box.example' ]
  [[ $(send '' joe@virt.example "$T/m2") == *delivered* ]]
  grep -qx 'Return-Path: <>' "$(newest joe)"
}

@test "classes: only the envelope, only the header" {
  conf 'sender_canonical_maps = inline:{ {me@box.example = env@b.example} }' 'sender_canonical_classes = envelope_sender' \
    'recipient_canonical_maps = inline:{ {me@box.example = hdr@b.example} }' 'recipient_canonical_classes = header_recipient' \
    'canonical_maps = inline:{ {hdr@b.example = last@b.example} }' 'canonical_classes = header_recipient'
  printf 'From: me@box.example\nTo: a@b.example,\n\tme@box.example\nSubject: s\n\nx\n' > "$T/m2"
  [[ $(send me@box.example joe@virt.example "$T/m2") == *delivered* ]]
  f=$(newest joe)
  grep -qx 'Return-Path: <env@b.example>' "$f"
  grep -qx 'From: me@box.example' "$f"
  grep -qx 'To: a@b.example, last@b.example' "$f"
}

@test "local_header_rewrite_clients: a stranger's header keeps every byte" {
  conf 'canonical_maps = inline:{ {me@box.example = new@b.example} }'
  printf 'From: me@box.example\nTo:  me@box.example (x) ,a\nSubject: s\n\nx\n' > "$T/m2"
  stranger() {
    printf '> EHLO x\n> XFORWARD ADDR=192.0.2.1\n> MAIL FROM:<me@box.example>\n> RCPT TO:<joe@virt.example>\n# %s\n' "$T/m2" | talk | tail -n 1
  }
  [[ $(stranger) == *delivered* ]]
  f=$(newest joe)
  grep -qx 'Return-Path: <new@b.example>' "$f"
  cmp <(sed '/^From:/,$!d' "$f") "$T/m2"
  conf 'local_header_rewrite_clients = permit_mynetworks' 'mynetworks = 192.0.2.0/24'
  [[ $(stranger) == *delivered* ]]
  grep -rqx 'From: new@b.example' "$T/vm/joe/new"
}

@test "a table that is away is 451, in the envelope and in the header" {
  conf "canonical_maps = tcp:127.0.0.1:1"
  run send a@b.example joe@virt.example
  [[ $output != *delivered* && $output != *queued* ]] || { echo "$output"; false; }
  [ "$(count vm)" -eq 0 ]
  sed -i '/^canonical_maps/d' "$T/mx.conf"
  conf 'canonical_maps = tcp:127.0.0.1:1' 'canonical_classes = header_sender'
  printf 'From: me@box.example\n\nx\n' > "$T/m2"
  [[ $(send a@b.example joe@virt.example "$T/m2") == 451\ 4.* ]]
  [ "$(count vm)" -eq 0 ]
}

@test "append_dot_mydomain, append_at_myorigin, myorigin from a file" {
  echo 'virt.example' > "$T/mailname"
  conf "myorigin = $T/mailname" 'mydomain = example' 'append_dot_mydomain = yes'
  run mx-deliver joe ann@virt < "$T/m"
  [ "$status" -eq 0 ]
  mx-deliver --queue-run
  [ "$(count vm/joe/new)" -eq 1 ] && [ "$(count vm/ann/new)" -eq 1 ]
  rm "$T"/vm/joe/new/*
  printf 'From: joe\nTo: Ann <ann@virt>\nCc: (none) joe@virt.example.\nSubject: s\n\nx\n' > "$T/m2"
  [[ $(send joe@virt joe@virt.example "$T/m2") == *delivered* ]]
  f=$(newest joe)
  cat "$f"
  grep -qx 'Return-Path: <joe@virt.example>' "$f"
  grep -qx 'From: joe@virt.example' "$f"
  grep -qx 'To: Ann <ann@virt.example>' "$f"
}

@test "masquerade_domains: in order, exceptions, !domain, classes" {
  conf 'masquerade_domains = !keep.b.example b.example virt.example' 'masquerade_exceptions = root'
  check() {
    [[ $(send "$1" joe@virt.example) == *delivered* ]]
    grep -qx "Return-Path: <$2>" "$(newest joe)" || { echo "$1:"; cat "$(newest joe)"; return 1; }
    rm "$T"/vm/joe/new/*
  }
  check u@host.b.example u@b.example
  check u@a.host.b.example u@b.example
  check u@b.example u@b.example
  check u@xb.example u@xb.example
  check u@keep.b.example u@keep.b.example
  check u@x.keep.b.example u@x.keep.b.example
  check root@host.b.example root@host.b.example
  conf 'virtual_alias_domains = h.virt.example'
  [[ $(send a@b.example joe@h.virt.example) != *delivered* ]]
}

@test "propagate_unmatched_extensions: canonical and virtual, or not" {
  conf 'virtual_alias_maps = inline:{ {al@virt.example = joe@virt.example} }'
  [[ $(send a@b.example al+one@virt.example) == *delivered* ]]
  grep -rqx 'Delivered-To: joe+one@virt.example' "$T/vm/joe/new"
  rm "$T"/vm/joe/new/*
  conf 'propagate_unmatched_extensions = canonical'
  [[ $(send a@b.example al+two@virt.example) == *delivered* ]]
  grep -qx 'Delivered-To: joe@virt.example' "$(newest joe)"
}

@test "recipient_delimiter: several characters" {
  sed -i '/^recipient_delimiter/d' "$T/mx.conf"; conf 'recipient_delimiter = +-'
  [[ $(send a@b.example joe-x@virt.example) == *delivered* ]]
  [[ $(send a@b.example joe+x@virt.example) == *delivered* ]]
  [ "$(count vm/joe/new)" -eq 2 ]
}

@test "long header, header only, no header: nothing is lost" {
  conf 'canonical_maps = inline:{ {me@box.example = new@b.example} }'
  printf '\nno header at all\n' > "$T/m2"
  [[ $(send a@b.example joe@virt.example "$T/m2") == *delivered* ]]
  [ "$(tail -n 1 "$(newest joe)")" = 'no header at all' ]
  rm "$T"/vm/joe/new/*
  printf 'From: me@box.example\nSubject: only' > "$T/m2"
  [[ $(send a@b.example joe@virt.example "$T/m2") == *delivered* ]]
  grep -qx 'From: new@b.example' "$(newest joe)"
  [ "$(tail -n 1 "$(newest joe)")" = 'Subject: only' ]
  rm "$T"/vm/joe/new/*
  python3 -c 'print("From: me@box.example\nTo: " + ",\n ".join("u%d@x.example" % i for i in range(3000)) + "\nSubject: s\n\nbody")' > "$T/m2"
  [[ $(send a@b.example joe@virt.example "$T/m2") == *delivered* ]]
  cmp <(sed '/^To:/,$!d' "$(newest joe)") <(sed '/^To:/,$!d' "$T/m2")
}
