#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

const uint64_t kernel_new_mount = CLONE_NEWNS, kernel_new_pid = CLONE_NEWPID,
               kernel_new_uts = CLONE_NEWUTS, kernel_new_ipc = CLONE_NEWIPC,
               kernel_new_net = CLONE_NEWNET, kernel_new_cgroup = CLONE_NEWCGROUP,
               kernel_new_user = CLONE_NEWUSER;
const uint64_t kernel_mount_readonly = MOUNT_ATTR_RDONLY, kernel_mount_nosuid = MOUNT_ATTR_NOSUID,
               kernel_mount_nodev = MOUNT_ATTR_NODEV, kernel_mount_noexec = MOUNT_ATTR_NOEXEC,
               kernel_mount_idmap = MOUNT_ATTR_IDMAP;
const uint64_t kernel_resolve_in_root = RESOLVE_IN_ROOT, kernel_resolve_beneath = RESOLVE_BENEATH,
               kernel_resolve_no_magiclinks = RESOLVE_NO_MAGICLINKS,
               kernel_resolve_no_symlinks = RESOLVE_NO_SYMLINKS,
               kernel_resolve_no_xdev = RESOLVE_NO_XDEV;

const int kernel_path_only = O_PATH;

int kernel_openat2(int directory, const char *path, int flags, mode_t mode, uint64_t resolve) {
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .mode = mode,
                           .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

ssize_t kernel_read_file_at(int directory, const char *name, void *buffer, size_t size) {
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file == -1)
        return -1;
    ssize_t count;
    do
        count = read(file, buffer, size);
    while (count == -1 && errno == EINTR);
    int number = errno;
    close(file);
    errno = number;
    return count;
}

int kernel_clone_mount(int directory, const char *path, int recursive) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW;
    if (path[0] == 0)
        flags |= AT_EMPTY_PATH;
    if (recursive)
        flags |= AT_RECURSIVE;
    return (int)syscall(SYS_open_tree, directory, path, flags);
}

int kernel_set_mount_attributes(int mount, uint64_t attributes, int user_namespace,
                                int recursive) {
    struct mount_attr attr = {.attr_set = attributes, .propagation = 1 << 18 /* MS_PRIVATE */};
    if (user_namespace >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t)user_namespace;
    }
    return (int)syscall(SYS_mount_setattr, mount, "",
                        AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr);
}

int kernel_make_procfs(void) {
    int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
    if (context < 0)
        return -1;
    int mount = -1;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
                             MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    int number = errno;
    close(context);
    errno = number;
    return mount;
}

int kernel_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int kernel_pidfd_descriptor(int pidfd, int number) {
    return (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
}

int kernel_pidfd_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int kernel_pidfd_wait(int pidfd, int no_hang, int *code, int *status) {
    siginfo_t info = {0};
    int result;
    do
        result = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | (no_hang ? WNOHANG : 0));
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return -1;
    *code = info.si_pid ? info.si_code : 0;
    *status = info.si_pid ? info.si_status : 0;
    return 0;
}

int kernel_unshare(uint64_t namespaces) { return unshare((int)namespaces); }

int kernel_file_system_magic(int descriptor, int64_t *magic) {
    struct statfs info;
    if (fstatfs(descriptor, &info) < 0)
        return -1;
    *magic = info.f_type;
    return 0;
}

int kernel_terminal_slave(int master) {
    int unlocked = 0;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -1;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios modes;
    // So that a backspace takes a character, not a byte of it.
    if (slave >= 0 && tcgetattr(slave, &modes) == 0) {
        modes.c_iflag |= IUTF8;
        tcsetattr(slave, TCSANOW, &modes);
    }
    return slave;
}

int kernel_terminal_resize(int master, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(master, TIOCSWINSZ, &size);
}

static int seqpacket(const char *path, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address->sun_path, path);
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int close_failed(int fd) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int kernel_listen_seqpacket(const char *path) {
    struct sockaddr_un address;
    int fd = seqpacket(path, &address);
    if (fd < 0)
        return -1;
    if (unlink(path) < 0 && errno != ENOENT)
        return close_failed(fd);
    // The mode of the socket file is the descriptor's at bind time less the umask (unix(7)).
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 8) < 0)
        return close_failed(fd);
    return fd;
}

int kernel_connect_seqpacket(const char *path) {
    struct sockaddr_un address;
    int fd = seqpacket(path, &address);
    if (fd < 0)
        return -1;
    // A listener that takes no more, frozen for instance, must not hold us: EAGAIN (unix(7)).
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        fcntl(fd, F_SETFL, flags) < 0)
        return close_failed(fd);
    return fd;
}

int kernel_forbid_tracing(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
int kernel_forbid_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int kernel_keep_capabilities(uint64_t mask) {
    for (int number = 0; number < 64; number++) {
        // The highest number that this kernel knows is found by asking.
        if (mask & 1ull << number || prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL && number > CAP_LAST_CAP)
            break;
        return -1;
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    for (int word = 0; word < 2; word++) {
        data[word].permitted &= (uint32_t)(mask >> 32 * word);
        data[word].effective = data[word].permitted;
        data[word].inheritable = 0;
    }
    return (int)syscall(SYS_capset, &header, data);
}

int kernel_filter_calls(const void *instructions, uint16_t count) {
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)instructions};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int kernel_lock_file(int descriptor) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(descriptor, F_SETLK, &lock);
}
int kernel_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

uint64_t kernel_device_number(uint32_t major, uint32_t minor) { return makedev(major, minor); }

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t kernel_now(void) { return read_clock(CLOCK_REALTIME); }
uint64_t kernel_monotonic(void) { return read_clock(CLOCK_MONOTONIC); }

void kernel_sleep(uint32_t seconds) {
    struct timespec left = {.tv_sec = seconds};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

int kernel_pipe(int32_t *read_end, int32_t *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int kernel_watch_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int kernel_watch_add(int watch, int descriptor, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = token};
    return epoll_ctl(watch, EPOLL_CTL_ADD, descriptor, &event);
}

int kernel_watch_wait(int watch, uint64_t *tokens, int capacity, int timeout_ms) {
    struct epoll_event events[64];
    int count;
    do
        count = epoll_wait(watch, events, capacity < 64 ? capacity : 64, timeout_ms);
    while (count < 0 && errno == EINTR);
    for (int i = 0; i < count; i++)
        tokens[i] = events[i].data.u64;
    return count;
}

int kernel_changes_create(void) { return inotify_init1(IN_CLOEXEC); }

int kernel_changes_add(int changes, const char *path) {
    return inotify_add_watch(changes, path, IN_MODIFY);
}

void kernel_changes_remove(int changes, int watch) { inotify_rm_watch(changes, watch); }

int kernel_changes_wait(int changes, int32_t *watches, int capacity) {
    // Files are watched, not directories, so no event carries a name.
    struct inotify_event events[64];
    size_t size = (size_t)(capacity < 64 ? capacity : 64) * sizeof events[0];
    ssize_t length;
    do
        length = read(changes, events, size);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -1;
    int count = (int)((size_t)length / sizeof events[0]);
    for (int i = 0; i < count; i++)
        watches[i] = events[i].mask & IN_Q_OVERFLOW ? -1 : events[i].wd;
    return count;
}
