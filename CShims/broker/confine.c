#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker.h"

// All calls that may be made, with those below. What is missing here is as telling: no clone, execve or
// executable memory with which a flaw could become a program, no connect, no kill, no write into another process.
static const uint32_t calls[] = {
    // answering: seccomp_unotify(2)
    SYS_poll, SYS_ioctl,
    // the sockets, and the memory of those of AF_XDP
    SYS_memfd_create, SYS_ftruncate, SYS_munmap, SYS_socket, SYS_setsockopt, SYS_getsockopt, SYS_bind, SYS_recvfrom, SYS_close,
    // the target; the sweep
    SYS_process_vm_readv, SYS_pidfd_open, SYS_pidfd_getfd, SYS_openat, SYS_read, SYS_getdents64,
    SYS_fstat, SYS_newfstatat,
    // the supervisor, the slice's processes
    SYS_accept4, SYS_recvmsg, SYS_sendmsg, SYS_sendto,
    // itself
    SYS_clock_gettime, SYS_setitimer, SYS_rt_sigreturn, SYS_restart_syscall, SYS_exit_group,
};
enum { CALLS = sizeof calls / sizeof calls[0] };

// Calls that may be made where the lower half of an argument, less the bits of `ignored`, is one of two
// values. The kernel reads no more of these.
static const struct {
    uint32_t call, argument, ignored, values[2];
} judged[] = {
    {SYS_mmap, 2, PROT_READ | PROT_WRITE, {0, 0}}, // nothing that could be executed
    {SYS_fcntl, 1, 0, {F_ADD_SEALS, F_ADD_SEALS}},
    {SYS_bpf, 0, 0, {BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM}}, // of the map that it was given
};
enum { JUDGED = sizeof judged / sizeof judged[0], JUDGED_LENGTH = 7 };

static int filter_calls(void)
{
    struct sock_filter code[CALLS + JUDGED * JUDGED_LENGTH + 6];
    uint16_t length = 0;
    const uint32_t arch = offsetof(struct seccomp_data, arch), nr = offsetof(struct seccomp_data, nr);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch);
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr);
    for (unsigned i = 0; i < JUDGED; i++) {
        const uint32_t argument = offsetof(struct seccomp_data, args) + 8 * judged[i].argument;
        const struct sock_filter one[JUDGED_LENGTH] = {
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, judged[i].call, 0, JUDGED_LENGTH - 1),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
            BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~judged[i].ignored),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, judged[i].values[0], 1, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, judged[i].values[1], 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        memcpy(code + length, one, sizeof one);
        length += JUDGED_LENGTH;
    }
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
    // The second because memory that is pinned would else count against one bound for all slices, that of
    // the user who made them (RLIMIT_MEMLOCK, xdp_umem_account_pages()); it counts in the slice's cgroup.
    const uint32_t kept = 1u << CAP_NET_RAW | 1u << CAP_IPC_LOCK;
    const struct __user_cap_data_struct data[2] = {{.permitted = kept, .effective = kept}};
    return (int)syscall(SYS_capset, &header, data);
}

int confine(void)
{
    // Far more than it opens: the listeners, the slice's clients and what one of them asks for, and a few. But
    // it is also the bound for what all brokers have in flight (requests.c), which is for a thousand slices
    // that read nothing.
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return -1;
    const rlim_t most = files.rlim_max < 1 << 18 ? files.rlim_max : 1 << 18;
    files = (struct rlimit){.rlim_cur = most, .rlim_max = most};
    const struct rlimit none = {0};
    const struct rlimit memory = {.rlim_cur = SLICE_XDP_BYTES_MAX, .rlim_max = SLICE_XDP_BYTES_MAX};
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_FSIZE, &memory) < 0)
        return -1;
    if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return filter_calls();
}
