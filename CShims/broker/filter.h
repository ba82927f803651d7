// The filter of a socket: what its class may receive, and behind that the program's own filter.
//
// A socket has one filter. The kernel runs the whole as one program, so what the policy refuses the
// program's own part never sees, and nothing in that part can undo a refusal: jumps of classic BPF
// lead forward only (Documentation/networking/filter.rst).
#ifndef SLICE_BROKER_FILTER_H
#define SLICE_BROKER_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "grants.h"

// Attaches the policy of the class, with `own` of `count` instructions behind it; 0: everything that
// the policy lets through is received. 0, or -1 with errno: EINVAL as from SO_ATTACH_FILTER, ENOMEM
// where it is too long with the policy or the socket's memory does not hold it.
int filter_attach(int socket, const struct slice_raw_grants *grants, enum raw_class class,
                  int domain, const struct sock_filter *own, size_t count);

// Has the socket receive nothing any more, for good: the filter is locked. 0, or -1 with errno.
int filter_close(int socket);

// Attaches a program's own filter to a socket that has no policy. 0, or -1 with errno.
int filter_attach_own(int socket, const struct sock_filter *own, size_t count);

#endif
