// The kernel as a whole: its clock, its name, its modules, its log. Each is tried so that nothing would
// change: the kernel looks at the permission first and then refuses the arguments.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/resource.h>
#include <unistd.h>

// Tried with arguments that are refused for themselves, after the permission: any answer but EPERM and ENOSYS
// says that it was given.
static struct answer permitted(long value, const char *tried)
{
    int error = value < 0 ? errno : 0;
    bool held = value < 0 && (error == EPERM || error == ENOSYS);
    struct answer answer = answer_of(!held, held ? "" : "the kernel would do it for a right argument", "%s", tried);
    answer.error = error;
    return answer;
}

#define PERMITTED(name, tried, ...)                                   \
    static struct answer name(const char *argument)                   \
    {                                                                 \
        (void)argument;                                               \
        return permitted(syscall(__VA_ARGS__), tried);                \
    }

static struct answer clock_(const char *argument)
{
    (void)argument;
    struct timex change = {.modes = ADJ_TICK, .tick = 1};
    return permitted(syscall(SYS_adjtimex, &change), "adjtimex(a tick out of range)");
}
PERMITTED(load_module, "init_module(nothing)", SYS_init_module, (void *)8, 0ul, "")
PERMITTED(remove_module, "delete_module(none of that name)", SYS_delete_module, "slice-probe-none", O_NONBLOCK)
PERMITTED(reboot_, "reboot(wrong magic)", SYS_reboot, 1, 1, 1, (void *)0)
PERMITTED(swap, "swapoff(no such file)", SYS_swapoff, "/slice-probe-none")
PERMITTED(accounting, "acct(no such file)", SYS_acct, "/slice-probe-none")
#ifdef SYS_kexec_load
PERMITTED(kexec, "kexec_load(unknown flags)", SYS_kexec_load, 0ul, 0ul, (void *)0, 0xFFFF0000ul)
#endif
PERMITTED(domain, "setdomainname(a name too long)", SYS_setdomainname, "x", 4096)

static struct answer hostname(const char *argument)
{
    (void)argument;
    char name[65] = "";
    if (gethostname(name, sizeof name - 1) < 0)
        return failed("gethostname()");
    return answer_of_call(syscall(SYS_sethostname, name, strlen(name)), "sethostname(the same)");
}
static struct answer user_fault(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_userfaultfd, O_CLOEXEC), "userfaultfd()");
}
static struct answer program(const char *argument)
{
    (void)argument;
    // An array of one (bpf(2), BPF_MAP_CREATE), gone with this process.
    uint32_t attributes[18] = {2, 4, 4, 1};
    return answer_of_call(syscall(SYS_bpf, 0, attributes, sizeof attributes), "bpf(BPF_MAP_CREATE)");
}
static struct answer events(const char *argument)
{
    (void)argument;
    // A software clock of this process (perf_event_open(2)).
    uint32_t attributes[32] = {1, 128};
    return answer_of_call(syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0ul), "perf_event_open(PERF_COUNT_SW_CPU_CLOCK)");
}
static struct answer ring(const char *argument)
{
    (void)argument;
    uint32_t parameters[30] = {0};
    return answer_of_call(syscall(SYS_io_uring_setup, 4, parameters), "io_uring_setup(4)");
}
static struct answer realtime(const char *argument)
{
    (void)argument;
    // SCHED_FIFO, by the raw call: musl has none.
    struct { int priority; } parameters = {1};
    return answer_of_call(syscall(SYS_sched_setscheduler, 0, 1, &parameters), "sched_setscheduler(SCHED_FIFO)");
}
static struct answer nice_(const char *argument)
{
    (void)argument;
    return answer_of_call(setpriority(PRIO_PROCESS, 0, -10), "setpriority(-10)");
}

const struct probe system_probes[] = {
    {"system.clock", clock_},        {"system.load-module", load_module}, {"system.remove-module", remove_module},
    {"system.reboot", reboot_},      {"system.swap", swap},               {"system.accounting", accounting},
#ifdef SYS_kexec_load
    {"system.kexec", kexec},
#endif
    {"system.domain", domain},       {"system.hostname", hostname},       {"system.userfaultfd", user_fault},
    {"system.bpf", program},         {"system.perf", events},             {"system.io-uring", ring},
    {"system.realtime", realtime},   {"system.nice", nice_},              {0},
};
