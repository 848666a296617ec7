#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The firewall cube against nftables: random rules, the same frames through both, and which rule decided.

Started by scripts/differential.sh, which makes the lab. Each ruleset goes to a chain of the cube (INGRESS by even
seeds, EGRESS by odd ones) and to a netdev chain of nftables, where a rule has a counter of its own; then frames are
sent, ten at a time. The lengths of these ten are 128 + 2^k, so that the bytes of a counter say which of them it counted.

Compared: prefixes of IPv4 and IPv6 (lists, mixed families), protocols, ports and ranges, TCP flags with mask, ICMP and
ICMPv6 types and codes, DSCP, fragments; each negated where that can be said. Frames have IPv4 options, IPv6 extension
headers, fragments, and bytes behind the IP packet.

Not compared, because the two differ by intent:
- malformed packets, and what is not IP: the cube drops the first and lets the others pass; nftables has them match
  what can still be read;
- VLAN tags: the cube looks behind them, a netdev chain does not where the tag is in the frame;
- AH in IPv6: the cube looks behind it, to nftables it is the transport protocol;
- IPv6 with more than six extension headers: the cube takes the seventh for the protocol;
- ports, flags and types in later fragments: a netdev chain reads whatever lies in their place, so that its rules get
  one condition more;
- connections (the cube is set to judge each packet by the rules) and REJECT: nftables has them elsewhere, or needs
  what is not there at ingress.
