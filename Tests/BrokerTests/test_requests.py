#!/usr/bin/python3
"""Requests to slice-broker by its socket for the slice (slice_request.h), and AF_XDP, in boxes like slices
(box.py), as root. The binary as in test_slice_broker.py. Usage:
    test_requests.py [TEST…]
"""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

import box
from box import ICMP, SNIFF, UDP, XDP, drain
from test_slice_broker import BrokerTest, EXPERIMENT, send_frame, send_udp

RING = 16 << 20
SOCKETS, AF_XDP = 1, 44
TOOL = os.path.join(tempfile.mkdtemp(prefix="slice-broker-xdp."), "xdp")

# In the box: asks by a connection, and gets what came.
ASK = """
asking = socket(AF_UNIX, SOCK_SEQPACKET)
asking.connect(sys.argv[1])
def ask(*words):
    asking.send(struct.pack("=8I", *words, *[0] * (8 - len(words))))
    data, opened, _, _ = recv_fds(asking, 100, 64)
    kind, error, count, _ = struct.unpack("=IiII", data)
    assert count == len(opened) and kind == words[0], (kind, count, opened)
    if error or kind != 1:
        for number in opened: os.close(number)
        return errno.errorcode[error] if error else opened
    return [socket(fileno=number) for number in opened]
"""


def setUpModule():
    root = box.CHECKOUT
    os.chmod(os.path.dirname(TOOL), 0o755)
    subprocess.run(
        ["cc", "-O1", "-o", TOOL, f"-I{root}/CShims/sliceraw/include",
         f"{root}/Tests/BrokerTests/xdp.c", *[f"{root}/CShims/sliceraw/{name}.c" for name in
                                              ("request", "xdp")]], check=True)


def tearDownModule():
    os.unlink(TOOL)
    os.rmdir(os.path.dirname(TOOL))


class RequestTest(BrokerTest):
    def granted(self, **grants):
        """A box with a broker that has these grants, and AF_XDP where they say so."""
        made = self.box()
        self.assertEqual(made.start_broker(), b"")
        if grants.get("flags", 0) & XDP:
            self.assertEqual(made.deliver(), (0, 0, 0))
        self.assertEqual(made.grant(**{"ring": RING} | grants), (0, 0, 0))
        return made

    def asked(self, where, program, **options):
        return self.python(where, ASK + program, where.request_path, **options)

    def xdp(self, where, *words):
        """The tool, once it has its socket."""
        program = where.start([TOOL, where.request_path, *words])
        self.assertEqual(program.line(), "open")
        return program

    def opens(self, where):
        """What opening comes to: `ok`, or an errno's name."""
        text = where.run(TOOL, where.request_path, "again", "1")[1].split()
        return "ok" if text[0] == "open" else text[-1]


class Bulk(RequestTest):
    def test_all_or_none_with_the_filter_of_each(self):
        where = self.granted(udp=[(5000, 5000)])
        program = where.start_python(ASK + """
made = ask(1, AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_UDP, 64)
print(len(made), {one.family for one in made} == {AF_INET}, len({one.fileno() for one in made}))
print(ask(1, AF_INET, SOCK_RAW, IPPROTO_TCP, 2), ask(1, AF_INET, SOCK_RAW, IPPROTO_UDP, 65),
      ask(1, AF_INET, SOCK_RAW, IPPROTO_UDP, 0), ask(1, AF_INET, SOCK_DGRAM, 0, 1), ask(9), ask(0))
sys.stdin.readline()
print([received(one)[0][-6:] if one is made[0] else one.recv(100)[-6:] for one in made[:3]])
""", where.request_path)
        self.assertEqual(program.line(), "64 True 64")
        self.assertEqual(program.line(), "EPERM EINVAL EINVAL EPERM EINVAL EINVAL")
        for port in 4999, 5000, 5001:
            send_udp(where, port, b"<%d>" % port)
        program.send("\n")
        self.assertEqual(eval(program.line()), [b"<5000>"] * 3)
        program.wait()
        told = [(event[0], *event[1:4]) for event in where.events()]
        self.assertEqual(told, [(program.pid, socket.AF_INET, socket.SOCK_RAW, 6),
                                (program.pid, socket.AF_INET, socket.SOCK_DGRAM, 0)])

    def test_any_user_may_ask_and_nobody_else_is_harmed_by_nonsense(self):
        where = self.granted(ipv4=[ICMP])
        text = self.asked(where, """
def connected():
    made = socket(AF_UNIX, SOCK_SEQPACKET); made.settimeout(5); made.connect(sys.argv[1]); return made
print([len(one.recv(10)) for one in [connected()] if [one.send(b"x"), True]],
      [len(one.recv(10)) for one in [connected()] if [one.send(b"x" * 33), True]])
one = connected()
send_fds(one, [struct.pack("=8I", 1, AF_INET, SOCK_RAW, 1, 1, 0, 0, 0)], [0, 1])
print(struct.unpack("=IiII", recv_fds(one, 100, 4)[0]))
silent = [connected() for _ in range(3)]
for one in silent:                          # never read: they get one answer
    for _ in range(9): one.send(struct.pack("=8I", 1, AF_INET, SOCK_RAW, 1, 64, 0, 0, 0))
print(len(ask(1, AF_INET, SOCK_RAW, 1, 2)), len(ask(1, AF_INET, SOCK_RAW, 1, 64)))
time.sleep(0.2)
silent[0].setblocking(False)
print(attempt(lambda: silent[0].recv(100, MSG_PEEK)), len(recv_fds(silent[0], 100, 64)[1]))
""", user=1000)
        self.assertEqual(text.split("\n"), ["[0] [0]", "(1, 0, 1, 0)", "2 64", "ok 64"])

    def test_a_withdrawn_grant_ends_them(self):
        where = self.granted(ipv4=[ICMP], udp=[(5000, 5000)])
        program = where.start_python(ASK + """
made = ask(1, AF_INET, SOCK_RAW, IPPROTO_UDP, 10)
print("open"); sys.stdin.readline()
print(sum(len(received(one, 0.01)) for one in made))
""", where.request_path)
        self.assertEqual(program.line(), "open")
        self.assertEqual(where.grant(ipv4=[ICMP], ring=RING), (0, 10, 0))
        send_udp(where, 5000)
        program.send("\n")
        self.assertEqual(program.line(), "0")


