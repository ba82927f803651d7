#!/usr/bin/python3
"""Programs as Debian ships them, in boxes whose broker grants what they need, and without.

Each test has three parts: with the grant it works; without, it fails as for anybody without
privileges, and the refusal is told; and with another grant, one that is none of its, it fails too."""

import os
import re
import socket
import sys
import threading
import time
import unittest

import box
from box import ICMP, ICMP6, PYTHON, SNIFF, TCP

ARP = 0x0806
SOURCE_PORTS = (20000, 20010)


class Listener:
    """A TCP service of the host that accepts and closes."""

    def __init__(self, address):
        self.socket = socket.create_server((address, 8080))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Programs(unittest.TestCase):
    def setUp(self):
        self.box = box.Box()
        self.addCleanup(self.box.close)
        self.assertEqual(self.box.start_broker(), b"")
        self.box.grant()

    def works(self, grants, command, pattern, code=0, timeout=60):
        self.assertEqual(self.box.grant(**grants)[0], 0)
        status, text = self.box.run(*command, timeout=timeout)
        self.assertRegex(text, pattern)
        if code is not None:
            self.assertEqual(status, code, text)
        return text

    def fails(self, grants, command, pattern, calls, timeout=60):
        """`calls`: the domain and protocol of one of the refusals."""
        self.assertEqual(self.box.grant(**grants)[0], 0)
        self.box.events(timeout=0)
        status, text = self.box.run(*command, timeout=timeout)
        self.assertRegex(text, pattern)
        self.assertNotEqual(status, 0, text)
        told = [(domain, protocol) for _, domain, _, protocol, _ in self.box.events()]
        self.assertIn(calls, told)

    def test_ping(self):
        command = ["ping", "-c", "2", "-i", "0.1", "-W", "2", self.box.host4]
        self.works({"ipv4": [ICMP]}, command, "2 received")
        for grants in {}, {"tcp": [SOURCE_PORTS], "flags": SNIFF}:
            self.fails(grants, command, "(?i)operation not permitted", (socket.AF_INET, ICMP))

    def test_ping6(self):
        command = ["ping", "-6", "-c", "2", "-i", "0.1", "-W", "2", self.box.host6]
        self.works({"ipv6": [ICMP6]}, command, "2 received")
        for grants in {}, {"ipv4": [ICMP]}:
            self.fails(grants, command, "(?i)operation not permitted", (socket.AF_INET6, ICMP6))

    def test_traceroute_by_icmp(self):
        command = ["traceroute", "-n", "-I", "-w", "2", self.box.host4]
        self.works({"ipv4": [ICMP]}, command, rf" 1  {self.box.host4} ")
        for grants in {}, {"tcp": [SOURCE_PORTS]}:
            self.fails(grants, command, "(?i)operation not permitted|privileges", (socket.AF_INET, ICMP))

    def test_traceroute_by_tcp(self):
        service = Listener(self.box.host4)
        self.addCleanup(service.close)
        command = ["traceroute", "-n", "-T", "-p", "8080", "-w", "2", "--sport=20000", self.box.host4]
        # The answers come to a raw TCP socket; errors on the way by the socket's error queue.
        self.works({"tcp": [SOURCE_PORTS]}, command, rf" 1  {self.box.host4} +[0-9.]+ ms")
        for grants in {}, {"ipv4": [ICMP]}:
            self.fails(grants, command, "(?i)operation not permitted|privileges", (socket.AF_INET, TCP))
        # From another port than the granted nothing is sent.
        other = [word.replace("20000", "30000") for word in command]
        self.assertEqual(self.box.grant(tcp=[SOURCE_PORTS])[0], 0)
        text = self.box.run(*other, "-q1", "-m1")[1]
        self.assertIn("send probe: No buffer space available", text)

    def test_traceroute_by_udp_needs_no_grant(self):
        text = self.works({}, ["traceroute", "-n", "-w", "2", self.box.host4], rf" 1  {self.box.host4} ")
        self.assertEqual(self.box.events(), [], text)

    def test_arping(self):
        command = ["arping", "-c", "2", "-w", "4", "-I", "eth0", self.box.host4]
        self.works({"ethertypes": [ARP]}, command, r"Received [1-9]\d* response")
        for grants in {}, {"ipv4": [ICMP]}:
            self.fails(grants, command, "(?i)operation not permitted", (socket.AF_PACKET, 0))

    def test_tcpdump(self):
        """With a filter, into a file, in the ring that libpcap asks for; others' filters compose."""
        self.box.grant(flags=SNIFF, ring=8 << 20)
        program = self.box.start(["sh", "-c", "tcpdump -n -i eth0 -B 1024 -c 3 -w /dev/shm/capture "
                                  "udp port 5000 and greater 1 2>&1 && tcpdump -n -r /dev/shm/capture; "
                                  "rm -f /dev/shm/capture"])
        self.assertIn("listening on eth0", self.read_until(program, "listening"))
        for _ in range(10):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for port in 4000, 5000:
                    sender.sendto(b"data", (self.box.own4, port))
            time.sleep(0.05)
        status, text = program.wait()
        self.assertEqual(status, 0, text)
        self.assertEqual(len(re.findall(rf"> {self.box.own4}\.5000: UDP", text)), 3, text)
        self.assertNotIn(".4000:", text)
        for grants in {}, {"ipv4": [ICMP]}:
            self.fails(grants, ["tcpdump", "-i", "eth0", "-c", "1"],
                       "(?i)don't have permission|not permitted", (socket.AF_PACKET, 0))

    def test_tcpdump_makes_do_with_the_ring_that_it_gets(self):
        """libpcap asks for 2 MiB, then for less as long as it hears ENOMEM."""
        self.box.grant(flags=SNIFF, ring=300 << 10)
        program = self.box.start(["tcpdump", "-n", "-l", "-i", "eth0", "-c", "1", "udp"])
        self.read_until(program, "listening")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"data", (self.box.own4, 5000))
        status, text = program.wait()
        self.assertEqual(status, 0, text)
        self.assertIn("UDP", text)

    def read_until(self, program, word):
        text = ""
        while word not in text:
            text += program.line() + "\n"
        return text

    def test_nmap_syn_scan(self):
        service = Listener(self.box.host4)
        self.addCleanup(service.close)
        command = ["nmap", "-n", "-Pn", "-sS", "-p", "8080,8081", "--source-port", "20000",
                   "--send-ip", self.box.host4]
        grants = {"tcp": [SOURCE_PORTS], "flags": SNIFF, "ring": 8 << 20}
        text = self.works(grants, command, r"8080/tcp\s+open")
        self.assertRegex(text, r"8081/tcp\s+closed")
        for without in {}, {"flags": SNIFF, "ring": 8 << 20}:
            self.box.grant(**without)
            self.box.events(timeout=0)
            status, text = self.box.run(*command)
            self.assertNotRegex(text, r"8080/tcp\s+open")
            self.assertRegex(text, "(?i)operation not permitted")
            told = [(domain, protocol) for _, domain, _, protocol, _ in self.box.events()]
            self.assertIn((socket.AF_INET, box.RAW), told)

    def test_mtr(self):
        command = ["mtr", "-n", "-r", "-c", "2", "-i", "0.2", self.box.host4]
        self.works({"ipv4": [ICMP], "ipv6": [ICMP6]}, command, rf"{self.box.host4} +0\.0%")
        self.fails({}, command, "(?i)permitted|failure", (socket.AF_INET, box.RAW))

    def test_hping(self):
        service = Listener(self.box.host4)
        self.addCleanup(service.close)
        command = ["hping3", "-S", "-c", "2", "-i", "u100000", "-s", "20000", "-k", "-p", "8080",
                   "-I", "eth0", self.box.host4]
        grants = {"tcp": [SOURCE_PORTS], "flags": SNIFF, "ring": 8 << 20}
        self.works(grants, command, "flags=SA")
        self.fails({}, command, "(?i)permitted|can't open raw socket", (socket.AF_INET, box.RAW))

    SCAPY = """
import sys
sys.path.append("/usr/lib/python3/dist-packages")
from scapy.all import *
conf.verb = 0
answer = sr1(IP(dst=sys.argv[1]) / ICMP(id=77) / b"forged header", timeout=3)
print(answer.summary() if answer else "nothing")
"""

    def test_scapy(self):
        command = [PYTHON, "-c", self.SCAPY, self.box.host4]
        self.works({"ipv4": [ICMP], "flags": SNIFF, "ring": 8 << 20}, command, "echo-reply")
        self.fails({}, command, "(?i)operation not permitted", (socket.AF_PACKET, 3))


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