"""
import argparse
import ctypes
import errno
import http.client
import ipaddress
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time

N_PACKETS = 50
N_ROUND = 10
BASE = 128
ETHERNET = 14  # a netdev chain counts from the IP header on
DEADLINE = 2  # seconds until what was sent has been counted

TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132
NAMES = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPV6", SCTP: "SCTP", 47: "GRE", 50: "ESP", 89: "OSPF"}
PROTOCOLS = [TCP] * 4 + [UDP] * 4 + [ICMP] * 2 + [ICMPV6] * 2 + [SCTP, 47, 50, 89, 253]
FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
FRAGMENTS = ["NONE", "FIRST", "LATER", "ANY"]


# ---- random values, from few, so that they meet ----

def some_address(rng, version):
    if version == 4:
        return rng.choice([0, 0x0a000000, 0x0a000100, 0x0a0001f0, 0x0a010000, 0xc0a80000, 0xffffffff]) ^ rng.randrange(8)
    words = [rng.choice([0x20010db8, 0x20010db9, 0xfd000000, 0xffffffff, 1])]
    words += [rng.choice([0, 0, 1, 0x0a000000, 0x80000000, 0xffffffff]) for _ in range(3)]
    return (words[0] << 96 | words[1] << 64 | words[2] << 32 | words[3]) ^ rng.randrange(4)


def some_prefix(rng, version):
    bits = 32 if version == 4 else 128
    length = bits if rng.random() < 0.3 else rng.choice([rng.randrange(bits + 1), bits - rng.randrange(9)])
    kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    return kind((some_address(rng, version), length), strict=False)


def some_port(rng):
    return rng.choice([0, 1, 1024, 65534, 65535]) if rng.random() < 0.25 else rng.randrange(80, 104)


def some_ports(rng):
    low, high = sorted((some_port(rng), some_port(rng)))
    return (low, low) if rng.random() < 0.5 else (low, high)


def some_icmp(rng):
    return rng.randrange(4), rng.choice([None, rng.randrange(3)])


def some_list(rng, make, most=4):
    return rng.random() < 0.25, [make() for _ in range(rng.randint(1, most))]


# ---- rules ----

class Rule:
    """Fields that are not given are None; lists are (negated, items)."""

    def __init__(self, rng):
        pick = lambda chance, make: make() if rng.random() < chance else None
        version = rng.choice([4, 6, None])
        family = lambda: version or rng.choice([4, 6])
        self.src = pick(0.4, lambda: some_list(rng, lambda: some_prefix(rng, family())))
        self.dst = pick(0.4, lambda: some_list(rng, lambda: some_prefix(rng, family())))
        self.l4proto = pick(0.4, lambda: some_list(rng, lambda: rng.choice(PROTOCOLS), 3))
        self.sport = self.dport = self.tcpflags = self.icmp = self.icmpv6 = None
        kind = rng.choice(["ports", "flags", "icmp", None])
        if kind == "ports":
            self.sport = pick(0.4, lambda: some_list(rng, lambda: some_ports(rng)))
            self.dport = pick(0.8, lambda: some_list(rng, lambda: some_ports(rng)))
        elif kind == "flags":
            self.tcpflags = [(flag, rng.random() < 0.5) for flag in rng.sample(range(8), rng.randint(1, 3))]
            self.dport = pick(0.3, lambda: some_list(rng, lambda: some_ports(rng)))
        elif kind == "icmp":
            which = rng.choice(["icmp", "icmpv6", "both"])
            self.icmp = some_list(rng, lambda: some_icmp(rng)) if which != "icmpv6" else None
            self.icmpv6 = some_list(rng, lambda: some_icmp(rng)) if which != "icmp" else None
        self.dscp = pick(0.15, lambda: some_list(rng, lambda: rng.randrange(8)))
        self.fragment = pick(0.15, lambda: rng.choice(FRAGMENTS))
        self.action = rng.choice(["ACCEPT", "DROP"])

    def ours(self):
        """As the REST API takes it."""
        def text(given, form):
            return given and "!" * given[0] + ",".join(form(item) for item in given[1])

        ports = lambda item: f"{item[0]}-{item[1]}" if item[0] != item[1] else str(item[0])
        icmp = lambda item: str(item[0]) if item[1] is None else f"{item[0]}/{item[1]}"
        fields = {
            "src": text(self.src, str), "dst": text(self.dst, str),
            "l4proto": text(self.l4proto, lambda item: NAMES.get(item, str(item))),
            "sport": text(self.sport, ports), "dport": text(self.dport, ports),
            "tcpflags": self.tcpflags and ",".join("!" * off + FLAGS[flag] for flag, off in self.tcpflags),
            "icmp-type": text(self.icmp, icmp), "icmpv6-type": text(self.icmpv6, icmp),
            "dscp": text(self.dscp, str), "fragment": self.fragment, "action": self.action,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def theirs(self, version):
        """Rules of nftables, of which one matches where this one does, for packets of a version."""
        ip = "ip" if version == 4 else "ip6"
        parts = [f"meta protocol {ip}"]

        def among(what, given, form):
            parts.append(f"{what} {'!= ' * given[0]}{{ {', '.join(sorted({form(item) for item in given[1]}))} }}")

        for what, given in (("saddr", self.src), ("daddr", self.dst)):
            if given:
                items = [item for item in given[1] if item.version == version]
                if not items:  # of the other family alone
                    return []
                among(f"{ip} {what}", (given[0], items), str)
        icmp = self.icmp if version == 4 else self.icmpv6
        if (self.icmp or self.icmpv6) and not icmp:
            return []
        protocols = self.protocols(version)
        if not protocols:
            return []
        if self.has_transport():
            parts.append(f"meta l4proto {{ {', '.join(map(str, sorted(protocols)))} }}")
        elif self.l4proto:
            among("meta l4proto", self.l4proto, str)
        for what, given in (("sport", self.sport), ("dport", self.dport)):
            if given:
                among(f"th {what}", given, lambda item: f"{item[0]}-{item[1]}" if item[0] != item[1] else str(item[0]))
        if self.tcpflags:
            mask = sum(1 << flag for flag, _ in self.tcpflags)
            value = sum(1 << flag for flag, off in self.tcpflags if not off)
            parts.append(f"tcp flags & {mask:#x} == {value:#x}")
        if icmp:
            whole = {kind for kind, code in icmp[1] if code is None}
            items = [(kind, code) for kind, code in icmp[1] if code is None or kind not in whole]
            name = "icmp" if version == 4 else "icmpv6"
            among(f"{name} type . {name} code", (icmp[0], items),
                  lambda item: f"{item[0]} . 0-255" if item[1] is None else f"{item[0]} . {item[1]}")
        if self.dscp:
            among(f"{ip} dscp", self.dscp, str)
        return [" ".join(parts + [fragment]) for fragment in self.fragments(version)]

    def has_transport(self):
        return bool(self.sport or self.dport or self.tcpflags or self.icmp or self.icmpv6)

    def protocols(self, version):
        """All that are named and have what is asked for: nft refuses rules that contradict themselves."""
        named = set(range(256))
        if self.l4proto:
            named = named - set(self.l4proto[1]) if self.l4proto[0] else set(self.l4proto[1])
        if self.sport or self.dport:
            named &= {TCP, UDP, SCTP}
        if self.tcpflags:
            named &= {TCP}
        if self.icmp or self.icmpv6:
            named &= {ICMP if version == 4 else ICMPV6}
        return named

    def fragments(self, version):
        """Alternatives. Only whole packets and first fragments have what is behind IP."""
        wanted = {None: ["NONE", "FIRST", "LATER"], "ANY": ["FIRST", "LATER"]}.get(self.fragment, [self.fragment])
        if self.has_transport():
            wanted = [one for one in wanted if one != "LATER"]
        elif self.fragment is None:
            return [""]
        if version == 4:
            texts = {"NONE": ["ip frag-off & 0x3fff == 0"], "FIRST": ["ip frag-off & 0x3fff == 0x2000"],
                     "LATER": ["ip frag-off & 0x1fff != 0"]}
        else:  # a fragment header may say that there is but one fragment (RFC 6946)
            texts = {"NONE": ["exthdr frag missing", "frag frag-off == 0 frag more-fragments == 0"],
                     "FIRST": ["frag frag-off == 0 frag more-fragments == 1"], "LATER": ["frag frag-off != 0"]}
        return [text for one in wanted for text in texts[one]]


# ---- packets ----

class Packet:
    """Random; if rule is given, with what it names, where that is easily done."""

    def __init__(self, rng, rule):
        self.version = rng.choice([4, 6])
        self.source, self.destination = (self.address(rng, rule and given)
                                         for given in (rule and rule.src, rule and rule.dst))
        self.protocol = rng.choice(rule.l4proto[1]) if rule and rule.l4proto else rng.choice(PROTOCOLS)
        if rule and (rule.sport or rule.dport) and not rule.l4proto:
            self.protocol = rng.choice([TCP, UDP, SCTP])
        if rule and (rule.icmp or rule.icmpv6):
            self.protocol = ICMP if self.version == 4 else ICMPV6
        self.flags = rng.randrange(256)
        if rule and rule.tcpflags:
            self.protocol = TCP
            for flag, off in rule.tcpflags:
                self.flags = self.flags & ~(1 << flag) | (not off) << flag
        self.sport, self.dport = (rng.randint(*rng.choice(given[1])) if given else some_port(rng)
                                  for given in (rule and rule.sport, rule and rule.dport))
        icmp = rule and (rule.icmp if self.version == 4 else rule.icmpv6)
        self.type, self.code = rng.choice(icmp[1]) if icmp else some_icmp(rng)
        if self.code is None:
            self.code = rng.randrange(4)
        self.dscp = rng.choice(rule.dscp[1]) if rule and rule.dscp else rng.randrange(64)
        self.fragment = rng.choice(FRAGMENTS[:3]) if (rule and rule.fragment) or rng.random() < 0.15 else "NONE"
        # Fewer than the cube looks at; one of them says that there is but one fragment.
        self.extensions = [rng.choice([0, 43, 60])] if rng.random() < 0.2 else []
        self.extensions += [60] * rng.randrange(3) if self.extensions else []
        self.atomic = rng.random() < 0.1
        self.options = rng.choice([0, 0, 0, 1, 10])
        self.trailer = rng.choice([0, 0, 0, 5])
        self.noise = rng.randbytes(BASE + (1 << N_ROUND))

    def address(self, rng, given):
        """Of a prefix that is named, if there is one of this family."""
        items = [item for item in given[1] if item.version == self.version] if given else []
        if not items:
            return some_address(rng, self.version)
        prefix = rng.choice(items)
        return int(prefix.network_address) | some_address(rng, self.version) & int(prefix.hostmask)

    def __str__(self):
        kind = ipaddress.IPv4Address if self.version == 4 else ipaddress.IPv6Address
        return (f"{kind(self.source)} > {kind(self.destination)} protocol {self.protocol} ports {self.sport} > {self.dport} "
                f"flags {self.flags:#x} icmp {self.type}/{self.code} dscp {self.dscp} fragment {self.fragment} "
                f"options {self.options} extensions {self.extensions} atomic {self.atomic} trailer {self.trailer}")

    def transport(self, length):
        rest = self.noise[:length]
        if self.fragment == "LATER":
            return rest
        header = b""
        if self.protocol == TCP:
            header = struct.pack("!HHIIBBHHH", self.sport, self.dport, 1, 2, 5 << 4, self.flags, 1000, 0, 0)
        elif self.protocol == UDP:
            header = struct.pack("!HHHH", self.sport, self.dport, length, 0)
        elif self.protocol == SCTP:
            header = struct.pack("!HHII", self.sport, self.dport, 0, 0)
        elif self.protocol in (ICMP, ICMPV6):
            header = struct.pack("!BBHHH", self.type, self.code, 0, 7, 1)
        return header + rest[len(header):]

    def frame(self, length):
        body = length - ETHERNET - self.trailer
        macs = b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01"  # of nobody: what passes ends at the next stack
        trailer = self.noise[-self.trailer:] if self.trailer else b""
        if self.version == 4:
            offset = {"NONE": 0x4000, "FIRST": 0x2000, "LATER": 0x2010}[self.fragment]
            header = struct.pack("!BBHHHBBHII", 0x45 + self.options, self.dscp << 2, body, 1, offset, 64,
                                 self.protocol, 0, self.source, self.destination) + b"\x01" * (4 * self.options)
            return macs + b"\x08\0" + header + self.transport(body - len(header)) + trailer
        # The protocols in order, and for each but the last its header.
        chain = list(self.extensions)
        if self.fragment != "NONE" or self.atomic:
            chain.append(44)
        offset = {"NONE": 0, "FIRST": 1, "LATER": 0x81}[self.fragment]
        headers = b""
        for number, following in zip(chain, chain[1:] + [self.protocol]):
            headers += (struct.pack("!BBHI", following, 0, offset, 1) if number == 44
                        else struct.pack("!BBBBI", following, 0, 4 if number == 43 else 1, 0 if number == 43 else 4, 0))
        header = struct.pack("!IHBB", 6 << 28 | self.dscp << 22, body - 40, (chain + [self.protocol])[0], 64)
        header += self.source.to_bytes(16, "big") + self.destination.to_bytes(16, "big") + headers
        return macs + b"\x86\xdd" + header + self.transport(body - len(header)) + trailer


# ---- both sides ----

def open_in(namespace, device):
    """A packet socket that only sends, on a device of a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, 0):
        raise OSError(ctypes.get_errno(), "setns")
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        opened.bind((device, 0))
    finally:
        libc.setns(home, 0)
        os.close(home)
        os.close(there)
    return opened


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Ours:
    """The cube. load() and counters(): of each rule, the default last, (packets, bytes)."""

    def __init__(self, api, cube, namespace, daemon, port):
        self.connection = Connection(api)
        self.cube = cube
        self.ways = {"INGRESS": open_in(namespace, "eth0"), "EGRESS": open_in(daemon, port)}

    def request(self, method, path, body=None):
        self.connection.request(method, f"/polycube/v1/firewall/{self.cube}/chain/{self.chain}/{path}",
                                body and json.dumps(body))
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text}\n{json.dumps(body)}")
        return json.loads(text) if text.strip() else None

    def load(self, rules, seed):
        self.chain = "EGRESS" if seed & 1 else "INGRESS"
        self.request("PUT", "rule/", [dict(rule.ours(), id=i) for i, rule in enumerate(rules)])

    def counters(self):
        return [(entry["pkts"], entry["bytes"]) for entry in self.request("GET", "stats/")]

    def send(self, frame):
        try:
            self.ways[self.chain].send(frame)
        except OSError as error:  # how a sender hears of a drop at EGRESS
            if error.errno != errno.ENOBUFS:
                raise


