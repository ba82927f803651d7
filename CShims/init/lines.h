// Lines of a small text file that a hostile slice may have written.
#ifndef SLICE_INIT_LINES_H
#define SLICE_INIT_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_LINE_MAX 65536
#define LINES_FILE_MAX (8 * 1024 * 1024)

struct lines {
    int descriptor;
    bool skipping; // inside a line that is longer than the buffer
    size_t start, end, total;
    char buffer[LINES_LINE_MAX + 1];
};

// Opens `path`, which must be a regular file. 0, or -1 with errno (EINVAL: another kind of file).
int lines_open(struct lines *lines, const char *path);

// The next line without its newline, valid until the next call; NULL with errno 0 at the end of
// the file, with errno where reading failed or the file is longer than LINES_FILE_MAX (EFBIG).
// Lines longer than LINES_LINE_MAX and lines with a NUL byte are passed over.
char *lines_next(struct lines *lines);

void lines_close(struct lines *lines);

#endif
