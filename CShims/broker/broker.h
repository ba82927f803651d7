// What the parts of the broker share.
#ifndef SLICE_BROKER_H
#define SLICE_BROKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "slice_raw.h"
#include "slice_request.h"

struct events {
    int64_t second; // of the monotonic clock, in which `told` were sent
    unsigned told;
    uint32_t untold;
};

// Of seccomp filters: one for the slice's first process and its descendants, one for each command
// that entered the slice from outside.
#define LISTENERS 256

// A process of the slice that has connected (slice_request.h).
struct requester {
    int socket;
    pid_t process; // in the slice
};

// Descriptors are open for the life of the process, but those of listeners beyond the first,
// and of clients.
struct broker {
    int listeners[LISTENERS];
    unsigned listener_count;
    int control;         // listening socket
    int client;          // -1: none
    int process_files;   // directory: a proc file system of the slice's PID namespace
    int rings;           // rings_watch()
    int requests;        // listening socket of the slice's processes
    struct requester requesters[SLICE_REQUEST_CLIENTS];
    unsigned requester_count;
    int link;            // index of `eth0`, 0: none
    int xdp_sockets;     // map of AF_XDP sockets, -1: none
    struct slice_raw_state *state; // shared, outlives this process
    uint64_t unanswered; // call that the last broker was answering when it ended, 0: none
    struct events events;
};

#endif
