// The last steps before the command: the same for the service of a slice and for every exec and
// enter.
#ifndef SLICE_INIT_BECOME_H
#define SLICE_INIT_BECOME_H

#include <stdbool.h>

struct command {
    char **arguments;    // NULL-terminated, at least one
    char **environment;  // NULL-terminated; HOME, USER, LOGNAME, SHELL and PATH are added
    const char *user;    // see identity_find; NULL: uid 0
    const char *workdir; // absolute; NULL: the user's home, or / where there is none
    bool terminal;       // descriptor 0 becomes the controlling terminal and the user's
    bool owns_output;    // descriptors 1 and 2 are pipes of slice-init: they become the user's
};

// Turns this process into the command: closes every descriptor but 0-2, leads a session of its own,
// unblocks signals, takes on the user, goes to the working directory, executes. Where a step fails,
// `report` (a pipe) gets one struct slice_report and the process ends with `report_exit_code`;
// on success the pipe is closed by exec. Never returns.
_Noreturn void become(const struct command *command, int report);

#endif
