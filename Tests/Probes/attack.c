// Attacks by name, each tried once: `attack` runs all, `attack NAME...` those. Prints a line each:
// NAME open, NAME held ERRNO, or NAME skipped; `open` means that the attack succeeded. Run outside a
// slice, as root, it is the control: what is open there and held inside is held by the slice.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 255 // no errno

// An attack returns 0 when it succeeded, or the errno with which it was held off. It runs in a child.
typedef int attack(void);

static int result(long value) { return value < 0 ? errno : 0; }

// ---- namespaces

static int clone_flags(unsigned long flags) {
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return result(pid);
}
static int clone_user(void) { return clone_flags(CLONE_NEWUSER); }
static int clone_net(void) { return clone_flags(CLONE_NEWNET); }
// The kernel reads the lower 32 bits of the flags.
static int clone_user_high_bits(void) { return clone_flags(CLONE_NEWUSER | 0xF00000000ul); }
static int unshare_user(void) { return result(unshare(CLONE_NEWUSER)); }
static int unshare_mount(void) { return result(unshare(CLONE_NEWNS)); }
static int unshare_cgroup(void) { return result(unshare(CLONE_NEWCGROUP)); }
static int unshare_time(void) { return result(unshare(0x80)); }
static int clone3_user(void) {
    struct { uint64_t flags, rest[10]; } arguments = {.flags = CLONE_NEWUSER};
    long pid = syscall(SYS_clone3, &arguments, 88);
    if (pid == 0)
        _exit(0);
    return result(pid);
}
static int setns_init(void) {
    int fd = open("/proc/self/ns/uts", O_RDONLY);
    return fd < 0 ? errno : result(setns(fd, 0));
}
static int fork_works_not(void) { // the other way round: a slice must be able to
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? 0 : SKIPPED;
}

// ---- the filter's holes

static int x32(void) { return result(syscall(0x40000000 | SYS_getpid)); }
static int i386(void) {
#ifdef __x86_64__
    long value;
    __asm__ volatile("int $0x80" : "=a"(value) : "a"(20 /* getpid */) : "memory");
    errno = (int)-value;
    return value < 0 ? errno : 0;
#else
    return SKIPPED;
#endif
}
static int read_implies_exec(void) { return result(personality(0x0400000)); }
static int read_implies_exec_high(void) {
    return result(syscall(SYS_personality, 0x80000000u | 0x0400000)) ?:
           (personality(0xffffffff) & 0x0400000 ? 0 : EPERM);
}
static int personality_high_half(void) {
    return result(syscall(SYS_personality, 0x100000000ul | 0x0400000));
}
static int no_randomize(void) { return result(personality(0x0040000)) ? EPERM : SKIPPED; }
static int push_input(int request) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return errno;
    setsid();
    int slave = open(ptsname(master), O_RDWR);
    if (slave < 0)
        return errno;
    char byte = 'x';
    return result(syscall(SYS_ioctl, slave, (unsigned long)request, &byte));
}
static int tiocsti(void) { return push_input(TIOCSTI); }
static int tiocsti_high(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return errno;
    setsid();
    int slave = open(ptsname(master), O_RDWR);
    char byte = 'x';
    return result(syscall(SYS_ioctl, slave, 0x100000000ul | TIOCSTI, &byte));
}
static int tiocsetd(void) { int n = 0; int m = posix_openpt(O_RDWR | O_NOCTTY);
    return m < 0 ? errno : result(ioctl(m, TIOCSETD, &n)); }
static int new_syscall(void) { return result(syscall(5000)); }
static int family(int number) {
    int fd = socket(number, SOCK_DGRAM, 0);
    if (fd < 0 && errno != EAFNOSUPPORT) { fd = socket(number, SOCK_STREAM, 0); }
    if (fd < 0) fd = socket(number, SOCK_RAW, 0);
    if (fd < 0) fd = socket(number, SOCK_SEQPACKET, 0);
    return result(fd);
}
static int af_packet(void) { return family(17); }
static int af_alg(void) { return family(38); }
static int af_vsock(void) { return family(40); }
static int af_key(void) { return family(15); }
static int af_xdp(void) { return family(44); }
static int af_high(void) {
    return result(syscall(SYS_socket, 0x100000000ul | 17, SOCK_RAW, 0));
}
static int raw_inet(void) { return result(socket(AF_INET, SOCK_RAW, 1)); }
static int raw_inet6(void) { return result(socket(AF_INET6, SOCK_RAW, 58)); }
static int netlink_route_write(void) { // an address on lo: a network namespace that is ours
    struct { struct { uint32_t len; uint16_t type, flags; uint32_t seq, pid; } n;
             uint8_t family, prefix, flags, scope; uint32_t index;
             uint16_t l, t; uint32_t a; } m = {{sizeof m, 20, 0x605, 1, 0}, 2, 32, 0, 0, 1, 8, 2,
                                               0x0100007Eu};
    int fd = socket(16, SOCK_RAW, 0);
    if (fd < 0 || send(fd, &m, sizeof m, 0) < 0)
        return errno;
    struct { uint32_t len; uint16_t type, flags; uint32_t seq, pid; int32_t error; char r[512]; } a;
    if (recv(fd, &a, sizeof a, 0) < 0)
        return errno;
    return -a.error;
}
static int netlink_netfilter(void) { return result(socket(16, SOCK_RAW, 12)) ?: SKIPPED; }

