// tree.h: access to the tree that is being made, by descriptor only.
//
// Every name an archive gives is hostile. A name is first brought into a plain relative form
// (tree_normalize); its parent directory is then opened in the tree with openat2(2) and
// RESOLVE_IN_ROOT, so that a symbolic link on the way (`bin -> usr/bin`, also an absolute one)
// leads to where it would lead inside the slice and never out of the tree; and the last
// component is only ever used with calls that do not follow it. Path-based calls on the whole
// name are not used.
#ifndef SLICE_UNPACK_TREE_H
#define SLICE_UNPACK_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

// How a path below the tree is resolved.
enum tree_links {
    TREE_LINKS_INSIDE, // symbolic links are followed, with the tree as their root
    TREE_LINKS_REFUSED // ELOOP when any component but the last is one; the last isn't followed
};

// Writes `name` without leading "./", double and trailing slashes, and "." components to
// `path`; the tree itself becomes "". Returns NULL, or why the name is refused (absolute, a
// ".." component, too long): a static phrase.
const char *tree_normalize(const char *name, char path[PATH_MAX]);

// openat2(2) of a normalized path below the directory `tree`; "" opens the tree itself.
// Close-on-exec. Returns a descriptor that the caller closes, or -1 with errno.
int tree_open(int tree, const char *path, int flags, enum tree_links links);

// Where an entry goes: the directory that holds it, and its name there.
struct tree_place {
    int parent;
    const char *name;         // points into the path the place was opened with
    struct timespec times[2]; // of the parent: access, modification
};

// Opens the place of a normalized, non-empty path. Missing parents are made, mode 0755 and
// owned by root. Refuses (report.h) when a parent is no directory or a dangling link.
struct tree_place tree_place_open(int tree, const char *path);

// Gives the parent back the times it had, so that what an archive says of a directory's time
// outlives the directory's being filled, and closes it.
void tree_place_close(struct tree_place *place);

// Removes `name` from the directory `parent`, with all below it; never through a link. Absent
// is success. Returns 0, or -1 with errno.
int tree_remove(int parent, const char *name);

// Removes all that the directory `directory` holds. Returns 0, or -1 with errno.
int tree_clear(int directory);

#endif
