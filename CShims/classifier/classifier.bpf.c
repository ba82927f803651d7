// The classifier: every packet of a slice passes here, on the host's side of its link, where
// nothing that a slice does can go round it. Two programs hang on each link's host end (tc-bpf(8),
// clsact, direct action), the same for all slices; maps say what differs. Two more hang on the uplinks,
// uplink.h; they decide nothing that these have to rely on.
//
//     from_slice (ingress)   what the slice sent, whatever socket it used: raw, packet, with or
//                            without header, past the qdisc, by AF_XDP
//     to_slice   (egress)    what it is about to receive
//
// Why it is safe:
//   1. It lists what passes; beyond that what single slices were granted (raw_out.h). Every path that is
//      not in the list ends in a drop; a link that is not in the map passes nothing.
//   2. What it reads stays as it is. Pages that a sender can still write to (a PACKET_TX_RING,
//      packet(7)) the kernel copies when a packet changes over to the host's end
//      (skb_orphan_frags() in __dev_forward_skb()); and header() brings what it reads into the
//      packet's linear part, where everybody after this program reads it too.
//   3. Every header has one place. IPv4 options and IPv6 extension headers don't pass, except one
//      fragment header, so that ports are where they are looked for, by this and by others.
//   4. Whether a packet would reach the host itself, another slice or the outside is not guessed
//      from addresses: the kernel's own route lookup says it, as it will for the packet.
//
// Linux 6.1 or newer. No loops; the state that traffic can change is bounded: `flows`, which packets of
// slices cannot fill, `visits` (published.h), what verdicts.h keeps for some milliseconds, and the
// counts of audit.h.

#include "packet.h"
#include "tables.h"
#include "verdicts.h"

#include <linux/pkt_cls.h>

// After this long without a packet from who is answered a slice's UDP and ICMP answers are refused. TCP
// answers are not: the flow is dead once its socket is, because no new one can be opened by it.
#define ANSWER_NS (60ull * 1000 * 1000 * 1000)
// How exact the time in `flows` and `visits` is; a write for every packet would cost more than the rest.
#define REFRESH_NS (1000ull * 1000 * 1000)

#include "published.h"

// What the checks of the headers find out for those of the destination.
struct packet {
    __u8 source[16] __attribute__((aligned(8))), destination[16]; // IPv4 as in maps.h
    __u32 transport, end;             // offsets of the transport header, and of what follows the packet
    __be16 source_port, port;         // TCP, UDP; else 0
    __be16 echo;                      // identifier of an ICMP echo
    __u8 family;
    __u8 protocol; // of the transport header; IPPROTO_ICMP for both families
    __u8 fragmented;
    __u8 later_fragment; // has no transport header
    __u8 opens;          // a TCP segment that opens a connection
    __u8 echo_request, echo_reply, error; // ICMP
};

static __always_inline int count_drop(struct __sk_buff *skb, enum reason reason) {
    __u32 link = skb->ifindex;
    struct drops *counted = bpf_map_lookup_elem(&drops, &link);
    if (counted && reason < REASONS) {
        __sync_fetch_and_add(&counted->packets[reason], 1);
        __sync_fetch_and_add(&counted->bytes[reason], skb->len);
    }
    return TC_ACT_SHOT;
}

#include "raw_out.h"

// ---- headers ---------------------------------------------------------------------------------

static __always_inline enum reason
check_ethernet(struct __sk_buff *skb, const struct slice *slice) {
    // A tag may be in the packet or, taken off already, beside it.
    if (skb->vlan_present) return DROP_VLAN;
    const struct ethhdr *ethernet = header(skb, sizeof *ethernet);
    if (!ethernet) return DROP_MALFORMED;
    if (!same_mac(ethernet->h_source, slice->mac)) return DROP_SOURCE_MAC;
    // Broadcast and multicast too: there is nobody else on the link.
    if (!same_mac(ethernet->h_dest, slice->host_mac))
        return skb->protocol == bpf_htons(ETH_P_ARP) ? DROP_ARP
               : ethernet->h_dest[0] & 1             ? DROP_MULTICAST
                                                     : DROP_DESTINATION_MAC;
    return PASS;
}

