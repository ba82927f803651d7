"""What a slice could send and receive, and what the classifier is to make of it: the rows that the
program is tested with (test_classifier.py) and that are really sent (attack.py).

A row: words, `pass` or the reason of the drop (slicectl(1), DROPS), the frame.
"""

from packets import *


class Scene:
    """Who is who. `me` sends; `friend` is a slice of the same owner, `foreign` one of another's."""
    mac, host_mac, friend_mac = SLICE_MAC, HOST_MAC, SLICE_MAC[:5] + b"\2"
    me4, friend4, foreign4, gateway4 = "10.88.0.11", "10.88.0.12", "10.88.0.13", "10.88.0.1"
    me6, friend6, foreign6, gateway6 = "fd88::11", "fd88::12", "fd88::13", "fd88::1"
    empty4 = "10.88.0.99"                             # of no slice
    host4, host6, broadcast4 = "203.0.113.2", "2001:db8:113::2", "203.0.113.255"
    world4, world6 = "198.51.100.1", "2001:db8:51::1"
    site4, site6 = "10.1.2.3", "fd00:1::3"
    open4, open6 = "10.1.9.3", "fd00:9::3"            # of the site's, allowed
    resolver4 = "10.1.2.53"                           # a name server in a network that is not
    host_port = 123                                   # of the host's, UDP, allowed


MORE = 0x2000
FOREIGN_SOURCE4, FOREIGN_SOURCE6 = "192.0.2.9", "2001:db8::9"


def quote4(source, destination):
    return ipv4(source, destination, UDP, udp(53, 4000))


def quote6(source, destination):
    return ipv6(source, destination, UDP, udp(53, 4000))


