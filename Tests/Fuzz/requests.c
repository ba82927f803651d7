// What the broker of raw sockets answers: the calls of a slice's programs as the kernel notifies it of them
// (seccomp_unotify(2)), with their memory, and the control socket between them.
//
// The input is a list of steps. Each begins with a byte for what it is, one for what goes wrong meanwhile, and two for its
// length: a command for the control socket, which may come with a descriptor, or a call: its number, six arguments, the
// kind of the socket that it names, and its memory.
#define _GNU_SOURCE
#include "../../CShims/broker/control.h"
#include "../../CShims/broker/filter.h"
#include "../../CShims/broker/grants.h"
#include "../../CShims/broker/process.h"
#include "../../CShims/broker/rings.h"
#include "../../CShims/broker/serve.h"
#include "../../CShims/broker/sockets.h"
#include "../../CShims/broker/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// What goes wrong: the thread is killed before, or meanwhile; it has no such descriptor; the socket has gone.
enum { GONE_BEFORE = 1, GONE_MEANWHILE = 2, NO_DESCRIPTOR = 4, NO_SOCKET = 8 };

static struct {
    struct seccomp_notif call;
    unsigned trouble;
    struct socket_kind kind;
    const uint8_t *memory; // from address 4096 on
    size_t size;
    int received, answered, given; // how often
    struct seccomp_notif_resp answer;
    enum raw_class opened;
    int descriptor; // ours, of what the target's number means
} now;

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s: call %d(%llx, %llx, %llx)\n", what, now.call.data.nr, (unsigned long long)now.call.data.args[0],
            (unsigned long long)now.call.data.args[1], (unsigned long long)now.call.data.args[2]);
    abort();
}

// ---- in place of the kernel

int __wrap_ioctl(int file, unsigned long request, ...)
{
    (void)file;
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    switch (request) {
    case SECCOMP_IOCTL_NOTIF_RECV:
        now.received++;
        if (now.trouble & GONE_BEFORE) {
            errno = ENOENT;
            return -1;
        }
        memcpy(argument, &now.call, sizeof now.call);
        return 0;
    case SECCOMP_IOCTL_NOTIF_SEND:
        now.answered++;
        memcpy(&now.answer, argument, sizeof now.answer);
        return 0;
    case SECCOMP_IOCTL_NOTIF_ADDFD: {
        const struct seccomp_notif_addfd *given = argument;
        require(given->id == now.call.id && fcntl((int)given->srcfd, F_GETFD) >= 0, "given: something else than what was opened");
        if (now.trouble & GONE_MEANWHILE) {
            errno = ENOENT;
            return -1;
        }
        now.given++;
        return 100;
    }
    case SECCOMP_IOCTL_NOTIF_ID_VALID:
        // Without a call it is serve_add() that asks, of something that may be a listener.
        if (now.received == 0 || now.trouble & GONE_MEANWHILE) {
            errno = now.trouble & NO_SOCKET ? ENOTTY : ENOENT;
            return -1;
        }
        return 0;
    default:
        errno = ENOTTY;
        return -1;
    }
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *ours, unsigned long count, const struct iovec *theirs,
                                unsigned long their_count, unsigned long flags)
{
    (void)pid, (void)flags;
    require(count == 1 && their_count == 1, "more than one piece of memory is read");
    const uintptr_t address = (uintptr_t)theirs->iov_base - 4096;
    if (address >= now.size) {
        errno = EFAULT;
        return -1;
    }
    const size_t there = now.size - address, size = theirs->iov_len < there ? theirs->iov_len : there;
    memcpy(ours->iov_base, now.memory + address, size < ours->iov_len ? size : ours->iov_len);
    return (ssize_t)size;
}

int process_open(pid_t thread)
{
    (void)thread;
    if (now.trouble & NO_SOCKET)
        errno = ESRCH;
    return now.trouble & NO_SOCKET ? -1 : dup(0);
}

int process_descriptor(int pidfd, int number)
{
    (void)pidfd, (void)number;
    if (now.trouble & NO_DESCRIPTOR)
        errno = EBADF;
    return now.trouble & NO_DESCRIPTOR ? -1 : dup(now.descriptor);
}

