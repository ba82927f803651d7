// The child's side of a launch.
#ifndef SLICE_CHILD_H
#define SLICE_CHILD_H

#include "include/claunch.h"

struct child_context {
    const struct launch_plan *plan;
    int report; // write end of the report pipe
};

// Runs the plan of a `struct child_context` and executes, or reports and exits. Never returns.
void child_main(void *context);

#endif
