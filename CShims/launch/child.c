// Runs between clone and exec, in a copy of a multi-threaded parent's memory, whose locks may be held by
// threads that are not here: raw system calls alone, no libc function.
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/prctl.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "../protocol/slice_report.h"
#include "raw.h"

struct walk {
    const struct launch_plan *plan;
    int report;
    int root; // O_PATH descriptor of the new root; -1 before LAUNCH_SET_ROOT
    uint32_t *listener_taken;
};

// Without CLONE_FILES: closing here leaves the parent's descriptors alone.
static void close_fd(int fd) { raw(SYS_close, fd); }

static unsigned long length(const char *text) {
    unsigned long count = 0;
    while (text[count])
        count++;
    return count;
}

static __attribute__((noreturn)) void fail(const struct walk *walk, uint32_t index, long error) {
    struct slice_report report = {.stage = SLICE_STAGE_PLAN, .index = index,
                                  .error = (int32_t)-error};
    raw(SYS_write, walk->report, &report, sizeof report);
    for (;;)
        raw(SYS_exit_group, 127);
}

// ---- paths -----------------------------------------------------------------------------------

#ifdef DEBUG
// For tests of the conformance suite (Sources/SliceModel/Mutation.swift): set before the child is made.
int launch_follows_links;
#endif

// Opens `path` below `root` as openat2(2) with no way out and no link followed: a path in an image
// is hostile, and everything that is a target here is a place that the runtime rules.
static long open_inside(int root, const char *path, uint64_t flags, uint64_t mode) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS};
#ifdef DEBUG
    if (launch_follows_links)
        how.resolve = 0;
#endif
    return raw(SYS_openat2, root, path, &how, sizeof how);
}

// Opens the directory that holds the last component of `path`; `*last` points at the component.
static long open_parent(int root, const char *path, const char **last) {
    char directory[4096];
    unsigned long end = length(path);
    if (end >= sizeof directory)
        return -EINVAL;
    while (end > 0 && path[end - 1] != '/')
        end--;
    *last = path + end;
    if (end == 0)
        return raw(SYS_fcntl, root, F_DUPFD_CLOEXEC, 0);
    for (unsigned long i = 0; i < end; i++)
        directory[i] = path[i];
    directory[end - 1] = 0;
    return open_inside(root, directory, O_PATH | O_DIRECTORY, 0);
}

// ---- mounts ----------------------------------------------------------------------------------

