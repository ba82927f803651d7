#!/usr/bin/env python3
"""Tests of CShims/netlink, as root, in a private network namespace that plays the host.

iproute2 and nft serve as independent witnesses of what the shim has built. Usage:
    test_netlink.py [--benchmark]
"""

import contextlib
import ctypes as c
import errno
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIM = ROOT / "CShims" / "netlink"
CLONE_NEWNET = 0x40000000
libc = c.CDLL(None, use_errno=True)

POOL4, GATEWAY4 = "10.88.0.0", "10.88.0.1"
POOL6, GATEWAY6 = "fd88::", "fd88::1"
HOST_MAC = bytes.fromhex("02736c000001")


# --- The interface, as cnetlink.h declares it

class Error(c.Structure):
    _fields_ = [("error", c.c_int), ("operation", c.c_char_p), ("detail", c.c_char * 128)]

    def __str__(self):
        return f"{self.operation.decode()}({self.detail.decode()}): {errno.errorcode[self.error]}"


class Namespace(c.Structure):
    _fields_ = [("netns", c.c_int), ("rtnetlink", c.c_int)]


class Pair(c.Structure):
    _fields_ = [("present", c.c_bool), ("slice", c.c_uint8 * 16), ("gateway", c.c_uint8 * 16)]


class Programs(c.Structure):
    _fields_ = [("from_slice", c.c_int), ("to_slice", c.c_int),
                ("from_uplink", c.c_int), ("to_uplink", c.c_int)]


class Link(c.Structure):
    _fields_ = [("name", c.c_char * 16), ("mtu", c.c_uint32), ("slice_mac", c.c_uint8 * 6),
                ("host_mac", c.c_uint8 * 6), ("ipv4", Pair), ("ipv6", Pair),
                ("classifier", c.POINTER(Programs)), ("shared", c.c_bool),
                ("device", c.c_char * 16), ("network", c.c_uint8 * 4),
                ("network_length", c.c_uint8)]


class Statistics(c.Structure):
    _fields_ = [(name, c.c_uint64) for name in (
        "sent_bytes", "sent_packets", "received_bytes", "received_packets", "dropped_packets")]


class Pool(c.Structure):
    _fields_ = [("family", c.c_int), ("prefix", c.c_uint8 * 16), ("length", c.c_uint8),
                ("gateway", c.c_uint8 * 16), ("first_port", c.c_uint16), ("last_port", c.c_uint16)]


class Uplink(c.Structure):
    _fields_ = [("name", c.c_char * 16), ("ipv4", c.c_bool), ("ipv6", c.c_bool)]


class Published(c.Structure):
    _fields_ = [("protocol", c.c_uint8), ("host_port", c.c_uint16), ("port", c.c_uint16)]


class Publisher(c.Structure):
    _fields_ = [("ipv4", c.c_uint8 * 16), ("ipv6", c.c_uint8 * 16), ("has_ipv6", c.c_bool),
                ("ports", c.POINTER(Published)), ("count", c.c_size_t)]


class Forwarding(c.Structure):
    _fields_ = [("ipv4", c.c_bool), ("ipv6", c.c_bool), ("accept_ra_count", c.c_size_t),
                ("accept_ra", (c.c_char * 16) * 8)]


def load_shim():
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/libcnetlink.so"
        subprocess.run(
            ["cc", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
             f"-I{SHIM}/include", "-I/usr/include/libnl3", *map(str, sorted(SHIM.glob("*.c"))),
             "-o", library, "-lnl-3"], check=True)
        return c.CDLL(library)


shim = None
context = c.c_void_p()


class Failure(Exception):
    def __init__(self, error):
        super().__init__(str(error))
        self.number, self.operation = error.error, error.operation.decode()
        self.detail = error.detail.decode()


def call(name, *arguments):
    """Calls a function of the shim; the error becomes an exception."""
    error = Error()
    result = getattr(shim, name)(*arguments, c.byref(error))
    if result < 0:
        assert error.error == -result, (name, result, error.error)
        raise Failure(error)


def octets(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (c.c_uint8 * 16)(*socket.inet_pton(family, address))


def pool(family, prefix=None, length=None, gateway=None):
    four = family == socket.AF_INET
    return Pool(family, octets(prefix or (POOL4 if four else POOL6)),
                length or (16 if four else 64), octets(gateway or (GATEWAY4 if four else GATEWAY6)))


def both_pools():
    return (Pool * 2)(pool(socket.AF_INET), pool(socket.AF_INET6))


def link(number, name=None, ipv4=True, ipv6=True, mtu=1500):
    mac = b"\x02sl" + number.to_bytes(3, "big")
    return Link(
        (name or f"sl-{number}").encode(), mtu, (c.c_uint8 * 6)(*mac), (c.c_uint8 * 6)(*HOST_MAC),
        Pair(ipv4, octets(address4(number)), octets(GATEWAY4)),
        Pair(ipv6, octets(address6(number)), octets(GATEWAY6)))


def install_nat(*publishers):
    call("cnl_nat_install", both_pools(), c.c_size_t(2), b"sl-",
         (Publisher * len(publishers))(*publishers), c.c_size_t(len(publishers)), c.c_bool(True))


def publisher(number, *ports):
    """Ports as (protocol, host's, slice's)."""
    return Publisher(octets(address4(number)), octets(address6(number)), True,
                     (Published * len(ports))(*[Published(*port) for port in ports]), len(ports))


def publish(before, after):
    call("cnl_nat_publish", before and c.byref(before), after and c.byref(after))


def address4(number):
    return f"10.88.{number // 256}.{number % 256}"


def address6(number):
    return f"fd88::{number:x}"


@contextlib.contextmanager
def namespace(ipv6=True):
    made = Namespace()
    call("cnl_namespace_create", -1, c.c_bool(ipv6), c.byref(made))
    try:
        yield made
    finally:
        shim.cnl_namespace_close(c.byref(made))


@contextlib.contextmanager
def slice_network(number, **options):
    with namespace(options.get("ipv6", True)) as made:
        request = link(number, **options)
        call("cnl_link_create", context, c.byref(made), c.byref(request), None)
        try:
            yield made
        finally:
            call("cnl_link_delete", context, request.name)


def names(prefix=b"sl-"):
    found, count = ((c.c_char * 16) * 64)(), c.c_size_t()
    call("cnl_link_list", context, prefix, found, c.c_size_t(64), c.byref(count))
    return sorted(found[i].value.decode() for i in range(min(64, count.value))), count.value


def statistics(name):
    result = Statistics()
    call("cnl_link_statistics", context, name.encode(), c.byref(result))
    return result


class LinkStatistics(c.Structure):
    _fields_ = [("name", c.c_char * 16), ("statistics", Statistics)]


def all_statistics(prefix=b"sl-", capacity=64):
    found, count = (LinkStatistics * capacity)(), c.c_size_t()
    call("cnl_link_statistics_list", context, prefix, found, c.c_size_t(capacity), c.byref(count))
    return {one.name.decode(): one.statistics for one in found[:count.value]}, count.value


def raises(number, function, *arguments):
    try:
        function(*arguments)
    except Failure as failure:
        assert failure.number == number, f"{failure}, expected {errno.errorcode[number]}"
        return failure
    raise AssertionError(f"no {errno.errorcode[number]} from {arguments}")


# --- Witnesses

def ip(*arguments, netns=None):
    """What `ip -j` says, here or inside a namespace."""
    def enter():
        assert netns is None or libc.setns(netns, CLONE_NEWNET) == 0
    text = subprocess.run(["ip", "-j", *arguments], check=True, capture_output=True,
                          preexec_fn=enter).stdout
    return json.loads(text or "[]")


def run(*arguments):
    subprocess.run(arguments, check=True)


def nft():
    return subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True,
                          text=True).stdout


