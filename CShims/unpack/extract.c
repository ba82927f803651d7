#define _GNU_SOURCE
#include "extract.h"

#include "report.h"
#include "tree.h"
#include "xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { HEADER_ALLOWANCE = 4096, MODE_BITS = 07777 };

uint64_t extraction_plain_max(const struct extraction *extraction) {
    return extraction->bytes_max + (uint64_t)EXTRACT_ENTRIES_MAX * HEADER_ALLOWANCE;
}

void extraction_count(struct extraction *extraction, const char *name) {
    report_at(name);
    if (++extraction->entries > EXTRACT_ENTRIES_MAX)
        refuse(0, "the archive has more than %d entries", EXTRACT_ENTRIES_MAX);
    report_counters()->entries = extraction->entries;
    report_progress();
}

void extract_path(struct archive_entry *entry, char path[]) {
    const char *name = archive_entry_pathname(entry);
    if (!name || !*name)
        refuse(0, "an entry has no name");
    const char *reason = tree_normalize(name, path);
    if (reason)
        refuse(0, "refused: %s", reason);
}

static uid_t checked_id(int64_t id, const char *kind) {
    if (id < 0 || id > EXTRACT_ID_MAX)
        refuse(0, "%s id %" PRId64 " is outside 0 to %d, the ids of a slice", kind, id,
               EXTRACT_ID_MAX);
    return (uid_t)id;
}

static uid_t owner_of(struct archive_entry *entry) {
    return checked_id(archive_entry_uid(entry), "user");
}

static gid_t group_of(struct archive_entry *entry) {
    return checked_id(archive_entry_gid(entry), "group");
}

static void entry_times(struct archive_entry *entry, struct timespec times[2]) {
    times[1].tv_sec = archive_entry_mtime(entry);
    times[1].tv_nsec = archive_entry_mtime_nsec(entry);
    times[0] = times[1];
}

static void set_xattrs(int fd, struct archive_entry *entry) {
    const char *name;
    const void *value;
    size_t size;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
        if (xattr_kept(name) && fsetxattr(fd, name, value, size, 0) < 0)
            refuse(errno, "cannot set the extended attribute %s", name);
}

// chown(2) clears setuid and setgid, so the mode comes after the owner; the times come last.
static void set_metadata(int fd, struct archive_entry *entry) {
    struct timespec times[2];
    entry_times(entry, times);
    if (fchown(fd, owner_of(entry), group_of(entry)) < 0)
        refuse(errno, "cannot set the owner");
    if (fchmod(fd, archive_entry_mode(entry) & MODE_BITS) < 0)
        refuse(errno, "cannot set the mode");
    set_xattrs(fd, entry);
    if (futimens(fd, times) < 0)
        refuse(errno, "cannot set the time");
}

