// What the broker of raw sockets reads: commands, requests of the slice's processes, and the filters that its
// programs bring.
//
// The input is a list of messages, each with a length of two bytes. A message goes to the control socket
// as it is, then to a client's of the slice, and then, as a program's filter, behind the policy of the grants
// in force.
#define _GNU_SOURCE
#include "../../CShims/broker/control.h"
#include "../../CShims/broker/filter.h"
#include "../../CShims/broker/grants.h"
#include "../../CShims/broker/requests.h"
#include "../../CShims/broker/serve.h"
#include "../../CShims/broker/sockets.h"
#include "../../CShims/broker/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- in place of what needs a slice

int serve_add(struct broker *broker, int listener) {
    (void)broker;
    close(listener);
    return 0;
}

int sweep(int process_files, sweep_keeps *keeps, const void *context, struct sweep_result *result) {
    // Every kind of socket is asked about.
    (void)process_files;
    for (int class = CLASS_NONE; class <= CLASS_ETHERTYPES; class++)
        for (int protocol = -1; protocol < 300; protocol += 7) {
            struct socket_kind kind = {
                .class = (enum raw_class)class, .domain = AF_INET, .protocol = protocol};
            result->closed += !keeps(&kind, context);
        }
    return 0;
}

int socket_open(const struct slice_raw_grants *grants, enum raw_class class, int domain, int type,
                int protocol) {
    if (grants_classify(grants, domain, type, protocol) != class)
        abort(); // opened without a grant
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void socket_drain(int socket) { (void)socket; }

// ---- runs

static void command(struct broker *broker, const uint8_t *data, size_t size) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        abort();
    broker->client = ends[0];
    if (send(ends[1], data, size, 0) == (ssize_t)size)
        control_read(broker);
    struct slice_raw_answer answer;
    ssize_t length = size == 0 ? -1 : recv(ends[1], &answer, sizeof answer, 0);
    if (size > 0 && (length != sizeof answer || answer.kind != SLICE_RAW_ANSWER))
        abort(); // a command without an answer
    const struct slice_raw_grants *grants = &broker->state->grants;
    if (!grants_valid(grants))
        abort(); // grants that are none came into force
    if (broker->client >= 0)
        close(broker->client);
    broker->client = -1;
    close(ends[1]);
}

// Of a whole request there is an answer; of anything else the client is given up.
static void request(struct broker *broker, const uint8_t *data, size_t size) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        abort();
    broker->requesters[broker->requester_count++] = (struct requester){.socket = ends[0]};
    struct pollfd entries[REQUEST_ENTRIES];
    requests_wait(broker, entries);
    entries[1].revents = POLLIN;
    if (size > 0 && send(ends[1], data, size, 0) == (ssize_t)size)
        requests_serve(broker, entries);
    struct slice_answer answer;
    ssize_t length = size == 0 ? -1 : recv(ends[1], &answer, sizeof answer, 0);
    if (size > 0 && size != sizeof(struct slice_request) && (length != 0 || broker->requester_count > 0))
        abort();
    if (size == sizeof(struct slice_request) && length != sizeof answer)
        abort();
    while (broker->requester_count > 0)
        close(broker->requesters[--broker->requester_count].socket);
    close(ends[1]);
}

static void attach(const struct broker *broker, const uint8_t *data, size_t size) {
    static const int domains[] = {AF_INET, AF_INET6, AF_PACKET};
    struct sock_filter own[4200];
    size_t count = size / sizeof *own;
    if (size == 0 || count > sizeof own / sizeof *own)
        return;
    memcpy(own, data, count * sizeof *own);
    // Any socket takes a filter; this one needs no privilege.
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    enum raw_class class = CLASS_PROTOCOL + data[0] % CLASS_ETHERTYPES;
    int domain = class >= CLASS_SNIFF ? AF_PACKET : domains[data[0] / 16 % 2];
    if (filter_attach(ends[0], &broker->state->grants, class, domain, own, count) == 0) {
        // What the kernel took, it can be asked for again, and runs.
        struct sock_filter all[4096];
        socklen_t length = sizeof all / sizeof *all;
        getsockopt(ends[0], SOL_SOCKET, SO_GET_FILTER, all, &length);
        if (length < count)
            abort(); // less than the program's own was attached
        send(ends[1], data, size, MSG_DONTWAIT);
        char packet[64];
        recv(ends[0], packet, sizeof packet, MSG_DONTWAIT);
    }
    filter_close(ends[0]);
    close(ends[0]);
    close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice_raw_state state = {0};
    struct broker broker = {
        .control = -1, .client = -1, .requests = -1, .rings = -1, .xdp_sockets = -1, .state = &state};
    while (size >= 2) {
        size_t length = data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        if (length > size)
            length = size;
        command(&broker, data, length);
        request(&broker, data, length);
        attach(&broker, data, length);
        data += length;
        size -= length;
    }
    if (broker.xdp_sockets >= 0)
        close(broker.xdp_sockets);
    return 0;
}
