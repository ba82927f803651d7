"""Frames, written out byte by byte: what a slice that has raw sockets could send."""

import ipaddress
import struct

SLICE_MAC = bytes.fromhex("02736c000001")
HOST_MAC = bytes.fromhex("027368000001")
BROADCAST = b"\xff" * 6
OTHER_MAC = bytes.fromhex("020000000099")

IPV4, IPV6, ARP, VLAN, QINQ = 0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8
ICMP, TCP, UDP, ICMP6, FRAGMENT = 1, 6, 17, 58, 44
SYN, ACK = 2, 16

# In every IP header made here, and kept by whoever forwards it: IPv4's identification, IPv6's flow label.
MARK = 0x5b0f


def is_marked(frame):
    """Whether a frame that came in somewhere is of those made here."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == IPV4:
        return int.from_bytes(frame[18:20], "big") == MARK
    if kind == IPV6:
        return int.from_bytes(frame[14:18], "big") & 0xfffff == MARK
    return kind != ARP  # nobody else here sends such frames


def octets(address):
    return ipaddress.ip_address(address).packed


def ethernet(payload, kind, source=SLICE_MAC, destination=HOST_MAC):
    return destination + source + struct.pack("!H", kind) + payload


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload, fragment=0, options=b"", length=None, ttl=64,
         version=4):
    header_words = 5 + len(options) // 4
    length = len(payload) + 4 * header_words if length is None else length
    header = struct.pack(
        "!BBHHHBBH", version << 4 | header_words, 0, length, MARK, fragment, ttl, protocol, 0)
    header += octets(source) + octets(destination) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, destination, protocol, payload, length=None, version=6):
    length = len(payload) if length is None else length
    return (struct.pack("!IHBB", version << 28 | MARK, length, protocol, 64) + octets(source)
            + octets(destination) + payload)


def fragment6(protocol, offset, more, payload):
    """`offset` in bytes."""
    return struct.pack("!BBHI", protocol, 0, offset | more, 4711) + payload


def pseudo(source, destination, protocol, payload):
    return (octets(source) + octets(destination)
            + struct.pack("!IBBBB", len(payload), 0, 0, 0, protocol))


def udp(source_port, port, data=b"payload!"):
    # No checksum: valid for IPv4, and nobody here looks at IPv6's.
    return struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data


def tcp(source_port, port, flags=SYN):
    return struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, flags, 1024, 0, 0)


def icmp(kind, code=0, identifier=7, body=b""):
    message = struct.pack("!BBHHH", kind, code, 0, identifier, 1) + body
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def arp(operation, sender_mac, sender, target_mac, target):
    return (struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + sender_mac + octets(sender)
            + target_mac + octets(target))
