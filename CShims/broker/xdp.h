// AF_XDP sockets of the slice, of which it has one at a time: its link has one queue.
//
// The broker registers their memory itself, and a socket has its memory once (xsk_setsockopt(): EBUSY). So
// no slice has what the kernel would do with a frame on the sender's word, such as writing a checksum where
// it says (XDP_UMEM_TX_METADATA_LEN).
#ifndef SLICE_BROKER_XDP_H
#define SLICE_BROKER_XDP_H

#include <stdint.h>

#include "slice_raw.h"
#include "slice_request.h"

struct xdp_place {
    int link;    // index of `eth0`; 0: there is none
    int sockets; // the map that packets are handed out by (xdp.bpf.c); -1: none
    int rings;   // rings_watch()
};

// Makes a socket, bound and entered in the map, and the file of its memory, both close-on-exec.
// 0, or -1 with errno of the call that failed; EINVAL, EAGAIN (no map yet), EBUSY, ENOMEM as in
// slice_request.h.
int xdp_open(const struct xdp_place *place, const struct slice_raw_grants *grants,
             const struct slice_request *request, int opened[2]);

// Has no socket of the map receive anything any more.
void xdp_forget(int sockets);

// What the kernel may keep for the slice's AF_XDP socket, charged to nobody: bytes that packet rings can't
// have.
uint64_t xdp_reserve(const struct slice_raw_grants *grants);

#endif