static __always_inline enum reason
check_ipv4(struct __sk_buff *skb, const struct slice *slice, struct packet *packet) {
    const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip);
    if (!ip) return DROP_MALFORMED;
    ip = (void *)ip + ETH_HLEN;
    if (ip->version != 4 || ip->ihl < 5) return DROP_MALFORMED;
    if (ip->ihl != 5) return DROP_OPTIONS;

    packet->family = AF_INET;
    packet->protocol = ip->protocol;
    packet->transport = ETH_HLEN + sizeof *ip;
    packet->end = ETH_HLEN + bpf_ntohs(ip->tot_len);
    __u16 fragment = bpf_ntohs(ip->frag_off);
    packet->later_fragment = (fragment & IPV4_OFFSET) != 0;
    packet->fragmented = (fragment & (IPV4_MORE | IPV4_OFFSET)) != 0;
    map_ipv4(packet->source, &ip->saddr);
    map_ipv4(packet->destination, &ip->daddr);
    if (!same_address(packet->source, slice->ipv4)) return DROP_SOURCE_IPV4;
    // Broadcast the kernel takes in before it asks its routes (ip_route_input_slow()).
    if ((packet->destination[12] & 0xf0) == 0xe0 || ip->daddr == 0xffffffff) return DROP_MULTICAST;
    // The host's loopback, which the kernel routes on links of slices that publish (route_localnet).
    if (packet->destination[12] == 127) return DROP_TO_HOST;
    return PASS;
}

static __always_inline enum reason
check_ipv6(struct __sk_buff *skb, const struct slice *slice, struct packet *packet) {
    const struct ipv6hdr *ip = header(skb, ETH_HLEN + sizeof *ip);
    if (!ip) return DROP_MALFORMED;
    ip = (void *)ip + ETH_HLEN;
    if (ip->version != 6) return DROP_MALFORMED;

    packet->family = AF_INET6;
    packet->protocol = ip->nexthdr;
    packet->transport = ETH_HLEN + sizeof *ip;
    packet->end = packet->transport + bpf_ntohs(ip->payload_len);
    __builtin_memcpy(packet->source, &ip->saddr, 16);
    __builtin_memcpy(packet->destination, &ip->daddr, 16);
    if (!slice->has_ipv6 || !same_address(packet->source, slice->ipv6)) return DROP_SOURCE_IPV6;
    if (packet->destination[0] == 0xff) return DROP_MULTICAST;

    if (packet->protocol == IPPROTO_FRAGMENT) {
        const struct fragment_header *part = header(skb, ETH_HLEN + sizeof *ip + sizeof *part);
        if (!part) return DROP_MALFORMED;
        part = (void *)part + ETH_HLEN + sizeof *ip;
        packet->protocol = part->nexthdr;
        packet->transport += sizeof *part;
        packet->fragmented = 1;
        packet->later_fragment = (bpf_ntohs(part->frag_off) & IPV6_OFFSET) != 0;
    }
    switch (packet->protocol) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_DSTOPTS:
    case IPPROTO_MH:
    case 139: // Host Identity Protocol, RFC 7401
    case 140: // Shim6, RFC 5533
        return DROP_OPTIONS;
    case IPPROTO_ICMP: return DROP_PROTOCOL; // IPv4's
    case IPPROTO_ICMPV6: packet->protocol = IPPROTO_ICMP;
    }
    return PASS;
}

// An error quotes the packet that it is about (RFC 792, RFC 4443), which must have been one to this
// slice from whom the error goes to: else it could end connections that are others'.
static __always_inline enum reason
check_quote(struct __sk_buff *skb, const struct packet *packet) {
    if (packet->family == AF_INET) {
        const __u32 offset = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct icmp);
        const struct iphdr *quoted = header(skb, offset + sizeof *quoted);
        if (!quoted || packet->end < offset + sizeof *quoted) return DROP_MALFORMED;
        quoted = (void *)quoted + offset;
        if (!same_ipv4(&quoted->saddr, packet->destination) ||
            !same_ipv4(&quoted->daddr, packet->source))
            return DROP_ICMP;
    } else {
        const __u32 offset = ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct icmp);
        const struct ipv6hdr *quoted = header(skb, offset + sizeof *quoted);
        if (!quoted || packet->end < offset + sizeof *quoted) return DROP_MALFORMED;
        quoted = (void *)quoted + offset;
        if (!same_address(&quoted->saddr, packet->destination) ||
            !same_address(&quoted->daddr, packet->source))
            return DROP_ICMP;
    }
    return PASS;
}

