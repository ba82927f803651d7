// Files that the kernel makes: what tells of the host, and what reaches into it.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

bool is_null_device(const struct stat *info)
{
    return S_ISCHR(info->st_mode) && info->st_rdev == makedev(1, 3);
}

// The argument is a path that must be absent, /dev/null, or an empty directory. Whether it could be read is
// not asked: that is a second question (files.readable), so that either lock's loss shows.
static struct answer masked(const char *path)
{
    struct stat info;
    if (lstat(path, &info) < 0)
        return errno == ENOENT || errno == ENOTDIR ? inapplicable("it isn't there") : answer_of_call(-1, "lstat(%s)", path);
    if (is_null_device(&info))
        return answer_of(false, "it is /dev/null", "lstat(%s)", path);
    if (!S_ISDIR(info.st_mode))
        return answer_of(true, "it is there", "lstat(%s)", path);
    DIR *directory = opendir(path);
    if (!directory)
        return answer_of(true, "it is there, though closed", "opendir(%s)", path);
    const struct dirent *entry;
    while ((entry = readdir(directory)) && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))) {
    }
    return answer_of(entry, entry ? entry->d_name : "", "readdir(%s)", path);
}

static struct answer readable(const char *path)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return errno == ENOENT ? inapplicable("it isn't there") : answer_of_call(-1, "stat(%s)", path);
    char text[64];
    long count = read_text(path, text, sizeof text);
    if (count < 0)
        return answer_of_call(-1, "reading %s", path);
    return answer_of(count > 0, count ? "" : "it is empty", "reading %s", path);
}

// A path that must lie on a mount that can't be written.
static struct answer read_only(const char *path)
{
    struct statvfs info;
    if (statvfs(path, &info) < 0)
        return errno == ENOENT ? inapplicable("it isn't there") : answer_of_call(-1, "statvfs(%s)", path);
    return answer_of(!(info.f_flag & ST_RDONLY), info.f_flag & ST_RDONLY ? "" : "its mount is writable", "statvfs(%s)", path);
}

// A path that must not open for writing. Nothing is written.
static struct answer writable(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && is_null_device(&info))
        return answer_of(false, "it is /dev/null", "open(%s, O_WRONLY)", path);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return inapplicable("it isn't there");
    return answer_of_call(file, "open(%s, O_WRONLY)", path);
}

// A path that must be the kernel's own procfs, of this very process: what a launch writes below it would else go
// to wherever the image led it (CVE-2019-19921, CVE-2025-52881).
static struct answer genuine(const char *path)
{
    struct statfs info;
    char own[300];
    if (statfs(path, &info) < 0)
        return answer_of(true, error_name(errno), "statfs(%s)", path);
    if (info.f_type != 0x9FA0 /* PROC_SUPER_MAGIC */)
        return answer_of(true, "it is no procfs", "statfs(%s)", path);
    snprintf(own, sizeof own, "%s/%d/status", path, (int)getpid());
    return answer_of(access(own, R_OK) < 0, "", "access(%s)", own);
}

// A device that must not open, though it is there.
static struct answer opened(const char *path)
{
    int file = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0 && (errno == ENXIO || errno == ENODEV))
        return inapplicable("this kernel has no such device");
    return answer_of_call(file, "open(%s, O_RDWR)", path);
}

// The argument is a name that must not be in the working directory.
static struct answer listed(const char *name)
{
    return answer_of(access(name, F_OK) == 0, name, "access(%s), in the working directory", name);
}

static struct answer kernel_log(const char *argument)
{
    (void)argument;
    char text[256];
    return answer_of_call(klogctl(3 /* SYSLOG_ACTION_READ_ALL */, text, sizeof text), "syslog(SYSLOG_ACTION_READ_ALL)");
}

// release_agent (CVE-2022-0492): a file of cgroup v1 that names a program for the host's root to run.
static struct answer release_agent(const char *argument)
{
    (void)argument;
    char text[65536], *line, *rest = text;
    if (read_text("/proc/self/mounts", text, sizeof text) <= 0)
        return failed("reading /proc/self/mounts");
    bool seen = false;
    while ((line = strsep(&rest, "\n"))) {
        char path[512], type[64], file[600];
        if (sscanf(line, "%*s %500s %60s", path, type) != 2 || strcmp(type, "cgroup"))
            continue;
        seen = true;
        snprintf(file, sizeof file, "%s/release_agent", path);
        if (access(file, W_OK) == 0)
            return answer_of(true, file, "access(%s, W_OK)", file);
    }
    return seen ? answer_of(false, "no mount of cgroup v1 has one that is writable", "looking for release_agent")
                : inapplicable("no cgroup v1 is mounted here");
}

const struct probe file_probes[] = {
    {"files.masked", masked},       {"files.readable", readable},     {"files.read-only", read_only},
    {"files.writable", writable},   {"files.kernel-log", kernel_log}, {"files.release-agent", release_agent},
    {"files.genuine", genuine},     {"files.listed", listed},         {"files.opened", opened},
    {0},
};
