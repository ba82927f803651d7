// The parent's side of a launch.
#define _GNU_SOURCE
#include "include/claunch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../protocol/slice_report.h"
#include "child.h"
#include "raw.h"

// glibc 2.36 declares neither of these in a header that agrees with the kernel's.
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static void kill_and_reap(int pidfd) {
    siginfo_t info;
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
        ;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Reads the report: 0 at end of file, 1 with a report, -1 with errno (ETIMEDOUT).
static int read_report(int fd, int timeout_ms, struct slice_report *report) {
    const int64_t deadline = now_ms() + timeout_ms;
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int ready = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return -1;
        if (ready == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        ssize_t count = read(fd, report, sizeof *report);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            return 0;
        if (count != (ssize_t)sizeof *report) {
            errno = EPROTO;
            return -1;
        }
        return 1;
    }
}

// clone3(2) without CLONE_VM: returns the child's pid or a negative errno.
//
// The child is a member of the slice's cgroup. Whom the kernel kills there for memory takes along all that
// share its memory, wherever they are (mm/oom_kill.c, __oom_kill_process): a child that shared the caller's
// would let a slice that has none left kill the supervisor.
static long clone_child(struct clone_args *arguments, struct child_context *context) {
    long pid = raw(SYS_clone3, arguments, sizeof *arguments);
    if (pid == 0)
        child_main(context);
    return pid;
}

// Clones with the calling thread's future children placed in `pid_namespace` (-1: as they are).
// A thread left in the wrong one would put later children of the supervisor into a slice, so
// failing to come back ends the process.
static long clone_in_pid_namespace(const struct launch_plan *plan, struct clone_args *arguments,
                                   struct child_context *context) {
    if (plan->pid_namespace < 0)
        return clone_child(arguments, context);
    int own = open("/proc/thread-self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return -errno;
    long result;
    if (setns(plan->pid_namespace, CLONE_NEWPID) < 0) {
        result = -errno;
    } else {
        result = clone_child(arguments, context);
        if (setns(own, CLONE_NEWPID) < 0)
            abort();
    }
    close(own);
    return result;
}

// Has the plan's `listening` take the listener that the child has, as number `number`; then the child may
// go on. Returns 0 or errno.
static int hand_over(const struct launch_plan *plan, struct child_context *context, int pidfd,
                     pid_t pid, uint32_t number) {
    if (!plan->listening)
        return EPROTO;
    int listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    if (listener < 0)
        return errno;
    int error = plan->listening(plan->listening_context, listener, pid);
    if (error)
        return error;
    __atomic_store_n(&context->listener_taken, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &context->listener_taken, FUTEX_WAKE, 1, NULL, NULL, 0);
    return 0;
}

// Until the child has executed (0) or failed (errno, with `result` saying where).
static int await_outcome(const struct launch_plan *plan, struct child_context *context, int report,
                         int timeout_ms, int pidfd, pid_t pid, struct launch_result *result) {
    for (bool handed_over = false;; handed_over = true) {
        struct slice_report told = {0};
        int outcome = read_report(report, timeout_ms, &told);
        if (outcome < 0)
            result->stage = 0;
        if (outcome <= 0)
            return outcome < 0 ? errno : 0;
        result->stage = told.stage;
        result->index = told.index;
        if (told.stage != SLICE_STAGE_LISTENER || handed_over)
            return told.error > 0 ? told.error : EPROTO;
        int error = hand_over(plan, context, pidfd, pid, told.index);
        if (error)
            return error;
    }
}

// `context` lies in memory that the child has in common with this process.
static int run_with_context(const struct launch_plan *plan, int timeout_ms, int report[2],
                            struct child_context *context, struct launch_result *result) {
    *context = (struct child_context){.plan = plan, .report = report[1]};
#ifdef DEBUG
    const char *mutation = getenv("SLICES_MUTATION");
    launch_follows_links = mutation && strcmp(mutation, "path-resolution") == 0;
#endif
    int pidfd = -1;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | plan->namespaces,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    if (plan->cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)plan->cgroup;
    }
    long pid = clone_in_pid_namespace(plan, &arguments, context);
    close(report[1]);
    report[1] = -1;
    if (pid < 0)
        return (int)-pid;

    int error = await_outcome(plan, context, report[0], timeout_ms, pidfd, (pid_t)pid, result);
    if (error) {
        kill_and_reap(pidfd);
        close(pidfd);
    } else {
        result->pid = (pid_t)pid;
        result->pidfd = pidfd;
    }
    return error;
}

static int run_with_pipe(const struct launch_plan *plan, int timeout_ms, int report[2],
                         struct launch_result *result) {
    struct child_context *context = mmap(NULL, sizeof *context, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (context == MAP_FAILED)
        return errno;
    int error = run_with_context(plan, timeout_ms, report, context, result);
    munmap(context, sizeof *context);
    return error;
}

int launch_run(const struct launch_plan *plan, int timeout_ms, struct launch_result *result) {
    *result = (struct launch_result){.pidfd = -1};
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return errno;
    // A signal handler must not run in the child, which is a copy of one thread among many.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = run_with_pipe(plan, timeout_ms, report, result);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[0]);
    if (report[1] >= 0)
        close(report[1]);
    return error;
}
