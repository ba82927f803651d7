// The grants as the BPF programs of a slice's own end read them.
#ifndef RAW_GRANTED_H
#define RAW_GRANTED_H

#include "../classifier/packet.h"
#include "../protocol/slice_raw.h"

// What the slice's brokers share with the programs, and write through their memory.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct slice_raw_state);
} state SEC(".maps");

static __always_inline int in_set(const uint64_t set[4], __u8 protocol) {
    return (set[protocol / 64] >> (protocol % 64) & 1) != 0;
}

static __always_inline int in_ranges(const struct slice_raw_range *ranges, __u16 count, __u16 port) {
    for (int i = 0; i < SLICE_RAW_RANGES; i++)
        if (i < count && ranges[i].first <= port && port <= ranges[i].last) return 1;
    return 0;
}

static __always_inline int in_ethertypes(const struct slice_raw_grants *grants, __u16 ethertype) {
    for (int i = 0; i < SLICE_RAW_ETHERTYPES; i++)
        if (i < grants->ethertype_count && grants->ethertypes[i] == ethertype) return 1;
    return 0;
}

#endif
