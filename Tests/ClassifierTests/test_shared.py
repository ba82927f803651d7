#!/usr/bin/env python3
"""Tests of slices that share the node's address (CShims/classifier/shared.h): two of them, their host
and the world, as network namespaces with real sockets, without a supervisor. As root."""

import contextlib
import ctypes as c
import errno
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import time
import traceback

import test_classifier as base
from packets import *

sys.path.insert(0, str(base.ROOT / "Tests" / "NetlinkTests"))
import test_netlink as net  # noqa: E402

NODE4, NODE6 = "203.0.113.2", "2001:db8:113::2"
ROUTER4, ROUTER6 = "203.0.113.1", "2001:db8:113::1"
WORLD4, WORLD6 = "198.51.100.1", "2001:db8:51::1"
SITE4 = "10.1.2.3"
BOTH = ((socket.AF_INET, NODE4, WORLD4), (socket.AF_INET6, NODE6, WORLD6))
BLOCK = 64
MORE = 0x2000


class Ports(c.Structure):
    _fields_ = [("first", c.c_uint16), ("last", c.c_uint16)]


class Slice:
    """A slice of a number: its namespace, link, and a block of ports."""

    def __init__(self, number):
        self.number, self.first = number, 20000 + BLOCK * number
        self.mac = b"\x02sl" + number.to_bytes(3, "big")
        self.namespace = net.Namespace()
        net.call("cnl_namespace_create", -1, c.c_bool(True), c.byref(self.namespace))
        self.netns = self.namespace.netns
        programs = net.Programs(*(getattr(base.shim, "ccl_" + name)(box) for name, _ in net.Programs._fields_))
        link = net.link(number)
        link.ipv4.slice, link.ipv6.slice = net.octets(NODE4), net.octets(NODE6)
        link.host_mac = (c.c_uint8 * 6)(*HOST_MAC)
        link.classifier, link.shared = c.pointer(programs), True
        index = c.c_int()
        net.call("cnl_link_create", net.context, c.byref(self.namespace), c.byref(link), c.byref(index))
        self.link = index.value
        cookie = c.c_uint64()
        net.call("cnl_namespace_cookie", c.byref(self.namespace), c.byref(cookie))
        net.call("cnl_namespace_set_ports", self.netns, c.c_uint16(self.first),
                 c.c_uint16(self.first + BLOCK - 1), b"")
        base.call("ccl_admit", box, c.c_uint32(self.link), c.byref(base.Slice(
            (c.c_uint8 * 6)(*self.mac), (c.c_uint8 * 6)(*HOST_MAC), 1000, 0, True, True, cookie.value,
            base.mapped(NODE4), base.mapped(net.GATEWAY4), base.mapped(NODE6), base.mapped(net.GATEWAY6))))
        self.give((self.first, self.first + BLOCK - 1))

    def give(self, *ranges):
        base.call("ccl_set_ports", box, c.c_uint32(self.link), (Ports * len(ranges))(*ranges),
                  c.c_size_t(len(ranges)))

    def drops(self, reason):
        count = base.shim.ccl_reasons()
        packets, size = (c.c_uint64 * count)(), (c.c_uint64 * count)()
        base.call("ccl_drops", box, c.c_uint32(self.link), packets, size)
        names = [base.shim.ccl_reason_name(i).decode() for i in range(count)]
        return packets[names.index(reason)]


box = c.c_void_p()
host, world = -1, -1
one = two = None


# --- Sockets, each in the namespace where it was made

@contextlib.contextmanager
def at(netns):
    assert net.libc.setns(netns, net.CLONE_NEWNET) == 0
    try:
        yield
    finally:
        assert net.libc.setns(host, net.CLONE_NEWNET) == 0


def made(place, family, kind, address=None, port=None, protocol=0):
    netns = place.netns if isinstance(place, Slice) else place
    with at(netns):
        made = socket.socket(family, kind, protocol)
        made.settimeout(3)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
    return made


def udp_socket(place, family, port=0):
    return made(place, family, socket.SOCK_DGRAM, port=port)


def listener(place, family, port):
    made_one = made(place, family, socket.SOCK_STREAM, port=port)
    made_one.listen()
    return made_one


def connected(place, family, address, port, own_port=None):
    made_one = made(place, family, socket.SOCK_STREAM, port=own_port)
    made_one.connect((address, port))
    return made_one