class Theirs:
    """nftables."""

    def __init__(self, namespace, daemon, port):
        self.enter = ["nsenter", f"--net=/run/netns/{namespace}", "--"]
        self.way = open_in(daemon, port)

    def load(self, rules, _seed):
        lines = ["table netdev t", "delete table netdev t", "table netdev t {"]
        lines += [f"counter r{i} {{ }}" for i in range(len(rules) + 1)]
        lines += ["chain c {", "type filter hook ingress device eth0 priority 0; policy accept;"]
        for i, rule in enumerate(rules):
            lines += [f"{text} counter name r{i} {rule.action.lower()}" for v in (4, 6) for text in rule.theirs(v)]
        lines += [f"counter name r{len(rules)}", "}", "}", ""]
        done = subprocess.run(self.enter + ["nft", "-f", "-"], input="\n".join(lines), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"nft: {done.stderr}")
        self.n = len(rules) + 1

    def counters(self):
        text = subprocess.run(self.enter + ["nft", "-j", "list", "counters", "table", "netdev", "t"], check=True,
                              capture_output=True, text=True).stdout
        found = {entry["counter"]["name"]: entry["counter"] for entry in json.loads(text)["nftables"] if "counter" in entry}
        values = [found[f"r{i}"] for i in range(self.n)]
        return [(value["packets"], value["bytes"] + ETHERNET * value["packets"]) for value in values]

    def send(self, frame):
        self.way.send(frame)


