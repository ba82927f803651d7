// What arrives for slices with the node's address. Part of from_uplink.
#ifndef CLASSIFIER_SHARED_IN_H
#define CLASSIFIER_SHARED_IN_H

#include "shared.h"

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

// A packet to the node, as far as it tells whose it is.
struct arrival {
    __u8 source[16] __attribute__((aligned(8))), destination[16];
    __u32 transport; // offset of the transport header
    __be32 identification;
    __u8 protocol; // IPPROTO_ICMP for both families
    __u8 fragmented, later_fragment;
    // Of an answer to an echo, or an error about one: where the echo is, else 0; to whom it went.
    __u32 echo;
    __u8 asked[16];
};

static __always_inline int read_ipv4(struct __sk_buff *skb, __u32 offset, struct arrival *arrival) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, offset, &ip, sizeof ip) < 0 || ip.version != 4 || ip.ihl < 5)
        return -1;
    map_ipv4(arrival->source, &ip.saddr);
    map_ipv4(arrival->destination, &ip.daddr);
    arrival->transport = offset + ip.ihl * 4;
    arrival->identification = ip.id;
    arrival->protocol = ip.protocol;
    arrival->fragmented = (ip.frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET)) != 0;
    arrival->later_fragment = (ip.frag_off & bpf_htons(IPV4_OFFSET)) != 0;
    return 0;
}

// Of the extension headers only that of a fragment: see check_ipv6().
static __always_inline int read_ipv6(struct __sk_buff *skb, __u32 offset, struct arrival *arrival) {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, offset, &ip, sizeof ip) < 0 || ip.version != 6) return -1;
    __builtin_memcpy(arrival->source, &ip.saddr, 16);
    __builtin_memcpy(arrival->destination, &ip.daddr, 16);
    arrival->transport = offset + sizeof ip;
    arrival->protocol = ip.nexthdr;
    if (ip.nexthdr == IPPROTO_FRAGMENT) {
        struct fragment_header part;
        if (bpf_skb_load_bytes(skb, arrival->transport, &part, sizeof part) < 0) return -1;
        arrival->transport += sizeof part;
        arrival->protocol = part.nexthdr;
        arrival->identification = part.identification;
        arrival->fragmented = 1;
        arrival->later_fragment = (part.frag_off & bpf_htons(IPV6_OFFSET)) != 0;
    }
    if (arrival->protocol == IPPROTO_ICMP) return -1; // IPv4's
    if (arrival->protocol == IPPROTO_ICMPV6) arrival->protocol = IPPROTO_ICMP;
    return 0;
}

// Whom an error is for: who sent what it quotes, at the end of it.
static __always_inline __u32 find_quoted(struct __sk_buff *skb, struct arrival *arrival) {
    struct arrival quoted = {0};
    const __u32 offset = arrival->transport + sizeof(struct icmp);
    const int four = skb->protocol == bpf_htons(ETH_P_IP);
    if ((four ? read_ipv4(skb, offset, &quoted) : read_ipv6(skb, offset, &quoted)) < 0 ||
        quoted.later_fragment || !same_address(quoted.source, arrival->destination))
        return 0;
    struct icmp start;
    if (bpf_skb_load_bytes(skb, quoted.transport, &start, sizeof start) < 0) return 0;
    switch (quoted.protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP: return owner_of(((const struct udphdr *)&start)->source);
    case IPPROTO_ICMP:
        if (start.type != (four ? ECHO : ECHO6)) return 0;
        arrival->echo = quoted.transport;
        __builtin_memcpy(arrival->asked, quoted.destination, 16);
        return owner_of(start.identifier);
    }
    return 0;
}

// Whom an ICMP message is for. Requests are the host's to answer, and what neighbours and routers say is
// for it.
static __always_inline __u32 find_icmp(struct __sk_buff *skb, struct arrival *arrival) {
    struct icmp icmp;
    if (bpf_skb_load_bytes(skb, arrival->transport, &icmp, sizeof icmp) < 0) return 0;
    const int four = skb->protocol == bpf_htons(ETH_P_IP);
    if (icmp.type == (four ? ECHO_REPLY : ECHO_REPLY6)) {
        arrival->echo = arrival->transport;
        __builtin_memcpy(arrival->asked, arrival->source, 16);
        return owner_of(icmp.identifier);
    }
    const int error = four ? icmp.type == UNREACHABLE || icmp.type == TIME_EXCEEDED ||
                                 icmp.type == PARAMETER_PROBLEM
                           : icmp.type >= UNREACHABLE6 && icmp.type <= PARAMETER_PROBLEM6;
    return error && !arrival->fragmented ? find_quoted(skb, arrival) : 0;
}

// A first fragment is followed by others; those of the host's are followed only where a slice's were
// before.
static __always_inline void
note_fragment(const struct fragment *fragment, __u32 link) {
    const struct claim claim = {.link = link, .since = bpf_ktime_get_ns()};
    if (link || bpf_map_lookup_elem(&fragments, fragment))
        bpf_map_update_elem(&fragments, fragment, &claim, BPF_ANY);
}

