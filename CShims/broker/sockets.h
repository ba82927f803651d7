// Making the sockets that are given away, and telling them again later.
#ifndef SLICE_BROKER_SOCKETS_H
#define SLICE_BROKER_SOCKETS_H

#include <stdbool.h>

#include "grants.h"

// What socket(2) with these arguments gives, with the filter and mark of its class, close-on-exec.
// -1 with errno of the call that failed. Never waits.
int socket_open(const struct slice_raw_grants *grants, enum raw_class class, int domain, int type,
                int protocol);

// Takes out what a socket received before it had its filter.
void socket_drain(int socket);

struct socket_kind {
    bool raw; // of the kinds that only the broker can make: packet, and raw IPv4 and IPv6
    int domain;
    int protocol; // of raw IPv4 and IPv6
    enum raw_class class; // CLASS_NONE where the mark is not of ours
};

// What a socket is. 0, or -1 with errno (ENOTSOCK).
int socket_identify(int socket, struct socket_kind *kind);

#endif
