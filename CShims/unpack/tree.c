#define _GNU_SOURCE
#include "tree.h"

#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// openat2(2): a scoped walk that meets ".." while anything on the host is renamed or mounted
// fails with EAGAIN, and is to be tried again.
enum { RESOLVE_ATTEMPTS = 1000 };

const char *tree_normalize(const char *name, char path[PATH_MAX]) {
    size_t length = 0;
    if (*name == '/')
        return "the name is absolute";
    while (*name) {
        size_t span = strcspn(name, "/");
        if (span == 2 && name[0] == '.' && name[1] == '.')
            return "the name has a \"..\" component";
        if (span > NAME_MAX)
            return "a component of the name is longer than 255 bytes";
        if (span > 0 && !(span == 1 && *name == '.')) {
            if (length + 1 + span >= PATH_MAX)
                return "the name is longer than 4095 bytes";
            if (length > 0)
                path[length++] = '/';
            memcpy(path + length, name, span);
            length += span;
        }
        name += span + (name[span] == '/');
    }
    path[length] = '\0';
    return NULL;
}

int tree_open(int tree, const char *path, int flags, enum tree_links links) {
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC)};
    if (links == TREE_LINKS_INSIDE)
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    else {
        how.flags |= O_NOFOLLOW;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    }
    long fd = -1;
    for (int attempt = 0; attempt < RESOLVE_ATTEMPTS; attempt++) {
        fd = syscall(SYS_openat2, tree, *path ? path : ".", &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return (int)fd;
}

// Opens the directory `path`, which is missing, after making each missing component of it.
static int make_parents(int tree, const char *path) {
    char prefix[PATH_MAX];
    int parent = tree_open(tree, "", O_PATH | O_DIRECTORY, TREE_LINKS_REFUSED);
    for (size_t start = 0, end; parent >= 0; start = end + 1) {
        end = start + strcspn(path + start, "/");
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        int next = tree_open(tree, prefix, O_PATH | O_DIRECTORY, TREE_LINKS_INSIDE);
        if (next < 0 && errno == ENOENT) {
            if (mkdirat(parent, prefix + start, 0755) < 0)
                refuse(errno == EEXIST ? 0 : errno, errno == EEXIST
                           ? "the parent directory %s is a symbolic link to nothing"
                           : "cannot make the parent directory %s", prefix);
            next = tree_open(tree, prefix, O_PATH | O_DIRECTORY, TREE_LINKS_INSIDE);
        }
        if (next < 0)
            refuse(errno, "cannot open the parent directory %s", prefix);
        close(parent);
        parent = next;
        if (path[end] == '\0')
            break;
    }
    return parent;
}

struct tree_place tree_place_open(int tree, const char *path) {
    struct tree_place place = {.parent = -1, .name = path};
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX] = "";
    if (slash) {
        memcpy(parent, path, (size_t)(slash - path));
        parent[slash - path] = '\0';
        place.name = slash + 1;
    }
    place.parent = tree_open(tree, parent, O_RDONLY | O_DIRECTORY, TREE_LINKS_INSIDE);
    if (place.parent < 0 && errno == ENOENT) {
        int made = make_parents(tree, parent);
        close(made);
        place.parent = tree_open(tree, parent, O_RDONLY | O_DIRECTORY, TREE_LINKS_INSIDE);
    }
    struct stat status;
    if (place.parent < 0 || fstat(place.parent, &status) < 0)
        refuse(errno, "cannot open the parent directory %s", parent);
    place.times[0] = status.st_atim;
    place.times[1] = status.st_mtim;
    return place;
}

void tree_place_close(struct tree_place *place) {
    if (futimens(place->parent, place->times) < 0)
        refuse(errno, "cannot set the times of the parent directory");
    close(place->parent);
    place->parent = -1;
}

int tree_remove(int parent, const char *name) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    // unlink(2): Linux says EISDIR for a directory, POSIX EPERM.
    if (errno != EISDIR && errno != EPERM)
        return -1;
    int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return -1;
    int result = tree_clear(directory);
    int error = errno;
    close(directory);
    errno = error;
    return result < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

int tree_clear(int directory) {
    // A descriptor of its own: fdopendir takes it over, and the offset starts at the beginning.
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        errno = error;
        return -1;
    }
    int result = 0;
    struct dirent *entry;
    // readdir(3): the end and a failure differ by errno only.
    while (result == 0 && (errno = 0, entry = readdir(listing)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = tree_remove(directory, entry->d_name);
    int error = errno;
    closedir(listing);
    errno = error;
    return error != 0 && !entry ? -1 : result;
}
