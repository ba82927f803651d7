// What raw sockets may send: on the slice's own end of its link (clsact egress, direct action), in the
// slice's network namespace, which is the host's and which the slice can't change.
//
// The classifier on the host's end judges packets, whoever sent them; there a raw packet from a port
// that was not granted looks like any other of the slice. Here the sending socket is still known: the
// broker gave its own a mark (slice_raw.h), and the mark of a packet is that of its socket.
//
// What goes round this program the slice's seccomp filter forbids (PACKET_QDISC_BYPASS), or the other end
// judges by the grants: AF_XDP. What has been seen here says so (SLICE_RAW_JUDGED).
//
// One instance for each slice with grants. Its only map is the state that the slice's brokers share,
// which they write through their memory: a grant that is withdrawn ends what is sent at once.
#include "granted.h"

#include <linux/pkt_cls.h>

// `offset`: of the transport header. Where ports are asked for, later parts of fragmented packets,
// which have none, do not pass.
static __always_inline int
may_send(struct __sk_buff *skb, const struct slice_raw_grants *grants, const uint64_t set[4],
         __u8 protocol, const __u32 offset, int later_fragment) {
    if (in_set(set, protocol)) return 1;
    if ((protocol != IPPROTO_UDP && protocol != IPPROTO_TCP) || later_fragment) return 0;
    const __be16 *ports = header(skb, offset + sizeof(struct udphdr));
    if (!ports) return 0;
    const __u16 source = bpf_ntohs(*(const __be16 *)((const void *)ports + offset));
    return protocol == IPPROTO_UDP ? in_ranges(grants->udp, grants->udp_count, source)
                                   : in_ranges(grants->tcp, grants->tcp_count, source);
}

static __always_inline int may_send_ipv4(struct __sk_buff *skb, const struct slice_raw_grants *grants) {
    const __u32 offset = ETH_HLEN + sizeof(struct iphdr);
    const struct iphdr *ip = header(skb, offset);
    if (!ip) return 0;
    ip = (const void *)ip + ETH_HLEN;
    if (ip->version != 4 || ip->ihl != 5) return 0; // options: the classifier refuses them too
    return may_send(skb, grants, grants->ipv4, ip->protocol, offset,
                    (ip->frag_off & bpf_htons(IPV4_OFFSET)) != 0);
}

static __always_inline int may_send_ipv6(struct __sk_buff *skb, const struct slice_raw_grants *grants) {
    const __u32 offset = ETH_HLEN + sizeof(struct ipv6hdr);
    const struct ipv6hdr *ip = header(skb, offset);
    if (!ip) return 0;
    ip = (const void *)ip + ETH_HLEN;
    if (ip->version != 6) return 0;
    if (ip->nexthdr != IPPROTO_FRAGMENT)
        return may_send(skb, grants, grants->ipv6, ip->nexthdr, offset, 0);
    const struct fragment_header *part = header(skb, offset + sizeof *part);
    if (!part) return 0;
    part = (const void *)part + offset;
    return may_send(skb, grants, grants->ipv6, part->nexthdr, offset + sizeof *part,
                    (part->frag_off & bpf_htons(IPV6_OFFSET)) != 0);
}

// With the word of it for the other end: the kernel makes the class's minor number tc_index (tcf_classify()
// in sch_handle_egress()).
static __always_inline int pass(struct __sk_buff *skb) {
    skb->tc_classid = SLICE_RAW_JUDGED;
    return TC_ACT_OK;
}

SEC("tc")
int from_raw_socket(struct __sk_buff *skb) {
    if ((skb->mark & SLICE_RAW_MARK_MASK) != SLICE_RAW_MARK) return pass(skb);
    const __u32 first = 0;
    const struct slice_raw_state *it = bpf_map_lookup_elem(&state, &first);
    // Unsettled: the grants are being written.
    if (!it || !it->granted || it->unsettled || skb->vlan_present) return TC_ACT_SHOT;
    // The frame's own word: skb->protocol is what the sender says beside it (packet(7)), and the
    // other end reads the frame (eth_type_trans()).
    const struct ethhdr *ethernet = header(skb, sizeof *ethernet);
    if (!ethernet) return TC_ACT_SHOT;
    int passes;
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_IP): passes = may_send_ipv4(skb, &it->grants); break;
    case bpf_htons(ETH_P_IPV6): passes = may_send_ipv6(skb, &it->grants); break;
    default: passes = in_ethertypes(&it->grants, bpf_ntohs(ethernet->h_proto));
    }
    return passes ? pass(skb) : TC_ACT_SHOT;
}

// bpf_skb_pull_data() is for programs under the kernel's license.
const char LICENSE[] SEC("license") = "Dual BSD/GPL";
