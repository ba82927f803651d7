// What holds the members of an overlay to their own addresses, and its peers to their parts. These
// programs hang on the links of one overlay, in its network namespace (tc-bpf(8), clsact, direct action):
//
//     member's link  from_member (ingress)  what a slice sent into the overlay
//                    to_member   (egress)   what it is about to receive
//     carrier        from_peer   (ingress)  what came from another node
//                    to_peer     (egress)   what leaves for one
//
// Why it is safe:
//   1. Who may meet whom is not decided here: an overlay is a network namespace of its own, in which
//      there is nothing but its members' links and its carrier. What reaches it comes from one of these.
//   2. A member sends from its own address alone, and each address has one link (the route to it). So
//      members know who speaks to them.
//   3. Between nodes VXLAN says who sent a packet by the outer source address, and this must be the peer
//      that has the part which the inner source lies in. Whoever can forge the outer one can forge the
//      inner: where that is possible the overlay has to be encrypted, and WireGuard checks both.
//   4. A packet that came from a peer goes to members alone, never on to another peer.
//   5. The namespace's own address answers echo requests and nothing else; nothing listens there.
//
// The checks of a frame are those of classifier.bpf.c, and header() brings what is read into the
// packet's linear part, where everybody after this reads it too. IPv4 alone. Linux 6.1 or newer.

#include "overlay.h"
#include "packet.h"

#include <linux/pkt_cls.h>

#define MOST_MEMBERS 4095 // one less than a power of two: the table of drops has one more
#define MOST_PEERS 1024

volatile struct terms terms SEC(".data.terms");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, MOST_MEMBERS);
    __type(key, __u32);
    __type(value, struct member);
} members SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, MOST_PEERS);
    __type(key, struct part);
    __type(value, struct peer);
} peers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, MOST_MEMBERS + 1);
    __type(key, __u32);
    __type(value, struct overlay_drops);
} dropped SEC(".maps");

static __always_inline int drop(struct __sk_buff *skb, enum overlay_reason reason) {
    __u32 link = skb->ifindex;
    struct overlay_drops *counted = bpf_map_lookup_elem(&dropped, &link);
    if (counted && reason < OVERLAY_REASONS) __sync_fetch_and_add(&counted->packets[reason], 1);
    return TC_ACT_SHOT;
}

// What the checks find out.
struct inner {
    __be32 source, destination;
};

// The IPv4 header at `offset`, which is constant wherever this is called.
static __always_inline enum overlay_reason
check_ipv4(struct __sk_buff *skb, const __u32 offset, struct inner *inner) {
    const struct iphdr *ip = header(skb, offset + sizeof *ip);
    if (!ip) return OVERLAY_MALFORMED;
    ip = (void *)ip + offset;
    if (ip->version != 4 || ip->ihl < 5) return OVERLAY_MALFORMED;
    if (ip->ihl != 5) return OVERLAY_PROTOCOL;
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_ICMP)
        return OVERLAY_PROTOCOL;
    inner->source = ip->saddr;
    inner->destination = ip->daddr;
    if ((inner->destination & terms.subnet_mask) != terms.subnet) return OVERLAY_DESTINATION;
    if (inner->destination != terms.gateway) return OVERLAY_PASS;
    // Fragments would fill the host's memory for reassembly.
    if (ip->protocol != IPPROTO_ICMP || ip->frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET))
        return OVERLAY_DESTINATION;
    const struct icmp *icmp = header(skb, offset + sizeof *ip + sizeof *icmp);
    if (!icmp) return OVERLAY_MALFORMED;
    icmp = (void *)icmp + offset + sizeof *ip;
    return icmp->type == ECHO ? OVERLAY_PASS : OVERLAY_DESTINATION;
}

SEC("tc")
int from_member(struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    const struct member *member = bpf_map_lookup_elem(&members, &link);
    if (!member) return TC_ACT_SHOT;
    if (skb->vlan_present || skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_FRAME);
    const struct ethhdr *ethernet = header(skb, sizeof *ethernet);
    if (!ethernet) return drop(skb, OVERLAY_MALFORMED);
    if (!same_mac(ethernet->h_source, member->mac) || !same_mac(ethernet->h_dest, member->host_mac))
        return drop(skb, OVERLAY_FRAME);
    struct inner inner;
    enum overlay_reason reason = check_ipv4(skb, ETH_HLEN, &inner);
    if (reason != OVERLAY_PASS) return drop(skb, reason);
    return inner.source == member->address ? TC_ACT_OK : drop(skb, OVERLAY_SOURCE);
}

