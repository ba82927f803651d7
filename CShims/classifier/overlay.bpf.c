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
//   6. Beyond TCP, UDP and ICMP a protocol passes from members that were granted it to members that were
//      granted it, on whatever node they are. That a raw socket with this very grant has sent it is seen
//      to on the slice's own end (../raw/raw.bpf.c).
//   7. An error of ICMP is about a packet from its receiver to its sender, or to the sender's part of the
//      overlay where another node says so: else a member could end others' connections.
//
// An overlay is one link to its members: no packet's time to live is lowered, and what a granted protocol
// sends to the groups of a link (224.0.0.0/24) goes to all that were granted it, on the same node. So
// protocols that are made for a link work, such as OSPF (RFC 2328, appendix A.1). The overlay's end stands for
// all members: it answers ARP for every address of the subnet, of programs that send to neighbours without
// asking for a route.
//
// The checks of a frame are those of classifier.bpf.c, and header() brings what is read into the
// packet's linear part, where everybody after this reads it too. IPv4 alone. Linux 6.1 or newer.

#include "arp.h"
#include "overlay.h"
#include "packet.h"

#include <linux/pkt_cls.h>

#define MOST_MEMBERS 4095 // one less than a power of two: the table of drops has one more
#define MOST_PEERS 1024

volatile struct terms terms SEC(".data.terms");
volatile struct speakers speakers SEC(".data.speakers");

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
    __be32 about;  // of an ICMP error: where the packet was sent that it is about
    __u32 end;     // offset of what follows the packet
    __u8 protocol;
    __u8 fragmented, later_fragment; // the latter has no transport header
    __u8 echo_request, error; // ICMP
};

// What members send without a grant.
static __always_inline int is_usual(__u8 protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP;
}

static __always_inline int may_use(const struct member *member, __u8 protocol) {
    return is_usual(protocol) || (member->protocols[protocol / 64] >> protocol % 64 & 1) != 0;
}

// The groups of one link, which no router forwards (RFC 5771, section 4).
static __always_inline int is_group(__be32 address) {
    return (address & bpf_htonl(0xffffff00)) == bpf_htonl(0xe0000000);
}

// The IPv4 header at `offset`, which is constant wherever this is called.
static __always_inline enum overlay_reason
check_ipv4(struct __sk_buff *skb, const __u32 offset, struct inner *inner) {
    const struct iphdr *ip = header(skb, offset + sizeof *ip);
    if (!ip) return OVERLAY_MALFORMED;
    ip = (void *)ip + offset;
    if (ip->version != 4 || ip->ihl < 5) return OVERLAY_MALFORMED;
    if (ip->ihl != 5) return OVERLAY_PROTOCOL;
    *inner = (struct inner){
        .source = ip->saddr,
        .destination = ip->daddr,
        .end = offset + bpf_ntohs(ip->tot_len),
        .protocol = ip->protocol,
        .fragmented = (ip->frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET)) != 0,
        .later_fragment = (ip->frag_off & bpf_htons(IPV4_OFFSET)) != 0,
    };
    return OVERLAY_PASS;
}

// The kinds that pass between slices elsewhere too (classifier.bpf.c).
static __always_inline enum overlay_reason
check_icmp(struct __sk_buff *skb, const __u32 offset, struct inner *inner) {
    if (inner->protocol != IPPROTO_ICMP || inner->later_fragment) return OVERLAY_PASS;
    const __u32 message = offset + sizeof(struct iphdr);
    const struct icmp *icmp = header(skb, message + sizeof *icmp);
    if (!icmp || inner->end < message + sizeof *icmp) return OVERLAY_MALFORMED;
    icmp = (void *)icmp + message;
    inner->echo_request = icmp->type == ECHO;
    if (icmp->type == ECHO || icmp->type == ECHO_REPLY) return OVERLAY_PASS;
    if (!is_error(icmp) || inner->fragmented) return OVERLAY_ICMP;
    const __u32 quote = message + sizeof *icmp;
    const struct iphdr *quoted = header(skb, quote + sizeof *quoted);
    if (!quoted || inner->end < quote + sizeof *quoted) return OVERLAY_MALFORMED;
    quoted = (void *)quoted + quote;
    inner->error = 1;
    inner->about = quoted->daddr;
    return quoted->saddr == inner->destination ? OVERLAY_PASS : OVERLAY_ICMP;
}

