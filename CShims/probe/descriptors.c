// What a process was born with: open descriptors, working directory, environment (CVE-2024-21626).
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct answer only_streams(const char *argument)
{
    (void)argument;
    // /proc/self/fd could be hidden; numbers can't.
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            char path[64], link[256] = "", detail[400];
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            if (readlink(path, link, sizeof link - 1) < 0)
                snprintf(link, sizeof link, "unknown");
            snprintf(detail, sizeof detail, "descriptor %d is open: %s", fd, link);
            return answer_of(true, detail, "fcntl(F_GETFD) of 3 to 4095");
        }
    return answer_of(false, "", "fcntl(F_GETFD) of 3 to 4095");
}

// With `control`, after a directory was put in the place of standard input.
static struct answer streams(const char *argument)
{
    if (!strcmp(argument, "control") && dup2(open("/", O_RDONLY | O_CLOEXEC), 0) < 0)
        return failed("open(/)");
    for (int fd = 0; fd < 3; fd++) {
        struct stat info;
        if (fstat(fd, &info) < 0)
            continue;
        if (S_ISDIR(info.st_mode) || S_ISBLK(info.st_mode) || fcntl(fd, F_GETFL) & O_PATH) {
            char detail[64];
            snprintf(detail, sizeof detail, "descriptor %d is more than a stream", fd);
            return answer_of(true, detail, "fstat() of 0, 1 and 2");
        }
    }
    return answer_of(false, "", "fstat() of 0, 1 and 2");
}

// A directory outside the root has a path that the kernel starts with `(unreachable)`. With `control`, after the
// root was moved away from under it.
static struct answer directory(const char *argument)
{
    // The control's /tmp is its own.
    if (!strcmp(argument, "control") && (mkdir("/tmp/slice-probe-root", 0700) < 0 || chroot("/tmp/slice-probe-root") < 0))
        return failed("chroot(/tmp/slice-probe-root)");
    char path[PATH_MAX];
    if (syscall(SYS_getcwd, path, sizeof path) < 0)
        return answer_of(true, error_name(errno), "getcwd()");
    return answer_of(*path != '/', path, "getcwd()");
}

// The control: the same, after the descriptor that the control leaves open was made the working directory
// of a process whose root is elsewhere. In a slice there is no such descriptor: EBADF.
static struct answer directory_by_descriptor(const char *argument)
{
    (void)argument;
    for (int fd = 3; fd < 64; fd++) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        struct stat info;
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode) && chdir(path) == 0)
            return answer_of_call(0, "chdir(%s)", path);
    }
    errno = ENOENT;
    return answer_of_call(-1, "chdir(/proc/self/fd/N) for each N");
}

// Where a variable of the supervisor's comes along, so may a secret.
static struct answer environment(const char *argument)
{
    if (!*argument)
        return inapplicable("needs a variable of who starts it");
    return answer_of(getenv(argument), "", "getenv(%s)", argument);
}

const struct probe descriptor_probes[] = {
    {"descriptor.only-streams", only_streams}, {"descriptor.streams", streams},
    {"descriptor.directory", directory},       {"descriptor.chdir", directory_by_descriptor},
    {"descriptor.environment", environment},   {0},
};
