// What was found out about a destination a moment ago, so that it need not be asked for every packet:
// the route lookup alone costs as much as all other checks together.
//
// Only the last step is left out for a packet that is found here, check_destination(), and only where
// that let the packet before pass, one of the same link, addresses, protocol and ports that opened a
// connection, or didn't, like this one. All checks of headers come before, for each packet. Why that is safe:
//   1. An entry lives LIFETIME, from when it was made: what is found here doesn't prolong it. So an
//      answer to the host (is_answer()) passes that much longer at most, and a route or an address
//      that the host gets counts for what flows already that much later. Into a slice's link nothing
//      comes by that: to_slice lets in what is for its address alone, and only while it is admitted.
//   2. It counts only while control.generation is what it was before the check began. The loader
//      changes that after every change of a map that the check asks (update() in classifier.c). A check
//      that began before, whatever it saw, leaves an entry that nobody takes; one that begins after sees
//      the change. So when the loader returns, nothing passes by what was ruled earlier.
//   3. Refusals are not kept: whoever is refused gets the whole check, and is counted.
// One place for each hash: packets of any number take no more memory, and push out each other.
//
// Each processor has its own. A program that is interrupted there by none of its kind (it runs in
// softirqs, which don't nest) finds no entry half written.
#ifndef CLASSIFIER_VERDICTS_H
#define CLASSIFIER_VERDICTS_H

#include "packet.h"
#include "tables.h"

// In ticks of the kernel's, of which it has 100 to 1000 a second.
#define LIFETIME 10
#define VERDICTS 1024 // a power of two

// Compared by eight bytes.
struct question {
    __u64 address[2];
    __u32 link;
    __be16 source_port, port;
    __u32 generation;
    __u8 family, protocol, opens, zero;
};

struct verdict {
    struct question question;
    __u64 made; // ticks
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VERDICTS);
    __type(key, __u32);
    __type(value, struct verdict);
} verdicts SEC(".maps");

static __always_inline struct verdict *verdict_for(const struct question *question) {
    const __u64 *words = (const __u64 *)question;
    // Fibonacci hashing (Knuth, 6.4): the upper bits of a product depend on all bits of its factor.
    __u64 hash = words[0] ^ words[1] * 3 ^ words[2] * 5;
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15;
    __u32 place = hash >> 54 & (VERDICTS - 1);
    return bpf_map_lookup_elem(&verdicts, &place);
}

static __always_inline int
is_same(const struct question *one, const struct question *other) {
    const __u64 *a = (const __u64 *)one, *b = (const __u64 *)other;
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

#endif
