// The system call filter, asked alone: every call is made with arguments for which the kernel has another
// answer than the filter's and gives it before it looks at permissions. So it shows which of the two
// spoke, although the kernel would refuse most of these calls to a slice as well.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
#define TIOCSETD_ 0x5423
#define TIOCLINUX_ 0x541C
#define NOWHERE ((void *)8) // an address where nothing is: EFAULT

// ---- calls that are denied as a whole

#define DENIED(name, call, ...)                                                              \
    static struct answer deny_##name(const char *argument)                                   \
    {                                                                                        \
        (void)argument;                                                                      \
        errno = 0;                                                                           \
        return answer_of_filter(syscall(SYS_##call, ##__VA_ARGS__), EPERM, "%s(%s)", #call,  \
                                #__VA_ARGS__);                                               \
    }

DENIED(add_key, add_key, NOWHERE, NOWHERE, NOWHERE, 1l << 40, 0)
DENIED(adjtimex, adjtimex, NOWHERE)
DENIED(bpf, bpf, 9999, NOWHERE, 1 << 20)
DENIED(clock_adjtime, clock_adjtime, 0, NOWHERE)
DENIED(clock_settime, clock_settime, 9999, NOWHERE)
DENIED(fanotify_init, fanotify_init, 0x80000200u, 0)
DENIED(fsconfig, fsconfig, -1, 0, 0, 0, 0)
DENIED(io_uring_enter, io_uring_enter, -1, 0, 0, 0x40000000u, 0, 0)
DENIED(io_uring_register, io_uring_register, -1, 0, 0, 0)
DENIED(io_uring_setup, io_uring_setup, 1, NOWHERE)
DENIED(kcmp, kcmp, INT_MAX, INT_MAX, 0, 0, 0)
DENIED(keyctl, keyctl, 9999, 0, 0, 0, 0)
DENIED(mbind, mbind, 1, 4096, 0, 0, 0, 0)
DENIED(migrate_pages, migrate_pages, 0, 1 << 20, NOWHERE, NOWHERE)
DENIED(mount, mount, NOWHERE, "/tmp", NOWHERE, 0, NOWHERE)
DENIED(mount_setattr, mount_setattr, -1, "", 0x7FFFFFFFu, NOWHERE, 32)
DENIED(move_pages, move_pages, 0, 0, 0, 0, 0, 0x7FFFFFFFu)
DENIED(name_to_handle_at, name_to_handle_at, -1, "", NOWHERE, NOWHERE, 0x40000000u)
DENIED(open_tree, open_tree, -1, "", 0x40000000u)
DENIED(perf_event_open, perf_event_open, NOWHERE, 0, -1, -1, ~0ul)
DENIED(quotactl, quotactl, 0xFF, NOWHERE, 0, 0)
DENIED(quotactl_fd, quotactl_fd, -1, 0, 0, 0)
DENIED(request_key, request_key, NOWHERE, NOWHERE, NOWHERE, 0)
DENIED(set_mempolicy, set_mempolicy, 9999, NOWHERE, 0)
DENIED(setns, setns, -1, 0)
DENIED(settimeofday, settimeofday, NOWHERE, 0)
DENIED(swapon, swapon, "", 0x7F000000)
DENIED(umount2, umount2, "", 0x40000000)
DENIED(userfaultfd, userfaultfd, 0x7FFFFFFF)
#ifdef SYS_ioperm
DENIED(ioperm, ioperm, ~0ul, 1, 1)
DENIED(iopl, iopl, 9)
#endif

// ---- calls that the list does not have

// A program falls back to fork and clone only after ENOSYS. (size 0: EINVAL)
static struct answer clone3(const char *argument)
{
    (void)argument;
    long value = syscall(SYS_clone3, NOWHERE, 0);
    int error = value < 0 ? errno : 0;
    if (error != ENOSYS)
        return answer_of_filter(-1, ENOSYS, "clone3(, 0)");
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return answer_of(child < 0, child < 0 ? "and fork fails too" : "", "clone3(, 0), then fork()");
}

// Of calls that came after the list was made. EPERM would look like a broken kernel to a program that tries
// the newest first.
static struct answer newer(const char *argument)
{
    (void)argument;
    // set_mempolicy_home_node, cachestat, fchmodat2, futex_requeue, statmount, listmount, mseal, none yet
    static const int calls[] = {450, 451, 452, 456, 457, 458, 462, 5000};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        long value = syscall(calls[i], -1l, NOWHERE, NOWHERE, -1l, -1l, -1l);
        if (value >= 0 || errno != ENOSYS)
            return answer_of_filter(value, ENOSYS, "syscall(%d, -1, …)", calls[i]);
    }
    return answer_of(false, "", "calls newer than the list: 450 to 462, 5000");
}

// ---- other entries to the same calls

static struct answer x32(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(0x40000000 | SYS_getpid), "getpid() by its x32 number");
}

static struct answer i386(const char *argument)
{
    (void)argument;
#ifdef __x86_64__
    long value;
    __asm__ volatile("int $0x80" : "=a"(value) : "a"(20 /* getpid */), "b"(-1), "c"(0), "d"(0) : "memory");
    bool answered = (int)value == getpid();
    errno = value < 0 && value > -4096 ? (int)-value : ENOSYS;
    return answer_of_call(answered ? 0 : -1, "int $0x80 with i386's getpid()");
#else
    return inapplicable("not an x86-64 kernel");
#endif
}

// ---- arguments