class AddressFamilyXDP(RequestTest):
    def frames(self, program):
        os.close(program.input)
        program.input = -1
        return [bytes.fromhex(line) for line in program.wait()[1].split()]

    def test_it_receives_what_the_grants_say_in_place_of_others(self):
        where = self.granted(flags=XDP, udp=[(5000, 5001)], ethertypes=[EXPERIMENT])
        others = where.start_python("""
made = []
for port in 4999, 5001:
    made.append(socket(AF_INET, SOCK_DGRAM)); made[-1].bind(("", port))
print("open"); sys.stdin.readline()
print([received(one) for one in made])
""")
        self.assertEqual(others.line(), "open")
        program = self.xdp(where, "receive")
        for port in 4999, 5000, 5001, 5002:
            send_udp(where, port, b"<%d>" % port)
        send_udp(where, 5000, b"<six6>", six=True)
        send_udp(where, 5000, b"a" * 3000)  # in parts, which have no ports
        send_frame(where, EXPERIMENT, b"<frame>")
        send_frame(where, EXPERIMENT + 1, b"<other>")
        others.send("\n")
        self.assertEqual(eval(others.line()), [[b"<4999>"], []])
        found = [frame.rstrip(b"\0")[-6:] for frame in self.frames(program)]
        self.assertEqual(found, [b"<5000>", b"<5001>", b"<six6>", b"frame>"])

    def test_it_sends(self):
        where = self.granted(flags=XDP, udp=[(5000, 5000)])
        host, own = [bytes.fromhex(mac.replace(":", "")) for mac in where.macs()]
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.addCleanup(tap.close)
        tap.bind((where.link, 0))
        tap.setblocking(False)
        frame = host + own + struct.pack("!H", EXPERIMENT) + b"<sent>" * 10
        code, text = where.run(TOOL, where.request_path, "send", "100", frame.hex())
        self.assertEqual((code, text.split("\n")[1]), (0, "sent 100"))
        self.assertEqual(sum(data == frame for data, _ in drain(tap)), 100)

    def test_memory_and_rings_are_set_once_and_for_all(self):
        where = self.granted(flags=XDP)
        # XDP_RX_RING, XDP_TX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING
        for option in 2, 3, 4, 5, 6:
            self.assertEqual(where.run(TOOL, where.request_path, "again", str(option))[1],
                             "open\nEBUSY\n", option)

    def test_without_the_grant(self):
        where = self.granted(udp=[(5000, 5000)])
        self.assertEqual(self.opens(where), "EPERM")
        self.assertEqual([event[1:4] for event in where.events()], [(AF_XDP, socket.SOCK_RAW, 0)])
        self.assertEqual(self.asked(where, "print(attempt(lambda: socket(44, SOCK_RAW, 0)))"), "EPERM")

    def test_one_at_a_time_and_another_after_it(self):
        where = self.granted(flags=XDP)
        first = self.xdp(where, "hold")
        self.assertEqual(self.opens(where), "EBUSY")
        self.frames(first)
        for _ in range(5):
            self.assertEqual(self.opens(where), "ok")

    def test_it_is_bounded_together_with_packet_rings(self):
        program = """
def ring(made, bytes): return attempt(lambda: made.setsockopt(263, 5, struct.pack("=4I", 65536, bytes >> 16, 2048, bytes // 2048)))
made = socket(AF_PACKET, SOCK_RAW, 0)
def xdp(size, frames, ring=64): 
    found = ask(2, size, frames, ring, ring, ring, ring)
    return found if isinstance(found, str) else "ok"
"""
        where = self.granted(flags=SNIFF | XDP)
        text = self.asked(where, program + f"""
print(ring(made, {RING}), ring(made, {RING * 3 // 4}))    # a quarter is the socket's
print(xdp(4096, {RING // 4096}), xdp(4096, {RING // 4096} * 2), xdp(2048, 16384), xdp(4096, 64, 16384),
      xdp(4096, 64, 63), xdp(1024, 64), xdp(8192, 64), xdp(4096, 0), xdp(2048, 3), xdp(4096, 64, 0))
""")
        self.assertEqual(text.split("\n"), [
            "ENOMEM ok", "ok ENOMEM ENOMEM EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL"])
        # Rings that were there before the grant.
        where = self.granted(flags=SNIFF)
        holder = where.start_python(program.replace("def xdp", "def unused") + f"print(ring(made, {RING})); sys.stdin.readline()")
        self.assertEqual(holder.line(), "ok")
        where.deliver()
        where.grant(flags=SNIFF | XDP, ring=RING)
        self.assertEqual(self.asked(where, program + "print(xdp(4096, 64))"), "ENOMEM")

    def test_a_withdrawn_grant_ends_it(self):
        where = self.granted(flags=XDP, udp=[(5000, 5000)])
        program = self.xdp(where, "receive")
        send_udp(where, 5000, b"<before>")
        self.assertTrue(program.line().endswith(b"<before>".hex()))
        self.assertEqual(where.grant(udp=[(5000, 5000)], ring=RING), (0, 0, 0))
        send_udp(where, 5000, b"<after>")
        # Nor by a later grant.
        where.deliver()
        where.grant(flags=XDP, udp=[(5000, 5000)], ring=RING)
        send_udp(where, 5000, b"<again>")
        self.assertEqual(self.frames(program), [])

    def test_it_outlives_the_broker(self):
        where = self.granted(flags=XDP, udp=[(5000, 5000)])
        program = self.xdp(where, "receive")
        where.kill_broker()
        send_udp(where, 5000, b"<alone>")
        self.assertTrue(program.line().endswith(b"<alone>".hex()))
        self.assertEqual(where.start_broker(), b"")
        where.deliver()
        where.grant(flags=XDP, udp=[(5000, 5000)], ring=RING)
        send_udp(where, 5000, b"<next>")
        self.assertTrue(program.line().endswith(b"<next>".hex()))


