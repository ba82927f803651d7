// Slices that have the node's own address (net.mode=shared). What tells them apart is ports, and of
// ICMP echoes the identifier, which is counted among them: each belongs to one slice, or to the host.
//
//     slice ── from_slice: its ports alone ──┬── uplink ──┬── from_uplink: by port ── slice
//     host  ─────────────────────────────────┘            └── what is no slice's ──── host
//
// Their packets don't pass through the host's stack, which takes an address for its own or for
// another's, never for both: they are handed over from link to link. So neither the host's routes nor
// its netfilter see them; both ends are these programs'.
//
// Why it is safe:
//   1. What leaves carries a port of the slice, and so does what an error of ICMP's quotes. An echo's
//      identifier that is none of its own is exchanged for one that is.
//   2. What arrives goes to the slice whose port it names, or stays with the host. Nothing goes to both.
//   3. Later fragments, which name none, go where the first has gone, within a second.
#ifndef CLASSIFIER_SHARED_H
#define CLASSIFIER_SHARED_H

#include "packet.h"
#include "tables.h"

// How long later fragments may follow the first. Identifications come again after 65,536 datagrams.
#define FRAGMENT_NS (1000ull * 1000 * 1000)
// How long the host waits for the answer to an echo.
#define HOST_ECHO_NS (10ull * 1000 * 1000 * 1000)

// The link of the slice that a port belongs to; 0: of none.
static __always_inline __u32 owner_of(__be16 port) {
    __u32 number = bpf_ntohs(port);
    const __u32 *link = bpf_map_lookup_elem(&ports, &number);
    return link ? *link : 0;
}

// What an identifier that leaves stands for in the slice.
static __always_inline __u32 *echo_of(__be16 identifier) {
    __u32 number = bpf_ntohs(identifier);
    return bpf_map_lookup_elem(&echoes, &number);
}

// Gives the ICMP message at `offset`, of which `icmp` is a copy, another identifier. Its checksum
// follows (RFC 1624, equation 3): sums over the message, that of an error which quotes it for
// instance, stay as they are.
static __always_inline int
rename_echo(struct __sk_buff *skb, __u32 offset, const struct icmp *icmp, __be16 identifier) {
    __u32 sum = (__u16)~icmp->checksum + (__u32)(__u16)~icmp->identifier + identifier;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    const __be16 changed[2] = {(__be16)~sum, identifier};
    return bpf_skb_store_bytes(
        skb, offset + __builtin_offsetof(struct icmp, checksum), changed, sizeof changed, 0);
}

#endif
