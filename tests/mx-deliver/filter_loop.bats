#!/usr/bin/env bats
# content_filter: an amavis-shaped loop. Mail from port 25 and from sendmail
# goes to the scanner, which gives it back to a listener without the filter.
load queue
setup() {
  queue_setup
  mapfile -t p < <(free_port 3); P25=${p[0]} SCAN=${p[1]} BACK=${p[2]}
  cat > "$T/scanner.py" <<'PY'
# SMTP in, a header field more, SMTP out; XFORWARD goes through; "VIRUS" is 554
import smtplib, socketserver, sys
class H(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda t: self.wfile.write(t.encode() + b"\r\n")
        say("220 scanner"); frm, to, fwd = None, [], None
        for line in self.rfile:
            l = line.decode().rstrip("\r\n"); u = l.upper()
            if u.startswith("EHLO"): say("250-scanner\r\n250-8BITMIME\r\n250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
            elif u.startswith("XFORWARD"): fwd = l; say("250 ok")
            elif u.startswith("MAIL"): frm = l.split("<")[1].split(">")[0]; to = []; say("250 ok")
            elif u.startswith("RCPT"): to.append(l.split("<")[1].split(">")[0]); say("250 ok")
            elif u == "DATA":
                say("354 go"); body = b""
                for d in self.rfile:
                    if d == b".\r\n": break
                    body += d[1:] if d.startswith(b".") else d
                if b"VIRUS" in body: say("554 5.7.0 infected"); continue
                s = smtplib.SMTP("127.0.0.1", int(sys.argv[2])); s.ehlo("scanner")
                if fwd: s.docmd(fwd)
                try: s.sendmail(frm, to, b"X-Scanned: yes\r\n" + body); say("250 2.0.0 from MTA: 250 ok")
                except smtplib.SMTPException as e: say("451 4.5.0 " + type(e).__name__)
                s.quit()
            elif u == "QUIT": say("221 bye"); return
            else: say("250 ok")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
  conf "content_filter = smtp-amavis:[127.0.0.1]:$SCAN" 'smtp-amavis_destination_concurrency_limit = 2' \
    'mynetworks = 127.0.0.0/8' 'smtpd_peername_lookup = no' 'sandbox = try' \
    'reinject/content_filter =' 'reinject/smtpd_recipient_restrictions = permit_mynetworks,reject' \
    "delivery = unix:$T/run/deliver" 'auth_socket = exec:mx-auth'
  spawn python3 "$T/scanner.py" "$SCAN" "$BACK"
  wait_port "$SCAN"
  serve
  spawn mx-recv --listen "smtp=127.0.0.1:$P25" --listen "reinject=127.0.0.1:$BACK"
  wait_port "$P25"
}
teardown() { common_teardown; }
mail() {
  python3 - "$P25" "$@" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1])); s.ehlo("x")
s.docmd("MAIL FROM:<a@b.example>")
r = [s.docmd("RCPT TO:<%s>" % a)[0] for a in sys.argv[3:]]
print(r, s.data("Subject: s\r\n\r\n.%s\r\n" % sys.argv[2]))
PY
}

@test "over SMTP: queued for the scanner, scanned once, delivered once" {
  [[ $(mail hello joe@virt.example ann@virt.example nosuch@virt.example) == "[250, 250, 550] (250"* ]]
  [ "$(queued)" -eq 1 ]
  grep -q '^transport: smtp-amavis:' "$(the_entry)"
  [ "$(count vm)" -eq 0 ]
  run_queue
  run_queue
  [ "$(queued)" -eq 0 ]
  [ "$(count vm/joe/new)" -eq 1 ] && [ "$(count vm/ann/new)" -eq 1 ]
  [ "$(grep -c '^X-Scanned: yes' "$T"/vm/joe/new/*)" -eq 1 ]
  grep -qx '.hello' "$T"/vm/joe/new/* || grep -q 'hello' "$T"/vm/joe/new/*
}

@test "from the command line, too; what the scanner refuses comes back, a scanner that is away waits" {
  mx-deliver -f joe@virt.example ann@virt.example < "$T/m"
  grep -q '^transport: smtp-amavis:' "$(the_entry)"
  run_queue; run_queue
  [ "$(grep -c '^X-Scanned: yes' "$T"/vm/ann/new/*)" -eq 1 ]
  printf 'Subject: bad\n\nVIRUS\n' | mx-deliver -f joe@virt.example ann@virt.example
  run_queue; run_queue
  [ "$(count vm/ann/new)" -eq 1 ]
  # the report is not filtered
  grep -q 'infected' "$T"/vm/joe/new/*
  ! grep -q '^X-Scanned' "$T"/vm/joe/new/*
  kill "${PIDS[0]}"; wait "${PIDS[0]}" || true
  mx-deliver -f joe@virt.example ann@virt.example < "$T/m"
  run_queue
  [ "$(queued)" -eq 1 ]
}