def raw(place, device):
    """Sends and receives frames."""
    netns = place.netns if isinstance(place, Slice) else place
    with at(netns):
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sniffer.bind((device, 0))
    return sniffer


def frames_of(sniffer, seconds=0.3):
    """What comes in for some time, without what the socket's own host has sent."""
    found, end = [], time.monotonic() + seconds
    while select.select([sniffer], [], [], max(0, end - time.monotonic()))[0]:
        frame, (_, _, direction, _, _) = sniffer.recvfrom(65536)
        if direction != 4:  # PACKET_OUTGOING
            found.append(frame)
    return found


def silent(receiver, seconds=0.3):
    return not select.select([receiver], [], [], seconds)[0]


# --- The scene

def make_scene():
    global host, world, one, two
    assert net.libc.unshare(net.CLONE_NEWNET) == 0
    host = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    base.shim, net.shim = base.load_shim(), net.load_shim()
    world_namespace = net.Namespace()
    net.call("cnl_namespace_create", -1, c.c_bool(True), c.byref(world_namespace))
    world = world_namespace.netns
    for line in f"""
        link set lo up
        link add up0 type veth peer name up1
        address add {NODE4}/24 dev up0
        address add {NODE6}/64 dev up0 nodad
        link set up1 netns /proc/self/fd/{world}
        link set up0 up""".strip().splitlines():
        subprocess.run(["ip", *line.split()], check=True, pass_fds=[world])
    with at(world):
        base.ip(f"address add {ROUTER4}/24 dev up1", f"address add {ROUTER6}/64 dev up1 nodad",
                f"address add {WORLD4}/32 dev lo", f"address add {WORLD6}/128 dev lo nodad",
                f"address add {SITE4}/32 dev lo", "link set up1 up")
    base.ip(f"route add default via {ROUTER4}", f"route add default via {ROUTER6}")
    pathlib.Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 4294967294")
    net.call("cnl_open", c.byref(net.context))
    previous = net.Forwarding()
    net.call("cnl_forwarding_enable", net.context, c.c_bool(True), c.byref(previous))
    for pool in net.both_pools():
        net.call("cnl_pool_install", net.context, c.byref(pool))
    base.call("ccl_open", base.OBJECT.encode(), None, c.c_size_t(0), c.byref(box))
    base.call("ccl_set_network", box, base.mapped("10.0.0.0"), c.c_uint32(96 + 8), c.c_bool(False))
    programs = net.Programs(*(getattr(base.shim, "ccl_" + name)(box) for name, _ in net.Programs._fields_))
    net.call("cnl_uplink_attach", net.context, socket.if_nametoindex("up0"), c.byref(programs))
    one, two = Slice(1), Slice(2)


# --- Tests

def test_all_serve_on_one_address():
    for family, node, _ in BOTH:
        servers = [(listener(place, family, port), port) for place, port in
                   ((one, one.first), (two, two.first), (host, 22))]
        clients = [connected(world, family, node, port) for _, port in servers]
        for number, ((server, _), client) in enumerate(zip(servers, clients)):
            accepted, _ = server.accept()
            accepted.sendall(b"%d" % number)
            assert client.recv(9) == b"%d" % number


def test_all_connect_from_one_address():
    for family, node, there in BOTH:
        server = listener(world, family, 80)
        for place in one, two, host:
            client = connected(place, family, there, 80)
            accepted, (address, port, *_) = server.accept()
            assert address == node, address
            if isinstance(place, Slice):
                assert place.first <= port < place.first + BLOCK, port
            accepted.sendall(b"hello")
            assert client.recv(9) == b"hello"


def test_datagrams_find_their_slice():
    for family, node, there in BOTH:
        far = udp_socket(world, family, 53)
        near = [udp_socket(place, family) for place in (one, two, host)]
        for number, sender in enumerate(near):
            sender.sendto(b"%d" % number, (there, 53))
            question, asker = far.recvfrom(99)
            assert question == b"%d" % number and asker[0] == node
            far.sendto(b"answer %d" % number, asker)
        for number, receiver in enumerate(near):
            assert receiver.recv(99) == b"answer %d" % number
        assert all(silent(receiver, 0) for receiver in near)


def echo(family, identifier=0, size=8):
    kind = 8 if family == socket.AF_INET else 128
    return icmp(kind, identifier=identifier, body=b"x" * size)


