# An authorization server for tests: oauth_server.py PORT TOKENS LOG
# TOKENS: lines "TOKEN JSON"; paths: /tokeninfo?access_token= /userinfo (bearer
# header) /introspect (form) /moved /big /slow /broken /down
import http.server, json, sys, time, urllib.parse
port, file, log = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a):
        pass

    def say(self, code, text, **heads):
        self.send_response(code)
        for k, v in heads.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def answer(self, token):
        with open(log, "a") as f:
            f.write(f"{self.command} {self.path.split('?')[0]} {self.headers.get('Authorization', '-').split(' ')[0]}\n")
        rows = dict(l.rstrip("\n").split(" ", 1) for l in open(file) if " " in l)
        if token in rows:
            self.say(200, rows[token])
        elif self.path.startswith("/introspect"):
            self.say(200, '{"active": false}')
        else:
            self.say(401, '{"error": "invalid_token"}')

    def do_GET(self):
        u = urllib.parse.urlparse(self.path)
        if u.path == "/moved":
            return self.say(302, "", Location=f"http://127.0.0.1:{port}/userinfo")
        if u.path == "/big":
            return self.say(200, '{"email": "joe@x.test", "x": "' + "y" * 200000 + '"}')
        if u.path == "/broken":
            return self.say(200, '[{"email": "joe@x.test"}]')
        if u.path == "/down":
            return self.say(503, "")
        if u.path == "/slow":
            time.sleep(5)
            return self.say(200, '{"email": "joe@x.test"}')
        q = urllib.parse.parse_qs(u.query)
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.answer(q.get("access_token", [bearer])[0])

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        q = urllib.parse.parse_qs(body)
        if q.get("client_secret", [""])[0] not in ("", "s3cr+t/="):
            return self.say(401, "")
        self.answer(q.get("token", [""])[0])


http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", port), H).serve_forever()
