#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filter.h"

// Has a packet socket, made without a protocol and so deaf, begin to receive (packet(7)).
static int listen_to(int socket, int protocol)
{
    const struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                        .sll_protocol = htons((uint16_t)protocol)};
    return bind(socket, (const struct sockaddr *)&address, sizeof address);
}

// A raw socket receives from the moment it exists. Once the filter is in force this ends, because
// nothing that it refuses joins the queue; what it lets through may be lost, as if it had come a
// moment earlier.
static void drain(int socket)
{
    char byte;
    while (recv(socket, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == EINTR)
        ;
}

static int prepare(int socket, const struct slice_raw_grants *grants, enum raw_class class,
                   int domain, int protocol)
{
    const uint32_t mark = MARK_TAG | class;
    if (filter_attach(socket, grants, class, domain, NULL, 0) < 0 ||
        setsockopt(socket, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        return -1;
    if (domain == AF_PACKET)
        return protocol == 0 ? 0 : listen_to(socket, protocol);
    drain(socket);
    return 0;
}

int socket_open(const struct slice_raw_grants *grants, enum raw_class class, int domain, int type,
                int protocol)
{
    int made = socket(domain, type | SOCK_CLOEXEC, domain == AF_PACKET ? 0 : protocol);
    if (made < 0)
        return -1;
    if (prepare(made, grants, class, domain, protocol) == 0)
        return made;
    int error = errno;
    close(made);
    errno = error;
    return -1;
}

static int get(int socket, int option, int *value)
{
    socklen_t size = sizeof *value;
    return getsockopt(socket, SOL_SOCKET, option, value, &size);
}

int socket_identify(int socket, struct socket_kind *kind)
{
    int type, mark;
    if (get(socket, SO_DOMAIN, &kind->domain) < 0 || get(socket, SO_TYPE, &type) < 0 ||
        get(socket, SO_PROTOCOL, &kind->protocol) < 0 || get(socket, SO_MARK, &mark) < 0)
        return -1;
    const bool internet = kind->domain == AF_INET || kind->domain == AF_INET6;
    kind->raw = kind->domain == AF_PACKET || (internet && type == SOCK_RAW);
    kind->class = ((uint32_t)mark & MARK_MASK) == MARK_TAG
                      ? (enum raw_class)((uint32_t)mark & ~MARK_MASK)
                      : CLASS_NONE;
    return 0;
}
