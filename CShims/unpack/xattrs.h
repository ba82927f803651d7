// xattrs.h: which extended attributes an image may have.
#ifndef SLICE_UNPACK_XATTRS_H
#define SLICE_UNPACK_XATTRS_H

#include <stdbool.h>
#include <string.h>

// user.* only (xattr(7)): `security.` holds file capabilities, `system.` ACLs, `trusted.` what
// overlayfs obeys; and `user.overlay.` is obeyed by an overlay mounted with `userxattr`.
static inline bool xattr_kept(const char *name) {
    return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0;
}

#endif
