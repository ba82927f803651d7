#include "frames.h"

#include <arpa/inet.h>
#include <string.h>

enum { IPV4 = 0x0800, ARP = 0x0806, IPV6 = 0x86DD, TAGGED = 0x8100, TAGGED_TWICE = 0x88A8, EXPERIMENT = 0x88B5, LLC = 0x0004 };
enum { ICMP = 1, TCP = 6, UDP = 17, ROUTING = 43, GRE = 47, ICMPV6 = 58, OSPF = 89 };
enum { MORE = 0x2000 };

// A frame in the making. Numbers are written as the wire has them.
struct frame { uint8_t *bytes; size_t length; };

static void put(struct frame *frame, const void *bytes, size_t count)
{
    memcpy(frame->bytes + frame->length, bytes, count);
    frame->length += count;
}
static void put8(struct frame *frame, unsigned value) { frame->bytes[frame->length++] = (uint8_t)value; }
static void put16(struct frame *frame, unsigned value) { put8(frame, value >> 8); put8(frame, value & 0xFF); }
static void put32(struct frame *frame, uint32_t value) { put16(frame, value >> 16); put16(frame, value & 0xFFFF); }
static void pad(struct frame *frame, size_t to)
{
    while (frame->length < to)
        put8(frame, 0);
}

uint16_t checksum(const uint8_t *bytes, size_t count, uint32_t sum)
{
    for (size_t i = 0; i + 1 < count; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    if (count % 2)
        sum += (uint32_t)(bytes[count - 1] << 8);
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)~sum;
}

static struct frame ethernet(uint8_t *bytes, const uint8_t *to, const uint8_t *from, unsigned type)
{
    struct frame frame = {bytes, 0};
    put(&frame, to, 6);
    put(&frame, from, 6);
    put16(&frame, type);
    return frame;
}
static struct frame to_host(uint8_t *bytes, const struct ends *ends, unsigned type)
{
    return ethernet(bytes, ends->peer_mac, ends->mac, type);
}

// ---- IPv4

struct ipv4 {
    const uint8_t *from, *to;
    unsigned protocol, fragment;
    const uint8_t *options; // 4 bytes times `words`
    unsigned words, version;
};

// Time to live 1: what passes is seen at the host's end and forwarded nowhere.
static void put_ipv4(struct frame *frame, const struct ipv4 *ip, size_t payload)
{
    size_t at = frame->length, length = 20 + ip->words * 4;
    put8(frame, (ip->version ? ip->version : 4) << 4 | (5 + ip->words));
    put8(frame, 0);
    put16(frame, (unsigned)(length + payload));
    put16(frame, 0x5C1C);
    put16(frame, ip->fragment);
    put8(frame, 1);
    put8(frame, ip->protocol);
    put16(frame, 0);
    put(frame, ip->from, 4);
    put(frame, ip->to, 4);
    if (ip->words)
        put(frame, ip->options, ip->words * 4);
    uint16_t sum = htons(checksum(frame->bytes + at, length, 0));
    memcpy(frame->bytes + at + 10, &sum, 2);
}

// Without a checksum, which UDP over IPv4 may do.
static void put_udp(struct frame *frame, const uint8_t *cookie)
{
    put16(frame, 9);
    put16(frame, 9); // discard, RFC 863
    put16(frame, 8 + COOKIE);
    put16(frame, 0);
    put(frame, cookie, COOKIE);
}

static size_t udp4(struct frame frame, const uint8_t *from, const uint8_t *to, const uint8_t *cookie)
{
    put_ipv4(&frame, &(struct ipv4){.from = from, .to = to, .protocol = UDP}, 8 + COOKIE);
    put_udp(&frame, cookie);
    return frame.length;
}

#define FRAME(name) static size_t name(uint8_t bytes[MOST_FRAME], const struct ends *ends, const uint8_t cookie[COOKIE])

