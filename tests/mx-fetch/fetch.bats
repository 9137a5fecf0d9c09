# One document over HTTPS (RFC 8461 3.3): nothing is printed unless the whole of
# it came, from the server that the URL names.
load ../lib/common

setup() {
  common_setup
  make_cert mta-sts.x.test
  cat > "$T/web.py" <<'P'
import http.server, ssl, sys, time
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, status, kind, length = b"version: STSv1\n", 200, "text/plain; charset=utf-8", None
        if self.path == "/html": kind = "text/html"
        elif self.path == "/big": body = b"x" * 70000
        elif self.path == "/edge": body = b"x" * 65536
        elif self.path == "/moved": status = 301
        elif self.path == "/gone": status = 404
        elif self.path == "/trouble": status = 503
        elif self.path == "/short": length = 4000
        elif self.path == "/slow": time.sleep(20)
        elif self.path == "/empty": body = b""
        self.send_response(status)
        if status == 301: self.send_header("Location", "/ok")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(sys.argv[2], sys.argv[3])
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
s.daemon_threads = True
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
P
  PORT=$(free_port)
  spawn python3 "$T/web.py" "$PORT" "$T/mta-sts.x.test.crt" "$T/mta-sts.x.test.key"
  wait_listen "$PORT"
}
teardown() { common_teardown; }

# get PATH [OPTION...]
get() {
  local p=$1; shift
  mx-fetch --ca-file "$T/mta-sts.x.test.crt" --connect-to "127.0.0.1:$PORT" "$@" \
    "https://mta-sts.x.test$p" > "$T/got" 2> "$T/err"
}
# refused STATUS PATH [OPTION...]: that exit status, and not a byte
refused() {
  local want=$1 st=0; shift
  get "$@" || st=$?
  [ "$st" -eq "$want" ] && [ ! -s "$T/got" ] && [ -s "$T/err" ] ||
    { echo "$*: status $st"; cat "$T/err"; return 1; }
}

@test "the document, whole; its type, its size" {
  get /ok --type text/plain
  [ "$(cat "$T/got")" = "version: STSv1" ]
  get /edge
  [ "$(stat -c %s "$T/got")" -eq 65536 ]
  get /empty
  refused 65 /html --type text/plain
  refused 65 /big
  get /big --max-bytes 70000
  refused 65 /ok --max-bytes 10
}

@test "no redirect; what is not there, what is in trouble, what is cut short" {
  refused 69 /moved
  refused 69 /gone
  refused 75 /trouble
  refused 75 /short
  refused 75 /slow --timeout 1
}

@test "another name, another authority, no TLS, another scheme" {
  run mx-fetch --ca-file "$T/mta-sts.x.test.crt" --connect-to "127.0.0.1:$PORT" https://mta-sts.y.test/ok
  [ "$status" -eq 65 ]
  [[ $output != *STSv1* ]]
  run mx-fetch --connect-to "127.0.0.1:$PORT" https://mta-sts.x.test/ok
  [ "$status" -eq 65 ]
  for u in "http://mta-sts.x.test/ok" "file:///etc/passwd" "ftp://mta-sts.x.test/ok"; do
    run mx-fetch --connect-to "127.0.0.1:$PORT" "$u"
    [ "$status" -ne 0 ]
    [[ $output != *STSv1* && $output != *root:* ]]
  done
  p=$(free_port)
  run mx-fetch --connect-to "127.0.0.1:$p" https://mta-sts.x.test/ok
  [ "$status" -eq 75 ]
}

@test "a proxy of the environment is not asked" {
  https_proxy=http://127.0.0.1:1 ALL_PROXY=http://127.0.0.1:1 get /ok
  [ "$(cat "$T/got")" = "version: STSv1" ]
}
