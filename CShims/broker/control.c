#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "grants.h"
#include "sweep.h"

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

// Whatever this is interrupted by, `unsettled` says to the next broker, or the next command, that no
// open socket can be trusted to be one that the grants allow.
static void grant(struct broker *broker, const struct slice_raw_grants *grants,
                  struct slice_raw_answer *answer)
{
    struct slice_raw_state *state = broker->state;
    const struct slice_raw_grants earlier = state->grants;
    const bool settled = state->unsettled == 0;
    if (settled && grants_widen(grants, &earlier)) {
        state->unsettled = 1;
        state->grants = *grants;
        state->granted = 1;
        state->unsettled = 0;
        return;
    }
    const struct change change = {.earlier = settled ? &earlier : NULL, .now = grants};
    state->unsettled = 1;
    state->grants = *grants;
    state->granted = 1;
    struct sweep_result found = {0};
    if (sweep(broker->process_files, keeps_after, &change, &found) < 0)
        answer->error = errno;
    else if (found.hidden > 0)
        answer->error = EBUSY;
    else
        state->unsettled = 0;
    answer->closed = found.closed;
    answer->hidden = found.hidden;
}

void control_read(struct broker *broker)
{
    struct slice_raw_command command;
    // MSG_TRUNC: the message's own length, so that a longer one is seen to be wrong.
    ssize_t length = recv(broker->client, &command, sizeof command, MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        drop(broker);
        return;
    }
    struct slice_raw_answer answer = {.kind = SLICE_RAW_ANSWER};
    if (length == sizeof command && command.kind == SLICE_RAW_GRANT && command.reserved == 0 &&
        grants_valid(&command.grants))
        grant(broker, &command.grants, &answer);
    else
        answer.error = EINVAL;
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