FRAME(own) { return udp4(to_host(bytes, ends, IPV4), ends->ipv4, ends->other4, cookie); }
FRAME(source_ipv4)
{
    static const uint8_t nobody[4] = {192, 0, 2, 77}; // TEST-NET-1, RFC 5737
    return udp4(to_host(bytes, ends, IPV4), nobody, ends->other4, cookie);
}
FRAME(source_neighbour) { return udp4(to_host(bytes, ends, IPV4), ends->other4, ends->other4, cookie); }
FRAME(loopback)
{
    static const uint8_t local[4] = {127, 0, 0, 1};
    return udp4(to_host(bytes, ends, IPV4), ends->ipv4, local, cookie);
}
FRAME(broadcast)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
    return udp4(ethernet(bytes, all, ends->mac, IPV4), ends->ipv4, ends->other4, cookie);
}
FRAME(source_mac)
{
    static const uint8_t other[6] = {0x02, 0x5C, 0x1C, 0xE5, 0x00, 0x01};
    return udp4(ethernet(bytes, ends->peer_mac, other, IPV4), ends->ipv4, ends->other4, cookie);
}
FRAME(version)
{
    struct frame frame = to_host(bytes, ends, IPV4);
    put_ipv4(&frame, &(struct ipv4){.from = ends->ipv4, .to = ends->other4, .protocol = UDP, .version = 5}, 8 + COOKIE);
    put_udp(&frame, cookie);
    return frame.length;
}
FRAME(source_route)
{
    // Loose source route through nobody, RFC 791.
    static const uint8_t route[8] = {131, 7, 4, 192, 0, 2, 77, 0};
    struct frame frame = to_host(bytes, ends, IPV4);
    put_ipv4(&frame, &(struct ipv4){.from = ends->ipv4, .to = ends->other4, .protocol = UDP, .options = route, .words = 2}, 8 + COOKIE);
    put_udp(&frame, cookie);
    return frame.length;
}
static size_t part_of(uint8_t *bytes, const struct ends *ends, const uint8_t *cookie, unsigned protocol, unsigned fragment, size_t header)
{
    struct frame frame = to_host(bytes, ends, IPV4);
    put_ipv4(&frame, &(struct ipv4){.from = ends->ipv4, .to = ends->other4, .protocol = protocol, .fragment = fragment}, header + COOKIE);
    pad(&frame, frame.length + header);
    put(&frame, cookie, COOKIE);
    return frame.length;
}
FRAME(protocol) { return part_of(bytes, ends, cookie, GRE, 0, 4); }
FRAME(fragment_first) { return part_of(bytes, ends, cookie, TCP, MORE, 0); }
// Would be laid over the flags of a TCP header that was judged before (RFC 3128).
FRAME(fragment_overlap) { return part_of(bytes, ends, cookie, TCP, 1, 0); }
FRAME(fragment_tiny)
{
    // The IP header ends 4 bytes behind itself, so that the ports would be in the next part; what is beyond
    // is padding of the frame.
    struct frame frame = to_host(bytes, ends, IPV4);
    put_ipv4(&frame, &(struct ipv4){.from = ends->ipv4, .to = ends->other4, .protocol = UDP, .fragment = MORE}, 4);
    put32(&frame, 9 << 16 | 9);
    put(&frame, cookie, COOKIE);
    pad(&frame, 60);
    return frame.length;
}
static size_t icmp(uint8_t *bytes, const struct ends *ends, const uint8_t *cookie, unsigned type, const uint8_t *gateway, const struct ipv4 *quoted)
{
    struct frame frame = to_host(bytes, ends, IPV4);
    put_ipv4(&frame, &(struct ipv4){.from = ends->ipv4, .to = ends->other4, .protocol = ICMP}, 8 + 20 + 8 + COOKIE);
    size_t at = frame.length;
    put8(&frame, type);
    put8(&frame, 1);
    put16(&frame, 0);
    put(&frame, gateway, 4);
    put_ipv4(&frame, quoted, 8 + COOKIE);
    put_udp(&frame, cookie);
    uint16_t sum = htons(checksum(frame.bytes + at, frame.length - at, 0));
    memcpy(frame.bytes + at + 2, &sum, 2);
    return frame.length;
}
// By way of the sender, for a packet that the other has sent to it: only the type is wrong.
FRAME(redirect)
{
    return icmp(bytes, ends, cookie, 5, ends->ipv4, &(struct ipv4){.from = ends->other4, .to = ends->ipv4, .protocol = UDP});
}
// An end of a connection that is another's: host unreachable.
FRAME(foreign_error)
{
    static const uint8_t nobody[4] = {192, 0, 2, 77}, nothing[4];
    return icmp(bytes, ends, cookie, 3, nothing, &(struct ipv4){.from = ends->other4, .to = nobody, .protocol = UDP});
}