def inside(netns, function, *arguments):
    """Runs a function in a child process in the namespace; gives back what it returns."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(10)
            assert libc.setns(netns, CLONE_NEWNET) == 0
            os.write(writer, json.dumps(function(*arguments)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"{function.__name__}{arguments} failed inside"
    return json.loads(text)


def ping(address, timeout=1.0):
    """One ICMP echo by a ping socket."""
    six = ":" in address
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM,
                       socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP) as s:
        s.settimeout(timeout)
        try:
            s.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 1) + b"slice", (address, 0))
            return s.recv(100)[0] == (129 if six else 0)
        except OSError:
            return False


def sysctl(path):
    return pathlib.Path("/proc/sys", path).read_text().split()


@contextlib.contextmanager
def echo_server(netns, address, port=7):
    """Tells each TCP client the address it is seen with."""
    ready, written = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            assert libc.setns(netns, CLONE_NEWNET) == 0
            server = socket.create_server(
                (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
            os.write(written, b"x")
            while True:
                client, peer = server.accept()
                client.sendall(peer[0].encode())
                client.close()
        finally:
            os._exit(1)
    os.close(written)
    assert os.read(ready, 1) == b"x", "the server did not start"
    os.close(ready)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def seen_as(address, port=7):
    with socket.create_connection((address, port), timeout=2) as s:
        return s.recv(100).decode()


def census():
    """Counts what the shim can leave on the host."""
    routes = ip("route", "show", "table", "all") + ip("-6", "route", "show", "table", "all")
    return {"links": len(ip("link")), "routes": len(routes),
            "addresses": sum(len(i["addr_info"]) for i in ip("address")),
            "neighbours": len(ip("neighbour", "show", "nud", "permanent")),
            "tables": nft().count("table "), "descriptors": len(os.listdir("/proc/self/fd"))}


@contextlib.contextmanager
def internet():
    """A namespace behind an uplink of the host's, that knows no route to the pools."""
    outside = subprocess.Popen(["unshare", "-n", "sleep", "300"])
    before = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{outside.pid}/ns/net") == before:
        time.sleep(0.01)
    netns = os.open(f"/proc/{outside.pid}/ns/net", os.O_RDONLY)
    try:
        run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns",
            str(outside.pid))
        run("ip", "address", "add", "192.0.2.1/24", "dev", "up0")
        run("ip", "address", "add", "2001:db8::1/64", "dev", "up0", "nodad")
        run("ip", "link", "set", "up0", "up")
        for command in ("address add 192.0.2.2/24 dev up1", "link set up1 up", "link set lo up",
                        "-6 address add 2001:db8::2/64 dev up1 nodad"):
            run("nsenter", f"--net=/proc/{outside.pid}/ns/net", "ip", *command.split())
        run("ip", "route", "add", "default", "via", "192.0.2.2")
        run("ip", "-6", "route", "add", "default", "via", "2001:db8::2")
        time.sleep(0.1)
        yield netns
    finally:
        os.close(netns)
        outside.kill()
        outside.wait()
        subprocess.run(["ip", "link", "delete", "up0"], stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def pools():
    for each in both_pools():
        call("cnl_pool_check", context, c.byref(each))
        call("cnl_pool_install", context, c.byref(each))
    try:
        yield
    finally:
        for each in both_pools():
            call("cnl_pool_remove", context, c.byref(each))


# --- Tests

def test_namespace_is_ready_and_the_caller_stays():
    before = os.readlink("/proc/thread-self/ns/net")
    with namespace() as made:
        assert os.readlink("/proc/thread-self/ns/net") == before
        assert os.readlink(f"/proc/self/fd/{made.netns}") != before
        assert ip("link", netns=made.netns)[0]["flags"][:2] == ["LOOPBACK", "UP"]
        expected = {
            "net/ipv4/ip_unprivileged_port_start": ["0"],
            "net/ipv4/ping_group_range": ["0", "4294967294"],
            "net/ipv4/ip_forward": ["0"],
            "net/ipv6/conf/all/disable_ipv6": ["0"],
            "net/ipv6/conf/all/forwarding": ["0"],
            "net/ipv6/conf/default/accept_ra": ["0"],
        }
        for path, value in expected.items():
            found = inside(made.netns, sysctl, path)
            assert found == value, (path, found)


def test_namespace_without_ipv6():
    with namespace(ipv6=False) as made:
        assert inside(made.netns, sysctl, "net/ipv6/conf/lo/disable_ipv6") == ["1"]
        assert not ip("-6", "address", netns=made.netns)


def test_namespace_adopted():
    with namespace() as made:
        other = Namespace()
        call("cnl_namespace_adopt", made.netns, c.byref(other))
        assert os.readlink(f"/proc/self/fd/{made.netns}") == \
            os.readlink(f"/proc/self/fd/{other.netns}")
        shim.cnl_namespace_close(c.byref(other))
        shim.cnl_namespace_close(c.byref(other))


def test_failure_leaves_the_caller_where_it_was():
    before, descriptors = os.readlink("/proc/thread-self/ns/net"), os.listdir("/proc/self/fd")
    made = Namespace()
    raises(errno.EBADF, call, "cnl_namespace_adopt", -1, c.byref(made))
    with open("/dev/null") as null:
        raises(errno.EINVAL, call, "cnl_namespace_adopt", null.fileno(), c.byref(made))
    limit = pathlib.Path("/proc/sys/user/max_net_namespaces")
    child = os.fork()  # in a user namespace of its own, whose limit can be spent
    if child == 0:
        try:
            assert libc.unshare(0x10000000) == 0
            limit.write_text("0")
            failure = raises(errno.ENOSPC, call, "cnl_namespace_create", -1, c.c_bool(True),
                             c.byref(made))
            assert failure.operation == "create network namespace"
            assert (made.netns, made.rtnetlink) == (-1, -1)
            assert os.readlink("/proc/thread-self/ns/net") == before
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert os.readlink("/proc/thread-self/ns/net") == before
    assert os.listdir("/proc/self/fd") == descriptors


def test_link_is_as_described():
    with pools(), slice_network(7) as made:
        host = ip("-d", "link", "show", "sl-7")[0]
        assert {"UP", "NOARP"} <= set(host["flags"]) and host["mtu"] == 1500, host
        assert host["num_tx_queues"] == 1 and host["inet6_addr_gen_mode"] == "none", host
        assert not ip("address", "show", "dev", "sl-7")[0]["addr_info"]
        for path, value in {"ipv4/conf/sl-7/rp_filter": "1", "ipv4/conf/sl-7/forwarding": "1",
                            "ipv4/conf/sl-7/accept_redirects": "0",
                            "ipv6/conf/sl-7/accept_ra": "0",
                            "ipv6/conf/sl-7/accept_redirects": "0"}.items():
            assert sysctl("net/" + path) == [value], path
        inner = ip("address", "show", "dev", "eth0", netns=made.netns)[0]
        found = [(a["local"], a["prefixlen"], "tentative" in a) for a in inner["addr_info"]]
        assert found == [(address4(7), 32, False), (address6(7), 128, False)], found
        assert inner["address"] == "02:73:6c:00:00:07"


def test_host_and_slices_reach_each_other():
    with pools(), slice_network(7) as one, slice_network(8) as two:
        for address in (address4(7), address6(7)):
            assert ping(address), f"host to {address}"
        for address in (address4(8), address6(8), GATEWAY4, GATEWAY6):
            assert inside(one.netns, ping, address), f"slice 7 to {address}"
        for address, gateway, peer in ((address4(8), GATEWAY4, address4(7)),
                                       (address6(8), GATEWAY6, address6(7))):
            with echo_server(two.netns, address):
                assert seen_as(address) == gateway, "the host is seen as the gateway"
                assert inside(one.netns, seen_as, address) == peer


def test_first_packet_arrives():
    """Nothing is lost while a new link settles: one try, 20 times."""
    with pools():
        for number in range(20, 40):
            with slice_network(number):
                assert ping(address4(number), 0.2) and ping(address6(number), 0.2), number


def test_nothing_is_resolved():
    """No ARP and no neighbour discovery on the link, either way."""
    with pools(), slice_network(7) as one:
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sniffer.bind(("sl-7", 3))
        sniffer.settimeout(0.2)
        assert ping(address4(7)) and ping(address6(7))
        assert inside(one.netns, ping, GATEWAY4) and inside(one.netns, ping, GATEWAY6)
        frames = []
        with contextlib.suppress(TimeoutError), sniffer:
            while True:
                frames.append(sniffer.recv(2000))
        assert len(frames) >= 8
        arp = [f for f in frames if f[12:14] == b"\x08\x06"]
        discovery = [f for f in frames
                     if f[12:14] == b"\x86\xdd" and f[20] == 58 and 133 <= f[54] <= 137]
        assert not arp and not discovery, (arp, discovery)


def test_arp_of_a_slice_is_ignored():
    def flood():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("eth0", 0x0806))
        for i in range(50):
            s.send(b"\xff" * 6 + b"\x02sl\0\0\x07" + b"\x08\x06\0\1\x08\0\6\4\0\1" + b"\x02sl\0\0\x07"
                   + bytes([10, 99, 0, i]) + b"\0" * 6 + socket.inet_aton(GATEWAY4))
    with pools(), slice_network(7) as one:
        inside(one.netns, flood)
        entries = [n["dst"] for n in ip("neighbour", "show", "dev", "sl-7")]
        assert sorted(entries) == [address4(7), address6(7)], entries


