// Blocks of pcapng (draft-ietf-opsawg-pcapng), in the machine's byte order, for one interface.
#ifndef SLICE_CAPTURE_PCAPNG_H
#define SLICE_CAPTURE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

enum direction { DIRECTION_IN = 1, DIRECTION_OUT = 2 };

// Each writes at `to`, which has room for PCAPNG_ROOM bytes beside the packet itself, and returns how
// many bytes the block has.
#define PCAPNG_ROOM 256

size_t pcapng_section(uint8_t *to);
// `name` has 15 characters at most.
size_t pcapng_interface(uint8_t *to, const char *name, uint32_t snapshot);
// `time` in nanoseconds since 1970.
size_t pcapng_packet(
    uint8_t *to, uint64_t time, enum direction direction, const uint8_t *bytes, uint32_t captured,
    uint32_t original);
size_t pcapng_statistics(uint8_t *to, uint64_t time, uint64_t received, uint64_t dropped);

#endif
