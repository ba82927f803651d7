// Notes the system calls that the slice is refused, where the launcher asks for it.
#ifndef SLICE_INIT_REFUSALS_H
#define SLICE_INIT_REFUSALS_H

#include <poll.h>

#include "slice_refusals.h"

struct refusals {
    int listener; // -1: nothing is noted
    int file;
    struct slice_refusals record;
};

// `listener` is that of the filter which slice-init itself is under, `file` holds a struct
// slice_refusals with the answers; both -1: nothing is noted. Borrows both. 0, or -1 with errno.
//
// slice-init must make no call that the filter refuses: it would wait for itself.
int refusals_init(struct refusals *refusals, int listener, int file);

void refusals_watch(const struct refusals *refusals, struct pollfd *entry);

// Answers and notes one call, if there is one. Never waits.
void refusals_serve(struct refusals *refusals, const struct pollfd *entry);

#endif
