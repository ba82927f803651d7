#define _GNU_SOURCE
#include "cstorage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define BLOCK 4096u
#define EXT4_RESIZE _IOW('f', 16, uint64_t) // EXT4_IOC_RESIZE_FS, which no header exports

static int close_failed(int fd) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int storage_reserve(int file, uint64_t bytes) { return fallocate(file, 0, 0, (off_t)bytes); }

int storage_attach(int file, char *path, int capacity) {
    struct loop_config config = {
        .fd = (uint32_t)file,
        // Direct I/O needs blocks that are not smaller than the disk's sectors. Where it cannot be
        // had the kernel goes on without.
        .block_size = BLOCK,
        .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
    };
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -1;
    // Another program may take the device that was free between the two calls: EBUSY.
    for (int attempt = 0; attempt < 16; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            break;
        snprintf(path, (size_t)capacity, "/dev/loop%d", number);
        int device = open(path, O_RDWR | O_CLOEXEC);
        if (device < 0)
            break;
        if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
            close(control);
            return device;
        }
        close_failed(device);
        if (errno != EBUSY)
            break;
    }
    return close_failed(control);
}

int storage_update_size(int device) { return ioctl(device, LOOP_SET_CAPACITY, 0); }

int storage_mount(const char *device, const char *target, int discard) {
    // noinit_itable: a thread that writes zeros to all inode tables would fill the sparse file.
    return mount(device, target, "ext4", MS_NOSUID | MS_NODEV,
                 discard ? "prjquota,noinit_itable,discard" : "prjquota,noinit_itable");
}

int storage_grow(int directory, uint64_t bytes) {
    uint64_t blocks = bytes / BLOCK;
    return ioctl(directory, EXT4_RESIZE, &blocks);
}
