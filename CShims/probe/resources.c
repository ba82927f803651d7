// Resources: leaving the cgroup, raising limits, and taking all there is. The bombs of this file are held by
// limits of the slice that the suite sets; none is for the control.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

static struct answer core(const char *argument)
{
    (void)argument;
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    return answer_of(limit.rlim_max != 0, limit.rlim_max ? "core_pattern may name a program of the host's" : "", "getrlimit(RLIMIT_CORE)");
}
static struct answer raise_limit(const char *argument)
{
    (void)argument;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_max += 1;
    return answer_of_call(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit(RLIMIT_NOFILE, one more)");
}
static struct answer out_of_memory_score(const char *argument)
{
    (void)argument;
    long now = read_number("/proc/self/oom_score_adj", 0);
    char lower[24];
    snprintf(lower, sizeof lower, "%ld", now - 500 < -1000 ? -1000 : now - 500);
    return answer_of_call(write_text("/proc/self/oom_score_adj", lower) ? 0 : -1, "write(/proc/self/oom_score_adj, %s)", lower);
}

// ---- the cgroup

// The root of what is seen has files that no slice may write: its limits lie above. The argument is another
// place to look at, for the control.
static struct answer own_limits(const char *argument)
{
    static const char *const files[] = {"memory.max", "memory.high", "pids.max", "cpu.max", "cpu.weight", "io.max",
                                        "cgroup.max.depth", "cgroup.max.descendants", "memory.min"};
    bool seen = false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", *argument ? argument : ROOT, files[i]);
        seen |= access(path, F_OK) == 0;
        int file = open(path, O_WRONLY | O_CLOEXEC);
        if (file >= 0)
            return answer_of_call(file, "open(%s, O_WRONLY)", path);
    }
    if (!seen)
        return inapplicable("no cgroup v2 with limits is mounted here");
    return answer_of_call(-1, "open(" ROOT "/memory.max and others, O_WRONLY)");
}

// What it sees must begin with itself: cgroup_namespaces(7). The argument is the number of another process,
// for the control: of one of the slice, seen from outside.
static struct answer outside_path(const char *argument)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%s/cgroup", *argument ? argument : "self");
    if (read_text(path, text, sizeof text) <= 0)
        return failed(path);
    char *line = strstr(text, "0::");
    if (!line)
        return inapplicable("no cgroup v2 here");
    line[strcspn(line, "\n")] = 0;
    return answer_of(strcmp(line, "0::/"), line, "reading %s", path);
}

static struct answer leave(const char *argument)
{
    (void)argument;
    static const char *const places[] = {ROOT "/../cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", ROOT "/cgroup.procs"};
    // In a slice the last is its own, where it is already.
    size_t count = access(ROOT "/cgroup.type", F_OK) == 0 ? 2 : 3;
    for (size_t i = 0; i < count; i++) {
        struct stat above, own;
        if (stat(places[i], &above) < 0)
            continue;
        if (stat(ROOT "/cgroup.procs", &own) == 0 && above.st_ino == own.st_ino && i < 2)
            continue;
        if (write_text(places[i], "0"))
            return answer_of_call(0, "write(%s, 0)", places[i]);
    }
    errno = EACCES;
    return answer_of_call(-1, "write(cgroup.procs above the slice's own)");
}

// Where a directory of that name is, or NULL.
static const char *search(const char *place, const char *name, int depth)
{
    static char found[1024];
    DIR *directory = opendir(place);
    const struct dirent *entry;
    const char *result = NULL;
    while (directory && !result && (entry = readdir(directory))) {
        char path[1024];
        if (entry->d_type != DT_DIR || *entry->d_name == '.' ||
            snprintf(path, sizeof path, "%s/%s", place, entry->d_name) >= (int)sizeof path)
            continue;
        if (!strcmp(entry->d_name, name))
            result = strcpy(found, path);
        else if (depth > 0)
            result = search(path, name, depth - 1);
    }
    if (directory)
        closedir(directory);
    return result;
}