def ping_socket(place, family):
    return made(place, family, socket.SOCK_DGRAM,
                protocol=socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6)


def test_pings_are_answered_with_the_identifiers_that_were_chosen():
    for family, _, there in BOTH:
        pings = [(place, ping_socket(place, family)) for place in (one, two, host, one)]
        sniffer = raw(world, "up1")
        for number, (place, ping) in enumerate(pings):
            ping.sendto(echo(family, size=20 + number), (there, 0))
        for number, (place, ping) in enumerate(pings):
            answer = ping.recv(999)
            assert len(answer) == 28 + number and answer[0] in (0, 129)
            assert struct.unpack("!H", answer[4:6])[0] == ping.getsockname()[1]
            assert silent(ping, 0)
        left = 34 if family == socket.AF_INET else 54
        identifiers = [struct.unpack("!H", frame[left + 4:left + 6])[0] for frame in frames_of(sniffer)
                       if frame[left] in (8, 128)]
        assert len(set(identifiers)) == 4, identifiers
        for identifier, (place, _) in zip(identifiers, pings):
            if isinstance(place, Slice):
                assert place.first <= identifier < place.first + BLOCK, identifier


def test_large_pings_and_datagrams_go_in_fragments():
    for family, node, there in BOTH:
        ping = ping_socket(one, family)
        ping.sendto(echo(family, size=4000), (there, 0))
        assert len(ping.recv(9999)) == 4008
        far, near = udp_socket(world, family, 53), udp_socket(two, family, two.first)
        near.sendto(b"x" * 5000, (there, 53))
        question, asker = far.recvfrom(9999)
        assert len(question) == 5000
        far.sendto(b"y" * 6000, asker)
        assert near.recv(9999) == b"y" * 6000
        # And the host's, in between.
        own = udp_socket(host, family, 5000)
        far.sendto(b"z" * 4000, (node, 5000))
        assert own.recv(9999) == b"z" * 4000


def test_nobody_else_is_pinged_nor_pings():
    """Requests from outside are answered by the host, and no slice sees them."""
    for family, node, _ in BOTH:
        sniffers = [raw(place, "eth0") for place in (one, two)]
        ping = ping_socket(world, family)
        ping.sendto(echo(family), (node, 0))
        assert ping.recv(99)[0] in (0, 129)
        assert [frames_of(sniffer) for sniffer in sniffers] == [[], []]


def test_the_hosts_ping_with_a_slices_identifier_is_the_hosts():
    for family, _, there in BOTH:
        ping = ping_socket(host, family)
        ping.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", one.first))
        sniffer = raw(one, "eth0")
        ping.sendto(echo(family), (there, 0))
        assert ping.recv(99)[0] in (0, 129)
        assert frames_of(sniffer) == []


def test_errors_find_their_slice():
    for family, node, there in BOTH:
        # From outside, about what the slice has sent.
        near = udp_socket(one, family)
        near.connect((there, 9999))
        near.send(b"x")
        try:
            near.recv(9)
            assert False, "no error"
        except ConnectionRefusedError:
            pass
        # From the slice, about what was sent to it.
        far = udp_socket(world, family)
        far.connect((node, two.first + 7))
        far.send(b"x")
        try:
            far.recv(9)
            assert False, "no error"
        except ConnectionRefusedError:
            pass


def test_errors_about_a_ping_say_its_identifier():
    for family, _, there in BOTH:
        ping = ping_socket(one, family)
        ping.setsockopt(*((0, 11) if family == socket.AF_INET else (41, 25)), 1)  # IP_RECVERR, IPV6_RECVERR
        with at(world):
            # A place that the world says cannot be reached.
            where = "192.0.2.1" if family == socket.AF_INET else "2001:db8:dead::1"
            subprocess.run(["ip", "route", "replace", "unreachable", where], check=True)
            path = "ipv4/ip_forward" if family == socket.AF_INET else "ipv6/conf/all/forwarding"
            pathlib.Path("/proc/sys/net", path).write_text("1")
        ping.sendto(echo(family), (where, 0))
        # In the socket's queue of errors only if the kernel has found it by the identifier.
        poll = select.poll()
        poll.register(ping, 0)
        assert poll.poll(3000), "no error"
        assert ping.recvmsg(999, 999, socket.MSG_ERRQUEUE)[1]


