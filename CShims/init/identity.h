// Who the service runs as: the image's /etc/passwd and /etc/group, and the change to that user.
//
// Both files belong to the slice and may hold anything: they are read by hand, with bounds, and
// only regular files are read at all. Nothing in them can name an id outside 0-65535, the ids that
// a slice has.
#ifndef SLICE_INIT_IDENTITY_H
#define SLICE_INIT_IDENTITY_H

#include <sys/types.h>

#include "slice_report.h"

#define IDENTITY_GROUPS_MAX 256
#define IDENTITY_TEXT_MAX 4096

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[IDENTITY_GROUPS_MAX]; // supplementary; the first is `gid`, as initgroups(3) does
    unsigned group_count;
    char name[IDENTITY_TEXT_MAX];  // "" where the uid is not in /etc/passwd
    char home[IDENTITY_TEXT_MAX];  // absolute; "/" where there is none
    char shell[IDENTITY_TEXT_MAX]; // absolute; "/bin/sh" where there is none
};

// Finds the user that `spec` names: NAME, UID, NAME:GROUP, UID:GID or a mix of them; NULL is uid 0.
// Digits are always an id. A uid that the image lacks is allowed and has group 0; a name is not.
// Where a group is given it is the primary one, and the user's memberships stay.
// 0, or -1 with `report` filled: INIT_USER, INIT_GROUP with ENOENT (no such name), EINVAL (not a
// name and not an id), E2BIG (more groups than IDENTITY_GROUPS_MAX) or what reading gave.
int identity_find(const char *spec, struct identity *identity, struct slice_report *report);

// Becomes that user for good. Inheritable and ambient capabilities are cleared always, the others
// unless uid is 0. 0, or -1 with `report` filled (INIT_IDENTITY); the process must then end.
int identity_assume(const struct identity *identity, struct slice_report *report);

#endif
