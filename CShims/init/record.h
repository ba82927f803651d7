// The text of one log record.
#ifndef SLICE_INIT_RECORD_H
#define SLICE_INIT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_FULL 'F'
#define RECORD_PARTIAL 'P'

// Long enough for what record_loss writes.
#define RECORD_LOSS_MAX 256

// "2026-11-23T05:43:55.123456789Z", without a NUL.
#define RECORD_TIME_LENGTH 30

struct record_time {
    char text[RECORD_TIME_LENGTH];
};

void record_time_now(struct record_time *time);

// Length of a record that holds `text_length` bytes.
size_t record_size(size_t text_length);

// Writes a record of `stream` (0 stdout, 1 stderr) to `to`; returns its length.
size_t record_format(char *to, const struct record_time *time, unsigned stream, char tag,
                     const char *text, size_t text_length);

// Writes the record that tells of lost output to `to`, RECORD_LOSS_MAX long; returns its length.
size_t record_loss(char *to, uint64_t lost, int error);

// How many bytes of output whole records stand for.
uint64_t records_text(const char *records, size_t length);

#endif