// Of what goes to one address, from whomever.
static __always_inline enum overlay_reason check_destination(const struct inner *inner) {
    if ((inner->destination & terms.subnet_mask) != terms.subnet) return OVERLAY_DESTINATION;
    if (inner->destination != terms.gateway) return OVERLAY_PASS;
    // Fragments would fill the host's memory for reassembly.
    return inner->echo_request && !inner->fragmented ? OVERLAY_PASS : OVERLAY_DESTINATION;
}

// Hands a packet over to the link that the namespace's routes name, as it is. What has no such link the
// kernel gets: its own, and what it says is unreachable. Members' neighbours are set for good; on the carrier
// addresses mean nothing, see to_peer().
static __always_inline int
deliver(struct __sk_buff *skb, const struct inner *inner, int has_header) {
    struct bpf_fib_lookup route = {
        .family = AF_INET,
        .l4_protocol = inner->protocol,
        .ifindex = skb->ifindex,
        .ipv4_src = inner->source,
        .ipv4_dst = inner->destination,
    };
    const long found = bpf_fib_lookup(skb, &route, sizeof route, 0);
    if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) return TC_ACT_OK;
    struct ethhdr ethernet = {.h_proto = bpf_htons(ETH_P_IP)};
    __builtin_memcpy(ethernet.h_dest, route.dmac, sizeof route.dmac);
    __builtin_memcpy(ethernet.h_source, route.smac, sizeof route.smac);
    if ((!has_header && bpf_skb_change_head(skb, ETH_HLEN, 0) < 0) ||
        bpf_skb_store_bytes(skb, 0, &ethernet, sizeof ethernet, 0) < 0)
        return drop(skb, OVERLAY_MALFORMED);
    return bpf_redirect(route.ifindex, 0);
}

// --- Members

// To all members on this node that were granted the same protocol. What everybody may send has no groups:
// one packet would be thousands.
static __always_inline int send_to_group(
    struct __sk_buff *skb, const struct member *member, const struct inner *inner) {
    if (is_usual(inner->protocol)) return drop(skb, OVERLAY_DESTINATION);
    if (!may_use(member, inner->protocol)) return drop(skb, OVERLAY_PROTOCOL);
    for (__u32 each = 0; each < MOST_SPEAKERS; each++) {
        __u32 link = speakers.links[each];
        if (link == 0 || link == skb->ifindex) continue;
        const struct member *other = bpf_map_lookup_elem(&members, &link);
        if (other && may_use(other, inner->protocol)) bpf_clone_redirect(skb, link, 0);
    }
    return TC_ACT_STOLEN;
}

static __always_inline enum overlay_reason
check_frame(struct __sk_buff *skb, const struct member *member, const struct inner *inner) {
    const struct ethhdr *ethernet = header(skb, sizeof *ethernet);
    if (!ethernet) return OVERLAY_MALFORMED;
    if (!same_mac(ethernet->h_source, member->mac)) return OVERLAY_FRAME;
    if (!is_group(inner->destination))
        return same_mac(ethernet->h_dest, member->host_mac) ? OVERLAY_PASS : OVERLAY_FRAME;
    // RFC 1112, section 6.4; of the last four bytes the second and third are those of is_group().
    const __u8 *address = (const __u8 *)&inner->destination;
    const __u8 group[6] __attribute__((aligned(2))) = {0x01, 0x00, 0x5e, 0, 0, address[3]};
    return same_mac(ethernet->h_dest, group) ? OVERLAY_PASS : OVERLAY_FRAME;
}

static __always_inline int answer_arp(struct __sk_buff *skb, const struct member *member) {
    const __u8 *own = (const __u8 *)&member->address;
    const struct arp *question = arp_question(skb, member->mac, own);
    if (!question || same_bytes(question->target, own)) return drop(skb, OVERLAY_FRAME);
    __be32 target;
    __builtin_memcpy(&target, question->target, sizeof target);
    if ((target & terms.subnet_mask) != terms.subnet) return drop(skb, OVERLAY_FRAME);
    return arp_answer(skb, member->mac, own, member->host_mac, (const __u8 *)&target);
}

