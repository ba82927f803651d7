#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "grants.h"
#include "serve.h"
#include "sweep.h"
#include "xdp.h"

static void drop(struct broker *broker)
{
    close(broker->client);
    broker->client = -1;
}

void control_accept(struct broker *broker)
{
    int client = accept4(broker->control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    if (broker->client >= 0)
        drop(broker);
    broker->client = client;
}

// ---- commands ----------------------------------------------------------------------------------

struct change {
    const struct slice_raw_grants *earlier, *now;
};

static bool keeps_after(const struct socket_kind *kind, const void *context)
{
    const struct change *change = context;
    return change->earlier != NULL &&
           grants_keep(change->now, change->earlier, kind->class, kind->domain, kind->protocol);
}

// What is read by others at any time is written in this order. `unsettled` keeps raw sockets from
// sending, and says to the next command, of this broker or another, that no open socket can be trusted
// to be one that the grants allow.
static void replace(struct slice_raw_state *state, const struct slice_raw_grants *grants)
{
    __atomic_store_n(&state->unsettled, 1, __ATOMIC_SEQ_CST);
    state->grants = *grants;
    __atomic_store_n(&state->granted, 1, __ATOMIC_SEQ_CST);
}

static void settle(struct slice_raw_state *state)
{
    __atomic_store_n(&state->unsettled, 0, __ATOMIC_SEQ_CST);
}

// What is open receives nothing any more; sending ends on the other end of the link, by the supervisor.
static void forget_xdp(struct broker *broker)
{
    if (broker->xdp_sockets < 0)
        return;
    xdp_forget(broker->xdp_sockets);
    close(broker->xdp_sockets);
    broker->xdp_sockets = -1;
}

static void grant(struct broker *broker, const struct slice_raw_grants *grants,
                  struct slice_raw_answer *answer)
{
    struct slice_raw_state *state = broker->state;
    const struct slice_raw_grants earlier = state->grants;
    if ((grants->flags & SLICE_RAW_XDP) == 0)
        forget_xdp(broker);
    const bool settled = state->unsettled == 0;
    if (settled && grants_widen(grants, &earlier)) {
        replace(state, grants);
        settle(state);
        return;
    }
    const struct change change = {.earlier = settled ? &earlier : NULL, .now = grants};
    replace(state, grants);
    struct sweep_result found = {0};
    if (sweep(broker->process_files, keeps_after, &change, &found) < 0)
        answer->error = errno;
    else if (found.hidden > 0)
        answer->error = EBUSY;
    else
        settle(state);
    answer->closed = found.closed;
    answer->hidden = found.hidden;
}

// Receives one message; `descriptor` is what came beside it, -1: nothing. There is room for one, and
// the kernel closes the others (unix(7)). Returns the message's own length, so that a longer one is seen to be wrong.
static ssize_t receive(int client, struct slice_raw_command *command, int *descriptor)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } beside;
    struct iovec text = {.iov_base = command, .iov_len = sizeof *command};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = &beside,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    *descriptor = -1;
    ssize_t length = recvmsg(client, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *descriptor))
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return length;
}

// Carries a command out. `descriptor` is the broker's from here on.
static void obey(struct broker *broker, const struct slice_raw_command *command, int descriptor,
                 struct slice_raw_answer *answer)
{
    answer->error = EINVAL;
    if (command->kind == SLICE_RAW_LISTEN && descriptor >= 0) {
        answer->error = serve_add(broker, descriptor) < 0 ? errno : 0;
        if (answer->error == 0)
            return;
    } else if (command->kind == SLICE_RAW_DELIVER && descriptor >= 0) {
        answer->error = 0;
        if (broker->xdp_sockets >= 0)
            close(broker->xdp_sockets);
        broker->xdp_sockets = descriptor;
        return;
    } else if (command->kind == SLICE_RAW_GRANT && descriptor < 0 && grants_valid(&command->grants)) {
        answer->error = 0;
        grant(broker, &command->grants, answer);
    }
    if (descriptor >= 0)
        close(descriptor);
}

void control_read(struct broker *broker)
{
    struct slice_raw_command command;
    int descriptor;
    ssize_t length = receive(broker->client, &command, &descriptor);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        drop(broker);
        return;
    }
    struct slice_raw_answer answer = {.kind = SLICE_RAW_ANSWER};
    if (length != sizeof command || command.reserved != 0)
        command.kind = 0;
    obey(broker, &command, descriptor, &answer);
    if (send(broker->client, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        drop(broker);
}

// ---- events ------------------------------------------------------------------------------------

void control_tell_refused(struct broker *broker, pid_t thread, int domain, int type, int protocol)
{
    struct events *events = &broker->events;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (events->second != now.tv_sec) {
        events->second = now.tv_sec;
        events->told = 0;
    }
    const struct slice_raw_event event = {
        .kind = SLICE_RAW_EVENT,
        .pid = thread,
        .domain = domain,
        .type = type,
        .protocol = protocol,
        .untold = events->untold,
    };
    // A client that does not read misses some.
    if (broker->client < 0 || events->told == SLICE_RAW_EVENTS ||
        send(broker->client, &event, sizeof event, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        events->untold += events->untold < UINT32_MAX;
        return;
    }
    events->told++;
    events->untold = 0;
}
