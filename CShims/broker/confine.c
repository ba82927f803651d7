#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker.h"

// All calls that may be made. What is missing here is as telling: no clone, execve or mmap with
// which a flaw could become a program, no connect, no kill, no write into another process.
static const uint32_t calls[] = {
    // answering: seccomp_unotify(2)
    SYS_poll, SYS_ioctl,
    // the sockets
    SYS_socket, SYS_setsockopt, SYS_getsockopt, SYS_bind, SYS_recvfrom, SYS_close,
    // the target; the sweep
    SYS_process_vm_readv, SYS_pidfd_open, SYS_pidfd_getfd, SYS_openat, SYS_read, SYS_getdents64,
    SYS_fstat, SYS_newfstatat,
    // the supervisor
    SYS_accept4, SYS_recvmsg, SYS_sendto,
    // itself
    SYS_clock_gettime, SYS_rt_sigreturn, SYS_restart_syscall, SYS_exit_group,
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static int filter_calls(void)
{
    struct sock_filter code[CALLS + 6];
    uint16_t length = 0;
    const uint32_t arch = offsetof(struct seccomp_data, arch), nr = offsetof(struct seccomp_data, nr);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch);
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr);
    for (unsigned i = 0; i < CALLS; i++)
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i],
                                                      (uint8_t)(CALLS - i), 0);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = length, .filter = code};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static int drop_capabilities(void)
{
    // The highest number that this kernel knows is found by asking.
    for (int number = 0; number < 64; number++)
        if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0) {
            if (errno == EINVAL && number > CAP_LAST_CAP)
                break;
            return -1;
        }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {
        {.permitted = 1u << CAP_NET_RAW, .effective = 1u << CAP_NET_RAW},
    };
    return (int)syscall(SYS_capset, &header, data);
}

int confine(void)
{
    // The listeners, the few that it has open beside them, one for a socket, one for a thread.
    const struct rlimit files = {.rlim_cur = LISTENERS + 32, .rlim_max = LISTENERS + 32}, none = {0};
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_FSIZE, &none) < 0)
        return -1;
    if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return filter_calls();
}