// The same for what cannot be opened: a symbolic link, which has no mode, and a fifo, whose
// mode mknod gave it.
static void set_metadata_at(const struct tree_place *place, struct archive_entry *entry) {
    struct timespec times[2];
    entry_times(entry, times);
    if (fchownat(place->parent, place->name, owner_of(entry), group_of(entry),
                 AT_SYMLINK_NOFOLLOW) < 0)
        refuse(errno, "cannot set the owner");
    if (utimensat(place->parent, place->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        refuse(errno, "cannot set the time");
}

static void make_room(const struct tree_place *place) {
    if (tree_remove(place->parent, place->name) < 0)
        refuse(errno, "cannot replace what an earlier entry put there");
}

static void write_block(int fd, const uint8_t *bytes, size_t length, int64_t offset) {
    while (length > 0) {
        ssize_t n = pwrite(fd, bytes, length, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            refuse(errno, "cannot write the file");
        bytes += n;
        length -= (size_t)n;
        offset += n;
    }
}

// The whole size counts, holes included: verifying the image reads them too.
static void count_size(struct extraction *extraction, int64_t size) {
    if (size < 0 || (uint64_t)size > extraction->bytes_max - extraction->bytes)
        refuse(0, "the content is longer than %" PRIu64 " bytes; raise --max-bytes if you trust it",
               extraction->bytes_max);
    extraction->bytes += (uint64_t)size;
}

static void write_content(struct archive *archive, int fd, int64_t size) {
    const void *bytes;
    size_t length;
    la_int64_t offset;
    int status;
    while ((status = archive_read_data_block(archive, &bytes, &length, &offset)) == ARCHIVE_OK) {
        if (offset < 0 || offset > size || length > (uint64_t)(size - offset))
            refuse(0, "the file has data beyond its size");
        write_block(fd, bytes, length, offset);
        report_counters()->written_bytes += length;
        report_progress();
    }
    if (status != ARCHIVE_EOF)
        refuse(0, "the archive is damaged or cut off: %s", archive_error_string(archive));
    if (ftruncate(fd, size) < 0) // a hole at the end
        refuse(errno, "cannot set the size");
}

static void make_file(struct extraction *extraction, struct stream *stream,
                      struct archive_entry *entry, const struct tree_place *place) {
    int64_t size = archive_entry_size(entry);
    count_size(extraction, size);
    make_room(place);
    int fd = openat(place->parent, place->name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        refuse(errno, "cannot create the file");
    write_content(stream_archive(stream), fd, size);
    set_metadata(fd, entry);
    close(fd);
}

static void make_directory(struct archive_entry *entry, const struct tree_place *place) {
    struct stat status;
    bool exists = fstatat(place->parent, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists || !S_ISDIR(status.st_mode)) {
        make_room(place);
        if (mkdirat(place->parent, place->name, 0700) < 0)
            refuse(errno, "cannot make the directory");
    }
    int fd = openat(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        refuse(errno, "cannot open the directory");
    set_metadata(fd, entry);
    close(fd);
}

static void make_symlink(struct archive_entry *entry, const struct tree_place *place) {
    const char *target = archive_entry_symlink(entry);
    make_room(place);
    if (!target || symlinkat(target, place->parent, place->name) < 0)
        refuse(target ? errno : EINVAL, "cannot make the symbolic link");
    set_metadata_at(place, entry);
}

static void make_fifo(struct archive_entry *entry, const struct tree_place *place) {
    make_room(place);
    if (mknodat(place->parent, place->name, S_IFIFO | (archive_entry_mode(entry) & 0777), 0) < 0)
        refuse(errno, "cannot make the fifo");
    set_metadata_at(place, entry);
}

static void make_hard_link(struct extraction *extraction, struct archive_entry *entry,
                           const struct tree_place *place) {
    char path[PATH_MAX];
    struct stat target_status, status;
    const char *reason = tree_normalize(archive_entry_hardlink(entry), path);
    if (reason || !*path)
        refuse(0, "refused: the hard link's target: %s", reason ? reason : "it is the tree itself");
    // The parent must be there: a link never makes directories for its target.
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash)
        *slash = '\0';
    int parent = tree_open(extraction->tree, slash ? path : "", O_PATH | O_DIRECTORY,
                           TREE_LINKS_INSIDE);
    if (parent < 0 || fstatat(parent, name, &target_status, AT_SYMLINK_NOFOLLOW) < 0)
        refuse(errno, "the hard link's target %s is not in the archive before it",
               archive_entry_hardlink(entry));
    if (S_ISDIR(target_status.st_mode))
        refuse(0, "the hard link's target %s is a directory", archive_entry_hardlink(entry));
    // A name linked to itself, or again: nothing to do, and making room would remove the file.
    bool same = fstatat(place->parent, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                status.st_dev == target_status.st_dev && status.st_ino == target_status.st_ino;
    if (!same) {
        make_room(place);
        if (linkat(parent, name, place->parent, place->name, 0) < 0)
            refuse(errno, "cannot make the hard link to %s", archive_entry_hardlink(entry));
    }
    close(parent);
}

static void make_object(struct extraction *extraction, struct stream *stream,
                        struct archive_entry *entry, const struct tree_place *place) {
    if (archive_entry_hardlink(entry)) {
        make_hard_link(extraction, entry, place);
        return;
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG: make_file(extraction, stream, entry, place); break;
    case AE_IFDIR: make_directory(entry, place); break;
    case AE_IFLNK: make_symlink(entry, place); break;
    case AE_IFIFO: make_fifo(entry, place); break;
    default: refuse(0, "the entry is of an unknown type");
    }
}

// The entry of the tree itself ("./") says its owner, mode and time.
static void set_root(struct extraction *extraction, struct archive_entry *entry) {
    if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFDIR)
        refuse(0, "refused: the entry stands for the tree itself and is no directory");
    int fd = tree_open(extraction->tree, "", O_RDONLY | O_DIRECTORY, TREE_LINKS_REFUSED);
    if (fd < 0)
        refuse(errno, "cannot open the tree");
    set_metadata(fd, entry);
    close(fd);
}

void extract_entry(struct extraction *extraction, struct stream *stream,
                   struct archive_entry *entry, const char *path) {
    mode_t type = archive_entry_hardlink(entry) ? 0 : archive_entry_filetype(entry);
    if (type == AE_IFCHR || type == AE_IFBLK) {
        extraction->skipped_devices++;
        return;
    }
    if (type == AE_IFSOCK)
        return;
    owner_of(entry); // before anything is made
    group_of(entry);
    if (!*path) {
        set_root(extraction, entry);
        return;
    }
    struct tree_place place = tree_place_open(extraction->tree, path);
    make_object(extraction, stream, entry, &place);
    tree_place_close(&place);
}