def test_forged_source_is_dropped():
    def forge(source):
        run("ip", "address", "add", f"{source}/32", "dev", "lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((source, 0))
            s.sendto(b"forged", (GATEWAY4, 9999))
    with pools(), slice_network(7) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((GATEWAY4, 9999))
        s.settimeout(0.3)
        inside(one.netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
            b"true", (GATEWAY4, 9999)) and None)
        assert s.recv(100) == b"true"
        inside(one.netns, forge, "10.88.9.9")
        try:
            raise AssertionError(s.recv(100))
        except TimeoutError:
            pass


def test_low_port_without_capability():
    def bind():
        os.setgroups([])
        os.setresgid(200000, 200000, 200000)
        os.setresuid(200000, 200000, 200000)
        socket.create_server(("0.0.0.0", 80)).close()
        return ping("127.0.0.1")
    with pools(), slice_network(7) as one:
        assert inside(one.netns, bind)


def test_world_through_nat():
    with internet() as world, pools(), slice_network(7) as one:
        for far in ("192.0.2.2", "2001:db8::2"):
            assert not inside(one.netns, ping, far, 0.3), f"reaches {far} without NAT"
        install_nat()
        install_nat()
        rules = nft()
        assert rules.count("table ") == 1 and rules.count("masquerade") == 2, rules
        for far, near, own in (("192.0.2.2", "192.0.2.1", address4(7)),
                               ("2001:db8::2", "2001:db8::1", address6(7))):
            assert inside(one.netns, ping, far), far
            with echo_server(world, far):
                assert inside(one.netns, seen_as, far) == near, "is masqueraded"
        with slice_network(8) as two, echo_server(two.netns, address4(8)):
            assert inside(one.netns, seen_as, address4(8)) == address4(7), "slices are not"
        call("cnl_nat_remove")
        call("cnl_nat_remove")
        assert "table" not in nft()


def test_nat_rules_read_as_meant():
    install_nat()
    rules = nft()
    call("cnl_nat_remove")
    for part in ("table inet slices", "type nat hook postrouting priority srcnat",
                 'ip saddr 10.88.0.0/16 oifname != "sl-*" masquerade',
                 'ip6 saddr fd88::/64 oifname != "sl-*" masquerade'):
        assert part in rules, rules


def test_masquerading_keeps_to_its_ports():
    ports = both_pools()
    for each in ports:
        each.first_port, each.last_port = 30000, 65534
    with internet() as world, pools(), slice_network(7) as one:
        call("cnl_nat_install", ports, c.c_size_t(2), b"sl-", None, c.c_size_t(0), c.c_bool(True))
        assert nft().count("masquerade to :30000-65534") == 2, nft()
        server = inside_socket(world, "192.0.2.2", 7)
        client = inside_socket(one.netns, address4(7), 20005)
        client.sendto(b"x", ("192.0.2.2", 7))
        assert 30000 <= server.recvfrom(9)[1][1] <= 65534, "one that others may not have"
        client = inside_socket(one.netns, address4(7), 40005)
        client.sendto(b"x", ("192.0.2.2", 7))
        assert server.recvfrom(9)[1] == ("192.0.2.1", 40005), "one that is in the range"
        call("cnl_nat_remove")


# --- The host's own address, and its ports

def inside_socket(netns, address, port):
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.setns(netns, CLONE_NEWNET) == 0
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(3)
    made.bind((address, port))
    assert libc.setns(own, CLONE_NEWNET) == 0
    os.close(own)
    return made


class NodeAddress(c.Structure):
    _fields_ = [("present", c.c_bool), ("address", c.c_uint8 * 16), ("link", c.c_int),
                ("mtu", c.c_uint32), ("is_ethernet", c.c_bool)]


def node_address(family=socket.AF_INET):
    found = NodeAddress()
    call("cnl_node_address", context, c.c_int(family), c.byref(found))
    size = 4 if family == socket.AF_INET else 16
    return found, socket.inet_ntop(family, bytes(found.address)[:size])


def test_the_hosts_address_is_that_of_its_default_route():
    assert not node_address()[0].present and not node_address(socket.AF_INET6)[0].present
    with internet():
        # None of these is it: temporary, deprecated, of another link, of a worse route.
        run("ip", "address", "add", "192.0.2.5/24", "dev", "up0")
        run("ip", "address", "add", "2001:db8::5/64", "dev", "up0", "nodad", "preferred_lft", "0")
        run("ip", "address", "add", "198.51.100.5/32", "dev", "lo")
        run("ip", "route", "add", "default", "dev", "lo", "metric", "900")
        found, address = node_address()
        assert (found.present, address, found.mtu, found.is_ethernet) == (True, "192.0.2.1", 1500, True)
        assert found.link == socket.if_nametoindex("up0")
        found, address = node_address(socket.AF_INET6)
        assert found.present and address == "2001:db8::1", address
        run("ip", "route", "replace", "default", "via", "192.0.2.2", "src", "198.51.100.5")
        assert node_address()[1] == "198.51.100.5", "the route names it"
        run("ip", "route", "delete", "default", "dev", "lo")
        run("ip", "address", "delete", "198.51.100.5/32", "dev", "lo")


