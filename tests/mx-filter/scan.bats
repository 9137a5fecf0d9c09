# mx-filter spam and virus with the real spamd and clamd, with a helper that
# speaks rspamd's HTTP, and with scanners that are away, slow or lying.
load ../lib/common
bats_require_minimum_version 1.5.0

setup_file() {
  export D=$BATS_FILE_TMPDIR
  load ../lib/common
  chmod 755 "$D"
  if command -v spamd > /dev/null; then
    export SPAMD=$(free_port)
    mkdir -p "$D/sa"; chmod 777 "$D/sa"
    # -q would need SQL; the rules are local, the settings of a user in a file
    ( cd "$D/sa" && exec spamd -L -x -i 127.0.0.1 -p "$SPAMD" --max-children 2 --min-children 1 -u nobody -s "$D/spamd.log" --helper-home-dir="$D/sa" \
        3>&- 4>&- > "$D/spamd.out" 2>&1 ) & echo $! > "$D/spamd.pid"
  fi
  if command -v clamd > /dev/null; then
    mkdir -p "$D/db"
    printf 'Eicar-Test-Signature:0:*:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n' > "$D/db/test.ndb"
    printf 'DatabaseDirectory %s/db\nLocalSocket %s/clamd.ctl\nForeground yes\nStreamMaxLength 10M\nLogFile %s/clamd.log\nTemporaryDirectory %s\n' "$D" "$D" "$D" "$D" > "$D/clamd.conf"
    [ "$(id -u)" -ne 0 ] || echo 'User root' >> "$D/clamd.conf"
    clamd -c "$D/clamd.conf" 3>&- 4>&- > "$D/clamd.out" 2>&1 & echo $! > "$D/clamd.pid"
  fi
  for _ in $(seq 300); do
    [ -z "${SPAMD:-}" ] || bash -c "exec 5<>/dev/tcp/127.0.0.1/$SPAMD" 2> /dev/null || { sleep 0.2; continue; }
    [ ! -e "$D/clamd.pid" ] || [ -S "$D/clamd.ctl" ] || { sleep 0.2; continue; }
    break
  done
}
teardown_file() {
  for p in spamd clamd; do [ ! -e "$D/$p.pid" ] || kill "$(cat "$D/$p.pid")" 2> /dev/null || true; done
}
setup() {
  common_setup
  unset "${!MX_SENDER@}" "${!MX_RECIPIENTS@}" MX_ACTIONS
  : > "$T/mx.conf"
  printf 'From: a@b.example\nTo: c@d.example\nSubject: hello\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <1@b.example>\nX-Spam-Flag: YES\n\nplain text\n' > "$T/ham"
  { printf 'From: a@b.example\nTo: c@d.example\nSubject: buy\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <2@b.example>\n\n'
    printf 'XJS*C4JDBQADN1.NSBN3*2IDNEN*'; printf 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n'; } > "$T/gtube"
}
teardown() { common_teardown; }
conf() { printf '%s\n' "$@" > "$T/mx.conf"; }
spam() { mx-filter -c "$T/mx.conf" spam --server "${S:-inet:127.0.0.1:$SPAMD}" "$@"; }
virus() { mx-filter -c "$T/mx.conf" virus --server "${S:-unix:$D/clamd.ctl}" "$@"; }
need_spamd() { [ -n "${SPAMD:-}" ] || skip "spamd is not there"; }
need_clamd() { [ -S "$D/clamd.ctl" ] || skip "clamd is not there"; }
eicar() { printf 'X5O!P%%@AP[4\\PZX54(P^)7CC)7}$%s' 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'; }

@test "spamd: GTUBE is spam, ham is not; fields of others are dropped" {
  need_spamd
  conf 'spam_subject_tag = "*** SPAM *** "'
  conf 'spam_subject_tag = *** SPAM ***'
  spam < "$T/gtube" > "$T/out"
  grep -qx 'X-Spam-Flag: YES' "$T/out"
  grep -q '^X-Spam-Status: Yes, score=1[0-9][0-9][0-9]\.[0-9]* required=5.0' "$T/out"
  tr -d '\n\t' < "$T/out" | grep -q 'GTUBE'
  grep -qx 'Subject: \*\*\* SPAM \*\*\* buy' "$T/out"
  grep -q '^X-Spam-Level: \*\{50\}$' "$T/out"
  spam < "$T/ham" > "$T/out"
  ! grep -q 'X-Spam-Flag' "$T/out"
  grep -q '^X-Spam-Status: No, score=' "$T/out"
  grep -qx 'Subject: hello' "$T/out"
  [ "$(sed '1,/^$/d' "$T/out")" = "plain text" ]
}

@test "levels: kill with each destiny, tag2, tag" {
  need_spamd
  conf 'spam_kill_level = 100'
  run -69 --separate-stderr spam < "$T/gtube"
  [ -z "$output" ]
  [[ $stderr == "5.7.1 this is spam, score 1"* ]]
  conf 'spam_kill_level = 100' 'final_spam_destiny = discard'
  run -0 --separate-stderr spam < "$T/gtube"
  [ "$stderr" = discard ]
  conf 'spam_kill_level = 100' 'final_spam_destiny = quarantine' 'quarantine_folder = Junk'
  run -0 --separate-stderr spam < "$T/gtube"
  [ "$stderr" = $'quarantine\tJunk' ]
  conf 'spam_kill_level = 100' 'final_spam_destiny = pass'
  run -0 --separate-stderr spam < "$T/gtube"
  [ -z "$stderr" ]
  conf 'spam_tag2_level = -100'
  spam < "$T/ham" | grep -qx 'X-Spam-Flag: YES'
  conf 'spam_tag_level = 100'
  run ! grep -q X-Spam <(spam < "$T/ham")
}

@test "what is too large, or bypassed by all recipients, is not asked about" {
  need_spamd
  conf 'spam_size_limit = 100'
  spam < "$T/gtube" | cmp - "$T/gtube"
  conf 'bypass_spam_checks_maps = inline:{ {d.example = yes} {x@e.example = yes} {y@d.example = no} }'
  MX_RECIPIENTS=c@d.example spam < "$T/gtube" | cmp - "$T/gtube"
  MX_RECIPIENTS=$'c@d.example\nx@e.example' spam < "$T/gtube" | cmp - "$T/gtube"
  MX_RECIPIENTS=$'c@d.example\nother@e.example' spam < "$T/gtube" | grep -q '^X-Spam-Flag: YES'
  MX_RECIPIENTS=y@d.example spam < "$T/gtube" | grep -q '^X-Spam-Flag: YES'
}

@test "a stranger's X-Spam- and X-Virus- fields go where nobody was asked, too" {
  S=inet:127.0.0.1:$(free_port)
  printf 'X-Spam-Status: No, score=-99\nX-Virus-Scanned: by a liar\nFrom: a@b.example\nx-spam-flag: NO\nX-VIRUS-Anything: clean\n folded\nSubject: s\n\nX-Spam-Flag: body\n' > "$T/forged"
  grep -vi '^X-Spam-[SF].*[0-9O]$' "$T/forged" > "$T/nospam"
  grep -vi '^X-Virus\|^ folded' "$T/forged" > "$T/novirus"
  # too large, bypassed, the scanner away
  conf 'spam_size_limit = 10'
  spam < "$T/forged" | diff "$T/nospam" -
  conf 'bypass_spam_checks_maps = inline:{ {d.example = yes} }' 'bypass_virus_checks_maps = inline:{ {d.example = yes} }'
  MX_RECIPIENTS=c@d.example spam < "$T/forged" | diff "$T/nospam" -
  MX_RECIPIENTS=c@d.example virus < "$T/forged" | diff "$T/novirus" -
  conf 'spam_default_action = accept' 'virus_default_action = accept'
  spam < "$T/forged" 2> "$T/err" | diff "$T/nospam" -
  virus < "$T/forged" 2> "$T/err" | diff "$T/novirus" -
  # none hides behind a header of any size
  { yes 'X-Fill: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' | head -n 17000; cat "$T/forged"; } > "$T/large"
  for p in spam virus; do
    run -69 --separate-stderr "$p" < "$T/large"
    [ -z "$output" ]
    [[ $stderr == "5.3.4 "* ]]
  done
}

@test "a scanner that is away, slow or lying: 75, or passed, as configured" {
  p=$(free_port)
  S=inet:127.0.0.1:$p
  run -75 --separate-stderr spam < "$T/ham"
  [ -z "$output" ]
  conf 'spam_default_action = accept' 'virus_default_action = accept'
  spam < "$T/ham" 2> "$T/err" | cmp - <(grep -v '^X-Spam-Flag' "$T/ham")
  grep -q 'passed without a verdict' "$T/err"
  virus < "$T/ham" 2> "$T/err" | cmp - "$T/ham"
  cat > "$T/liar.py" <<'P'
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(5)
say = {"junk": b"hello\r\n", "empty": b"", "cut": b"SPAMD/1.1 0 EX_OK\r\nSpam: True ;", "err": b"SPAMD/1.1 75 EX_TEMPFAIL\r\n\r\n", "ok?": b"stream: OK and more\0", "slow": None}[sys.argv[2]]
print("ready", flush=True)
while True:
    c, _ = s.accept()
    if say is None: time.sleep(100)
    c.sendall(say); c.shutdown(socket.SHUT_WR)
    while c.recv(65536): pass
    c.close()
P
  conf 'spam_timeout = 1s' 'virus_timeout = 1s'
  for how in junk empty cut err 'ok?' slow; do
    coproc L { exec python3 "$T/liar.py" "$p" "$how" 3>&- 4>&-; }
    liar=$!
    read -r _ <&"${L[0]}"
    run -75 --separate-stderr spam < "$T/ham"; [ -z "$output" ]
    run -75 --separate-stderr virus < "$T/ham"; [ -z "$output" ]
    kill "$liar"; wait "$liar" 2> /dev/null || true
  done
  run -65 spam < /dev/null
}

@test "spamd learns" {
  need_spamd
  spam --learn spam < "$T/gtube" || true # -L has no TELL without --allow-tell
  run -64 spam --learn other < "$T/gtube"
  S=inet:127.0.0.1:1 run -75 spam --learn ham < "$T/ham"
}

@test "clamd: EICAR plain, in base64, in a zip; a clean message passes whole" {
  need_clamd
  conf 'virus_header = mx'
  virus < "$T/ham" > "$T/out"
  grep -qx 'X-Virus-Scanned: mx' "$T/out"
  { printf 'Subject: v\n\n'; eicar; echo; } > "$T/plain"
  { printf 'Subject: v\nMIME-Version: 1.0\nContent-Type: application/octet-stream; name=x.com\nContent-Transfer-Encoding: base64\n\n'; eicar | base64; } > "$T/b64"
  (cd "$T" && eicar > eicar.com && python3 -m zipfile -c e.zip eicar.com)
  { printf 'Subject: v\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: application/zip; name=e.zip\nContent-Transfer-Encoding: base64\n\n'; base64 "$T/e.zip"; printf -- '--b--\n'; } > "$T/zip"
  for f in plain b64 zip; do
    run -69 --separate-stderr virus < "$T/$f"
    [ -z "$output" ]
    [[ $stderr == "5.7.1 a virus was found: Eicar-Test-Signature"* ]]
  done
  conf 'final_virus_destiny = discard'
  run -0 --separate-stderr virus < "$T/b64"
  [ "$stderr" = discard ]
  conf 'final_virus_destiny = quarantine'
  run -0 --separate-stderr virus < "$T/b64"
  [ "$stderr" = $'quarantine\tQuarantine' ]
  conf 'bypass_virus_checks_maps = inline:{ {d.example = yes} }'
  MX_RECIPIENTS=c@d.example virus < "$T/plain" | cmp - "$T/plain"
  # more than clamd takes: no verdict
  conf
  { cat "$T/ham"; head -c 12000000 /dev/zero | tr '\0' x; } > "$T/big"
  run -75 --separate-stderr virus < "$T/big"
  [ -z "$output" ]
}

@test "rspamd: its JSON over HTTP, what it is told, its actions" {
  p=$(free_port)
  cat > "$T/rspamd.py" <<'P'
import http.server, json, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open(sys.argv[2], "a").write(self.path + " " + repr(sorted((k, v) for k, v in self.headers.items() if k not in ("Host", "Connection", "Content-Length"))) + "\n")
        gt = b"GTUBE" in body
        a = {"is_skipped": False, "score": 15.5 if gt else 1.25, "required_score": 15.0, "action": "soft reject" if b"soft" in body else "reject" if gt else "no action",
             "symbols": {"GTUBE_X" if gt else "R_OK": {"name": "x \"q\" {", "score": 1.5, "options": ["a", {"b": [1, 2]}]}, "SECOND": {"score": 0}}, "urls": [], "messages": {}}
        out = json.dumps(a, indent=1).encode()
        self.send_response(200)
        if b"chunk" in body:
            self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            for i in range(0, len(out), 50): self.wfile.write(b"%x\r\n%s\r\n" % (len(out[i:i+50]), out[i:i+50]))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(out))); self.end_headers(); self.wfile.write(out)
        self.close_connection = True
s = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H); print("ready", flush=True); s.serve_forever()
P
  coproc R { exec python3 "$T/rspamd.py" "$p" "$T/seen" 3>&- 4>&-; }
  r=$!
  read -r _ <&"${R[0]}"
  S=inet:127.0.0.1:$p
  conf 'spam_protocol = rspamd'
  MX_SENDER=a@b.example MX_RECIPIENTS=$'c@d.example\ne@f.example' MX_CLIENT_ADDR=192.0.2.1 MX_HELO=h.example spam < "$T/gtube" > "$T/out"
  tr -d '\n' < "$T/out" | grep -q 'X-Spam-Status: Yes, score=15.5 required=15.0'
  grep -q 'GTUBE_X, SECOND' <(tr -d '\n' < "$T/out")
  grep -q "/checkv2 .*('From', 'a@b.example'), ('Helo', 'h.example'), ('IP', '192.0.2.1'), ('Rcpt', 'c@d.example'), ('Rcpt', 'e@f.example')" "$T/seen"
  spam < "$T/ham" | grep -q '^X-Spam-Status: No, score=1.25'
  { cat "$T/ham"; echo chunk; } > "$T/chunk"
  spam < "$T/chunk" | grep -q '^X-Spam-Status: No, score=1.25'
  { cat "$T/ham"; echo soft; } > "$T/soft"
  run -75 spam < "$T/soft"
  run -0 spam --learn spam < "$T/gtube"
  grep -q '^/learnspam' "$T/seen"
  kill "$r"
}