static const struct { const char *name; unsigned long flag; } kinds[] = {
    {"CLONE_NEWNS", CLONE_NEWNS},   {"CLONE_NEWCGROUP", CLONE_NEWCGROUP}, {"CLONE_NEWUTS", CLONE_NEWUTS},
    {"CLONE_NEWIPC", CLONE_NEWIPC}, {"CLONE_NEWUSER", CLONE_NEWUSER},     {"CLONE_NEWPID", CLONE_NEWPID},
    {"CLONE_NEWNET", CLONE_NEWNET},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

// CLONE_THREAD without CLONE_SIGHAND is EINVAL, before anything is made or permitted.
static struct answer clone_with(unsigned long more)
{
    for (size_t i = 0; i < KINDS; i++) {
        long value = syscall(SYS_clone, kinds[i].flag | CLONE_THREAD | more, 0, 0, 0, 0);
        if (value == 0)
            _exit(0);
        if (value > 0 || errno != EPERM)
            return answer_of_filter(value, EPERM, "clone(%s|CLONE_THREAD|0x%lx)", kinds[i].name, more);
    }
    return answer_of_filter(-1, EPERM, "clone(CLONE_NEW…|CLONE_THREAD|0x%lx), each of %d", more, KINDS);
}
static struct answer clone_flags(const char *argument) { (void)argument; return clone_with(0); }
// The kernel reads the lower 32 bits (CVE-2019-10063 was the same mistake with ioctl).
static struct answer clone_high(const char *argument) { (void)argument; return clone_with(0xF00000000ul); }

// 1 is no flag of unshare: EINVAL, before anything is permitted.
static struct answer unshare_flags(const char *argument)
{
    (void)argument;
    for (size_t i = 0; i <= KINDS; i++) {
        unsigned long flag = i < KINDS ? kinds[i].flag : 0x80 /* CLONE_NEWTIME */;
        long value = syscall(SYS_unshare, flag | 1);
        if (value >= 0 || errno != EPERM)
            return answer_of_filter(value, EPERM, "unshare(0x%lx|1)", flag);
    }
    return answer_of_filter(-1, EPERM, "unshare(CLONE_NEW…|1), each of %d", KINDS + 1);
}

// Type 15 is no type: EINVAL, after the family was looked at and before a socket is made.
static struct answer families(const char *argument)
{
    (void)argument;
    for (unsigned long high = 0; high <= 1; high++)
        for (unsigned long family = 0; family < 46; family++) {
            if (family == 1 || family == 2 || family == 10 || family == 16)
                continue; // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
            long value = syscall(SYS_socket, high << 32 | family, 15, 0);
            if (value >= 0 || errno != EAFNOSUPPORT)
                return answer_of_filter(value, EAFNOSUPPORT, "socket(0x%lx, 15, 0)", high << 32 | family);
        }
    return answer_of_filter(-1, errno, "socket(family, 15, 0), each family but four, with and without upper bits");
}

static struct answer terminal_request(unsigned long request)
{
    // Not a terminal, not even a descriptor: EBADF.
    long value = syscall(SYS_ioctl, -1, request, 0);
    return answer_of_filter(value, EPERM, "ioctl(-1, 0x%lx)", request);
}
static struct answer tiocsti(const char *argument) { (void)argument; return terminal_request(TIOCSTI); }
static struct answer tiocsti_high(const char *argument)
{
    (void)argument;
    return terminal_request(0x100000000ul | TIOCSTI);
}
static struct answer tioclinux(const char *argument) { (void)argument; return terminal_request(TIOCLINUX_); }
static struct answer tiocsetd(const char *argument) { (void)argument; return terminal_request(TIOCSETD_); }

// Modes that take protections away, plain, with the bit that means nothing, and with upper bits.
static struct answer personality_modes(const char *argument)
{
    (void)argument;
    static const unsigned long values[] = {0x400000, 0x100000, 0x200000, 0x80400000u, 0x100400000ul};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        long value = syscall(SYS_personality, values[i]);
        if (value >= 0)
            return answer_of_filter(value, EPERM, "personality(0x%lx)", values[i]);
    }
    return answer_of_filter(-1, EPERM, "personality(READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT)");
}

const struct probe filter_probes[] = {
#define D(name) {"filter." #name, deny_##name}
    D(add_key), D(adjtimex), D(bpf), D(clock_adjtime), D(clock_settime), D(fanotify_init), D(fsconfig),
    D(io_uring_enter), D(io_uring_register), D(io_uring_setup), D(kcmp), D(keyctl), D(mbind),
    D(migrate_pages), D(mount), D(mount_setattr), D(move_pages), D(name_to_handle_at), D(open_tree),
    D(perf_event_open), D(quotactl), D(quotactl_fd), D(request_key), D(set_mempolicy), D(setns),
    D(settimeofday), D(swapon), D(umount2), D(userfaultfd),
#ifdef SYS_ioperm
    D(ioperm), D(iopl),
#endif
    {"filter.clone3", clone3}, {"filter.x32", x32}, {"filter.i386", i386}, {"filter.newer-calls", newer}, {"filter.clone-flags", clone_flags},
    {"filter.clone-flags-high", clone_high}, {"filter.unshare-flags", unshare_flags},
    {"filter.socket-families", families}, {"filter.tiocsti", tiocsti},
    {"filter.tiocsti-high", tiocsti_high}, {"filter.tioclinux", tioclinux}, {"filter.tiocsetd", tiocsetd},
    {"filter.personality", personality_modes}, {0},
#undef D
};