def test_a_smaller_mtu_on_the_way_is_learned():
    for family, node, there in BOTH:
        quoted = udp(two.first, 53)
        payload = (ipv4(node, there, UDP, quoted * 4) if family == socket.AF_INET
                   else ipv6(node, there, UDP, quoted * 4))
        near = udp_socket(two, family, two.first)
        near.connect((there, 53))
        if family == socket.AF_INET:
            message = icmp(3, 4, 0, payload)
            message = message[:6] + struct.pack("!H", 1300) + message[8:]
            message = message[:2] + b"\0\0" + message[4:]
            message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
            packet = ethernet(ipv4(ROUTER4, node, ICMP, message), IPV4, *macs())
        else:
            message = bytes([2, 0, 0, 0]) + struct.pack("!I", 1300) + payload
            total = checksum(pseudo(ROUTER6, node, ICMP6, message) + message)
            message = message[:2] + struct.pack("!H", total) + message[4:]
            packet = ethernet(ipv6(ROUTER6, node, ICMP6, message), IPV6, *macs())
        sender = raw(world, "up1")
        sender.send(packet)
        time.sleep(0.1)
        level, option = (0, 14) if family == socket.AF_INET else (41, 24)  # IP_MTU, IPV6_MTU
        assert near.getsockopt(level, option) == 1300


def macs():
    """Of the world's end and the host's of the uplink."""
    with at(world):
        there = read_mac("up1")
    return there, read_mac("up0")


def read_mac(name):
    shown = subprocess.run(["ip", "-o", "link", "show", name], check=True, capture_output=True, text=True)
    return bytes.fromhex(shown.stdout.split("link/ether ")[1][:17].replace(":", ""))


def test_a_slice_sniffs_only_its_own():
    for family, node, there in BOTH:
        server, far = listener(two, family, two.first + 1), udp_socket(world, family, 53)
        sniffer = raw(one, "eth0")
        clients = [connected(world, family, node, two.first + 1) for _ in range(5)]
        udp_socket(two, family).sendto(b"x", (there, 53))
        udp_socket(host, family).sendto(b"x", (there, 53))
        far.recvfrom(9), far.recvfrom(9)
        for client in clients:
            server.accept()[0].sendall(b"x" * 10000)
            client.recv(10000)
        assert frames_of(sniffer) == []
        # The control: its own it does see.
        own = udp_socket(one, family, one.first + 2)
        udp_socket(world, family).sendto(b"x", (node, one.first + 2))
        assert own.recv(9) == b"x" and len(frames_of(sniffer)) == 1


def forged(sender, **more):
    """What slice one could send: words, reason, frame."""
    def v4(protocol, payload, **options):
        return ethernet(ipv4(options.pop("source", NODE4), options.pop("to", WORLD4), protocol, payload,
                             **options), IPV4, sender.mac, HOST_MAC)

    def v6(protocol, payload, **options):
        return ethernet(ipv6(options.pop("source", NODE6), options.pop("to", WORLD6), protocol, payload),
                        IPV6, sender.mac, HOST_MAC)

    own, other = sender.first, two.first
    quoted = ipv4(WORLD4, NODE4, UDP, udp(53, other))
    quoted6 = ipv6(WORLD6, NODE6, UDP, udp(53, other))
    for family, make, protocol, request, reply, unreachable, quote in (
            ("IPv4", v4, ICMP, 8, 0, 3, quoted), ("IPv6", v6, ICMP6, 128, 129, 1, quoted6)):
        for words, port in ("another slice's", other), ("the host's", 22), ("nobody's", 40000), ("none", 0):
            yield f"{family} UDP from {words} port", "port", make(UDP, udp(port, 53))
            yield f"{family} TCP from {words} port", "port", make(TCP, tcp(port, 80))
        yield f"{family} answer to a ping", "port", make(protocol, icmp(reply, identifier=own))
        yield f"{family} error about another's packet", "port", make(protocol, icmp(unreachable, 3, 0, quote))
        yield f"{family} foreign source", f"source{family.replace('P', 'p')}", make(
            UDP, udp(own, 53), source="192.0.2.1" if family == "IPv4" else "2001:db8::9")
        yield f"{family} to the node itself", "host", make(
            UDP, udp(own, 22), to=NODE4 if family == "IPv4" else NODE6)
        yield f"{family} to the gateway", "host", make(
            protocol, icmp(request), to=net.GATEWAY4 if family == "IPv4" else net.GATEWAY6)
    yield "IPv4 later fragment alone", "fragment", v4(UDP, b"x" * 64, fragment=8)
    yield "IPv4 first fragment from another's port", "port", v4(UDP, udp(other, 53), fragment=MORE)
    yield "IPv6 later fragment alone", "fragment", v6(FRAGMENT, fragment6(UDP, 64, 0, b"x" * 64))
    yield "to the site", "site", v4(UDP, udp(own, 53), to=SITE4)
    tagged = v4(UDP, udp(own, 53))
    yield "VLAN", "vlan", tagged[:12] + struct.pack("!HH", VLAN, 5) + tagged[12:]


