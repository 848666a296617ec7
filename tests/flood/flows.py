#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TCP connections between network namespaces that may not notice anything.

flows.py N PORT LAB SERVER,... CLIENT=ADDRESS...

Namespaces are LAB-SERVER and LAB-CLIENT. Each server answers a message with its name and the message; the connections,
N in all, are opened by the clients in turns, each to its address. Half of them exchange a message every 20 ms, the
others are silent until the end. Prints "ready" when all are open. When there is a line on stdin, each sends once more,
and what became of them is printed as JSON: how many were `answered` then, by the server that answered first; how many
each of the `servers` has, the number of `exchanges`, the `longest` of these (ms), the segments that were sent again
(`retransmitted`), and `errors`. A second line, or the end of stdin, closes them.
"""
import asyncio
import collections
import ctypes
import json
import os
import socket
import struct
import sys
import time

PERIOD = 0.02
LAST = 10  # seconds that the last message may take
N_BYTES = 1000
N_NAME = 16

libc = ctypes.CDLL(None, use_errno=True)


def enter(descriptor):
    if libc.setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns")


def socket_in(namespace):
    """A TCP socket that belongs to a namespace."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    enter(there)
    try:
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
    finally:
        enter(home)
        os.close(home)
        os.close(there)
    return opened


async def receive(sock, size):
    """So many bytes, or fewer where the peer has closed."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size and (more := await loop.sock_recv(sock, size - len(data))):
        data += more
    return data


class Flows:
    def __init__(self):
        self.sockets, self.errors = [], []
        self.exchanges = self.answered = 0
        self.servers = {}  # of each flow
        self.longest = 0.0
        self.stop = asyncio.Event()

    async def serve(self, listener, name):
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(listener)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets.append(peer)
            asyncio.create_task(self.answer(peer, name.encode().ljust(N_NAME)))

    async def answer(self, peer, name):
        loop = asyncio.get_running_loop()
        try:
            while message := await receive(peer, N_BYTES):
                await loop.sock_sendall(peer, name + message)
        except OSError as error:
            self.errors.append(f"server: {error}")

    async def exchange(self, sock, number):
        message = number.to_bytes(8, "big") * (N_BYTES // 8)
        started = time.monotonic()
        await asyncio.get_running_loop().sock_sendall(sock, message)
        answer = await receive(sock, N_NAME + N_BYTES)
        if len(answer) < N_NAME + N_BYTES:
            raise ConnectionError("closed by its peer")
        if answer[N_NAME:] != message:
            raise ConnectionError("another answer than was sent")
        name = answer[:N_NAME].decode().rstrip()
        if self.servers.setdefault(number, name) != name:
            raise ConnectionError(f"{name} answers, {self.servers[number]} did before")
        self.exchanges += 1
        self.longest = max(self.longest, time.monotonic() - started)

    async def flow(self, sock, number, silent):
        try:
            await self.exchange(sock, number)
            while not silent and not self.stop.is_set():
                await asyncio.sleep(PERIOD)
                await self.exchange(sock, number)
            await self.stop.wait()
            await asyncio.wait_for(self.exchange(sock, number), LAST)
            self.answered += 1
        except (OSError, TimeoutError, asyncio.TimeoutError) as error:
            self.errors.append(f"flow {number}: {error or 'no answer'}")


def retransmitted(sock):
    """tcpi_total_retrans of struct tcp_info: behind 8 bytes and 23 numbers."""
    return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]


async def main(n, port, lab, names, ways):
    loop = asyncio.get_running_loop()
    flows = Flows()
    servers, tasks = [], []
    for name in names:
        listener = socket_in(f"{lab}-{name}")
        listener.bind(("", port))
        listener.listen(n)
        servers.append(asyncio.create_task(flows.serve(listener, name)))
    for i in range(n):
        client, address = ways[i % len(ways)]
        sock = socket_in(f"{lab}-{client}")
        await loop.sock_connect(sock, (address, port))
        flows.sockets.append(sock)
        tasks.append(asyncio.create_task(flows.flow(sock, i, i % 4 < 2)))
    while flows.exchanges < n and not flows.errors:
        await asyncio.sleep(PERIOD)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    flows.stop.set()
    await asyncio.gather(*tasks)
    print(json.dumps({"flows": n, "answered": flows.answered,
                      "servers": collections.Counter(flows.servers.values()), "exchanges": flows.exchanges,
                      "longest": round(flows.longest * 1000, 1), "retransmitted": sum(map(retransmitted, flows.sockets)),
                      "errors": flows.errors[:5]}), flush=True)
    for task in servers:
        task.cancel()
    await loop.run_in_executor(None, sys.stdin.readline)


words = sys.argv[1:]
asyncio.run(main(int(words[0]), int(words[1]), words[2], words[3].split(","), [word.split("=") for word in words[4:]]))
