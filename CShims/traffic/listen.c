// The receiving side: counts, answers, and reports of each sender.
#include "traffic.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOST_RUNS 64
#define MOST_STREAMS 64

// One sender, from its first packet on.
struct run {
    bool used;
    uint64_t id; // datagrams: as it came
    int socket;  // streams
    char sender[INET6_ADDRSTRLEN + 10];
    uint64_t began, last, packets, bytes;
    uint32_t highest; // sequence
    struct jitter jitter;
};

static struct run runs[MOST_RUNS];
static uint8_t buffer[1 << 17];

// One socket for both families.
static int open_socket(const struct options *options, int type)
{
    const int on = 1, off = 0;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(options->port)};
    int opened = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
    if (opened < 0 && errno == EAFNOSUPPORT) {
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(options->port)};
        opened = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        if (opened >= 0)
            setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (opened < 0 || bind(opened, (struct sockaddr *)&four, sizeof four) < 0)
            return -1;
        return opened;
    }
    if (opened < 0)
        return -1;
    setsockopt(opened, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(opened, (struct sockaddr *)&address, sizeof address) < 0 ? -1 : opened;
}

static void name(struct run *run, const struct sockaddr_storage *from)
{
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)from;
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        port = ntohs(four->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)from;
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
            inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, text, sizeof text);
        else
            inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        port = ntohs(six->sin6_port);
    }
    bool has_colons = strchr(text, ':') != NULL;
    snprintf(
        run->sender, sizeof run->sender, "%s%.*s%s:%u", has_colons ? "[" : "", INET6_ADDRSTRLEN - 1,
        text, has_colons ? "]" : "", port % 65536);
}

static void print(struct run *run, const struct options *options)
{
    bool is_udp = options->transport == UDP;
    uint64_t sent = (uint64_t)run->highest + 1;
    struct report report = {
        .protocol = is_udp ? "udp" : "tcp",
        .nanoseconds = run->last - run->began,
        .has_received = true,
        .has_packets = is_udp,
        .received_packets = run->packets,
        .received_bytes = run->bytes,
        .has_loss = is_udp,
        .loss = run->packets < sent ? 1 - (double)run->packets / (double)sent : 0,
        .has_jitter = is_udp && run->packets > 1,
        .jitter = run->jitter.value,
        .sender = run->sender,
    };
    report_print(&report, options->json);
}

static void answer(int socket, const struct run *run, const struct mark *mark,
                   const struct sockaddr *to, socklen_t size)
{
    struct answer reply = {
        .mark = *mark,
        .packets = htobe64(run->packets),
        .bytes = htobe64(run->bytes),
        .jitter = htobe64((uint64_t)run->jitter.value),
    };
    reply.mark.magic = htonl(ANSWER_MAGIC);
    // One that is lost is the sender's loss.
    (void)sendto(socket, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL, to, size);
}

static struct run *find_run(uint64_t id, const struct sockaddr_storage *from)
{
    struct run *free = NULL;
    for (size_t index = 0; index < MOST_RUNS; index++) {
        if (runs[index].used && runs[index].id == id)
            return &runs[index];
        if (!runs[index].used && !free)
            free = &runs[index];
    }
    if (free) {
        *free = (struct run){.used = true, .id = id, .began = now()};
        name(free, from);
    }
    return free;
}

int listen_for_datagrams(const struct options *options)
{
    int socket = open_socket(options, SOCK_DGRAM);
    if (socket < 0)
        return fail("listen");
    uint64_t end = options->duration ? now() + options->duration : UINT64_MAX;
    while (wait_readable(socket, end)) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        ssize_t count =
            recvfrom(socket, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        uint64_t received = now();
        struct mark mark;
        if (count < (ssize_t)sizeof mark)
            continue;
        memcpy(&mark, buffer, sizeof mark);
        struct run *run = mark.magic == htonl(MARK_MAGIC) ? find_run(mark.run, &from) : NULL;
        if (!run)
            continue;
        run->last = received;
        run->packets++;
        run->bytes += (uint64_t)count;
        if (ntohl(mark.sequence) > run->highest)
            run->highest = ntohl(mark.sequence);
        jitter_add(&run->jitter, be64toh(mark.sent), received);
        answer(socket, run, &mark, (struct sockaddr *)&from, size);
    }
    for (size_t index = 0; index < MOST_RUNS; index++)
        if (runs[index].used)
            print(&runs[index], options);
    return 0;
}

static void close_stream(struct run *run, const struct options *options)
{
    const struct mark mark = {0};
    answer(run->socket, run, &mark, NULL, 0);
    close(run->socket);
    print(run, options);
    run->used = false;
}

static void accept_stream(int listener)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    int socket = accept4(listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
    if (socket < 0)
        return;
    for (size_t index = 0; index < MOST_STREAMS; index++) {
        if (runs[index].used)
            continue;
        runs[index] = (struct run){.used = true, .socket = socket, .began = now()};
        runs[index].last = runs[index].began;
        name(&runs[index], &from);
        return;
    }
    close(socket); // as many as there is room for
}

static void read_stream(struct run *run, const struct options *options)
{
    ssize_t count = recv(run->socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        close_stream(run, options);
        return;
    }
    run->last = now();
    run->bytes += (uint64_t)count;
}

int listen_for_streams(const struct options *options)
{
    int listener = open_socket(options, SOCK_STREAM);
    if (listener < 0 || listen(listener, MOST_STREAMS) < 0)
        return fail("listen");
    uint64_t end = options->duration ? now() + options->duration : UINT64_MAX;
    while (!is_ending() && now() < end) {
        struct pollfd entries[MOST_STREAMS + 1] = {{.fd = listener, .events = POLLIN}};
        struct run *watched[MOST_STREAMS + 1];
        nfds_t count = 1;
        for (size_t index = 0; index < MOST_STREAMS; index++) {
            if (!runs[index].used)
                continue;
            watched[count] = &runs[index];
            entries[count++] = (struct pollfd){.fd = runs[index].socket, .events = POLLIN};
        }
        uint64_t left = end == UINT64_MAX ? 1000 : (end - now()) / 1000000 + 1;
        if (poll(entries, count, left > 1000 ? 1000 : (int)left) <= 0)
            continue;
        for (nfds_t index = 1; index < count; index++)
            if (entries[index].revents)
                read_stream(watched[index], options);
        if (entries[0].revents)
            accept_stream(listener);
    }
    for (size_t index = 0; index < MOST_STREAMS; index++)
        if (runs[index].used)
            close_stream(&runs[index], options);
    return 0;
}
