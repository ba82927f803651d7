// digest.h: what names an image: a SHA-256 of its tree, whatever archive it came from.
//
// The digest is taken over a listing of the tree. It begins with "slice-tree 1\n". A record
// follows for each object, the tree's own directory first, then depth first, the entries of a
// directory in the order of their names' bytes:
//
//   type      one byte: d directory, f file, l symbolic link, p fifo
//   " " mode  four octal digits; 0777 for a symbolic link
//   " " uid " " gid " " size     decimal; the size of a file's content, else 0
//   " " sha-256 of the content   64 lower-case hexadecimal digits; "-" for all but files
//   NUL path NUL                 relative to the tree, "." for the tree itself
//   target NUL                   of a symbolic link, else empty
//   number of kept attributes NUL, and for each, in the order of the names' bytes:
//     name NUL, length of the value in decimal NUL, value
//
// Times, hard-link identity and how sparse a file is are no part of it.
#ifndef SLICE_UNPACK_DIGEST_H
#define SLICE_UNPACK_DIGEST_H

#include "stream.h"

struct tree_digest {
    char hex[STREAM_DIGEST_HEX];
    uint64_t entries; // objects below the tree's directory
    uint64_t bytes;   // of file content; a file counts once for each of its names
};

// Reads the tree below the directory `tree`. `counted`: the bytes read count as progress.
// Refuses (report.h) devices, sockets, ids outside a slice's, and what cannot be read.
struct tree_digest digest_tree(int tree, bool counted);

#endif