// Echo and errors, but none that only routers send: a slice is none.
static __always_inline enum reason read_icmp(const struct icmp *icmp, struct packet *packet) {
    packet->echo = icmp->identifier;
    if (packet->family == AF_INET) {
        packet->echo_request = icmp->type == ECHO;
        packet->echo_reply = icmp->type == ECHO_REPLY;
        packet->error = is_error(icmp);
        if (icmp->type == REDIRECT || icmp->type == ROUTER_ADVERTISEMENT ||
            icmp->type == ROUTER_SOLICITATION)
            return DROP_NEIGHBOUR_DISCOVERY;
    } else {
        packet->echo_request = icmp->type == ECHO6;
        packet->echo_reply = icmp->type == ECHO_REPLY6;
        packet->error = icmp->type == UNREACHABLE6 || icmp->type == TIME_EXCEEDED6 ||
                        icmp->type == PARAMETER_PROBLEM6;
        // Solicitations, advertisements, redirects (RFC 4861), and what has been added to them.
        if (icmp->type >= ROUTER_SOLICITATION6 && icmp->type <= LAST_OF_DISCOVERY6)
            return DROP_NEIGHBOUR_DISCOVERY;
    }
    return packet->echo_request || packet->echo_reply || packet->error ? PASS : DROP_ICMP;
}

// Fragments: their later parts have no ports. They pass where no ports are asked for, see
// check_destination(), and only for protocols whose header fits into the 8 bytes that no later part
// can reach: an offset counts in units of 8. A first part must hold that header whole. Where ports are
// asked for, no part passes: first parts alone would fill the host's memory for reassembly. TCP finds
// its path's MTU and sends none; refused, they can't be used to rewrite its flags (RFC 1858, 3128).
//
// What the length field of the IP header leaves out is cut off by others, later; so no header may
// reach beyond it.
static __always_inline enum reason
check_transport(struct __sk_buff *skb, const __u32 offset, struct packet *packet) {
    if (packet->protocol == IPPROTO_TCP) {
        if (packet->fragmented) return DROP_FRAGMENT;
        const struct tcphdr *tcp = header(skb, offset + sizeof *tcp);
        if (!tcp || packet->end < offset + sizeof *tcp) return DROP_MALFORMED;
        tcp = (void *)tcp + offset;
        packet->source_port = tcp->source;
        packet->port = tcp->dest;
        packet->opens = tcp->syn && !tcp->ack;
        return PASS;
    }
    if (packet->protocol != IPPROTO_UDP && packet->protocol != IPPROTO_ICMP)
        return is_granted_protocol(skb, packet->family, packet->protocol) ? PASS : DROP_PROTOCOL;
    if (packet->later_fragment) return PASS;
    void *data = header(skb, offset + sizeof(struct udphdr)); // as large as that of ICMP
    if (!data || packet->end < offset + sizeof(struct udphdr))
        return packet->fragmented ? DROP_FRAGMENT : DROP_MALFORMED;
    if (packet->protocol == IPPROTO_UDP) {
        const struct udphdr *udp = data + offset;
        packet->source_port = udp->source;
        packet->port = udp->dest;
        // Masqueraded, it would come from the node: another node could take it for an overlay's.
        return udp->dest == bpf_htons(VXLAN_PORT) ? DROP_PROTOCOL : PASS;
    }
    enum reason reason = read_icmp(data + offset, packet);
    if (reason == PASS && packet->error)
        reason = packet->fragmented ? DROP_FRAGMENT : check_quote(skb, packet);
    return reason;
}

// ---- destinations ----------------------------------------------------------------------------

// What the kernel's routes say: a BPF_FIB_LKUP_RET, or negative for an error.
static __always_inline long
find_route(struct __sk_buff *skb, const struct packet *packet, struct bpf_fib_lookup *route) {
    *route = (struct bpf_fib_lookup){
        .family = packet->family,
        .l4_protocol = packet->protocol,
        .sport = packet->source_port,
        .dport = packet->port,
        .ifindex = skb->ifindex,
    };
    if (packet->family == AF_INET) {
        __builtin_memcpy(&route->ipv4_src, packet->source + 12, 4);
        __builtin_memcpy(&route->ipv4_dst, packet->destination + 12, 4);
    } else {
        __builtin_memcpy(route->ipv6_src, packet->source, 16);
        __builtin_memcpy(route->ipv6_dst, packet->destination, 16);
    }
    return bpf_fib_lookup(skb, route, sizeof *route, 0);
}

