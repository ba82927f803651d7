#include "log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "log_file.h"
#include "record.h"

#define BLOCK_SIZE 32768

// One of each, whichever stream is at work: memory counts, and there is one thread. A block is read
// behind the rest of the line that the block before left.
static char input[LOG_TEXT_MAX + BLOCK_SIZE];
static char output[BLOCK_SIZE + 8192];

void log_init(struct log *log, int directory, uint64_t size_max, unsigned files_max)
{
    *log = (struct log){
        .directory = directory, .file = -1, .size_max = size_max, .files_max = files_max};
    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        log->streams[i].descriptor = -1;
        log->streams[i].flush_at = NEVER;
    }
}

static void count_lost(struct log *log, uint64_t bytes, int error)
{
    if (log->lost == 0)
        log->lost_error = error;
    log->lost += bytes;
    log->lost_total += bytes;
}

// Tells of a loss, now that writing works again. False where it does not.
static bool tell_loss(struct log *log)
{
    char record[RECORD_LOSS_MAX];
    if (log->lost == 0)
        return true;
    size_t length = record_loss(record, log->lost, log->lost_error);
    if (log_file_write(log, record, length) != length)
        return false;
    log->lost = 0;
    return true;
}

// Writes the pending records, or counts them as lost.
static void flush(struct log *log)
{
    size_t written = 0;
    int error = log->lost_error;
    if (monotonic_now() >= log->retry_at) {
        if (tell_loss(log))
            written = log_file_write(log, output, log->pending);
        if (written < log->pending || log->lost > 0) {
            error = errno;
            log->retry_at = monotonic_now() + LOG_RETRY_AFTER;
        }
    }
    if (written < log->pending)
        count_lost(log, records_text(output + written, log->pending - written), error);
    log->pending = 0;
}

static void append(struct log *log, unsigned stream, const struct record_time *time, char tag,
                   const char *text, size_t length)
{
    size_t record_length = record_size(length);
    if (log->size + log->pending + record_length > log->size_max ||
        log->pending + record_length > sizeof output)
        flush(log);
    // Asked again: what could not be written has not made the file longer.
    if (log->size > 0 && log->size + log->pending + record_length > log->size_max)
        log_file_rotate(log);
    log->pending += record_format(output + log->pending, time, stream, tag, text, length);
    log->streams[stream].open_line = tag == RECORD_PARTIAL;
}

static void keep_rest(struct log_stream *stream, const char *text, size_t length)
{
    if (length == 0)
        stream->flush_at = NEVER;
    else if (stream->flush_at == NEVER || text != input)
        // Not the same beginning as before: a new rest, with its own time.
        stream->flush_at = monotonic_now() + LOG_PARTIAL_AFTER;
    memcpy(stream->rest, text, length);
    stream->rest_length = length;
}

// Makes records of the lines in input[0..length) and keeps what has no newline yet.
static void split_lines(struct log *log, unsigned stream, size_t length)
{
    struct record_time time;
    const char *text = input;
    record_time_now(&time);
    for (;;) {
        size_t window = length <= LOG_TEXT_MAX ? length : LOG_TEXT_MAX + 1;
        const char *newline = memchr(text, '\n', window);
        if (newline == NULL && length <= LOG_TEXT_MAX)
            break;
        size_t taken = newline != NULL ? (size_t)(newline - text) : LOG_TEXT_MAX;
        append(log, stream, &time, newline != NULL ? RECORD_FULL : RECORD_PARTIAL, text, taken);
        taken += newline != NULL;
        text += taken;
        length -= taken;
    }
    keep_rest(&log->streams[stream], text, length);
    flush(log);
}

// Makes a record of a line's beginning that has waited long enough, or of its end (`tag` F).
static void flush_rest(struct log *log, unsigned index, char tag)
{
    struct log_stream *stream = &log->streams[index];
    struct record_time time;
    if (stream->rest_length > 0 || (tag == RECORD_FULL && stream->open_line)) {
        record_time_now(&time);
        append(log, index, &time, tag, stream->rest, stream->rest_length);
        flush(log);
    }
    stream->rest_length = 0;
    stream->flush_at = NEVER;
}

static void close_stream(struct log *log, unsigned index)
{
    struct log_stream *stream = &log->streams[index];
    if (stream->descriptor < 0)
        return;
    // The newline will never come: end the line, so that the next run begins with one of its own.
    flush_rest(log, index, RECORD_FULL);
    close(stream->descriptor);
    stream->descriptor = -1;
}

// Reads one block. False when there is nothing to read now, or never again (closed).
static bool read_block(struct log *log, unsigned index)
{
    struct log_stream *stream = &log->streams[index];
    memcpy(input, stream->rest, stream->rest_length);
    ssize_t count = read(stream->descriptor, input + stream->rest_length, BLOCK_SIZE);
    if (count > 0) {
        split_lines(log, index, stream->rest_length + (size_t)count);
        return true;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR))
        close_stream(log, index);
    return false;
}

void log_attach(struct log *log, const int descriptors[LOG_STREAMS])
{
    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        close_stream(log, i);
        log->streams[i].descriptor = descriptors[i];
    }
}

void log_watch(const struct log *log, struct pollfd entries[LOG_STREAMS])
{
    for (unsigned i = 0; i < LOG_STREAMS; i++)
        entries[i] = (struct pollfd){.fd = log->streams[i].descriptor, .events = POLLIN};
}

void log_pump(struct log *log, const struct pollfd entries[LOG_STREAMS])
{
    for (unsigned i = 0; i < LOG_STREAMS; i++)
        if (log->streams[i].descriptor >= 0 && entries[i].revents != 0)
            read_block(log, i);
}

void log_tick(struct log *log, uint64_t now)
{
    for (unsigned i = 0; i < LOG_STREAMS; i++)
        if (log->streams[i].flush_at <= now)
            flush_rest(log, i, RECORD_PARTIAL);
    if (log->lost > 0 && log->retry_at <= now)
        flush(log); // nothing is pending: only tells of the loss
}

uint64_t log_deadline(const struct log *log)
{
    uint64_t deadline = log->lost > 0 ? log->retry_at : NEVER;
    for (unsigned i = 0; i < LOG_STREAMS; i++)
        deadline = earlier(deadline, log->streams[i].flush_at);
    return deadline;
}

void log_finish_run(struct log *log, uint64_t deadline)
{
    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        while (log->streams[i].descriptor >= 0 && monotonic_now() < deadline && read_block(log, i))
            ;
        close_stream(log, i);
    }
    if (log->lost > 0) {
        log->retry_at = 0;
        flush(log);
    }
}
