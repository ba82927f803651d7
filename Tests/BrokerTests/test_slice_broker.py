#!/usr/bin/python3
"""slice-broker in front of real programs in boxes like slices (box.py), as root.

The binary is $SLICE_BROKER, else build/bin/slice-broker of this checkout. Usage:
    test_slice_broker.py [TEST…]
"""

import ctypes
import errno
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest

import box
from box import ICMP, ICMP6, PYTHON, SNIFF, UDP

UNPRIVILEGED = 1000
ARP, EXPERIMENT = 0x0806, 0x88b5  # ethertypes; the second is for local experiments (IEEE 802)


class BrokerTest(unittest.TestCase):
    def box(self, **options):
        made = box.Box(**options)
        self.addCleanup(made.close)
        return made

    def served(self, **grants):
        """A box with a broker that has these grants."""
        made = self.box()
        self.assertEqual(made.start_broker(), b"")
        self.assertEqual(made.grant(**grants), (0, 0, 0))
        return made

    def control(self):
        """The same without broker and filter, for root of the host."""
        return self.box(privileged=True)

    def python(self, where, program, *arguments, **options):
        code, text = where.python(program, *arguments, **options)
        self.assertEqual(code, 0, text)
        return text.strip()


def send_udp(where, port, text=b"x", six=False):
    to = where.own6 if six else where.own4
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(text, (to, port))


def send_frame(where, ethertype, text):
    """From the host's end of the box's link."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((where.link, 0))
        sender.send(b"\xff" * 6 + b"\2" * 6 + struct.pack("!H", ethertype) + text.ljust(50, b"\0"))


OPEN = """
for arguments in eval(sys.argv[1]):
    print(attempt(lambda: socket(*arguments)))
"""
EVERY_KIND = [(domain, kind | flags, protocol)
              for domain in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET)
              for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM, socket.SOCK_STREAM, 10, 15)
              for flags in (0, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK, 0x100)
              for protocol in (0, 1, 6, 17, 47, 58, 89, 255, 256, 262, 263, 0x0300)]


class Opening(BrokerTest):
    def opened(self, where, calls, **options):
        return self.python(where, OPEN, json.dumps(calls), **options).split("\n")

    def test_without_a_grant_every_call_ends_as_for_anybody_without_privileges(self):
        alone = self.opened(self.box(asking=False), EVERY_KIND)
        self.assertIn("EPERM", alone)
        self.assertIn("EINVAL", alone)
        self.assertIn("EPROTONOSUPPORT", alone)
        self.assertIn("ok", alone)  # ordinary sockets
        self.assertEqual(self.opened(self.served(), EVERY_KIND), alone)

    def test_with_every_grant_every_call_ends_as_for_root(self):
        everything = dict(flags=SNIFF, ipv4=range(255), ipv6=range(255))
        # 256 and beyond are numbers that no header has.
        calls = [call for call in EVERY_KIND if call[2] not in (256, 262)
                 and call[1] & 0xf in (socket.SOCK_RAW, socket.SOCK_DGRAM)]
        native = self.opened(self.control(), calls)
        self.assertIn("ok", native[calls.index((socket.AF_PACKET, socket.SOCK_RAW, 0)):])
        self.assertEqual(self.opened(self.served(**everything), calls), native)

    def test_a_grant_opens_what_it_says_and_no_more(self):
        raw4, raw6 = [(family, socket.SOCK_RAW) for family in (socket.AF_INET, socket.AF_INET6)]
        kinds = {f"{name} {number}": (*kind, number)
                 for name, kind in (("4", raw4), ("6", raw6)) for number in (1, 6, 17, 47, 58, 255)}
        kinds |= {"packet": (socket.AF_PACKET, socket.SOCK_RAW, 0x0300),
                  "cooked": (socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ARP))}
        cases = [({}, set()),
                 ({"ipv4": [ICMP]}, {"4 1", "4 255"}),
                 ({"ipv6": [ICMP6]}, {"6 58", "6 255"}),
                 ({"udp": [(33434, 33534)]}, {"4 17", "6 17", "4 255", "6 255"}),
                 ({"tcp": [(1, 9)]}, {"4 6", "6 6", "4 255", "6 255"}),
                 ({"ipv4": [47], "ipv6": [47]}, {"4 47", "6 47", "4 255", "6 255"}),
                 ({"ethertypes": [ARP]}, {"packet", "cooked"}),
                 ({"flags": SNIFF}, {"packet", "cooked"})]
        where = self.served()
        for grants, allowed in cases:
            self.assertEqual(where.grant(**grants)[0], 0)
            found = self.opened(where, list(kinds.values()))
            self.assertEqual({name for name, result in zip(kinds, found) if result == "ok"}, allowed,
                             grants)
            self.assertLessEqual(set(found), {"ok", "EPERM"}, grants)

    def test_any_user_of_the_slice_is_served(self):
        where = self.served(ipv4=[ICMP])
        call = [(socket.AF_INET, socket.SOCK_RAW, ICMP)]
        self.assertEqual(self.opened(where, call, user=UNPRIVILEGED), ["ok"])

    def test_flags_arrive(self):
        where = self.served(flags=SNIFF, ipv4=[ICMP])
        text = self.python(where, """
import fcntl
libc = ctypes.CDLL(None)
for domain, protocol in (AF_INET, 1), (AF_PACKET, 0):
    for flags in 0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK:
        made = libc.socket(domain, SOCK_RAW | flags, protocol)
        print(bool(fcntl.fcntl(made, fcntl.F_GETFD) & fcntl.FD_CLOEXEC) == bool(flags & SOCK_CLOEXEC),
              bool(fcntl.fcntl(made, fcntl.F_GETFL) & os.O_NONBLOCK) == bool(flags & SOCK_NONBLOCK))
""")
        self.assertEqual(text, "\n".join(["True True"] * 8))

    def test_a_refusal_is_told(self):
        where = self.served(ipv4=[ICMP])
        program = where.start_python("""
print(attempt(lambda: socket(AF_INET, SOCK_RAW, ICMP := 6)), attempt(lambda: packet(0x806, SOCK_DGRAM)))
""")
        self.assertEqual(program.wait(), (0, "EPERM EPERM\n"))
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self.assertEqual(where.events(), [
            (program.pid, socket.AF_INET, kind, 6, 0),
            (program.pid, socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, ARP, 0)])

    def test_a_flood_of_refusals_is_told_in_few_words(self):
        where = self.served()
        self.python(where, "for i in range(3000): attempt(packet)")
        first = where.events()
        time.sleep(1.1)
        self.python(where, "attempt(packet)")
        told = first + where.events()
        self.assertEqual(len(told) + sum(event[4] for event in told), 3001)
        self.assertLess(len(told), 200)

    def test_nothing_is_answered_before_the_first_grant(self):
        where = self.box()
        where.start_broker()
        program = where.start_python("""
