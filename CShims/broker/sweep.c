#define _GNU_SOURCE
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "filter.h"
#include "process.h"

// More sockets than this are too many to answer for.
#define SOCKETS_MAX 4096
// Processes may hand a socket round while we look; each round finds what stood still.
#define ROUNDS 16

// Inode numbers of sockets that are in use and not looked at yet.
struct search {
    sweep_keeps *keeps;
    const void *context;
    struct sweep_result *result;
    time_t ends; // of the monotonic clock; when that is past, `count` is no more looked at
    bool late;
    unsigned count;
    ino_t inodes[SOCKETS_MAX];
};

// Whether to go on looking.
static bool searching(struct search *search)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    search->late = search->late || now.tv_sec >= search->ends;
    return search->count > 0 && !search->late;
}

static bool wanted(const struct search *search, ino_t inode)
{
    for (unsigned i = 0; i < search->count; i++)
        if (search->inodes[i] == inode)
            return true;
    return false;
}

static void forget(struct search *search, ino_t inode)
{
    for (unsigned i = 0; i < search->count; i++)
        if (search->inodes[i] == inode) {
            search->inodes[i] = search->inodes[--search->count];
            return;
        }
}

// ---- the list of sockets -----------------------------------------------------------------------

// A line's `column`-th word, from 0, as a number; 0 where there is none.
static unsigned long column_of(const char *line, unsigned column)
{
    for (;; column--) {
        line += strspn(line, " ");
        if (column == 0)
            return strtoul(line, NULL, 10);
        line += strcspn(line, " ");
    }
}

static int add_line(struct search *search, const char *line, unsigned column)
{
    unsigned long inode = column_of(line, column);
    if (inode == 0)
        return 0; // the heading; a socket that is being closed
    if (search->count == SOCKETS_MAX) {
        errno = E2BIG;
        return -1;
    }
    search->inodes[search->count++] = inode;
    return 0;
}

// Reads a list of sockets (proc_net(5)). It is one text of the kernel's, read in pieces: where it was
// left the kernel finds again by counting, and can pass over a socket when another was closed
// meanwhile. What is passed over is found in a later round: there is one after the last find.
static int add_list(int process_files, const char *path, unsigned column, struct search *search)
{
    int file = openat(process_files, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? 0 : -1; // a kernel without IPv6
    char text[4096 + 1];
    size_t kept = 0;
    ssize_t length;
    int result = 0;
    while (result == 0 && (length = read(file, text + kept, sizeof text - 1 - kept)) > 0) {
        kept += (size_t)length;
        text[kept] = '\0';
        char *line = text, *end;
        while (result == 0 && (end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            result = add_line(search, line, column);
            line = end + 1;
        }
        kept = strlen(line);
        memmove(text, line, kept);
    }
    int error = result < 0 ? errno : length < 0 ? errno : 0;
    close(file);
    errno = error;
    return error == 0 ? 0 : -1;
}

static int list_sockets(int process_files, struct search *search)
{
    search->count = 0;
    if (add_list(process_files, "self/net/packet", 8, search) < 0 ||
        add_list(process_files, "self/net/raw", 9, search) < 0 ||
        add_list(process_files, "self/net/raw6", 9, search) < 0)
        return -1;
    return 0;
}

// ---- the processes -----------------------------------------------------------------------------

// Judges what one descriptor of ours leads to.
static void judge(struct search *search, int descriptor)
{
    struct socket_kind kind;
    struct stat file;
    if (fstat(descriptor, &file) < 0 || !S_ISSOCK(file.st_mode) || !wanted(search, file.st_ino) ||
        socket_identify(descriptor, &kind) < 0)
        return;
    if (kind.raw && !search->keeps(&kind, search->context)) {
        // EPERM: closed already, by an earlier round or change.
        if (filter_close(descriptor) == 0) {
            socket_drain(descriptor); // what has come already
            search->result->closed++;
        } else if (errno != EPERM)
            return;
    }
    forget(search, file.st_ino);
}

// Tries every number that the thread can have a descriptor at: /proc/THREAD/fd would list them, to
// who may pass over its permissions (CAP_DAC_READ_SEARCH), which the broker may not.
static void visit_thread(struct search *search, int process_files, int thread)
{
    const long size = process_status(process_files, thread, "FDSize:");
    int pidfd = size <= 0 ? -1 : process_open(thread);
    if (pidfd < 0)
        return; // it has ended; or the kernel opens only whole processes, and what it hides counts
    for (int number = 0; number < size && (number % 1024 != 0 || searching(search)); number++) {
        int descriptor = process_descriptor(pidfd, number);
        if (descriptor < 0)
            continue;
        judge(search, descriptor);
        close(descriptor);
    }
    close(pidfd);
}

typedef void visitor(struct search *search, int process_files, int number);

// Calls `visit` with every entry of a directory that is a number.
static void for_each_number(struct search *search, int process_files, const char *path,
                            visitor *visit)
{
    int directory = openat(process_files, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return; // the process has ended
    _Alignas(struct dirent) char entries[2048];
    long length;
    while (searching(search) &&
           (length = syscall(SYS_getdents64, directory, entries, sizeof entries)) > 0)
        for (long at = 0; at < length;) {
            const struct dirent *entry = (const void *)(entries + at); // as getdents64(2) writes it
            at += entry->d_reclen;
            if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
                visit(search, process_files, atoi(entry->d_name));
        }
    close(directory);
}

// Threads one by one, because each may have descriptors of its own (unshare(CLONE_FILES)).
static void visit_threads(struct search *search, int process_files, int process)
{
    char path[32];
    snprintf(path, sizeof path, "%d/task", process);
    for_each_number(search, process_files, path, visit_thread);
}

int sweep(int process_files, sweep_keeps *keeps, const void *context, struct sweep_result *result)
{
    static struct search search; // too large for the stack; one thread
    search.keeps = keeps;
    search.context = context;
    search.result = result;
    *result = (struct sweep_result){0};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    search.ends = now.tv_sec + SWEEP_SECONDS + 1;
    search.late = false;
    // Two lists in a row of which nothing had to be closed: the second tells of what the first, read
    // in pieces, may have passed over.
    unsigned quiet = 0;
    for (unsigned round = 0; round < ROUNDS && quiet < 2; round++) {
        const uint32_t before = result->closed;
        if (list_sockets(process_files, &search) < 0)
            return -1;
        // Threads that have descriptors of their own are rare, and it takes longer to ask them all.
        for_each_number(&search, process_files, ".", round == 0 ? visit_thread : visit_threads);
        if (search.late) {
            errno = ETIMEDOUT;
            return -1;
        }
        quiet = search.count == 0 && result->closed == before ? quiet + 1 : 0;
    }
    // Of those that nobody has open, those being closed by their last owner go by themselves; the
    // rounds have given them the time.
    result->hidden = quiet < 2 ? search.count : 0;
    if (quiet < 2 && search.count == 0)
        result->hidden = 1; // never came to rest
    return 0;
}