class Passed(RequestTest):
    """A socket that is given to a process of another box stays its own box's."""

    def test_a_socket_in_another_box_is_judged_by_its_own(self):
        one, other = self.granted(ipv4=[ICMP], udp=[(5000, 5000)]), self.granted(udp=[(6000, 6000)])
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o777)
            meeting = os.path.join(directory, "meeting")
            taker = other.start_python("""
waiting = socket(AF_UNIX, SOCK_DGRAM); waiting.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777)
print("open")
raw = socket(fileno=recv_fds(waiting, 1, 1)[1][0])
def datagram(port): return struct.pack("!HHHH", port, 9, 14, 0) + b"passed"
def send(port): return attempt(lambda: raw.sendto(datagram(port), (sys.argv[2], 0)))
print("have", send(5000), send(6000))
sys.stdin.readline()
print([data[20:22] for data in received(raw)])
sys.stdin.readline()
print(send(5000), len(received(raw)))
""", meeting, one.host4)
            self.assertEqual(taker.line(), "open")
            tap = socket.socket(socket.AF_INET, socket.SOCK_RAW, UDP)
            self.addCleanup(tap.close)
            tap.setblocking(False)
            giver = one.start_python("""
raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP)
giving = socket(AF_UNIX, SOCK_DGRAM); giving.connect(sys.argv[1])
send_fds(giving, [b"x"], [raw.fileno()])
""", meeting)
            self.assertEqual(giver.wait()[0], 0)
            # It sends from its own box, what that may; not what the other's grants say.
            self.assertEqual(taker.line(), "have 14 14")
            ports = [(place[0], *struct.unpack_from("!H", data, 20)) for data, place in drain(tap)
                     if data.endswith(b"passed")]
            self.assertEqual(ports, [(one.own4, 5000)])
            # And receives what comes there.
            send_udp(one, 5000)
            send_udp(other, 5000)
            send_udp(other, 6000)
            taker.send("\n")
            self.assertEqual(len(eval(taker.line())), 1)
            # The grant of its own box ends it: not found there in any process, it is told as hidden.
            error, closed, hidden = one.grant(ipv4=[ICMP], ring=RING)
            self.assertEqual((error, closed, hidden), (16, 0, 1))
            drain(tap)
            taker.send("\n")
            taker.line()
            self.assertFalse([data for data, _ in drain(tap) if data.endswith(b"passed")])


if __name__ == "__main__":
    box.own_network()
    program = unittest.main(exit=False, argv=sys.argv)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, "
          f"{len(result.skipped)} skipped")
    sys.exit(failed != 0)
