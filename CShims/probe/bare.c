// The control: a process with namespaces of its own, which belong to the host's root as it does, and no
// other defence. What is attacked there is these namespaces, and files in memory.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "slice-probe: bare: %s: %s\n", what, strerror(errno));
    return 1;
}

// Something in the sets that are mostly empty: CAP_CHOWN.
static int inherit(void)
{
    struct { uint32_t version; int pid; } header = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    struct { uint32_t effective, permitted, inheritable; } sets[2];
    if (syscall(SYS_capget, &header, sets) < 0)
        return -1;
    sets[0].inheritable |= 1;
    if (syscall(SYS_capset, &header, sets) < 0)
        return -1;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0);
}

// PID 1 of the control: as open to attacks as a slice's is closed.
static int run_first(char **list)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount("proc", "/proc", "proc", 0, NULL) < 0)
        return fail("mount /proc");
    if (mount("tmpfs", "/tmp", "tmpfs", 0, "size=160m") < 0)
        return fail("mount /tmp");
    // Something for mount.unmount that nothing else needs.
    if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0)
        return fail("mount /proc/sys");
    // Not close-on-exec, for the probes that look for what is left open.
    int secret = open("/", O_RDONLY | O_DIRECTORY);
    if (secret >= 0 && secret < 9)
        dup2(secret, 9);
    pid_t child = fork();
    if (child < 0)
        return fail("fork");
    if (child == 0) {
        if (setsid() < 0)
            _exit(fail("setsid"));
        if (inherit() < 0)
            _exit(fail("inheritable and ambient capabilities"));
        _exit(run_list(list));
    }
    int status;
    for (;;) {
        pid_t ended = waitpid(-1, &status, 0);
        if (ended == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        if (ended < 0 && errno != EINTR)
            return fail("wait");
    }
}

int run_bare(char **list)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP) < 0)
        return fail("unshare");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail("make mounts private");
    // Joined by a mount of its own that is shared, as the host's are, for the probe of propagation.
    if (mount("none", "/", NULL, MS_SHARED, NULL) < 0)
        return fail("make / shared");
    pid_t first = fork();
    if (first < 0)
        return fail("fork");
    if (first == 0)
        _exit(run_first(list));
    int status;
    while (waitpid(first, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
