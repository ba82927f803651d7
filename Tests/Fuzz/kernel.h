// As much of the kernel as its programs ask for: maps, one packet, a clock, the answer of a route lookup.
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

enum map_kind { MAP_HASH, MAP_PREFIX, MAP_ARRAY };

// A map of a program, by its address: `MAP_PREFIX` finds the longest prefix, of `count` elements at most.
void kernel_add_map(void *map, enum map_kind kind, size_t key, size_t value, size_t count);
// Empties all maps.
void kernel_reset(void);

// What the next program finds.
struct world {
    uint64_t now;             // nanoseconds
    long route;               // of bpf_fib_lookup(): a BPF_FIB_LKUP_RET
    uint32_t route_link;
    struct bpf_tunnel_key tunnel;
    bool no_tunnel;
    // What it has done.
    uint32_t redirected; // to which link, 0: to none
    uint32_t copied;     // a bit for each link that got a copy
};
extern struct world world;

enum { MOST_PACKET = 2048 };

// Sets the packet, of which `linear` bytes can be read at once; returns its bytes, below 4 GiB, where programs see them.
uint8_t *kernel_set_packet(struct __sk_buff *skb, const uint8_t *bytes, size_t size, size_t linear);

#endif