print("asking"); print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))
""")
        self.assertEqual(program.line(), "asking")
        with self.assertRaises(AssertionError):
            program.line(timeout=0.3)
        where.grant(ipv4=[ICMP])
        self.assertEqual(program.line(), "ok")
        program.wait()

    def test_what_is_no_command_changes_nothing(self):
        where = self.served(ipv4=[ICMP])
        good = struct.pack("=II", box.GRANT, 0) + box.grants()
        for wrong in (good[:-1], good + b"x", b"", good[:8], struct.pack("=II", 9, 0) + good[8:],
                      struct.pack("=II", box.GRANT, 1) + good[8:],
                      good[:8] + box.grants(flags=4), good[:8] + box.grants(udp=[(9, 8)]),
                      good[:8] + box.grants(ethertypes=[0x05ff]),
                      good[:8] + struct.pack("=IHH", 0, 17, 0) + good[16:],
                      good[:8] + struct.pack("=IHH", 0, 0, 17) + good[16:]):
            if wrong:
                self.assertEqual(where.command(wrong), (22, 0, 0))
        self.assertEqual(self.opened(where, [(2, 3, 1), (2, 3, 17)]), ["ok", "EPERM"])

    def test_the_newest_client_is_served(self):
        where = self.served()
        earlier, where.control = where.control, where.connect()
        self.assertEqual(where.grant(ipv4=[ICMP]), (0, 0, 0))
        self.assertEqual(earlier.recv(10), b"")
        earlier.close()


class Receives(BrokerTest):
    def receives(self, where, opening, send, wait=0.3):
        """What a socket gets of what `send` sends, the last 50 bytes of each at most."""
        program = where.start_python(f"""
made = {opening}
print("open")
sys.stdin.readline()
print([bytes(data[-50:]).rstrip(b"\\0") for data in received(made, {wait})])
""")
        self.assertEqual(program.line(), "open")
        send(where)
        program.send("\n")
        got = eval(program.line())
        program.wait()
        return got


class Receiving(Receives):
    def udp_both(self, where):
        for port in 4999, 5000, 5010, 5011, 6000, 6001:
            send_udp(where, port, b"<%d>" % port)

    def test_udp_of_the_granted_ports(self):
        opening = "socket(AF_INET, SOCK_RAW, IPPROTO_UDP)"
        found = self.receives(self.served(udp=[(5000, 5010), (6000, 6000)]), opening, self.udp_both)
        self.assertEqual([data[-6:] for data in found], [b"<5000>", b"<5010>", b"<6000>"])
        found = self.receives(self.served(ipv4=[UDP]), opening, self.udp_both)
        self.assertEqual(len(found), 6, "with the whole protocol all of them come")

    def test_udp_of_the_granted_ports_in_ipv6(self):
        opening = "socket(AF_INET6, SOCK_RAW, IPPROTO_UDP)"
        send = lambda where: [send_udp(where, port, b"<%d>" % port, six=True) for port in (4999, 5000, 5001)]
        self.assertEqual([data[-6:] for data in self.receives(
            self.served(udp=[(5000, 5000)]), opening, send)], [b"<5000>"])
        self.assertEqual(len(self.receives(self.served(ipv6=[UDP]), opening, send)), 3)

    def test_as_many_ranges_as_there_can_be(self):
        ranges = [(port, port + 1) for port in range(1000, 1000 + 16 * 10, 10)]
        opening = "socket(AF_INET, SOCK_RAW, IPPROTO_UDP)"
        send = lambda where: [send_udp(where, port, b"<%d>" % port) for port in range(998, 1170)]
        found = self.receives(self.served(udp=ranges), opening, send)
        self.assertEqual([int(data[-5:-1]) for data in found],
                         [port for first, last in ranges for port in (first, last)])

    def test_a_fragmented_datagram_comes_whole_or_not_at_all(self):
        def send(where):
            for port in 5000, 4000:
                send_udp(where, port, b"a" * 4000 + b"<%d>" % port)
        found = self.receives(self.served(udp=[(5000, 5000)]), "socket(AF_INET, SOCK_RAW, IPPROTO_UDP)", send)
        self.assertEqual([data[-6:] for data in found], [b"<5000>"])

    def test_what_only_sends_receives_nothing(self):
        def send(where):
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
                sender.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 24, 0, 0, 64, 255, 0,
                              socket.inet_aton(where.host4), socket.inet_aton(where.own4)) + b"data",
                              (where.own4, 0))
        opening = "socket(AF_INET, SOCK_RAW, IPPROTO_RAW)"
        self.assertEqual(self.receives(self.served(ipv4=[ICMP]), opening, send), [])
        self.assertEqual(len(self.receives(self.control(), opening, send)), 1)

    def test_frames_of_the_granted_ethertypes(self):
        for kind in "SOCK_RAW", "SOCK_DGRAM":
            for protocol in "ALL", "0x88b5":
                where = self.served(ethertypes=[ARP, EXPERIMENT])
                def send(where):
                    send_udp(where, 5000, b"<udp>")
                    send_frame(where, EXPERIMENT, b"<experiment>")
                    send_frame(where, EXPERIMENT + 1, b"<another>")
                found = self.receives(where, f"packet({protocol}, {kind})", send)
                self.assertTrue(any(data.endswith(b"<experiment>") for data in found), found)
                self.assertFalse([data for data in found
                                  if data.endswith((b"<udp>", b"<another>"))], found)

    def test_binding_to_all_ethertypes_gains_nothing(self):
        where = self.served(ethertypes=[EXPERIMENT])
        opening = "packet(0x88b5)\nmade.bind(('eth0', ALL))"
        self.assertEqual(self.receives(where, opening, lambda where: send_udp(where, 5000, b"<udp>")), [])
        where = self.served(flags=SNIFF)
        found = self.receives(where, opening, lambda where: send_udp(where, 5000, b"<udp>"))
        self.assertTrue(any(data.endswith(b"<udp>") for data in found), found)

    def test_nothing_from_before_the_filter(self):
        """Opened while datagrams of both kinds come in as fast as they can."""
        where = self.served(udp=[(5000, 5000)])
        stop = threading.Event()

        def flood():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                while not stop.is_set():
                    for port in 5000, 4000, 4001, 4002:
                        sender.sendto(b"<%d>" % port, (where.own4, port))
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            text = self.python(where, """
ports = {}
for i in range(300):
    made = socket(AF_INET, SOCK_RAW, IPPROTO_UDP)
    made.settimeout(5)
    for j in range(20):
        port, = struct.unpack_from("!H", made.recv(65536), 22)
        ports[port] = ports.get(port, 0) + 1
    made.close()
print(ports)
""")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(eval(text), {5000: 6000})

    def test_a_packet_socket_hears_nothing_from_before_the_filter(self):
        where = self.served(ethertypes=[EXPERIMENT])
        stop = threading.Event()

        def flood():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                while not stop.is_set():
                    sender.sendto(b"<udp>", (where.own4, 4000))
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            text = self.python(where, """
heard = 0
for i in range(100):
    made = packet()
    made.setblocking(False)
    heard += attempt(lambda: made.recv(100)) != "EAGAIN"
    made.close()
