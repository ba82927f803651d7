// extract.h: one archive entry becomes one object of the tree.
#ifndef SLICE_UNPACK_EXTRACT_H
#define SLICE_UNPACK_EXTRACT_H

#include "stream.h"

#include <stdint.h>

// The longest archive, and the greatest id: a slice owns 65,536 of them.
enum { EXTRACT_ENTRIES_MAX = 2000000, EXTRACT_ID_MAX = 65535 };

struct extraction {
    int tree;                 // the tree's directory
    uint64_t bytes_max;       // of content, holes of sparse files included, over all archives
    uint64_t entries;         // so far
    uint64_t bytes;           // so far, holes included
    uint64_t skipped_devices; // character and block devices, not made
};

// How many uncompressed bytes an archive may have: its content, and a generous 4 KiB of headers
// and padding for each entry.
uint64_t extraction_plain_max(const struct extraction *extraction);

// Counts one more entry of an archive and refuses (report.h) the one too many. Also names the
// entry in reports; `name` is borrowed until the next call.
void extraction_count(struct extraction *extraction, const char *name);

// Makes the current entry of `stream`. `path` is its name from tree_normalize.
//
// - What is there already is replaced, never written through: a file, a link and also a
//   directory with all below it make way for anything else. A directory stays, with its
//   content, under a directory entry and takes its mode, owner and time. A symbolic link to a
//   directory is replaced by a directory entry (as OCI says for layers, and as GNU tar does
//   without --keep-directory-symlink).
// - A hard link's target is a name in the tree, which must exist and be no directory.
// - Devices are counted and not made (a slice gets its own /dev), sockets are left out.
// - Of extended attributes, `user.` ones of files and directories are kept, without
//   `user.overlay.`, which overlayfs would obey; file capabilities and ACLs are dropped.
// - Modes are kept with setuid and setgid: a slice's processes have no_new_privs.
//
// Refuses with report.h what cannot be made safely or at all.
void extract_entry(struct extraction *extraction, struct stream *stream,
                   struct archive_entry *entry, const char *path);

// The name of an entry, normalized as by tree_normalize; refuses the hostile ones.
void extract_path(struct archive_entry *entry, char path[]);

#endif