def sent(s):
    def ether(payload, kind, source=s.mac, destination=s.host_mac):
        return ethernet(payload, kind, source, destination)

    def v4(destination, protocol, payload, source=s.me4, **more):
        return ether(ipv4(source, destination, protocol, payload, **more), IPV4)

    def v6(destination, protocol, payload, source=s.me6, **more):
        return ether(ipv6(source, destination, protocol, payload, **more), IPV6)

    source_route = bytes([131, 7, 4]) + octets(s.world4) + b"\0"  # loose, RFC 791
    return [
        # what a slice may do
        ("tcp to the world", "pass", v4(s.world4, TCP, tcp(40000, 80))),
        ("tcp to the world, v6", "pass", v6(s.world6, TCP, tcp(40000, 80))),
        ("udp to the world", "pass", v4(s.world4, UDP, udp(40000, 53))),
        ("udp to the world, v6", "pass", v6(s.world6, UDP, udp(40000, 53))),
        ("empty udp", "pass", v4(s.world4, UDP, udp(40000, 53, b""))),
        ("ping of the world", "pass", v4(s.world4, ICMP, icmp(8))),
        ("ping of the world, v6", "pass", v6(s.world6, ICMP6, icmp(128))),
        ("answer to a ping", "pass", v4(s.world4, ICMP, icmp(0))),
        ("answer to a ping, v6", "pass", v6(s.world6, ICMP6, icmp(129))),
        ("slice of the same owner", "pass", v4(s.friend4, TCP, tcp(40000, 80))),
        ("slice of the same owner, v6", "pass", v6(s.friend6, TCP, tcp(40000, 80))),
        ("ping of the gateway", "pass", v4(s.gateway4, ICMP, icmp(8))),
        ("ping of the gateway, v6", "pass", v6(s.gateway6, ICMP6, icmp(128))),
        ("allowed network of the site's", "pass", v4(s.open4, TCP, tcp(40000, 443))),
        ("allowed network of the site's, v6", "pass", v6(s.open6, TCP, tcp(40000, 443))),
        ("name server of the site's", "pass", v4(s.resolver4, UDP, udp(40000, 53))),
        ("name server by tcp", "pass", v4(s.resolver4, TCP, tcp(40000, 53))),
        ("port of the host that is open", "pass", v4(s.host4, UDP, udp(40000, s.host_port))),
        ("port of the host that is open, v6", "pass", v6(s.host6, UDP, udp(40000, s.host_port))),
        ("error about a packet it got", "pass", v4(s.world4, ICMP, icmp(3, 3, 0, quote4(s.world4, s.me4)))),
        ("error about a packet it got, v6", "pass",
         v6(s.world6, ICMP6, icmp(1, 4, 0, quote6(s.world6, s.me6)))),
        ("first fragment", "pass", v4(s.world4, UDP, udp(1, 2, b"x" * 512), fragment=MORE)),
        ("later fragment", "pass", v4(s.world4, UDP, b"x" * 64, fragment=65)),
        ("first fragment, v6", "pass", v6(s.world6, FRAGMENT, fragment6(UDP, 0, 1, udp(1, 2, b"x" * 64)))),
        ("later fragment, v6", "pass", v6(s.world6, FRAGMENT, fragment6(UDP, 72, 0, b"x" * 64))),

        # frames
        ("foreign source MAC", "sourceMac",
         ether(ipv4(s.me4, s.world4, UDP, udp(1, 2)), IPV4, source=OTHER_MAC)),
        ("MAC of another slice", "sourceMac",
         ether(ipv4(s.me4, s.world4, UDP, udp(1, 2)), IPV4, source=s.friend_mac)),
        ("the host's own MAC as source", "sourceMac",
         ether(ipv4(s.me4, s.world4, UDP, udp(1, 2)), IPV4, source=s.host_mac)),
        ("foreign destination MAC", "destinationMac",
         ether(ipv4(s.me4, s.world4, UDP, udp(1, 2)), IPV4, destination=OTHER_MAC)),
        ("foreign source MAC, v6", "sourceMac",
         ether(ipv6(s.me6, s.world6, UDP, udp(1, 2)), IPV6, source=OTHER_MAC)),
        ("foreign destination MAC, v6", "destinationMac",
         ether(ipv6(s.me6, s.world6, UDP, udp(1, 2)), IPV6, destination=OTHER_MAC)),
        ("all nodes' MAC", "multicast",
         ether(ipv6(s.me6, s.gateway6, UDP, udp(1, s.host_port)), IPV6,
               destination=bytes.fromhex("333300000001"))),
        ("broadcast", "multicast",
         ether(ipv4(s.me4, s.gateway4, UDP, udp(1, s.host_port)), IPV4, destination=BROADCAST)),
        ("arp request", "arp", ether(arp(1, s.mac, s.me4, bytes(6), s.gateway4), ARP,
                                        destination=BROADCAST)),
        ("arp request for another", "arp", ether(arp(1, s.mac, s.foreign4, bytes(6), s.gateway4), ARP)),
        ("arp answer for the gateway", "arp",
         ether(arp(2, s.mac, s.gateway4, s.host_mac, s.foreign4), ARP)),
        ("802.1ad tag", "vlan", ether(b"\0\5" + b"\x08\0" + ipv4(s.me4, s.world4, UDP, udp(1, 2)), QINQ)),
        ("802.1Q tag", "vlan", ether(b"\0\5" + b"\x08\0" + ipv4(s.me4, s.world4, UDP, udp(1, 2)), VLAN)),
        ("802.1Q tag, v6", "vlan",
         ether(b"\0\5" + b"\x86\xdd" + ipv6(s.me6, s.world6, UDP, udp(1, 2)), VLAN)),
        ("local experimental ethertype", "etherType", ether(b"x" * 60, 0x88b5)),
        ("MPLS", "etherType", ether(b"x" * 60, 0x8847)),
        ("PPPoE", "etherType", ether(b"x" * 60, 0x8864)),
        ("length instead of a type", "etherType", ether(b"\xaa\xaa\3" + b"x" * 57, 60)),

        # addresses
        ("foreign IPv4 source", "sourceIpv4", v4(s.world4, UDP, udp(1, 2), source=FOREIGN_SOURCE4)),
        ("source of another slice", "sourceIpv4", v4(s.world4, UDP, udp(1, 2), source=s.friend4)),
        ("source of the host", "sourceIpv4", v4(s.world4, UDP, udp(1, 2), source=s.host4)),
        ("source 0.0.0.0", "sourceIpv4", v4("255.255.255.255", UDP, udp(68, 67), source="0.0.0.0")),
        ("source 127.0.0.1", "sourceIpv4", v4(s.gateway4, UDP, udp(1, 2), source="127.0.0.1")),
        ("foreign IPv6 source", "sourceIpv6", v6(s.world6, UDP, udp(1, 2), source=FOREIGN_SOURCE6)),
        ("source of another slice, v6", "sourceIpv6", v6(s.world6, UDP, udp(1, 2), source=s.friend6)),
        ("source of the host, v6", "sourceIpv6", v6(s.world6, UDP, udp(1, 2), source=s.host6)),
        ("source ::1", "sourceIpv6", v6(s.gateway6, UDP, udp(1, 2), source="::1")),
        ("source ::", "sourceIpv6", v6(s.world6, UDP, udp(1, 2), source="::")),
        ("link-local source", "sourceIpv6", v6(s.world6, UDP, udp(1, 2), source="fe80::11")),
        ("own IPv4 address as mapped", "sourceIpv6", v6(s.world6, UDP, udp(1, 2), source="::ffff:" + s.me4)),
        ("multicast", "multicast", v4("224.0.0.251", UDP, udp(5353, 5353))),
        ("multicast, v6", "multicast", v6("ff02::fb", UDP, udp(5353, 5353))),

        # discovery and control
        ("neighbour advertisement", "neighbourDiscovery", v6(s.gateway6, ICMP6, icmp(136, body=bytes(24)))),
        ("neighbour solicitation", "neighbourDiscovery", v6(s.gateway6, ICMP6, icmp(135, body=bytes(24)))),
        ("router advertisement", "neighbourDiscovery", v6(s.friend6, ICMP6, icmp(134, body=bytes(16)))),
        ("router solicitation", "neighbourDiscovery", v6(s.gateway6, ICMP6, icmp(133))),
        ("redirect, v6", "neighbourDiscovery", v6(s.friend6, ICMP6, icmp(137, body=bytes(32)))),
        ("redirect", "neighbourDiscovery", v4(s.friend4, ICMP, icmp(5, 1, body=quote4(s.friend4, s.world4)))),
        ("router advertisement, v4", "neighbourDiscovery", v4(s.friend4, ICMP, icmp(9, body=bytes(8)))),
        ("timestamp request", "icmp", v4(s.world4, ICMP, icmp(13, body=bytes(12)))),
        ("path MTU for others", "icmp", v4(s.world4, ICMP, icmp(3, 4, 0, quote4(s.world4, s.me4)))),
        ("packet too big", "icmp", v6(s.world6, ICMP6, icmp(2, 0, 0, quote6(s.world6, s.me6)))),
        ("error about others' packet", "icmp",
         v4(s.world4, ICMP, icmp(3, 3, 0, quote4(s.world4, "192.0.2.80")))),
        ("error about its own packet", "icmp", v4(s.world4, ICMP, icmp(3, 3, 0, quote4(s.me4, s.world4)))),
        ("error to a third", "icmp", v4(s.world4, ICMP, icmp(11, 0, 0, quote4(s.friend4, s.me4)))),
        ("error about others' packet, v6", "icmp",
         v6(s.world6, ICMP6, icmp(1, 4, 0, quote6(s.world6, "2001:db8::80")))),
        ("error that quotes nothing", "malformed", v4(s.world4, ICMP, icmp(3, 3, 0))),
        ("error that quotes half a header, v6", "malformed", v6(s.world6, ICMP6, icmp(1, 4, 0, b"x" * 20))),

        # headers
        ("protocol 47", "protocol", v4(s.world4, 47, b"x" * 40)),
        ("IPv6 in IPv4", "protocol", v4(s.world4, 41, ipv6(s.me6, s.world6, UDP, udp(1, 2)))),
        ("IPv4 in IPv6", "protocol", v6(s.world6, 4, ipv4(s.me4, s.world4, UDP, udp(1, 2)))),
        ("VXLAN", "protocol", v4(s.world4, UDP, udp(40000, 4789))),
        ("VXLAN, v6", "protocol", v6(s.world6, UDP, udp(40000, 4789))),
        ("SCTP", "protocol", v4(s.world4, 132, b"x" * 40)),
        ("raw 255", "protocol", v4(s.world4, 255, b"x" * 40)),
        ("ESP, v6", "protocol", v6(s.world6, 50, b"x" * 40)),
        ("ICMP in IPv6", "protocol", v6(s.world6, ICMP, icmp(8))),
        ("ICMPv6 in IPv4", "protocol", v4(s.world4, ICMP6, icmp(128))),
        ("source route", "options", v4(s.world4, UDP, udp(1, 2), options=source_route)),
        ("no operation", "options", v4(s.world4, UDP, udp(1, 2), options=b"\1\1\1\1")),
        ("hop-by-hop options", "options", v6(s.world6, 0, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + udp(1, 2))),
        ("routing header", "options", v6(s.world6, 43, bytes([UDP, 2, 0, 1]) + bytes(20) + udp(1, 2))),
        ("destination options", "options", v6(s.world6, 60, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + udp(1, 2))),
        ("options behind a fragment header", "options",
         v6(s.world6, FRAGMENT, fragment6(60, 0, 1, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + udp(1, 2)))),
        ("two fragment headers", "options",
         v6(s.world6, FRAGMENT, fragment6(FRAGMENT, 0, 1, fragment6(UDP, 0, 1, udp(1, 2))))),
        ("mobility header", "options", v6(s.world6, 135, bytes([59, 0, 0, 0, 0, 0, 0, 0]))),
        ("no next header", "protocol", v6(s.world6, 59, b"x" * 8)),
        ("version 6 as IPv4", "malformed", v4(s.world4, UDP, udp(1, 2), version=6)),
        ("version 4 as IPv6", "malformed", v6(s.world6, UDP, udp(1, 2), version=4)),
        ("no transport header", "malformed", v4(s.world4, UDP, b"")),
        ("half a UDP header", "malformed", v4(s.world4, UDP, udp(1, 2)[:6])),
        ("half a TCP header", "malformed", v4(s.world4, TCP, tcp(1, 2)[:12])),
        ("half a TCP header, v6", "malformed", v6(s.world6, TCP, tcp(1, 2)[:12])),
        ("a length without the UDP header", "malformed", v4(s.world4, UDP, udp(1, 2), length=24)),
        ("a length of nothing, v6", "malformed", v6(s.world6, UDP, udp(1, 2), length=0)),

        # fragments
        ("TCP in fragments", "fragment", v4(s.world4, TCP, tcp(1, 2), fragment=MORE)),
        ("later fragment of TCP", "fragment", v4(s.world4, TCP, b"x" * 64, fragment=1)),
        ("TCP in fragments, v6", "fragment", v6(s.world6, FRAGMENT, fragment6(TCP, 0, 1, tcp(1, 2)))),
        ("later fragment of TCP, v6", "fragment", v6(s.world6, FRAGMENT, fragment6(TCP, 8, 0, b"x" * 64))),
        ("first fragment without ports", "fragment", v4(s.world4, UDP, b"", fragment=MORE)),
        ("first fragment without ports, v6", "fragment",
         v6(s.world6, FRAGMENT, fragment6(UDP, 0, 1, b"x" * 4))),
        ("later fragment of another protocol", "protocol", v4(s.world4, 47, b"x" * 64, fragment=65)),
        ("error in fragments", "fragment",
         v4(s.world4, ICMP, icmp(3, 3, 0, quote4(s.world4, s.me4)), fragment=MORE)),
        ("broadcast of the uplink's network", "host", v4(s.broadcast4, UDP, udp(68, 67))),
        ("later fragment to the host", "host", v4(s.host4, UDP, b"x" * 64, fragment=65)),
        ("later fragment to the host, v6", "host",
         v6(s.host6, FRAGMENT, fragment6(UDP, 72, 0, b"x" * 64))),
        ("later fragment to a name server", "site", v4(s.resolver4, UDP, b"x" * 64, fragment=65)),
        ("later fragment with a foreign source", "sourceIpv4",
         v4(s.world4, UDP, b"x" * 64, fragment=65, source=FOREIGN_SOURCE4)),
        ("later fragment with a foreign source, v6", "sourceIpv6",
         v6(s.world6, FRAGMENT, fragment6(UDP, 72, 0, b"x" * 64), source=FOREIGN_SOURCE6)),
        ("later fragment to another owner, v6", "otherOwner",
         v6(s.foreign6, FRAGMENT, fragment6(UDP, 72, 0, b"x" * 64))),
        ("later fragment to another owner", "otherOwner", v4(s.foreign4, UDP, b"x" * 64, fragment=65)),

        # destinations
        ("host", "host", v4(s.host4, TCP, tcp(40000, 22))),
        ("host, v6", "host", v6(s.host6, TCP, tcp(40000, 22))),
        ("host by the gateway's address", "host", v4(s.gateway4, TCP, tcp(40000, 22))),
        ("host by the gateway's address, v6", "host", v6(s.gateway6, TCP, tcp(40000, 22))),
        ("host by TCP at a port open for UDP", "host", v4(s.host4, TCP, tcp(40000, s.host_port))),
        ("established segment to the host", "host", v4(s.host4, TCP, tcp(40000, 22, ACK))),
        ("ping of the host elsewhere", "host", v4(s.host4, ICMP, icmp(8))),
        ("answer to the host that never asked", "host", v4(s.host4, ICMP, icmp(0))),
        ("127.0.0.1", "host", v4("127.0.0.1", UDP, udp(1, 2))),
        ("127.0.0.1 at a port that is open", "host", v4("127.0.0.1", UDP, udp(1, s.host_port))),
        ("the rest of the loopback network", "host", v4("127.255.0.9", TCP, tcp(40000, 80))),
        ("limited broadcast", "multicast", v4("255.255.255.255", UDP, udp(68, 67))),
        ("slice of another owner", "otherOwner", v4(s.foreign4, TCP, tcp(40000, 80))),
        ("slice of another owner, v6", "otherOwner", v6(s.foreign6, TCP, tcp(40000, 80))),
        ("answer to another owner", "otherOwner", v4(s.foreign4, TCP, tcp(80, 40000, SYN | ACK))),
        ("private network", "site", v4(s.site4, TCP, tcp(40000, 443))),
        ("private network, v6", "site", v6(s.site6, TCP, tcp(40000, 443))),
        ("private network, mapped as IPv6", "site", v6("::ffff:" + s.site4, TCP, tcp(40000, 443))),
        ("name server's other port", "site", v4(s.resolver4, TCP, tcp(40000, 22))),
        ("address of no slice", "site", v4(s.empty4, TCP, tcp(40000, 80))),
    ]


