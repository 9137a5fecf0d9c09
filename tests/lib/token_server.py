#!/usr/bin/env python3
"""token_server.py PORT USER=TOKEN...: what an OAuth 2 server says of a token,
by GET /?token=TOKEN and by RFC 7662's POST; of the token "broken" an error of
its own."""
import http.server, json, sys, urllib.parse

tokens = {t: u for u, t in (a.rsplit("=", 1) for a in sys.argv[2:])}


class Handler(http.server.BaseHTTPRequestHandler):
    def say(self, token):
        if token == "broken":
            return self.send_error(500)
        user = tokens.get(token)
        body = json.dumps({"active": True, "username": user} if user else {"active": False}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say(urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query).get("token", [""])[0])

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.say(urllib.parse.parse_qs(text).get("token", [""])[0])

    def log_message(self, *a):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
