#define _GNU_SOURCE
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"
#include "filter.h"
#include "grants.h"
#include "rings.h"
#include "sockets.h"
#include "target.h"
#include "xdp.h"

// The kernel's structures may have become longer (SECCOMP_GET_NOTIF_SIZES).
#define LONGEST 512
union notification {
    struct seccomp_notif call;
    char bytes[LONGEST];
};
union response {
    struct seccomp_notif_resp answer;
    char bytes[LONGEST];
};

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS // Linux 6.6
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#endif

int serve_prepare(void)
{
    struct seccomp_notif_sizes sizes;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        return -1;
    if (sizes.seccomp_notif <= LONGEST && sizes.seccomp_notif_resp <= LONGEST &&
        sizes.seccomp_data == sizeof(struct seccomp_data))
        return 0;
    errno = EOPNOTSUPP;
    return -1;
}

// A target that was killed meanwhile is no error. 0, or -1 with errno: ENOENT where no such call waits.
static int respond(int listener, uint64_t id, int32_t error, int64_t value, uint32_t flags)
{
    union response response;
    memset(&response, 0, sizeof response);
    response.answer.id = id;
    response.answer.error = -error;
    response.answer.val = error == 0 ? value : 0;
    response.answer.flags = flags;
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

// The call that the last broker was answering when it ended, if it came by this listener: it was given
// to that one, and to no other. Numbers of calls begin by chance for each filter (kernel/seccomp.c).
static void fail_unanswered(struct broker *broker, int listener)
{
    if (broker->unanswered != 0 && respond(listener, broker->unanswered, ENOBUFS, 0, 0) == 0)
        broker->unanswered = 0;
}

int serve_add(struct broker *broker, int listener)
{
    const uint64_t none = 0;
    // No notification has that number; what is no listener says something else.
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &none) == 0 || errno != ENOENT) {
        errno = EINVAL;
        return -1;
    }
    if (broker->listener_count == LISTENERS) {
        errno = EMFILE;
        return -1;
    }
    // The caller and the broker take turns on one processor. Only a matter of speed: older kernels
    // refuse it.
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    broker->listeners[broker->listener_count++] = listener;
    fail_unanswered(broker, listener);
    return 0;
}

// ---- socket(2) ---------------------------------------------------------------------------------

// Gives the socket to the target. Our own is closed before the target can go on: the last close of a
// packet socket waits for all processors (packet_release(), synchronize_net()), some 8 ms that so
// fall to who closes it. -1 with errno.
//
// The queue is emptied last: a processor that was just then receiving, and had seen no filter, has had
// the time to get done.
static int give(int listener, uint64_t id, int socket, int type)
{
    struct seccomp_notif_addfd given = {
        .id = id,
        .srcfd = (uint32_t)socket,
        .newfd_flags = (type & SOCK_CLOEXEC) != 0 ? O_CLOEXEC : 0,
    };
    int number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given);
    int error = errno;
    socket_drain(socket);
    close(socket);
    errno = error;
    return number;
}

