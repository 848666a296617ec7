# SPDX-License-Identifier: Apache-2.0
"""Datagrams through a firewall whose rules change: one port is always let through, the other never.

  probe.py send ADDRESS MILLISECONDS_BETWEEN      until SIGTERM; prints a JSON object
  probe.py receive ADDRESS                        the same
  probe.py change SOCKET COUNT                    changes the rules of fw, COUNT times, half of them wholly; prints JSON

A ruleset that is half the one and half the other version lets the wrong port through, or not the right one: in each the two
ports are named by other rules, at other places.
"""
import json
import os
import select
import signal
import socket
import struct
import sys
import time

OPEN, CLOSED = 7000, 7001
SO_TIMESTAMPNS = 35
RECORD = struct.Struct("!QQ")  # number, time in ns since 1970


ended = False


def end(_signal, _frame):
    global ended  # no exception: it would come between a datagram and its count
    ended = True


def realtime():
    signal.signal(signal.SIGTERM, end)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))


def send(address, between):
    realtime()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number, due = 0, time.monotonic()
    while not ended:
        for port in (CLOSED, OPEN):
            sock.sendto(RECORD.pack(number, time.time_ns()), (address, port))
        number += 1
        due += between / 1000
        time.sleep(max(0.0, due - time.monotonic()))
    print(json.dumps({"sent": number}))


def receive(address):
    realtime()
    socks = []
    for port in (OPEN, CLOSED):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((address, port))
        socks.append(sock)
    print("ready", flush=True)
    received, wrong, latencies = 0, 0, []
    while True:
        ready = select.select(socks, [], [], 0.1)[0]
        if ended and not ready:  # what was on its way has come
            break
        for sock in ready:
            data, control, _, _ = sock.recvmsg(64, 64)
            if sock is socks[1]:
                wrong += 1
                continue
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            latencies.append((seconds * 10**9 + nanoseconds - RECORD.unpack(data)[1]) // 1000)
            received += 1
    latencies.sort()
    print(json.dumps({"received": received, "wrong": wrong, "median_us": latencies[len(latencies) // 2],
                      "longest_us": latencies[-1]}))


# ---- changes ----

def filler(n, first):
    return [{"src": f"10.{first + i // 250}.{i % 250}.0/24", "l4proto": "TCP", "dport": 1 + i, "action": "DROP"} for i in range(n)]


def versions():
    right = {"l4proto": "UDP", "dport": OPEN, "action": "ACCEPT"}
    wrong = {"l4proto": "UDP", "dport": CLOSED, "action": "DROP"}
    rest = {"l4proto": "UDP", "dport": f"{OPEN}-{CLOSED}", "action": "ACCEPT"}
    others = [{"l4proto": "TCP", "dst": "10.0.0.2", "action": "ACCEPT"}, {"l4proto": "ICMP", "action": "ACCEPT"}]
    return ([right, wrong, *filler(100, 1), *others],
            [*filler(50, 2), wrong, *filler(150, 3), rest, *others],
            [wrong, rest, *filler(10, 4), *others])


def request(path, method, url, body):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        data = json.dumps(body).encode() if body is not None else b""
        sock.sendall((f"{method} /polycube/v1/firewall/fw/{url} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    if not answer.startswith(b"HTTP/1.1 2"):
        sys.exit(f"{method} {url}: {answer[-300:].decode()}")


def change(path, count):
    rulesets, times = versions(), []
    for i in range(count):
        rules = rulesets[i // 2 % len(rulesets)]
        begin = time.monotonic()
        if i % 2 == 0:
            request(path, "PUT", "chain/INGRESS/rule/", [{"id": n, **rule} for n, rule in enumerate(rules)])
        else:
            request(path, "POST", "chain/INGRESS/insert/", {"id": 0, "src": f"10.200.{i % 250}.0/24", "action": "DROP"})
        times.append((time.monotonic() - begin) * 1000)
    times.sort()
    print(json.dumps({"changes": count, "median_ms": round(times[count // 2], 2), "longest_ms": round(times[-1], 2)}))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], float(sys.argv[3]))
    elif sys.argv[1] == "receive":
        receive(sys.argv[2])
    else:
        change(sys.argv[2], int(sys.argv[3]))