// ---- calls that are closed

#define CALL(name, ...) static int name(void) { return result(syscall(__VA_ARGS__)); }
CALL(bpf, SYS_bpf, 0, "\1\0\0\0\4\0\0\0\4\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 48)
CALL(userfaultfd, SYS_userfaultfd, 1)
static int perf(void) { char a[128] = {1, 0, 0, 0, 112}; return result(syscall(SYS_perf_event_open, a, 0, -1, -1, 0)); }
CALL(io_uring, SYS_io_uring_setup, 4, (char[120]){0})
CALL(keyctl, SYS_keyctl, 0, -3, 1)
CALL(add_key, SYS_add_key, "user", "probe", "x", 1, -3)
CALL(fs_open, SYS_fsopen, "tmpfs", 0)
CALL(tree_open, SYS_open_tree, AT_FDCWD, "/", 1)
CALL(pivot, SYS_pivot_root, "/tmp", "/tmp")
CALL(syslog_read, SYS_syslog, 10, 0, 0)
CALL(kexec, SYS_kexec_load, 0, 0, 0, 0)
CALL(kcmp_self, SYS_kcmp, getpid(), getpid(), 0, 0, 0)
static int mount_tmpfs(void) { mkdir("/tmp/probe-m", 0700); int e = result(mount("x", "/tmp/probe-m", "tmpfs", 0, 0)); umount("/tmp/probe-m"); return e; }
static int umount_proc(void) { return access("/proc/1/exe", F_OK) ? result(umount2("/proc/sys", MNT_DETACH)) : SKIPPED; }
static int handle_at(void) {
    char b[256] = {0}; struct { unsigned bytes; int type; char f[128]; } *h = (void *)b; int id;
    h->bytes = 128;
    if (syscall(SYS_name_to_handle_at, AT_FDCWD, "/", h, &id, 0) < 0) {
        h->bytes = 8; h->type = 1; *(uint32_t *)h->f = 2; // ext4's root
    }
    return result(syscall(SYS_open_by_handle_at, AT_FDCWD, h, O_RDONLY));
}
static int mknod_disk(void) {
    unlink("/tmp/probe-d");
    int e = result(mknod("/tmp/probe-d", S_IFBLK | 0600, (dev_t)(254 << 8)));
    unlink("/tmp/probe-d");
    return e;
}
static int set_hostname(void) { char n[65]; gethostname(n, 65); return result(sethostname(n, strlen(n))); }
static int set_clock(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return result(clock_settime(CLOCK_REALTIME, &t)); }
static int realtime(void) { struct sched_param p = {1}; return result(sched_setscheduler(0, SCHED_FIFO, &p)); }
static int nice_up(void) { return result(syscall(SYS_setpriority, 0, 0, -10)); }
static int raise_files(void) { uint64_t l[2] = {1u << 20, 1u << 20}; return result(syscall(SYS_prlimit64, 0, 7, l, 0)); }

// ---- files

static int writable(const char *path) {
    int fd = open(path, O_WRONLY);
    return fd < 0 ? errno : 0;
}
static int core_pattern(void) { return writable("/proc/sys/kernel/core_pattern"); }
static int sysrq(void) { struct stat s; return stat("/proc/sysrq-trigger", &s) == 0 && s.st_rdev == 0x103 ? EROFS : writable("/proc/sysrq-trigger"); }
static int uevent(void) { return writable("/sys/kernel/uevent_helper"); }
static int sysctl_net(void) { return writable("/proc/sys/net/ipv4/ip_forward"); }
static int pressure(void) { return writable("/proc/pressure/cpu"); }
static int own_limits(void) { return writable("/sys/fs/cgroup/cgroup.max.depth") ?: writable("/sys/fs/cgroup/pids.max"); }
static int leave_cgroup(void) {
    int fd = open("/sys/fs/cgroup/../cgroup.procs", O_WRONLY);
    if (fd >= 0 && write(fd, "0", 1) < 0) return errno;
    return fd < 0 ? errno : access("/sys/fs/cgroup/cgroup.type", F_OK) == 0 ? EXDEV : 0;
}
static int cgroup_kill_own_root(void) { return writable("/sys/fs/cgroup/cgroup.kill"); }
static int init_memory(void) { int fd = open("/proc/1/mem", O_RDWR); return fd < 0 ? errno : 0; }
static int init_descriptors(void) { return access("/proc/1/fd/3", F_OK) ? errno : 0; }
static int init_root(void) { char b[64]; return readlink("/proc/1/root", b, 64) < 0 ? errno : 0; }
static int trace_init(void) { return result(syscall(SYS_ptrace, 16 /* ATTACH */, 1, 0, 0)); }
static int seize_init(void) { return result(syscall(SYS_ptrace, 0x4206, 1, 0, 0)); }
static int getfd_init(void) { int p = (int)syscall(SYS_pidfd_open, 1, 0); return p < 0 ? errno : result(syscall(SYS_pidfd_getfd, p, 3, 0)); }
static int kill_init(void) { kill(1, SIGKILL); usleep(20000); return (kill(1, 0) == 0 || errno == EPERM) && getpid() > 1 ? EPERM : 0; }
static int kernel_log(void) { char b[16]; int fd = open("/proc/kmsg", O_RDONLY | O_NONBLOCK); if (fd < 0) return errno; ssize_t n = read(fd, b, 16); return n > 0 ? 0 : n == 0 ? ENODATA : errno == EAGAIN ? 0 : errno; }
static int readable(const char *path) { char b[16]; int fd = open(path, O_RDONLY | O_NONBLOCK); if (fd < 0) return errno; return read(fd, b, 16) > 0 ? 0 : ENODATA; }
static int kallsyms(void) { return readable("/proc/kallsyms"); }
static int proc_keys(void) { return readable("/proc/key-users"); }
static int timers(void) { return readable("/proc/timer_list"); }
static int init_environment(void) { return readable("/proc/1/environ"); }
static int setuid_gain(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? EPERM : 0; }
static int capabilities_more(void) { for (int c = 0; c <= 41; c++) if ((c == 21 || c == 12 || c == 13 || c == 27 || c == 19) && prctl(PR_CAPBSET_READ, c) == 1) return 0; return EPERM; }
static int ambient(void) { for (int c = 0; c <= 41; c++) if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1) return 0; return EPERM; }
static int open_descriptors(void) { for (int fd = 3; fd < 1024; fd++) if (fcntl(fd, F_GETFD) >= 0) return 0; return EBADF; }
static int directory_outside(void) { char b[4096]; return syscall(SYS_getcwd, b, sizeof b) < 0 ? errno : b[0] == '/' ? EPERM : 0; }
static int abstract_socket(void) { // Tests run a listener of this name outside
    struct sockaddr_un a = {AF_UNIX, "\0slices-probe"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return result(connect(fd, (struct sockaddr *)&a, 2 + 13));
}
static int oom_score(void) { int fd = open("/proc/self/oom_score_adj", O_WRONLY); return fd < 0 ? errno : result(write(fd, "-500", 4)); }
static int uid_map(void) { int fd = open("/proc/self/uid_map", O_WRONLY); return fd < 0 ? errno : result(write(fd, "0 0 1", 5)); }
static int outside_uid(void) { return result(syscall(SYS_setresuid, 70000, 70000, 70000)); }
static int max_namespaces(void) { return writable("/proc/sys/user/max_user_namespaces"); }

static const struct { const char *name; attack *run; } attacks[] = {
#define A(n) {#n, n}
    A(clone_user), A(clone_net), A(clone_user_high_bits), A(unshare_user), A(unshare_mount),
    A(unshare_cgroup), A(unshare_time), A(clone3_user), A(setns_init), A(fork_works_not), A(x32),
    A(i386), A(read_implies_exec), A(read_implies_exec_high), A(personality_high_half),
    A(no_randomize), A(tiocsti), A(tiocsti_high), A(tiocsetd), A(new_syscall), A(af_packet), A(af_alg),
    A(af_vsock), A(af_key), A(af_xdp), A(af_high), A(raw_inet), A(raw_inet6), A(netlink_route_write),
    A(netlink_netfilter), A(bpf), A(userfaultfd), A(perf), A(io_uring), A(keyctl), A(add_key),
    A(fs_open), A(tree_open), A(pivot), A(syslog_read), A(kexec), A(kcmp_self), A(mount_tmpfs),
    A(umount_proc), A(handle_at), A(mknod_disk), A(set_hostname), A(set_clock), A(realtime),
    A(nice_up), A(raise_files), A(core_pattern), A(sysrq), A(uevent), A(sysctl_net), A(pressure),
    A(own_limits), A(leave_cgroup), A(cgroup_kill_own_root), A(init_memory), A(init_descriptors),
    A(init_root), A(trace_init), A(seize_init), A(getfd_init), A(kill_init), A(kernel_log),
    A(kallsyms), A(proc_keys), A(timers), A(init_environment), A(setuid_gain), A(capabilities_more),
    A(ambient), A(open_descriptors), A(directory_outside), A(abstract_socket), A(oom_score),
    A(uid_map), A(outside_uid), A(max_namespaces),
#undef A
};

// In a child, whose exit status is the answer: an attack may change or end its process.
static void try(const char *name, attack *run) {
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("%s held signal-%d\n", name, WTERMSIG(status));
    else if (WEXITSTATUS(status) == SKIPPED)
        printf("%s skipped\n", name);
    else if (WEXITSTATUS(status) == 0)
        printf("%s open\n", name);
    else
        printf("%s held %d %s\n", name, WEXITSTATUS(status), strerror(WEXITSTATUS(status)));
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        int wanted = argc == 1;
        for (int k = 1; k < argc; k++)
            wanted |= strcmp(argv[k], attacks[i].name) == 0;
        if (wanted)
            try(attacks[i].name, attacks[i].run);
    }
}
