// Namespaces: new ones, others', and to whom a slice's own belong.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NS_GET_USERNS_ 0xB701ul // ioctl_ns(2)

static const struct { const char *name, *file; unsigned long flag; } kinds[] = {
    {"user", "user", CLONE_NEWUSER}, {"mount", "mnt", CLONE_NEWNS}, {"pid", "pid", CLONE_NEWPID},
    {"net", "net", CLONE_NEWNET},    {"ipc", "ipc", CLONE_NEWIPC},  {"uts", "uts", CLONE_NEWUTS},
    {"cgroup", "cgroup", CLONE_NEWCGROUP},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static struct answer clone_each(const char *argument)
{
    (void)argument;
    for (size_t i = 0; i < KINDS; i++) {
        long child = syscall(SYS_clone, kinds[i].flag | SIGCHLD, 0, 0, 0, 0);
        if (child == 0)
            _exit(0);
        if (child > 0)
            return answer_of_call(child, "clone() of a new %s namespace", kinds[i].name);
    }
    return answer_of_call(-1, "clone() of each kind of namespace");
}

static struct answer unshare_each(const char *argument)
{
    (void)argument;
    for (size_t i = 0; i < KINDS; i++)
        if (unshare((int)kinds[i].flag) == 0)
            return answer_of_call(0, "unshare() of the %s namespace", kinds[i].name);
    return answer_of_call(-1, "unshare() of each kind of namespace");
}

static struct answer clone3_user(const char *argument)
{
    (void)argument;
    uint64_t arguments[11] = {CLONE_NEWUSER};
    arguments[4] = SIGCHLD;
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    return answer_of_call(child, "clone3({flags=CLONE_NEWUSER})");
}

// What the kernel itself counts, should a call get past the filter. A slice's may be made none at all.
static struct answer limits(const char *argument)
{
    (void)argument;
    for (size_t i = 0; i < KINDS; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/sys/user/max_%s_namespaces", kinds[i].file);
        long limit = read_number(path, -1);
        if (limit > 0) {
            char detail[64];
            snprintf(detail, sizeof detail, "%ld %s namespaces may be made", limit, kinds[i].name);
            return answer_of(true, detail, "reading %s", path);
        }
    }
    return answer_of(false, "", "reading /proc/sys/user/max_*_namespaces");
}

// Rights over a namespace belong to the user namespace that owns it. When that is the slice's own, root of the
// slice may do as it likes in it; when it is the host's, the kernel doesn't even hand it out (EPERM).
static struct answer owners(const char *argument)
{
    (void)argument;
    for (size_t i = 1; i < KINDS; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].file);
        int namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (namespace < 0)
            return failed(path);
        if (ioctl(namespace, NS_GET_USERNS_) >= 0)
            return answer_of(true, "the slice's root has rights over this namespace",
                             "ioctl(%s, NS_GET_USERNS)", path);
    }
    return answer_of_call(-1, "ioctl(/proc/self/ns/…, NS_GET_USERNS) of each");
}

// The argument is the host's or a neighbour's: `user:[N] mnt:[N] …`, as readlink gives them.
static struct answer others(const char *argument)
{
    if (!*argument)
        return inapplicable("needs the links of another's namespaces");
    for (size_t i = 0; i < KINDS; i++) {
        char path[64], link[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].file);
        if (readlink(path, link, sizeof link - 1) < 0)
            return failed(path);
        if (strstr(argument, link))
            return answer_of(true, link, "readlink(%s)", path);
    }
    return answer_of(false, "", "comparing /proc/self/ns/* with another's");
}

static struct answer join(const char *argument)
{
    (void)argument;
    int namespace = open("/proc/1/ns/uts", O_RDONLY | O_CLOEXEC);
    if (namespace < 0)
        namespace = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    if (namespace < 0)
        return failed("open(/proc/self/ns/uts)");
    return answer_of_call(setns(namespace, 0), "setns(uts namespace)");
}

const struct probe namespace_probes[] = {
    {"namespace.clone", clone_each},   {"namespace.unshare", unshare_each},
    {"namespace.clone3", clone3_user}, {"namespace.limits", limits},
    {"namespace.owners", owners},      {"namespace.others", others},
    {"namespace.join", join},          {0},
};
