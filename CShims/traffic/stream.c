// Sending over a TCP connection, and what the kernel knows of it (tcp(7), TCP_INFO).
#include "traffic.h"

#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 10000000ull // between two looks at the round trip time
#define LAST_WAIT_NS 10000000000ull // for the other end to have read all

static struct sample round_trips;
static uint8_t buffer[1 << 20];

struct look {
    uint64_t acknowledged, retransmissions;
};

static void look_at(int socket, struct look *look)
{
    // musl's struct ends earlier than the kernel's; what is needed is in it.
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return;
    look->acknowledged = info.tcpi_bytes_acked;
    look->retransmissions = info.tcpi_total_retrans;
    if (info.tcpi_rtt)
        sample_add(&round_trips, (uint64_t)info.tcpi_rtt * 1000);
}

// What a listener says at the end; false: the other end is none.
static bool read_answer(int socket, struct report *report)
{
    struct answer answer;
    size_t filled = 0;
    uint64_t until = now() + LAST_WAIT_NS;
    while (filled < sizeof answer && wait_readable(socket, until)) {
        ssize_t count = recv(socket, (uint8_t *)&answer + filled, sizeof answer - filled, 0);
        if (count <= 0)
            break;
        filled += (size_t)count;
    }
    if (filled < sizeof answer || answer.mark.magic != htonl(ANSWER_MAGIC))
        return false;
    report->received_bytes = be64toh(answer.bytes);
    return true;
}

int send_stream(const struct options *options)
{
    signal(SIGPIPE, SIG_IGN);
    int connection = socket(options->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return fail("open a TCP socket");
    // Of connect(2), see socket(7); what is sent doesn't wait.
    const struct timeval patience = {.tv_sec = 5};
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(connection, &options->to.any, options->to_size) < 0) {
        if (errno == EINPROGRESS)
            errno = ETIMEDOUT;
        return fail("connect");
    }
    struct report report = {.protocol = "tcp", .round_trips = &round_trips};
    struct look look = {0};
    uint64_t began = now(), next_look = began, sent = 0;
    uint64_t end = options->duration ? began + options->duration : UINT64_MAX;
    while (!is_ending() && now() < end) {
        uint64_t present = now();
        if (present >= next_look) {
            look_at(connection, &look);
            next_look = present + LOOK_NS;
        }
        size_t size = options->size < sizeof buffer ? options->size : sizeof buffer;
        // When these bytes are due.
        uint64_t due = options->rate
                           ? began + (uint64_t)((double)sent * 8e9 / (double)options->rate)
                           : present;
        if (due > present) {
            struct timespec wait = {.tv_nsec = (long)(due - present < LOOK_NS ? due - present : LOOK_NS)};
            nanosleep(&wait, NULL);
            continue;
        }
        ssize_t count = send(connection, buffer, size, MSG_DONTWAIT);
        if (count > 0) {
            sent += (uint64_t)count;
        } else if (errno == EAGAIN) {
            struct pollfd entry = {.fd = connection, .events = POLLOUT};
            poll(&entry, 1, LOOK_NS / 1000000);
        } else if (errno != EINTR) {
            return fail("send");
        }
    }
    uint64_t ended = now();
    shutdown(connection, SHUT_WR);
    report.has_received = read_answer(connection, &report);
    // With what was still under way; else the queues on it would count for a higher rate.
    if (report.has_received)
        ended = now();
    look_at(connection, &look);
    report.nanoseconds = ended - began;
    report.sent_bytes = sent;
    if (!report.has_received && look.acknowledged > 1) {
        // What the other end's kernel has taken, less the opening and the end of the connection.
        report.has_received = true;
        report.received_bytes = look.acknowledged < sent ? look.acknowledged : sent;
    }
    report.has_retransmissions = true;
    report.retransmissions = look.retransmissions;
    report_print(&report, options->json);
    close(connection);
    return 0;
}