long process_status(int process_files, pid_t thread, const char *field)
{
    (void)process_files, (void)thread, (void)field;
    return 7;
}

// ---- in place of what needs CAP_NET_RAW

int socket_open(const struct slice_raw_grants *grants, enum raw_class class, int domain, int type, int protocol)
{
    (void)grants, (void)domain, (void)type, (void)protocol;
    now.opened = class;
    return dup(now.descriptor);
}

void socket_drain(int socket) { require(fcntl(socket, F_GETFD) >= 0, "drained: no descriptor"); }

int socket_identify(int socket, struct socket_kind *kind)
{
    (void)socket;
    *kind = now.kind;
    return 0;
}

// For requests of AF_XDP, which come another way.
int rings_measure(int watch, uint64_t *bytes)
{
    (void)watch;
    *bytes = 0;
    return 0;
}

int rings_set(int watch, int socket, int option, const union tpacket_req_u *request, size_t size, uint64_t limit)
{
    (void)watch, (void)socket;
    require(size <= sizeof *request && (option == PACKET_RX_RING || option == PACKET_TX_RING) &&
                (limit == 1 << 20 || limit == 3 << 18), // a quarter is kept for AF_XDP, where that is granted
            "a ring of another size or kind, or without the bound");
    if (now.kind.domain == AF_PACKET)
        return 0;
    errno = ENOPROTOOPT; // as the kernel says of sockets that have none
    return -1;
}

int sweep(int process_files, sweep_keeps *keeps, const void *context, struct sweep_result *result)
{
    (void)process_files;
    result->closed += !keeps(&now.kind, context);
    return 0;
}

// ---- what must hold

// Whether anything granted could be the reason for a socket.
static bool is_granted(const struct slice_raw_grants *grants, int domain, int protocol)
{
    if (domain == AF_PACKET)
        return grants->flags != 0 || grants->ethertype_count > 0;
    const uint64_t *set = domain == AF_INET ? grants->ipv4 : grants->ipv6;
    if (protocol == 255)
        return set[0] || set[1] || set[2] || set[3] || grants->udp_count || grants->tcp_count;
    return (protocol >= 0 && protocol < 255 && (set[protocol / 64] >> protocol % 64 & 1)) ||
           (protocol == 17 && grants->udp_count) || (protocol == 6 && grants->tcp_count);
}

static void judge_call(const struct broker *broker, int result)
{
    if (now.trouble & GONE_BEFORE) {
        require(result == 0 && now.answered == 0, "an answer to nobody");
        return;
    }
    require(result == 0 && now.answered == 1 && now.answer.id == now.call.id, "not one answer to the call that was made");
    require(now.answer.error <= 0 && now.answer.error > -4096, "an errno that is none");
    require(broker->state->serving == 0, "still being answered");
    const struct slice_raw_grants *grants = &broker->state->grants;
    const int domain = (int)now.call.data.args[0], type = (int)now.call.data.args[1] & 15;
    const bool goes_on = now.answer.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    require(!goes_on || now.call.data.nr == SYS_socket, "a call goes on that may have been changed meanwhile");
    if (now.call.data.nr == SYS_socket) {
        const int protocol = domain == AF_PACKET ? 0 : (int)now.call.data.args[2];
        const bool raw = domain == AF_PACKET ? type == SOCK_RAW || type == SOCK_DGRAM
                                             : (domain == AF_INET || domain == AF_INET6) && type == SOCK_RAW;
        require(now.opened == CLASS_NONE || (raw && is_granted(grants, domain, protocol)), "a socket that was not granted");
        require(now.opened == CLASS_NONE || !goes_on, "opened, and the call goes on");
    } else {
        require(now.opened == CLASS_NONE && now.given == 0, "a socket that nobody asked for");
    }
}

