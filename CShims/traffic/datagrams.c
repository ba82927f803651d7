// Sending UDP datagrams and ICMP echoes: paced by the clock, each with a mark that comes back.
#include "traffic.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define ECHO_REPLY6 129
#define ECHO_REQUEST6 128
// What is still under way when the last was sent.
#define LAST_WAIT_NS 1000000000ull
// So many at a time, where the sender has fallen behind.
#define BURST 64
// Answers that are taken at a time: more than one for each that is sent.
#define ANSWERS (2 * BURST)

static struct sample round_trips;
static uint8_t buffer[SIZE_MAX_UDP + sizeof(struct icmphdr)];

struct run {
    const struct options *options;
    int socket;
    uint64_t id;
    struct report report;
    struct jitter jitter; // of ICMP's answers; a listener counts its own
    uint64_t answers;
    uint64_t highest; // packets that a listener has counted
};

static bool is_ipv6(const struct options *options) { return options->to.any.sa_family == AF_INET6; }

static int open_socket(const struct options *options)
{
    int protocol = options->transport == UDP ? 0
                   : is_ipv6(options)        ? IPPROTO_ICMPV6
                                             : IPPROTO_ICMP;
    int opened = socket(options->to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);
    if (opened >= 0 && connect(opened, &options->to.any, options->to_size) < 0) {
        close(opened);
        return -1;
    }
    return opened;
}

// Bytes before the mark.
static size_t head(const struct run *run)
{
    return run->options->transport == ICMP ? sizeof(struct icmphdr) : 0;
}

static ssize_t send_one(struct run *run, uint64_t sequence)
{
    size_t offset = head(run);
    if (offset) {
        // The kernel fills in identifier and checksum.
        struct icmphdr echo = {.type = is_ipv6(run->options) ? ECHO_REQUEST6 : ICMP_ECHO};
        echo.un.echo.sequence = htons((uint16_t)sequence);
        memcpy(buffer, &echo, sizeof echo);
    }
    struct mark mark = {
        .magic = htonl(MARK_MAGIC), .sequence = htonl((uint32_t)sequence),
        .sent = htobe64(now()), .run = run->id};
    memcpy(buffer + offset, &mark, sizeof mark);
    return send(run->socket, buffer, offset + run->options->size, MSG_DONTWAIT);
}

static void take(struct run *run, const uint8_t *bytes, size_t size, uint64_t received)
{
    struct answer answer;
    bool is_echo = run->options->transport == ICMP;
    if (is_echo) {
        struct icmphdr echo;
        if (size < sizeof echo + sizeof answer.mark)
            return;
        memcpy(&echo, bytes, sizeof echo);
        if (echo.type != (is_ipv6(run->options) ? ECHO_REPLY6 : ICMP_ECHOREPLY))
            return;
        memcpy(&answer.mark, bytes + sizeof echo, sizeof answer.mark);
    } else {
        if (size < sizeof answer)
            return;
        memcpy(&answer, bytes, sizeof answer);
    }
    if (answer.mark.magic != htonl(is_echo ? MARK_MAGIC : ANSWER_MAGIC) ||
        answer.mark.run != run->id)
        return;
    uint64_t sent = be64toh(answer.mark.sent);
    if (sent > received)
        return;
    run->answers++;
    sample_add(&round_trips, received - sent);
    if (is_echo) {
        jitter_add(&run->jitter, sent, received);
        return;
    }
    // Answers may overtake each other.
    if (be64toh(answer.packets) < run->highest)
        return;
    run->highest = be64toh(answer.packets);
    run->report.received_packets = run->highest;
    run->report.received_bytes = be64toh(answer.bytes);
    run->report.jitter = (double)be64toh(answer.jitter);
}

// Those that are there, so many at most: the next packet is due, whatever comes.
static void take_answers(struct run *run)
{
    static uint8_t bytes[sizeof buffer];
    for (int left = ANSWERS; left > 0; left--) {
        ssize_t size = recv(run->socket, bytes, sizeof bytes, MSG_DONTWAIT);
        // An error that came back for what was sent (ICMP) is read, and no answer.
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (size > 0)
            take(run, bytes, (size_t)size, now());
    }
}

static void finish(struct run *run, uint64_t sequence, uint64_t began, uint64_t ended)
{
    uint64_t until = now() + LAST_WAIT_NS;
    while (run->answers < sequence && wait_readable(run->socket, until))
        take_answers(run);
    struct report *report = &run->report;
    report->nanoseconds = ended - began;
    report->sent_packets = sequence;
    report->sent_bytes = sequence * run->options->size;
    report->round_trips = &round_trips;
    if (run->options->transport == ICMP) {
        report->received_packets = run->answers;
        report->received_bytes = run->answers * run->options->size;
        report->jitter = run->jitter.value;
        report->has_received = report->has_loss = true;
        report->has_jitter = run->answers > 1;
    } else {
        report->has_received = report->has_loss = report->has_jitter = run->answers > 0;
    }
    if (report->has_loss && sequence > 0)
        report->loss = report->received_packets < sequence
                           ? 1 - (double)report->received_packets / (double)sequence
                           : 0;
    report_print(report, run->options->json);
}

// Nanoseconds from one packet to the next.
static uint64_t interval(const struct options *options)
{
    if (options->packets)
        return 1000000000 / options->packets;
    return (uint64_t)options->size * 8 * 1000000000 / options->rate;
}

int send_datagrams(const struct options *options)
{
    struct run run = {
        .options = options,
        .report = {.protocol = options->transport == UDP ? "udp" : "icmp", .has_packets = true},
    };
    if (getrandom(&run.id, sizeof run.id, 0) != sizeof run.id)
        return fail("make a number");
    run.socket = open_socket(options);
    if (run.socket < 0)
        return fail(options->transport == UDP ? "open a UDP socket" : "open a socket for ICMP echoes");
    uint64_t step = interval(options), began = now(), due = began, sequence = 0;
    uint64_t end = options->duration ? began + options->duration : UINT64_MAX;
    while (!is_ending() && now() < end) {
        for (int left = BURST; left > 0 && due <= now(); left--) {
            ssize_t sent = send_one(&run, sequence);
            // A full queue, or what came back for an earlier one: the time for this one is over.
            if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED &&
                errno != EHOSTUNREACH && errno != ENETUNREACH)
                return fail("send");
            if (sent >= 0)
                sequence++;
            due += step;
        }
        take_answers(&run);
        uint64_t until = due < end ? due : end;
        if (until > now())
            wait_readable(run.socket, until);
        take_answers(&run);
    }
    finish(&run, sequence, began, now());
    close(run.socket);
    return 0;
}
