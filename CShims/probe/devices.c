// Devices: making their nodes, and which there are.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Major and minor numbers of the host's memory and log, and of common disks (devices.txt of the kernel).
static struct answer make_node(const char *argument)
{
    (void)argument;
    static const struct { mode_t kind; unsigned major, minor; } nodes[] = {
        {S_IFCHR, 1, 1}, {S_IFCHR, 1, 11}, {S_IFBLK, 8, 0}, {S_IFBLK, 98, 0}, {S_IFBLK, 254, 0}, {S_IFCHR, 10, 200},
    };
    const char *path = "/tmp/slice-probe-node";
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        unlink(path);
        if (mknod(path, nodes[i].kind | 0600, makedev(nodes[i].major, nodes[i].minor)) == 0) {
            unlink(path);
            return answer_of_call(0, "mknod(%u:%u)", nodes[i].major, nodes[i].minor);
        }
    }
    return answer_of_call(-1, "mknod() of the host's memory, log, disks and TUN");
}

static bool expected(dev_t device)
{
    unsigned number = major(device), rest = minor(device);
    if (number == 1)
        return rest == 3 || rest == 5 || rest == 7 || rest == 8 || rest == 9; // null zero full random urandom
    return (number == 5 && (rest == 0 || rest == 2)) || (number >= 136 && number < 144); // tty ptmx, terminals
}

// Returns the path of a device that a slice must not have, or NULL.
static const char *search(const char *place, int depth)
{
    static char found[1100];
    DIR *directory = opendir(place);
    const struct dirent *entry;
    if (!directory)
        return NULL;
    while ((entry = readdir(directory))) {
        char path[1024];
        struct stat info;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            snprintf(path, sizeof path, "%s/%s", place, entry->d_name) >= (int)sizeof path || lstat(path, &info) < 0)
            continue;
        if ((S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) && !expected(info.st_rdev)) {
            snprintf(found, sizeof found, "%s is device %u:%u", path, major(info.st_rdev), minor(info.st_rdev));
            closedir(directory);
            return found;
        }
        const char *deeper = S_ISDIR(info.st_mode) && depth > 0 ? search(path, depth - 1) : NULL;
        if (deeper) {
            closedir(directory);
            return deeper;
        }
    }
    closedir(directory);
    return NULL;
}

static struct answer listed(const char *argument)
{
    (void)argument;
    const char *found = search("/dev", 4);
    return answer_of(found, found ? found : "", "looking through /dev");
}

// A link where the runtime, or a person, looks up a terminal later (CVE-2025-52565).
static struct answer replace(const char *argument)
{
    (void)argument;
    static const char *const places[] = {"/dev/pts", "/dev/console", "/dev/ptmx", "/dev/null"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char other[64];
        snprintf(other, sizeof other, "%s.probe", places[i]);
        if (symlink("/proc/sys/kernel/core_pattern", other) == 0) {
            unlink(other);
            return answer_of_call(0, "symlink(%s)", other);
        }
    }
    return answer_of_call(-1, "symlink() in /dev");
}

// Not even what is there may be changed: another mode, another owner.
static struct answer change(const char *argument)
{
    (void)argument;
    struct stat info;
    if (stat("/dev/null", &info) < 0)
        return failed("stat(/dev/null)");
    return answer_of_call(chmod("/dev/null", info.st_mode & 07777), "chmod(/dev/null)");
}

const struct probe device_probes[] = {
    {"device.make", make_node}, {"device.listed", listed}, {"device.replace", replace}, {"device.change", change}, {0},
};
