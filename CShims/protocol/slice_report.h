// What a launched process tells its launcher before the service's first instruction.
//
// A launch ends in one of two ways on the report pipe (SLICE_STAGE_LISTENER is none of them):
//   - end of file, nothing read: the service was executed;
//   - one `struct slice_report`: the step that failed. Nothing of the service ran.
// The pipe is close-on-exec in whoever holds it, so success needs no message. A process that is
// killed before its exec also gives end of file: its exit status tells.
// slice-init then exits: 127 where the command was not found (INIT_EXEC with ENOENT), 126 where it
// could not be executed (INIT_EXEC with another error), 125 for every other stage.
#ifndef SLICE_REPORT_H
#define SLICE_REPORT_H

#include <stdint.h>

enum slice_stage {
    // The C child between clone and exec; `index` is the operation in the plan.
    SLICE_STAGE_PLAN = 1,
    // No end: the child waits, with the listener of its filter at descriptor `index`, until the
    // launcher has it; `error` is 0. At most once.
    SLICE_STAGE_LISTENER = 2,
    // slice-init, inside the slice; `index` is unused.
    SLICE_STAGE_INIT_SETUP = 16,    // slice-init's own preparation (arguments, pipes, signals)
    SLICE_STAGE_INIT_USER = 17,     // ENOENT: not in the image's /etc/passwd; EINVAL: odd
    SLICE_STAGE_INIT_GROUP = 18,    // the same for /etc/group; E2BIG: the user has too many groups
    SLICE_STAGE_INIT_IDENTITY = 19, // setgroups, setgid, setuid, capabilities
    SLICE_STAGE_INIT_WORKDIR = 20,  // chdir to the working directory
    SLICE_STAGE_INIT_TERMINAL = 21, // becoming the terminal's session leader
    SLICE_STAGE_INIT_FORK = 22,     // starting the service's process
    SLICE_STAGE_INIT_EXEC = 23,     // ENOENT: not found (127); EACCES, ENOEXEC: not executable (126)
    // slice-broker, before it answers anything.
    SLICE_STAGE_BROKER = 32,
};

struct slice_report {
    uint32_t stage; // enum slice_stage
    uint32_t index;
    int32_t error; // errno, positive
    uint32_t reserved;
};

#endif
