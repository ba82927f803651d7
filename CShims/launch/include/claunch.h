// Starts a process from a flat plan: the part of a launch that Swift cannot do.
//
// Between clone and exec a child of a multi-threaded process may call neither malloc nor anything
// else that takes a lock. So the parent compiles everything into a `struct launch_plan` of plain values, open descriptors
// and C strings; the child walks it with raw system calls and reports the first that failed.
//
// Threads: every function may be called from any thread at once. Ownership: nothing is taken;
// descriptors and memory of a plan stay the caller's and must live until the call returns.
#ifndef CLAUNCH_H
#define CLAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What one operation does; the names of its fields that count are in parentheses. A `target` is a
// path inside the new root, resolved there without following any symbolic link, unless the
// operation says otherwise.
enum launch_operation_kind {
    // setns(2) to (descriptor) with the CLONE_NEW* flags of (value).
    LAUNCH_SETNS = 1,
    // unshare(2) with the CLONE_NEW* flags of (value).
    LAUNCH_UNSHARE,
    // Makes every mount private, so that nothing propagates out or in.
    LAUNCH_PRIVATE_MOUNTS,
    // Mounts a new file system of type (text) with (options) and MOUNT_ATTR_* (value) on the host
    // path (target): for the staging area, before there is a root.
    LAUNCH_MOUNT_HOST,
    // Makes the directory (target), a host path, with permissions (value).
    LAUNCH_MAKE_HOST_DIRECTORY,
    // Attaches the detached mount (descriptor) to the host path (target).
    LAUNCH_ATTACH_HOST,
    // From here on targets are resolved in the directory at the host path (target).
    LAUNCH_SET_ROOT,
    // As LAUNCH_MOUNT_HOST, on (target) in the root.
    LAUNCH_MOUNT,
    // Attaches the detached mount (descriptor) to (target) in the root.
    LAUNCH_ATTACH,
    // Directory (target) with permissions (value); one that exists is left as it is.
    LAUNCH_MAKE_DIRECTORY,
    // Symbolic link (target) with the text (text).
    LAUNCH_MAKE_SYMLINK,
    // Character device (target) with permissions (value) and number (device).
    LAUNCH_MAKE_DEVICE,
    // Hides the file (target) behind a bind mount of the file (text), both in the root.
    LAUNCH_MASK_FILE,
    // Hides the directory (target) behind a bind mount of the directory at the host path (text), with
    // MOUNT_ATTR_* (value).
    LAUNCH_MASK_DIRECTORY,
    // Mounts (target) on itself with MOUNT_ATTR_* (value), which include MOUNT_ATTR_RDONLY.
    LAUNCH_REMOUNT,
    // pivot_root(2) into the root; the old one is detached; working directory /.
    LAUNCH_PIVOT,
    // sethostname(2) to (text).
    LAUNCH_HOSTNAME,
    // Writes (text) to the file (target), a path as the process sees it now.
    LAUNCH_WRITE,
    // prlimit(2): resource (device), soft limit (value), hard limit (other).
    LAUNCH_RLIMIT,
    // setgroups(0), then user and group id (value) as seen in the user namespace joined.
    LAUNCH_IDENTITY,
    // Leaves exactly the capabilities of (value), a mask, in the bounding, permitted and effective
    // sets; empties the inheritable and ambient ones.
    LAUNCH_CAPABILITIES,
    // prctl(PR_SET_NO_NEW_PRIVS).
    LAUNCH_NO_NEW_PRIVILEGES,
    // Loads (filter) as a seccomp filter.
    LAUNCH_SECCOMP,
    // setsid(2).
    LAUNCH_NEW_SESSION,
    // Loads (filter) with a listener, seccomp_unotify(2), and waits until `launch_plan.listening`, if
    // there is one, has had it. Afterwards the child has it as descriptor (value), left open for the
    // executable; with 0 it is closed there. At most one in a plan.
    LAUNCH_SECCOMP_ASKING,
};

