#include "judge.h"

#include <string.h>

static unsigned number16(const uint8_t *bytes) { return (unsigned)bytes[0] << 8 | bytes[1]; }

// Where the transport header of a packet is, and what it is; false where there is none to be seen.
struct transport {
    unsigned protocol;
    size_t offset, end; // in the frame; end: by the length field
    bool fragment, later;
};

static const char *read_ipv4(const uint8_t *frame, size_t size, struct transport *transport)
{
    if (size < 34 || frame[14] != 0x45)
        return "an IPv4 header that is none, or has options";
    *transport = (struct transport){.protocol = frame[23], .offset = 34, .end = 14 + number16(frame + 16)};
    transport->later = (number16(frame + 20) & 0x1fff) != 0;
    transport->fragment = (number16(frame + 20) & 0x3fff) != 0;
    return NULL;
}

static const char *read_ipv6(const uint8_t *frame, size_t size, struct transport *transport)
{
    if (size < 54 || frame[14] >> 4 != 6)
        return "an IPv6 header that is none";
    *transport = (struct transport){.protocol = frame[20], .offset = 54, .end = 54 + number16(frame + 18)};
    if (transport->protocol == 44) {
        if (size < 62)
            return "half a fragment header";
        transport->fragment = true;
        transport->protocol = frame[54];
        transport->later = (number16(frame + 56) & 0xfff8) != 0;
        transport->offset = 62;
    }
    return NULL;
}

static bool is_error(bool six, unsigned type)
{
    return six ? type == 1 || type == 3 || type == 4 : type == 3 || type == 11 || type == 12;
}

static const char *judge_icmp(bool six, const uint8_t *message, bool fragment)
{
    const unsigned type = message[0];
    if (is_error(six, type))
        return fragment ? "a fragment of an ICMP error" : !six && type == 3 && message[1] == 4 ? "fragmentation needed" : NULL;
    return type == (six ? 128 : 8) || type == (six ? 129 : 0) ? NULL : "ICMP that is neither an echo nor an error";
}

static const char *judge_transport(const struct party *party, bool six, const uint8_t *frame, size_t size,
                                   const struct transport *t)
{
    const uint8_t *header = frame + t->offset;
    const bool icmp = t->protocol == (six ? 58 : 1);
    if (t->protocol == 6) {
        if (t->fragment)
            return "a fragment of TCP";
        if (size < t->offset + 20 || t->end < t->offset + 20)
            return "half a TCP header";
    } else if (t->protocol == 17 || icmp) {
        if (t->later)
            return NULL;
        if (size < t->offset + 8 || t->end < t->offset + 8)
            return "half a UDP or ICMP header";
        if (icmp)
            return judge_icmp(six, header, t->fragment);
        if (number16(header + 2) == 4789)
            return "VXLAN";
    } else {
        return party->gre && !six && t->protocol == 47 ? NULL : "a protocol that was not granted";
    }
    if (party->port_count && number16(header) - party->first_port >= party->port_count)
        return "a port of the node's address that is not the slice's";
    return NULL;
}

const char *judge_sent(const struct party *party, const uint8_t *frame, size_t size, bool tagged)
{
    if (tagged || size < 14)
        return "a tagged frame, or half of one";
    if (memcmp(frame + 6, party->mac, 6) != 0)
        return "a foreign source MAC address";
    const unsigned type = number16(frame + 12);
    const bool granted = party->gre && type == 0x88b5;
    if (granted)
        return NULL;
    if (memcmp(frame, party->host_mac, 6) != 0)
        return "a destination MAC address that is not the host's";
    struct transport transport;
    const char *wrong;
    if (type == 0x0800) {
        if ((wrong = read_ipv4(frame, size, &transport)))
            return wrong;
        if (memcmp(frame + 26, party->ipv4, 4) != 0)
            return "a foreign IPv4 source";
        if (frame[30] >> 4 == 14 || frame[30] == 127 || memcmp(frame + 30, "\xff\xff\xff\xff", 4) == 0)
            return "multicast, broadcast or loopback";
        return judge_transport(party, false, frame, size, &transport);
    }
    if (type == 0x86dd) {
        if ((wrong = read_ipv6(frame, size, &transport)))
            return wrong;
        if (memcmp(frame + 22, party->ipv6, 16) != 0)
            return "a foreign IPv6 source";
        if (frame[38] == 0xff)
            return "multicast";
        return judge_transport(party, true, frame, size, &transport);
    }
    return "an ethertype that was not granted";
}