// The arguments are in registers, which the kernel has copied: nothing is read that could change.
static void answer_socket(struct broker *broker, int listener, const struct seccomp_notif *call)
{
    const int domain = (int)call->data.args[0], type = (int)call->data.args[1];
    // A packet socket's is an ethertype in network byte order, of which the kernel reads 16 bits.
    const int protocol = domain == AF_PACKET ? ntohs((uint16_t)call->data.args[2])
                                             : (int)call->data.args[2];
    const struct slice_raw_grants *grants = &broker->state->grants;
    const enum raw_class class = grants_classify(grants, domain, type, protocol);
    if (class == CLASS_NONE) {
        // The kernel itself refuses it, with the very error that everybody without CAP_NET_RAW gets.
        // It can do no harm: it is decided by the kernel, not by what was seen here.
        respond(listener, call->id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
        control_tell_refused(broker, (pid_t)call->pid, domain, type, protocol);
        return;
    }
    int given = -1, error = 0;
    int made = socket_open(grants, class, domain, type, protocol);
    if (made < 0 || (given = give(listener, call->id, made, type)) < 0)
        error = errno;
    respond(listener, call->id, error, given, 0);
}

// ---- setsockopt(2) -----------------------------------------------------------------------------

struct option_call {
    struct target target;
    int socket; // ours
    int level, option;
    uint64_t value; // address in the target
    int size;
    struct socket_kind kind;
};

static int attach_own_filter(const struct broker *broker, const struct option_call *call)
{
    static struct sock_filter own[BPF_MAXINSNS];
    struct sock_fprog program;
    if (call->size != (int)sizeof program) {
        errno = EINVAL;
        return -1;
    }
    if (target_read(&call->target, call->value, &program, sizeof program) < 0)
        return -1;
    if (program.len == 0 || program.len > BPF_MAXINSNS || program.filter == NULL) {
        errno = EINVAL;
        return -1;
    }
    if (target_read(&call->target, (uintptr_t)program.filter, own, program.len * sizeof *own) < 0)
        return -1;
    if (!call->kind.raw)
        return filter_attach_own(call->socket, own, program.len);
    return filter_attach(call->socket, &broker->state->grants, call->kind.class, call->kind.domain,
                         own, program.len);
}

// For what takes an int.
static int set_number(const struct option_call *call)
{
    int number;
    if (call->size < (int)sizeof number) {
        errno = EINVAL;
        return -1;
    }
    if (target_read(&call->target, call->value, &number, sizeof number) < 0)
        return -1;
    return setsockopt(call->socket, call->level, call->option, &number, sizeof number);
}

static int set_filter(const struct broker *broker, const struct option_call *call)
{
    if (call->option == SO_ATTACH_FILTER)
        return attach_own_filter(broker, call);
    if (!call->kind.raw)
        return set_number(call);
    if (call->option == SO_DETACH_FILTER)
        return filter_attach(call->socket, &broker->state->grants, call->kind.class,
                             call->kind.domain, NULL, 0);
    errno = EPERM; // SO_LOCK_FILTER: the policy has to be able to change
    return -1;
}

static int set_ring(const struct broker *broker, const struct option_call *call)
{
    const struct slice_raw_grants *grants = &broker->state->grants;
    union tpacket_req_u request;
    memset(&request, 0, sizeof request);
    if (call->size < (int)sizeof request.req) {
        errno = EINVAL;
        return -1;
    }
    const size_t asked = (size_t)call->size, size = asked < sizeof request ? asked : sizeof request;
    if (target_read(&call->target, call->value, &request, size) < 0)
        return -1;
    return rings_set(broker->rings, call->socket, call->option, &request, size,
                     grants->ring_bytes - xdp_reserve(grants));
}

static int set_option(const struct broker *broker, const struct option_call *call)
{
    // A socket whose grant has gone stays as it was left.
    const struct slice_raw_grants *grants = &broker->state->grants;
    if (call->kind.raw && !grants_keep(grants, grants, call->kind.class, call->kind.domain,
                                       call->kind.protocol)) {
        errno = EPERM;
        return -1;
    }
    if (call->level == SOL_SOCKET &&
        (call->option == SO_ATTACH_FILTER || call->option == SO_DETACH_FILTER ||
         call->option == SO_LOCK_FILTER))
        return set_filter(broker, call);
    if (call->level == SOL_PACKET &&
        (call->option == PACKET_RX_RING || call->option == PACKET_TX_RING))
        return set_ring(broker, call);
    // Programs that sniff ask for it and want to hear that it is done. It would change nothing: all frames of
    // the slice's links are its own. But the kernel keeps a list without a bound, charged to nobody, and walks
    // it under the lock of all network configuration (packet_mc_add()).
    if (call->level == SOL_PACKET &&
        (call->option == PACKET_ADD_MEMBERSHIP || call->option == PACKET_DROP_MEMBERSHIP)) {
        errno = ENOPROTOOPT; // as the kernel says of sockets that have none
        return call->kind.domain == AF_PACKET ? 0 : -1;
    }
    errno = EPERM; // the slice's filter asks for nothing else
    return -1;
}

static void answer_option(struct broker *broker, int listener, const struct seccomp_notif *call)
{
    struct option_call option = {
        .target = {.listener = listener,
                   .id = call->id,
                   .thread = (pid_t)call->pid,
                   .process_files = broker->process_files},
        .level = (int)call->data.args[1],
        .option = (int)call->data.args[2],
        .value = call->data.args[3],
        .size = (int)call->data.args[4],
    };
    int error = 0;
    option.socket = target_descriptor(&option.target, (int)call->data.args[0]);
    if (option.socket < 0 || socket_identify(option.socket, &option.kind) < 0 ||
        set_option(broker, &option) < 0)
        error = errno;
    if (option.socket >= 0)
        close(option.socket);
    respond(listener, call->id, error, 0, 0);
}

// ---- calls -------------------------------------------------------------------------------------

int serve(struct broker *broker, int listener)
{
    union notification notification;
    memset(&notification, 0, sizeof notification); // the kernel insists
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) < 0)
        return errno == ENOENT || errno == EINTR ? 0 : -1; // ENOENT: its thread was killed
    const struct seccomp_notif *call = &notification.call;
    broker->state->serving = call->id;
    switch (call->data.nr) {
    case SYS_socket:
        answer_socket(broker, listener, call);
        break;
    case SYS_setsockopt:
        answer_option(broker, listener, call);
        break;
    default:
        respond(listener, call->id, ENOSYS, 0, 0);
    }
    broker->state->serving = 0;
    return 0;
}

void serve_recover(struct broker *broker)
{
    broker->unanswered = broker->state->serving;
    broker->state->serving = 0;
    for (unsigned i = 0; i < broker->listener_count; i++)
        fail_unanswered(broker, broker->listeners[i]);
}