def test_what_a_slice_forges_goes_nowhere():
    sender, sniffers = raw(one, "eth0"), [raw(world, "up1"), raw(two, "eth0"), raw(host, "lo")]
    for words, reason, frame in forged(one):
        before = one.drops(reason)
        sender.send(frame)
        assert one.drops(reason) == before + 1, f"{words}: {reason}"
    time.sleep(0.2)
    for sniffer in sniffers:
        seen = [frame for frame in frames_of(sniffer) if is_marked(frame)]
        assert not seen, seen


def test_what_is_its_own_a_slice_may_forge():
    """The control of the last one."""
    sender, sniffer = raw(one, "eth0"), raw(world, "up1")
    sender.send(ethernet(ipv4(NODE4, WORLD4, UDP, udp(one.first, 53)), IPV4, one.mac, HOST_MAC))
    sender.send(ethernet(ipv4(NODE4, WORLD4, UDP, udp(one.first, 53), fragment=MORE), IPV4, one.mac, HOST_MAC))
    sender.send(ethernet(ipv4(NODE4, WORLD4, UDP, b"x" * 16, fragment=2), IPV4, one.mac, HOST_MAC))
    sender.send(ethernet(ipv6(NODE6, WORLD6, TCP, tcp(one.first, 80)), IPV6, one.mac, HOST_MAC))
    assert len([frame for frame in frames_of(sniffer) if is_marked(frame)]) == 4
    # The same datagram again, from another slice, within a second.
    before = two.drops("fragment")
    raw(two, "eth0").send(
        ethernet(ipv4(NODE4, WORLD4, UDP, udp(two.first, 53), fragment=MORE), IPV4, two.mac, HOST_MAC))
    assert two.drops("fragment") == before + 1


def test_ports_are_given_once_and_taken_back():
    try:
        two.give((two.first, two.first + BLOCK - 1), (one.first + 3, one.first + 3))
        assert False, "given twice"
    except OSError as error:
        assert error.errno == errno.EADDRINUSE and str(one.first + 3) in str(error), error
    server = udp_socket(one, socket.AF_INET, one.first + 5)
    far = udp_socket(world, socket.AF_INET)
    one.give((one.first, one.first + 4))
    far.sendto(b"x", (NODE4, one.first + 5))
    assert silent(server)
    own = udp_socket(host, socket.AF_INET, one.first + 5)
    far.sendto(b"x", (NODE4, one.first + 5))
    assert own.recv(9) == b"x", "the host's again"
    one.give((one.first, one.first + BLOCK - 1))
    far.sendto(b"x", (NODE4, one.first + 5))
    assert server.recv(9) == b"x" and silent(own)


def test_who_is_dismissed_has_no_port_any_more():
    three = Slice(3)
    server = udp_socket(three, socket.AF_INET, three.first)
    far = udp_socket(world, socket.AF_INET)
    far.sendto(b"x", (NODE4, three.first))
    assert server.recv(9) == b"x"
    base.call("ccl_dismiss", box, c.c_uint32(three.link))
    far.sendto(b"x", (NODE4, three.first))
    assert silent(server)
    two.give((two.first, two.first + BLOCK - 1), (three.first, three.first + BLOCK - 1))
    two.give((two.first, two.first + BLOCK - 1))
    net.call("cnl_link_delete", net.context, b"sl-3")


def main():
    if os.geteuid() != 0:
        sys.exit("test_shared: needs root")
    make_scene()
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        if len(sys.argv) > 1 and sys.argv[1] not in name:
            continue
        try:
            test()
            passed += 1
        except Exception:
            failed += 1
            print(f"--- {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
