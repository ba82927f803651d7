#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_INTERVAL_MS = 100, MESSAGE_MAX = 6144 };

static struct {
    int fd;
    const char *entry;
    int64_t last_progress_ms;
    struct report_progress counters;
} channel = {.fd = -1};

int report_open(int fd) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
        return -1;
    channel.fd = fd;
    return 0;
}

struct report_progress *report_counters(void) {
    return &channel.counters;
}

void report_at(const char *entry) {
    channel.entry = entry;
}

// Nobody is left to tell when the channel fails: end, so that no work goes on unwatched.
static void write_line(json_t *object) {
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(object);
    if (!line)
        _exit(1);
    size_t length = strlen(line);
    line[length++] = '\n'; // in place of the terminating NUL: length says where it ends
    for (size_t done = 0; done < length;) {
        ssize_t n = write(channel.fd, line + done, length - done);
        if (n < 0 && errno != EINTR)
            _exit(1);
        done += n > 0 ? (size_t)n : 0;
    }
    free(line);
}

void report_progress(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (now_ms - channel.last_progress_ms < PROGRESS_INTERVAL_MS)
        return;
    channel.last_progress_ms = now_ms;
    const struct report_progress *c = &channel.counters;
    write_line(json_pack("{s:{s:I,s:I,s:I}}", "progress", "readBytes", (json_int_t)c->read_bytes,
                       "entries", (json_int_t)c->entries, "writtenBytes",
                       (json_int_t)c->written_bytes));
}

void report_result(json_t *result) {
    write_line(json_pack("{s:o}", "result", result));
}

// A JSON string of `bytes`, every byte that is not printable ASCII as \xNN; null for NULL.
static json_t *escaped(const char *bytes) {
    if (!bytes)
        return json_null();
    char *text = malloc(strlen(bytes) * 4 + 1);
    if (!text)
        return NULL;
    char *end = text;
    for (const char *p = bytes; *p; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte < 0x20 || byte > 0x7e)
            end += sprintf(end, "\\x%02x", byte);
        else
            *end++ = *p;
    }
    *end = '\0';
    json_t *string = json_string(text);
    free(text);
    return string;
}

void refuse(int error, const char *format, ...) {
    char message[MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (error && length >= 0 && (size_t)length < sizeof message)
        snprintf(message + length, sizeof message - (size_t)length, ": %s", strerror(error));
    write_line(json_pack("{s:{s:o,s:o,s:o}}", "error", "message", escaped(message), "entry",
                       escaped(channel.entry), "errno", error ? json_integer(error) : json_null()));
    _exit(1);
}
