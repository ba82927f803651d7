#define _GNU_SOURCE
#include "oci.h"

#include "report.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const char blob_prefix[] = "blobs/sha256/";

// The name in the scratch directory of a layout's file: a blob's digest, or the two documents'
// own names. NULL for all that is not needed (other digests, what `docker save` adds).
static const char *scratch_name(const char *path) {
    if (strcmp(path, "oci-layout") == 0 || strcmp(path, "index.json") == 0)
        return path;
    if (strncmp(path, blob_prefix, sizeof blob_prefix - 1) != 0)
        return NULL;
    const char *hex = path + sizeof blob_prefix - 1;
    bool is_digest = strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64;
    return is_digest ? hex : NULL;
}

static void store(struct stream *stream, struct archive_entry *entry, int scratch,
                  const char *name) {
    if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFREG)
        refuse(0, "a file of an OCI image layout is not a regular file");
    if (tree_remove(scratch, name) < 0)
        refuse(errno, "cannot store the file");
    int fd = openat(scratch, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        refuse(errno, "cannot store the file");
    if (archive_read_data_into_fd(stream_archive(stream), fd) != ARCHIVE_OK)
        refuse(0, "cannot store the file: %s", archive_error_string(stream_archive(stream)));
    close(fd);
}

void oci_store_layout(int input, int scratch, uint64_t bytes_max) {
    char path[PATH_MAX];
    struct extraction count = {.tree = scratch, .bytes_max = bytes_max};
    struct archive_entry *entry;
    struct stream *stream = stream_open(input, STREAM_ANY, extraction_plain_max(&count), true);
    while ((entry = stream_next(stream))) {
        extraction_count(&count, archive_entry_pathname(entry));
        extract_path(entry, path);
        const char *name = scratch_name(path);
        if (!name)
            continue;
        int64_t size = archive_entry_size(entry);
        if (size < 0 || (uint64_t)size > bytes_max - count.bytes)
            refuse(0, "the layout is longer than %" PRIu64 " bytes; raise --max-bytes if you trust "
                   "it", bytes_max);
        count.bytes += (uint64_t)size;
        store(stream, entry, scratch, name);
    }
    report_at(NULL);
    report_counters()->entries = 0; // from here on, those of the layers
    stream_close(stream, NULL);
}

int oci_blob_open(int scratch, const struct oci_blob *blob) {
    struct stat status;
    int fd = openat(scratch, blob->hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        refuse(errno, "the layout lacks the blob sha256:%s", blob->hex);
    if ((uint64_t)status.st_size != blob->size)
        refuse(0, "the blob sha256:%s has %jd bytes where its descriptor says %" PRIu64, blob->hex,
               (intmax_t)status.st_size, blob->size);
    return fd;
}
