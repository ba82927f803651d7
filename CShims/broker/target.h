// The thread whose system call is being answered.
//
// It waits in the kernel, but others share its memory and descriptors and may change both at any
// time, and it may be killed, and its number given away, between two of our calls. So: what is read
// is read once and then belongs to us; a call is carried out by us with what we read, never left to
// the kernel to read again (seccomp_unotify(2), "Caveats"); and whatever was got by the thread's
// number counts only if the notification is still valid after that.
#ifndef SLICE_BROKER_TARGET_H
#define SLICE_BROKER_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct target {
    int listener;
    uint64_t id; // of the notification
    pid_t thread;
    int process_files; // directory of a proc file system of the slice's PID namespace
};

// Copies `size` bytes at `address` of the target. 0, or -1 with errno: EFAULT as the kernel would
// say it; ENOENT: the target has gone, and its number may be another's.
int target_read(const struct target *target, uint64_t address, void *to, size_t size);

// A descriptor of ours for the target's descriptor `number`, close-on-exec. -1 with errno: EBADF as
// the kernel would say it; ENOENT as above; EPERM: a process that this one may not look into.
int target_descriptor(const struct target *target, int number);

#endif
