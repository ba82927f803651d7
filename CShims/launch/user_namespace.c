// A user namespace with its id maps, held by a descriptor.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clone.h"
#include "include/claunch.h"
#include "raw.h"

// The namespaces that a user namespace counts (namespaces(7), /proc/sys/user).
static const char *const counted[] = {
    "sys/user/max_user_namespaces",   "sys/user/max_mnt_namespaces",
    "sys/user/max_pid_namespaces",    "sys/user/max_net_namespaces",
    "sys/user/max_uts_namespaces",    "sys/user/max_ipc_namespaces",
    "sys/user/max_cgroup_namespaces", "sys/user/max_time_namespaces",
};

struct holder {
    int procfs;
    int ready; // write end: one int, 0 or errno
    int hold;  // read end: the child lives until it is closed
};

// The child: forbids further namespaces in its own, then waits to be killed.
static void holder_main(void *pointer) {
    const struct holder *holder = pointer;
    // Should the parent be killed meanwhile, nothing may stay behind.
    int error = (int)-raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (unsigned i = 0; i < sizeof counted / sizeof *counted && !error; i++) {
        long file = raw(SYS_openat, holder->procfs, counted[i], O_WRONLY | O_CLOEXEC);
        if (file == -ENOENT)
            continue; // this kernel has no namespaces of that kind
        long written = file < 0 ? file : raw(SYS_write, file, "0", 1);
        if (written < 0)
            error = (int)-written;
        if (file >= 0)
            raw(SYS_close, file);
    }
    raw(SYS_write, holder->ready, &error, sizeof error);
    char nothing;
    raw(SYS_read, holder->hold, &nothing, 1);
    for (;;)
        raw(SYS_exit_group, 0);
}

static int write_map(pid_t pid, const char *name, uint32_t first, uint32_t count) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int size = snprintf(text, sizeof text, "0 %u %u\n", first, count);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int error = write(file, text, (size_t)size) == size ? 0 : errno;
    close(file);
    return error;
}

// Everything that needs the holder alive. Returns 0 or errno.
static int adopt(pid_t pid, int ready, uint32_t first, uint32_t count, int *descriptor,
                 const char **step) {
    int error = 0;
    *step = "waiting for the holder of the user namespace";
    ssize_t got = read(ready, &error, sizeof error);
    if (got != (ssize_t)sizeof error)
        return got < 0 ? errno : EPIPE;
    *step = "write(/proc/sys/user/max_*_namespaces)";
    if (error)
        return error;
    *step = "write(uid_map)";
    if ((error = write_map(pid, "uid_map", first, count)))
        return error;
    *step = "write(gid_map)";
    if ((error = write_map(pid, "gid_map", first, count)))
        return error;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    *step = "open(/proc/PID/ns/user)";
    *descriptor = open(path, O_RDONLY | O_CLOEXEC);
    return *descriptor < 0 ? errno : 0;
}

static int with_pipes(int procfs, uint32_t first, uint32_t count, int ready[2], int hold[2],
                      int *descriptor, const char **step) {
    *step = "mmap(stack)";
    void *stack = clone_stack_map();
    if (!stack)
        return errno;
    struct holder holder = {.procfs = procfs, .ready = ready[1], .hold = hold[0]};
    struct clone_args arguments = {
        .flags = CLONE_VM | CLONE_CLEAR_SIGHAND | CLONE_NEWUSER,
        .exit_signal = SIGCHLD,
    };
    *step = "clone3(CLONE_NEWUSER)";
    long pid = clone_on_stack(&arguments, stack, holder_main, &holder);
    int error;
    if (pid < 0) {
        error = (int)-pid;
    } else {
        error = adopt((pid_t)pid, ready[0], first, count, descriptor, step);
        // Our own child, not yet waited for: its pid cannot have been given to another.
        kill((pid_t)pid, SIGKILL);
        while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    clone_stack_unmap(stack);
    return error;
}

int launch_user_namespace(
    int procfs, uint32_t first, uint32_t count, int *descriptor, const char **step) {
    int ready[2], hold[2];
    *descriptor = -1;
    *step = "pipe2";
    if (pipe2(ready, O_CLOEXEC) < 0)
        return errno;
    if (pipe2(hold, O_CLOEXEC) < 0) {
        int error = errno;
        close(ready[0]);
        close(ready[1]);
        return error;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = with_pipes(procfs, first, count, ready, hold, descriptor, step);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ready[0]);
    close(ready[1]);
    close(hold[0]);
    close(hold[1]);
    return error;
}