@test "procmail recipes with the real SpamAssassin: spamassassin and spamc as filters" {
  need_spamd
  command -v spamassassin spamc > /dev/null || skip "spamassassin is not there"
  for cmd in '/usr/bin/spamassassin -L' "/usr/bin/spamc -p $SPAMD"; do
    printf 'SHELL=/bin/sh\nHOME=%s\nDEFAULT=%s/inbox\nMAILDIR=%s\n:0fw: spamassassin.lock\n* < 256000\n| %s\n\n:0:\n* ^X-Spam-Status: Yes\nspam\n' "$T" "$T" "$T" "$cmd" > "$T/rc"
    rm -f "$T/spam" "$T/inbox"
    run -0 mx-filter procmail "$T/rc" < "$T/gtube"
    grep -q '^X-Spam-Flag: YES' "$T/spam"
    [ ! -e "$T/inbox" ]
    run -0 mx-filter procmail "$T/rc" < "$T/ham"
    grep -q '^X-Spam-Status: No' "$T/inbox"
  done
}

@test "kept (mx-serve(5)): the same verdicts, headers and refusals, spamd and clamd" {
  need_spamd; need_clamd
  conf 'spam_kill_level = 100' 'virus_header = mx'
  { printf 'Subject: v\n\n'; eicar; echo; } > "$T/v"
  : > "$T/none"
  K="python3 $ROOT/tests/serve/kept.py"
  run -0 $K "$T/ham" "$T/gtube" "$T/none" "$T/v" -- mx-filter -c "$T/mx.conf" spam --server "inet:127.0.0.1:$SPAMD"
  [ "$output" = "4 messages, statuses [0, 65, 69]" ]
  run -0 $K -r 10 "$T/ham" "$T/gtube" "$T/none" "$T/v" -- mx-filter -c "$T/mx.conf" virus --server "unix:$D/clamd.ctl"
  [ "$output" = "4 messages, statuses [0, 65, 69]" ]
  conf 'final_spam_destiny = quarantine' 'spam_kill_level = 100' 'spam_default_action = accept'
  run -0 $K "$T/ham" "$T/gtube" -- mx-filter -c "$T/mx.conf" spam --server "inet:127.0.0.1:$SPAMD"
  run -0 $K "$T/ham" "$T/none" -- mx-filter -c "$T/mx.conf" spam --server inet:127.0.0.1:1
  [ "$output" = "2 messages, statuses [0, 65]" ]
}
