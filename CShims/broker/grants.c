#include "grants.h"

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define TYPE_MASK 0xf // SOCK_TYPE_MASK, linux/net.h

static bool ranges_valid(const struct slice_raw_range *ranges, unsigned count)
{
    if (count > SLICE_RAW_RANGES)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (ranges[i].first > ranges[i].last)
            return false;
    return true;
}

bool grants_valid(const struct slice_raw_grants *grants)
{
    if ((grants->flags & ~(uint32_t)(SLICE_RAW_SNIFF | SLICE_RAW_XDP)) != 0 || grants->reserved[0] != 0 ||
        grants->reserved[1] != 0 || grants->reserved[2] != 0 ||
        grants->ethertype_count > SLICE_RAW_ETHERTYPES)
        return false;
    for (unsigned i = 0; i < grants->ethertype_count; i++)
        if (grants->ethertypes[i] < 0x0600) // less is a length (IEEE 802.3)
            return false;
    return ranges_valid(grants->udp, grants->udp_count) &&
           ranges_valid(grants->tcp, grants->tcp_count);
}

static const uint64_t *protocols_of(const struct slice_raw_grants *grants, int domain)
{
    return domain == AF_INET ? grants->ipv4 : grants->ipv6;
}

static bool has_protocol(const uint64_t set[4], int protocol)
{
    return protocol >= 0 && protocol < IPPROTO_RAW && (set[protocol / 64] >> (protocol % 64) & 1) != 0;
}

static bool sends_anything(const struct slice_raw_grants *grants, int domain)
{
    const uint64_t *set = protocols_of(grants, domain);
    // Bit 255 means nothing.
    return set[0] != 0 || set[1] != 0 || set[2] != 0 || set[3] << 1 != 0 ||
           grants->udp_count > 0 || grants->tcp_count > 0;
}

static enum raw_class classify_ip(const struct slice_raw_grants *grants, int domain, int protocol)
{
    if (has_protocol(protocols_of(grants, domain), protocol))
        return CLASS_PROTOCOL;
    if (protocol == IPPROTO_UDP && grants->udp_count > 0)
        return CLASS_UDP;
    if (protocol == IPPROTO_TCP && grants->tcp_count > 0)
        return CLASS_TCP;
    if (protocol == IPPROTO_RAW && sends_anything(grants, domain))
        return CLASS_SEND;
    return CLASS_NONE;
}

enum raw_class grants_classify(const struct slice_raw_grants *grants, int domain, int type,
                               int protocol)
{
    const int kind = type & TYPE_MASK;
    switch (domain) {
    case AF_INET:
    case AF_INET6:
        return kind == SOCK_RAW ? classify_ip(grants, domain, protocol) : CLASS_NONE;
    case AF_PACKET:
        if (kind != SOCK_RAW && kind != SOCK_DGRAM)
            return CLASS_NONE;
        if ((grants->flags & SLICE_RAW_SNIFF) != 0)
            return CLASS_SNIFF;
        return grants->ethertype_count > 0 ? CLASS_ETHERTYPES : CLASS_NONE;
    default:
        return CLASS_NONE;
    }
}

static bool covers(const struct slice_raw_range *ranges, unsigned count, unsigned port)
{
    for (unsigned i = 0; i < count; i++)
        if (ranges[i].first <= port && port <= ranges[i].last)
            return true;
    return false;
}

// Whether every port of the second list is in the first. At most 65,536 times 32 comparisons, once
// for a change of grants.
static bool covers_all(const struct slice_raw_range *ranges, unsigned count,
                       const struct slice_raw_range *earlier, unsigned earlier_count)
{
    for (unsigned i = 0; i < earlier_count; i++)
        for (unsigned port = earlier[i].first; port <= earlier[i].last; port++)
            if (!covers(ranges, count, port))
                return false;
    return true;
}

static bool keeps_ethertypes(const struct slice_raw_grants *grants,
                             const struct slice_raw_grants *earlier)
{
    for (unsigned i = 0; i < earlier->ethertype_count; i++) {
        bool found = false;
        for (unsigned j = 0; j < grants->ethertype_count; j++)
            found = found || grants->ethertypes[j] == earlier->ethertypes[i];
        if (!found)
            return false;
    }
    return true;
}

bool grants_keep(const struct slice_raw_grants *grants, const struct slice_raw_grants *earlier,
                 enum raw_class class, int domain, int protocol)
{
    switch (class) {
    case CLASS_PROTOCOL:
        return has_protocol(protocols_of(grants, domain), protocol);
    case CLASS_UDP:
        return has_protocol(protocols_of(grants, domain), IPPROTO_UDP) ||
               (grants->udp_count > 0 &&
                covers_all(grants->udp, grants->udp_count, earlier->udp, earlier->udp_count));
    case CLASS_TCP:
        return has_protocol(protocols_of(grants, domain), IPPROTO_TCP) ||
               (grants->tcp_count > 0 &&
                covers_all(grants->tcp, grants->tcp_count, earlier->tcp, earlier->tcp_count));
    case CLASS_SEND:
        return sends_anything(grants, domain);
    case CLASS_SNIFF:
        return (grants->flags & SLICE_RAW_SNIFF) != 0;
    case CLASS_ETHERTYPES:
        return (grants->flags & SLICE_RAW_SNIFF) != 0 ||
               (grants->ethertype_count > 0 && keeps_ethertypes(grants, earlier));
    case CLASS_NONE:
        break;
    }
    return false;
}

static bool widens_protocols(const uint64_t set[4], const uint64_t earlier[4])
{
    return (earlier[0] & ~set[0]) == 0 && (earlier[1] & ~set[1]) == 0 &&
           (earlier[2] & ~set[2]) == 0 && (earlier[3] & ~set[3]) == 0;
}

bool grants_widen(const struct slice_raw_grants *grants, const struct slice_raw_grants *earlier)
{
    return widens_protocols(grants->ipv4, earlier->ipv4) &&
           widens_protocols(grants->ipv6, earlier->ipv6) &&
           covers_all(grants->udp, grants->udp_count, earlier->udp, earlier->udp_count) &&
           covers_all(grants->tcp, grants->tcp_count, earlier->tcp, earlier->tcp_count) &&
           (earlier->flags & ~grants->flags) == 0 && keeps_ethertypes(grants, earlier);
}
