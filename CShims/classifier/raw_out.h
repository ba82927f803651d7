// What slices send because their raw sockets were granted it, and what comes to them for that. Part of
// from_slice and to_slice; a slice without such grants is in no map, and all of it is refused.
//
// That it is a raw socket that sends, and one of these very grants, is seen to on the slice's own end
// (../raw/raw.bpf.c), which lets us know of each packet that it has seen. What went round it, by AF_XDP, is
// held to the grants here, protocols and source ports.
#ifndef CLASSIFIER_RAW_OUT_H
#define CLASSIFIER_RAW_OUT_H

#include "../protocol/slice_raw.h"
#include "arp.h"
#include "packet.h"
#include "tables.h"

static __always_inline const struct raw_grant *raw_grant_of(const struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    return bpf_map_lookup_elem(&raw_grants, &link);
}

static __always_inline int
is_granted_protocol(const struct __sk_buff *skb, __u8 family, __u8 protocol) {
    const struct raw_grant *granted = raw_grant_of(skb);
    if (!granted) return 0;
    const __u64 word = family == AF_INET ? granted->ipv4[protocol / 64] : granted->ipv6[protocol / 64];
    return (word >> protocol % 64 & 1) != 0;
}

static __always_inline int is_granted_ethertype(const struct raw_grant *granted, __be16 ethertype) {
    for (int i = 0; i < 16; i++)
        if (granted->ethertypes[i] == ethertype) return 1;
    return 0;
}

// Whether it came by a way on which the slice's own end could judge it, or there is none.
static __always_inline int was_judged(const struct __sk_buff *skb, const struct raw_grant *granted) {
    return !granted || !granted->marks || skb->tc_index == SLICE_RAW_JUDGED;
}

static __always_inline int in_raw_ports(const struct raw_ports *ports, __be16 port) {
    const __u16 number = bpf_ntohs(port);
    for (int i = 0; i < RAW_RANGES; i++)
        if (i < ports->count && ports->ranges[i].first <= number && number <= ports->ranges[i].last)
            return 1;
    return 0;
}

// Whether a packet is one that the slice may send as it did. What has no port, as later parts of a
// fragmented packet, is none of a port's.
static __always_inline int is_sent_as_granted(const struct __sk_buff *skb, const struct packet *packet) {
    const struct raw_grant *granted = raw_grant_of(skb);
    if (was_judged(skb, granted)) return 1;
    if (!granted->bypasses) return 0;
    const int ipv4 = packet->family == AF_INET;
    // struct packet knows one ICMP.
    const __u8 protocol =
        packet->protocol == IPPROTO_ICMP && !ipv4 ? IPPROTO_ICMPV6 : packet->protocol;
    const __u64 *set = ipv4 ? granted->ipv4 : granted->ipv6;
    if (set[protocol / 64] >> protocol % 64 & 1) return 1;
    if (protocol == IPPROTO_UDP) return in_raw_ports(&granted->udp, packet->source_port);
    return protocol == IPPROTO_TCP && in_raw_ports(&granted->tcp, packet->source_port);
}

// Nobody on the host's end speaks ARP. A slice that is to may ask for the gateway, and is answered here,
// with what it knows. Everything else of ARP ends here.
static __always_inline int answer_arp(struct __sk_buff *skb, const struct slice *slice) {
    const __u8 *own = slice->ipv4 + 12, *gateway = slice->gateway4 + 12;
    const struct arp *question = arp_question(skb, slice->mac, own);
    if (!question || !same_bytes(question->target, gateway)) return TC_ACT_SHOT;
    return arp_answer(skb, slice->mac, own, slice->host_mac, gateway);
}

// Frames that are not IP's, whose source address is the slice's: for the host's end, or for all.
static __always_inline int
send_frame(struct __sk_buff *skb, const struct slice *slice, enum reason refused) {
    const struct raw_grant *granted = raw_grant_of(skb);
    if (!granted || !is_granted_ethertype(granted, skb->protocol)) return count_drop(skb, refused);
    if (!was_judged(skb, granted) && !granted->bypasses) return count_drop(skb, DROP_PORT);
    if (skb->protocol != bpf_htons(ETH_P_ARP)) return TC_ACT_OK;
    const int verdict = answer_arp(skb, slice);
    return verdict == TC_ACT_SHOT ? count_drop(skb, DROP_ARP) : verdict;
}

#define DHCP_SERVER 67
#define DHCP_CLIENT 68

// A question of a DHCP client (RFC 2131): to all, with no address or the slice's own. It reaches the
// host's port 67 where that is open to the slice, and nobody else.
static __always_inline int asks_for_address(struct __sk_buff *skb, const struct slice *slice) {
    const struct raw_grant *granted = raw_grant_of(skb);
    if (!granted || !granted->asks_for_address || slice->shared) return 0;
    if (!was_judged(skb, granted) && !granted->bypasses) return 0;
    const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip + sizeof(struct udphdr));
    if (!ip) return 0;
    ip = (const void *)ip + ETH_HLEN;
    const struct udphdr *udp = (const void *)(ip + 1);
    if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
        ip->frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET) || ip->daddr != 0xffffffff ||
        (ip->saddr != 0 && !same_ipv4(&ip->saddr, slice->ipv4)) ||
        udp->source != bpf_htons(DHCP_CLIENT) || udp->dest != bpf_htons(DHCP_SERVER))
        return 0;
    struct service open = {.port = bpf_htons(DHCP_SERVER), .protocol = IPPROTO_UDP};
    if (bpf_map_lookup_elem(&services, &open)) return 1;
    struct allowed_service own = {
        .link = skb->ifindex, .port = open.port, .protocol = IPPROTO_UDP};
    return bpf_map_lookup_elem(&allowed_services, &own) != NULL;
}

// Its answer, to all. What is for the slice's address passes anyhow.
static __always_inline int is_address_answer(struct __sk_buff *skb, int local) {
    const struct raw_grant *granted = raw_grant_of(skb);
    if (!local || !granted || !granted->asks_for_address) return 0;
    const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip + sizeof(struct udphdr));
    if (!ip) return 0;
    ip = (const void *)ip + ETH_HLEN;
    const struct udphdr *udp = (const void *)(ip + 1);
    return ip->ihl == 5 && ip->protocol == IPPROTO_UDP && ip->daddr == 0xffffffff &&
           !(ip->frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET)) &&
           udp->source == bpf_htons(DHCP_SERVER) && udp->dest == bpf_htons(DHCP_CLIENT);
}

// Of ARP the answers above alone, which this program has made.
static __always_inline int is_arp_answer(struct __sk_buff *skb) {
    const struct raw_grant *granted = raw_grant_of(skb);
    return skb->protocol == bpf_htons(ETH_P_ARP) && granted &&
           is_granted_ethertype(granted, skb->protocol);
}

#endif
