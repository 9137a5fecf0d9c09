#!/usr/bin/env python3
"""https_server.py PORT CERT KEY DIR: serves DIR over HTTPS; .html files are
text/html, `redirect` leads elsewhere, `huge` does not end, all else is
text/plain."""
import http.server, os, ssl, sys

port, cert, key, root = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = root + self.path
        if os.path.exists(root + "/redirect"):
            self.send_response(301)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        if not os.path.isfile(path):
            return self.send_error(404)
        kind = "text/html" if os.path.exists(root + "/html") else "text/plain"
        body = open(path, "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain(cert, key)
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
s.socket = ctx.wrap_socket(s.socket, server_side=True)
s.serve_forever()
