// What slices with the node's address send. Part of from_slice, behind the checks of all headers.
#ifndef CLASSIFIER_SHARED_OUT_H
#define CLASSIFIER_SHARED_OUT_H

#include "shared.h"

// Whether the packet that an error quotes was one to a port of the slice.
static __always_inline int quotes_own_port(struct __sk_buff *skb, const struct packet *packet) {
    __u8 protocol;
    const __be16 *quoted_ports;
    if (packet->family == AF_INET) {
        const __u32 offset = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct icmp);
        const struct iphdr *quoted = header(skb, offset + sizeof *quoted + 4);
        if (!quoted || packet->end < offset + sizeof *quoted + 4) return 0;
        quoted = (void *)quoted + offset;
        if (quoted->ihl != 5 || quoted->frag_off & bpf_htons(IPV4_OFFSET)) return 0;
        protocol = quoted->protocol;
        quoted_ports = (const void *)(quoted + 1);
    } else {
        const __u32 offset = ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct icmp);
        const struct ipv6hdr *quoted = header(skb, offset + sizeof *quoted + 4);
        if (!quoted || packet->end < offset + sizeof *quoted + 4) return 0;
        quoted = (void *)quoted + offset;
        protocol = quoted->nexthdr;
        quoted_ports = (const void *)(quoted + 1);
    }
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return 0;
    return owner_of(quoted_ports[1]) == skb->ifindex;
}

static __always_inline int
read_identification(struct __sk_buff *skb, const struct packet *packet, struct fragment *fragment) {
    if (packet->family == AF_INET) {
        const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip);
        if (!ip) return -1;
        fragment->identification = ((const struct iphdr *)((void *)ip + ETH_HLEN))->id;
    } else {
        const __u32 offset = ETH_HLEN + sizeof(struct ipv6hdr);
        const struct fragment_header *part = header(skb, offset + sizeof *part);
        if (!part) return -1;
        fragment->identification =
            ((const struct fragment_header *)((void *)part + offset))->identification;
    }
    return 0;
}

// A later fragment leaves only behind a first one of the same slice, because it could be put together
// with another's.
static __always_inline enum reason
check_fragment(struct __sk_buff *skb, const struct packet *packet) {
    struct fragment fragment = {.protocol = packet->protocol, .leaves = 1};
    __builtin_memcpy(fragment.address, packet->destination, 16);
    if (read_identification(skb, packet, &fragment) < 0) return DROP_MALFORMED;

    const struct claim claim = {.link = skb->ifindex, .since = bpf_ktime_get_ns()};
    const struct claim *other = bpf_map_lookup_elem(&fragments, &fragment);
    const int holds = other && claim.since - other->since < FRAGMENT_NS;
    const int is_own = holds && other->link == claim.link;
    if (packet->later_fragment) return is_own ? PASS : DROP_FRAGMENT;
    if (holds && !is_own) return DROP_FRAGMENT;
    // Of two at the same time one is refused.
    return bpf_map_update_elem(&fragments, &fragment, &claim, other ? BPF_ANY : BPF_NOEXIST) < 0
               ? DROP_FRAGMENT
               : PASS;
}

static __always_inline enum reason
check_port(struct __sk_buff *skb, const struct packet *packet) {
    if (packet->later_fragment) return check_fragment(skb, packet);
    if (packet->protocol == IPPROTO_ICMP) {
        // The host answers those who ping the node.
        if (packet->echo_reply || (packet->error && !quotes_own_port(skb, packet))) return DROP_PORT;
    } else if (owner_of(packet->source_port) != skb->ifindex) {
        return DROP_PORT;
    }
    return packet->fragmented ? check_fragment(skb, packet) : PASS;
}

// Ping takes an identifier by chance, or gets one of a number that all of the kernel share
// (ping_get_port()). The next packets with it must get the same, and different ones different, as far
// as there are enough: numbers of the kernel's follow each other.
static __always_inline enum reason
exchange_echo(struct __sk_buff *skb, const struct slice *slice, const struct packet *packet) {
    __u16 own = bpf_ntohs(packet->echo);
    if (owner_of(packet->echo) != skb->ifindex) {
        if (slice->port_count == 0) return DROP_PORT;
        own = slice->first_port + own % slice->port_count;
        // Should the block be of earlier.
        if (owner_of(bpf_htons(own)) != skb->ifindex) return DROP_PORT;
    }
    __u32 *inside = echo_of(bpf_htons(own));
    if (!inside) return DROP_PORT;
    *inside = packet->echo;
    if (bpf_htons(own) == packet->echo) return PASS;
    struct icmp icmp;
    if (bpf_skb_load_bytes(skb, packet->transport, &icmp, sizeof icmp) < 0 ||
        rename_echo(skb, packet->transport, &icmp, bpf_htons(own)) < 0)
        return DROP_MALFORMED;
    return PASS;
}

// To the world alone: who answers to the node's address on this host answers to the host.
static __always_inline int
leave_shared(struct __sk_buff *skb, const struct slice *slice, const struct packet *packet) {
    enum reason reason = check_port(skb, packet);
    if (reason != PASS) return count_drop(skb, reason);

    struct bpf_fib_lookup route;
    switch (find_route(skb, packet, &route)) {
    case BPF_FIB_LKUP_RET_SUCCESS:
    case BPF_FIB_LKUP_RET_NO_NEIGH: break;
    case BPF_FIB_LKUP_RET_FRAG_NEEDED: return count_drop(skb, DROP_MALFORMED); // beyond the MTU
    default: return count_drop(skb, DROP_TO_HOST);
    }
    const __u32 link = route.ifindex;
    if (bpf_map_lookup_elem(&slices, &link)) return count_drop(skb, DROP_TO_OTHER_OWNER);
    reason = check_outside(skb, packet);
    if (reason == PASS && packet->echo_request) reason = exchange_echo(skb, slice, packet);
    if (reason != PASS) return count_drop(skb, reason);

    struct bpf_redir_neigh next = {.nh_family = route.family};
    __builtin_memcpy(next.ipv6_nh, route.ipv6_dst, sizeof next.ipv6_nh); // IPv4 in its first 4 bytes
    return bpf_redirect_neigh(link, &next, sizeof next, 0);
}

#endif
