#include "stream.h"

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The end marker of an archive: two blocks of zeros (POSIX.1-2017 pax, "ustar Interchange
// Format").
enum { BUFFER_SIZE = 128 * 1024, END_MARKER_SIZE = 1024 };

struct stream {
    int fd;
    bool is_input;
    uint64_t plain_max;
    uint64_t plain_bytes;
    uint64_t trailing_zeros; // of the uncompressed bytes so far
    struct sha256_ctx stored;
    struct sha256_ctx plain;
    struct archive *decompressor;
    struct archive *tar;
    uint8_t buffer[BUFFER_SIZE];
};

static const char *text_of(struct archive *archive) {
    const char *text = archive_error_string(archive);
    return text ? text : "unknown reason";
}

// archive_read_open's callback: the bytes of the descriptor.
static la_ssize_t read_stored(struct archive *archive, void *context, const void **buffer) {
    struct stream *stream = context;
    ssize_t length;
    (void)archive;
    do
        length = read(stream->fd, stream->buffer, sizeof stream->buffer);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        refuse(errno, "cannot read the archive");
    sha256_update(&stream->stored, (size_t)length, stream->buffer);
    if (stream->is_input) {
        report_counters()->read_bytes += (uint64_t)length;
        report_progress();
    }
    *buffer = stream->buffer;
    return length;
}

static void count_zeros(struct stream *stream, const uint8_t *bytes, size_t length) {
    size_t zeros = 0;
    while (zeros < length && bytes[length - 1 - zeros] == 0)
        zeros++;
    stream->trailing_zeros = zeros == length ? stream->trailing_zeros + length : zeros;
}

// archive_read_open's callback: the uncompressed bytes.
static la_ssize_t read_plain(struct archive *archive, void *context, const void **buffer) {
    struct stream *stream = context;
    size_t length = 0;
    la_int64_t offset;
    (void)archive;
    int status = archive_read_data_block(stream->decompressor, buffer, &length, &offset);
    if (status == ARCHIVE_EOF)
        return 0;
    if (status != ARCHIVE_OK)
        refuse(0, "the archive is damaged or cut off: %s", text_of(stream->decompressor));
    sha256_update(&stream->plain, length, *buffer);
    count_zeros(stream, *buffer, length);
    stream->plain_bytes += length;
    if (stream->plain_bytes > stream->plain_max)
        refuse(0, "the archive is longer than %" PRIu64 " bytes uncompressed; raise --max-bytes if "
               "you trust it", stream->plain_max);
    return (la_ssize_t)length;
}

static void must(struct archive *archive, int status, const char *what) {
    if (status != ARCHIVE_OK)
        refuse(0, "%s: %s", what, text_of(archive));
}

// Only what libarchive does in this process: its other filters start programs.
static void allow_compression(struct archive *archive, enum stream_compression compression) {
    bool any = compression == STREAM_ANY;
    if (any || compression == STREAM_GZIP)
        must(archive, archive_read_support_filter_gzip(archive), "gzip");
    if (any || compression == STREAM_ZSTD)
        must(archive, archive_read_support_filter_zstd(archive), "zstd");
    if (any) {
        must(archive, archive_read_support_filter_xz(archive), "xz");
        must(archive, archive_read_support_filter_bzip2(archive), "bzip2");
    }
}

static void open_decompressor(struct stream *stream, enum stream_compression compression) {
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    if (!archive)
        refuse(ENOMEM, "cannot read the archive");
    stream->decompressor = archive;
    allow_compression(archive, compression);
    must(archive, archive_read_support_format_raw(archive), "raw");
    must(archive, archive_read_support_format_empty(archive), "empty"); // gives ARCHIVE_EOF
    must(archive, archive_read_open(archive, stream, NULL, read_stored, NULL),
         "the archive is damaged or cut off");
    int status = archive_read_next_header(archive, &entry);
    if (status == ARCHIVE_EOF)
        refuse(0, "the archive is empty");
    must(archive, status, "the archive is damaged or cut off");
    // The count includes the descriptor's own. More than one compression has no use but bombs.
    if (archive_filter_count(archive) > 2)
        refuse(0, "the archive is compressed more than once");
}

struct stream *stream_open(int fd, enum stream_compression compression, uint64_t plain_max,
                           bool is_input) {
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        refuse(ENOMEM, "cannot read the archive");
    stream->fd = fd;
    stream->is_input = is_input;
    stream->plain_max = plain_max;
    sha256_init(&stream->stored);
    sha256_init(&stream->plain);
    open_decompressor(stream, compression);
    stream->tar = archive_read_new();
    if (!stream->tar)
        refuse(ENOMEM, "cannot read the archive");
    must(stream->tar, archive_read_support_format_tar(stream->tar), "tar");
    must(stream->tar, archive_read_open(stream->tar, stream, NULL, read_plain, NULL),
         "this is not a tar archive, or it is damaged or cut off");
    return stream;
}

// Reads all that libarchive left unread, and checks how the archive ends.
static void check_end(struct stream *stream) {
    const void *bytes;
    uint64_t marker = (uint64_t)archive_read_header_position(stream->tar);
    while (read_plain(NULL, stream, &bytes) > 0) {
    }
    while (read_stored(NULL, stream, &bytes) > 0) {
    }
    if (stream->plain_bytes < marker + END_MARKER_SIZE)
        refuse(0, "the archive is cut off: its end marker is missing");
    if (stream->trailing_zeros < stream->plain_bytes - marker)
        refuse(0, "the archive goes on after its end marker");
}

struct archive_entry *stream_next(struct stream *stream) {
    struct archive_entry *entry = NULL;
    report_at(NULL); // libarchive is about to reuse the memory of the last entry's name
    int status = archive_read_next_header(stream->tar, &entry);
    if (status == ARCHIVE_EOF) {
        check_end(stream);
        return NULL;
    }
    // A name of a pax header that the C locale cannot express: libarchive warns with EILSEQ, and
    // keeps the bytes as they are, which is what is wanted here. Other warnings mean damage.
    bool name_kept = status == ARCHIVE_WARN && archive_errno(stream->tar) == EILSEQ;
    if (status != ARCHIVE_OK && !name_kept)
        refuse(0, "the archive is damaged or cut off: %s", text_of(stream->tar));
    return entry;
}

struct archive *stream_archive(struct stream *stream) {
    return stream->tar;
}

void stream_hex(const uint8_t digest[32], char hex[STREAM_DIGEST_HEX]) {
    for (int i = 0; i < 32; i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
}

void stream_close(struct stream *stream, struct stream_digests *digests) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    if (digests) {
        sha256_digest(&stream->stored, sizeof digest, digest);
        stream_hex(digest, digests->stored);
        sha256_digest(&stream->plain, sizeof digest, digest);
        stream_hex(digest, digests->plain);
    }
    archive_read_free(stream->tar);
    archive_read_free(stream->decompressor);
    free(stream);
}
