// Traffic between namespaces, and how much of it arrives.
//   traffic sink PORT…                takes TCP and UDP on these ports, of both families; ten times a second
//                                     prints MICROSECONDS and the bytes of each port until then
//   traffic tcp ADDRESS PORT          sends a TCP stream as fast as it goes, for ever; if the connection ends,
//                                     says so and ends
//   traffic udp ADDRESS PORT SIZE [MBITS]
//                                     the same with UDP packets of SIZE bytes with all headers (at least 64),
//                                     or as many as make MBITS a second
//   traffic gso ADDRESS PORT [MBITS]  UDP packets that the kernel is to split: 40 of 1514 bytes each (udp(7))
// What is counted is what has come over the wire in full packets of Ethernet: payload, and of headers 42
// bytes an UDP packet, 66 each 1448 bytes of TCP.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_PORTS 16
#define MANY 64
static char block[1 << 18];

static void fail(const char *operation) {
    perror(operation);
    exit(1);
}

// ---- sink

struct port {
    int number, tcp, udp;
    atomic_ullong bytes;
};
static struct port ports[MOST_PORTS];

static int take(int type, int port) {
    int made = socket(AF_INET6, type, 0), on = 1, off = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (made < 0 || setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ||
        bind(made, (void *)&any, sizeof any) < 0 || (type == SOCK_STREAM && listen(made, 16) < 0))
        fail("take a port");
    return made;
}

static void *drain_udp(void *argument) {
    struct port *port = argument;
    static _Thread_local char packets[MANY][2048];
    struct iovec parts[MANY];
    struct mmsghdr messages[MANY] = {0};
    for (int i = 0; i < MANY; i++) {
        parts[i] = (struct iovec){packets[i], sizeof packets[i]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        int count = recvmmsg(port->udp, messages, MANY, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) port->bytes += messages[i].msg_len + 42;
    }
    return NULL;
}

struct stream {
    int socket;
    struct port *port;
};

static void *drain_tcp(void *argument) {
    struct stream stream = *(struct stream *)argument;
    free(argument);
    ssize_t size;
    // Not to be copied: the kernel throws them away (tcp(7), MSG_TRUNC).
    while ((size = recv(stream.socket, block, 1 << 20, MSG_TRUNC)) > 0)
        stream.port->bytes += (unsigned long long)size + (unsigned long long)size * 66 / 1448;
    close(stream.socket);
    return NULL;
}

static void start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0) fail("pthread_create");
}

static void *accept_tcp(void *argument) {
    struct port *port = argument;
    for (;;) {
        struct stream *stream = malloc(sizeof *stream);
        *stream = (struct stream){accept(port->tcp, NULL, NULL), port};
        if (stream->socket >= 0) start(drain_tcp, stream);
    }
    return NULL;
}

static void sink(int count, char **numbers) {
    for (int i = 0; i < count && i < MOST_PORTS; i++) {
        ports[i].number = atoi(numbers[i]);
        ports[i].tcp = take(SOCK_STREAM, ports[i].number);
        ports[i].udp = take(SOCK_DGRAM, ports[i].number);
        start(accept_tcp, &ports[i]);
        start(drain_udp, &ports[i]);
    }
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        printf("%lld", now.tv_sec * 1000000ll + now.tv_nsec / 1000);
        for (int i = 0; i < count && i < MOST_PORTS; i++) printf(" %llu", (unsigned long long)ports[i].bytes);
        puts("");
        fflush(stdout);
        usleep(100000);
    }
}

// ---- senders

static int reach(int type, const char *address, const char *port) {
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = to4.sin_port};
    int is_ipv6 = inet_pton(AF_INET, address, &to4.sin_addr) != 1;
    if (is_ipv6 && inet_pton(AF_INET6, address, &to6.sin6_addr) != 1) fail(address);
    int made = socket(is_ipv6 ? AF_INET6 : AF_INET, type, 0);
    if (made < 0 || (is_ipv6 ? connect(made, (void *)&to6, sizeof to6)
                             : connect(made, (void *)&to4, sizeof to4)) < 0)
        fail("connect");
    return made;
}

static void send_tcp(int socket) {
    while (send(socket, block, sizeof block, 0) > 0) {}
    perror("the connection has ended");
}

// Waits until so many bytes may have been sent at a rate; 0: never.
static void keep_pace(double mbits, size_t sent) {
    static struct timespec begin;
    static double bytes;
    struct timespec now;
    if (mbits <= 0) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (bytes == 0) begin = now;
    bytes += (double)sent;
    double early = bytes * 8 / mbits - ((double)(now.tv_sec - begin.tv_sec) * 1e6 + (double)(now.tv_nsec - begin.tv_nsec) / 1e3);
    if (early > 0) usleep((useconds_t)early);
}

// A refusal (ICMP) or a full queue is no reason to stop.
static void send_udp(int socket, size_t size, double mbits) {
    struct iovec part = {block, size};
    struct mmsghdr messages[MANY] = {0};
    unsigned many = mbits > 0 ? 8 : MANY;
    for (int i = 0; i < MANY; i++) {
        messages[i].msg_hdr.msg_iov = &part;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        sendmmsg(socket, messages, many, 0);
        keep_pace(mbits, many * (size + 42));
    }
}

static void send_split(int socket, double mbits) {
    int size = 1472;
    if (setsockopt(socket, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) < 0) fail("UDP_SEGMENT");
    for (;;) {
        send(socket, block, 40 * 1472, 0);
        keep_pace(mbits, 40 * 1514);
    }
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    if (count >= 3 && !strcmp(what, "sink")) sink(count - 2, arguments + 2);
    else if (count >= 4 && !strcmp(what, "tcp")) send_tcp(reach(SOCK_STREAM, arguments[2], arguments[3]));
    else if (count >= 4 && !strcmp(what, "gso")) send_split(reach(SOCK_DGRAM, arguments[2], arguments[3]), count > 4 ? atof(arguments[4]) : 0);
    else if (count >= 5 && !strcmp(what, "udp"))
        send_udp(reach(SOCK_DGRAM, arguments[2], arguments[3]), (size_t)atoi(arguments[4]) - 42,
                 count > 5 ? atof(arguments[5]) : 0);
    else fprintf(stderr, "usage: traffic sink PORT… | tcp ADDRESS PORT | udp ADDRESS PORT SIZE [MBITS] | gso ADDRESS PORT [MBITS]\n");
    return 1;
}