// Bits of `struct launch_operation.flags`.
enum launch_operation_flag {
    // A target that does not exist is no error: there is nothing to hide.
    LAUNCH_IF_PRESENT = 1,
};

// One key of a file system's configuration; value NULL sets a flag (fsconfig(2)).
struct launch_option {
    const char *key;
    const char *value;
};

// A classic BPF program as seccomp(2) takes it.
struct launch_filter {
    const void *instructions; // struct sock_filter[]
    uint16_t count;
};

struct launch_operation {
    uint32_t kind; // enum launch_operation_kind
    uint32_t flags; // enum launch_operation_flag
    int32_t descriptor;
    uint32_t option_count;
    const char *target;
    const char *text;
    const struct launch_option *options;
    uint64_t value;
    uint64_t other;
    uint64_t device;
    struct launch_filter filter;
};

struct launch_plan {
    const struct launch_operation *operations;
    uint32_t operation_count;
    // New namespaces for the child, CLONE_NEW* of clone(2). Never CLONE_NEWUSER.
    uint64_t namespaces;
    // Directory of the cgroup v2 that the child is born into; -1: the parent's.
    int32_t cgroup;
    // PID namespace that the child is born into, a descriptor; -1: the parent's.
    int32_t pid_namespace;
    // The child's descriptor i is a copy of kept[i]; every other one is closed. The report pipe
    // follows as number `kept_count`.
    const int32_t *kept;
    uint32_t kept_count;
    // Whether the executable gets the report pipe too: it then reports its own failures there and
    // must close it (slice-init does, once the service is executed). Otherwise a successful exec
    // closes it.
    uint32_t report_inherited;
    // Executed by descriptor: readable or O_PATH, close-on-exec.
    int32_t executable;
    char *const *arguments;   // NULL at the end
    char *const *environment; // NULL at the end
    // For LAUNCH_SECCOMP_ASKING; may be NULL: called once, by the thread that runs the
    // plan, while the child waits. `listener` is the callee's to close, `pid` the child in the caller's PID
    // namespace. An errno that it returns makes the launch fail with it; 0: go on.
    int (*listening)(void *context, int listener, pid_t pid);
    void *listening_context;
};

// At most this many descriptors in `kept`.
#define LAUNCH_KEPT_MAXIMUM 16

struct launch_result {
    pid_t pid;     // in the caller's PID namespace
    int32_t pidfd; // the caller's to close; -1 after a failure
    // After a failure, where: 0 in the parent, else enum slice_stage of slice_report.h;
    // SLICE_STAGE_LISTENER: `listening` has failed, or what it is given could not be had.
    uint32_t stage;
    uint32_t index; // of the operation, at SLICE_STAGE_PLAN
};

// Index reported by the C child for what comes after the last operation.
#define LAUNCH_INDEX_DESCRIPTORS 0xFFFFFFF0u
#define LAUNCH_INDEX_EXEC 0xFFFFFFF1u
#define LAUNCH_INDEX_PREPARE 0xFFFFFFF2u

// Runs the plan. Returns 0 once the report pipe was closed without a word (success; the process is the caller's child and must be waited for), or the errno of the failed step with
// `result` saying which; the failed child has then been reaped.
// Blocks until then; `timeout_ms` bounds it (ETIMEDOUT: the child is killed and reaped).
// Preconditions: root in the initial user namespace; the caller holds no lock that a signal
// handler needs. All signals are blocked in the calling thread meanwhile.
int launch_run(const struct launch_plan *plan, int timeout_ms, struct launch_result *result);

// Makes a user namespace in which id n is id first + n of the caller's, for n below count, and in
// which no further namespace of any kind can be made. `descriptor` receives it, close-on-exec.
// `procfs` is the root of one in which nobody has looked up sysctls of other user namespaces, among
// which the kernel would search one by one.
// Returns 0 or errno; `step` then names the call that failed (static text).
int launch_user_namespace(
    int procfs, uint32_t first, uint32_t count, int *descriptor, const char **step);

#endif
