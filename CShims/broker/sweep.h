// Taking open sockets out of use, whatever process has them.
#ifndef SLICE_BROKER_SWEEP_H
#define SLICE_BROKER_SWEEP_H

#include "sockets.h"

#define SWEEP_SECONDS 5

// Whether a socket may stay in use.
typedef bool sweep_keeps(const struct socket_kind *kind, const void *context);

struct sweep_result {
    uint32_t closed; // sockets taken out of use
    uint32_t hidden; // sockets that no process has open: on their way through a Unix socket, or mapped
};

// Closes (filter_close()) every raw and packet socket of the network namespace that `keeps` says no
// to. `process_files`: a proc file system of the slice's PID namespace, which the caller is in.
// Only who may ptrace the slice's processes can do it.
// 0, with hidden > 0 where some were left; -1 with errno: then nothing is known about the rest.
// ETIMEDOUT: the slice has too many processes and descriptors to be searched in SWEEP_SECONDS.
int sweep(int process_files, sweep_keeps *keeps, const void *context, struct sweep_result *result);

#endif
