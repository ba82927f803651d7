#define _GNU_SOURCE
#include "digest.h"

#include "extract.h"
#include "report.h"
#include "tree.h"
#include "xattrs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

// Also holds an attribute's value, or a list of names: XATTR_SIZE_MAX and XATTR_LIST_MAX, 64 KiB.
enum { READ_SIZE = 128 * 1024 };

struct walk {
    int tree;
    bool counted;
    struct sha256_ctx listing;
    struct tree_digest result;
    char path[PATH_MAX]; // of the current object; "" is the tree itself
    size_t length;
    char target[PATH_MAX]; // of the current symbolic link
    uint8_t buffer[READ_SIZE];
};

struct names {
    char **items;
    size_t count;
    size_t capacity;
};

static void *allocated(void *memory) {
    if (!memory)
        refuse(ENOMEM, "cannot read the tree");
    return memory;
}

static int open_current(struct walk *walk, int flags) {
    int fd = tree_open(walk->tree, walk->path, flags, TREE_LINKS_REFUSED);
    if (fd < 0)
        refuse(errno, "cannot read the tree");
    return fd;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b); // bytes as unsigned char, C11 7.24.4
}

static void add_name(struct names *names, const char *name) {
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? names->capacity * 2 : 16;
        names->items = allocated(reallocarray(names->items, names->capacity, sizeof(char *)));
    }
    names->items[names->count++] = allocated(strdup(name));
}

static struct names sorted_names(struct walk *walk) {
    struct names names = {0};
    DIR *listing = allocated(fdopendir(open_current(walk, O_RDONLY | O_DIRECTORY)));
    struct dirent *entry;
    while ((errno = 0, entry = readdir(listing)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_name(&names, entry->d_name);
    if (errno)
        refuse(errno, "cannot list the directory");
    closedir(listing);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof *names.items, compare_names);
    return names;
}

static void free_names(struct names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static void hash_text(struct walk *walk, const char *text) {
    sha256_update(&walk->listing, strlen(text) + 1, (const uint8_t *)text);
}

static void content_hex(struct walk *walk, int fd, char hex[STREAM_DIGEST_HEX]) {
    struct sha256_ctx content;
    uint8_t digest[SHA256_DIGEST_SIZE];
    ssize_t length;
    sha256_init(&content);
    while ((length = read(fd, walk->buffer, sizeof walk->buffer)) != 0) {
        if (length < 0)
            refuse(errno, "cannot read the file");
        sha256_update(&content, (size_t)length, walk->buffer);
        walk->result.bytes += (uint64_t)length;
        if (walk->counted)
            report_counters()->read_bytes += (uint64_t)length;
        report_progress();
    }
    sha256_digest(&content, sizeof digest, digest);
    stream_hex(digest, hex);
}

static void hash_xattr(struct walk *walk, int fd, const char *name) {
    char size[24];
    ssize_t length = fgetxattr(fd, name, walk->buffer, sizeof walk->buffer);
    if (length < 0)
        refuse(errno, "cannot read the extended attribute %s", name);
    hash_text(walk, name);
    snprintf(size, sizeof size, "%zd", length);
    hash_text(walk, size);
    sha256_update(&walk->listing, (size_t)length, walk->buffer);
}

static struct names kept_xattrs(struct walk *walk, int fd) {
    struct names names = {0};
    char *list = (char *)walk->buffer;
    ssize_t length = flistxattr(fd, list, sizeof walk->buffer);
    if (length < 0 && errno != ENOTSUP)
        refuse(errno, "cannot list the extended attributes");
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1)
        if (xattr_kept(list + at))
            add_name(&names, list + at);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof *names.items, compare_names);
    return names;
}

