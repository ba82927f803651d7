// The child's side of a launch.
#ifndef SLICE_CHILD_H
#define SLICE_CHILD_H

#include "include/claunch.h"

// In memory that parent and child share.
struct child_context {
    const struct launch_plan *plan;
    int report; // write end of the report pipe
    uint32_t listener_taken; // futex(2): not 0 when a child that waits with its listener may go on
};

#ifdef DEBUG
extern int launch_follows_links;
#endif

// Runs the plan of a `struct child_context` and executes, or reports and exits. Never returns.
void child_main(void *context);

#endif