def decided(side, frames, before):
    """Sends them: which rule decided on each, and the counters. None: on none, or the counters say something else."""
    for frame in frames:
        side.send(frame)
    end = time.monotonic() + DEADLINE
    while True:
        after = side.counters()
        fresh = [(now[0] - then[0], now[1] - then[1]) for now, then in zip(after, before)]
        if sum(n for n, _ in fresh) >= len(frames) or time.monotonic() > end:
            break
    rules = [None] * len(frames)
    for rule, (n, size) in enumerate(fresh):
        marks = size - BASE * n
        if 0 <= marks < 1 << N_ROUND and marks.bit_count() == n:
            for i in range(len(frames)):
                if marks >> i & 1:
                    rules[i] = rule
    return rules, after


def ruleset(seed, sides):
    """Differences, each of which is printed; and how often the default decided."""
    rng = random.Random(seed)
    rules = [Rule(rng) for _ in range(rng.choice([1, 3, 10, 20, 30]))]
    for side in sides:
        side.load(rules, seed)
    counters = [side.counters() for side in sides]
    differences, defaults = 0, 0
    for first in range(0, N_PACKETS, N_ROUND):
        packets = [Packet(rng, rng.choice(rules) if rng.random() < 0.7 else None) for _ in range(N_ROUND)]
        frames = [packet.frame(BASE + (1 << i)) for i, packet in enumerate(packets)]
        answers = []
        for i, side in enumerate(sides):
            answer, counters[i] = decided(side, frames, counters[i])
            answers.append(answer)
        for i, (ours, theirs) in enumerate(zip(*answers)):
            defaults += theirs == len(rules)
            if ours == theirs and ours is not None:
                continue
            differences += 1
            print(f"    seed {seed}, packet {first + i}: rule {ours}, nftables: {theirs} (default: {len(rules)})")
            print(f"      {packets[i]}\n      {frames[i][:ETHERNET + 96].hex()}")
            for rule in sorted({rule for rule in (ours, theirs) if rule is not None and rule < len(rules)}):
                print(f"      {rule}: {json.dumps(rules[rule].ours())}")
                print("".join(f"         {text}\n" for v in (4, 6) for text in rules[rule].theirs(v)), end="")
    return differences, defaults


def main():
    parser = argparse.ArgumentParser()
    for name in ("api", "cube", "daemon", "ours", "theirs", "our-port", "their-port"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rulesets", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    words = parser.parse_args()
    sides = (Ours(words.api, words.cube, words.ours, words.daemon, words.our_port),
             Theirs(words.theirs, words.daemon, words.their_port))
    differences = defaults = 0
    started = time.monotonic()
    for i in range(words.rulesets):
        found, by_default = ruleset(words.seed + i, sides)
        differences += found
        defaults += by_default
        if (i + 1) % 50 == 0 or i + 1 == words.rulesets:
            print(f"    {i + 1} rulesets, {(i + 1) * N_PACKETS} packets, {defaults} by the default, {differences} differences, "
                  f"{time.monotonic() - started:.0f} s", flush=True)
    sys.exit(bool(differences))


main()
