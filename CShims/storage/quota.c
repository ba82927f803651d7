#define _GNU_SOURCE
#include "cstorage.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

// By descriptor (Linux 5.14): no path of a device, which may have none in this mount namespace.
static int quota(int directory, unsigned command, uint32_t project, void *argument) {
    return (int)syscall(SYS_quotactl_fd, directory, QCMD(command, PRJQUOTA), project, argument);
}

int storage_quotas_enforced(int directory) {
    struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
    if (quota(directory, Q_XGETQSTATV, 0, &state) < 0) {
        // What a kernel or file system without quotas, or one that has none turned on, says.
        return errno == ENOSYS || errno == EINVAL || errno == ESRCH || errno == EOPNOTSUPP ? 0 : -1;
    }
    return (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

static struct storage_quota translated(uint64_t blocks, uint64_t files, uint64_t used_bytes,
                                       uint64_t used_files) {
    return (struct storage_quota){.max_bytes = blocks * QIF_DQBLKSIZE, .max_files = files,
                                  .used_bytes = used_bytes, .used_files = used_files};
}

int storage_get_quota(int directory, uint32_t project, struct storage_quota *result) {
    struct if_dqblk entry;
    memset(&entry, 0, sizeof entry);
    // xfs has no record of a project that it never counted anything for.
    if (quota(directory, Q_GETQUOTA, project, &entry) < 0 && errno != ENOENT)
        return -1;
    *result = translated(entry.dqb_bhardlimit, entry.dqb_ihardlimit, entry.dqb_curspace,
                         entry.dqb_curinodes);
    return 0;
}

int storage_set_quota(int directory, uint32_t project, uint64_t max_bytes, uint64_t max_files) {
    struct if_dqblk entry;
    memset(&entry, 0, sizeof entry);
    entry.dqb_bhardlimit = max_bytes / QIF_DQBLKSIZE;
    entry.dqb_ihardlimit = max_files;
    entry.dqb_valid = QIF_LIMITS;
    return quota(directory, Q_SETQUOTA, project, &entry);
}

int storage_next_quota(int directory, uint32_t *project, struct storage_quota *result) {
    struct if_nextdqblk entry;
    memset(&entry, 0, sizeof entry);
    if (quota(directory, Q_GETNEXTQUOTA, *project, &entry) < 0)
        return -1;
    *project = entry.dqb_id;
    *result = translated(entry.dqb_bhardlimit, entry.dqb_ihardlimit, entry.dqb_curspace,
                         entry.dqb_curinodes);
    return 0;
}

int storage_set_project(int directory, uint32_t project) {
    struct fsxattr attributes;
    if (ioctl(directory, FS_IOC_FSGETXATTR, &attributes) < 0)
        return -1;
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(directory, FS_IOC_FSSETXATTR, &attributes);
}

int storage_get_project(int directory, uint32_t *project) {
    struct fsxattr attributes;
    if (ioctl(directory, FS_IOC_FSGETXATTR, &attributes) < 0)
        return -1;
    *project = attributes.fsx_xflags & FS_XFLAG_PROJINHERIT ? attributes.fsx_projid : 0;
    return 0;
}