print(heard)
""")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(text, "0")


class Sending(BrokerTest):
    """What arrives at the host's end of the link, where nothing else judges it here."""

    PACKETS = r"""
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~(total + (total >> 16)) & 0xffff
def ip4(protocol, payload, fragment=0, length=None):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0,
                       inet_aton(OWN4), inet_aton(HOST4))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
def ip6(protocol, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 64, inet_pton(AF_INET6, OWN6),
                       inet_pton(AF_INET6, HOST6)) + payload
def ports(source, text, kind=17):
    head = struct.pack("!HHHH", source, 9, 8 + len(text), 0)
    return (head if kind == 17 else head + bytes(4) + b"\x50\x02" + bytes(6)) + text
def frame(ethertype, data):
    return MAC + b"\2" * 6 + struct.pack("!H", ethertype) + data.ljust(46, b"\0")
PACKETS = {
    "udp in": (0x800, ip4(17, ports(5005, b"<udp in>"))),
    "udp out": (0x800, ip4(17, ports(6005, b"<udp out>"))),
    "tcp in": (0x800, ip4(6, ports(7005, b"<tcp in>", 6))),
    "tcp out": (0x800, ip4(6, ports(8005, b"<tcp out>", 6))),
    "icmp": (0x800, ip4(1, struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"<icmp>")),
    "gre": (0x800, ip4(47, bytes(8) + b"<gre>")),
    "udp6 in": (0x86dd, ip6(17, ports(5005, b"<udp6 in>"))),
    "udp6 out": (0x86dd, ip6(17, ports(6005, b"<udp6 out>"))),
    "icmp6": (0x86dd, ip6(58, struct.pack("!BBHHH", 128, 0, 0, 1, 1) + b"<icmp6>")),
    "first fragment in": (0x800, ip4(17, ports(5005, b"<first fragment in>"), 0x2000)),
    "first fragment out": (0x800, ip4(17, ports(6005, b"<first fragment out>"), 0x2000)),
    "later fragment": (0x800, ip4(17, ports(5005, b"<later fragment>"), 1)),
    "short": (0x800, ip4(17, b"<short>"[:7])),
    "first fragment6 in": (0x86dd, ip6(44, struct.pack("!BBHI", 17, 0, 1, 5) + ports(5005, b"<first fragment6 in>"))),
    "first fragment6 out": (0x86dd, ip6(44, struct.pack("!BBHI", 17, 0, 1, 5) + ports(6005, b"<first fragment6 out>"))),
    "later fragment6": (0x86dd, ip6(44, struct.pack("!BBHI", 17, 0, 9, 5) + ports(5005, b"<later fragment6>"))),
    "hidden header": (0x86dd, ip6(60, struct.pack("!BB", 17, 0) + bytes(6) + ports(5005, b"<hidden header>"))),
    "experiment": (0x88b5, b"<experiment>"),
    "arp": (0x806, b"<arp>"),
    "tagged": (0x8100, struct.pack("!HH", 5, 0x800) + ip4(17, ports(5005, b"<tagged>"))),
    "wrong version": (0x800, b"\x65" + ip4(17, ports(5005, b"<wrong version>"))[1:]),
    "options": (0x800, b"\x46" + ip4(17, bytes(4) + ports(5005, b"<options>"))[1:]),
}
def send(way):
    made = OPEN[way]()
    for ethertype, data in PACKETS.values():
        if way == "header": # raw sockets that take whole headers
            if ethertype == 0x800 and data[0] == 0x45: attempt(lambda: made.sendto(data, (HOST4, 0)))
        elif way == "header6":
            if ethertype == 0x86dd: attempt(lambda: made.sendto(data, (HOST6, 0)))
        elif way == "cooked":
            attempt(lambda: made.sendto(data.ljust(46, b"\0"), ("eth0", ethertype, 0, 0, MAC)))
        elif way == "disguised": # what is beside the frame says something else
            attempt(lambda: made.sendto(frame(ethertype, data), ("eth0", 0x88b5, 0, 0, MAC)))
        elif way == "ring": # a new one each time: where the kernel goes on after a loss is its own
            fresh = ring_open()
            ring_send(fresh, frame(ethertype, data))
            rings.pop(fresh)
        else:
            attempt(lambda: made.sendto(frame(ethertype, data), ("eth0", 0)))
import mmap
rings = {}
def ring_open():
    made = packet(0)
    made.setsockopt(263, 13, struct.pack("=4I", 4096, 4, 2048, 8))
    made.bind(("eth0", 0))
    rings[made] = (mmap.mmap(made.fileno(), 16384), [0])
    return made
def ring_send(made, data):
    memory, at = rings[made]
    offset = at[0] % 8 * 2048
    at[0] += 1
    memory[offset + 32:offset + 32 + len(data)] = data
    memory[offset + 8:offset + 12] = struct.pack("=I", len(data))
    memory[offset:offset + 8] = struct.pack("=Q", 1)
    attempt(lambda: made.send(b""))
OPEN = {"header": lambda: socket(AF_INET, SOCK_RAW, IPPROTO_RAW), "header6": lambda: socket(AF_INET6, SOCK_RAW, IPPROTO_RAW),
        "frame": lambda: packet(0), "cooked": lambda: packet(0, SOCK_DGRAM), "disguised": lambda: packet(0), "ring": ring_open}
"""
    IN_HEADERS = {"udp in", "udp out", "tcp in", "tcp out", "icmp", "gre", "first fragment in",
                  "first fragment out", "later fragment"}

    def program(self, where, text):
        mac = where.macs()[0]
        values = "".join(f"{name} = {value!r}\n" for name, value in (
            ("OWN4", where.own4), ("HOST4", where.host4), ("OWN6", where.own6), ("HOST6", where.host6),
            ("MAC", bytes.fromhex(mac.replace(":", "")))))
        return values + self.PACKETS + text

    def arrived(self, tap, wait=0.2):
        found = []
        while select.select([tap], [], [], wait)[0]:
            data, origin = tap.recvfrom(65536)
            if origin[2] == socket.PACKET_OUTGOING:
                continue  # what the host answers quotes it
            found += [word.decode() for word in re.findall(rb"<([a-z0-9 ]+)>", data)]
        return found

    def tap(self, where):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind((where.link, 3))
        self.addCleanup(tap.close)
        return tap

    WAYS = "header", "header6", "frame", "cooked", "disguised", "ring"

    def test_root_of_the_host_sends_all_of_it(self):
        where = self.control()
        tap = self.tap(where)
        for way in self.WAYS:
            self.python(where, self.program(where, f"send({way!r})"))
            names = set(self.arrived(tap))
            if way.startswith("header"):
                self.assertGreaterEqual(len(names), 5, way)
            else:
                self.assertGreaterEqual(len(names), 21, (way, names))

    def test_each_grant_sends_its_own_by_every_way(self):
        where = self.served()
        tap = self.tap(where)
        opens = {"flags": SNIFF}  # lets packet sockets be opened, and nothing be sent
        cases = [({}, set()),
                 ({"udp": [(5000, 5010)]}, {"udp in", "udp6 in", "first fragment in", "first fragment6 in"}),
                 ({"tcp": [(7000, 7010)]}, {"tcp in"}),
                 ({"ipv4": [ICMP]}, {"icmp"}),
                 ({"ipv6": [ICMP6]}, {"icmp6"}),
                 ({"ipv4": [47]}, {"gre"}),
                 ({"ipv4": [UDP]}, {"udp in", "udp out", "first fragment in", "first fragment out",
                                    "later fragment", "short"}),
                 ({"ethertypes": [EXPERIMENT]}, {"experiment"}),
                 ({"ethertypes": [ARP]}, {"arp"}),
                 ({"ethertypes": [0x800]}, set())]
        for grants, allowed in cases:
            self.assertEqual(where.grant(**(opens | grants), ring=1 << 20)[0], 0)
            for way in self.WAYS:
                status, text = where.python(self.program(where, f"attempt(lambda: send({way!r}))"))
                found = set(self.arrived(tap))
                family = {"header": {0x800}, "header6": {0x86dd}}.get(way)
                if family is None:
                    self.assertEqual(found, allowed, (grants, way))
                else:
                    self.assertLessEqual(found, allowed, (grants, way))
                    expected = {name for name in allowed if name in self.IN_HEADERS} if way == "header" \
                        else {name for name in allowed if "6" in name and "fragment" not in name}
                    self.assertLessEqual(expected, found, (grants, way))

    def test_ordinary_sockets_are_not_judged(self):
        where = self.served(udp=[(5000, 5000)])
        tap = self.tap(where)
        self.python(where, f"socket(AF_INET, SOCK_DGRAM).sendto(b'<ordinary>', ({where.host4!r}, 9))")
        self.assertEqual(self.arrived(tap), ["ordinary"])

    def test_a_withdrawn_grant_ends_what_open_sockets_send(self):
        """Wherever they are, and while they send as fast as they can."""
        where = self.served(flags=SNIFF, udp=[(5000, 5010)], ring=1 << 20)
        tap = self.tap(where)
        for way in self.WAYS:
            self.assertEqual(where.grant(flags=SNIFF, udp=[(5000, 5010)], ring=1 << 20)[0], 0)
            program = where.start_python(self.program(where, f"""
made = OPEN[{way!r}]()
print("sending")
while True:
    for name in "udp in", "udp6 in":
        ethertype, data = PACKETS[name]
        if {way!r} == "header": attempt(lambda: made.sendto(PACKETS["udp in"][1], (HOST4, 0)))
        elif {way!r} == "header6": attempt(lambda: made.sendto(PACKETS["udp6 in"][1], (HOST6, 0)))
        elif {way!r} == "cooked": attempt(lambda: made.sendto(data, ("eth0", ethertype, 0, 0, MAC)))
        elif {way!r} == "ring": ring_send(made, frame(ethertype, data))
        else: attempt(lambda: made.sendto(frame(ethertype, data), ("eth0", 0x88b5)))
"""))
            self.assertEqual(program.line(), "sending")
            # Not `arrived`, which waits for silence.
            box.eventually(lambda: b"<udp" in tap.recv(65536))
            where.grant()
            tap.setblocking(False)
            box.drain(tap)
            time.sleep(0.3)
            left = box.drain(tap)
            tap.setblocking(True)
            self.assertEqual([data for data, origin in left if b"<udp" in data
                              and origin[2] != socket.PACKET_OUTGOING], [], way)
            os.kill(program.outer_pid(where), signal.SIGKILL)


