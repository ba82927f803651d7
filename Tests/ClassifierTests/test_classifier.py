#!/usr/bin/env python3
"""Tests of the classifier's program, as root: packets written out by hand, run through it by
BPF_PROG_TEST_RUN in a network namespace of the test's own. Usage:
    CLASSIFIER=build/bin/classifier.bpf.o test_classifier.py [--cost]
"""

import ctypes as c
import errno
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import frames
from packets import *

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIM = ROOT / "CShims" / "classifier"
OBJECT = os.environ.get("CLASSIFIER", str(ROOT / "build" / "bin" / "classifier.bpf.o"))
CLONE_NEWNET = 0x40000000
PASSED, DROPPED = 0, 2  # TC_ACT_OK, TC_ACT_SHOT
NO_VERDICT = 0xffffffff  # TC_ACT_UNSPEC

# The slice under test, one of the same owner, one of another's; the host; the world.
MINE, FRIEND, FOREIGN = 1, 2, 3
S = frames.Scene


# --- The interface, as cclassifier.h declares it

class Error(c.Structure):
    _fields_ = [("error", c.c_int), ("operation", c.c_char_p), ("detail", c.c_char * 192)]


class Slice(c.Structure):
    _fields_ = [("mac", c.c_uint8 * 6), ("host_mac", c.c_uint8 * 6), ("owner", c.c_uint32),
                ("class", c.c_uint32), ("has_ipv6", c.c_bool), ("shared", c.c_bool), ("namespace", c.c_uint64),
                ("ipv4", c.c_uint8 * 16), ("gateway4", c.c_uint8 * 16),
                ("ipv6", c.c_uint8 * 16), ("gateway6", c.c_uint8 * 16)]


class Departure(c.Structure):
    _fields_ = [("link", c.c_uint32), ("detail", c.c_int), ("address", c.c_uint8 * 16),
                ("port", c.c_uint16), ("source_port", c.c_uint16), ("protocol", c.c_uint8),
                ("packets", c.c_uint64), ("bytes", c.c_uint64), ("first", c.c_uint64),
                ("last", c.c_uint64)]


class ProgramInfo(c.Structure):  # linux/bpf.h, struct bpf_prog_info, its beginning
    _fields_ = [("type", c.c_uint32), ("id", c.c_uint32), ("rest", c.c_uint8 * 400)]


class TestRun(c.Structure):  # bpf/bpf.h, struct bpf_test_run_opts
    _fields_ = [("size", c.c_size_t), ("data_in", c.c_void_p), ("data_out", c.c_void_p),
                ("data_size_in", c.c_uint32), ("data_size_out", c.c_uint32),
                ("ctx_in", c.c_void_p), ("ctx_out", c.c_void_p), ("ctx_size_in", c.c_uint32),
                ("ctx_size_out", c.c_uint32), ("retval", c.c_uint32), ("repeat", c.c_int),
                ("duration", c.c_uint32), ("flags", c.c_uint32), ("cpu", c.c_uint32),
                ("batch_size", c.c_uint32)]


def load_shim():
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/libcclassifier.so"
        subprocess.run(
            ["cc", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
             f"-I{SHIM}/include", *(str(path) for path in SHIM.glob("*.c") if ".bpf." not in path.name),
             "-o", library, "-lbpf"], check=True)
        loaded = c.CDLL(library)
    loaded.ccl_reason_name.restype = c.c_char_p
    loaded.ccl_reason_name.argtypes = [c.c_size_t]
    loaded.ccl_reasons.restype = c.c_size_t
    return loaded


libc = c.CDLL(None, use_errno=True)
libbpf = c.CDLL("libbpf.so.1", use_errno=True)
shim = None


def call(name, *arguments):
    error = Error()
    result = getattr(shim, name)(*arguments, c.byref(error))
    if result < 0:
        raise OSError(-result, f"{name}: {(error.operation or b'?').decode()}: "
                               f"{error.detail.decode(errors='replace')}")
    return result


def mapped(address):
    raw = octets(address)
    return (c.c_uint8 * 16)(*(raw if len(raw) == 16 else bytes(10) + b"\xff\xff" + raw))


# --- The host

