// Capabilities and what gives more of them.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

// What root of a slice may have over its own users and files, by number: chown, dac_override, fowner, fsetid,
// kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, audit_write, setfcap. Each other one is either
// a power over the host where a namespace is mistaken, or a large part of the kernel to attack.
static const uint64_t EXPECTED = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 |
                                 1 << 10 | 1 << 18 | 1 << 29 | 1ull << 31;

static uint64_t status_set(const char *name)
{
    char text[8192], *line;
    if (read_text("/proc/self/status", text, sizeof text) <= 0 || !(line = strstr(text, name)))
        return ~0ull;
    return strtoull(line + strlen(name) + 1, NULL, 16);
}

static struct answer within(const char *set, uint64_t allowed)
{
    uint64_t value = status_set(set);
    char detail[96];
    snprintf(detail, sizeof detail, "0x%llx%s", (unsigned long long)value,
             value & ~allowed ? " has more than it may" : "");
    return answer_of(value & ~allowed, detail, "%s of /proc/self/status", set);
}
static struct answer bounding(const char *argument) { (void)argument; return within("CapBnd:", EXPECTED); }
static struct answer permitted(const char *argument) { (void)argument; return within("CapPrm:", EXPECTED); }
static struct answer inheritable(const char *argument) { (void)argument; return within("CapInh:", 0); }
static struct answer ambient(const char *argument) { (void)argument; return within("CapAmb:", 0); }

// The control where these sets are empty anyway: they must not be possible to fill.
static struct answer raise_ambient(const char *argument)
{
    (void)argument;
    struct { uint32_t version; int pid; } header = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return failed("capget()");
    data[0].inheritable |= 1u << 21; // CAP_SYS_ADMIN
    if (syscall(SYS_capset, &header, data) < 0)
        return answer_of_call(-1, "capset(inheritable: CAP_SYS_ADMIN)");
    return answer_of_call(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0),
                          "prctl(PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN)");
}

static struct answer no_new_privileges(const char *argument)
{
    (void)argument;
    int set = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return answer_of(set != 1, set == 1 ? "" : "executing a program may give privileges", "prctl(PR_GET_NO_NEW_PRIVS)");
}

static int copy_self(const char *path)
{
    char block[65536];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ssize_t count = -1;
    if (from >= 0 && to >= 0)
        while ((count = read(from, block, sizeof block)) > 0)
            if (write(to, block, (size_t)count) != count)
                break;
    int error = errno;
    close(from);
    close(to);
    errno = error;
    return count == 0 ? 0 : -1;
}

// A set-uid program of root's, executed by somebody else.
static struct answer set_uid(const char *argument)
{
    (void)argument;
    if (getuid() != 0)
        return inapplicable("only root makes set-uid programs of root");
    const char *path = "/tmp/slice-probe-setuid";
    if (copy_self(path) < 0 || chmod(path, 04755) < 0)
        return failed("making a set-uid program");
    int ends[2];
    if (pipe(ends) < 0)
        return failed("pipe()");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        if (setgid(1000) < 0 || setuid(1000) < 0)
            _exit(1);
        execl(path, path, "identity", NULL);
        _exit(1);
    }
    close(ends[1]);
    char text[16] = "";
    ssize_t count = read(ends[0], text, sizeof text - 1);
    waitpid(child, NULL, 0);
    unlink(path);
    if (count <= 0)
        return failed("executing a set-uid program as user 1000");
    text[strcspn(text, "\n")] = 0;
    return answer_of(!strcmp(text, "0"), text, "executing a set-uid program of root as user 1000: its effective id");
}

// The same by security.capability: CAP_SETUID to whoever executes it, with which they become root.
static struct answer file_capability(const char *argument)
{
    (void)argument;
    if (getuid() != 0)
        return inapplicable("only root gives capabilities to files");
    const char *path = "/tmp/slice-probe-capability";
    // VFS_CAP_REVISION_2, effective; permitted CAP_CHOWN (capabilities(7))
    static const uint32_t value[5] = {0x02000001, 1, 0, 0, 0};
    if (copy_self(path) < 0 || chmod(path, 0755) < 0)
        return failed("making a program");
    if (setxattr(path, "security.capability", value, sizeof value, 0) < 0) {
        struct answer answer = answer_of_call(-1, "setxattr(security.capability)");
        unlink(path);
        return answer;
    }
    int ends[2];
    if (pipe(ends) < 0)
        return failed("pipe()");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        if (setgid(1000) < 0 || setuid(1000) < 0)
            _exit(1);
        execl(path, path, "run", "capability.chown", NULL);
        _exit(1);
    }
    close(ends[1]);
    char text[4096] = "";
    ssize_t count = read(ends[0], text, sizeof text - 1);
    waitpid(child, NULL, 0);
    unlink(path);
    if (count <= 0)
        return answer_of(false, "the program was not executed", "executing a program with file capabilities as user 1000");
    bool gained = strstr(text, "\"broken\"") != NULL;
    return answer_of(gained, "", "executing a program with CAP_CHOWN in its file as user 1000");
}
// Only of use in the program above: whether this process may give files away.
static struct answer has_chown(const char *argument)
{
    (void)argument;
    return answer_of(status_set("CapEff:") & 1, "", "CapEff of /proc/self/status");
}

static struct answer filter_mode(const char *argument)
{
    (void)argument;
    char text[8192], *line;
    if (read_text("/proc/self/status", text, sizeof text) <= 0)
        return failed("reading /proc/self/status");
    line = strstr(text, "Seccomp:");
    if (!line)
        return inapplicable("this kernel has no seccomp");
    bool filtered = line[9] == '2';
    return answer_of(!filtered, filtered ? "" : "no filter is loaded", "Seccomp of /proc/self/status");
}

const struct probe capability_probes[] = {
    {"capability.bounding", bounding},
    {"capability.permitted", permitted},
    {"capability.inheritable", inheritable},
    {"capability.ambient", ambient},
    {"capability.raise", raise_ambient},
    {"capability.no-new-privileges", no_new_privileges},
    {"capability.set-uid", set_uid},
    {"capability.file", file_capability},
    {"capability.chown", has_chown},
    {"capability.filter-loaded", filter_mode},
    {0},
};
