// The files of the log.
#ifndef SLICE_INIT_LOG_FILE_H
#define SLICE_INIT_LOG_FILE_H

#include "log.h"

// Appends whole records to the current file, opening it first where it is not open. Returns the
// bytes of those that were written; where that is less than `length`, errno says why and nothing of
// the next record is left in the file.
size_t log_file_write(struct log *log, const char *records, size_t length);

// Puts the current file behind: it becomes log.1, log.1 becomes log.2, the oldest goes.
// The next write opens a new one.
void log_file_rotate(struct log *log);

#endif
