# exim4 as the other end: it verifies what mx-dkimsign makes, mx-dnscheck what
# it makes; its SPF beside ours.  Its resolver stands in /etc/resolv.conf, of a
# mount namespace of its own.
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup_file() {
  common_setup
  need_root
  EXIM=$(command -v exim4 || echo /usr/sbin/exim4)
  if [ ! -x "$EXIM" ]; then
    EXIM=$("$ROOT/tests/packages" unpack exim4-daemon-heavy)/usr/sbin/exim4 || EXIM=
  fi
  dkim_keys
  printf '@ TXT "v=spf1 ip4:192.0.2.1 ?ip4:192.0.2.2 ~ip4:192.0.2.3 -all"\nred TXT "v=spf1 redirect=example.test"\n' >> "$T/example.zone"
  dkim_serve
  NS=127.$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1)).53
  spawn socat "UDP4-RECVFROM:53,bind=$NS,fork" "UDP4-SENDTO:127.0.0.1:$DNS"
  spawn socat "TCP4-LISTEN:53,bind=$NS,fork,reuseaddr" "TCP4:127.0.0.1:$DNS"
  echo "nameserver $NS" > "$T/resolv.conf"
  SINK=$(free_port)
  mkdir -p "$T/spool" "$T/box"
  chmod 755 "$T"
  chmod 777 "$T/spool" "$T/box"
  chmod 644 "$T"/*.pem
  cat > "$T/exim.conf" <<C
primary_hostname = exim.test
exim_user = nobody
exim_group = nogroup
spool_directory = $T/spool
log_file_path = $T/spool/exim.%slog
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
add_environment = PATH=/bin
smtp_enforce_sync = false
acl_smtp_rcpt = rcpt
acl_smtp_dkim = dkim
acl_smtp_data = accept
dkim_verify_signers = \$dkim_signers
begin acl
rcpt:
  warn spf = pass
  warn logwrite = SPFRESULT \$spf_result
  accept
dkim:
  warn logwrite = DKIM \$dkim_cur_signer \$dkim_selector \$dkim_algo \$dkim_verify_status \$dkim_verify_reason
  accept
begin routers
out:
  driver = manualroute
  domains = away.test
  transport = sign
  route_list = * 127.0.0.1
  self = send
here:
  driver = accept
  transport = box
begin transports
sign:
  driver = smtp
  port = $SINK
  allow_localhost
  hosts_try_chunking =
  dkim_domain = example.test
  dkim_selector = \${if match{\$h_X-Key:}{ed}{ed}{rsa}}
  dkim_private_key = $T/\${if match{\$h_X-Key:}{ed}{ed}{rsa}}.pem
  dkim_canon = \${if match{\$h_X-Key:}{simple}{simple}{relaxed}}
  dkim_strict = true
box:
  driver = appendfile
  file = $T/box/mail
  user = nobody
  group = nogroup
  message_prefix =
  message_suffix =
C
  cat > "$T/sink.py" <<'C'
import asyncore, os, sys, warnings
warnings.simplefilter("ignore")
import smtpd


class Sink(smtpd.SMTPServer):
    def process_message(self, peer, mailfrom, rcpttos, data, **kw):
        with open(sys.argv[2] + ".new", "wb") as f:
            f.write(data + b"\n")
        os.rename(sys.argv[2] + ".new", sys.argv[2])


Sink(("127.0.0.1", int(sys.argv[1])), None)
asyncore.loop()
C
  spawn /usr/bin/python3 -W ignore "$T/sink.py" "$SINK" "$T/box/mail"
  wait_port "$SINK"
  FILE_T=$T FILE_PIDS="${PIDS[*]}"
  export FILE_T FILE_PIDS DNS EXIM SINK
}
teardown_file() { T=$FILE_T; read -ra PIDS <<< "$FILE_PIDS"; BATS_TEST_COMPLETED=1 common_teardown; }
setup() { T=$FILE_T; [ -n "$EXIM" ] || skip "exim4 cannot be had"; rm -rf "$T"/spool/exim.*log "$T"/box/*; }

exim() { unshare -m sh -c "mount --bind $T/resolv.conf /etc/resolv.conf; exec \"\$@\"" sh "$EXIM" -C "$T/exim.conf" -odi "$@"; }
# smtp SENDER RCPT < message: an SMTP session's text
smtp() { printf 'EHLO h.test\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n' "$1" "$2"; sed 's/^\./../; s/$/\r/'; printf '.\r\nQUIT\r\n'; }

@test "exim verifies our signatures: RSA and Ed25519, each canonicalisation; not a changed one" {
  local c
  for c in simple/simple simple/relaxed relaxed/simple relaxed/relaxed; do
    message | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" -s ed -k "$T/ed.pem" -c "$c" > "$T/signed"
    rm -f "$T"/spool/exim.*log
    smtp a@example.test b@here.test < "$T/signed" | exim -oMa 192.0.2.1 -bs > "$T/out"
    cat "$T/spool/exim.mainlog"
    grep -q 'DKIM example.test rsa rsa-sha256 pass' "$T/spool/exim.mainlog"
    grep -q 'DKIM example.test ed ed25519-sha256 pass' "$T/spool/exim.mainlog"
  done
  rm -f "$T"/spool/exim.*log
  sed 's/last line/last  word/' "$T/signed" | smtp a@example.test b@here.test | exim -oMa 192.0.2.1 -bs > "$T/out"
  cat "$T/spool/exim.mainlog"
  grep -q 'DKIM example.test rsa rsa-sha256 fail' "$T/spool/exim.mainlog"
}

@test "we verify exim's signatures: RSA and Ed25519, simple and relaxed" {
  local k
  for k in rsa ed 'rsa simple' 'ed simple'; do
    rm -f "$T"/box/*
    { echo "X-Key: $k"; message; } | smtp a@example.test b@away.test | exim -oMa 192.0.2.1 -bs > "$T/out"
    wait_for 20 test -s "$T/box/mail"
    grep -q '^DKIM-Signature:.*' "$T/box/mail" || { cat "$T"/spool/exim.*log; false; }
    run -0 mx-dnscheck dkim --resolver "127.0.0.1:$DNS" < "$T/box/mail"
    [[ ${lines[0]} == "pass d=example.test s=${k%% *} "* ]]
  done
}

@test "SPF: exim and mx-dnscheck say the same" {
  local d ip want n=0
  exim -bP spf_guess > /dev/null 2>&1 || skip "this exim has no SPF"
  for d in example.test red.example.test none.example.test; do
    for ip in 192.0.2.1 192.0.2.2 192.0.2.3 198.51.100.1; do
      rm -f "$T"/spool/exim.*log
      message | smtp "a@$d" b@here.test | exim -oMa "$ip" -bs > "$T/out"
      want=$(sed -n 's/.*SPFRESULT //p' "$T/spool/exim.mainlog" | head -1)
      run --separate-stderr mx-dnscheck spf --resolver "127.0.0.1:$DNS" --ip "$ip" --sender "a@$d" --helo h.test
      echo "$d $ip: exim $want, mx $output"
      [ "${output%% *}" = "$want" ]
      n=$((n + 1))
    done
  done
  [ "$n" -eq 12 ]
}
