// One run of the service's process.
#ifndef SLICE_INIT_SERVICE_H
#define SLICE_INIT_SERVICE_H

#include <sys/types.h>

#include "become.h"
#include "slice_report.h"

struct service_run {
    pid_t pid;
    int output[2]; // read ends of its standard output and error, non-blocking
    int report;    // read end of its report pipe, non-blocking: end of file says executed
};

// Starts `command` in a child. The descriptors belong to the caller. 0, or -1 with `failure` filled
// (INIT_SETUP, INIT_FORK) and nothing left open. What fails in the child comes through run->report.
int service_start(const struct command *command, struct service_run *run,
                  struct slice_report *failure);

#endif
