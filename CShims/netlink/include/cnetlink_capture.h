// A packet socket that captures. The conventions are cnetlink.h's.
#ifndef CNETLINK_CAPTURE_H
#define CNETLINK_CAPTURE_H

#include "cnetlink.h"

// struct sock_filter of linux/filter.h.
struct cnl_filter {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

// The ring that the socket has (TPACKET_V3, packet(7)) is of blocks, which the kernel charges to nobody.
#define CNL_CAPTURE_BLOCK_SIZE (256 << 10)
#define CNL_CAPTURE_MOST_BLOCKS 16
// With fewer the kernel has none to fill while another is read.
#define CNL_CAPTURE_LEAST_BLOCKS 2

// A packet socket in a network namespace, bound to one of its links, with a ring and a filter that
// nobody can change any more; close-on-exec, the caller's. All packet rings of the namespace, whoever has
// them, come to `most` bytes at most: what is left of them is the ring's, of `blocks` blocks.
// EINVAL: not a filter. ENODEV: no such link. ENOMEM: too little is left. ENOENT: the kernel can't tell
// (CONFIG_PACKET_DIAG). One at a time for a namespace.
int cnl_capture_open(
    int netns, const char *interface, const struct cnl_filter *filter, size_t count, uint64_t most,
    int *descriptor, unsigned *blocks, struct cnl_error *error);

#endif
