# SPDX-License-Identifier: Apache-2.0
"""HTTP on one port, HTTPS on another one: health_server.py HTTP_PORT HTTPS_PORT CERTIFICATE KEY. The path says what it does."""
import http.server
import ssl
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        if self.path.startswith("/status/"):
            status = int(self.path[8:])
        if self.path == "/host" and self.headers["Host"].split(":")[0] != "www.example.com":
            status = 421
        if self.path == "/query?a=b#c":
            status = 202
        if self.path == "/get" and self.command != "GET":
            status = 405
        if self.path == "/head" and self.command != "HEAD":
            status = 405
        if self.path == "/silent":
            threading.Event().wait(5)
            return
        if self.path == "/continue":
            self.send_response_only(103)
            self.end_headers()
        self.send_response(status)
        # It never comes: who waits for the body waits in vain.
        self.send_header("Content-Length", "1000000" if self.path == "/big" else "0")
        self.end_headers()
        if self.path == "/big":
            threading.Event().wait(5)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


plain = Server(("", int(sys.argv[1])), Handler)
tls = Server(("", int(sys.argv[2])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=plain.serve_forever, daemon=True).start()
tls.serve_forever()
