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

// The ring that the socket has (TPACKET_V3, packet(7)): 4 MiB, which the kernel charges to nobody.
#define CNL_CAPTURE_BLOCK_SIZE (256 << 10)
#define CNL_CAPTURE_BLOCKS 16

// A packet socket in a network namespace, bound to one of its links, with a ring and a filter that
// nobody can change any more; close-on-exec, the caller's. EINVAL: not a filter. ENODEV: no such link.
int cnl_capture_open(
    int netns, const char *interface, const struct cnl_filter *filter, size_t count,
    int *descriptor, struct cnl_error *error);

#endif