SEC("tc")
int from_member(struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    const struct member *member = bpf_map_lookup_elem(&members, &link);
    if (!member) return TC_ACT_SHOT;
    if (skb->vlan_present) return drop(skb, OVERLAY_FRAME);
    if (skb->protocol == bpf_htons(ETH_P_ARP)) return answer_arp(skb, member);
    if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_FRAME);
    struct inner inner;
    enum overlay_reason reason = check_ipv4(skb, ETH_HLEN, &inner);
    if (reason == OVERLAY_PASS) reason = check_frame(skb, member, &inner);
    if (reason == OVERLAY_PASS) reason = check_icmp(skb, ETH_HLEN, &inner);
    if (reason != OVERLAY_PASS) return drop(skb, reason);
    if (inner.source != member->address) return drop(skb, OVERLAY_SOURCE);
    if (inner.error && inner.about != inner.source) return drop(skb, OVERLAY_ICMP);
    if (is_group(inner.destination)) return send_to_group(skb, member, &inner);
    if (!may_use(member, inner.protocol)) return drop(skb, OVERLAY_PROTOCOL);
    reason = check_destination(&inner);
    return reason == OVERLAY_PASS ? deliver(skb, &inner, 1) : drop(skb, reason);
}

SEC("tc")
int to_member(struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    const struct member *member = bpf_map_lookup_elem(&members, &link);
    if (!member) return TC_ACT_SHOT;
    if (skb->vlan_present) return drop(skb, OVERLAY_RECEIVED);
    // An answer of from_member: nobody else on this side speaks it.
    if (skb->protocol == bpf_htons(ETH_P_ARP)) return TC_ACT_OK;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_RECEIVED);
    const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip);
    if (!ip) return drop(skb, OVERLAY_RECEIVED);
    ip = (void *)ip + ETH_HLEN;
    const int is_its = ip->daddr == member->address || is_group(ip->daddr);
    return is_its && may_use(member, ip->protocol) ? TC_ACT_OK : drop(skb, OVERLAY_RECEIVED);
}

// --- Peers

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

// `offset`: of the IPv4 header; WireGuard's packets begin with it.
static __always_inline int receive(struct __sk_buff *skb, const __u32 offset) {
    struct inner inner;
    enum overlay_reason reason = check_ipv4(skb, offset, &inner);
    if (reason == OVERLAY_PASS) reason = check_icmp(skb, offset, &inner);
    if (reason == OVERLAY_PASS) reason = check_destination(&inner);
    if (reason != OVERLAY_PASS) return drop(skb, reason);
    if ((inner.destination & terms.part_mask) != terms.part) return drop(skb, OVERLAY_DESTINATION);
    const struct peer *peer = peer_of(inner.source);
    if (!peer) return drop(skb, OVERLAY_SOURCE);
    if (terms.has_headers && !came_from(skb, peer)) return drop(skb, OVERLAY_PEER);
    // The peer's own kernel says of others in its part that they can't be reached.
    if (inner.error && peer_of(inner.about) != peer) return drop(skb, OVERLAY_ICMP);
    return deliver(skb, &inner, offset != 0);
}

SEC("tc")
int from_peer(struct __sk_buff *skb) {
    if (skb->vlan_present || skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_FRAME);
    return terms.has_headers ? receive(skb, ETH_HLEN) : receive(skb, 0);
}

SEC("tc")
int to_peer(struct __sk_buff *skb) {
    if (skb->protocol != bpf_htons(ETH_P_IP)) return drop(skb, OVERLAY_FRAME);
    struct inner inner;
    // What members sent has been judged; the rest is the namespace's own answers.
    enum overlay_reason reason =
        terms.has_headers ? check_ipv4(skb, ETH_HLEN, &inner) : check_ipv4(skb, 0, &inner);
    if (reason != OVERLAY_PASS) return drop(skb, reason);
    const struct peer *peer = peer_of(inner.destination);
    if (!peer) return drop(skb, OVERLAY_PEER);
    // What was handed over came in by its sender's link: it shares the uplink as that slice's (uplink.h).
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
