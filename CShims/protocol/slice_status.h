// What slice-init says of the service, and what it can be told.
//
// The status is one record at offset 0 of a small file on tmpfs: it can be read while sliced is
// down and after slice-init has died. The same record is sent to every connection of the control
// socket, once at connect and again at each change.
#ifndef SLICE_STATUS_H
#define SLICE_STATUS_H

#include <stdint.h>

#define SLICE_STATUS_VERSION 1

enum slice_service_state {
    SLICE_SERVICE_STARTING = 1, // not executed yet
    SLICE_SERVICE_RUNNING = 2,
    SLICE_SERVICE_BACKOFF = 3,  // ended; will be started again
    SLICE_SERVICE_STOPPING = 4, // told to stop, not ended yet
    SLICE_SERVICE_EXITED = 5,   // ended for good; slice-init exits next
};

struct slice_status {
    uint32_t version; // SLICE_STATUS_VERSION
    uint32_t state;   // enum slice_service_state
    int32_t service_pid; // in the slice's PID namespace; 0: none (RUNNING: idle, or left a daemon)
    uint32_t restarts;   // times the service was started again by policy
    int32_t exit_code;   // of the last run: 0-255; -1: did not exit by itself (yet)
    int32_t exit_signal; // of the last run: signal number; 0: none
    uint64_t started_at; // of the last run: nanoseconds since 1970, UTC; 0: never
    uint64_t exited_at;  // of the last run; 0: still running or never ran
    uint64_t log_dropped_bytes; // output lost because the log could not be written (disk full)
    uint64_t next_start_at; // in BACKOFF: when the next run starts; else 0
};

enum slice_command_kind {
    SLICE_COMMAND_STOP = 1,    // argument: grace in milliseconds before SIGKILL to every process
    // argument: signal number, sent to the service's main process, or to every process of the slice
    // where it has left a daemon; ESRCH where no service runs
    SLICE_COMMAND_SIGNAL = 2,
    SLICE_COMMAND_RESTART_POLICY = 3, // argument: enum slice_restart_policy
};

enum slice_restart_policy {
    SLICE_RESTART_NO = 0,
    SLICE_RESTART_ON_FAILURE = 1, // non-zero exit status or death by signal
    SLICE_RESTART_ALWAYS = 2,
};

// One SOCK_SEQPACKET message a command. The answer is a message of its own of 4 bytes: errno,
// 0 when accepted; status records can come before it (tell them apart by length). At most four
// clients are served; a fifth is closed at once, one that does not read is dropped.
struct slice_command {
    uint32_t kind; // enum slice_command_kind
    uint32_t argument;
};

#endif