def test_reserved_ports_are_added_to():
    path = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
    path.write_text("7000-7010")
    for _ in range(2):
        call("cnl_reserve_ports", context, c.c_uint16(20000), c.c_uint16(29999))
        assert path.read_text() == "7000-7010,20000-29999\n", path.read_text()
    path.write_text("\n")
    call("cnl_reserve_ports", context, c.c_uint16(20000), c.c_uint16(29999))
    assert path.read_text() == "20000-29999\n"
    path.write_text("\n")


def test_a_port_in_use_is_found():
    call("cnl_port_check", c.c_uint16(7777))
    for family, kind, name in ((socket.AF_INET, socket.SOCK_STREAM, "TCP"),
                               (socket.AF_INET6, socket.SOCK_DGRAM, "UDP")):
        with socket.socket(family, kind) as used:
            used.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 7777))
            failure = raises(errno.EADDRINUSE, call, "cnl_port_check", c.c_uint16(7777))
            assert failure.detail == f"{name} port 7777", failure.detail


def test_a_namespace_gives_out_the_ports_that_it_has():
    def automatic():
        sockets = []
        for _ in range(7):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(("127.0.0.1", 0))
            sockets.append(made)
        ports = sorted(each.getsockname()[1] for each in sockets)
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 0))
        except OSError:
            return ports
    with namespace() as made:
        call("cnl_namespace_set_ports", made.netns, c.c_uint16(443), c.c_uint16(453), b"445-448")
        assert inside(made.netns, automatic) == [443, 444, 449, 450, 451, 452, 453]
        call("cnl_namespace_set_ports", made.netns, c.c_uint16(443), c.c_uint16(449), b"")
        assert inside(made.netns, automatic) == list(range(443, 450))


def test_a_slice_gets_other_addresses_and_keeps_its_routes():
    with pools(), slice_network(7) as one:
        before = [ip("route", netns=one.netns), ip("-6", "route", "show", "default", netns=one.netns)]
        for _ in range(2):
            call("cnl_namespace_readdress", c.byref(one), octets("192.0.2.77"), octets("2001:db8::77"))
            device = ip("address", "show", "dev", "eth0", netns=one.netns)[0]
            assert sorted(each["local"] for each in device["addr_info"]) == ["192.0.2.77", "2001:db8::77"]
        assert before == [
            ip("route", netns=one.netns), ip("-6", "route", "show", "default", netns=one.netns)]
        call("cnl_namespace_readdress", c.byref(one), octets("192.0.2.77"), None)
        device = ip("address", "show", "dev", "eth0", netns=one.netns)[0]
        assert [each["local"] for each in device["addr_info"]] == ["192.0.2.77"]
        call("cnl_namespace_readdress", c.byref(one), octets("192.0.2.77"), octets("2001:db8::77"))
        device = ip("address", "show", "dev", "eth0", netns=one.netns)[0]
        assert len(device["addr_info"]) == 1, "without IPv6 it stays so"


def test_a_link_with_the_hosts_address_changes_nothing_of_its_own():
    with internet(), pools(), namespace() as made:
        before = census()
        request = link(7)
        request.ipv4.slice, request.ipv6.slice = octets("192.0.2.1"), octets("2001:db8::1")
        request.shared = True
        call("cnl_link_create", context, c.byref(made), c.byref(request), None)
        after = census()
        assert all(before[what] == after[what] for what in ("addresses", "neighbours")), after
        assert ip("route", "show", "dev", "sl-7") == []
        for own in "192.0.2.1", "2001:db8::1":
            assert ip("route", "get", own)[0]["type"] == "local"
        call("cnl_link_delete", context, request.name)


def test_dead_address_does_not_leave_by_the_uplink():
    with internet(), pools():
        assert ip("route", "show", "10.88.0.0/16")[0]["type"] == "unreachable"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.connect(("10.88.7.7", 9))
                raise AssertionError("routed")
            except OSError as error:
                assert error.errno == errno.EHOSTUNREACH


def test_one_family():
    for options in ({"ipv4": False}, {"ipv6": False}):
        with pools(), slice_network(7, **options) as made:
            found = ip("address", "show", "dev", "eth0", netns=made.netns)[0]["addr_info"]
            assert len(found) == 1
            assert ping(found[0]["local"])


def test_lists_counts_and_deletes():
    with pools(), slice_network(7), slice_network(8), slice_network(9, name="other"):
        assert names() == (["sl-7", "sl-8"], 2), names()
        assert names(b"nothing") == ([], 0)
        few, count = ((c.c_char * 16) * 1)(), c.c_size_t()
        call("cnl_link_list", context, b"sl-", few, c.c_size_t(1), c.byref(count))
        assert count.value == 2
        before = statistics("sl-7")
        assert ping(address4(7))
        after = statistics("sl-7")
        assert after.sent_packets == before.sent_packets + 1
        assert after.received_bytes > before.received_bytes
        raises(errno.ENODEV, statistics, "sl-none")
        all, count = all_statistics()
        assert sorted(all) == ["sl-7", "sl-8"] and count == 2, all
        assert all["sl-7"].sent_packets >= after.sent_packets
        assert all["sl-8"].sent_bytes != all["sl-7"].sent_bytes
        assert all_statistics(capacity=1)[1] == 2
        call("cnl_link_delete", context, b"sl-7")
        call("cnl_link_delete", context, b"sl-7")
        many = ((c.c_char * 16) * 3)()
        for slot, name in zip(many, (b"sl-7", b"sl-8", b"sl-none")):
            slot.value = name
        call("cnl_link_delete_many", context, many, c.c_size_t(3))
        assert names() == ([], 0) and names(b"other")[1] == 1


def test_closing_the_namespace_deletes_the_link():
    with pools():
        with namespace() as made:
            call("cnl_link_create", context, c.byref(made), c.byref(link(7)), None)
        deadline = time.monotonic() + 5
        while names()[1] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert names()[1] == 0


def test_bad_links_are_refused_and_leave_nothing():
    def create(made, request):
        call("cnl_link_create", context, c.byref(made), c.byref(request), None)
    with pools(), namespace() as made, slice_network(7), namespace() as other:
        before = census()
        assert raises(errno.EEXIST, create, made, link(8, name="sl-7")).operation == \
            "create link pair"
        taken = link(8)
        taken.ipv4.slice = octets(address4(7))
        assert raises(errno.EEXIST, create, made, taken).operation == "add IPv4 route to slice"
        lost = link(8)
        lost.ipv6.gateway = octets("fd88::99")  # a gateway that no pool has
        failure = raises(errno.EINVAL, create, made, lost)
        assert failure.operation == "add IPv6 route to slice" and ":" in failure.detail, failure
        for name in ("", "a/b", "a b", "..", "a:b", "ä"):
            request = link(8)
            request.name = name.encode()
            raises(errno.EINVAL, create, made, request)
        request = link(8)
        c.memmove(c.byref(request), b"n" * 16, 16)
        raises(errno.ENAMETOOLONG, create, made, request)
        raises(errno.EINVAL, create, made, link(8, mtu=1000))
        raises(errno.EINVAL, create, made, link(8, mtu=100000))
        raises(errno.EINVAL, create, made, link(8, ipv4=False, ipv6=False))
        multicast = link(8)
        multicast.slice_mac[0] = 1
        raises(errno.EINVAL, create, made, multicast)
        raises(errno.EBADF, create, Namespace(-1, -1), link(8))
        assert census() == before, (census(), before)
        create(made, link(8))
        assert raises(errno.EEXIST, create, made, link(9)).operation == "create link pair"
        assert names()[0] == ["sl-7", "sl-8"]
        call("cnl_link_delete", context, b"sl-8")
        create(made, link(8))  # the namespace can be used again
        call("cnl_link_delete", context, b"sl-8")