SEC("tc")
int to_member(struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    const struct member *member = bpf_map_lookup_elem(&members, &link);
    if (!member) return TC_ACT_SHOT;
    if (skb->vlan_present || skb->protocol != bpf_htons(ETH_P_IP))
        return drop(skb, OVERLAY_RECEIVED);
    const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip);
    if (!ip) return drop(skb, OVERLAY_RECEIVED);
    ip = (void *)ip + ETH_HLEN;
    return ip->daddr == member->address ? TC_ACT_OK : drop(skb, OVERLAY_RECEIVED);
}

static __always_inline const struct peer *peer_of(__be32 address) {
    struct part part = {.length = 32, .address = address};
    return bpf_map_lookup_elem(&peers, &part);
}

// Whether VXLAN's outer header names this peer.
static __always_inline int came_from(struct __sk_buff *skb, const struct peer *peer) {
    struct bpf_tunnel_key key = {0};
    if (peer->family == AF_INET) {
        if (bpf_skb_get_tunnel_key(skb, &key, sizeof key, 0) < 0) return 0;
        return key.tunnel_id == terms.network && key.remote_ipv4 == peer->ipv4;
    }
    if (bpf_skb_get_tunnel_key(skb, &key, sizeof key, BPF_F_TUNINFO_IPV6) < 0) return 0;
    const __u32 *wanted = (const __u32 *)peer->ipv6;
    return key.tunnel_id == terms.network && key.remote_ipv6[0] == wanted[0] &&
           key.remote_ipv6[1] == wanted[1] && key.remote_ipv6[2] == wanted[2] &&
           key.remote_ipv6[3] == wanted[3];
}

SEC("tc")
int from_peer(struct __sk_buff *skb) {
    if (skb->vlan_present || skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_FRAME);
    struct inner inner;
    enum overlay_reason reason =
        terms.has_headers ? check_ipv4(skb, ETH_HLEN, &inner) : check_ipv4(skb, 0, &inner);
    if (reason != OVERLAY_PASS) return drop(skb, reason);
    if ((inner.destination & terms.part_mask) != terms.part) return drop(skb, OVERLAY_DESTINATION);
    const struct peer *peer = peer_of(inner.source);
    if (!peer) return drop(skb, OVERLAY_SOURCE);
    if (terms.has_headers && !came_from(skb, peer)) return drop(skb, OVERLAY_PEER);
    return TC_ACT_OK;
}

SEC("tc")
int to_peer(struct __sk_buff *skb) {
    if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_FRAME);
    struct inner inner;
    // Also the namespace's own answers, which no member sent.
    enum overlay_reason reason =
        terms.has_headers ? check_ipv4(skb, ETH_HLEN, &inner) : check_ipv4(skb, 0, &inner);
    if (reason != OVERLAY_PASS) return drop(skb, reason);
    const struct peer *peer = peer_of(inner.destination);
    if (!peer) return drop(skb, OVERLAY_PEER);
    // What was forwarded came in by its sender's link: it shares the uplink as that slice's (uplink.h).
    __u32 link = skb->ingress_ifindex;
    const struct member *member = link ? bpf_map_lookup_elem(&members, &link) : NULL;
    if (member) skb->priority = member->class;
    if (!terms.has_headers) return TC_ACT_OK;

    struct bpf_tunnel_key key = {.tunnel_id = terms.network, .tunnel_ttl = 64};
    __u64 flags = 0;
    if (peer->family == AF_INET) {
        key.remote_ipv4 = peer->ipv4;
    } else {
        __builtin_memcpy(key.remote_ipv6, peer->ipv6, sizeof key.remote_ipv6);
        flags = BPF_F_TUNINFO_IPV6;
    }
    if (bpf_skb_set_tunnel_key(skb, &key, sizeof key, flags) < 0) return drop(skb, OVERLAY_PEER);
    const struct ethhdr addresses = {
        .h_dest = OVERLAY_CARRIER_MAC, .h_source = OVERLAY_FROM_MAC, .h_proto = bpf_htons(ETH_P_IP)};
    if (bpf_skb_store_bytes(skb, 0, &addresses, sizeof addresses, 0) < 0)
        return drop(skb, OVERLAY_MALFORMED);
    return TC_ACT_OK;
}

// bpf_skb_pull_data() and the tunnel's helpers are for programs under the kernel's license.
const char LICENSE[] SEC("license") = "Dual BSD/GPL";
