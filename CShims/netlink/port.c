// Whether a port is free on the host: found out by binding it, the one question that sees whatever
// holds a port, connections that are just ending too (TIME_WAIT).

#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

// Of both families, for a socket of IPv6 that is not told otherwise takes IPv4's port as well.
static int try_bind(int type, uint16_t port) {
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct sockaddr *address = (const struct sockaddr *)&six;
    socklen_t size = sizeof six;
    int descriptor = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0 && errno == EAFNOSUPPORT) {
        descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        address = (const struct sockaddr *)&four;
        size = sizeof four;
    }
    if (descriptor < 0) return -errno;
    int off = 0; // net.ipv6.bindv6only
    if (address->sa_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    int result = bind(descriptor, address, size) < 0 ? -errno : 0;
    close(descriptor);
    return result;
}

int cnl_port_check(uint16_t port, struct cnl_error *error) {
    int result = try_bind(SOCK_STREAM, port);
    if (result < 0) return cnl_fail(error, -result, "bind", "TCP port %u", port);
    result = try_bind(SOCK_DGRAM, port);
    if (result < 0) return cnl_fail(error, -result, "bind", "UDP port %u", port);
    return 0;
}