// `fd` is -1 for what has no attributes that are kept.
static void hash_xattrs(struct walk *walk, int fd) {
    char count[24];
    struct names names = {0};
    if (fd >= 0)
        names = kept_xattrs(walk, fd);
    snprintf(count, sizeof count, "%zu", names.count);
    hash_text(walk, count);
    for (size_t i = 0; i < names.count; i++)
        hash_xattr(walk, fd, names.items[i]);
    free_names(&names);
}

static char type_letter(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFDIR: return 'd';
    case S_IFREG: return 'f';
    case S_IFLNK: return 'l';
    case S_IFIFO: return 'p';
    default: refuse(0, "the tree holds a device or a socket, which an image may not");
    }
}

static void read_target(struct walk *walk, int fd) {
    ssize_t length = readlinkat(fd, "", walk->target, sizeof walk->target - 1);
    if (length < 0)
        refuse(errno, "cannot read the symbolic link");
    walk->target[length] = '\0';
}

static void hash_record(struct walk *walk, const struct stat *status, int fd) {
    char record[192];
    char content[STREAM_DIGEST_HEX] = "-";
    bool is_file = S_ISREG(status->st_mode);
    if (status->st_uid > EXTRACT_ID_MAX || status->st_gid > EXTRACT_ID_MAX)
        refuse(0, "the owner %u:%u is outside 0 to %d, the ids of a slice", status->st_uid,
               status->st_gid, EXTRACT_ID_MAX);
    if (is_file)
        content_hex(walk, fd, content);
    snprintf(record, sizeof record, "%c %04o %u %u %" PRIu64 " %s", type_letter(status->st_mode),
             (unsigned)(S_ISLNK(status->st_mode) ? 0777 : status->st_mode & 07777), status->st_uid,
             status->st_gid, is_file ? (uint64_t)status->st_size : 0, content);
    hash_text(walk, record);
    hash_text(walk, walk->length ? walk->path : ".");
    hash_text(walk, walk->target);
    hash_xattrs(walk, fd);
}

// Adds the record of the current object. Returns whether it is a directory.
static bool hash_object(struct walk *walk) {
    struct stat status;
    int handle = open_current(walk, O_PATH);
    if (fstat(handle, &status) < 0)
        refuse(errno, "cannot read the tree");
    int fd = -1; // a fifo is not opened: that would wait for a writer
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        fd = open_current(walk, O_RDONLY);
    walk->target[0] = '\0';
    if (S_ISLNK(status.st_mode))
        read_target(walk, handle);
    hash_record(walk, &status, fd);
    if (fd >= 0)
        close(fd);
    close(handle);
    return S_ISDIR(status.st_mode);
}

// Recursion is bounded: a path has at most PATH_MAX / 2 components, and a frame is small.
static void walk_directory(struct walk *walk) {
    size_t length = walk->length;
    struct names names = sorted_names(walk);
    for (size_t i = 0; i < names.count; i++) {
        int added = snprintf(walk->path + length, PATH_MAX - length, "%s%s", length ? "/" : "",
                             names.items[i]);
        if ((size_t)added >= PATH_MAX - length)
            refuse(0, "a path of the tree is longer than 4095 bytes");
        walk->length = length + (size_t)added;
        walk->result.entries++;
        if (hash_object(walk))
            walk_directory(walk);
        walk->path[walk->length = length] = '\0';
    }
    free_names(&names);
}

struct tree_digest digest_tree(int tree, bool counted) {
    static const char header[] = "slice-tree 1\n";
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct walk *walk = allocated(calloc(1, sizeof *walk));
    walk->tree = tree;
    walk->counted = counted;
    sha256_init(&walk->listing);
    sha256_update(&walk->listing, sizeof header - 1, (const uint8_t *)header);
    report_at(walk->path);
    if (!hash_object(walk))
        refuse(0, "the tree is no directory");
    walk_directory(walk);
    report_at(NULL);
    sha256_digest(&walk->listing, sizeof digest, digest);
    struct tree_digest result = walk->result;
    stream_hex(digest, result.hex);
    free(walk);
    return result;
}
