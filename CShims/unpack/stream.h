// stream.h: a tar archive read from a descriptor, with decompression and digests on the way.
//
//     descriptor -> SHA-256 -> decompression -> SHA-256 -> tar
//
// libarchive does it twice: one reader decompresses (its "raw" format), a second one, fed by
// the first, reads tar. The seam is what shows the uncompressed bytes: they are counted against
// a bound, hashed (an OCI layer's diff_id), and looked at after the archive's end.
#ifndef SLICE_UNPACK_STREAM_H
#define SLICE_UNPACK_STREAM_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>

enum stream_compression {
    STREAM_ANY, // none, gzip, bzip2, xz or zstd: by the content
    STREAM_NONE,
    STREAM_GZIP,
    STREAM_ZSTD
};

enum { STREAM_DIGEST_HEX = 64 + 1 };

struct stream_digests {
    char stored[STREAM_DIGEST_HEX]; // SHA-256 of the bytes of the descriptor
    char plain[STREAM_DIGEST_HEX];  // SHA-256 of the uncompressed bytes
};

struct stream;

// Begins to read `fd`, which stays the caller's and must outlive the stream. More than
// `plain_max` uncompressed bytes are refused. `is_input`: the bytes read count as progress.
// Refuses (report.h) on damage, here and in the calls below.
struct stream *stream_open(int fd, enum stream_compression compression, uint64_t plain_max,
                           bool is_input);

// The next entry; its data is read from stream_archive. The entry is the stream's, valid until
// the next call, which also clears report_at. NULL at the end, after the rest of the descriptor
// was read and checked: the archive must end with its end marker (two zero blocks, POSIX pax) and
// only zeros after it.
struct archive_entry *stream_next(struct stream *stream);

// The tar reader, for archive_read_data_block and its error text.
struct archive *stream_archive(struct stream *stream);

// Releases the stream. `digests`, unless NULL, is valid when stream_next has returned NULL.
void stream_close(struct stream *stream, struct stream_digests *digests);

// Lower-case hexadecimal of a SHA-256.
void stream_hex(const uint8_t digest[32], char hex[STREAM_DIGEST_HEX]);

#endif