static struct answer neighbours(const char *argument)
{
    if (!*argument)
        return inapplicable("needs the name of another's cgroup");
    struct stat info;
    if (*argument == '/') // for the control: where it is
        return answer_of_call(stat(argument, &info), "stat(%s)", argument);
    const char *found = search(ROOT, argument, 5);
    return answer_of(found, found ? found : "", "looking for the cgroup %s below " ROOT, argument);
}

// ---- bombs

// The argument is how many processes there may be at most. Forks until it can't, and counts.
static struct answer processes(const char *argument)
{
    long limit = atol(argument), made = 0;
    if (limit <= 0)
        return inapplicable("needs the limit");
    setpgid(0, 0); // of which all children can be ended
    for (; made < limit + 64; made++) {
        pid_t child = fork();
        if (child < 0)
            break;
        if (child == 0) {
            signal(SIGALRM, SIG_DFL);
            alarm(15);
            for (;;)
                pause();
        }
    }
    int error = errno;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (wait(NULL) > 0) {
    }
    char detail[64];
    snprintf(detail, sizeof detail, "%ld processes", made);
    struct answer answer = answer_of(made > limit, detail, "fork(), until it fails at a limit of %ld", limit);
    answer.error = made > limit ? 0 : error;
    return answer;
}

// The argument is KIND:MEGABYTES. Takes twice that much of one kind of memory; who is killed for it held.
static struct answer memory(const char *argument)
{
    const char *mark = strchr(argument, ':');
    long limit = mark ? atol(mark + 1) : 0, taken = 0;
    if (limit <= 0)
        return inapplicable("needs KIND:MEGABYTES");
    static char block[1 << 20];
    memset(block, 1, sizeof block);
    int file = -1, ends[2];
    if (!strncmp(argument, "tmpfs", 5) && (file = open("/tmp/slice-probe-bomb", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
        return failed("open(/tmp/slice-probe-bomb)");
    bool pipes = !strncmp(argument, "pipes", 5), tables = !strncmp(argument, "tables", 6);
    bool sockets = !strncmp(argument, "sockets", 7);
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    while (taken < 2 * limit) {
        if (file >= 0) {
            if (write(file, block, sizeof block) != sizeof block)
                break;
        } else if (pipes) {
            if (pipe(ends) < 0)
                break;
            fcntl(ends[1], F_SETFL, O_NONBLOCK);
            fcntl(ends[1], 1031 /* F_SETPIPE_SZ */, 1 << 20);
            ssize_t in = 0, count;
            while ((count = write(ends[1], block, 65536)) > 0)
                in += count;
            if (in < 1 << 20) {
                // What a pipe of an ordinary user holds once too many are large (pipe(7)).
                static ssize_t rest;
                rest += in;
                if (rest < 1 << 20)
                    continue;
                rest = 0;
            }
        } else if (sockets) {
            // What has been sent and nobody reads; how much one holds is for net.core.wmem_max to say.
            int room = 1 << 20;
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
                break;
            setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
            static ssize_t waiting;
            ssize_t count;
            while ((count = write(ends[1], block, 32768)) > 0)
                waiting += count;
            if (waiting < 1 << 20)
                continue;
            waiting -= 1 << 20;
        } else if (tables) {
            // A byte in each 2 MiB takes a page and a page table of its own, 8 KiB: 128 of them a MiB.
            const size_t span = 2 << 20, size = 128 * span;
            char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (pages == MAP_FAILED)
                break;
            madvise(pages, size, MADV_NOHUGEPAGE);
            for (size_t at = 0; at < size; at += span)
                pages[at] = 1;
        } else {
            char *page = mmap(NULL, sizeof block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (page == MAP_FAILED)
                break;
            memcpy(page, block, sizeof block);
        }
        taken++;
    }
    int error = errno;
    if (file >= 0)
        unlink("/tmp/slice-probe-bomb");
    char detail[64];
    snprintf(detail, sizeof detail, "took %ld MiB", taken);
    struct answer answer = answer_of(taken >= 2 * limit, detail, "taking memory (%s), at a limit of %ld MiB", argument, limit);
    answer.error = taken >= 2 * limit ? 0 : error;
    return answer;
}

// The argument is MEGABYTES: a file of twice as much.
static struct answer disk(const char *argument)
{
    long limit = atol(argument), written = 0;
    if (limit <= 0)
        return inapplicable("needs MEGABYTES");
    static char block[1 << 20];
    int file = open("/slice-probe-bomb", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), error = 0;
    if (file < 0)
        return failed("open(/slice-probe-bomb)");
    while (written < 2 * limit && write(file, block, sizeof block) == sizeof block)
        written++;
    error = errno;
    unlink("/slice-probe-bomb");
    char detail[64];
    snprintf(detail, sizeof detail, "wrote %ld MiB", written);
    struct answer answer = answer_of(written > limit, detail, "writing a file, at a limit of %ld MiB", limit);
    answer.error = written > limit ? 0 : error;
    return answer;
}

// The argument is how many files there may be.
static struct answer files(const char *argument)
{
    long limit = atol(argument), made = 0;
    if (limit <= 0)
        return inapplicable("needs a number");
    mkdir("/slice-probe-files", 0700);
    char path[64];
    int error = 0;
    for (; made <= limit + 16; made++) {
        snprintf(path, sizeof path, "/slice-probe-files/%ld", made);
        int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0) {
            error = errno;
            break;
        }
        close(file);
    }
    for (long i = 0; i < made; i++) {
        snprintf(path, sizeof path, "/slice-probe-files/%ld", i);
        unlink(path);
    }
    rmdir("/slice-probe-files");
    char detail[64];
    snprintf(detail, sizeof detail, "made %ld files", made);
    struct answer answer = answer_of(made > limit, detail, "making files, at a limit of %ld", limit);
    answer.error = error;
    return answer;
}

// ---- what the kernel counts for a user

// One of each, which a user who has taken all doesn't get. The queue goes again.
static struct answer accounts(const char *argument)
{
    (void)argument;
    char name[32];
    snprintf(name, sizeof name, "/account-%d", getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, NULL);
    if (queue == (mqd_t)-1)
        return answer_of(true, error_name(errno), "mq_open(one more)");
    mq_close(queue);
    mq_unlink(name);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    if (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) < 0)
        return answer_of(true, error_name(errno), "sigqueue(one more)");
    void *page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return failed("mmap(64 KiB)");
    if (mlock(page, 1 << 16) < 0)
        return answer_of(true, error_name(errno), "mlock(64 KiB more)");
    return answer_of(false, "", "one more message queue, pending signal and locked page");
}

// Until none is had any more; bounded where there is no limit.
int run_exhaust(void)
{
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "/exhaust-%d", i);
        if (mq_open(name, O_RDWR | O_CREAT, 0600, NULL) == (mqd_t)-1)
            break;
    }
    sigset_t blocked;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    for (int i = 0; i < 1 << 20 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0; i++) {
    }
    for (int i = 0; i < 1 << 10; i++) {
        void *page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED || mlock(page, 1 << 16) < 0)
            break;
    }
    puts("{\"finished\":true}");
    fflush(stdout);
    for (;;)
        pause();
}

const struct probe resource_probes[] = {
    {"resource.core", core},           {"resource.raise-limit", raise_limit},
    {"resource.oom-score", out_of_memory_score}, {"resource.own-limits", own_limits},
    {"resource.cgroup-path", outside_path}, {"resource.leave", leave},
    {"resource.neighbours", neighbours}, {"resource.processes", processes},
    {"resource.memory", memory},       {"resource.disk", disk},
    {"resource.files", files},         {"resource.accounts", accounts},
    {0},
};
