// What the kernel tells of links and routes by itself (rtnetlink(7), groups).

#include "cnetlink_shape.h"
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// A burst of slices that come or go; what does not fit costs one look at everything.
#define BUFFER (1 << 20)
#define RECEIVE_SIZE 16384

struct cnl_watch {
    int socket;
};

int cnl_watch_open(struct cnl_watch **watch, struct cnl_error *error) {
    const char *operation = "watch links and routes";
    int descriptor = cnl_socket(NETLINK_ROUTE, error);
    if (descriptor < 0) return descriptor;
    const struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    const int size = BUFFER;
    struct cnl_watch *fresh = malloc(sizeof *fresh);
    int number = fresh ? 0 : ENOMEM;
    if (number == 0 && (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 ||
                        bind(descriptor, (const void *)&address, sizeof address) < 0))
        number = errno;
    if (number) {
        free(fresh);
        close(descriptor);
        return cnl_fail(error, number, operation, "rtnetlink");
    }
    fresh->socket = descriptor;
    *watch = fresh;
    return 0;
}

void cnl_watch_close(struct cnl_watch *watch) {
    if (!watch) return;
    close(watch->socket);
    free(watch);
}

static bool matters(const struct nlmsghdr *message, const char *prefix) {
    struct nlmsghdr *header = (struct nlmsghdr *)message;
    if (message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE)
        return message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) &&
               ((struct rtmsg *)nlmsg_data(header))->rtm_dst_len == 0;
    if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return false;
    struct nlattr *attributes[IFLA_MAX + 1];
    if (nlmsg_parse(header, sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) < 0) return true;
    const char *name = cnl_get_text(attributes[IFLA_IFNAME]);
    return !name || strncmp(name, prefix, strlen(prefix)) != 0;
}

// All that is there. 1: something that matters; 0: nothing does; or -errno.
static int drain(struct cnl_watch *watch, const char *prefix) {
    bool found = false;
    for (;;) {
        _Alignas(struct nlmsghdr) char buffer[RECEIVE_SIZE];
        struct sockaddr_nl sender;
        socklen_t size = sizeof sender;
        ssize_t received = recvfrom(
            watch->socket, buffer, sizeof buffer, MSG_DONTWAIT, (void *)&sender, &size);
        if (received < 0 && errno == ENOBUFS) found = true; // some were lost
        else if (received < 0 && errno == EAGAIN) return found;
        else if (received < 0 && errno != EINTR) return -errno;
        if (received <= 0 || sender.nl_pid != 0) continue;
        int left = (int)received;
        for (struct nlmsghdr *message = (void *)buffer; nlmsg_ok(message, left);
             message = nlmsg_next(message, &left))
            if (matters(message, prefix)) found = true;
    }
}

int cnl_watch_wait(
    struct cnl_watch *watch, const char *prefix, int milliseconds, struct cnl_error *error) {
    struct pollfd waited = {.fd = watch->socket, .events = POLLIN};
    int result = poll(&waited, 1, milliseconds);
    if (result < 0 && errno != EINTR) result = -errno;
    else if (result > 0) result = drain(watch, prefix);
    else result = 0;
    return result < 0 ? cnl_fail(error, -result, "watch links and routes", "rtnetlink") : result;
}
