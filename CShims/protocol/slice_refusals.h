// System calls that a slice was refused, as slice-init notes them when it is asked to.
//
// The filter of such a slice asks (seccomp_unotify(2)) where others refuse. slice-init answers with
// the errno that the others would have, and never lets a call pass. The record is a file on tmpfs:
// the answers, which the launcher writes before the start, then what slice-init writes. It can be
// read while sliced is down and after the slice has ended.
#ifndef SLICE_REFUSALS_H
#define SLICE_REFUSALS_H

#include <stdint.h>

// Calls of x86-64 below this number have an answer of their own; all others fail with ENOSYS.
#define SLICE_REFUSALS_CALLS 512
#define SLICE_REFUSALS_KEPT 64
#define SLICE_REFUSALS_VERSION 1

// One call by one program, however often.
struct slice_refusal {
    uint64_t times; // 0: this entry is not used
    uint64_t last_at; // nanoseconds since 1970, UTC
    uint64_t arguments[3]; // of the last time
    uint32_t architecture; // AUDIT_ARCH_* of linux/audit.h
    int32_t call; // number, of that architecture
    int32_t error; // errno that it failed with
    int32_t pid; // thread that made it last, in the slice's PID namespace
    char program[16]; // its name as the kernel has it (comm), NUL at the end
};

struct slice_refusals {
    uint8_t answers[SLICE_REFUSALS_CALLS]; // errno by number
    uint32_t version; // SLICE_REFUSALS_VERSION
    uint32_t reserved; // 0
    uint64_t total; // calls refused, of entries that are no longer kept too
    // In no order. A new one takes the place of the one whose last time is longest ago.
    struct slice_refusal kept[SLICE_REFUSALS_KEPT];
};

#endif
