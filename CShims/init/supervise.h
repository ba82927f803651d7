// The life of a slice: PID 1's one loop.
#ifndef SLICE_INIT_SUPERVISE_H
#define SLICE_INIT_SUPERVISE_H

#include "options.h"

// Starts the service, keeps it as the policy says, reaps every orphan of the slice, until the
// service has ended for good. Returns the exit status to end with: the service's own, 128 + signal
// where one killed it, report_exit_code where it could not be started.
// Must be PID 1 (it signals every process that it can see), with descriptors 0-2 open.
int supervise(const struct options *options, char **environment);

#endif