def test_bad_pools_are_refused():
    def check(*arguments):
        call("cnl_pool_check", context, c.byref(pool(*arguments)))
    four, six = socket.AF_INET, socket.AF_INET6
    with internet():
        failure = raises(errno.EADDRINUSE, check, four, "192.0.0.0", 16, "192.0.0.1")
        assert failure.detail.endswith("up0"), failure
        raises(errno.EADDRINUSE, check, four, "192.0.2.128", 25, "192.0.2.129")
        raises(errno.EADDRINUSE, check, six, "2001:db8::", 112, "2001:db8::9")
        raises(errno.EADDRINUSE, check, four, "127.1.0.0", 16, "127.1.0.1")
        raises(errno.EINVAL, check, four, POOL4, 4, GATEWAY4)
        raises(errno.EINVAL, check, four, POOL4, 32, POOL4)
        raises(errno.EINVAL, check, four, POOL4, 16, "10.89.0.1")
        raises(errno.EINVAL, check, 77)
        check(four)
        check(six)
        run("ip", "address", "add", GATEWAY4 + "/32", "dev", "up0")
        raises(errno.EADDRINUSE, check, four)
    with pools(), slice_network(7):  # installed, with links: still its own
        check(four)
        check(six)
        for each in both_pools():
            call("cnl_pool_install", context, c.byref(each))


def test_an_address_in_use_is_told_from_a_free_one():
    def check(address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        call("cnl_pool_check_address", context, family, octets(address))
    with internet(), pools(), slice_network(7):
        for free in address4(9), address6(9), address4(7), address6(7):
            check(free)
        assert "own, on lo" in raises(errno.EADDRINUSE, check, GATEWAY4).detail
        for used in address4(9), address6(9):
            run("ip", "address", "add", used, "dev", "up0", *(["nodad"] if ":" in used else []))
            assert "host's own" in raises(errno.EADDRINUSE, check, used).detail
            run("ip", "address", "delete", used, "dev", "up0")
        run("ip", "route", "add", address4(9), "via", "192.0.2.2")
        assert "routed to up0" in raises(errno.EADDRINUSE, check, address4(9)).detail
        run("ip", "route", "delete", address4(9), "via", "192.0.2.2")
        check(address4(9)), check(address6(9))


def test_a_namespace_is_claimed_once_and_by_root_alone():
    def claim():
        error = Error()
        result = shim.cnl_host_claim(c.byref(error))
        return result if result >= 0 else -error.error
    first = claim()
    assert first >= 0 and claim() == -errno.EADDRINUSE
    with namespace() as other:
        assert inside(other.netns, claim) >= 0, "each namespace has its own"
    os.close(first)
    # Somebody else who has taken the name keeps no supervisor from starting.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setresuid(200000, 200000, 200000)
        squatter = claim()
        os.write(writer, b"x")
        time.sleep(100)
        os._exit(squatter)
    os.read(reader, 1)
    again = claim()
    assert again >= 0
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(again), os.close(reader), os.close(writer)
    last = claim()
    assert last >= 0
    os.close(last)


def test_uplinks():
    found, count = (Uplink * 8)(), c.c_size_t()
    call("cnl_uplinks", context, found, c.byref(count))
    assert count.value == 0
    with internet():
        run("ip", "-6", "route", "delete", "default")
        call("cnl_uplinks", context, found, c.byref(count))
        one = found[0]
        assert (count.value, one.name, one.ipv4, one.ipv6) == (1, b"up0", True, False)


def test_forwarding_comes_and_goes():
    paths = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
    previous, second = Forwarding(), Forwarding()
    before = [sysctl(path) for path in paths]
    for path in paths:
        pathlib.Path("/proc/sys", path).write_text("0")
    with internet():
        call("cnl_forwarding_enable", context, c.c_bool(True), c.byref(previous))
        assert [sysctl(path) for path in paths] == [["1"], ["1"]]
        assert not previous.ipv4 and not previous.ipv6 and previous.accept_ra_count == 1
        assert sysctl("net/ipv6/conf/up0/accept_ra") == ["2"]
        call("cnl_forwarding_enable", context, c.c_bool(True), c.byref(second))
        assert second.ipv4 and second.ipv6 and second.accept_ra_count == 0
        call("cnl_forwarding_restore", context, c.byref(previous))
        assert [sysctl(path) for path in paths] == [["0"], ["0"]]
        assert sysctl("net/ipv6/conf/up0/accept_ra") == ["1"]
    for path, value in zip(paths, before):
        pathlib.Path("/proc/sys", path).write_text(value[0])


def test_threads_with_a_context_each():
    problems = []

    def work(first):
        mine, error = c.c_void_p(), Error()
        assert shim.cnl_open(c.byref(mine), c.byref(error)) == 0, error
        try:
            for number in range(first, first + 10):
                with namespace() as made:
                    call("cnl_link_create", mine, c.byref(made), c.byref(link(number)), None)
                    assert ping(address4(number)) and ping(address6(number)), number
                    call("cnl_link_delete", mine, f"sl-{number}".encode())
        except Exception as problem:
            problems.append(problem)
        finally:
            shim.cnl_close(mine)

    with pools():
        threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200, 300, 400)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, problems


def test_nothing_is_left_after_fifty_cycles():
    def cycle(number):
        with slice_network(number):
            pass
    with pools():
        cycle(7)
        before = census()
        for number in range(10, 60):
            cycle(number)
        assert census() == before, (before, census())


# --- Published ports

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP


