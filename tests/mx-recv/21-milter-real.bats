# Debian's milters behind mx-recv, with the settings of a Postfix host.
load ../lib/common
load recv

setup() {
  common_setup
  deliver_start
  cat > "$T/mail" <<'M'
From: Joe <joe@sign.test>
To: eve@mx.test
Subject: signed
Date: Sat, 21 Nov 2026 10:00:00 +0000
Message-ID: <1@sign.test>

hello

M
}
teardown() { common_teardown; }

send() { swaks --server "127.0.0.1:$PORT" --helo me.test --from "${1:-joe@sign.test}" --to eve@mx.test --data "$T/mail" > "$T/swaks" || { cat "$T/swaks"; return 1; }; }

@test "opendkim signs behind mx-recv with milter_protocol 2 and 6; the signature is good" {
  command -v opendkim >/dev/null || skip "no opendkim here"
  { read -r dns; read -r port; } < <(free_port 2)
  mx-dkimsign --genkey -d sign.test -s s1 -D "$T"
  { printf '$ORIGIN sign.test.\n@ 60 IN SOA a. b. 1 60 60 60 60\n@ 60 IN NS a.\n'; cat "$T/s1.txt"; } > "$T/zone"
  dns_serve "$dns" sign.test "$T/zone"
  chmod 600 "$T/s1.private"
  cat > "$T/opendkim.conf" <<C
Canonicalization relaxed/simple
Mode sv
Domain sign.test
Selector s1
KeyFile $T/s1.private
Socket inet:$port@127.0.0.1
AuthservID mx.test
RequireSafeKeys false
C
  spawn opendkim -f -x "$T/opendkim.conf"
  wait_port "$port"
  for v in 2 6; do
    recv_conf "smtpd_peername_lookup = no" "milter_default_action = accept" "milter_protocol = $v" \
      "smtpd_milters = inet:127.0.0.1:$port" "non_smtpd_milters = inet:127.0.0.1:$port"
    recv_start
    send
    kill "$RECV"
  done
  for n in 1 2; do
    cat "$T/box/msg.$n"
    run mx-dnscheck dkim --resolver "127.0.0.1:$dns" < "$T/box/msg.$n"
    [ "$status" -eq 0 ]
    [[ $output == pass* ]]
  done
}

@test "opendmarc behind opendkim: its fields are there, the mail arrives" {
  command -v opendmarc >/dev/null || skip "no opendmarc here"
  port=$(free_port)
  cat > "$T/opendmarc.conf" <<C
AuthservID mx.test
Socket inet:$port@127.0.0.1
SoftwareHeader true
RejectFailures false
PidFile $T/opendmarc.pid
IgnoreHosts $T/ignore
C
  echo 192.0.2.1 > "$T/ignore"
  spawn opendmarc -f -c "$T/opendmarc.conf"
  wait_port "$port"
  recv_conf "smtpd_peername_lookup = no" "smtpd_milters = inet:127.0.0.1:$port"
  recv_start
  send
  cat "$T/box/msg.1" "$T"/out.*
  grep -q '^DMARC-Filter: OpenDMARC' "$T/box/msg.1"
}

@test "spamass-milter with spamd: the spam's Subject and fields are changed" {
  command -v spamass-milter >/dev/null && command -v spamd >/dev/null || skip "no spamass-milter here"
  need_root
  port=$(free_port)
  mkdir "$T/rules"
  echo 'loadplugin Mail::SpamAssassin::Plugin::Check' > "$T/rules/a.pre"
  echo 'body GTUBE_HERE /MXTESTSPAM/
score GTUBE_HERE 100
required_score 5
rewrite_header Subject *SPAM*
add_header spam Flag _YESNOCAPS_
add_header all Status _YESNO_ score=_SCORE_
add_header all Level _STARS(*)_
report_safe 0' > "$T/rules/x.cf"
  spawn spamd -L -x -i 127.0.0.1 -p "$port" --configpath="$T/rules" --siteconfigpath="$T/rules" -m 1 --pidfile "$T/spamd.pid"
  spawn spamass-milter -p "$T/spamass.sock" -- -d 127.0.0.1 -p "$port"
  wait_for 10 test -S "$T/spamass.sock"
  wait_for 60 bash -c "exec 9<>/dev/tcp/127.0.0.1/$port"
  recv_conf "smtpd_peername_lookup = no" "smtpd_milters = unix:$T/spamass.sock" \
    "milter_connect_macros = j {daemon_name} v _ b" "milter_default_action = tempfail"
  recv_start
  send
  sed -i 's/^hello/MXTESTSPAM/' "$T/mail"
  send
  cat "$T"/box/msg.*
  grep -q '^X-Spam-Checker-Version' "$T/box/msg.1"
  grep -q '^Subject: signed' "$T/box/msg.1"
  grep -q '^X-Spam-Flag: YES' "$T/box/msg.2"
  grep -q '^Subject: \*SPAM\* signed' "$T/box/msg.2"
}