enum place { HOST, SLICE, OUTSIDE };

// Where the kernel would take the packet; `other` is set for SLICE.
static __always_inline enum place
find_place(struct __sk_buff *skb, const struct packet *packet, const struct slice **other) {
    struct bpf_fib_lookup route;
    switch (find_route(skb, packet, &route)) {
    case BPF_FIB_LKUP_RET_SUCCESS:
    case BPF_FIB_LKUP_RET_NO_NEIGH:
    case BPF_FIB_LKUP_RET_FRAG_NEEDED: {
        __u32 link = route.ifindex; // by now of the link that it would leave by
        *other = bpf_map_lookup_elem(&slices, &link);
        return *other ? SLICE : OUTSIDE;
    }
    case BPF_FIB_LKUP_RET_UNSUPP_LWT: // a tunnel of the host's
    case BPF_FIB_LKUP_RET_BLACKHOLE:  // these three the kernel refuses itself
    case BPF_FIB_LKUP_RET_UNREACHABLE:
    case BPF_FIB_LKUP_RET_PROHIBIT: return OUTSIDE;
    // Local, a network's broadcast, no route at all; or not known, because forwarding is off, or
    // by an error.
    default: return HOST;
    }
}

static __always_inline int is_service(const struct packet *packet, enum place place) {
    if (packet->fragmented || packet->port == 0) return 0;
    struct service service = {.port = packet->port, .protocol = packet->protocol};
    if (place == HOST && bpf_map_lookup_elem(&services, &service)) return 1;
    __builtin_memcpy(service.address, packet->destination, 16);
    return bpf_map_lookup_elem(&services, &service) != NULL;
}

// What the owner of this very slice was allowed beyond that.
static __always_inline int is_allowed_network(__u32 link, const struct packet *packet) {
    struct allowed_network network = {
        .length = 8 * (sizeof network - sizeof network.length), .link = link,
        .family = packet->family};
    __builtin_memcpy(network.address, packet->destination, 16);
    return bpf_map_lookup_elem(&allowed_networks, &network) != NULL;
}

static __always_inline int is_allowed_service(__u32 link, const struct packet *packet) {
    struct allowed_service service = {
        .link = link, .port = packet->port, .protocol = packet->protocol};
    return !packet->fragmented && packet->port &&
           bpf_map_lookup_elem(&allowed_services, &service);
}

// What a packet from the slice would be an answer to.
static __always_inline struct flow answered(struct __sk_buff *skb, const struct packet *packet) {
    struct flow flow = {
        .link = skb->ifindex,
        .port = packet->protocol == IPPROTO_ICMP ? packet->echo : packet->port,
        .slice_port = packet->source_port,
        .protocol = packet->protocol,
    };
    __builtin_memcpy(flow.address, packet->destination, 16);
    return flow;
}

// Whether the host has sent what this answers.
static __always_inline int
is_answer(struct __sk_buff *skb, const struct packet *packet) {
    if (packet->fragmented || packet->opens || packet->echo_request) return 0;
    // About a packet from there, as check_quote() has made sure.
    if (packet->error) return 1;
    struct flow flow = answered(skb, packet);
    const __u64 *sent = bpf_map_lookup_elem(&flows, &flow);
    if (!sent) return 0;
    return packet->protocol == IPPROTO_TCP || bpf_ktime_get_ns() - *sent < ANSWER_NS;
}

// The same for who has come to a published port.
static __always_inline int
is_published_answer(struct __sk_buff *skb, const struct packet *packet) {
    if (packet->fragmented || packet->opens || packet->source_port == 0) return 0;
    struct flow flow = answered(skb, packet);
    return answers_visit(&flow, packet->source);
}