// A new, detached mount; returns its descriptor.
static long new_mount(const struct launch_operation *op) {
    long context = raw(SYS_fsopen, op->text, FSOPEN_CLOEXEC);
    if (context < 0)
        return context;
    long result = 0;
    for (uint32_t i = 0; i < op->option_count && result >= 0; i++) {
        const struct launch_option *option = &op->options[i];
        result = raw(SYS_fsconfig, context, option->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
                     option->key, option->value, 0);
    }
    if (result >= 0)
        result = raw(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    if (result >= 0)
        result = raw(SYS_fsmount, context, FSMOUNT_CLOEXEC, op->value);
    close_fd((int)context);
    return result;
}

static long attach_at(long mount, long place) {
    return raw(SYS_move_mount, mount, "", place, "",
               MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static long attach_inside(const struct walk *walk, long mount, const char *target) {
    long place = open_inside(walk->root, target, O_PATH, 0);
    if (place < 0)
        return place;
    long result = attach_at(mount, place);
    close_fd((int)place);
    return result;
}

static long mount_host(const struct launch_operation *op) {
    long mount = new_mount(op);
    if (mount < 0)
        return mount;
    long result =
        raw(SYS_move_mount, mount, "", AT_FDCWD, op->target, MOVE_MOUNT_F_EMPTY_PATH);
    close_fd((int)mount);
    return result;
}

static long mount_inside(const struct walk *walk, const struct launch_operation *op) {
    // The place first: with LAUNCH_IF_PRESENT its absence must not be confused with the errors of
    // making the file system.
    long place = open_inside(walk->root, op->target, O_PATH | O_DIRECTORY, 0);
    if (place < 0)
        return place == -ENOENT && (op->flags & LAUNCH_IF_PRESENT) ? 0 : place;
    long mount = new_mount(op);
    if (mount >= 0) {
        long result = attach_at(mount, place);
        close_fd((int)mount);
        mount = result;
    }
    close_fd((int)place);
    return mount;
}

// Clones what is at `source` into a detached mount with
// `attributes` and attaches it at `place`.
static long bind_over(int source, uint64_t attributes, long place) {
    long clone = raw(SYS_open_tree, source, "",
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (clone < 0)
        return clone;
    struct mount_attr attr = {.attr_set = attributes};
    long result = attributes ? raw(SYS_mount_setattr, clone, "", AT_EMPTY_PATH, &attr,
                                   sizeof attr)
                             : 0;
    if (result >= 0)
        result = attach_at(clone, place);
    close_fd((int)clone);
    return result;
}

// What an operation binds over its target, of which `place` is a descriptor.
static long open_source(const struct walk *walk, const struct launch_operation *op, long place) {
    switch (op->kind) {
    case LAUNCH_MASK_FILE:
        return open_inside(walk->root, op->text, O_PATH, 0);
    case LAUNCH_MASK_DIRECTORY:
        return raw(SYS_openat, AT_FDCWD, op->text, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    default: // LAUNCH_REMOUNT: the target itself
        return place;
    }
}

static long bind_inside(const struct walk *walk, const struct launch_operation *op) {
    long place = open_inside(walk->root, op->target, O_PATH, 0);
    if (place < 0)
        return place == -ENOENT && (op->flags & LAUNCH_IF_PRESENT) ? 0 : place;
    long source = open_source(walk, op, place);
    long result = source < 0 ? source : bind_over((int)source, op->value, place);
    if (source >= 0 && source != place)
        close_fd((int)source);
    close_fd((int)place);
    return result;
}

static long set_root(struct walk *walk, const struct launch_operation *op) {
    long root = raw(SYS_openat, AT_FDCWD, op->target,
                    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return root;
    walk->root = (int)root;
    return 0;
}

static long pivot(const struct walk *walk) {
    long result = raw(SYS_fchdir, walk->root);
    // pivot_root(".", ".") stacks the old root on the new one (pivot_root(2), NOTES), so that no
    // directory for it is needed in the image.
    if (result >= 0)
        result = raw(SYS_pivot_root, ".", ".");
    if (result >= 0)
        result = raw(SYS_umount2, ".", 2 /* MNT_DETACH: sys/mount.h clashes with linux/mount.h */);
    if (result >= 0)
        result = raw(SYS_chdir, "/");
    return result;
}

// ---- files -----------------------------------------------------------------------------------

static long make_directory(const struct walk *walk, const struct launch_operation *op) {
    const char *name;
    long parent = open_parent(walk->root, op->target, &name);
    if (parent < 0)
        return parent;
    long result = raw(SYS_mkdirat, parent, name, op->value);
    if (result == -EEXIST) {
        // What is there must be a directory, and not by way of a link.
        result = open_inside((int)parent, name, O_PATH | O_DIRECTORY, 0);
        if (result >= 0)
            close_fd((int)result);
    }
    close_fd((int)parent);
    return result;
}

static long make_node(const struct walk *walk, const struct launch_operation *op) {
    const char *name;
    long parent = open_parent(walk->root, op->target, &name);
    if (parent < 0)
        return parent;
    long result = op->kind == LAUNCH_MAKE_SYMLINK
                      ? raw(SYS_symlinkat, op->text, parent, name)
                      : raw(SYS_mknodat, parent, name, S_IFCHR | op->value, op->device);
    // The umask does not apply to a link, and must not apply to a device.
    if (result >= 0 && op->kind == LAUNCH_MAKE_DEVICE)
        result = raw(SYS_fchmodat, parent, name, op->value);
    close_fd((int)parent);
    return result;
}

static long write_file(const struct launch_operation *op) {
    long file = raw(SYS_openat, AT_FDCWD, op->target, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return file;
    long size = (long)length(op->text);
    long written = raw(SYS_write, file, op->text, size);
    close_fd((int)file);
    return written < 0 ? written : written == size ? 0 : -EIO;
}

// ---- privileges ------------------------------------------------------------------------------

static long set_identity(uint64_t id) {
    long result = raw(SYS_setgroups, 0, 0);
    if (result >= 0)
        result = raw(SYS_setresgid, id, id, id);
    if (result >= 0)
        result = raw(SYS_setresuid, id, id, id);
    // The kernel makes it what fs.suid_dumpable says when ids change (proc(5)); see child_main().
    if (result >= 0)
        result = raw(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    return result;
}

static long set_capabilities(uint64_t mask) {
    // The highest number that this kernel knows is found by asking: EINVAL ends the list.
    for (int cap = 0; cap < 64; cap++) {
        if (mask & (1ull << cap))
            continue;
        long result = raw(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        if (result == -EINVAL && cap > CAP_LAST_CAP)
            break;
        if (result < 0)
            return result;
    }
    long result = raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (result < 0)
        return result;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.permitted = (uint32_t)mask, .effective = (uint32_t)mask},
        {.permitted = (uint32_t)(mask >> 32), .effective = (uint32_t)(mask >> 32)},
    };
    return raw(SYS_capset, &header, data);
}

static long set_filter(const struct launch_filter *filter) {
    struct sock_fprog program = {.len = filter->count,
                                 .filter = (struct sock_filter *)filter->instructions};
    return raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

// Waits until the parent has taken the listener: a futex in memory that is shared with it. A parent that
// gives up kills this process.
static long await_taking(const struct walk *walk, int listener) {
    struct slice_report report = {.stage = SLICE_STAGE_LISTENER, .index = (uint32_t)listener};
    long written = raw(SYS_write, walk->report, &report, sizeof report);
    if (written != sizeof report)
        return written < 0 ? written : -EIO;
    // A parent that is killed can't tell.
    static const struct {
        int64_t seconds, nanoseconds;
    } longest = {.seconds = 60};
    while (__atomic_load_n(walk->listener_taken, __ATOMIC_ACQUIRE) == 0)
        if (raw(SYS_futex, walk->listener_taken, FUTEX_WAIT, 0, &longest) == -ETIMEDOUT)
            return -ETIMEDOUT;
    return 0;
}

// The wait for an answer can be ended by nothing but a signal that kills (WAIT_KILLABLE_RECV), once
// somebody has begun to answer: no call is asked twice, and no socket of a broker's is lost.
static long set_asking_filter(const struct walk *walk, const struct launch_operation *op) {
    struct sock_fprog program = {.len = op->filter.count,
                                 .filter = (struct sock_filter *)op->filter.instructions};
    const long listener =
        raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
    if (listener < 0)
        return listener;
    long result = walk->plan->listening ? await_taking(walk, (int)listener) : 0;
    if (result < 0 || (op->value != 0 && op->value == (uint64_t)listener))
        return result < 0 ? result : raw(SYS_fcntl, listener, F_SETFD, 0);
    if (op->value != 0)
        result = raw(SYS_dup3, listener, op->value, 0);
    close_fd((int)listener);
    return result;
}

static long set_rlimit(const struct launch_operation *op) {
    uint64_t limit[2] = {op->value, op->other}; // struct rlimit64
    return raw(SYS_prlimit64, 0, op->device, limit, 0);
}

// ---- the walk --------------------------------------------------------------------------------

static long run(struct walk *walk, const struct launch_operation *op) {
    switch ((enum launch_operation_kind)op->kind) {
    case LAUNCH_SETNS:
        return raw(SYS_setns, op->descriptor, op->value);
    case LAUNCH_UNSHARE:
        return raw(SYS_unshare, op->value);
    case LAUNCH_PRIVATE_MOUNTS: {
        struct mount_attr attr = {.propagation = 1 << 18 /* MS_PRIVATE */};
        return raw(SYS_mount_setattr, AT_FDCWD, "/", 0x8000 /* AT_RECURSIVE */, &attr,
                   sizeof attr);
    }
    case LAUNCH_MOUNT_HOST:
        return mount_host(op);
    case LAUNCH_MAKE_HOST_DIRECTORY:
        return raw(SYS_mkdirat, AT_FDCWD, op->target, op->value);
    case LAUNCH_ATTACH_HOST:
        return raw(SYS_move_mount, op->descriptor, "", AT_FDCWD, op->target,
                   MOVE_MOUNT_F_EMPTY_PATH);
    case LAUNCH_SET_ROOT:
        return set_root(walk, op);
    case LAUNCH_MOUNT:
        return mount_inside(walk, op);
    case LAUNCH_ATTACH:
        return attach_inside(walk, op->descriptor, op->target);
    case LAUNCH_MAKE_DIRECTORY:
        return make_directory(walk, op);
    case LAUNCH_MAKE_SYMLINK:
    case LAUNCH_MAKE_DEVICE:
        return make_node(walk, op);
    case LAUNCH_MASK_FILE:
    case LAUNCH_MASK_DIRECTORY:
    case LAUNCH_REMOUNT:
        return bind_inside(walk, op);
    case LAUNCH_PIVOT:
        return pivot(walk);
    case LAUNCH_HOSTNAME:
        return raw(SYS_sethostname, op->text, length(op->text));
    case LAUNCH_WRITE:
        return write_file(op);
    case LAUNCH_RLIMIT:
        return set_rlimit(op);
    case LAUNCH_IDENTITY:
        return set_identity(op->value);
    case LAUNCH_CAPABILITIES:
        return set_capabilities(op->value);
    case LAUNCH_NO_NEW_PRIVILEGES:
        return raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    case LAUNCH_SECCOMP:
        return set_filter(&op->filter);
    case LAUNCH_SECCOMP_ASKING:
        return set_asking_filter(walk, op);
    case LAUNCH_NEW_SESSION:
        return raw(SYS_setsid);
    }
    return -EINVAL; // an operation that this child does not know is never skipped
}

// Closes all descriptors but these, in any order. Closing is what makes room below the slice's own
// limit, which is in force already: the parent may hold more descriptors than that.
static long close_others(const int *needed, uint32_t count) {
    unsigned from = 0;
    while (true) {
        unsigned next = ~0u;
        for (uint32_t i = 0; i < count; i++)
            if ((unsigned)needed[i] >= from && (unsigned)needed[i] < next)
                next = (unsigned)needed[i];
        long result = next > from ? raw(SYS_close_range, from, next == ~0u ? next : next - 1, 0) : 0;
        if (result < 0 || next == ~0u)
            return result;
        from = next + 1;
    }
}

// Puts kept[i] at i and the report pipe behind them, and closes the rest. Copies go through numbers
// above all targets, so that no copy overwrites a source.
//
// Also empties the signal mask, which the parent blocked whole: the handlers are gone
// (CLONE_CLEAR_SIGHAND), so what was held back now has its default effect, on this process alone.
static long arrange(struct walk *walk, int *executable) {
    const struct launch_plan *plan = walk->plan;
    const uint64_t none = 0;
    long masked = raw(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, 0, sizeof none);
    if (masked < 0)
        return masked;
    const int above = LAUNCH_KEPT_MAXIMUM + 3;
    int sources[LAUNCH_KEPT_MAXIMUM + 2], copies[LAUNCH_KEPT_MAXIMUM + 2];
    const uint32_t count = plan->kept_count;
    if (count > LAUNCH_KEPT_MAXIMUM)
        return -EINVAL;
    for (uint32_t i = 0; i < count + 2; i++)
        sources[i] = i < count ? plan->kept[i] : i == count ? walk->report : plan->executable;
    long closed = close_others(sources, count + 2);
    if (closed < 0)
        return closed;
    for (uint32_t i = 0; i < count + 2; i++) {
        long copy = raw(SYS_fcntl, sources[i], F_DUPFD_CLOEXEC, above);
        if (copy < 0)
            return copy;
        copies[i] = (int)copy;
    }
    for (uint32_t i = 0; i < count + 2; i++) {
        const bool inherited = i < count || (i == count && plan->report_inherited);
        long result = raw(SYS_dup3, copies[i], i, inherited ? 0 : O_CLOEXEC);
        if (result < 0)
            return result;
    }
    walk->report = (int)count;
    *executable = (int)count + 1;
    return raw(SYS_close_range, count + 2, ~0u, 0);
}

void child_main(void *pointer) {
    struct child_context *context = pointer;
    struct walk walk = {.plan = context->plan, .report = context->report, .root = -1,
                        .listener_taken = &context->listener_taken};
    const struct launch_plan *plan = walk.plan;
    long result;

    // The memory is a copy of the parent's until exec. As soon as this process has an id of the slice, one
    // of the slice's own could trace it and read all that (CVE-2016-9962).
    if ((result = raw(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0)) < 0)
        fail(&walk, LAUNCH_INDEX_PREPARE, result);

    int executable = plan->executable;
    bool arranged = false;
    for (uint32_t i = 0; i < plan->operation_count; i++) {
        const struct launch_operation *op = &plan->operations[i];
        // The filter may forbid what this takes, and no operation after it uses a descriptor.
        if ((op->kind == LAUNCH_SECCOMP || op->kind == LAUNCH_SECCOMP_ASKING) && !arranged) {
            if ((result = arrange(&walk, &executable)) < 0)
                fail(&walk, LAUNCH_INDEX_DESCRIPTORS, result);
            arranged = true;
        }
        if ((result = run(&walk, op)) < 0)
            fail(&walk, i, result);
    }
    if (!arranged && (result = arrange(&walk, &executable)) < 0)
        fail(&walk, LAUNCH_INDEX_DESCRIPTORS, result);

    result = raw(SYS_execveat, executable, "", plan->arguments, plan->environment,
                 AT_EMPTY_PATH);
    fail(&walk, LAUNCH_INDEX_EXEC, result);
}
