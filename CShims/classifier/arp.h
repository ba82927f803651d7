// Answers to ARP (RFC 826) from slices, for addresses that the other end of their link stands for: in place,
// by the frame that asks. No end of a link on the host's side speaks ARP itself.
#ifndef CLASSIFIER_ARP_H
#define CLASSIFIER_ARP_H

#include "packet.h"

#include <linux/pkt_cls.h>

// Of IPv4 over Ethernet.
struct arp {
    __be16 hardware, protocol;
    __u8 hardware_size, protocol_size;
    __be16 operation;
    __u8 sender_mac[6], sender[4], target_mac[6], target[4];
} __attribute__((packed, aligned(2)));
enum { ARP_REQUEST = 1, ARP_REPLY = 2 };

static __always_inline int same_bytes(const __u8 one[4], const __u8 other[4]) {
    return one[0] == other[0] && one[1] == other[1] && one[2] == other[2] && one[3] == other[3];
}

// The question of whoever has these addresses; null: it is none, or somebody else's.
static __always_inline const struct arp *
arp_question(struct __sk_buff *skb, const __u8 mac[6], const __u8 address[4]) {
    const struct arp *arp = header(skb, ETH_HLEN + sizeof *arp);
    if (!arp) return NULL;
    arp = (const void *)arp + ETH_HLEN;
    return arp->hardware == bpf_htons(1) && arp->protocol == bpf_htons(ETH_P_IP) &&
                   arp->hardware_size == 6 && arp->protocol_size == 4 &&
                   arp->operation == bpf_htons(ARP_REQUEST) && same_mac(arp->sender_mac, mac) &&
                   same_bytes(arp->sender, address)
               ? arp
               : NULL;
}

// Sends the frame back to who asked: `target` is at `target_mac`.
static __always_inline int arp_answer(
    struct __sk_buff *skb, const __u8 mac[6], const __u8 address[4], const __u8 target_mac[6],
    const __u8 target[4]) {
    struct ethhdr ethernet = {.h_proto = bpf_htons(ETH_P_ARP)};
    struct arp reply = {
        .hardware = bpf_htons(1),
        .protocol = bpf_htons(ETH_P_IP),
        .hardware_size = 6,
        .protocol_size = 4,
        .operation = bpf_htons(ARP_REPLY),
    };
    __builtin_memcpy(ethernet.h_dest, mac, 6);
    __builtin_memcpy(ethernet.h_source, target_mac, 6);
    __builtin_memcpy(reply.sender_mac, target_mac, 6);
    __builtin_memcpy(reply.sender, target, 4);
    __builtin_memcpy(reply.target_mac, mac, 6);
    __builtin_memcpy(reply.target, address, 4);
    if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof ethernet, 0) < 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN, &reply, sizeof reply, 0) < 0)
        return TC_ACT_SHOT;
    return bpf_redirect(skb->ifindex, 0);
}

#endif
