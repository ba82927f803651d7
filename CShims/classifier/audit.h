// Who sent what to whom: counts what leaves by an uplink, as it is outside, for every slice by
// destination, ports and protocol. sliced takes the counts away every few seconds.
//
// Memory is bounded, and no slice can take away another's: of the entries of a turn a part is set aside
// for each slice, and of the rest a slice may have so many. What finds no room is counted by the
// address alone, and where that finds none by the slice alone, which always has a place. So every
// packet is counted once, and always under its slice.
//
// Turns: there are two maps. While one is filled the other one is read and emptied, when no program
// uses it any more; nothing is lost between reading and deleting an entry.
#ifndef CLASSIFIER_AUDIT_H
#define CLASSIFIER_AUDIT_H

#include "packet.h"
#include "tables.h"

// Entries of one slice in one turn.
#define MOST_DETAILED 1024
#define MOST_BY_ADDRESS 256

struct audit_map {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, AUDIT_ENTRIES);
    __type(key, struct departure);
    __type(value, struct traffic);
} audit_even SEC(".maps"), audit_odd SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, MAX_SLICES);
    __type(key, __u32);
    __type(value, struct sender);
} senders SEC(".maps");

// Bytes from the network header on, wherever that is: not every uplink has Ethernet frames.
static __always_inline int
read_bytes(const struct __sk_buff *skb, __u32 offset, void *to, __u32 size) {
    return bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET) == 0;
}

// A header and what every transport header begins with.
struct ipv4_packet {
    struct iphdr ip;
    __u8 transport[8];
};
struct ipv6_packet {
    struct ipv6hdr ip;
    __u8 transport[8];
};

static __always_inline void read_transport(const __u8 transport[8], struct departure *departure) {
    if (departure->protocol == IPPROTO_TCP || departure->protocol == IPPROTO_UDP) {
        departure->source_port = *(const __be16 *)&transport[0];
        departure->port = *(const __be16 *)&transport[2];
    } else if (departure->protocol == IPPROTO_ICMP || departure->protocol == IPPROTO_ICMPV6) {
        departure->port = bpf_htons(transport[0]);
        // The identifier, which errors do not have.
        if (transport[0] == ECHO || transport[0] == ECHO_REPLY || transport[0] >= ECHO6)
            departure->source_port = *(const __be16 *)&transport[4];
    }
}

// False for what is no whole header, or of another family. A later fragment has no ports: they are 0.
static __always_inline int read_departure(const struct __sk_buff *skb, struct departure *departure) {
    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        struct ipv4_packet packet = {0};
        // The last fragment may be shorter than a transport header.
        if (!read_bytes(skb, 0, &packet, sizeof packet) &&
            !read_bytes(skb, 0, &packet, sizeof packet.ip))
            return 0;
        map_ipv4(departure->address, &packet.ip.daddr);
        departure->protocol = packet.ip.protocol;
        if (!(packet.ip.frag_off & bpf_htons(IPV4_OFFSET)))
            read_transport(packet.transport, departure);
        return 1;
    }
    if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
        struct ipv6_packet packet = {0};
        if (!read_bytes(skb, 0, &packet, sizeof packet) &&
            !read_bytes(skb, 0, &packet, sizeof packet.ip))
            return 0;
        __builtin_memcpy(departure->address, &packet.ip.daddr, 16);
        departure->protocol = packet.ip.nexthdr;
        if (departure->protocol == IPPROTO_FRAGMENT) {
            const struct fragment_header *part = (void *)packet.transport;
            departure->protocol = part->nexthdr;
            if (part->frag_off & bpf_htons(IPV6_OFFSET) ||
                !read_bytes(
                    skb, sizeof packet.ip + sizeof *part, packet.transport, sizeof packet.transport))
                return 1;
        }
        read_transport(packet.transport, departure);
        return 1;
    }
    return 0;
}

// One more entry, if the slice may have one: of what is set aside for it, else of what is for all.
static __always_inline int take_place(__u32 *used, __u32 reserved, __u32 most, __u32 turn) {
    // The first question keeps the counter from running over.
    if (*used >= most) return 0;
    __u32 number = __sync_fetch_and_add(used, 1);
    if (number < reserved) return 1;
    __u32 *common = (__u32 *)&control.common_used[turn & 1];
    return number < most && *common < AUDIT_ENTRIES / 2 &&
           __sync_fetch_and_add(common, 1) < AUDIT_ENTRIES / 2;
}

static __always_inline int
count(void *map, const struct departure *departure, const struct traffic *more) {
    struct traffic *there = bpf_map_lookup_elem(map, departure);
    if (!there) return 0;
    __sync_fetch_and_add(&there->packets, more->packets);
    __sync_fetch_and_add(&there->bytes, more->bytes);
    there->last = more->last;
    return 1;
}

// Fails where the map is full, or memory not to be had at once, or another processor was faster.
static __always_inline int
add(void *map, const struct departure *departure, const struct traffic *first) {
    return bpf_map_update_elem(map, departure, first, BPF_NOEXIST) == 0 ||
           count(map, departure, first);
}

static __always_inline void count_departure(const struct __sk_buff *skb, __u32 link) {
    struct departure departure = {.link = link};
    const __u64 now = bpf_ktime_get_coarse_ns();
    // What was to be split by hardware is several packets, each with its headers.
    struct traffic traffic = {
        .packets = skb->gso_segs ?: 1, .bytes = skb->wire_len, .first = now, .last = now};
    const __u32 turn = control.turn;
    void *map = turn & 1 ? (void *)&audit_odd : (void *)&audit_even;
    const int is_read = read_departure(skb, &departure);
    if (is_read && count(map, &departure, &traffic)) return;

    struct sender *sender = bpf_map_lookup_elem(&senders, &link);
    if (!sender) return;
    if (sender->turn != turn) {
        sender->detailed = sender->by_address = 0;
        sender->turn = turn;
    }
    const __u32 reserved = control.reserved;
    if (is_read) {
        if (take_place(&sender->detailed, reserved - reserved / 4, MOST_DETAILED, turn) &&
            add(map, &departure, &traffic))
            return;
        departure.port = departure.source_port = 0;
        departure.protocol = 0;
        departure.by_address = 1;
        if (count(map, &departure, &traffic)) return;
        if (take_place(&sender->by_address, reserved / 4, MOST_BY_ADDRESS, turn) &&
            add(map, &departure, &traffic))
            return;
    }
    __sync_fetch_and_add(&sender->packets, traffic.packets);
    __sync_fetch_and_add(&sender->bytes, traffic.bytes);
    sender->last = now;
}

#endif