class OwnFilter(Receives):
    OPENING = """socket(AF_INET, SOCK_RAW, IPPROTO_UDP)
attach(made, %s)
"""

    def test_it_narrows(self):
        # Destination port 5005 alone: half of the header of IPv4 without options.
        own = "(0x28, 0, 0, 22), (0x15, 0, 1, 5005), ACCEPT, REFUSE"
        send = lambda where: [send_udp(where, port, b"<%d>" % port) for port in (4000, 5004, 5005)]
        found = self.receives(self.served(udp=[(5000, 5010)]), self.OPENING % own, send)
        self.assertEqual([data[-6:] for data in found], [b"<5005>"])

    def test_it_cannot_widen(self):
        send = lambda where: [send_udp(where, port, b"<%d>" % port) for port in (4000, 5000)]
        where = self.served(udp=[(5000, 5010)])
        for own in "ACCEPT", "(0x28, 0, 0, 22), (0x15, 0, 1, 4000), ACCEPT, ACCEPT":
            found = self.receives(where, self.OPENING % own, send)
            self.assertEqual([data[-6:] for data in found], [b"<5000>"])
        detached = self.OPENING % "ACCEPT" + "made.setsockopt(SOL_SOCKET, 27, 0)"
        found = self.receives(where, detached, send)
        self.assertEqual([data[-6:] for data in found], [b"<5000>"])

    def test_it_cuts_as_it_says(self):
        found = self.receives(self.served(udp=[(5000, 5000)]), self.OPENING % "(0x06, 0, 0, 21)",
                              lambda where: send_udp(where, 5000, b"<5000>"))
        self.assertEqual([len(data) for data in found], [21])

    def test_it_begins_with_empty_registers(self):
        # Accepts what A + X + 26 says, in bytes.
        own = "(0x0c, 0, 0, 0), (0x04, 0, 0, 26), (0x16, 0, 0, 0)"
        found = self.receives(self.served(udp=[(5000, 5000)]), self.OPENING % own,
                              lambda where: send_udp(where, 5000, b"<5000>"))
        self.assertEqual([len(data) for data in found], [26])

    def test_errors_are_the_kernels(self):
        program = """
libc = ctypes.CDLL(None, use_errno=True)
made = socket(AF_INET, SOCK_RAW, 1)
def option(value, size=16, name=26, number=None):
    ctypes.set_errno(0)
    result = libc.setsockopt(made.fileno() if number is None else number, 1, name, value, size)
    return errno.errorcode.get(ctypes.get_errno(), "ok")
def filter(*lines):
    return sock_filter(*lines)
good, memory = filter(ACCEPT)
jumps, memory2 = filter((0x05, 0, 0, 7), ACCEPT)
unended, memory3 = filter((0x00, 0, 0, 1))
unknown, memory4 = filter((0x99, 0, 0, 0), ACCEPT)
reads, memory5 = filter((0x60, 0, 0, 3), (0x16, 0, 0, 0))
most, memory6 = filter(*[(0x00, 0, 0, 1)] * 3000, ACCEPT)
print(option(good), option(good, 15), option(good, 17), option(good, 3), option(ctypes.c_void_p(8)),
      option(struct.pack("@HP", 1, 8)), option(struct.pack("@HP", 0, 8)),
      option(struct.pack("@HP", 4097, 8)), option(struct.pack("@HP", 1, 0)), option(jumps),
      option(unended), option(unknown), option(reads), option(good, number=99), option(good, number=-1),
      option(good, number=os.open("/", 0)), option(most), option(good, name=27))
"""
        native = self.python(self.control(), program)
        self.assertEqual(native.split()[:4], ["ok", "EINVAL", "EINVAL", "EINVAL"])
        self.assertIn("EFAULT", native)
        self.assertIn("EBADF", native)
        self.assertIn("ENOTSOCK", native)
        self.assertEqual(self.python(self.served(ipv4=[ICMP]), program), native)

    def test_the_policy_cannot_be_locked_or_replaced(self):
        program = """
made = %s
print(attempt(lambda: made.setsockopt(SOL_SOCKET, 44, 1)), attempt(lambda: made.setsockopt(SOL_SOCKET, 50, 3)),
      attempt(lambda: made.setsockopt(SOL_SOCKET, SO_MARK, 1)),
      attempt(lambda: made.setsockopt(263, 18, 0)), attempt(lambda: made.setsockopt(263, 20, 1)),
      attempt(lambda: made.setsockopt(263, 15, 1)), attempt(lambda: made.setsockopt(263, 24, 12)))
"""
        where = self.served(flags=SNIFF, ipv4=[ICMP])
        self.assertEqual(self.python(where, program % "packet()"), " ".join(["EPERM"] * 7))
        self.assertEqual(self.python(where, program % "socket(AF_INET, SOCK_RAW, 1)"),
                         " ".join(["EPERM"] * 7))
        native = self.python(self.control(), program % "packet()")
        self.assertEqual(native.split()[0], "ok")
        self.assertIn("ok", native.split()[2:])

    def test_ordinary_sockets_keep_their_filters(self):
        program = """
made = socket(AF_INET, SOCK_DGRAM)
made.bind(("127.0.0.1", 7000))
made.setblocking(False)
def arrives():
    socket(AF_INET, SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 7000))
    return attempt(lambda: made.recv(9))
attach(made, REFUSE)
print(arrives())
attach(made, ACCEPT)
print(arrives(), attempt(lambda: made.setsockopt(SOL_SOCKET, 27, 0)),
      attempt(lambda: made.setsockopt(SOL_SOCKET, 27, 0)))
attach(made, REFUSE)
print(attempt(lambda: made.setsockopt(SOL_SOCKET, 44, 1)), attempt(lambda: attach(made, ACCEPT)),
      attempt(lambda: made.setsockopt(SOL_SOCKET, 44, 0)), arrives())
"""
        native = self.python(self.control(), program)
        self.assertEqual(native.split(), ["EAGAIN", "ok", "ok", "ENOENT", "ok", "EPERM", "EPERM", "EAGAIN"])
        self.assertEqual(self.python(self.served(), program), native)

    def test_threads_set_filters_of_their_own_sockets(self):
        """The number of a thread is not that of its process."""
        program = """
results = []
def work():
    made = socket(AF_INET, SOCK_RAW, 1)
    results.append(attempt(lambda: attach(made, ACCEPT)))
threads = [threading.Thread(target=work) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*results)
"""
        self.assertEqual(self.python(self.served(ipv4=[ICMP]), program), " ".join(["ok"] * 8))

    def test_a_process_that_nobody_may_trace_is_served(self):
        program = """
assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE
made = socket(AF_INET, SOCK_RAW, 1)
print(attempt(lambda: attach(made, ACCEPT)))
"""
        for user in None, UNPRIVILEGED:
            self.assertEqual(self.python(self.served(ipv4=[ICMP]), program, user=user), "ok")

    def test_a_filter_that_changes_while_it_is_read_gains_nothing(self):
        """Another thread rewrites length, pointer and instructions all the time."""
        where = self.served(udp=[(5000, 5010)])
        stop = threading.Event()

        def flood():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                while not stop.is_set():
                    for port in 4000, 5000:
                        sender.sendto(b"<%d>" % port, (where.own4, port))
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            text = self.python(where, """
libc = ctypes.CDLL(None)
code = ctypes.create_string_buffer(struct.pack("=HBBI", 0, 0, 0, 1) * 64 + struct.pack("=HBBI", *ACCEPT))
head = ctypes.create_string_buffer(struct.pack("@HP", 65, ctypes.addressof(code)))
over = False
def change():
    heads = [struct.pack("@HP", *pair) for pair in
             ((65, ctypes.addressof(code)), (1, ctypes.addressof(code)), (4096, 8), (1, ctypes.addressof(code) + 512))]
    while not over:
        for value in heads:
            ctypes.memmove(head, value, 16)
            ctypes.memmove(code, struct.pack("=HBBI", *ACCEPT), 8)
            ctypes.memmove(code, struct.pack("=HBBI", 5, 0, 0, 4000), 8)
thread = threading.Thread(target=change)
thread.start()
made = socket(AF_INET, SOCK_RAW, IPPROTO_UDP)
made.setblocking(False)
results, ports = {}, {}
for i in range(3000):
    result = libc.setsockopt(made.fileno(), 1, 26, head, 16)
    results[result] = results.get(result, 0) + 1
    try:
        while True:
            port, = struct.unpack_from("!H", made.recv(65536).ljust(64, b"\\0"), 22)
            ports[port] = ports.get(port, 0) + 1
    except BlockingIOError:
        pass
over = True
thread.join()
print(results, ports, sep="|")
""")
        finally:
            stop.set()
            thread.join()
        results, ports = map(eval, text.split("|"))
        self.assertGreater(results.get(0, 0), 50, "no filter was ever taken")
        self.assertGreater(results.get(-1, 0), 50, "it never changed in time")
        self.assertEqual(set(ports), {5000})


