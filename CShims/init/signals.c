#define _GNU_SOURCE
#include "signals.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's struct sigaction is at most this long on every architecture; zeroes are SIG_DFL.
static const uint64_t default_action[8];

static int set_mask(uint64_t mask)
{
    return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

int signals_default(void)
{
    for (int signal = 1; signal <= SIGNALS_COUNT; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP)
            continue;
        if (syscall(SYS_rt_sigaction, signal, default_action, NULL, sizeof(uint64_t)) < 0)
            return -1;
    }
    return 0;
}

int signals_take(void)
{
    uint64_t all = UINT64_MAX;
    if (set_mask(all) < 0)
        return -1;
    return (int)syscall(SYS_signalfd4, -1, &all, sizeof all, SFD_CLOEXEC | SFD_NONBLOCK);
}

int signals_next(int descriptor)
{
    struct signalfd_siginfo information;
    if (read(descriptor, &information, sizeof information) != sizeof information)
        return 0;
    return (int)information.ssi_signo;
}

int signals_release(void)
{
    return set_mask(0);
}

bool signals_forwarded(int signal)
{
    switch (signal) {
    case SIGCHLD:
    case SIGTERM:
    case SIGINT:
    case SIGPIPE:
    case SIGILL:
    case SIGTRAP:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGSYS:
    case SIGXCPU:
    case SIGXFSZ:
        return false;
    default:
        return signal >= 1 && signal <= SIGNALS_COUNT;
    }
}
