#!/usr/bin/env bats
# Lists, their owners and Delivered-To beside Postfix's local(8): the same
# aliases, .forward file and parameters; of each copy the sender, the recipient
# and its Delivered-To fields.
load queue
load ../lib/postfix
setup() {
  need_root
  command -v postfix >/dev/null || skip "no postfix"
  queue_setup
  chmod 755 "$T"; mkdir -m 777 "$T/pf.out" "$T/mx.out"
  for h in pf mx; do
    cat > "$T/$h.dump" <<SH
#!/bin/sh
# NAME [SENDER RECIPIENT]: one file a copy
f=\$(mktemp "$T/$h.out/x.XXXXXX")
{ echo "\$1 sender=\${2-\$SENDER} recipient=\${3-\$RECIPIENT} \$(sed '/^\$/q' | sed -n 's/^Delivered-To: //p' | tr '\n' ' ')"; cat >/dev/null; } > "\$f"
SH
    chmod 755 "$T/$h.dump"
  done
}
teardown() { [ -z "$U" ] || userdel "$U" 2>/dev/null; common_teardown; }

# aliases HOST: the table, "|" being HOST's dump
aliases() {
  cat <<A
plain: "|$T/$1.dump plain"
list: "|$T/$1.dump list", far@far.test, child, box
owner-list: boss@far.test
child: "|$T/$1.dump child", kid@far.test, $U
own2: below, two@far.test
owner-own2: boss@far.test
below: "|$T/$1.dump below", owned
owned: "|$T/$1.dump owned", three@far.test
owner-owned: plain
box: "|$T/$1.dump box"
outer: middle
middle: inner
inner: "|$T/$1.dump inner", four@far.test, $U
self: self, five@far.test
bare: list, alone
alone: "|$T/$1.dump alone"
A
}

@test "expand_owner_alias, reset_owner_alias, frozen_delivered_to, append_at_myorigin, as local(8)" {
  U=mxo$$
  useradd -M -d "$T/u" -s /bin/sh $U || skip "useradd does not work here"
  mkdir "$T/u"; chown $U: "$T/u"
  local port o bad=0; port=$(free_port)
  postfix_start pf "$port" "alias_maps = hash:$T/al.pf" "mail_spool_directory = $T/u/" 'transport_maps = inline:{{far.test=far:}}' 'myorigin = or.test' 'mydestination = pf.test or.test' \
    'far_destination_recipient_limit = 1' 'local_recipient_maps =' 'notify_classes =' 'recipient_delimiter = +'
  sed -i "s/^local unix.*/&\nfar unix - n n - - pipe user=nobody argv=$(sed 's,/,\\/,g' <<<"$T/pf.dump") far \$sender \$recipient/" "$T/pf/conf/master.cf"
  conf 'myhostname = pf.test' 'myorigin = or.test' 'mydestination = pf.test or.test' 'transport_maps = inline:{{far.test=far:}}' \
    'far_destination_recipient_limit = 1' "pipe_far = user=nobody directory=/ argv=$T/mx.dump far \$sender \$recipient" "alias_maps = texthash:$T/al.mx" 'local_recipient_maps =' \
    'recipient_delimiter = +'
  for h in pf mx; do aliases $h > "$T/al.$h"; sed -i 's/^\([^:]*\): self, /\1: "|'"$(sed 's,/,\\/,g' <<<"$T/$h.dump")"' self", /' "$T/al.$h"; done
  postalias -c "$T/pf/conf" "hash:$T/al.pf"
  rcpts="plain list child own2 outer self bare $U list+x"
  postfix -c "$T/pf/conf" reload >/dev/null 2>&1
  local base; base=$(cat "$T/mx.conf")
  for o in "" expand_owner_alias=yes reset_owner_alias=yes frozen_delivered_to=no \
    "expand_owner_alias=yes reset_owner_alias=yes frozen_delivered_to=no" append_at_myorigin=no; do
    postconf -c "$T/pf/conf" -e expand_owner_alias=no reset_owner_alias=no frozen_delivered_to=yes append_at_myorigin=yes $o 2>/dev/null
    postfix -c "$T/pf/conf" reload >/dev/null 2>&1
    printf '%s\n' "$base" $o > "$T/mx.conf"
    for fw in "" "one@far.test, plain"; do
      rm -f "$T"/{pf,mx}.out/* "$T/u/.forward"
      # (who is named twice gets one copy of ours, over owners too: "plain" is in no other list)
      [ -z "$fw" ] || { echo "$fw" > "$T/u/.forward"; chown $U: "$T/u/.forward"; }
      python3 - "$port" $rcpts <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
for r in sys.argv[2:]: s.sendmail("ann@s.test", [r + "@pf.test"], "Subject: x\n\nx\n")
s.quit()
PY
      { echo '> EHLO x'; for r in $rcpts; do printf '> MAIL FROM:<ann@s.test>\n> RCPT TO:<%s@pf.test>\n# %s\n' "$r" "$T/m"; done; } | talk > "$T/said"
      for _ in 1 2 3 4; do timeout 20 mx-deliver --queue-run || true; done
      wait_for 20 bash -c "[ -z \"\$(find '$T/pf/queue/active' '$T/pf/queue/incoming' '$T/pf/queue/maildrop' -type f)\" ]"
      for h in pf mx; do cat "$T/$h.out"/* | sed "s/$U/user/g" | sort > "$T/got.$h"; done
      echo "== $o / $fw: $(wc -l < "$T/got.pf") copies"
      [ "$(wc -l < "$T/got.pf")" -ge 20 ] || { tail -n 30 "$T/pf/log"; false; }
      diff "$T/got.pf" "$T/got.mx" || bad=1
    done
  done
  [ $bad -eq 0 ]
}