class Rings(BrokerTest):
    PROGRAM = """
import mmap
def ring(made, blocks, option=5, size=65536):
    frames = blocks * size // 2048
    return attempt(lambda: made.setsockopt(263, option, struct.pack("=4I", size, blocks, 2048, frames)))
"""

    def test_a_bound_for_all_together(self):
        program = self.PROGRAM + """
one, two = packet(), packet()
print(ring(one, 17), ring(one, 0), ring(one, 16), ring(two, 1), ring(two, 0), ring(one, 0),
      ring(two, 8), ring(two, 8, 13), ring(one, 1), ring(one, 0))
two.close()
print(ring(one, 16))
"""
        where = self.served(flags=SNIFF, ring=1 << 20)
        self.assertEqual(self.python(where, program),
                         "ENOMEM ok ok ENOMEM ok ok ok ok ENOMEM ok\nok")
        self.assertEqual(set(self.python(self.control(), program).split()), {"ok"})

    def test_without_an_allowance_there_are_none(self):
        program = self.PROGRAM + "made = packet()\nprint(ring(made, 1), ring(made, 0))"
        self.assertEqual(self.python(self.served(flags=SNIFF), program), "ENOMEM ok")

    def test_one_that_is_mapped_counts_after_its_descriptor_is_closed(self):
        program = self.PROGRAM + """
one, two = packet(), packet()
print(ring(one, 16))
area = mmap.mmap(one.fileno(), 1 << 20)
one.close()
print(ring(two, 1))
area.close()
print(ring(two, 16))
"""
        # Python's mapping holds a descriptor of its own, which must go too.
        program = program.replace("area = mmap.mmap(one.fileno(), 1 << 20)", """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
area = libc.mmap(None, 1 << 20, 3, 1, one.fileno(), 0)
assert area != 2 ** 64 - 1
""").replace("area.close()", "libc.munmap(ctypes.c_void_p(area), ctypes.c_size_t(1 << 20))")
        self.assertEqual(self.python(self.served(flags=SNIFF, ring=1 << 20), program), "ok\nENOMEM\nok")

    def test_many_small_ones(self):
        program = self.PROGRAM + """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
made = [packet(0) for i in range(250)]
results = [ring(one, 1) for one in made]
print(results.count("ok"), results.count("ENOMEM"))
"""
        self.assertEqual(self.python(self.served(flags=SNIFF, ring=100 * 65536), program), "100 150")

    def test_a_request_that_changes_while_it_is_read_gains_nothing(self):
        program = self.PROGRAM + """
libc = ctypes.CDLL(None)
small, large = struct.pack("=4I", 65536, 1, 2048, 32), struct.pack("=4I", 65536, 64, 2048, 2048)
request = ctypes.create_string_buffer(small)
none = ctypes.create_string_buffer(16)
over = False
def change():
    while not over:
        ctypes.memmove(request, large, 16)
        ctypes.memmove(request, small, 16)
thread = threading.Thread(target=change)
thread.start()
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
made = packet(0)
results = {}
for i in range(200):
    result = libc.setsockopt(made.fileno(), 263, 5, request, 16)
    # Only the true size can be mapped (packet_mmap()).
    if result == 0 and libc.mmap(None, 64 * 65536, 3, 1, made.fileno(), 0) != 2 ** 64 - 1:
        result = "large"
    results[result] = results.get(result, 0) + 1
    libc.setsockopt(made.fileno(), 263, 5, none, 16)
over = True
thread.join()
print(results)
"""
        results = eval(self.python(self.served(flags=SNIFF, ring=65536), program))
        self.assertEqual(set(results), {0, -1}, "small ones taken, large ones refused")


