#define _GNU_SOURCE
#include "requests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "grants.h"
#include "sockets.h"
#include "xdp.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

// Until a client has read its answer, what is in it is in flight, and the kernel counts that for the user who
// sent it: for the brokers of all slices together, against the bound for open files of the one that sends
// next (too_many_unix_fds()). So a slice may have no more than a little of it. A client that is given up with
// something unread would be out of sight with that: it isn't, whatever it says or however it hangs up, before
// it has read or really gone, which takes what is unread along.
static bool has_unread(const struct requester *who)
{
    int bytes = 0;
    return ioctl(who->socket, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

// The kernel does not tell when somebody has read.
#define LOOK_AGAIN_MS 5

int requests_wait(const struct broker *broker, struct pollfd *entries)
{
    const bool serving = broker->state->granted != 0;
    const bool room = broker->requester_count < SLICE_REQUEST_CLIENTS;
    bool unread[SLICE_REQUEST_CLIENTS];
    unsigned waiting = 0;
    for (unsigned i = 0; i < broker->requester_count; i++) {
        unread[i] = has_unread(&broker->requesters[i]);
        waiting += unread[i];
    }
    entries[0] = (struct pollfd){.fd = serving && room ? broker->requests : -1, .events = POLLIN};
    for (unsigned i = 0; i < SLICE_REQUEST_CLIENTS; i++) {
        const bool known = i < broker->requester_count;
        const bool asked = known && serving && !unread[i] && waiting < SLICE_REQUEST_UNREAD;
        entries[1 + i] = (struct pollfd){.fd = known && !unread[i] ? broker->requesters[i].socket : -1,
                                         .events = asked ? POLLIN : 0};
    }
    return waiting > 0 ? LOOK_AGAIN_MS : -1;
}

// ---- what is opened ----------------------------------------------------------------------------

struct opened {
    int descriptors[SLICE_REQUEST_SOCKETS_MAX];
    unsigned count;
};

static void close_all(struct opened *opened)
{
    while (opened->count > 0)
        close(opened->descriptors[--opened->count]);
}

// 0, or an errno.
static int open_sockets(struct broker *broker, const struct requester *who,
                        const struct slice_request *request, struct opened *opened)
{
    const struct slice_raw_grants *grants = &broker->state->grants;
    const int domain = request->sockets.domain, type = request->sockets.type;
    const int protocol = domain == AF_PACKET ? ntohs((uint16_t)request->sockets.protocol)
                                             : request->sockets.protocol;
    if (request->sockets.count == 0 || request->sockets.count > SLICE_REQUEST_SOCKETS_MAX ||
        request->words[4] != 0 || request->words[5] != 0 || request->words[6] != 0)
        return EINVAL;
    const enum raw_class class = grants_classify(grants, domain, type, protocol);
    if (class == CLASS_NONE) {
        control_tell_refused(broker, who->process, domain, type, protocol);
        return EPERM;
    }
    while (opened->count < request->sockets.count) {
        int made = socket_open(grants, class, domain, type, protocol);
        if (made < 0)
            return errno;
        opened->descriptors[opened->count++] = made;
    }
    // Afterwards, as for one (serve.c, give()).
    for (unsigned i = 0; i < opened->count; i++)
        socket_drain(opened->descriptors[i]);
    return 0;
}

// The same.
static int open_xdp(struct broker *broker, const struct requester *who,
                    const struct slice_request *request, struct opened *opened)
{
    const struct slice_raw_grants *grants = &broker->state->grants;
    if ((grants->flags & SLICE_RAW_XDP) == 0) {
        control_tell_refused(broker, who->process, AF_XDP, SOCK_RAW, 0);
        return EPERM;
    }
    const struct xdp_place place = {
        .link = broker->link, .sockets = broker->xdp_sockets, .rings = broker->rings};
    if (xdp_open(&place, grants, request, opened->descriptors) < 0)
        return errno;
    opened->count = 2;
    return 0;
}

static int open_request(struct broker *broker, const struct requester *who,
                        const struct slice_request *request, struct opened *opened)
{
    // Not while it is unknown which sockets the grants allow.
    if (broker->state->unsettled != 0)
        return EAGAIN;
    switch (request->kind) {
    case SLICE_REQUEST_SOCKETS:
        return open_sockets(broker, who, request, opened);
    case SLICE_REQUEST_XDP:
        return open_xdp(broker, who, request, opened);
    default:
        return EINVAL;
    }
}

// ---- clients -----------------------------------------------------------------------------------

// False: it can be sent no answer.
static bool answer(int client, const struct slice_request *request, int error,
                   const struct opened *opened)
{
    struct slice_answer text = {.kind = request->kind, .error = error, .count = opened->count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof opened->descriptors)];
    } beside;
    struct iovec whole = {.iov_base = &text, .iov_len = sizeof text};
    struct msghdr message = {.msg_iov = &whole, .msg_iovlen = 1};
    const size_t size = opened->count * sizeof opened->descriptors[0];
    if (size > 0) {
        memset(&beside, 0, sizeof beside);
        message.msg_control = &beside;
        message.msg_controllen = (socklen_t)CMSG_SPACE(size);
        beside.header = (struct cmsghdr){
            .cmsg_len = (socklen_t)CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&beside.header), opened->descriptors, size);
    }
    return sendmsg(client, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof text;
}

// False: it is to be given up. What comes beside a message the kernel closes, because there is no room
// for it here (unix(7)).
static bool serve_client(struct broker *broker, const struct requester *who)
{
    struct slice_request request;
    ssize_t length = recv(who->socket, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR;
    if (length != (ssize_t)sizeof request)
        return false;
    struct opened opened = {.count = 0};
    const int error = open_request(broker, who, &request, &opened);
    if (error != 0)
        close_all(&opened);
    const bool taken = answer(who->socket, &request, error, &opened);
    close_all(&opened);
    return taken;
}

static void accept_client(struct broker *broker)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof peer;
    int socket = accept4(broker->requests, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0)
        return;
    // Whose refusals are told; 0 where it has ended.
    getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    broker->requesters[broker->requester_count++] =
        (struct requester){.socket = socket, .process = peer.pid};
}

void requests_serve(struct broker *broker, const struct pollfd *entries)
{
    unsigned served = 0;
    // Backwards: the last takes the place of one that goes.
    for (unsigned i = broker->requester_count; i-- > 0;) {
        struct requester *who = &broker->requesters[i];
        const short ready = entries[1 + i].revents;
        // One each time: who is next depends on whether this one reads.
        if (ready == 0 || (ready == POLLIN && served++ > 0) ||
            ((ready & POLLIN) != 0 && serve_client(broker, who)))
            continue;
        close(who->socket);
        *who = broker->requesters[--broker->requester_count];
    }
    if (entries[0].revents != 0)
        accept_client(broker);
}