@contextlib.contextmanager
def udp_server(netns, address, port):
    """Tells each sender of a datagram the address it is seen with."""
    ready, written = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            assert libc.setns(netns, CLONE_NEWNET) == 0
            server = socket.socket(
                socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((address, port))
            os.write(written, b"x")
            while True:
                peer = server.recvfrom(100)[1]
                server.sendto(peer[0].encode(), peer)
        finally:
            os._exit(1)
    os.close(written)
    assert os.read(ready, 1) == b"x", "the server did not start"
    os.close(ready)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def udp_seen_as(address, port, timeout=1.0):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                       socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.sendto(b"who am I", (address, port))
        try:
            return s.recv(100).decode()
        except OSError:
            return None


def answered(address, port):
    try:
        return seen_as(address, port)
    except OSError:
        return None


def allow_loopback(name, allowed):
    call("cnl_link_set_loopback", context, socket.if_nametoindex(name), c.c_bool(allowed))


def test_published_ports_are_reached_from_everywhere():
    with internet() as outside, pools(), slice_network(7) as web, slice_network(8) as client:
        install_nat()
        published = publisher(7, (TCP, 8080, 80), (UDP, 5353, 53))
        publish(None, published)
        allow_loopback("sl-7", True)
        with echo_server(web.netns, address4(7), 80), echo_server(web.netns, address6(7), 80), \
                udp_server(web.netns, address4(7), 53), udp_server(web.netns, address6(7), 53):
            for who, target, seen in (
                    (outside, "192.0.2.1", "192.0.2.2"), (outside, "2001:db8::1", "2001:db8::2"),
                    (client.netns, "192.0.2.1", address4(8)), (client.netns, GATEWAY6, address6(8)),
                    # A slice doesn't take a packet from its own address.
                    (web.netns, "192.0.2.1", GATEWAY4), (web.netns, GATEWAY4, GATEWAY4),
                    (web.netns, "2001:db8::1", GATEWAY6)):
                assert inside(who, answered, target, 8080) == seen, (target, seen)
                assert inside(who, udp_seen_as, target, 5353) == seen, (target, seen)
            for target, seen in (("192.0.2.1", "192.0.2.1"), (GATEWAY4, GATEWAY4),
                                 ("127.0.0.1", GATEWAY4), ("2001:db8::1", "2001:db8::1")):
                assert answered(target, 8080) == seen, target
                assert udp_seen_as(target, 5353) == seen, target
            # The host's own ::1 stays its own, and so does what is to others' addresses.
            with open("/proc/self/ns/net") as host, echo_server(host.fileno(), "::1", 8080):
                assert answered("::1", 8080) == "::1"
            assert inside(client.netns, answered, "192.0.2.2", 8080) is None
            allow_loopback("sl-7", False)
            assert answered("127.0.0.1", 8080) is None
            publish(published, None)
            assert inside(outside, answered, "192.0.2.1", 8080) is None
            assert inside(outside, answered, "2001:db8::1", 8080) is None
        call("cnl_nat_remove")


def test_a_change_of_ports_is_all_or_nothing():
    with pools():
        one, other = publisher(7, (TCP, 8080, 80), (UDP, 8080, 80)), publisher(8, (TCP, 9000, 9))
        install_nat(one, other)
        raises(errno.EEXIST, publish, other, publisher(8, (TCP, 9001, 9), (TCP, 8080, 9)))
        assert ". 9000 :" in nft() and "9001" not in nft()
        publish(one, publisher(7, (TCP, 8080, 81), (TCP, 8081, 81)))
        assert "tcp . 8080 : 10.88.0.7 . 81" in nft() and "udp" not in nft(), nft()
        raises(errno.ENOENT, publish, one, other)
        publish(publisher(7, (TCP, 8080, 81), (TCP, 8081, 81)), None)
        publish(other, None)
        assert "elements" not in nft(), nft()
        call("cnl_nat_remove")
        publish(other, None)
        raises(errno.ENOENT, publish, None, other)


def converse(address, port, script):
    """A TCP connection that says `a`, runs `script`, says `b`: what came back."""
    with socket.create_connection((address, port), timeout=3) as s:
        s.sendall(b"a")
        first = s.recv(1)
        script()
        try:
            s.sendall(b"b")
            return first + s.recv(1)
        except OSError:
            return first


@contextlib.contextmanager
def parrot(netns, address, port):
    """Says again what each TCP client says."""
    ready, written = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            assert libc.setns(netns, CLONE_NEWNET) == 0
            server = socket.create_server((address, port))
            os.write(written, b"x")
            while True:
                client = server.accept()[0]
                while data := client.recv(1):
                    client.sendall(data)
        finally:
            os._exit(1)
    os.close(written)
    assert os.read(ready, 1) == b"x", "the server did not start"
    os.close(ready)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_connections_outlive_a_new_table_and_are_forgotten_by_name_only():
    with pools(), slice_network(7) as web:
        published = publisher(7, (TCP, 8080, 80), (TCP, 8081, 81))
        install_nat(published)

        def forget(protocol, port):
            call("cnl_connections_forget", socket.AF_INET, octets(address4(7)),
                 (Published * 2)(Published(protocol, 1, 9), Published(protocol, 1, port)),
                 c.c_size_t(2))

        def withdraw():
            publish(published, None)
            forget(TCP, 80)
        with parrot(web.netns, address4(7), 80), parrot(web.netns, address4(7), 81):
            assert converse(GATEWAY4, 8080, lambda: install_nat(published)) == b"ab"
            assert converse(GATEWAY4, 8080, lambda: forget(TCP, 81)) == b"ab"
            assert converse(GATEWAY4, 8080, lambda: forget(UDP, 80)) == b"ab"
            assert converse(GATEWAY4, 8081, withdraw) == b"ab"
            publish(None, published)
            assert converse(GATEWAY4, 8080, withdraw) == b"a"
        call("cnl_nat_remove")


def test_a_client_that_began_too_early_is_served():
    """Its datagrams make a connection of the host's own port, and keep it alive."""
    with internet() as outside, pools(), slice_network(7) as web:
        install_nat()
        for target, own in ("192.0.2.1", address4(7)), ("2001:db8::1", address6(7)):
            family = socket.AF_INET6 if ":" in own else socket.AF_INET

            def insist(script, target=target, family=family):
                with socket.socket(family, socket.SOCK_DGRAM) as s:
                    s.settimeout(1)
                    s.bind(("", 40000))
                    for _ in range(2):
                        s.sendto(b"x", (target, 5353))
                        time.sleep(0.05)
                    script()
                    s.sendto(b"x", (target, 5353))
                    try:
                        return bool(s.recv(100))
                    except OSError:
                        return False

            def forget(family=family):
                call("cnl_connections_forget", family, None, (Published * 1)(Published(UDP, 5353, 53)),
                     c.c_size_t(1))
            published = publisher(7, (UDP, 5353, 53))
            descriptor = shim.cnl_port_hold(c.c_uint8(UDP), c.c_uint16(5353), c.c_bool(True), None)
            with udp_server(web.netns, own, 53):
                # Published from here, while the client is in the namespace outside.
                with open("/proc/self/ns/net") as here:
                    def there(change):
                        return inside(outside, insist, lambda: inside(here.fileno(), change))
                    assert not there(lambda: publish(None, published)), "as it began"
                    publish(published, None)
                    time.sleep(0.1)
                    assert there(lambda: (publish(None, published), forget())[1])
                    publish(published, None)
            os.close(descriptor)
        call("cnl_nat_remove")


def test_a_port_that_is_held_is_nobody_elses():
    for protocol, kind in (TCP, socket.SOCK_STREAM), (UDP, socket.SOCK_DGRAM):
        def hold(port, protocol=protocol):
            error = Error()
            result = shim.cnl_port_hold(
                c.c_uint8(protocol), c.c_uint16(port), c.c_bool(True), c.byref(error))
            return result if result >= 0 else -error.error

        def take(family, address, kind=kind):
            with socket.socket(family, kind) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                s.bind((address, 8090))
        places = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"),
                  (socket.AF_INET6, "::1"), (socket.AF_INET6, "::"))
        for family, address in places:
            take(family, address)
        held = hold(8090)
        assert held >= 0 and hold(8090) == -errno.EADDRINUSE
        for family, address in places:
            try:
                take(family, address)
                raise AssertionError(f"{address} could be had")
            except OSError as error:
                assert error.errno == errno.EADDRINUSE
        os.close(held)
        for family, address in places:
            with socket.socket(family, kind) as s:
                s.bind((address, 8090))
                assert hold(8090) == -errno.EADDRINUSE, address


def test_as_many_ports_as_there_may_be():
    with pools():
        def all_of(*counts):
            return [publisher(number, *[(TCP, 1 + 1024 * number + i, 80) for i in range(count)])
                    for number, count in enumerate(counts)]
        install_nat(*all_of(*[1024] * 8))
        assert nft().count("tcp . ") == 2 * 8192
        raises(errno.E2BIG, install_nat, *all_of(*[1024] * 8, 1))
        call("cnl_nat_remove")


# --- Classifier

def program(verdict):
    """A program that says the same of every packet: 0 passes, 2 drops (TC_ACT_OK, TC_ACT_SHOT)."""
    code = c.create_string_buffer(struct.pack("=BBhiBBhi", 0xb7, 0, 0, verdict, 0x95, 0, 0, 0))
    license = c.create_string_buffer(b"GPL")
    request = struct.pack("=IIQQ", 3, 2, c.addressof(code), c.addressof(license)).ljust(120, b"\0")
    made = libc.syscall(321, 5, c.create_string_buffer(request, 120), 120)  # bpf, BPF_PROG_LOAD
    assert made >= 0, os.strerror(c.get_errno())
    return made