// ---- IPv6

static void put_ipv6(struct frame *frame, const uint8_t *from, const uint8_t *to, unsigned next, unsigned hops, size_t payload)
{
    put32(frame, 0x60000000);
    put16(frame, (unsigned)payload);
    put8(frame, next);
    put8(frame, hops);
    put(frame, from, 16);
    put(frame, to, 16);
}
static void sum_ipv6(struct frame *frame, size_t header, size_t at, size_t place, unsigned protocol)
{
    uint32_t sum = protocol + (uint32_t)(frame->length - at);
    for (size_t i = 8; i < 40; i += 2)
        sum += (uint32_t)(frame->bytes[header + i] << 8 | frame->bytes[header + i + 1]);
    uint16_t value = htons(checksum(frame->bytes + at, frame->length - at, sum));
    memcpy(frame->bytes + place, &value, 2);
}
static size_t udp6(struct frame frame, const uint8_t *from, const uint8_t *to, const uint8_t *cookie)
{
    size_t header = frame.length;
    put_ipv6(&frame, from, to, UDP, 1, 8 + COOKIE);
    size_t at = frame.length;
    put_udp(&frame, cookie);
    sum_ipv6(&frame, header, at, at + 6, UDP);
    return frame.length;
}
FRAME(source_ipv6)
{
    static const uint8_t nobody[16] = {0x20, 0x01, 0x0D, 0xB8, [15] = 0x77}; // RFC 3849
    return udp6(to_host(bytes, ends, IPV6), nobody, ends->other6, cookie);
}
FRAME(protocol6)
{
    struct frame frame = to_host(bytes, ends, IPV6);
    put_ipv6(&frame, ends->ipv6, ends->other6, OSPF, 1, COOKIE);
    put(&frame, cookie, COOKIE);
    return frame.length;
}
FRAME(routing_header)
{
    // Type 0 through nobody, RFC 5095; with no segment left, so that who takes it forwards nothing.
    static const uint8_t route[24] = {UDP, 2};
    struct frame frame = to_host(bytes, ends, IPV6);
    put_ipv6(&frame, ends->ipv6, ends->other6, ROUTING, 1, sizeof route + 8 + COOKIE);
    put(&frame, route, sizeof route);
    put_udp(&frame, cookie);
    return frame.length;
}
// Neighbour discovery has a hop limit of 255, RFC 4861.
static size_t discovery(struct frame frame, const uint8_t *from, const uint8_t *to, const void *message, size_t size, const uint8_t *cookie)
{
    size_t header = frame.length;
    put_ipv6(&frame, from, to, ICMPV6, 255, size + 8 + COOKIE);
    size_t at = frame.length;
    put(&frame, message, size);
    // The cookie in an option that nobody knows: type 253, 3 times 8 bytes (RFC 4727).
    put8(&frame, 253);
    put8(&frame, 3);
    pad(&frame, frame.length + 6);
    put(&frame, cookie, COOKIE);
    sum_ipv6(&frame, header, at, at + 2, ICMPV6);
    return frame.length;
}
// With a router's lifetime of 0 and no prefix it changes nothing where it is taken.
FRAME(router_advertisement)
{
    static const uint8_t all[16] = {0xFF, 0x02, [15] = 1}, all_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
    uint8_t local[16] = {0xFE, 0x80};
    memcpy(local + 8, ends->mac, 6);
    static const uint8_t message[16] = {134};
    return discovery(ethernet(bytes, all_mac, ends->mac, IPV6), local, all, message, sizeof message, cookie);
}
// The other's address is at this end.
FRAME(neighbour_advertisement)
{
    uint8_t message[24] = {136, [4] = 0x20 /* override */};
    memcpy(message + 8, ends->other6, 16);
    return discovery(to_host(bytes, ends, IPV6), ends->ipv6, ends->other6, message, sizeof message, cookie);
}