class Withdrawing(BrokerTest):
    LISTEN = """
made = %s
print("open")
for line in sys.stdin:
    print(len(received(made)))
"""

    def listening(self, where, opening):
        program = where.start_python(self.LISTEN % opening)
        self.assertEqual(program.line(), "open")
        return program

    def hears(self, program):
        program.send("\n")
        return int(program.line())

    def stimulate(self, where):
        """One of each kind of what the sockets below receive."""
        send_udp(where, 5000)
        send_udp(where, 5000, six=True)
        send_frame(where, EXPERIMENT, b"x")
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, ICMP) as sender:
            echo = struct.pack("!BBHHH", 8, 0, 0, 7, 1)
            total = sum(struct.unpack("!4H", echo))
            sender.sendto(echo[:2] + struct.pack("!H", ~total & 0xffff) + echo[4:], (where.own4, 0))

    KINDS = {"icmp": ("socket(AF_INET, SOCK_RAW, 1)", {"ipv4": [ICMP]}),
             "udp": ("socket(AF_INET, SOCK_RAW, 17)", {"udp": [(5000, 5010)]}),
             "udp6": ("socket(AF_INET6, SOCK_RAW, 17)", {"udp": [(5000, 5010)]}),
             "ethertype": ("packet(0x88b5)", {"ethertypes": [EXPERIMENT]}),
             "own filter": ("socket(AF_INET, SOCK_RAW, 1)\nattach(made, ACCEPT)", {"ipv4": [ICMP]}),
             "sniff": ("packet()", {"flags": SNIFF})}

    def test_a_withdrawn_grant_silences_what_is_open_and_nothing_else(self):
        everything = {key: value for _, grants in self.KINDS.values() for key, value in grants.items()}
        for name, (_, grants) in self.KINDS.items():
            if name == "sniff":
                continue
            with self.subTest(name):
                where = self.served(**{k: v for k, v in everything.items() if k != "flags"})
                programs = {other: self.listening(where, opening)
                            for other, (opening, _) in self.KINDS.items() if other != "sniff"}
                self.stimulate(where)
                self.assertEqual([other for other, program in programs.items()
                                  if self.hears(program) == 0], [])
                left = {k: v for k, v in everything.items() if k != "flags" and k not in grants}
                gone = [other for other, (_, what) in self.KINDS.items() if what == grants]
                self.assertEqual(where.grant(**left), (0, len(gone), 0))
                self.stimulate(where)
                self.assertEqual([other for other, program in programs.items()
                                  if self.hears(program) == 0], gone)

    def test_sniffing_ends(self):
        where = self.served(flags=SNIFF, ipv4=[ICMP])
        program = self.listening(where, "packet()")
        self.stimulate(where)
        self.assertGreater(self.hears(program), 0)
        self.assertEqual(where.grant(ipv4=[ICMP]), (0, 1, 0))
        self.stimulate(where)
        self.assertEqual(self.hears(program), 0)

    def test_what_was_taken_out_of_use_stays_so(self):
        where = self.served(ipv4=[ICMP])
        program = where.start_python("""
made = socket(AF_INET, SOCK_RAW, 1)
print("open")
for line in sys.stdin:
    print(len(received(made)), attempt(lambda: attach(made, ACCEPT)), attempt(lambda: made.setsockopt(1, 27, 0)))
""")
        self.assertEqual(program.line(), "open")
        self.assertEqual(where.grant(), (0, 1, 0))
        self.assertEqual(where.grant(ipv4=[ICMP]), (0, 0, 0))
        self.stimulate(where)
        program.send("\n")
        self.assertEqual(program.line(), "0 EPERM EPERM")
        fresh = self.listening(where, "socket(AF_INET, SOCK_RAW, 1)")
        self.stimulate(where)
        self.assertGreater(self.hears(fresh), 0)

    def test_a_narrower_range_ends_what_had_the_wider(self):
        where = self.served(udp=[(5000, 5010)])
        program = self.listening(where, "socket(AF_INET, SOCK_RAW, 17)")
        self.assertEqual(where.grant(udp=[(5000, 5004), (5005, 6000)]), (0, 0, 0), "it was widened")
        self.stimulate(where)
        self.assertEqual(self.hears(program), 1)
        self.assertEqual(where.grant(udp=[(5000, 5009)])[:2], (0, 1))
        self.stimulate(where)
        self.assertEqual(self.hears(program), 0)

    def test_wherever_a_socket_is(self):
        """In children, threads with descriptors of their own, at a high number, with other users."""
        where = self.served(ipv4=[ICMP])
        program = where.start_python("""
libc = ctypes.CDLL(None)
def child(work):
    if os.fork() == 0:
        work()
        os.write(1, b"ready\\n")
        time.sleep(1000)
def user():
    os.setresuid(1000, 1000, 1000)
    globals()["a"] = socket(AF_INET, SOCK_RAW, 1)
def high():
    made = socket(AF_INET, SOCK_RAW, 1)
    os.dup2(made.fileno(), 900)
    made.close()
def threaded():
    def work():
        assert libc.unshare(0x400) == 0
        globals()["b"] = socket(AF_INET, SOCK_RAW, 1)
        os.write(1, b"ready\\n")
        time.sleep(1000)
    threading.Thread(target=work).start()
child(user); child(high); child(threaded)
time.sleep(1000)
""")
        self.assertEqual([program.line() for _ in range(4)], ["ready"] * 4)
        if self.knows_threads():
            self.assertEqual(where.grant(), (0, 3, 0))
        else:
            self.assertEqual(where.grant(), (16, 2, 1), "what can't be reached is told")

    def knows_threads(self):
        """Whether this kernel has descriptors of threads (Linux 6.9)."""
        try:
            found = []
            thread = threading.Thread(target=lambda: found.append(
                box.syscall(434, threading.get_native_id(), os.O_EXCL)))
            thread.start()
            thread.join()
            return bool(found) and os.close(found[0]) is None
        except OSError:
            return False

    def test_one_that_is_handed_round_is_found(self):
        where = self.served(ipv4=[ICMP])
        program = where.start_python("""
import array
one, two = socketpair(AF_UNIX, SOCK_DGRAM)
made = socket(AF_INET, SOCK_RAW, 1)
if os.fork() != 0:
    send_fds(one, [b"x"], [made.fileno()])
    print("going")
made.close()
while True:
    data, found, _, _ = recv_fds(two, 9, 1)
    time.sleep(0.002)
    send_fds(one, [b"x"], found)
    for number in found: os.close(number)
""")
        self.assertEqual(program.line(), "going")
        error, closed, hidden = where.grant()
        self.assertTrue((error, hidden) == (0, 0) and closed >= 1 or (error, hidden) == (16, 1),
                        (error, closed, hidden))

    def test_one_on_its_way_is_told(self):
        """In a Unix socket's queue no process has it open."""
        where = self.served(ipv4=[ICMP])
        program = where.start_python("""
one, two = socketpair(AF_UNIX, SOCK_DGRAM)
made = socket(AF_INET, SOCK_RAW, 1)
send_fds(one, [b"x"], [made.fileno()])
made.close()
print("away")
sys.stdin.readline()
data, found, _, _ = recv_fds(two, 9, 1)
made = socket(fileno=found[0])
print("back")
for line in sys.stdin: print(len(received(made)), attempt(lambda: attach(made, ACCEPT)))
""")
        self.assertEqual(program.line(), "away")
        self.assertEqual(where.grant(), (16, 0, 1))
        # What was given up for lost is not trusted again, not even by the grant that allowed it.
        program.send("\n")
        self.assertEqual(program.line(), "back")
        self.assertEqual(where.grant(ipv4=[ICMP]), (0, 1, 0))
        self.stimulate(where)
        program.send("\n")
        self.assertEqual(program.line(), "0 EPERM")

    def test_one_that_is_only_mapped_is_told(self):
        where = self.served(flags=SNIFF, ring=1 << 20)
        program = where.start_python("""
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
made = packet()
made.setsockopt(263, 5, struct.pack("=4I", 65536, 16, 2048, 512))
assert libc.mmap(None, 1 << 20, 3, 1, made.fileno(), 0) != 2 ** 64 - 1
made.close()
print("mapped")
time.sleep(1000)
""")
        self.assertEqual(program.line(), "mapped")
        self.assertEqual(where.grant(), (16, 0, 1))


    def test_a_slice_too_large_to_search_is_told(self):
        """A socket that is hidden, and very many places where it could be."""
        where = self.served(ipv4=[ICMP])
        program = where.start_python("""
one, two = socketpair(AF_UNIX, SOCK_DGRAM)
made = socket(AF_INET, SOCK_RAW, 1)
send_fds(one, [b"x"], [made.fileno()])
made.close()
import resource
os.dup2(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1)
for i in range(600):
    if os.fork() == 0: signal.pause()
print("away")
signal.pause()
""")
        self.assertEqual(program.line(), "away")
        self.assertEqual(where.grant(), (errno.ETIMEDOUT, 0, 0))