def ip(*lines):
    subprocess.run(["ip", "-force", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def make_host():
    """Links of three slices and an uplink, all in this namespace: nothing is really sent."""
    if libc.unshare(CLONE_NEWNET) < 0:
        sys.exit(f"test_classifier: unshare: {os.strerror(c.get_errno())}")
    lines = ["link set lo up", "link add up0 type veth peer name up1", "link set up1 up",
             f"address add {S.host4}/24 dev up0", f"address add {S.host6}/64 dev up0 nodad",
             "link set up0 up", "route add default via 203.0.113.1",
             "route add default via 2001:db8:113::1",
             f"address add {S.gateway4}/32 dev lo", f"address add {S.gateway6}/128 dev lo nodad"]
    for number, four, six in (MINE, S.me4, S.me6), (FRIEND, S.friend4, S.friend6), (FOREIGN, S.foreign4, S.foreign6):
        name = f"sl-{number}"
        lines += [f"link add {name} index {100 + number} type veth peer name p{number}",
                  f"link set p{number} up", f"link set {name} up",
                  f"route add {four}/32 dev {name}", f"route add {six}/128 dev {name}"]
    lines += ["route add unreachable 10.88.0.0/16", "route add unreachable fd88::/64 metric 4096"]
    ip(*lines)
    for path in "ipv4/ip_forward", "ipv6/conf/all/forwarding":
        pathlib.Path("/proc/sys/net", path).write_text("1")


def link(number):
    return 100 + number


def program_id(descriptor):
    info, size = ProgramInfo(), c.c_uint32(c.sizeof(ProgramInfo))
    assert libbpf.bpf_obj_get_info_by_fd(descriptor, c.byref(info), c.byref(size)) == 0
    return info.id


class Classifier:
    def __init__(self, earlier=None):
        """With an earlier one, of which links are known that its programs hang on."""
        self.pointer = c.c_void_p()
        programs = (shim.ccl_from_slice, shim.ccl_from_uplink, shim.ccl_to_uplink) if earlier else ()
        running = (c.c_uint32 * len(programs))(*(program_id(find(earlier.pointer)) for find in programs))
        call("ccl_open", OBJECT.encode(), running, c.c_size_t(len(programs)), c.byref(self.pointer))
        for network, length, allowed in (
                ("10.0.0.0", 96 + 8, False), ("10.1.9.0", 96 + 24, True), ("172.16.0.0", 96 + 12, False),
                ("fc00::", 7, False), ("fd00:9::", 32, True), ("fe80::", 10, False)):
            call("ccl_set_network", self.pointer, mapped(network), c.c_uint32(length),
                 c.c_bool(allowed))
        for protocol in TCP, UDP:
            self.add_service(mapped(S.resolver4), 53, protocol)
        self.add_service((c.c_uint8 * 16)(), S.host_port, UDP)

    def add_service(self, address, port, protocol):
        call("ccl_add_service", self.pointer, address, c.c_uint16(port), c.c_uint8(protocol))

    def remove_service(self, address, port, protocol):
        call("ccl_remove_service", self.pointer, address, c.c_uint16(port), c.c_uint8(protocol))

    def admit(self, number, owner, four, six, htb_class=0, shared=False, namespace=0):
        mac = SLICE_MAC[:5] + bytes([number])
        entry = Slice((c.c_uint8 * 6)(*mac), (c.c_uint8 * 6)(*HOST_MAC), owner, htb_class,
                      six is not None, shared, namespace,
                      mapped(four), mapped(S.gateway4), mapped(six or "::"), mapped(S.gateway6))
        call("ccl_admit", self.pointer, c.c_uint32(link(number)), c.byref(entry))

    def drops(self, number=MINE):
        count = shim.ccl_reasons()
        packets, sizes = (c.c_uint64 * count)(), (c.c_uint64 * count)()
        call("ccl_drops", self.pointer, c.c_uint32(link(number)), packets, sizes)
        return {shim.ccl_reason_name(i).decode(): (packets[i], sizes[i]) for i in range(count)}

    def run(self, frame, number=MINE, received=False, from_link=0, repeat=1):
        """The program's verdict and the nanoseconds that it took."""
        program = shim.ccl_to_slice if received else shim.ccl_from_slice
        options = self.run_program(program, frame, from_link, link(number), repeat)[0]
        return options.retval, options.duration

    def memory(self, name):
        """Bytes of a map, as the kernel counts them."""
        shim.ccl_map.argtypes = [c.c_void_p, c.c_char_p]
        text = pathlib.Path(f"/proc/self/fdinfo/{shim.ccl_map(self.pointer, name)}").read_text()
        return int(text.split("memlock:")[1].split()[0])

    def run_program(self, program, frame, from_link, at_link, repeat=1):
        context = (c.c_uint32 * 48)()  # struct __sk_buff
        after = (c.c_uint32 * 48)()
        context[9], context[10] = from_link, at_link  # ingress_ifindex, ifindex
        data = c.create_string_buffer(frame, len(frame))
        options = TestRun(
            size=c.sizeof(TestRun), data_in=c.addressof(data), data_size_in=len(frame),
            ctx_in=c.addressof(context), ctx_size_in=c.sizeof(context),
            ctx_out=c.addressof(after), ctx_size_out=c.sizeof(after), repeat=repeat)
        if libbpf.bpf_prog_test_run_opts(program(self.pointer), c.byref(options)) < 0:
            raise OSError(c.get_errno(), "BPF_PROG_TEST_RUN")
        return options, after

    def departs(self, frame, from_link):
        options, _ = self.run_program(shim.ccl_to_uplink, frame, from_link, socket.if_nametoindex("up0"))
        assert options.retval == NO_VERDICT

    def departures(self):
        found, count = c.POINTER(Departure)(), c.c_size_t()
        call("ccl_take_departures", self.pointer, c.byref(found), c.byref(count))
        result = [Departure.from_buffer_copy(found[index]) for index in range(count.value)]
        libc.free(found)
        return result

    def reason(self, frame, **where):
        """`pass`, or the reason under which the packet was counted; checks that it was, once."""
        number = where.get("number", MINE)
        before = self.drops(number)
        verdict, _ = self.run(frame, **where)
        changed = {name: value for name, value in self.drops(number).items()
                   if value != before[name]}
        if verdict == PASSED:
            assert not changed, changed
            return "pass"
        assert verdict == DROPPED, verdict
        if not changed:
            return "uncounted"
        (name, (packets, size)), = changed.items()
        assert packets == before[name][0] + 1, changed
        assert size == before[name][1] + len(frame), changed
        return name


# --- Tests

def classifier():
    made = Classifier()
    made.admit(MINE, 1000, S.me4, S.me6)
    made.admit(FRIEND, 1000, S.friend4, S.friend6)
    made.admit(FOREIGN, 1001, S.foreign4, S.foreign6)
    return made


def test_what_a_slice_sends():
    box, wrong = classifier(), []
    for words, wanted, frame in frames.sent(S):
        found = box.reason(frame)
        if found != wanted:
            wrong.append(f"{words}: {found} instead of {wanted}")
    assert not wrong, "\n".join(wrong)


def test_what_is_sent_to_a_slice():
    box, wrong = classifier(), []
    for words, wanted, frame in frames.received(S):
        found = box.reason(frame, received=True, from_link=77)
        if found != wanted:
            wrong.append(f"{words}: {found} instead of {wanted}")
    assert not wrong, "\n".join(wrong)


def test_every_reason_is_tried():
    names = {shim.ccl_reason_name(i).decode() for i in range(shim.ccl_reasons())}
    tried = {wanted for _, wanted, _ in frames.sent(S) + frames.received(S)}
    assert names == tried - {"pass"} | {"port"}, names  # that one in test_shared.py


def test_every_frame_cut_short_is_survived_and_never_passes_more():
    box = classifier()
    for words, wanted, frame in frames.sent(S):
        kind = frame[12:14]
        # The kernel runs none without a payload, nor what begins with less than the IP header.
        least = 34 if kind == b"\x08\x00" else 54 if kind == b"\x86\xdd" else 15
        for size in range(least, len(frame)):
            found = box.reason(frame[:size])
            assert wanted == "pass" or found != "pass" or wanted == "malformed", (words, size)


def test_a_link_that_is_not_admitted_passes_nothing():
    box = Classifier()
    assert box.run(v4(S.world4, UDP, udp(1, 2)))[0] == DROPPED
    assert box.run(frames.to_me(S), received=True)[0] == DROPPED
    box = classifier()
    call("ccl_dismiss", box.pointer, c.c_uint32(link(MINE)))
    assert box.run(v4(S.world4, UDP, udp(1, 2)))[0] == DROPPED
    call("ccl_dismiss", box.pointer, c.c_uint32(link(MINE)))


def test_without_ipv6_none_passes():
    box = classifier()
    box.admit(MINE, 1000, S.me4, None)
    assert box.reason(v6(S.world6, UDP, udp(1, 2), source="::")) == "sourceIpv6"
    assert box.reason(v6(S.world6, UDP, udp(1, 2))) == "sourceIpv6"
    frame = ethernet(ipv6(S.world6, "::", UDP, udp(53, 1)), IPV6, HOST_MAC, SLICE_MAC)
    assert box.reason(frame, received=True, from_link=77) == "notForSlice"
    assert box.reason(v4(S.world4, UDP, udp(1, 2))) == "pass"


def v4(destination, protocol, payload, source=S.me4):
    return ethernet(ipv4(source, destination, protocol, payload), IPV4)


def v6(destination, protocol, payload, source=S.me6):
    return ethernet(ipv6(source, destination, protocol, payload), IPV6)


def from_host(payload, six=False):
    packet = ipv6(S.host6, S.me6, *payload) if six else ipv4(S.host4, S.me4, *payload)
    return ethernet(packet, IPV6 if six else IPV4, HOST_MAC, SLICE_MAC)


def test_the_host_gets_its_answers_and_no_more():
    for six, answer, echo, reply, icmp_protocol in (
            (False, lambda *p: v4(S.host4, *p), 8, 0, ICMP), (True, lambda *p: v6(S.host6, *p), 128, 129, ICMP6)):
        box = classifier()
        for protocol, make in (TCP, tcp), (UDP, udp):
            segment = (80, 5555, ACK) if protocol == TCP else (80, 5555)
            assert box.reason(answer(protocol, make(*segment))) == "host", protocol
            # Forwarded packets open nothing, the host's own do.
            frame = from_host((protocol, make(5555, 80)), six)
            assert box.reason(frame, received=True, from_link=77) == "pass"
            assert box.reason(answer(protocol, make(*segment))) == "host", protocol
            assert box.reason(frame, received=True) == "pass"
            assert box.reason(answer(protocol, make(*segment))) == "pass", protocol
            assert box.reason(answer(protocol, make(81, *segment[1:]))) == "host", protocol
            assert box.reason(answer(protocol, make(80, 22))) == "host", protocol
        assert box.reason(answer(TCP, tcp(80, 5555, SYN | ACK))) == "pass"
        assert box.reason(answer(TCP, tcp(80, 5555, SYN))) == "host", "no connection the other way"
        assert box.reason(answer(icmp_protocol, icmp(reply, identifier=9))) == "host"
        assert box.reason(from_host((icmp_protocol, icmp(echo, identifier=9)), six), received=True) == "pass"
        assert box.reason(answer(icmp_protocol, icmp(reply, identifier=9))) == "pass"
        assert box.reason(answer(icmp_protocol, icmp(reply, identifier=8))) == "host"
        assert box.reason(answer(icmp_protocol, icmp(echo, identifier=9))) == "host"


def visits(six):
    """Who may come to a port that MINE publishes, and is else out of its reach: the address that it
    has, the link that it comes by, the reason of the drop, and how a packet from MINE goes there."""
    if six:
        return ((S.foreign6, link(FOREIGN), "otherOwner"), (S.site6, 77, "site"),
                (S.gateway6, link(MINE), "host"))
    return ((S.foreign4, link(FOREIGN), "otherOwner"), (S.site4, 77, "site"),
            (S.gateway4, link(MINE), "host"))


def visit(visitor, six, protocol, payload):
    packet = ipv6(visitor, S.me6, protocol, payload) if six else ipv4(visitor, S.me4, protocol, payload)
    return ethernet(packet, IPV6 if six else IPV4, HOST_MAC, SLICE_MAC)


def test_published_ports_answer_who_comes_and_nobody_else():
    for six in False, True:
        own, sent = mapped(S.me6 if six else S.me4), v6 if six else v4
        for protocol, make in (TCP, tcp), (UDP, udp):
            box = classifier()
            box.add_service(own, 80, protocol)
            more = (SYN | ACK,) if protocol == TCP else ()
            for visitor, by, refused in visits(six):
                def answers(port=80, to=4000):
                    return box.reason(sent(visitor, protocol, make(port, to, *more)))

                def visited(port=80, source=4000):
                    return box.reason(visit(visitor, six, protocol, make(source, port)),
                                      received=True, from_link=by)
                assert answers() == refused, "nobody has come"
                assert visited(port=81) == "pass" and answers(port=81) == refused, "not published"
                assert visited() == "pass" and answers() == "pass", (visitor, protocol)
                assert answers(to=4001) == refused and answers(port=81) == refused
                if protocol == TCP:
                    assert box.reason(sent(visitor, TCP, tcp(80, 4000, SYN))) == refused
                box.remove_service(own, 80, protocol)
                assert answers() == refused, "withdrawn"
                box.remove_service(own, 80, protocol)
                box.add_service(own, 80, protocol)


def test_published_ports_are_reached_by_slices_of_others():
    box = classifier()
    mac = SLICE_MAC[:5] + bytes([FOREIGN])
    for six, address, host in (False, S.me4, S.host4), (True, S.me6, S.host6):
        def reason(destination, port):
            source, make, kind = (S.foreign6, ipv6, IPV6) if six else (S.foreign4, ipv4, IPV4)
            return box.reason(ethernet(make(source, destination, TCP, tcp(4000, port)), kind, mac),
                              number=FOREIGN)
        assert reason(address, 80) == "otherOwner" and reason(host, 8080) == "host"
        anywhere = (c.c_uint8 * 16)()
        box.add_service(mapped(address), 80, TCP)
        box.add_service(anywhere, 8080, TCP)
        assert reason(address, 80) == "pass" and reason(host, 8080) == "pass"
        assert reason(address, 8080) == "otherOwner" and reason(host, 80) == "host"
        box.remove_service(mapped(address), 80, TCP)
        box.remove_service(anywhere, 8080, TCP)
        assert reason(address, 80) == "otherOwner" and reason(host, 8080) == "host"


def test_visits_do_not_push_out_what_the_host_waits_for():
    box = classifier()
    box.add_service(mapped(S.me4), 80, UDP)
    box.run(from_host((UDP, udp(5555, 80))), received=True)
    for port in range(1, 65536):
        box.run(visit(S.foreign4, False, UDP, udp(port, 80)), received=True, from_link=link(FOREIGN))
        if port < 20000:
            box.run(visit(S.gateway4, False, UDP, udp(port, 80)), received=True, from_link=link(MINE))
    assert box.reason(v4(S.host4, UDP, udp(80, 5555))) == "pass"
    assert box.reason(v4(S.foreign4, UDP, udp(80, 65535))) == "pass", "the newest is there"


def test_the_world_and_the_own_slices_leave_no_visits():
    box = classifier()
    box.add_service(mapped(S.me4), 80, UDP)
    for visitor, by in (S.world4, 77), (S.friend4, link(FRIEND)):
        box.run(visit(visitor, False, UDP, udp(4000, 80)), received=True, from_link=by)
    box.admit(FRIEND, 1001, S.friend4, S.friend6)
    assert box.reason(v4(S.friend4, UDP, udp(80, 4000))) == "otherOwner"


def test_another_slice_does_not_use_the_answers():
    box = classifier()
    box.run(from_host((UDP, udp(5555, 80))), received=True)
    frame = ethernet(ipv4(S.friend4, S.host4, UDP, udp(80, 5555)), IPV4, SLICE_MAC[:5] + b"\2")
    assert box.reason(frame, number=FRIEND) == "host"


def test_errors_about_what_the_host_sent_reach_it():
    box = classifier()
    assert box.reason(v4(S.host4, ICMP, icmp(3, 3, 0, frames.quote4(S.host4, S.me4)))) == "pass"
    assert box.reason(v4(S.host4, ICMP, icmp(3, 3, 0, frames.quote4(S.host4, S.world4)))) == "icmp"


def test_without_forwarding_nothing_is_taken_for_the_world():
    """The kernel then doesn't say where a packet goes."""
    box = classifier()
    for path, world, host in (
            ("ipv4/conf/sl-1/forwarding", v4(S.world4, TCP, tcp(1, 80)), v4(S.host4, TCP, tcp(1, 22))),
            ("ipv6/conf/sl-1/forwarding", v6(S.world6, TCP, tcp(1, 80)), v6(S.host6, TCP, tcp(1, 22)))):
        switch = pathlib.Path("/proc/sys/net", path)
        switch.write_text("0")
        try:
            assert box.reason(world) == "host" and box.reason(host) == "host", path
        finally:
            switch.write_text("1")
        assert box.reason(world) == "pass", path


def test_what_passed_a_moment_ago_passes_by_no_older_rule():
    """Verdicts are remembered, for the same packet and until a rule changes."""
    for make, friend, six in (v4, S.friend4, S.friend6), (v6, S.friend6, S.friend6):
        box, frame = classifier(), make(friend, UDP, udp(1, 2))
        assert box.reason(frame) == "pass" and box.reason(frame) == "pass"
        foreign = {v4: S.foreign4, v6: S.foreign6}[make]
        theirs = frame.replace(octets({v4: S.me4, v6: S.me6}[make]), octets(foreign))
        theirs = theirs[:6] + SLICE_MAC[:5] + b"\3" + theirs[12:]
        assert box.reason(theirs, number=FOREIGN) == "otherOwner", "nobody else's"
        box.admit(FRIEND, 1001, S.friend4, six)
        assert box.reason(frame) == "otherOwner"
        box.admit(FRIEND, 1000, S.friend4, six)
        assert box.reason(frame) == "pass"
        call("ccl_dismiss", box.pointer, c.c_uint32(link(FRIEND)))
        assert box.reason(frame) == "site"
    box, frame = classifier(), v4(S.open4, TCP, tcp(40000, 443))
    assert box.reason(frame) == "pass"
    call("ccl_set_network", box.pointer, mapped("10.1.9.0"), c.c_uint32(96 + 24), c.c_bool(False))
    assert box.reason(frame) == "site"


def test_an_address_that_the_host_gets_is_soon_its_own():
    box = classifier()
    for frame, address in (v4(S.world4, UDP, udp(1, 2)), f"{S.world4}/32"), (v6(S.world6, UDP, udp(1, 2)), f"{S.world6}/128"):
        assert box.reason(frame) == "pass"
        ip(f"address add {address} dev up0" + (" nodad" if ":" in address else ""))
        try:
            # Nothing tells the program of the host's routes.
            assert eventually(lambda: box.reason(frame) == "host"), address
        finally:
            ip(f"address delete {address} dev up0")
        assert box.reason(frame) == "pass", "what was refused is not remembered"


def eventually(condition):
    end = time.monotonic() + 5
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


DETAILED, BY_ADDRESS, REST = 0, 1, 2


def test_what_leaves_is_counted_by_slice_and_destination():
    box = classifier()
    far4, far6 = bytes(mapped(S.world4)), octets(S.world6)
    sent = [
        (v4(S.world4, UDP, udp(40001, 53)), far4, 53, 40001, UDP),
        (v6(S.world6, UDP, udp(40001, 53)), far6, 53, 40001, UDP),
        (v4(S.world4, TCP, tcp(40001, 53)), far4, 53, 40001, TCP),
        (v4(S.world4, ICMP, icmp(8, identifier=77)), far4, 8, 77, ICMP),
        (v6(S.world6, ICMP6, icmp(128, identifier=78)), far6, 128, 78, ICMP6),
        (v4(S.world4, ICMP, icmp(3, 3, 0x1234, frames.quote4(S.world4, S.me4))), far4, 3, 0, ICMP),
        (ethernet(ipv4(S.me4, S.world4, UDP, b"x" * 64, fragment=65), IPV4), far4, 0, 0, UDP),
        (ethernet(ipv4(S.me4, S.world4, UDP, b"xy", fragment=73), IPV4), far4, 0, 0, UDP),
        (v6(S.world6, FRAGMENT, fragment6(UDP, 0, 1, udp(40001, 53, b"x" * 64))), far6, 53, 40001, UDP),
        (v6(S.world6, FRAGMENT, fragment6(UDP, 72, 0, b"x" * 64)), far6, 0, 0, UDP)]
    wanted = {}
    for frame, address, port, source_port, protocol in sent:
        for number, times in (MINE, 3), (FRIEND, 1):
            for _ in range(times):
                box.departs(frame, link(number))
            key = link(number), address, port, source_port, protocol
            packets, size = wanted.get(key, (0, 0))
            wanted[key] = packets + times, size + times * len(frame)
    # The host's own, and what came in by another link.
    box.departs(sent[0][0], 0)
    box.departs(sent[0][0], socket.if_nametoindex("up1"))
    for _ in range(2):
        found = box.departures()
        detailed = {(d.link, bytes(d.address), d.port, d.source_port, d.protocol): (d.packets, d.bytes)
                    for d in found if d.detail == DETAILED}
        assert detailed == wanted, (detailed, wanted)
        now = time.monotonic_ns()
        assert all(now - 5e9 < d.first <= d.last <= now for d in found if d.detail == DETAILED)
        assert sorted(d.link for d in found if d.detail == REST) == [link(n) for n in (MINE, FRIEND, FOREIGN)]
        assert all(d.packets == 0 for d in found if d.detail == REST)
        wanted = {}  # taken is taken


def test_a_flood_is_counted_as_a_whole_and_takes_no_others_place():
    box = classifier()
    for _ in range(2):  # turns
        box.departs(v4(S.world4, UDP, udp(1, 53)), link(FRIEND))
        before = [d.packets for d in box.departures() if d.link == link(MINE) and d.detail == REST][0]
        for index in range(4000):
            box.departs(v4(f"198.18.{index >> 8}.{index & 255}", UDP, udp(index + 1, 9)), link(MINE))
        for _ in range(2000):
            box.departs(v4("198.18.4.1", UDP, udp(9, 99)), link(MINE))  # the 1026th
        box.departs(v4(S.world4, UDP, udp(2, 53)), link(FRIEND))
        found = box.departures()
        mine = [d for d in found if d.link == link(MINE)]
        count = [sum(d.detail == detail for d in mine) for detail in range(3)]
        assert count == [1024, 256, 1], count
        rest = [d.packets for d in mine if d.detail == REST][0] - before
        assert sum(d.packets for d in mine if d.detail != REST) + rest == 6000
        assert rest == 4000 - 1024 - 256
        victim, = [d for d in mine if bytes(d.address) == bytes(mapped("198.18.4.1"))]
        assert (victim.detail, victim.packets, victim.port, victim.protocol) == (BY_ADDRESS, 2001, 0, 0)
        friend, = [d for d in found if d.link == link(FRIEND) and d.detail == DETAILED]
        assert (friend.packets, friend.source_port) == (1, 2)


def test_floods_of_all_leave_each_slice_its_part():
    box, links = Classifier(), range(1000, 1160)
    entry = Slice()
    for index in links:
        call("ccl_admit", box.pointer, c.c_uint32(index), c.byref(entry))
    box.departures()
    for index in links:
        for port in range(1, 1101):
            box.departs(v4(S.world4, UDP, udp(port, 9)), index)
    found = box.departures()
    entries = {index: [d for d in found if d.link == index] for index in links}
    # Half of all entries is for whoever comes first, half of them is divided evenly.
    least = 131072 // 2 // len(links) * 3 // 4
    assert len(found) <= 131072 + len(links)
    for index, list_ in entries.items():
        assert sum(d.packets for d in list_) == 1100, index
        assert sum(d.detail == DETAILED for d in list_) >= least, (index, len(list_), least)


def test_the_next_classifier_goes_on_counting():
    earlier = classifier()
    for turn in range(2):  # whichever map is filled
        earlier.run(v4(S.host4, TCP, tcp(1, 22)))
        earlier.departs(v4(S.world4, UDP, udp(1, 53 + turn)), link(MINE))
        box = Classifier(earlier)
        assert box.drops()["host"][0] == turn + 1
        found = [d.port for _ in range(2) for d in box.departures() if d.detail == DETAILED]
        assert found == [53 + turn], found
        earlier.departures()


def test_what_one_slice_may_reach_others_may_not():
    box = classifier()
    cases = (("network", v4, S.site4, "10.1.2.0", 96 + 24, "site"),
             ("network", v6, S.site6, S.site6, 128, "site"),
             ("service", v4, S.host4, 9999, TCP, "host"), ("service", v6, S.host6, 9999, TCP, "host"))
    for kind, make, address, *what, refused in cases:
        frame = make(address, TCP, tcp(40000, 9999))
        friends = frame[:6] + SLICE_MAC[:5] + b"\2" + frame[12:]
        friends = friends.replace(octets(S.me4), octets(S.friend4)).replace(octets(S.me6), octets(S.friend6))

        def allow(number, allowed):
            first = mapped(what[0]) if kind == "network" else c.c_uint16(what[0])
            second = c.c_uint32(what[1]) if kind == "network" else c.c_uint8(what[1])
            call(f"ccl_allow_{kind}", box.pointer, c.c_uint32(link(number)), first, second, c.c_bool(allowed))

        assert box.reason(frame) == refused
        for _ in range(2):
            allow(MINE, True)
            assert box.reason(frame) == "pass" and box.reason(frame) == "pass"
            assert box.reason(friends, number=FRIEND) == refused
            if kind == "service":
                assert box.reason(make(address, TCP, tcp(40000, 9998))) == refused
                assert box.reason(make(address, UDP, udp(40000, 9999))) == refused
            else:
                assert box.reason(make(S.resolver4 if make is v4 else S.site6[:-1] + "4", TCP, tcp(40000, 99))) == (
                    "pass" if make is v4 else refused)
            allow(MINE, False)
            assert box.reason(frame) == refused, "withdrawn is withdrawn at once"
            allow(MINE, False)


def test_all_of_ipv6_is_nothing_of_ipv4():
    box = classifier()
    call("ccl_allow_network", box.pointer, c.c_uint32(link(MINE)), mapped("::"), c.c_uint32(0), c.c_bool(True))
    assert box.reason(v6(S.site6, TCP, tcp(1, 2))) == "pass"
    assert box.reason(v4(S.site4, TCP, tcp(1, 2))) == "site"
    call("ccl_allow_network", box.pointer, c.c_uint32(link(MINE)), mapped("0.0.0.0"), c.c_uint32(96), c.c_bool(True))
    assert box.reason(v4(S.site4, TCP, tcp(1, 2))) == "pass"


def test_counters_of_all_links_at_once():
    box = classifier()
    box.run(v4(S.host4, TCP, tcp(1, 22)))
    box.run(v4(S.foreign4, TCP, tcp(1, 22)))
    count, reasons = c.c_size_t(), shim.ccl_reasons()
    links, packets, sizes = (c.c_uint32 * 4)(), (c.c_uint64 * (4 * reasons))(), (c.c_uint64 * (4 * reasons))()
    call("ccl_drops_list", box.pointer, links, packets, sizes, c.c_size_t(4), c.byref(count))
    assert sorted(links[:count.value]) == [link(n) for n in (MINE, FRIEND, FOREIGN)]
    for index, number in enumerate(links[:3]):
        one = box.drops(number - 100)
        assert [(packets[index * reasons + i], sizes[index * reasons + i]) for i in range(reasons)] == list(one.values())
    call("ccl_drops_list", box.pointer, links, packets, sizes, c.c_size_t(1), c.byref(count))
    assert count.value == 3, "too few places are told"


def test_flows_are_bounded_and_the_oldest_goes():
    box = classifier()
    for port in range(20000, 60000):
        box.run(from_host((UDP, udp(port, 80))), received=True)
    assert box.reason(v4(S.host4, UDP, udp(80, 59999))) == "pass"
    assert box.reason(v4(S.host4, UDP, udp(80, 20000))) == "host"


def test_an_uplink_tells_packets_of_slices_from_others():
    box = Classifier()
    box.admit(MINE, 1000, S.me4, S.me6, htb_class=0x51150001)
    box.admit(FRIEND, 1000, S.friend4, S.friend6)
    frame, uplink = v4(S.world4, UDP, udp(1, 2), source=S.host4), socket.if_nametoindex("up0")
    for from_link, priority in (link(MINE), 0x51150001), (link(FRIEND), 0), (0, 0), (77, 0):
        options, after = box.run_program(shim.ccl_to_uplink, frame, from_link, uplink)
        assert options.retval == NO_VERDICT, "filters of others are asked too"
        assert after[8] == priority, (from_link, hex(after[8]))  # __sk_buff.priority
    options, after = box.run_program(shim.ccl_from_uplink, frame, 0, uplink)
    assert options.retval == NO_VERDICT and after[8] == 0


def test_retaining_forgets_the_others():
    box = classifier()
    box.run(v4(S.host4, TCP, tcp(1, 22)))
    call("ccl_retain", box.pointer, (c.c_uint32 * 1)(link(MINE)), c.c_size_t(1))
    assert box.drops()["host"][0] == 1
    try:
        box.drops(FRIEND)
        assert False
    except OSError as error:
        assert error.errno == errno.ENOENT
    # To whom it isn't admitted any more, the address is one of the site's.
    assert box.reason(v4(S.friend4, TCP, tcp(1, 2))) == "site"


def test_a_missing_object_is_said():
    try:
        pointer = c.c_void_p()
        call("ccl_open", b"/nowhere/x.o", None, c.c_size_t(0), c.byref(pointer))
        assert False
    except OSError as error:
        assert error.errno == errno.ENOENT and "/nowhere/x.o" in str(error), error


def show_cost():
    box = classifier()
    box.run(from_host((TCP, tcp(5555, 80))), received=True)
    box.add_service(mapped(S.friend4), 80, TCP)
    box.admit(FRIEND, 1000, S.friend4, S.friend6)
    published = ethernet(ipv4(S.foreign4, S.friend4, TCP, tcp(4000, 80, ACK)), IPV4, HOST_MAC,
                         S.friend_mac)
    for words, frame, where in (
            ("UDP to the world", v4(S.world4, UDP, udp(1, 2)), {}),
            ("UDP to the world, v6", v6(S.world6, UDP, udp(1, 2)), {}),
            ("UDP to a slice", v4(S.friend4, UDP, udp(1, 2)), {}),
            ("answer to the host", v4(S.host4, TCP, tcp(80, 5555, ACK)), {}),
            ("foreign source, dropped", v4(S.world4, UDP, udp(1, 2), source="192.0.2.9"), {}),
            ("forwarded to it", frames.to_me(S), {"received": True, "from_link": 77}),
            ("to a published port", published, {"number": FRIEND, "received": True, "from_link": link(FOREIGN)}),
            ("from the host to it", from_host((TCP, tcp(5555, 80, ACK))), {"received": True})):
        times = sorted(box.run(frame, repeat=1_000_000, **where)[1] for _ in range(5))
        print(f"{words:28} {times[2]:5} ns a packet")
    uplink, far = socket.if_nametoindex("up0"), v4(S.world4, UDP, udp(1, 2))
    for words, frame, from_link in (
            ("leaves by the uplink", far, link(MINE)), ("leaves, v6", v6(S.world6, UDP, udp(1, 2)), link(MINE)),
            ("leaves, of the host's own", far, 0)):
        times = sorted(
            box.run_program(shim.ccl_to_uplink, frame, from_link, uplink, 1_000_000)[0].duration for _ in range(5))
        print(f"{words:28} {times[2]:5} ns a packet")
    for index in range(1024 + 256):  # fills what it may have
        box.departs(v4(f"198.18.{index >> 8}.{index & 255}", UDP, udp(9, 9)), link(MINE))
    frame = v4("198.18.200.1", UDP, udp(9, 9))
    times = sorted(box.run_program(shim.ccl_to_uplink, frame, link(MINE), uplink, 1_000_000)[0].duration for _ in range(5))
    print(f"{'leaves, in a flood':28} {times[2]:5} ns a packet")
    # One packet a call, with all that is cold then: to be compared with each other.
    for count in 1, 100, 10_000:
        for words, make in ("", v4), (", v6", v6):
            world = S.world6 if words else S.world4
            flows = [make(world, UDP, udp(1000 + index, 9)) for index in range(count)]
            times = sorted(box.run(flows[index % count])[1] for index in range(20_000))
            print(f"{f'{count} flows in turn{words}':28} {times[10_000]:5} ns a call")


def show_memory():
    box = Classifier()
    entry = Slice()
    size = sum(box.memory(name) for name in (b"audit_even", b"senders"))
    print(f"a map of the audit, empty: {size / 2**20:.1f} MiB")
    for index in range(1000, 1110):
        call("ccl_admit", box.pointer, c.c_uint32(index), c.byref(entry))
    box.departures()
    box.departures()
    for index in range(1000, 1110):
        for number in range(1280):
            box.departs(v4(f"198.18.{number >> 8}.{number & 255}", UDP, udp(9, 9)), index)
    size = sum(box.memory(name) for name in (b"audit_even", b"senders"))
    print(f"a map of the audit, full: {size / 2**20:.1f} MiB")


def main():
    global shim
    if os.geteuid() != 0:
        sys.exit("test_classifier: needs root")
    shim = load_shim()
    make_host()
    if "--cost" in sys.argv:
        show_cost()
        return show_memory()
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
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
