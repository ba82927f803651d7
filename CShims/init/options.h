// The command line of slice-init, as the launcher writes it.
#ifndef SLICE_INIT_OPTIONS_H
#define SLICE_INIT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "slice_status.h"

enum mode {
    MODE_START, // PID 1: starts, watches, logs and ends the service
    MODE_RUN,   // becomes the command of an exec or enter
};

// Descriptors are numbers >= 3, open, and made close-on-exec by `options_parse`.
// Strings belong to argv.
struct options {
    enum mode mode;
    int report;  // write end of the pipe that carries one struct slice_report
    int control; // start: listening SOCK_SEQPACKET socket
    int log;     // start: directory of the log files
    int status;  // start: file that holds one struct slice_status
    int listener; // start: of the filter that slice-init is under; -1: none
    int refusals; // start: file that holds one struct slice_refusals; -1: none
    int raw_state; // start: -1, or the map that brokers share (slice_raw.h); it and the listener are only held then
    uint64_t log_size;  // start: bytes a log file may have, LOG_SIZE_MIN or more
    uint64_t log_files; // start: log files kept, the current one included, 1-100
    enum slice_restart_policy restart;
    uint64_t stop_timeout; // start: milliseconds from SIGTERM to SIGKILL
    const char *user;      // NULL: uid 0
    const char *workdir;   // NULL: the user's home
    bool terminal;         // run: descriptor 0 is to be the controlling terminal
    char **command;        // NULL-terminated; NULL: none (start only), a slice that idles
};

// A log file holds at least two of the longest records.
#define LOG_SIZE_MIN 16384

// The value of --report, or -1 where there is no such open descriptor: found first, so that every
// other mistake can be reported.
int options_find_report(char **argv);

// Reads argv (argv[0] is ignored, argv[1] the mode). Everything that is missing, repeated, unknown
// or out of range is an error. 0, or -1 with errno (EINVAL; EBADF: a descriptor is not open).
int options_parse(char **argv, struct options *options);

// Reads a decimal number without sign, space or leading zero. False if it is none or above `limit`.
bool parse_decimal(const char *text, uint64_t limit, uint64_t *value);

#endif