class Listeners(BrokerTest):
    ASK = """
input()
made = []
print(attempt(lambda: made.append(socket(AF_INET, SOCK_RAW, 1))), flush=True)
input()
"""

    def open_files(self, where):
        return len(os.listdir(f"/proc/{where.broker_pid()}/fd"))

    def test_a_command_that_enters_is_served_by_a_listener_of_its_own(self):
        where = self.served(ipv4=[ICMP])
        before = self.open_files(where)
        process, listener = where.enter(PYTHON, "-S", "-c", box.PRELUDE + self.ASK)
        self.assertEqual(where.listen(listener), (0, 0, 0))
        os.close(listener)
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "ok\n")
        # A grant holds for the slice, however a process came into it.
        self.assertEqual(where.grant(), (0, 1, 0))
        self.assertEqual(self.open_files(where), before + 1)
        self.assertEqual(process.communicate("\n")[0], "")
        self.assertEqual(process.returncode, 0)
        box.eventually(lambda: self.open_files(where) == before)
        self.assertEqual(where.grant(ipv4=[ICMP]), (0, 0, 0))
        self.assertEqual(self.python(where, "print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))"), "ok")

    def test_what_is_no_listener_or_one_too_many_is_refused(self):
        where = self.served(ipv4=[ICMP])
        before = self.open_files(where)
        for wrong in ([where.processes], [where.control.fileno()], [], [where.listener] * 2):
            found = where.listen(*wrong)
            if len(wrong) == 2:  # one is taken
                self.assertEqual(found, (0, 0, 0))
            else:
                self.assertEqual(found, (errno.EINVAL, 0, 0))
        self.assertEqual(where.command(struct.pack("=II", box.GRANT, 0) + box.grants(), where.listener),
                         (errno.EINVAL, 0, 0))
        self.assertEqual(self.open_files(where), before + 1)
        found = [where.listen(where.listener)[0] for _ in range(256)]
        self.assertEqual(found, [0] * 254 + [errno.EMFILE] * 2)
        self.assertEqual(self.python(where, "print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))"), "ok")


