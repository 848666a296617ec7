# SPDX-License-Identifier: Apache-2.0
"""Servers and clients in the hosts of the end-to-end scripts: hosts.sh has their shell functions."""
import http.server
import os
import socket
import sys
import threading
import time


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Handler(http.server.BaseHTTPRequestHandler):
    """GET /: who answers, and who asked; /N: N bytes in all; /sick: status 503; /slow: dots after it, until told."""

    name = ""
    enough = ""

    def do_GET(self):
        body = ("%s %s %d\n" % (self.name, *self.client_address[:2])).encode()
        if self.path[1:].isdigit():
            body = body.ljust(int(self.path[1:]), b"x")
        self.answer(body)

    def do_POST(self):
        self.answer(b"%d\n" % len(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body):
        slow = self.path == "/slow"
        self.send_response(503 if self.path == "/sick" else 200)
        if not slow:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if slow:
            self.dots()

    def dots(self):
        while not os.path.exists(self.enough):
            self.wfile.write(b".")
            time.sleep(0.05)
        self.wfile.write(b"whole\n")

    def log_message(self, *arguments):
        pass


def serve_tcp(address, port):
    class Server(http.server.ThreadingHTTPServer):
        address_family = family(address)
        daemon_threads = True
        request_queue_size = 64

    Server((address, port), Handler).serve_forever()


def serve_udp(address, port):
    server = socket.socket(family(address), socket.SOCK_DGRAM)
    server.bind((address, port))
    while True:
        data, peer = server.recvfrom(9999)
        server.sendto(("%s %s %d %d" % (Handler.name, *peer[:2], len(data))).encode(), peer)


def serve(enough, name, address, *ports):
    Handler.enough, Handler.name = enough, name
    for port in ports:
        protocol, number = port.split("/")
        run = {"tcp": serve_tcp, "udp": serve_udp}[protocol]
        threading.Thread(target=run, args=(address, int(number))).start()


def ask(address, port, source_port="0", size="1", times="1"):
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    client.settimeout(2)
    client.bind(("", int(source_port)))
    client.connect((address, int(port)))
    for _ in range(int(times)):
        client.send(b"q" * int(size))
        print(client.recv(99).decode())


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
