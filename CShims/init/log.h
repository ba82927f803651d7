// The log pump: what the service prints, as dated lines in a directory of bounded size.
//
// The current file is `log`, older ones `log.1`, `log.2`, …; a record is a line of the CRI logging
// format (Kubernetes' kubelet-cri-logging design):
//
//   2026-11-23T05:43:55.123456789Z stdout F text
//
// with P in place of F where the text goes on in the next record of that stream: a line longer than
// LOG_TEXT_MAX, or one without its newline for LOG_PARTIAL_AFTER. Other bytes pass unchanged.
//
// While the log cannot be written the pipes are drained all the same and what is lost is counted,
// so that a full disk never holds the service. A write to a file can still wait in the kernel where
// its file system is frozen or throttled: there is no portable way to write without waiting.
#ifndef SLICE_INIT_LOG_H
#define SLICE_INIT_LOG_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

#define LOG_TEXT_MAX 4096
#define LOG_PARTIAL_AFTER (200 * MILLISECOND)
#define LOG_RETRY_AFTER (250 * MILLISECOND)
#define LOG_STREAMS 2 // standard output and standard error

struct log_stream {
    int descriptor; // read end, non-blocking; -1: closed
    bool open_line; // the last record was a P: the next one belongs to the same line
    uint64_t flush_at; // when the rest becomes a record of its own; NEVER: there is no rest
    size_t rest_length;
    char rest[LOG_TEXT_MAX]; // of a line whose newline has not come
};

struct log {
    int directory;
    int file;      // -1: not open
    uint64_t size; // of the file
    uint64_t size_max;
    unsigned files_max;
    uint64_t lost_total; // bytes of output, since the start
    uint64_t lost;       // of them not yet told in the log
    int lost_error;      // errno of the first of them
    uint64_t retry_at;   // after a failure: when to try again
    size_t pending; // bytes of records that wait to be written
    struct log_stream streams[LOG_STREAMS];
};

// Prepares the pump; nothing is opened before there is something to write. `directory` is borrowed.
void log_init(struct log *log, int directory, uint64_t size_max, unsigned files_max);

// Takes the read ends of a new run's pipes and owns them; those of the run before are closed.
void log_attach(struct log *log, const int descriptors[LOG_STREAMS]);

// Fills one entry per stream for poll(2).
void log_watch(const struct log *log, struct pollfd entries[LOG_STREAMS]);

// Reads a block from each stream that poll found ready and writes its records.
void log_pump(struct log *log, const struct pollfd entries[LOG_STREAMS]);

// Does what is due by time. `log_deadline` says when that is.
void log_tick(struct log *log, uint64_t now);
uint64_t log_deadline(const struct log *log);

// Reads what is left in the pipes until `deadline`, ends every line, closes the pipes.
void log_finish_run(struct log *log, uint64_t deadline);

#endif
