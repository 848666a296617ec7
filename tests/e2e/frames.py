#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Numbered frames of ethertype 0x88b5 (IEEE 802 local experimental), counted where they arrive.

frames.py flood - PID_TO_STOP SENDER RECEIVER...        one broadcast after the other; each receiver gets each once
frames.py moves SOCKET N URL PEER1 PEER2 SENDER RECEIVER...  N times PATCH of URL to the other peer, under traffic

SENDER and RECEIVER are names of network namespaces; their device is eth0. Exit code 0: as it should be.
"""
import collections
import ctypes
import http.client
import os
import signal
import socket
import statistics
import struct
import sys
import threading
import time

ETHERTYPE = 0x88B5
BROADCAST = b"\xff" * 6
N_FLOODS = 20
SO_RCVBUFFORCE = 33

libc = ctypes.CDLL(None, use_errno=True)


def open_in(namespace):
    """A packet socket on eth0 of a namespace."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, 0):
        raise OSError(ctypes.get_errno(), "setns")
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        opened.bind(("eth0", ETHERTYPE))
    finally:
        libc.setns(home, 0)
        os.close(home)
        os.close(there)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    return opened


def frame(source, destination, number):
    return destination + source + struct.pack("!HQ", ETHERTYPE, number) + bytes(42)


class Receiver(threading.Thread):
    """Counts numbers as they come, but not the frames that its own host sends."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.namespace = namespace
        self.socket = open_in(namespace)
        self.counts = collections.Counter()

    def run(self):
        while True:
            data, address = self.socket.recvfrom(2048)
            if address[2] != socket.PACKET_OUTGOING:
                self.counts[struct.unpack_from("!Q", data, 14)[0]] += 1


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def flood(pid, sender, receivers):
    source = open_in(sender)
    back = Receiver(sender)
    others = [Receiver(name) for name in receivers]
    for receiver in others + [back]:
        receiver.start()
    os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(N_FLOODS):
            source.send(frame(b"\x02\0\0\0\0\x01", BROADCAST, number))
        until(lambda: all(len(receiver.counts) == N_FLOODS for receiver in others))
        time.sleep(0.2)  # for copies that should not be
    finally:
        os.kill(pid, signal.SIGCONT)
    right = not back.counts
    print(f"{sender}: {sum(back.counts.values())} came back")
    for receiver in others:
        right = right and receiver.counts == {number: 1 for number in range(N_FLOODS)}
        print(f"{receiver.namespace}: {len(receiver.counts)} of {N_FLOODS}, {sum(receiver.counts.values())} copies")
    return right


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def moves(path, n, url, peers, sender, receivers):
    source = open_in(sender)
    others = [Receiver(name) for name in receivers]
    connection = Connection(path)
    stop = threading.Event()
    sent = 0
    times = []

    def send():
        nonlocal sent
        while not stop.is_set():
            source.send(frame(b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02", sent))
            sent += 1
            if sent % 16 == 0:
                time.sleep(0.0005)

    for receiver in others:
        receiver.start()
    traffic = threading.Thread(target=send)
    traffic.start()
    for i in range(n):
        started = time.monotonic()
        connection.request("PATCH", url, f'"{peers[(i + 1) % 2]}"')
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.monotonic() - started)
        if answer.status != 200:
            print(f"move {i}: {answer.status} {body.decode()}")
            break
        time.sleep(0.001)  # some frames take each way
    stop.set()
    traffic.join()
    received = lambda: sum(len(receiver.counts) for receiver in others)
    until(lambda: received() >= sent)
    print(f"{len(times)} moves, {statistics.median(times) * 1000:.2f} ms each (median); {sent} frames sent, " +
          ", ".join(f"{len(receiver.counts)} at {receiver.namespace}" for receiver in others) +
          f", {sent - received()} lost")
    twice = sum(1 for number in range(sent) if sum(receiver.counts[number] for receiver in others) != 1)
    return len(times) == n and received() == sent and not twice and all(receiver.counts for receiver in others)


def main(words):
    if words[0] == "flood":
        right = flood(int(words[2]), words[3], words[4:])
    else:
        right = moves(words[1], int(words[2]), words[3], words[4:6], words[6], words[7:])
    sys.exit(not right)


main(sys.argv[1:])
