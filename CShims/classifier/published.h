// Answers of published ports. Whoever may reach one need not be somebody whom the slice may reach: a
// slice of another owner, the slice itself by way of the host (which comes with the gateway's address),
// a client in one of the site's private networks. The answers to these, and nothing else, may go where
// the slice else may not send.
//
// What slices and others do fills `visits`, so it is a map of its own: should somebody come from very
// many ports, the visits that were not heard of for longest are forgotten, and their answers dropped;
// what the host itself waits for is not touched. Answers to the world need no entry.
#ifndef CLASSIFIER_PUBLISHED_H
#define CLASSIFIER_PUBLISHED_H

#include "packet.h"
#include "tables.h"

static __always_inline int
is_published(const __u8 address[16], __be16 port, __u8 protocol) {
    struct service service = {.port = port, .protocol = protocol};
    __builtin_memcpy(service.address, address, 16);
    return bpf_map_lookup_elem(&services, &service) != NULL;
}

static __always_inline int site_refuses(const __u8 address[16]) {
    struct network network = {.length = 128};
    __builtin_memcpy(network.address, address, 16);
    const __u32 *verdict = bpf_map_lookup_elem(&networks, &network);
    return verdict && *verdict != NETWORK_ALLOWED;
}

// Remembers who comes to a published port, if the answers need it. `flow` has link, address and
// protocol of a packet that is not a later fragment, and not from the host.
static __always_inline void remember_visit(
    struct __sk_buff *skb, const struct slice *slice, const __u8 own[16], __u32 transport,
    struct flow *flow) {
    if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP) return;
    const struct udphdr *ports = header(skb, transport + sizeof *ports);
    if (!ports) return;
    ports = (void *)ports + transport; // TCP's are at the same place
    flow->port = ports->source;
    flow->slice_port = ports->dest;
    if (!is_published(own, flow->slice_port, flow->protocol)) return;
    __u64 now = bpf_ktime_get_ns();
    const __u64 *came = bpf_map_lookup_elem(&visits, flow);
    if (came && now - *came < REFRESH_NS) return;
    if (!came) {
        __u32 from = skb->ingress_ifindex;
        const struct slice *visitor = bpf_map_lookup_elem(&slices, &from);
        if (visitor ? visitor->owner == slice->owner && from != flow->link
                    : !site_refuses(flow->address))
            return;
    }
    bpf_map_update_elem(&visits, flow, &now, BPF_ANY);
}

// Whether `flow`, of what the slice sends from `own`, answers a visit. A port that is withdrawn answers
// nobody any more.
static __always_inline int answers_visit(const struct flow *flow, const __u8 own[16]) {
    if (!is_published(own, flow->slice_port, flow->protocol)) return 0;
    const __u64 *came = bpf_map_lookup_elem(&visits, flow);
    if (!came) return 0;
    return flow->protocol == IPPROTO_TCP || bpf_ktime_get_ns() - *came < ANSWER_NS;
}

#endif