class Failing(BrokerTest):
    def test_many_threads_at_once(self):
        where = self.served(flags=SNIFF, ipv4=[ICMP])
        text = self.python(where, """
results = {}
lock = threading.Lock()
def work(number):
    for i in range(50):
        result = attempt(lambda: socket(AF_INET, SOCK_RAW, 1) if (number + i) % 8 else packet(0))
        with lock:
            results[result] = results.get(result, 0) + 1
threads = [threading.Thread(target=work, args=[number]) for number in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(results, len(os.listdir("/proc/self/fd")) < 10)
""")
        self.assertEqual(text, "{'ok': 3200} True")

    def test_signals_leave_no_stray_descriptors(self):
        where = self.served(ipv4=[ICMP])
        text = self.python(where, """
caught = 0
def catch(*_):
    global caught
    caught += 1
signal.signal(signal.SIGALRM, catch)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
results = [attempt(lambda: socket(AF_INET, SOCK_RAW, 1)) for i in range(5000)]
signal.setitimer(signal.ITIMER_REAL, 0)
print("ok" in results, set(results) <= {"ok", "EINTR"}, caught > 100, len(os.listdir("/proc/self/fd")) < 10)
""")
        # Until the broker has taken the call a signal can interrupt it; without SA_RESTART, as
        # Python's handlers are, that shows.
        self.assertEqual(text, "True True True True")

    def test_nonsense_is_survived(self):
        """Any arguments, from many threads, with descriptors of every kind."""
        where = self.served(flags=SNIFF, ipv4=[ICMP], ring=1 << 20)
        text = self.python(where, """
import mmap, random
libc = ctypes.CDLL(None)
libc.syscall.argtypes = [ctypes.c_long] * 7
memory = ctypes.create_string_buffer(4096)
address = ctypes.addressof(memory)
kinds = [socket(AF_INET, SOCK_RAW, 1), packet(0), socket(AF_INET, SOCK_DGRAM), socket(AF_UNIX),
         open("/proc/self/maps"), open("/dev/null")]
numbers = [kind.fileno() for kind in kinds] + [-1, 77, 2 ** 31, 2 ** 32 + 1]
numbers.append(os.pipe()[0])
def work(seed):
    chance = random.Random(seed)
    pick = chance.choice
    for i in range(1500):
        for at in range(0, 64, 8):
            memory[at:at + 8] = struct.pack("=Q", pick([0, 1, 16, 4096, 65536, address, 8, 2 ** 64 - 1, chance.getrandbits(64)]))
        pointer = pick([address, address + 8, address + 4090, 0, 8, 2 ** 64 - 8, 2 ** 47])
        pointer -= 2 ** 64 if pointer >= 2 ** 63 else 0
        length = pick([0, 1, 4, 15, 16, 17, 28, 2 ** 31 - 1, -1, 2 ** 32 + 16])
        level, option = pick([(1, 26), (1, 27), (1, 44), (263, 5), (263, 13), (1 + 2 ** 32, 26), (1, 26 + 2 ** 32)])
        libc.syscall(54, pick(numbers), level, option, pointer, length, 0)
        made = libc.syscall(41, pick([2, 10, 17, 2 + 2 ** 32]), pick([3, 3 | 2 ** 32, 3 | 0x80000, 7, 0x103]),
                            pick([1, 3, 0x300, 255, -1, 2 ** 31]), 0, 0, 0)
        if made >= 0: os.close(made)
threads = [threading.Thread(target=work, args=[seed]) for seed in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("done")
""")
        self.assertEqual(text, "done")
        where.events()
        self.assertEqual(self.python(where, "print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))"), "ok")
        self.assertEqual(where.grant()[0], 0)

    def test_killed_callers_are_no_trouble(self):
        where = self.served(ipv4=[ICMP])
        self.python(where, """
for i in range(300):
    child = os.fork()
    if child == 0:
        while True: socket(AF_INET, SOCK_RAW, 1).close()
    time.sleep(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
""")
        self.assertEqual(self.python(where, "print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))"), "ok")

    def test_when_it_is_killed_and_nobody_holds_the_listener_calls_fail_and_the_rest_works(self):
        where = self.served(ipv4=[ICMP])
        os.close(where.listener)
        where.listener = -1
        program = """
print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)), attempt(lambda: socket(AF_INET, SOCK_DGRAM)),
      attempt(lambda: open("/proc/self/stat").read(1)))
"""
        where.run(PYTHON, "-c", "pass")
        waiting = where.start_python(program)
        self.assertEqual(waiting.wait(), (0, "ok ok ok\n"))
        where.kill_broker()
        waiting = where.start_python("print('asking')\n" + program)
        self.assertEqual(waiting.line(), "asking")
        with self.assertRaises(AssertionError):
            waiting.line(timeout=0.3)  # the first process holds it: somebody may still come
        os.kill(where.pid, signal.SIGKILL)

    def test_when_it_returns_calls_go_on_and_open_sockets_never_stopped(self):
        where = self.served(ipv4=[ICMP])
        listening = where.start_python("""
made = socket(AF_INET, SOCK_RAW, 1)
print("open")
for line in sys.stdin: print(len(received(made)))
""")
        self.assertEqual(listening.line(), "open")
        where.kill_broker()
        waiting = where.start_python("print('asking')\nprint(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))")
        self.assertEqual(waiting.line(), "asking")
        self.assertEqual(self.python(where, "print(attempt(lambda: socket(AF_INET, SOCK_DGRAM)))"), "ok")
        self.assertEqual(where.start_broker(), b"")
        self.assertEqual(waiting.line(), "ok", "the grants outlive the broker")
        Withdrawing.stimulate(self, where)
        listening.send("\n")
        self.assertGreater(int(listening.line()), 0)
        # And the new one can take away what the old one gave.
        self.assertEqual(where.grant(), (0, 1, 0))

    def test_a_call_that_was_being_answered_when_it_was_killed_fails(self):
        where = self.box()
        program = where.start_python("print(attempt(lambda: socket(AF_INET, SOCK_RAW, 1)))")
        # Here the test is the broker that dies between receiving and answering.
        notification = ctypes.create_string_buffer(80)
        box.check(box.libc.ioctl(where.listener, ctypes.c_ulong(0xc0502100), notification))
        where.write_state(0, notification.raw[:8])
        where.start_broker()
        self.assertEqual(program.line(), "ENOBUFS")
        program.wait()

    def test_so_does_one_of_a_command_that_entered_once_its_listener_is_there(self):
        where = self.box()
        program, listener = where.enter(
            PYTHON, "-c", "from socket import *; import errno\n"
            "try: socket(AF_INET, SOCK_RAW, 1); print('ok')\n"
            "except OSError as error: print(errno.errorcode[error.errno])")
        notification = ctypes.create_string_buffer(80)
        box.check(box.libc.ioctl(listener, ctypes.c_ulong(0xc0502100), notification))
        where.write_state(0, notification.raw[:8])
        where.start_broker()
        self.assertEqual(where.listen(listener), (0, 0, 0))
        self.assertEqual(program.communicate(timeout=10)[0], "ENOBUFS\n")
        os.close(listener)

    def test_between_two_grants_it_trusts_no_socket(self):
        """Killed while it looked for sockets: the next one ends all that are open."""
        where = self.served(ipv4=[ICMP], udp=[(5000, 5000)])
        listening = where.start_python("""
made = socket(AF_INET, SOCK_RAW, 1)
print("open")
for line in sys.stdin: print(len(received(made)))
""")
        self.assertEqual(listening.line(), "open")
        where.kill_broker()
        where.write_state(8, struct.pack("=I", 1))
        where.start_broker()
        self.assertEqual(where.grant(ipv4=[ICMP], udp=[(5000, 5000)]), (0, 1, 0))
        Withdrawing.stimulate(self, where)
        listening.send("\n")
        self.assertEqual(listening.line(), "0")

    def test_it_ends_with_the_slice(self):
        where = self.served(ipv4=[ICMP])
        os.kill(where.pid, signal.SIGKILL)
        where.process.wait()
        self.assertIn(where.broker.wait(10), (0, 247))  # by itself, or with the PID namespace

    def test_a_program_that_traces_its_children(self):
        where = self.served(ipv4=[ICMP])
        code, text = where.run("strace", "-f", "-e", "trace=socket,setsockopt", "ping", "-c1", "-W2", where.host4)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"socket\(AF_INET, SOCK_RAW, IPPROTO_ICMP\) = \d")
        self.assertIn("1 received", text)

    def test_what_is_wrong_at_its_start_is_reported(self):
        where = self.box()
        with tempfile.TemporaryFile() as file:
            file.truncate(box.STATE_SIZE)
            for wrong in ({"listener": where.processes}, {"listener": where.state},
                          {"state": file.fileno()}):
                stage, _, error, _ = struct.unpack("=IIiI", where.start_broker(**wrong))
                self.assertEqual((stage, error), (32, errno.EINVAL), wrong)
                self.assertEqual(where.broker.wait(10), 125)


class Confined(BrokerTest):
    def test_what_it_has(self):
        where = self.served(ipv4=[ICMP])
        pid = where.broker_pid()
        status = dict(line.split(":\t", 1) for line in box.read_text(f"/proc/{pid}/status").splitlines()
                      if ":\t" in line)
        kept = f"{1 << 13 | 1 << 14:016x}"  # CAP_NET_RAW, CAP_IPC_LOCK
        self.assertEqual((status["CapPrm"], status["CapEff"]), (kept, kept))
        for name in "CapInh", "CapBnd", "CapAmb":
            self.assertEqual(status[name], "0" * 16)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertEqual(os.listdir(f"/proc/{pid}/root/"), [])
        self.assertLess(len(os.listdir(f"/proc/{pid}/fd")), 12)
        self.assertLess(int(status["VmRSS"].split()[0]), 400)

    def test_the_slice_sees_it_and_no_more(self):
        """Its PID namespace is the slice's, so that it can look into no other."""
        where = self.served(ipv4=[ICMP])
        text = self.python(where, """
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), result)
found = [int(name) for name in os.listdir("/proc") if name.isdigit()
         and open(f"/proc/{name}/comm").read() == "slice-broker\\n"]
pid, = found
pidfd = call(434, pid, 0)
print(attempt(lambda: os.kill(pid, 9)), attempt(lambda: os.listdir(f"/proc/{pid}/fd")),
      attempt(lambda: open(f"/proc/{pid}/maps").read()), attempt(lambda: open(f"/proc/{pid}/mem", "r+b")),
      attempt(lambda: os.listdir(f"/proc/{pid}/root/")), call(101, 16, pid, 0, 0), call(438, pidfd, 3, 0),
      attempt(lambda: os.setpriority(0, pid, 10)), attempt(lambda: os.sched_setaffinity(pid, [0])))
""")
        self.assertEqual(set(text.split()), {"EPERM", "EACCES"})

    def test_a_second_listener_is_refused(self):
        where = self.served(ipv4=[ICMP])
        text = self.python(where, """
libc = ctypes.CDLL(None, use_errno=True)
data, memory = sock_filter((0x06, 0, 0, 0x7fc00000))
program = ctypes.create_string_buffer(data)
print(libc.syscall(317, 1, 8, program), errno.errorcode[ctypes.get_errno()])
""")
        self.assertEqual(text, "-1 EBUSY")


def main():
    if os.geteuid() != 0:
        sys.exit("needs root: it makes namespaces")
    box.own_network()
    program = unittest.main(exit=False, verbosity=1)
    result = program.result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, "
          f"{len(result.skipped)} skipped")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
