// Other processes: the slice's PID 1, those that enter it, and those of others.
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// ---- PID 1 of the slice, which is the supervisor's program

static struct answer open_of_first(const char *file, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/1/%s", file);
    return answer_of_call(open(path, flags | O_CLOEXEC), "open(%s, %s)", path, flags == O_RDONLY ? "O_RDONLY" : "O_RDWR");
}
static struct answer first_memory(const char *argument) { (void)argument; return open_of_first("mem", O_RDWR); }
static struct answer first_environment(const char *argument) { (void)argument; return open_of_first("environ", O_RDONLY); }
static struct answer first_maps(const char *argument) { (void)argument; return open_of_first("maps", O_RDONLY); }
// CVE-2019-5736: the runtime's program, opened through the process that runs it. ETXTBSY: only until it ends.
static struct answer first_program(const char *argument)
{
    (void)argument;
    int file = open("/proc/1/exe", O_RDONLY | O_CLOEXEC);
    return answer_of_call(file, "open(/proc/1/exe)");
}
static struct answer first_descriptors(const char *argument)
{
    (void)argument;
    DIR *directory = opendir("/proc/1/fd");
    return answer_of_call(directory ? 0 : -1, "opendir(/proc/1/fd)");
}
static struct answer first_root(const char *argument)
{
    (void)argument;
    char link[256];
    return answer_of_call(readlink("/proc/1/root", link, sizeof link), "readlink(/proc/1/root)");
}
static struct answer first_trace(const char *argument)
{
    (void)argument;
    long value = ptrace(PTRACE_SEIZE, 1, NULL, NULL);
    return answer_of_call(value, "ptrace(PTRACE_SEIZE, 1)");
}
static struct answer first_descriptor(const char *argument)
{
    (void)argument;
    int process = (int)syscall(SYS_pidfd_open, 1, 0);
    if (process < 0)
        return failed("pidfd_open(1)");
    return answer_of_call(syscall(SYS_pidfd_getfd, process, 0, 0), "pidfd_getfd(1, 0)");
}
static struct answer first_read(const char *argument)
{
    (void)argument;
    char byte;
    // Permission is looked at before the address, which is nobody's (EFAULT).
    struct iovec here = {&byte, 1}, there = {(void *)8, 1};
    long value = process_vm_readv(1, &here, 1, &there, 1, 0);
    return answer_of(value >= 0 || errno == EFAULT, value < 0 ? error_name(errno) : "", "process_vm_readv(1)");
}
static struct answer first_compare(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_kcmp, 1, getpid(), 0, 0, 0), "kcmp(1, self)");
}

// ---- processes of others. The argument is a word in their command line.

static struct answer visible(const char *marker)
{
    if (!*marker)
        return inapplicable("needs a word of another's command line");
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    if (!directory)
        return failed("opendir(/proc)");
    while ((entry = readdir(directory))) {
        char path[300], text[4096];
        if (!isdigit((unsigned char)*entry->d_name) || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        long length = read_text(path, text, sizeof text);
        // Words end with NUL; the marker stands after NAME= in this program's own.
        for (long at = 0; at < length; at += (long)strlen(text + at) + 1)
            if (!strcmp(text + at, marker))
                return answer_of(true, entry->d_name, "looking for '%s' in /proc/*/cmdline", marker);
    }
    return answer_of(false, "", "looking for '%s' in /proc/*/cmdline", marker);
}

// The argument is another's number on the host. Signal 0 asks only for the permission.
static struct answer signal_other(const char *argument)
{
    int pid = atoi(argument);
    if (pid <= 1)
        return inapplicable("needs a process number of the host");
    return answer_of_call(kill(pid, 0), "kill(%d, 0)", pid);
}

// ---- processes that enter. The argument is for how many seconds to look; with `bait` there is one to find.
//
// A command that is started from outside has for a moment the supervisor's memory and then the program of
// the runtime (CVE-2016-9962, CVE-2019-5736). Whatever it is, a process of the slice must not be able to
// open what another program than the slice's own is executed from.
static struct answer entering(const char *argument)
{
    struct stat own;
    if (stat("/proc/self/exe", &own) < 0)
        return failed("stat(/proc/self/exe)");
    pid_t bait = -1;
    if (strstr(argument, "bait")) {
        int copy = (int)syscall(SYS_memfd_create, "bait", 0), from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        char block[65536];
        ssize_t count;
        while (copy >= 0 && (count = read(from, block, sizeof block)) > 0)
            if (write(copy, block, (size_t)count) != count)
                return failed("making a bait");
        bait = fork();
        if (bait == 0) {
            char *const arguments[] = {"bait", "service", NULL}, *const environment[] = {NULL};
            close(1);
            open("/dev/null", O_WRONLY);
            syscall(SYS_execveat, copy, "", arguments, environment, 0x1000 /* AT_EMPTY_PATH */);
            _exit(1);
        }
    }
    long seconds = atoi(argument) > 0 ? atoi(argument) : 1;
    alarm((unsigned)seconds + 10);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct answer answer = answer_of(false, "", "opening what processes that enter are executed from");
    long seen = 0;
    do {
        // The newest have the highest numbers; a look at a few is quicker than at all.
        long last = 0;
        char text[128];
        if (read_text("/proc/loadavg", text, sizeof text) > 0)
            last = atol(strrchr(text, ' ') + 1);
        for (long pid = last; pid > last - 4 && pid > 0; pid--) {
            char path[64];
            struct stat info;
            if (pid == getpid())
                continue;
            snprintf(path, sizeof path, "/proc/%ld/exe", pid);
            int file = open(path, O_RDONLY | O_CLOEXEC);
            if (file >= 0) {
                seen++;
                if (fstat(file, &info) == 0 && info.st_dev != own.st_dev)
                    answer = answer_of(true, path, "opening what processes that enter are executed from");
                close(file);
            }
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (answer.outcome == HELD && now.tv_sec - start.tv_sec < seconds);
    if (bait > 0) {
        kill(bait, SIGKILL);
        waitpid(bait, NULL, 0);
    }
    if (answer.outcome == HELD)
        snprintf(answer.detail, sizeof answer.detail, "opened %ld, all of the slice's own programs", seen);
    return answer;
}

const struct probe process_probes[] = {
    {"process.first-memory", first_memory},           {"process.first-environment", first_environment},
    {"process.first-maps", first_maps},               {"process.first-program", first_program},
    {"process.first-descriptors", first_descriptors}, {"process.first-root", first_root},
    {"process.first-trace", first_trace},             {"process.first-descriptor", first_descriptor},
    {"process.first-read", first_read},               {"process.first-compare", first_compare},
    {"process.visible", visible},                     {"process.signal", signal_other},
    {"process.entering", entering},                   {0},
};