// ---- what is neither

// A reply: the other's address is at this end.
FRAME(arp)
{
    struct frame frame = to_host(bytes, ends, ARP);
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 2};
    put(&frame, head, sizeof head);
    put(&frame, ends->mac, 6);
    put(&frame, ends->other4, 4);
    put(&frame, ends->peer_mac, 6);
    put(&frame, ends->ipv4, 4);
    put(&frame, cookie, COOKIE);
    pad(&frame, 60);
    return frame.length;
}
FRAME(vlan)
{
    struct frame frame = to_host(bytes, ends, TAGGED);
    put16(&frame, 5);
    put16(&frame, IPV4);
    return udp4(frame, ends->ipv4, ends->other4, cookie);
}
FRAME(vlan_double)
{
    struct frame frame = to_host(bytes, ends, TAGGED_TWICE);
    put16(&frame, 5);
    put16(&frame, TAGGED);
    put16(&frame, 6);
    put16(&frame, IPV4);
    return udp4(frame, ends->ipv4, ends->other4, cookie);
}
FRAME(ethertype)
{
    struct frame frame = to_host(bytes, ends, EXPERIMENT); // IEEE 802, local experiments
    put(&frame, cookie, COOKIE);
    pad(&frame, 60);
    return frame.length;
}
// IEEE 802.1D: a bridge would listen to this.
FRAME(spanning_tree)
{
    static const uint8_t bridges[6] = {0x01, 0x80, 0xC2, 0, 0, 0}, head[3] = {0x42, 0x42, 3};
    struct frame frame = ethernet(bytes, bridges, ends->mac, sizeof head + COOKIE);
    put(&frame, head, sizeof head);
    put(&frame, cookie, COOKIE);
    pad(&frame, 60);
    return frame.length;
}

const struct forgery honest = {"own", "UDP from the own address to the other", IPV4, own};
const struct forgery forgeries[] = {
    {"source-ipv4", "UDP from 192.0.2.77", IPV4, source_ipv4},
    {"source-neighbour", "UDP from the other's address", IPV4, source_neighbour},
    {"source-ipv6", "UDP from 2001:db8::77", IPV6, source_ipv6},
    {"source-mac", "UDP from the MAC address 02:5c:1c:e5:00:01", IPV4, source_mac},
    {"broadcast", "UDP to the MAC address ff:ff:ff:ff:ff:ff", IPV4, broadcast},
    {"loopback", "UDP to 127.0.0.1", IPV4, loopback},
    {"arp", "an ARP reply with the other's address", ARP, arp},
    {"router-advertisement", "an IPv6 router advertisement to ff02::1", IPV6, router_advertisement},
    {"neighbour-advertisement", "an IPv6 neighbour advertisement with the other's address", IPV6, neighbour_advertisement},
    {"redirect", "an ICMP redirect", IPV4, redirect},
    {"foreign-error", "an ICMP error about a packet that was not to the sender", IPV4, foreign_error},
    {"vlan", "UDP with an 802.1Q tag of VLAN 5", IPV4, vlan},
    {"vlan-double", "UDP with an 802.1ad tag of VLAN 5 and an 802.1Q tag of VLAN 6", TAGGED, vlan_double},
    {"ethertype", "a frame of ethertype 0x88b5", EXPERIMENT, ethertype},
    {"spanning-tree", "a spanning tree frame to 01:80:c2:00:00:00", LLC, spanning_tree},
    {"protocol-ipv4", "IPv4 protocol 47 (GRE)", IPV4, protocol},
    {"protocol-ipv6", "IPv6 protocol 89 (OSPF)", IPV6, protocol6},
    {"fragment-tcp", "the first fragment of a TCP segment", IPV4, fragment_first},
    {"fragment-overlap", "a TCP fragment at offset 8, over the header", IPV4, fragment_overlap},
    {"fragment-tiny", "a first UDP fragment without its whole header", IPV4, fragment_tiny},
    {"source-route", "UDP with a loose source route", IPV4, source_route},
    {"routing-header", "UDP behind an IPv6 routing header", IPV6, routing_header},
    {"version", "an IPv4 header that says version 5", IPV4, version},
    {0},
};
