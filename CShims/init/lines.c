#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int lines_open(struct lines *lines, const char *path)
{
    // O_NONBLOCK: a FIFO in the file's place must not hold us; fstat then refuses it.
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return -1;
    struct stat status;
    int error = fstat(descriptor, &status) < 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
    if (error != 0) {
        close(descriptor);
        errno = error;
        return -1;
    }
    lines->descriptor = descriptor;
    lines->skipping = false;
    lines->start = lines->end = lines->total = 0;
    return 0;
}

void lines_close(struct lines *lines)
{
    close(lines->descriptor);
    lines->descriptor = -1;
}

// Reads on behind what is left in the buffer. Number of bytes, 0 at the end, -1 with errno.
static ssize_t fill(struct lines *lines)
{
    size_t left = lines->end - lines->start;
    memmove(lines->buffer, lines->buffer + lines->start, left);
    lines->start = 0;
    lines->end = left;
    if (left == LINES_LINE_MAX) {
        lines->skipping = true;
        lines->end = 0;
    }
    ssize_t count;
    do {
        count = read(lines->descriptor, lines->buffer + lines->end, LINES_LINE_MAX - lines->end);
    } while (count < 0 && errno == EINTR);
    if (count <= 0)
        return count;
    lines->end += (size_t)count;
    lines->total += (size_t)count;
    if (lines->total > LINES_FILE_MAX) {
        errno = EFBIG;
        return -1;
    }
    return count;
}

// Ends the line at `end` and says whether it can be given out.
static bool take(struct lines *lines, size_t end)
{
    bool whole = !lines->skipping;
    lines->skipping = false;
    lines->buffer[end] = '\0';
    return whole && memchr(lines->buffer + lines->start, '\0', end - lines->start) == NULL;
}

char *lines_next(struct lines *lines)
{
    for (;;) {
        char *line = lines->buffer + lines->start;
        char *newline = memchr(line, '\n', lines->end - lines->start);
        if (newline != NULL) {
            size_t end = (size_t)(newline - lines->buffer);
            bool good = take(lines, end);
            lines->start = end + 1;
            if (good)
                return line;
            continue;
        }
        ssize_t count = fill(lines);
        if (count < 0)
            return NULL;
        if (count == 0)
            break;
    }
    errno = 0;
    size_t end = lines->end;
    if (lines->start == end || !take(lines, end))
        return NULL;
    char *last = lines->buffer + lines->start; // the file does not end with a newline
    lines->start = end;
    return last;
}
