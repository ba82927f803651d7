// What bounds the slices' storage: project quotas, and a file system in a file, on a loop device.
//
// Every function returns -1 with errno set on failure. Descriptors handed out are the caller's to
// close and close-on-exec; descriptors passed in stay the caller's.
#ifndef CSTORAGE_H
#define CSTORAGE_H

#include <stdint.h>

// ---- project quotas (quotactl(2), ioctl_xfs_fsgetxattr(2)): ext4, xfs, f2fs

// A project's bounds, 0 where it has none, and its use.
struct storage_quota {
    uint64_t max_bytes, max_files, used_bytes, used_files;
};

// Whether the file system of an open directory holds what its project quotas say; 0 too where it
// knows none.
int storage_quotas_enforced(int directory);
// A project that nothing was ever counted for has neither bounds nor use.
int storage_get_quota(int directory, uint32_t project, struct storage_quota *quota);
// `max_bytes` counts in whole KiB; 0 takes the bound away.
int storage_set_quota(int directory, uint32_t project, uint64_t max_bytes, uint64_t max_files);
// The first project from `*project` on that has bounds or use. ENOENT: none.
int storage_next_quota(int directory, uint32_t *project, struct storage_quota *quota);

// Gives an open directory to a project, and with it what is made in it from now on.
int storage_set_project(int directory, uint32_t project);
// Its project; 0 where none was given, or where what is made in it does not get it.
int storage_get_project(int directory, uint32_t *project);

// ---- a file system in a file

// Reserves the first `bytes` of an open file on its disk. EOPNOTSUPP, where posix_fallocate(3) would
// write zeros instead.
int storage_reserve(int file, uint64_t bytes);
// Puts an open file on a free loop device (loop(4)) that lasts as long as it is in use: open, or
// mounted. Past the page cache where the file's own file system can do that, so that what slices
// write is cached once. Blocks of 4 KiB. `path` gets the device's.
int storage_attach(int file, char *path, int capacity);
// Has a loop device take note of the size of its file. `device`: an open one.
int storage_update_size(int device);
// Mounts an ext4 device with project quotas: nosuid, nodev; `discard`: gives the file's blocks back
// when what lay in them is deleted.
int storage_mount(const char *device, const char *target, int discard);
// Grows the mounted ext4 of an open directory to `bytes`; that it has that size already is fine.
int storage_grow(int directory, uint64_t bytes);

#endif
