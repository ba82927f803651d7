#define _GNU_SOURCE
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CURRENT "log"

static void close_file(struct log *log)
{
    if (log->file >= 0)
        close(log->file);
    log->file = -1;
    log->size = 0;
}

// Opens or creates the current file. -1 with errno; EEXIST: something that is no log is there.
static int open_current(int directory, struct stat *status)
{
    // O_NONBLOCK: neither a FIFO nor a device in its place may hold us.
    int file = openat(directory, CURRENT,
                      O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
    if (file < 0)
        return -1;
    int error = fstat(file, status) < 0 ? errno : !S_ISREG(status->st_mode) ? EEXIST : 0;
    if (error == 0)
        return file;
    close(file);
    errno = error;
    return -1;
}

// Makes log->file the current file and log->size its size. 0, or -1 with errno.
static int ensure_open(struct log *log)
{
    struct stat status;
    if (log->file >= 0 && fstat(log->file, &status) == 0 && status.st_nlink > 0) {
        log->size = (uint64_t)status.st_size; // someone may have truncated it
        return 0;
    }
    close_file(log); // never opened, or removed by someone
    log->file = open_current(log->directory, &status);
    // A symbolic link (ELOOP), a FIFO without a reader (ENXIO) or another non-file: make room.
    if (log->file < 0 && (errno == ELOOP || errno == ENXIO || errno == EEXIST) &&
        unlinkat(log->directory, CURRENT, 0) == 0)
        log->file = open_current(log->directory, &status);
    if (log->file < 0)
        return -1;
    log->size = (uint64_t)status.st_size;
    return 0;
}

// Takes back the beginning of a record whose rest did not fit; returns what stays of `written`.
static size_t cut_to_record(struct log *log, const char *records, size_t written)
{
    const char *newline = memrchr(records, '\n', written);
    size_t whole = newline != NULL ? (size_t)(newline - records) + 1 : 0;
    if (whole < written && ftruncate(log->file, (off_t)(log->size + whole)) < 0)
        close_file(log); // cannot be mended; the next write finds the size again
    return whole;
}

size_t log_file_write(struct log *log, const char *records, size_t length)
{
    if (ensure_open(log) < 0)
        return 0;
    if (log->size > 0 && log->size + length > log->size_max) {
        log_file_rotate(log); // an old file that was already full when this run began
        if (ensure_open(log) < 0)
            return 0;
    }
    size_t written = 0;
    int error = 0;
    while (written < length && error == 0) {
        ssize_t count = write(log->file, records + written, length - written);
        if (count > 0)
            written += (size_t)count;
        else if (count == 0 || errno != EINTR)
            error = count == 0 ? ENOSPC : errno;
    }
    if (error != 0)
        written = cut_to_record(log, records, written);
    log->size += written;
    errno = error;
    return written;
}

static const char *rotated_name(char *buffer, unsigned number)
{
    char *to = buffer;
    memcpy(to, CURRENT ".", sizeof CURRENT);
    to += sizeof CURRENT;
    if (number >= 10)
        *to++ = (char)('0' + number / 10);
    *to++ = (char)('0' + number % 10);
    *to = '\0';
    return buffer;
}

void log_file_rotate(struct log *log)
{
    char from[sizeof CURRENT + 3], to[sizeof CURRENT + 3];
    close_file(log);
    for (unsigned i = log->files_max - 1; i >= 2; i--)
        renameat(log->directory, rotated_name(from, i - 1), log->directory, rotated_name(to, i));
    // Whatever stands in the way of a rename (a directory of that name, say), the log stays
    // bounded: its current file goes, if it cannot be kept.
    if (log->files_max < 2 ||
        renameat(log->directory, CURRENT, log->directory, rotated_name(to, 1)) < 0)
        unlinkat(log->directory, CURRENT, 0);
}
