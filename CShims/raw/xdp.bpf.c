// What a slice's AF_XDP socket receives (XDP on `eth0` of the slice's network namespace, which is the host's
// and which the slice can't change): packets of the protocols, ports and ethertypes that its raw sockets
// were granted, in place of the slice's other sockets. All else, and everything while there is no such
// socket, goes its usual way.
//
// Generic XDP (XDP_FLAGS_SKB_MODE): native XDP on one end of a veth pair takes segmentation away from the
// other, which every packet to the slice would pay for (veth_xdp_set()).
//
// The namespace holds nothing but the slice's own packets, and the classifier lets none of others' in. So
// what is here is for the slice in any case; the grants say by which socket.
//
// One instance for each slice with `xdp`, in place of none; its map of grants is that of raw.bpf.c, and its
// map of sockets is filled by the slice's broker alone. A withdrawn grant ends what is received at once.
#include "granted.h"

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1); // the link has one queue
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

// `size` bytes of the packet from `offset`; null where it is shorter.
static __always_inline const void *
part(const struct xdp_md *packet, __u32 offset, __u32 size) {
    const void *data = (const void *)(long)packet->data, *end = (const void *)(long)packet->data_end;
    return data + offset + size <= end ? data + offset : NULL;
}

// `offset`: of the transport header. A later part of a fragmented packet has no ports, and is received by
// whoever received the others: the kernel, which puts them together.
static __always_inline int
is_wanted(const struct xdp_md *packet, const struct slice_raw_grants *grants, const uint64_t set[4],
          __u8 protocol, __u32 offset, int fragmented) {
    if (in_set(set, protocol)) return 1;
    if ((protocol != IPPROTO_UDP && protocol != IPPROTO_TCP) || fragmented) return 0;
    const struct udphdr *ports = part(packet, offset, sizeof *ports); // TCP's are at the same place
    if (!ports) return 0;
    const __u16 port = bpf_ntohs(ports->dest);
    return protocol == IPPROTO_UDP ? in_ranges(grants->udp, grants->udp_count, port)
                                   : in_ranges(grants->tcp, grants->tcp_count, port);
}

static __always_inline int
is_wanted_ipv4(const struct xdp_md *packet, const struct slice_raw_grants *grants) {
    const struct iphdr *ip = part(packet, ETH_HLEN, sizeof *ip);
    if (!ip || ip->version != 4 || ip->ihl != 5) return 0;
    return is_wanted(packet, grants, grants->ipv4, ip->protocol, ETH_HLEN + sizeof *ip,
                     (ip->frag_off & bpf_htons(IPV4_OFFSET | IPV4_MORE)) != 0);
}

static __always_inline int
is_wanted_ipv6(const struct xdp_md *packet, const struct slice_raw_grants *grants) {
    const struct ipv6hdr *ip = part(packet, ETH_HLEN, sizeof *ip);
    if (!ip || ip->version != 6 || ip->nexthdr == IPPROTO_FRAGMENT) return 0;
    return is_wanted(packet, grants, grants->ipv6, ip->nexthdr, ETH_HLEN + sizeof *ip, 0);
}

SEC("xdp")
int to_xdp_socket(struct xdp_md *packet) {
    const __u32 first = 0;
    const struct slice_raw_state *it = bpf_map_lookup_elem(&state, &first);
    if (!it || !it->granted || it->unsettled || (it->grants.flags & SLICE_RAW_XDP) == 0) return XDP_PASS;
    const struct ethhdr *ethernet = part(packet, 0, sizeof *ethernet);
    if (!ethernet) return XDP_PASS;
    int wanted;
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_IP): wanted = is_wanted_ipv4(packet, &it->grants); break;
    case bpf_htons(ETH_P_IPV6): wanted = is_wanted_ipv6(packet, &it->grants); break;
    default: wanted = in_ethertypes(&it->grants, bpf_ntohs(ethernet->h_proto));
    }
    // Without a socket: XDP_PASS.
    return wanted ? bpf_redirect_map(&sockets, packet->rx_queue_index, XDP_PASS) : XDP_PASS;
}

const char LICENSE[] SEC("license") = "Dual BSD/GPL";
