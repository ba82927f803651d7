// What a slice with raw sockets may ask its broker for, by a Unix socket, beside the calls that the broker
// answers without being asked (socket(2), setsockopt(2)). sliceraw.h is a library of it.
//
// SOCK_SEQPACKET: one `struct slice_request` a message, each answered by one `struct slice_answer` with
// what was opened beside it (SCM_RIGHTS, unix(7)), in the order of the requests. A message of another size
// ends the connection; what comes beside one is closed. A request waits until the answer before it has been
// read, and until at most SLICE_REQUEST_UNREAD of the slice's clients have answers that they have not read.
//
// Every process of the slice may connect. What it gets belongs to the slice, whoever holds it: it is
// judged as the slice's packets are, and ends with the slice's grants.
#ifndef SLICE_REQUEST_H
#define SLICE_REQUEST_H

#include <stdint.h>

#define SLICE_REQUEST_DIRECTORY "/run/slice" // in the slice, read-only
#define SLICE_REQUEST_PATH SLICE_REQUEST_DIRECTORY "/raw"

#define SLICE_REQUEST_SOCKETS_MAX 64 // of one request
#define SLICE_REQUEST_CLIENTS 64     // connections at a time; a further one waits
#define SLICE_REQUEST_UNREAD 4
#define SLICE_XDP_BYTES_MAX (32u << 20)
#define SLICE_XDP_RING_MAX 8192u

enum slice_request_kind {
    // Raw or packet sockets, all alike, as socket(2) gives one to a process of the slice: the whole number
    // or none. EPERM: no grant allows them.
    SLICE_REQUEST_SOCKETS = 1,
    // An AF_XDP socket, bound to the one queue of `eth0`, and the file of its memory (UMEM), to be mapped
    // MAP_SHARED: two descriptors. The socket's rings are mapped as AF_XDP's always
    // (Documentation/networking/af_xdp.rst). EPERM: xdp is not granted. EBUSY: the slice has one already.
    // ENOMEM: it would take more than is left to the slice (raw.allow, slice.toml(5)).
    SLICE_REQUEST_XDP = 2,
};

struct slice_request {
    uint32_t kind; // enum slice_request_kind
    union {
        struct {
            int32_t domain, type, protocol; // as of socket(2), SOCK_NONBLOCK too; always close-on-exec
            uint32_t count;                 // 1 to SLICE_REQUEST_SOCKETS_MAX
        } sockets;
        struct {
            uint32_t frame_size; // bytes: 2048 or 4096
            uint32_t frames;     // together whole pages, SLICE_XDP_BYTES_MAX at most
            // Entries: powers of two, SLICE_XDP_RING_MAX at most. Of the first two one may be 0.
            uint32_t rx, tx, fill, completion;
        } xdp;
        uint32_t words[7]; // those that have no name above are 0
    };
};

struct slice_answer {
    uint32_t kind;  // of the request
    int32_t error;  // errno; EINVAL: not a request
    uint32_t count; // descriptors beside it; 0 with an error
    uint32_t reserved;
};

#endif