def to_me(s):
    return ethernet(ipv4(s.world4, s.me4, UDP, udp(53, 40000)), IPV4, s.host_mac, s.mac)


def received(s):
    return [
        ("from the world", "pass", to_me(s)),
        ("from the world, v6", "pass",
         ethernet(ipv6(s.world6, s.me6, UDP, udp(53, 40000)), IPV6, s.host_mac, s.mac)),
        ("with options", "pass",
         ethernet(ipv4(s.world4, s.me4, UDP, udp(53, 40000), options=b"\1\1\1\1"), IPV4, s.host_mac, s.mac)),
        ("for another", "notForSlice",
         ethernet(ipv4(s.world4, s.friend4, UDP, udp(53, 40000)), IPV4, s.host_mac, s.mac)),
        ("for another, v6", "notForSlice",
         ethernet(ipv6(s.world6, s.friend6, UDP, udp(53, 40000)), IPV6, s.host_mac, s.mac)),
        ("multicast", "notForSlice",
         ethernet(ipv6("fe80::1", "ff02::1", ICMP6, icmp(134, body=bytes(16))), IPV6, s.host_mac, BROADCAST)),
        ("arp", "notForSlice",
         ethernet(arp(1, s.host_mac, s.gateway4, bytes(6), s.me4), ARP, s.host_mac, BROADCAST)),
        ("802.1Q tag", "notForSlice", ethernet(b"\0\5\x08\0" + to_me(s)[14:], VLAN, s.host_mac, s.mac)),
    ]
