#define _GNU_SOURCE
#include "refusals.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"

// What a kernel newer than the header may write at most.
#define NOTICE_SIZE 512

int refusals_init(struct refusals *refusals, int listener, int file)
{
    // A listener without a file is somebody else's to answer.
    refusals->listener = file < 0 ? -1 : listener;
    refusals->file = file;
    if (file < 0)
        return 0;
    struct slice_refusals *record = &refusals->record;
    struct seccomp_notif_sizes sizes;
    if (listener < 0)
        errno = EINVAL;
    else if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        ; // errno says why
    else if (sizes.seccomp_notif > NOTICE_SIZE || sizes.seccomp_notif_resp > NOTICE_SIZE)
        errno = E2BIG;
    else if (pread(file, record->answers, sizeof record->answers, 0) != sizeof record->answers)
        errno = EIO;
    else {
        record->version = SLICE_REFUSALS_VERSION;
        return pwrite(file, record, sizeof *record, 0) == sizeof *record ? 0 : -1;
    }
    return -1;
}

void refusals_watch(const struct refusals *refusals, struct pollfd *entry)
{
    *entry = (struct pollfd){.fd = refusals->listener, .events = POLLIN};
}

// Of IPv4 and IPv6: refused with the errno of everybody without CAP_NET_RAW, not of a family.
static bool is_raw_socket(const struct seccomp_data *call)
{
    const int domain = (int)call->args[0], type = (int)call->args[1] & 0xf;
    return call->nr == SYS_socket && (domain == AF_INET || domain == AF_INET6) && type == SOCK_RAW;
}

static int answer_of(const struct refusals *refusals, const struct seccomp_data *call)
{
    if (call->arch == AUDIT_ARCH_X86_64 && is_raw_socket(call))
        return EPERM;
    if (call->arch != AUDIT_ARCH_X86_64 || call->nr < 0 || call->nr >= SLICE_REFUSALS_CALLS)
        return ENOSYS;
    return refusals->record.answers[call->nr];
}

// The name of a thread's program; "?" where it can't be read any more.
static void read_program(uint32_t pid, char program[16])
{
    char path[32] = "/proc/", digits[10];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + pid % 10);
    while ((pid /= 10) != 0);
    size_t end = strlen(path);
    while (count > 0)
        path[end++] = digits[--count];
    memcpy(path + end, "/comm", sizeof "/comm");
    memset(program, 0, 16);
    program[0] = '?';
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return;
    char text[16];
    ssize_t length = read(file, text, sizeof text);
    close(file);
    if (length <= 1)
        return;
    memcpy(program, text, (size_t)length - 1); // less the newline
}

static struct slice_refusal *entry_of(struct slice_refusals *record,
                                      const struct seccomp_data *call, const char program[16])
{
    struct slice_refusal *oldest = &record->kept[0];
    for (unsigned i = 0; i < SLICE_REFUSALS_KEPT; i++) {
        struct slice_refusal *entry = &record->kept[i];
        if (entry->times != 0 && entry->call == call->nr && entry->architecture == call->arch &&
            memcmp(entry->program, program, sizeof entry->program) == 0)
            return entry;
        if (entry->last_at < oldest->last_at)
            oldest = entry;
    }
    *oldest = (struct slice_refusal){.call = call->nr, .architecture = call->arch};
    memcpy(oldest->program, program, sizeof oldest->program);
    return oldest;
}

static void note(struct refusals *refusals, const struct seccomp_notif *notice, int error)
{
    char program[16];
    read_program(notice->pid, program);
    // Who was killed meanwhile may have left its number to another, whose name that was.
    uint64_t id = notice->id;
    if (ioctl(refusals->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0)
        memcpy(program, "?\0\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof program);
    struct slice_refusals *record = &refusals->record;
    struct slice_refusal *entry = entry_of(record, &notice->data, program);
    entry->times++;
    entry->last_at = wall_now();
    entry->error = error;
    entry->pid = (int32_t)notice->pid;
    for (unsigned i = 0; i < 3; i++)
        entry->arguments[i] = notice->data.args[i];
    record->total++;
    // That the file cannot be written is no reason to leave the call without an answer.
    (void)!pwrite(refusals->file, &record->total, sizeof record->total,
                  offsetof(struct slice_refusals, total));
    (void)!pwrite(refusals->file, entry, sizeof *entry, (char *)entry - (char *)record);
}

void refusals_serve(struct refusals *refusals, const struct pollfd *entry)
{
    if ((entry->revents & POLLIN) == 0)
        return;
    // Must be empty, or the kernel refuses it.
    static union {
        struct seccomp_notif notice;
        struct seccomp_notif_resp response;
        char space[NOTICE_SIZE];
    } in, out;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    // What poll has seen is there, or has gone with its thread, which is ENOENT.
    if (ioctl(refusals->listener, SECCOMP_IOCTL_NOTIF_RECV, &in.notice) < 0)
        return;
    int error = answer_of(refusals, &in.notice.data);
    note(refusals, &in.notice, error);
    out.response.id = in.notice.id;
    out.response.error = -error;
    // Fails where the thread has been killed meanwhile.
    (void)!ioctl(refusals->listener, SECCOMP_IOCTL_NOTIF_SEND, &out.response);
}
