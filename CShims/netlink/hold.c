// Holding what only one may have: sockets that are bound, so that nobody else's can be. One that holds
// a port of the host takes nothing.
#define _GNU_SOURCE // struct ucred

#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int bind_to(int socket, uint16_t port, bool ipv6) {
    if (!ipv6) {
        const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
        return bind(socket, (const struct sockaddr *)&any, sizeof any);
    }
    const int off = 0;
    const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0) return -1;
    return bind(socket, (const struct sockaddr *)&any, sizeof any);
}

// Packets come here only while the port isn't published yet, or no more.
static int drop_all(int socket) {
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &nothing};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

// Without SO_REUSEADDR, which would let others with it bind as well: a TCP socket that doesn't listen
// keeps only those out that don't ask for it, unless neither does.
int cnl_port_hold(uint8_t protocol, uint16_t port, bool ipv6, struct cnl_error *error) {
    const char *operation = "hold port";
    int type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    int descriptor = socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, protocol);
    if (descriptor < 0) return cnl_fail(error, errno, operation, "%u", port);
    const int least = 0; // the kernel takes its minimum
    if ((protocol == IPPROTO_UDP && drop_all(descriptor) < 0) ||
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &least, sizeof least) < 0 ||
        bind_to(descriptor, port, ipv6) < 0) {
        int number = errno;
        close(descriptor);
        return cnl_fail(error, number, operation, "%u", port);
    }
    return descriptor;
}

// Whether the socket of this name is root's. Only what listens tells whose it is (SO_PEERCRED).
static bool is_roots(const struct sockaddr_un *name, socklen_t size) {
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return true;
    struct ucred holder = {.uid = (uid_t)-1};
    socklen_t length = sizeof holder;
    bool answer = connect(descriptor, (const struct sockaddr *)name, size) == 0 &&
                  getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &holder, &length) == 0 &&
                  holder.uid == 0;
    close(descriptor);
    return answer;
}

int cnl_host_claim(struct cnl_error *error) {
    const char *operation = "claim the network namespace";
    static const char text[] = "org.sliceruntime.network";
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path + 1, text, sizeof text - 1);
    const socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof text;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return cnl_fail(error, errno, operation, "socket");
    int number = 0;
    if (bind(descriptor, (const struct sockaddr *)&name, size) < 0 ||
        listen(descriptor, SOMAXCONN) < 0)
        number = errno;
    if (number == 0 || (number == EADDRINUSE && !is_roots(&name, size))) return descriptor;
    close(descriptor);
    return cnl_fail(error, number, operation, "%s", text);
}
