// System calls and constants that Swift cannot import: variadic ones, macros, and those that
// glibc 2.36 has no wrapper for.
//
// Every function returns -1 with errno set on failure. Descriptors handed out are the caller's to
// close and close-on-exec; descriptors passed in stay the caller's.
#ifndef CKERNEL_H
#define CKERNEL_H

#include <stdint.h>
#include <sys/types.h>

// clone(2) namespace flags.
extern const uint64_t kernel_new_mount, kernel_new_pid, kernel_new_uts, kernel_new_ipc,
    kernel_new_net, kernel_new_cgroup, kernel_new_user;

// mount_setattr(2) attributes.
extern const uint64_t kernel_mount_readonly, kernel_mount_nosuid, kernel_mount_nodev,
    kernel_mount_noexec, kernel_mount_idmap;

// openat2(2) resolution.
extern const uint64_t kernel_resolve_in_root, kernel_resolve_beneath, kernel_resolve_no_magiclinks,
    kernel_resolve_no_symlinks, kernel_resolve_no_xdev;

// O_PATH of open(2).
extern const int kernel_path_only;

int kernel_openat2(int directory, const char *path, int flags, mode_t mode, uint64_t resolve);
// Reads the start of the file `name` in a directory, up to `size` bytes, in one read(2), as the
// kernel's pseudo-files give it; returns how many. `name` is never followed as a link.
ssize_t kernel_read_file_at(int directory, const char *name, void *buffer, size_t size);

// A detached copy of the mount at (directory, path), path "" meaning the descriptor itself; with
// `recursive` of all mounts below it too (open_tree(2) with OPEN_TREE_CLONE).
int kernel_clone_mount(int directory, const char *path, int recursive);
// Sets `attributes` on a detached mount and makes it private; with `user_namespace` >= 0 maps the
// owners of its files through that namespace (mount_setattr(2)); `recursive` as above.
int kernel_set_mount_attributes(int mount, uint64_t attributes, int user_namespace, int recursive);

// The root of a new procfs that is mounted nowhere (fsmount(2)).
int kernel_make_procfs(void);

int kernel_pidfd_open(pid_t pid);
int kernel_pidfd_signal(int pidfd, int signal);
// A copy of the process's descriptor `number` (pidfd_getfd(2)); for who may trace it.
int kernel_pidfd_descriptor(int pidfd, int number);
// Waits for a child by pidfd. `code` receives CLD_EXITED, CLD_KILLED or CLD_DUMPED, `status` the
// exit status or signal. With `no_hang`, returns 0 and code 0 when it still runs.
int kernel_pidfd_wait(int pidfd, int no_hang, int *code, int *status);

// unshare(2) for the calling thread.
int kernel_unshare(uint64_t namespaces);

// Magic number of the file system of an open file (statfs(2)).
int kernel_file_system_magic(int descriptor, int64_t *magic);

// The slave of a pseudo-terminal without a path lookup (ioctl_tty(2), TIOCGPTPEER); unlocks it, and has its
// line editing know UTF-8.
int kernel_terminal_slave(int master);
int kernel_terminal_resize(int master, uint16_t rows, uint16_t columns);

// A listening AF_UNIX SOCK_SEQPACKET socket at `path`, mode 0600; a stale one is replaced.
int kernel_listen_seqpacket(const char *path);
// EAGAIN, at once, when it has as many clients waiting as it takes.
int kernel_connect_seqpacket(const char *path);

// A set of descriptors to wait on for becoming readable (epoll(7)); each is known by a token and
// reported once.
int kernel_watch_create(void);
int kernel_watch_add(int watch, int descriptor, uint64_t token);
// Waits for any, -1: for ever. Returns how many tokens it filled in, up to `capacity`.
int kernel_watch_wait(int watch, uint64_t *tokens, int capacity, int timeout_ms);

// Tells of changes to files, pseudo-files that support it included (inotify(7)). A watch is known by the number
// that adding it returns.
int kernel_changes_create(void);
int kernel_changes_add(int changes, const char *path);
// Fine for a watch that the kernel has dropped with its file.
void kernel_changes_remove(int changes, int watch);
// Waits for changes. Returns how many watches it filled in, up to `capacity`; one may come twice, and -1 among
// them means that some were lost.
int kernel_changes_wait(int changes, int32_t *watches, int capacity);

// A program that lets the processes of a cgroup make and open the devices of a slice's /dev and no others.
// EINVAL: the kernel has no such programs (CONFIG_CGROUP_BPF).
int kernel_device_program(void);
// Puts it on a cgroup in place of one that is there; it goes with the cgroup.
int kernel_hold_devices(int program, int cgroup);

// prctl(PR_SET_DUMPABLE, 0): nobody else may trace this process or read its memory.
int kernel_forbid_tracing(void);
// prctl(PR_SET_NO_NEW_PRIVS).
int kernel_forbid_new_privileges(void);
// Takes every capability that is not in `mask` from the calling thread's permitted, effective and
// bounding sets, all from the inheritable and ambient ones. Needs CAP_SETPCAP.
int kernel_keep_capabilities(uint64_t mask);
// Loads a classic BPF program of `count` instructions as a seccomp filter of the calling thread.
int kernel_filter_calls(const void *instructions, uint16_t count);
// pipe2(2) with O_CLOEXEC.
int kernel_pipe(int32_t *read_end, int32_t *write_end);
// Locks an open file for this process (fcntl(2), F_SETLK): EAGAIN or EACCES when another has it. Not
// flock(2), whose lock a child that has not executed yet holds as well.
int kernel_lock_file(int descriptor);
// memfd_create(2) with MFD_CLOEXEC.
int kernel_memory_file(const char *name);
uint64_t kernel_device_number(uint32_t major, uint32_t minor);
// clock_gettime(CLOCK_REALTIME) in nanoseconds since 1970.
uint64_t kernel_now(void);
uint64_t kernel_monotonic(void);
// Sleeps for all of `seconds`, whatever signals come.
void kernel_sleep(uint32_t seconds);

#endif
