// slice-traffic: sends measured traffic from inside a slice, or receives it there.
//
//   slice-traffic send udp|tcp|icmp ADDRESS PORT RATE PACKETS SIZE DURATION [--json]
//   slice-traffic listen udp|tcp PORT DURATION [--json]
//
// RATE is in bits a second of payload, PACKETS a second (one of both is 0; both are: TCP goes as fast as
// it can), SIZE the bytes of a payload, DURATION in milliseconds (0: until SIGINT, SIGTERM or SIGHUP). It
// has no more rights than any command in the slice: UDP, TCP, and ICMP by echo sockets (icmp(7)).
//
// A listener of UDP answers each packet, so that the sender can tell loss, jitter and round trip times
// of one run by itself. Exit statuses: 0 done; 1 failed; 2 wrong usage.
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fail(const char *operation)
{
    fprintf(stderr, "slice-traffic: %s: %s\n", operation, strerror(errno));
    return 1;
}

static bool parse_number(const char *text, uint64_t most, uint64_t *value)
{
    char *rest;
    errno = 0;
    *value = strtoull(text, &rest, 10);
    return *text >= '0' && *text <= '9' && *rest == 0 && errno == 0 && *value <= most;
}

static bool parse_transport(const char *text, enum transport *transport)
{
    static const char *const names[] = {[UDP] = "udp", [TCP] = "tcp", [ICMP] = "icmp"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        if (strcmp(text, names[index]) != 0)
            continue;
        *transport = (enum transport)index;
        return true;
    }
    return false;
}

static bool parse_address(const char *text, uint16_t port, struct options *options)
{
    if (inet_pton(AF_INET, text, &options->to.ipv4.sin_addr) == 1) {
        options->to.ipv4.sin_family = AF_INET;
        options->to.ipv4.sin_port = htons(port);
        options->to_size = sizeof options->to.ipv4;
        return true;
    }
    memset(&options->to, 0, sizeof options->to);
    if (inet_pton(AF_INET6, text, &options->to.ipv6.sin6_addr) != 1)
        return false;
    options->to.ipv6.sin6_family = AF_INET6;
    options->to.ipv6.sin6_port = htons(port);
    options->to_size = sizeof options->to.ipv6;
    return true;
}

#define MOST_MILLISECONDS (7ull * 24 * 3600 * 1000)

static bool parse_send(int count, char **words, struct options *options)
{
    uint64_t port, size, duration;
    if (count != 7 || !parse_transport(words[0], &options->transport) ||
        !parse_number(words[2], 65535, &port) ||
        !parse_address(words[1], options->transport == ICMP ? 0 : (uint16_t)port, options) ||
        !parse_number(words[3], 1000000000000, &options->rate) ||
        !parse_number(words[4], 100000000, &options->packets) ||
        !parse_number(words[5], options->transport == TCP ? 1 << 20 : SIZE_MAX_UDP - 8, &size) ||
        !parse_number(words[6], MOST_MILLISECONDS, &duration))
        return false;
    options->size = (uint32_t)size;
    options->duration = duration * 1000000;
    if (options->transport == TCP)
        return size > 0 && port > 0;
    return size >= SIZE_MIN && (options->rate != 0) != (options->packets != 0) &&
           (options->transport == ICMP || port > 0);
}

static bool parse_listen(int count, char **words, struct options *options)
{
    uint64_t port, duration;
    if (count != 3 || !parse_transport(words[0], &options->transport) ||
        options->transport == ICMP || !parse_number(words[1], 65535, &port) || port == 0 ||
        !parse_number(words[2], MOST_MILLISECONDS, &duration))
        return false;
    options->listens = true;
    options->port = (uint16_t)port;
    options->duration = duration * 1000000;
    return true;
}

int main(int argc, char **argv)
{
    static struct options options;
    if (argc > 2 && strcmp(argv[argc - 1], "--json") == 0) {
        options.json = true;
        argc--;
    }
    bool is_right = argc > 2 && (strcmp(argv[1], "send") == 0 ? parse_send(argc - 2, argv + 2, &options)
                                 : strcmp(argv[1], "listen") == 0
                                     ? parse_listen(argc - 2, argv + 2, &options)
                                     : false);
    if (!is_right) {
        fprintf(stderr, "slice-traffic: wrong usage\n");
        return 2;
    }
    catch_signals();
    if (options.listens)
        return options.transport == UDP ? listen_for_datagrams(&options)
                                        : listen_for_streams(&options);
    return options.transport == TCP ? send_stream(&options) : send_datagrams(&options);
}