const char *judge_received(const struct party *party, const uint8_t *frame, size_t size, bool tagged)
{
    if (tagged || size < 34)
        return "a tagged frame, or half of one";
    switch (number16(frame + 12)) {
    case 0x0800: return memcmp(frame + 30, party->ipv4, 4) == 0 ? NULL : "IPv4 for another";
    case 0x86dd: return size >= 54 && memcmp(frame + 38, party->ipv6, 16) == 0 ? NULL : "IPv6 for another";
    default: return "what is neither IPv4 nor IPv6";
    }
}

const char *judge_raw(const uint8_t *frame, size_t size, bool tagged)
{
    if (tagged || size < 14)
        return "a tagged frame, or half of one";
    struct transport transport;
    const char *wrong;
    const unsigned type = number16(frame + 12);
    if (type == 0x88b5)
        return NULL;
    if (type != 0x0800 && type != 0x86dd)
        return "an ethertype that was not granted";
    const bool six = type == 0x86dd;
    if ((wrong = six ? read_ipv6(frame, size, &transport) : read_ipv4(frame, size, &transport)))
        return wrong;
    if (transport.protocol == 89 || transport.protocol == (six ? 58 : 1))
        return NULL;
    if (transport.protocol != 17 || transport.later || size < transport.offset + 8)
        return "a protocol that was not granted, or no port";
    const unsigned port = number16(frame + transport.offset);
    return port >= 20000 && port <= 20010 ? NULL : "a port that was not granted";
}

// An error must quote a packet from whom it goes to, to who sends it.
static const char *judge_member_icmp(const uint8_t *frame, size_t size, const struct transport *t)
{
    if (t->later)
        return NULL;
    if (size < t->offset + 8 || t->end < t->offset + 8)
        return "half an ICMP header";
    const char *what = judge_icmp(false, frame + t->offset, t->fragment);
    if (what || !is_error(false, frame[t->offset]))
        return what;
    if (size < t->offset + 28 || t->end < t->offset + 28)
        return "an error that quotes half a header";
    return memcmp(frame + 54, frame + 30, 4) == 0 && memcmp(frame + 58, frame + 26, 4) == 0 ? NULL : "an error about others' packets";
}

const char *judge_member(const struct party *party, const uint8_t *frame, size_t size, bool tagged)
{
    struct transport transport;
    const char *wrong;
    if (tagged || size < 34 || number16(frame + 12) != 0x0800)
        return "what is not IPv4";
    if (memcmp(frame + 6, party->mac, 6) != 0)
        return "a foreign source MAC address";
    if ((wrong = read_ipv4(frame, size, &transport)))
        return wrong;
    if (memcmp(frame + 26, party->ipv4, 4) != 0)
        return "another member's address";
    const bool granted = party->ospf && transport.protocol == 89;
    if (memcmp(frame + 30, "\xe0\0\0", 3) == 0)
        return granted && memcmp(frame, "\x01\x00\x5e\0\0", 5) == 0 && frame[5] == frame[33] ? NULL : "to a group, without a grant or by another MAC address";
    if (memcmp(frame, party->host_mac, 6) != 0)
        return "a destination MAC address that is not the overlay's end";
    if (frame[30] != 10 || frame[31] != 64)
        return "a destination outside the overlay";
    if (transport.protocol == 1)
        return judge_member_icmp(frame, size, &transport);
    return granted || transport.protocol == 6 || transport.protocol == 17 ? NULL : "a protocol that was not granted";
}