// Whatever filter a program has set on a socket of the broker's, the policy runs before it.
static void judge_filter(void)
{
    struct sock_filter all[BPF_MAXINSNS];
    socklen_t length = BPF_MAXINSNS;
    if (now.call.data.nr != SYS_setsockopt || now.answer.error != 0 || now.answered == 0 || !now.kind.raw ||
        (int)now.call.data.args[1] != SOL_SOCKET)
        return;
    require(getsockopt(now.descriptor, SOL_SOCKET, SO_GET_FILTER, all, &length) == 0 && length > 0, "a socket without a filter");
    const enum raw_class class = now.kind.class;
    if (class == CLASS_UDP || class == CLASS_TCP) // loads the port, and refuses what is in no range
        require(length >= 3 && BPF_CLASS(all[0].code) <= BPF_LDX && all[0].code != BPF_LD + BPF_IMM, "no policy in front");
    if (class == CLASS_ETHERTYPES)
        require(all[0].code == (BPF_LD | BPF_W | BPF_ABS) && all[0].k == (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL), "no policy in front");
    if (class == CLASS_SEND)
        require(all[0].code == (BPF_RET | BPF_K) && all[0].k == 0, "something is received that can't be");
}

// ---- steps

static void command(struct broker *broker, const uint8_t *data, size_t size, bool beside)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        abort();
    broker->client = ends[0];
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control = {.header = {
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &ends[1], sizeof(int));
    struct iovec text = {(void *)data, size};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (beside) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN(sizeof(int));
    }
    if (sendmsg(ends[1], &message, 0) == (ssize_t)size)
        control_read(broker);
    struct slice_raw_answer answer;
    require(size == 0 || recv(ends[1], &answer, sizeof answer, 0) == sizeof answer, "a command without an answer");
    require(grants_valid(&broker->state->grants), "grants that are none came into force");
    // The bound is the supervisor's, which is trusted; here it is one by which rings are told.
    broker->state->grants.ring_bytes = 1 << 20;
    // Those of a step go with it.
    while (broker->listener_count > 1)
        close(broker->listeners[--broker->listener_count]);
    if (broker->xdp_sockets >= 0)
        close(broker->xdp_sockets);
    broker->xdp_sockets = -1;
    if (broker->client >= 0)
        close(broker->client);
    broker->client = -1;
    close(ends[1]);
}

struct request {
    uint64_t arguments[6];
    uint8_t number, class, domain, protocol;
};

static void call(struct broker *broker, const uint8_t *data, size_t size)
{
    static const int numbers[] = {SYS_socket, SYS_setsockopt, SYS_setsockopt, SYS_getpid};
    static const int domains[] = {AF_INET, AF_INET6, AF_PACKET, AF_UNIX};
    struct request request;
    if (size < sizeof request)
        return;
    memcpy(&request, data, sizeof request);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    now.descriptor = ends[0];
    now.call = (struct seccomp_notif){.id = 77, .pid = 5, .data = {.nr = numbers[request.number % 4]}};
    memcpy(now.call.data.args, request.arguments, sizeof request.arguments);
    now.kind = (struct socket_kind){.domain = domains[request.domain % 4], .protocol = request.protocol};
    // As socket_identify() tells it: none of the broker's is of another family.
    now.kind.raw = now.kind.domain != AF_UNIX && request.class != 0xff;
    now.kind.class = now.kind.raw ? (enum raw_class)(request.class % (CLASS_ETHERTYPES + 1)) : CLASS_NONE;
    now.memory = data + sizeof request;
    now.size = size - sizeof request;
    judge_call(broker, serve(broker, 0));
    judge_filter();
    close(ends[0]);
    close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice_raw_state state = {.granted = 1, .grants = {.ring_bytes = 1 << 20}};
    struct broker broker = {.control = -1, .client = -1, .xdp_sockets = -1, .state = &state, .listeners = {0}, .listener_count = 1};
    const int lowest = dup(0);
    close(lowest);
    while (size >= 4) {
        const unsigned kind = data[0];
        memset(&now, 0, sizeof now);
        now.trouble = data[1];
        size_t length = data[2] | (size_t)data[3] << 8;
        data += 4;
        size -= 4;
        length = length > size ? size : length;
        if (kind % 4 == 0)
            command(&broker, data, length, kind & 4);
        else
            call(&broker, data, length);
        data += length;
        size -= length;
    }
    const int after = dup(0);
    close(after);
    require(after == lowest, "a descriptor was left open");
    return 0;
}
