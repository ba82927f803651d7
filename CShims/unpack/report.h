// report.h: what slice-unpack tells the program that started it.
//
// The channel is a descriptor that receives JSON, one object a line:
//
//   {"progress":{"readBytes":N,"entries":N,"writtenBytes":N}}     at most 10 a second
//   {"result":{…}}  or  {"error":{"message":"…","entry":"…"|null,"errno":N|null}}   last line
//
// slice-unpack does one job and exits, so the channel is the one piece of state of this
// process that is not passed around; and a refusal ends the process at once. What was
// unpacked until then lies in a staging directory that the starter throws away.
#ifndef SLICE_UNPACK_REPORT_H
#define SLICE_UNPACK_REPORT_H

#include <jansson.h>
#include <stdint.h>

struct report_progress {
    uint64_t read_bytes;    // of standard input; for `digest`, of the tree's files
    uint64_t entries;       // of the archive, or of all layers, unpacked so far
    uint64_t written_bytes; // of content, into the tree
};

// Makes `fd` the channel, close-on-exec. Returns -1 with errno if it is not open.
int report_open(int fd);

// Counters shown by the next progress line. The caller adds to them.
struct report_progress *report_counters(void);

// Writes a progress line if the last is at least 100 ms old.
void report_progress(void);

// Names the archive entry that a refusal speaks of; NULL for none. The name is raw bytes,
// borrowed until the next call.
void report_at(const char *entry);

// Writes the result line. Takes the reference to `result`.
void report_result(json_t *result);

// Writes the error line and ends the process with status 1. `error` is an errno value, whose
// text is added to the message, or 0. Bytes of the message and of the entry's name that are
// not printable ASCII are written as \xNN, so that nothing from an archive reaches a terminal
// as a control sequence.
_Noreturn void refuse(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
