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

static int prepare(int socket, const struct slice_raw_grants *grants, enum raw_class class,
                   int domain, int protocol)
{
    const uint32_t mark = SLICE_RAW_MARK | class;
    if (filter_attach(socket, grants, class, domain, NULL, 0) < 0 ||
        setsockopt(socket, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        return -1;
    return domain == AF_PACKET && protocol != 0 ? listen_to(socket, protocol) : 0;
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

// A raw socket receives from the moment it exists, not from when it is bound. What came before the
// filter is at the front of the queue, and not more than the buffer holds; what the filter let
// through behind it may be lost, as if it had come a moment earlier.
void socket_drain(int socket)
{
    const int least = 256; // bytes that a packet is counted as, with its struct sk_buff
    int room;
    char byte;
    if (get(socket, SO_RCVBUF, &room) < 0)
        return;
    for (int left = room / least; left >= 0; left--)
        if (recv(socket, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) < 0 && errno != EINTR)
            return;
}

int socket_identify(int socket, struct socket_kind *kind)
{
    int type, mark;
    if (get(socket, SO_DOMAIN, &kind->domain) < 0 || get(socket, SO_TYPE, &type) < 0 ||
        get(socket, SO_PROTOCOL, &kind->protocol) < 0 || get(socket, SO_MARK, &mark) < 0)
        return -1;
    const bool internet = kind->domain == AF_INET || kind->domain == AF_INET6;
    kind->raw = kind->domain == AF_PACKET || (internet && type == SOCK_RAW);
    kind->class = ((uint32_t)mark & SLICE_RAW_MARK_MASK) == SLICE_RAW_MARK
                      ? (enum raw_class)((uint32_t)mark & ~SLICE_RAW_MARK_MASK)
                      : CLASS_NONE;
    return 0;
}