// The gateway answers pings, and nothing else: whether it does is the first question of whoever has
// no network, and the kernel answers it without any process of the host.
static __always_inline int
is_gateway_ping(const struct slice *slice, const struct packet *packet) {
    const __u8 *gateway = packet->family == AF_INET ? slice->gateway4 : slice->gateway6;
    return packet->echo_request && !packet->fragmented &&
           same_address(packet->destination, gateway);
}

static __always_inline enum reason
check_outside(const struct __sk_buff *skb, const struct packet *packet) {
    if (!site_refuses(packet->destination)) return PASS;
    if (is_service(packet, OUTSIDE)) return PASS;
    return is_allowed_network(skb->ifindex, packet) ? PASS : DROP_TO_SITE;
}

static __always_inline enum reason
ask_place(struct __sk_buff *skb, const struct slice *slice, const struct packet *packet) {
    const struct slice *other = NULL;
    enum place place = find_place(skb, packet, &other);
    switch (place) {
    case HOST:
        if (is_answer(skb, packet) || is_gateway_ping(slice, packet)) return PASS;
        if (is_service(packet, HOST)) return PASS;
        return is_allowed_service(skb->ifindex, packet) ? PASS : DROP_TO_HOST;
    case SLICE:
        if (other && other->owner == slice->owner) return PASS;
        return is_service(packet, SLICE) ? PASS : DROP_TO_OTHER_OWNER;
    case OUTSIDE: return check_outside(skb, packet);
    }
    return DROP_TO_HOST;
}

static __always_inline enum reason
ask_destination(struct __sk_buff *skb, const struct slice *slice, const struct packet *packet) {
    enum reason reason = ask_place(skb, slice, packet);
    return reason != PASS && is_published_answer(skb, packet) ? PASS : reason;
}

// The same, from memory where that knows it (verdicts.h).
static __always_inline enum reason
check_destination(struct __sk_buff *skb, const struct slice *slice, const struct packet *packet) {
    if (packet->fragmented || packet->protocol == IPPROTO_ICMP)
        return ask_destination(skb, slice, packet);
    struct question question = {
        .link = skb->ifindex,
        .source_port = packet->source_port,
        .port = packet->port,
        .generation = control.generation, // before all that it stands for is read
        .family = packet->family,
        .protocol = packet->protocol,
        .opens = packet->opens,
    };
    __builtin_memcpy(question.address, packet->destination, 16);
    struct verdict *verdict = verdict_for(&question);
    __u64 now = bpf_jiffies64();
    if (verdict && now - verdict->made < LIFETIME && is_same(&verdict->question, &question))
        return PASS;
    enum reason reason = ask_destination(skb, slice, packet);
    if (verdict && reason == PASS) {
        verdict->question = question;
        verdict->made = now;
    }
    return reason;
}

#include "shared_out.h"

// ---- the programs ----------------------------------------------------------------------------

// What is refused to most, and granted to some.
static __always_inline int
refuse_or_send(struct __sk_buff *skb, const struct slice *slice, enum reason reason) {
    switch (reason) {
    case DROP_ARP:
    case DROP_ETHERTYPE: return send_frame(skb, slice, reason);
    case DROP_MULTICAST:
        if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
            return send_frame(skb, slice, reason);
        return skb->protocol == bpf_htons(ETH_P_IP) && asks_for_address(skb, slice)
                   ? TC_ACT_OK
                   : count_drop(skb, reason);
    default: return count_drop(skb, reason);
    }
}

SEC("tc")
int from_slice(struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    const struct slice *slice = bpf_map_lookup_elem(&slices, &link);
    if (!slice) return TC_ACT_SHOT;

    struct packet packet = {0};
    enum reason reason = check_ethernet(skb, slice);
    if (reason == PASS) switch (skb->protocol) {
    case bpf_htons(ETH_P_IP): reason = check_ipv4(skb, slice, &packet); break;
    case bpf_htons(ETH_P_IPV6): reason = check_ipv6(skb, slice, &packet); break;
    case bpf_htons(ETH_P_ARP): reason = DROP_ARP; break;
    case bpf_htons(ETH_P_8021Q):
    case bpf_htons(ETH_P_8021AD): reason = DROP_VLAN; break;
    default: reason = DROP_ETHERTYPE;
    }
    if (reason != PASS) return refuse_or_send(skb, slice, reason);

    // Written out three times, because the verifier wants offsets that are constant.
    const __u32 ipv4 = ETH_HLEN + sizeof(struct iphdr);
    const __u32 ipv6 = ETH_HLEN + sizeof(struct ipv6hdr);
    if (packet.transport == ipv4)
        reason = check_transport(skb, ipv4, &packet);
    else if (packet.transport == ipv6)
        reason = check_transport(skb, ipv6, &packet);
    else
        reason = check_transport(skb, ipv6 + sizeof(struct fragment_header), &packet);
    if (reason == PASS && !is_sent_as_granted(skb, &packet)) reason = DROP_PORT;
    if (reason == PASS && slice->shared) return leave_shared(skb, slice, &packet);
    if (reason == PASS) reason = check_destination(skb, slice, &packet);
    return reason == PASS ? TC_ACT_OK : count_drop(skb, reason);
}

