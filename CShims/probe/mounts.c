// Mounts: making, moving and removing them, and what stands in the table of those that are there.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct answer mount_memory(const char *argument)
{
    (void)argument;
    mkdir("/tmp/slice-probe-mount", 0700);
    return answer_of_call(mount("probe", "/tmp/slice-probe-mount", "tmpfs", 0, "size=64k"), "mount(tmpfs)");
}

static struct answer mount_bind(const char *argument)
{
    (void)argument;
    mkdir("/tmp/slice-probe-bind", 0700);
    return answer_of_call(mount("/proc", "/tmp/slice-probe-bind", NULL, MS_BIND, NULL), "mount(/proc, MS_BIND)");
}

// A second proc would have no masks.
static struct answer mount_proc(const char *argument)
{
    (void)argument;
    mkdir("/tmp/slice-probe-proc", 0700);
    return answer_of_call(mount("proc", "/tmp/slice-probe-proc", "proc", 0, NULL), "mount(proc)");
}

static struct answer remount(const char *argument)
{
    (void)argument;
    return answer_of_call(mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID, NULL), "mount(/proc, MS_REMOUNT)");
}

static struct answer unmount(const char *argument)
{
    (void)argument;
    // A mount in a slice, which makes /proc/sys read-only; in the control one that is made for this.
    return answer_of_call(umount2("/proc/sys", MNT_DETACH), "umount2(/proc/sys, MNT_DETACH)");
}

static struct answer new_interface(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_fsopen, "tmpfs", 0), "fsopen(tmpfs)");
}

static struct answer open_tree_clone(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_open_tree, AT_FDCWD, "/proc", 1 /* OPEN_TREE_CLONE */),
                          "open_tree(/proc, OPEN_TREE_CLONE)");
}

// With the permission: EINVAL, for the root of the tree can't be moved; nothing changes.
static struct answer move(const char *argument)
{
    (void)argument;
    long value = syscall(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/", 0);
    return answer_of(value >= 0 || errno == EINVAL || errno == ELOOP, error_name(errno), "move_mount(/, /)");
}

static struct answer pivot(const char *argument)
{
    (void)argument;
    // With the permission: EINVAL or EBUSY, because /tmp is no new root; nothing changes.
    long value = syscall(SYS_pivot_root, "/", "/");
    return answer_of(value >= 0 || errno != EPERM, error_name(errno), "pivot_root(/, /)");
}

// With the capability: EBADF for a handle of nothing, ESTALE for one of nobody's.
static struct answer by_handle(const char *argument)
{
    (void)argument;
    struct { unsigned size; int type; unsigned char bytes[128]; } handle = {8, 1, {2}};
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long value = syscall(SYS_open_by_handle_at, root, &handle, O_RDONLY);
    int error = value < 0 ? errno : 0;
    return answer_of(value >= 0 || error == ESTALE || error == EINVAL, error ? error_name(error) : "", "open_by_handle_at(/, inode 2)");
}

// Escapes by chroot need a directory outside the root (chroot(2)). Run on the host, it leaves none there.
static struct answer chroot_escape(const char *argument)
{
    if (!*argument)
        return inapplicable("needs a path that only the host has");
    char root[] = "/tmp/slice-probe-root.XXXXXX";
    int above = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above < 0 || !mkdtemp(root))
        return failed("a directory in /tmp");
    bool changed = chroot(root) == 0;
    int error = errno;
    // Gone by name, it is the root still.
    unlinkat(above, root + sizeof "/tmp/" - 1, AT_REMOVEDIR);
    close(above);
    errno = error;
    if (!changed)
        return answer_of_call(-1, "chroot()");
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0)
            break;
    if (chroot(".") < 0)
        return answer_of_call(-1, "chroot(.)");
    return answer_of(access(argument, F_OK) == 0, argument, "chroot, chdir(..) 64 times, chroot(.), looking for %s", argument);
}

// The paths of magic links lead where the process that they belong to stands.
static struct answer root_of_others(const char *argument)
{
    if (!*argument)
        return inapplicable("needs a path that only the host has");
    for (int pid = 1; pid < 64; pid++) {
        static const char *const links[] = {"root", "cwd"};
        for (size_t i = 0; i < 2; i++) {
            char path[512];
            snprintf(path, sizeof path, "/proc/%d/%s/%s", pid, links[i], argument);
            if (access(path, F_OK) == 0)
                return answer_of(true, path, "looking for %s through /proc/PID", argument);
        }
    }
    return answer_of(false, "", "looking for %s through /proc/PID/root and cwd", argument);
}

static struct answer path_of_host(const char *argument)
{
    if (!*argument)
        return inapplicable("needs a path that only the host has");
    struct stat info;
    return answer_of_call(stat(argument, &info), "stat(%s)", argument);
}

// ---- the table of mounts: proc_pid_mountinfo(5)

// Calls `wrong` with each mount's place, options and optional fields until it returns true.
static struct answer each_mount(bool wrong(const char *place, const char *options, const char *tags, const char *type), const char *what)
{
    static char text[262144];
    if (read_text("/proc/self/mountinfo", text, sizeof text) <= 0)
        return failed("reading /proc/self/mountinfo");
    char *line, *rest = text;
    while ((line = strsep(&rest, "\n")) && *line) {
        char place[512], options[256], type[64], *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*d %*d %*s %*s %500s %250s", place, options) != 2 || sscanf(dash, " - %60s", type) != 1)
            continue;
        char *tags = strstr(line, options) + strlen(options);
        *dash = 0;
        if (wrong(place, options, tags, type))
            return answer_of(true, place, "%s in /proc/self/mountinfo", what);
    }
    return answer_of(false, "", "%s in /proc/self/mountinfo", what);
}

static bool propagates(const char *place, const char *options, const char *tags, const char *type)
{
    (void)place, (void)options, (void)type;
    return strstr(tags, "shared:") || strstr(tags, "master:");
}
static bool allows_set_uid(const char *place, const char *options, const char *tags, const char *type)
{
    (void)place, (void)tags, (void)type;
    return !strstr(options, "nosuid");
}
// /dev has the slice's devices; devpts its terminals, which need none of nodev.
static bool allows_devices(const char *place, const char *options, const char *tags, const char *type)
{
    (void)tags;
    bool of_dev = !strcmp(place, "/dev") || !strcmp(type, "devpts");
    // A file that is covered by the slice's own /dev/null.
    struct stat info;
    bool null = stat(place, &info) == 0 && is_null_device(&info);
    return !strstr(options, "nodev") && !of_dev && !null;
}
static struct answer propagation(const char *argument) { (void)argument; return each_mount(propagates, "a mount that is shared or a slave"); }
static struct answer nosuid(const char *argument) { (void)argument; return each_mount(allows_set_uid, "a mount without nosuid"); }
static struct answer nodev(const char *argument) { (void)argument; return each_mount(allows_devices, "a mount without nodev beside /dev"); }

const struct probe mount_probes[] = {
    {"mount.memory", mount_memory},       {"mount.bind", mount_bind},
    {"mount.proc", mount_proc},           {"mount.remount", remount},
    {"mount.unmount", unmount},           {"mount.fsopen", new_interface},
    {"mount.open-tree", open_tree_clone}, {"mount.move", move},
    {"mount.pivot-root", pivot},          {"mount.open-by-handle", by_handle},
    {"mount.chroot", chroot_escape},      {"mount.magic-links", root_of_others},
    {"mount.host-path", path_of_host},    {"mount.propagation", propagation},
    {"mount.nosuid", nosuid},             {"mount.nodev", nodev},
    {0},
};