def running(index, find="cnl_classifier_find"):
    found = c.c_uint32()
    call(find, context, index, c.byref(found))
    return found.value


def test_classifier_is_there_from_the_beginning_and_can_be_replaced():
    passing, dropping = program(0), program(2)
    with pools(), namespace() as made:
        request, index = link(7), c.c_int()
        request.classifier = c.pointer(Programs(dropping, dropping))
        call("cnl_link_create", context, c.byref(made), c.byref(request), c.byref(index))
        assert index.value == socket.if_nametoindex("sl-7")
        assert not ping(address4(7), 0.3) and not ping(address6(7), 0.3)
        first = running(index.value)
        assert first > 0
        for from_slice, to_slice, reachable in (
                (passing, passing, True), (dropping, passing, False), (passing, dropping, False),
                (passing, passing, True)):
            call("cnl_classifier_attach", context, index, c.byref(Programs(from_slice, to_slice)))
            assert ping(address4(7), 1.0 if reachable else 0.3) == reachable
        assert running(index.value) not in (0, first)
        filters = subprocess.run(["tc", "filter", "show", "dev", "sl-7", "ingress"], check=True,
                                 capture_output=True, text=True).stdout
        assert filters.count("direct-action") == 1, filters
        call("cnl_link_delete", context, b"sl-7")
    os.close(passing), os.close(dropping)


def test_links_without_a_classifier_have_none_to_find():
    with pools(), namespace() as made:
        call("cnl_link_create", context, c.byref(made), c.byref(link(7)), None)
        assert running(socket.if_nametoindex("sl-7")) == 0
        assert running(1) == 0 and running(99999) == 0
        call("cnl_link_delete", context, b"sl-7")


def test_classifier_stands_beside_the_filters_of_others_on_an_uplink():
    passing, dropping, index = program(0), program(2), 1  # lo stands for it
    no_verdict = program(-1)

    def filters():
        return subprocess.run(["tc", "filter", "show", "dev", "lo", "egress"], check=True,
                              capture_output=True, text=True).stdout.count("direct-action")

    def attach(to_uplink):
        call("cnl_uplink_attach", context, index,
             c.byref(Programs(passing, passing, no_verdict, to_uplink)))

    try:
        attach(dropping)
        assert running(index, "cnl_uplink_find") > 0 and filters() == 1
        assert not ping("127.0.0.1", 0.3)
        assert running(index) == 0, "it is not that of a slice's link"
        attach(no_verdict)
        assert filters() == 1 and ping("127.0.0.1", 1.0)
        # Of others, for this purpose.
        call("cnl_classifier_attach", context, index, c.byref(Programs(passing, dropping, 0, 0)))
        assert filters() == 2 and not ping("127.0.0.1", 0.3)
        call("cnl_uplink_detach", context, index)
        call("cnl_uplink_detach", context, index)
        assert running(index, "cnl_uplink_find") == 0
        assert filters() == 1 and not ping("127.0.0.1", 0.3), "the other stays"
        call("cnl_uplink_detach", context, 99999)
    finally:
        subprocess.run(["tc", "qdisc", "del", "dev", "lo", "clsact"], check=True)
    for made in passing, dropping, no_verdict:
        os.close(made)


def test_classifier_can_be_tried():
    passing = program(0)
    with namespace(ipv6=False) as made:
        call("cnl_classifier_try", c.byref(made), c.byref(Programs(passing, passing)))
    os.close(passing)


# --- Bandwidth (cnetlink_shape.h)

class Root(c.Structure):
    _fields_ = [("owner", c.c_int), ("handle", c.c_uint32), ("kind", c.c_char * 16)]


class Class(c.Structure):
    _fields_ = [("minor", c.c_uint32), ("rate", c.c_uint64), ("ceil", c.c_uint64),
                ("burst", c.c_uint64), ("cburst", c.c_uint64), ("quantum", c.c_uint32),
                ("queue", c.c_uint32), ("packet", c.c_uint32), ("fresh", c.c_bool)]


class Bucket(c.Structure):
    _fields_ = [("rate", c.c_uint64), ("burst", c.c_uint32), ("queue", c.c_uint32)]


NONE, DEFAULT, OURS, OTHER = range(4)


def root_of(index):
    found = Root()
    call("cnl_root_find", context, index, c.byref(found))
    return found.owner


def shaped(minor, rate=1, ceil=12_500_000, queue=65_536, packet=1514, fresh=False):
    return Class(minor, rate, ceil, 3028, 250_000, 1600, queue if minor > 1 else 0, packet, fresh)


def set_classes(index, *classes):
    call("cnl_classes_set", context, index, (Class * len(classes))(*classes),
         c.c_size_t(len(classes)))


def qdiscs():
    return json.loads(subprocess.run(["tc", "-j", "qdisc", "show", "dev", "up0"], check=True,
                                     capture_output=True).stdout)


def classes():
    """What tc(8) tells of each class, by handle: a text, for it knows no JSON for all kinds."""
    text = subprocess.run(["tc", "class", "show", "dev", "up0"], check=True, capture_output=True,
                          text=True).stdout
    lines = [line.split(None, 3) for line in text.splitlines() if line.startswith("class htb")]
    return {line[2]: line[3] for line in lines}


@contextlib.contextmanager
def uplink():
    """A link of the host's; gives its index."""
    run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    try:
        yield socket.if_nametoindex("up0")
    finally:
        run("ip", "link", "delete", "up0")


def test_tree_of_classes():
    with uplink() as index:
        assert root_of(index) == NONE
        call("cnl_tree_create", context, index)
        assert root_of(index) == OURS
        call("cnl_tree_create", context, index)
        set_classes(index, shaped(1), *[shaped(minor) for minor in range(2, 42)])
        first = classes()
        assert len(first) == 41
        assert first["736c:29"].startswith("parent 736c:1") and first["736c:1"].startswith("root")
        leaves = [one for one in qdiscs() if one["kind"] == "tbf"]
        assert len(leaves) == 40 and len({one["parent"] for one in leaves}) == 40
        # The same again changes them, leaf and all; a fresh one is made anew.
        set_classes(index, shaped(2, ceil=2_500_000, queue=32_768))
        set_classes(index, shaped(3, rate=1_250_000, fresh=True), shaped(3, rate=2_500_000))
        again = classes()

        def leaf(all_of_them, handle):
            return re.search(r"leaf (\w+):", all_of_them[handle])[1]

        assert len(again) == 41 and "ceil 20Mbit" in again["736c:2"]
        assert "rate 20Mbit" in again["736c:3"]
        assert leaf(again, "736c:2") == leaf(first, "736c:2")
        assert leaf(again, "736c:3") != leaf(first, "736c:3")
        assert len([one for one in qdiscs() if one["kind"] == "tbf"]) == 40
        # One that no longer splits packets gets another queue, and back.
        for packet, kind in (0, "bfifo"), (1514, "tbf"):
            set_classes(index, shaped(5, queue=65_536, packet=packet))
            new, = [one for one in qdiscs() if one.get("parent") == "736c:5"]
            assert new["kind"] == kind
        for wrong in shaped(0), shaped(65_536), shaped(2, rate=0), shaped(2, ceil=0):
            raises(errno.EINVAL, set_classes, index, wrong)
        # Beyond 32 bits of bytes a second.
        set_classes(index, shaped(4, ceil=125_000_000_000))
        assert "ceil 1Tbit" in classes()["736c:4"]
        call("cnl_tree_remove", context, index)
        call("cnl_tree_remove", context, index)
        assert root_of(index) == NONE
        call("cnl_tree_remove", context, 99999)
        raises(errno.ENODEV, root_of, 99999)
        raises(errno.ENODEV, set_classes, 99999, shaped(2))
        raises(errno.ENOENT, set_classes, index, shaped(2))