// Remembers what the host itself sends, for is_answer(). What it forwards came in by a link.
static __always_inline void
remember(struct __sk_buff *skb, __u32 transport, struct flow *flow) {
    void *data = header(skb, transport + 8);
    if (!data) return;
    if (flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP) {
        const struct udphdr *ports = data + transport; // TCP's are at the same place
        flow->port = ports->source;
        flow->slice_port = ports->dest;
    } else if (flow->protocol == IPPROTO_ICMP) {
        const struct icmp *icmp = data + transport;
        if (icmp->type != ECHO && icmp->type != ECHO6) return;
        flow->port = icmp->identifier;
    } else {
        return;
    }
    __u64 now = bpf_ktime_get_ns();
    const __u64 *sent = bpf_map_lookup_elem(&flows, flow);
    if (!sent || now - *sent > REFRESH_NS) bpf_map_update_elem(&flows, flow, &now, BPF_ANY);
}

SEC("tc")
int to_slice(struct __sk_buff *skb) {
    __u32 link = skb->ifindex;
    const struct slice *slice = bpf_map_lookup_elem(&slices, &link);
    if (!slice) return TC_ACT_SHOT;
    const int local = skb->ingress_ifindex == 0;
    struct flow flow = {.link = link};

    if (skb->vlan_present) return count_drop(skb, DROP_NOT_FOR_SLICE);
    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        const struct iphdr *ip = header(skb, ETH_HLEN + sizeof *ip);
        if (!ip) return count_drop(skb, DROP_NOT_FOR_SLICE);
        ip = (void *)ip + ETH_HLEN;
        if (!same_ipv4(&ip->daddr, slice->ipv4))
            return is_address_answer(skb, local) ? TC_ACT_OK : count_drop(skb, DROP_NOT_FOR_SLICE);
        if (ip->ihl != 5 || ip->frag_off & bpf_htons(IPV4_OFFSET)) return TC_ACT_OK;
        map_ipv4(flow.address, &ip->saddr);
        flow.protocol = ip->protocol;
        if (local) remember(skb, ETH_HLEN + sizeof *ip, &flow);
        else remember_visit(skb, slice, slice->ipv4, ETH_HLEN + sizeof *ip, &flow);
        return TC_ACT_OK;
    }
    if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
        const struct ipv6hdr *ip = header(skb, ETH_HLEN + sizeof *ip);
        if (!ip) return count_drop(skb, DROP_NOT_FOR_SLICE);
        ip = (void *)ip + ETH_HLEN;
        if (!slice->has_ipv6 || !same_address(&ip->daddr, slice->ipv6))
            return count_drop(skb, DROP_NOT_FOR_SLICE);
        __builtin_memcpy(flow.address, &ip->saddr, 16);
        flow.protocol = ip->nexthdr == IPPROTO_ICMPV6 ? IPPROTO_ICMP : ip->nexthdr;
        if (local) remember(skb, ETH_HLEN + sizeof *ip, &flow);
        else remember_visit(skb, slice, slice->ipv6, ETH_HLEN + sizeof *ip, &flow);
        return TC_ACT_OK;
    }
    return is_arp_answer(skb) ? TC_ACT_OK : count_drop(skb, DROP_NOT_FOR_SLICE);
}

#include "uplink.h"
#include "shared_bind.h"

// bpf_skb_pull_data() and bpf_fib_lookup() are for programs under the kernel's license.
const char LICENSE[] SEC("license") = "Dual BSD/GPL";