static __always_inline __u32 find_first(const struct fragment *fragment) {
    const struct claim *claim = bpf_map_lookup_elem(&fragments, fragment);
    return claim && bpf_ktime_get_ns() - claim->since < FRAGMENT_NS ? claim->link : 0;
}

// The link of the slice that a packet is for; 0: the host's.
static __always_inline __u32 find_receiver(struct __sk_buff *skb, struct arrival *arrival) {
    struct fragment fragment = {
        .protocol = arrival->protocol, .identification = arrival->identification};
    __builtin_memcpy(fragment.address, arrival->source, 16);
    if (arrival->later_fragment) return find_first(&fragment);
    __u32 link = 0;
    if (arrival->protocol == IPPROTO_TCP || arrival->protocol == IPPROTO_UDP) {
        __be16 both[2];
        if (bpf_skb_load_bytes(skb, arrival->transport, both, sizeof both) == 0)
            link = owner_of(both[1]);
    } else if (arrival->protocol == IPPROTO_ICMP) {
        link = find_icmp(skb, arrival);
    }
    if (arrival->fragmented) note_fragment(&fragment, link);
    return link;
}

// Puts back the identifier that the slice has chosen; -1 where the host has asked with the same one.
static __always_inline int restore_echo(struct __sk_buff *skb, const struct arrival *arrival) {
    struct icmp icmp;
    if (bpf_skb_load_bytes(skb, arrival->echo, &icmp, sizeof icmp) < 0) return -1;
    struct host_echo asked = {.identifier = icmp.identifier};
    __builtin_memcpy(asked.address, arrival->asked, 16);
    const __u64 *since = bpf_map_lookup_elem(&host_echoes, &asked);
    if (since && bpf_ktime_get_ns() - *since < HOST_ECHO_NS) return -1;
    const __u32 *inside = echo_of(icmp.identifier);
    if (!inside) return -1;
    return *inside == icmp.identifier ? 0 : rename_echo(skb, arrival->echo, &icmp, *inside);
}

static __always_inline int arrive_shared(struct __sk_buff *skb) {
    // What a card in promiscuous mode takes up for others, and what belongs to a VLAN's own link.
    if (skb->pkt_type != PACKET_HOST || skb->vlan_present) return TC_ACT_UNSPEC;
    struct arrival arrival = {0};
    int result = -1;
    if (skb->protocol == bpf_htons(ETH_P_IP)) result = read_ipv4(skb, ETH_HLEN, &arrival);
    if (skb->protocol == bpf_htons(ETH_P_IPV6)) result = read_ipv6(skb, ETH_HLEN, &arrival);
    if (result < 0) return TC_ACT_UNSPEC;

    __u32 link = find_receiver(skb, &arrival);
    if (link == 0) return TC_ACT_UNSPEC;
    const struct slice *slice = bpf_map_lookup_elem(&slices, &link);
    if (!slice || !slice->shared) return TC_ACT_UNSPEC;
    // The node may have other addresses, and pass on what is for others.
    const int own = skb->protocol == bpf_htons(ETH_P_IP)
                        ? same_address(arrival.destination, slice->ipv4)
                        : slice->has_ipv6 && same_address(arrival.destination, slice->ipv6);
    if (!own || (arrival.echo && restore_echo(skb, &arrival) < 0)) return TC_ACT_UNSPEC;

    // To the slice's MAC address from the host's, which follows it.
    if (bpf_skb_store_bytes(skb, 0, slice->mac, 2 * ETH_ALEN, 0) < 0) return TC_ACT_SHOT;
    return bpf_redirect(link, 0);
}

// The host's own pings, with an identifier that a slice has too: the answers are the host's.
static __always_inline void note_host_echo(struct __sk_buff *skb) {
    struct arrival sent = {0};
    int result = -1;
    if (skb->protocol == bpf_htons(ETH_P_IP)) result = read_ipv4(skb, ETH_HLEN, &sent);
    if (skb->protocol == bpf_htons(ETH_P_IPV6)) result = read_ipv6(skb, ETH_HLEN, &sent);
    if (result < 0 || sent.protocol != IPPROTO_ICMP || sent.later_fragment) return;
    struct icmp icmp;
    if (bpf_skb_load_bytes(skb, sent.transport, &icmp, sizeof icmp) < 0) return;
    if (icmp.type != (skb->protocol == bpf_htons(ETH_P_IP) ? ECHO : ECHO6)) return;
    if (!owner_of(icmp.identifier)) return;
    struct host_echo asked = {.identifier = icmp.identifier};
    __builtin_memcpy(asked.address, sent.destination, 16);
    __u64 now = bpf_ktime_get_ns();
    bpf_map_update_elem(&host_echoes, &asked, &now, BPF_ANY);
}

#endif