def test_tree_leaves_what_an_administrator_has_made():
    with uplink() as index:
        for kind in ["pfifo", "limit", "50"], ["htb"], ["handle", "736c:", "pfifo"]:
            run("tc", "qdisc", "replace", "dev", "up0", "root", *kind)
            assert root_of(index) == OTHER
            raises(errno.EEXIST, call, "cnl_tree_create", context, index)
            if "736c:" not in kind:
                call("cnl_tree_remove", context, index)
            assert root_of(index) == OTHER
            run("tc", "qdisc", "delete", "dev", "up0", "root")


def test_bucket_comes_changes_and_goes():
    with uplink() as index:
        for rate in 125_000, 62_500_000:
            call("cnl_bucket_set", context, index, c.byref(Bucket(rate, 3028, 32_768)))
            one, = [one for one in qdiscs() if one["kind"] == "tbf"]
            assert one["handle"] == "736c:" and one["options"]["rate"] == rate
        for _ in range(2):
            call("cnl_bucket_set", context, index, None)
        assert root_of(index) == NONE
        raises(errno.ENODEV, call, "cnl_bucket_set", context, 99999,
               c.byref(Bucket(1000, 3028, 32_768)))


def test_shaping_can_be_tried_and_links_without_hardware_have_no_speed():
    with namespace(ipv6=False) as made:
        call("cnl_shape_try", c.byref(made))
    with uplink():
        shim.cnl_link_speed.restype = c.c_uint64
        assert shim.cnl_link_speed(context, b"up0") == 0
        assert shim.cnl_link_speed(context, b"nowhere") == 0


def test_watch_tells_of_uplinks_and_not_of_slices():
    watch, error = c.c_void_p(), Error()
    call("cnl_watch_open", c.byref(watch))

    def told(milliseconds=300):
        """Whether anything is told of until it is quiet."""
        found = False
        while (result := shim.cnl_watch_wait(watch, b"sl-", milliseconds, c.byref(error))) > 0:
            found = True
        assert result == 0, error
        return found

    try:
        with pools():
            told()
            with slice_network(7):
                # Each of its messages wakes the sleeper once at most.
                assert not any(told(20) for _ in range(20))
            assert not any(told(20) for _ in range(20))
        told()
        with uplink():
            assert told()
            run("ip", "link", "set", "up0", "up")
            assert told()
            run("ip", "route", "add", "default", "dev", "up0")
            assert told()
            run("ip", "route", "add", "192.0.2.0/24", "dev", "up0")
            assert not told()
        assert told()
    finally:
        shim.cnl_watch_close(watch)
        shim.cnl_watch_close(None)


# --- Running

def benchmark():
    """Milliseconds for one slice's network with 0 and with 500 there."""
    def build(number):
        made, start = Namespace(), time.perf_counter()
        call("cnl_namespace_create", -1, c.c_bool(True), c.byref(made))
        middle = time.perf_counter()
        call("cnl_link_create", context, c.byref(made), c.byref(link(number)), None)
        return made, (middle - start) * 1000, (time.perf_counter() - middle) * 1000

    def median(values):
        return sorted(values)[len(values) // 2]

    for present in 0, 1000, 8000:
        install_nat(*[publisher(2 + i // 1000, *[(TCP, 1 + j, 80) for j in range(i, i + 1000)])
                      for i in range(0, present, 1000)])
        times, port = [], publisher(99, (TCP, 60000, 80))
        for _ in range(50):
            start = time.perf_counter()
            publish(None, port)
            middle = time.perf_counter()
            publish(port, None)
            times.append(((middle - start) * 1000, (time.perf_counter() - middle) * 1000))
        print(f"  {present} ports published: one more {median([t[0] for t in times]):.2f} ms, "
              f"one less {median([t[1] for t in times]):.2f} ms")
    call("cnl_nat_remove")
    with pools():
        built = [build(number) for number in range(2, 532)]
        for label, part in (("0-29", built[:30]), ("500-529", built[500:])):
            print(f"  {label} present: namespace {median([b[1] for b in part]):.2f} ms, "
                  f"link {median([b[2] for b in part]):.2f} ms")
        start = time.perf_counter()
        call("cnl_link_delete", context, b"sl-2")
        one = (time.perf_counter() - start) * 1000
        many = ((c.c_char * 16) * 200)()
        for index in range(200):
            many[index].value = f"sl-{index + 3}".encode()
        start = time.perf_counter()
        call("cnl_link_delete_many", context, many, c.c_size_t(200))
        print(f"  delete one: {one:.1f} ms; 200 together: "
              f"{(time.perf_counter() - start) * 1000:.1f} ms")
        left, start = names()[1], time.perf_counter()
        for made, _, _ in built:
            shim.cnl_namespace_close(c.byref(made))
        closed = (time.perf_counter() - start) * 1000
        while names()[1]:
            time.sleep(0.01)
        print(f"  close {len(built)} namespaces ({left} with links): {closed:.1f} ms; "
              f"all gone after {(time.perf_counter() - start) * 1000:.0f} ms")


def benchmark_classes():
    """What one class costs beside many; medians in microseconds."""
    print("bandwidth")
    with uplink() as index:
        call("cnl_tree_create", context, index)
        set_classes(index, shaped(1))

        def timed(*changes):
            start = time.perf_counter()
            set_classes(index, *changes)
            return (time.perf_counter() - start) * 1e6

        def middle(values):
            return sorted(values)[len(values) // 2]

        present = 0
        for wanted in 0, 1000, 5000, 10_000:
            while present < wanted:
                set_classes(index, *[shaped(present + i) for i in range(2, 10)])
                present += 8
            extra = range(present + 2, present + 52)
            make = middle([timed(shaped(minor)) for minor in extra])
            change = middle([timed(shaped(minor, ceil=2_500_000)) for minor in extra])
            whole = middle([timed(shaped(minor, fresh=True)) for minor in extra])
            present += 50
            print(f"  {wanted} classes present: make {make:.0f}, change {change:.0f}, "
                  f"make anew {whole:.0f} us")


def main():
    global shim
    assert os.geteuid() == 0, "must be root"
    shim = load_shim()
    assert libc.unshare(CLONE_NEWNET) == 0, "cannot make a network namespace"
    run("ip", "link", "set", "lo", "up")
    pathlib.Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 4294967294")
    error = Error()
    assert shim.cnl_open(c.byref(context), c.byref(error)) == 0, error
    empty = census()
    previous = Forwarding()
    call("cnl_forwarding_enable", context, c.c_bool(True), c.byref(previous))
    if "--benchmark" in sys.argv:
        benchmark()
        return benchmark_classes()
    passed, failed = 0, 0
    for name, test in [item for item in globals().items() if item[0].startswith("test_")]:
        before = os.readlink("/proc/thread-self/ns/net")
        try:
            test()
            left = census()
            assert left == empty, f"left behind: {left}, before: {empty}"
            assert os.readlink("/proc/thread-self/ns/net") == before
            passed += 1
            print(f"ok      {name}")
        except Exception:
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc(file=sys.stdout)
    shim.cnl_close(context)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
