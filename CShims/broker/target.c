#define _GNU_SOURCE
#include "target.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "process.h"

static int still_there(const struct target *target)
{
    if (ioctl(target->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &target->id) < 0) {
        errno = ENOENT;
        return -1;
    }
    return 0;
}

int target_read(const struct target *target, uint64_t address, void *to, size_t size)
{
    const struct iovec ours = {.iov_base = to, .iov_len = size};
    const struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    ssize_t copied = process_vm_readv(target->thread, &ours, 1, &theirs, 1, 0);
    int error = errno;
    if (still_there(target) < 0)
        return -1;
    if (copied == (ssize_t)size)
        return 0;
    errno = copied >= 0 || error == EFAULT ? EFAULT : error;
    return -1;
}

static int open_process(const struct target *target)
{
    int process = process_open(target->thread);
    if (process >= 0 || errno != EINVAL)
        return process;
    // A thread that is not its process's first, and a kernel that opens only whole processes. One
    // that does not share its process's descriptors then gets those of the first: still the slice's.
    long leader = process_status(target->process_files, target->thread, "Tgid:");
    return leader <= 0 ? -1 : process_open((pid_t)leader);
}

int target_descriptor(const struct target *target, int number)
{
    int process = open_process(target);
    if (process < 0) {
        int error = errno;
        if (still_there(target) == 0)
            errno = error == ESRCH ? EPERM : error;
        return -1;
    }
    int descriptor = process_descriptor(process, number);
    int error = errno;
    close(process);
    if (still_there(target) < 0) {
        error = errno;
        if (descriptor >= 0)
            close(descriptor);
        descriptor = -1;
    }
    errno = error;
    return descriptor;
}
