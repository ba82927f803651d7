// The network as a slice's processes see it: sockets that forge, and its tables. Which packets pass is for
// the classifier outside.
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct answer raw4(const char *argument)
{
    (void)argument;
    return answer_of_call(socket(AF_INET, SOCK_RAW, 1), "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)");
}
static struct answer raw6(const char *argument)
{
    (void)argument;
    return answer_of_call(socket(AF_INET6, SOCK_RAW, 58), "socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)");
}
static struct answer packet(const char *argument)
{
    (void)argument;
    return answer_of_call(socket(17 /* AF_PACKET */, SOCK_RAW, 0), "socket(AF_PACKET, SOCK_RAW)");
}
// Pages that no limit of memory counts (packet(7), PACKET_RX_RING), 1 MiB of them.
static struct answer ring(const char *argument)
{
    (void)argument;
    struct { unsigned block_size, blocks, frame_size, frames; } request = {1 << 16, 16, 2048, 512};
    int socket_ = socket(17 /* AF_PACKET */, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (socket_ < 0)
        return answer_of_call(-1, "socket(AF_PACKET, SOCK_RAW)");
    return answer_of_call(setsockopt(socket_, 263 /* SOL_PACKET */, 5 /* PACKET_RX_RING */, &request, sizeof request),
                          "setsockopt(PACKET_RX_RING, 1 MiB)");
}
static struct answer odd(int family, const char *name)
{
    static const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM, SOCK_STREAM, SOCK_RAW};
    int socket_ = -1;
    for (size_t i = 0; i < 4 && socket_ < 0; i++)
        socket_ = socket(family, types[i], family == 15 ? 2 : 0);
    return answer_of_call(socket_, "socket(%s)", name);
}
static struct answer alg(const char *argument) { (void)argument; return odd(38, "AF_ALG"); }
static struct answer vsock(const char *argument) { (void)argument; return odd(40, "AF_VSOCK"); }
static struct answer key(const char *argument) { (void)argument; return odd(15, "AF_KEY"); }
static struct answer xdp(const char *argument) { (void)argument; return odd(44, "AF_XDP"); }
static struct answer bluetooth(const char *argument) { (void)argument; return odd(31, "AF_BLUETOOTH"); }

struct header { uint32_t length; uint16_t type, flags; uint32_t sequence, port; };

long netlink_request(int protocol, void *message, size_t size)
{
    struct { struct header header; int32_t error; char rest[1024]; } answer;
    int socket_ = socket(16 /* AF_NETLINK */, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (socket_ < 0)
        return -1;
    struct timeval patience = {2, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (send(socket_, message, size, 0) < 0 || recv(socket_, &answer, sizeof answer, 0) < (ssize_t)sizeof(struct header) + 4)
        return -1;
    errno = answer.header.type == 2 /* NLMSG_ERROR */ ? -answer.error : EPROTOTYPE;
    return errno ? -1 : 0;
}

// 127.126.0.1 on lo, which is always there as number 1.
static struct answer address(const char *argument)
{
    (void)argument;
    struct { struct header header; uint8_t family, prefix, flags, scope; uint32_t index; uint16_t length, type; uint32_t value; }
        message = {{sizeof message, 20 /* RTM_NEWADDR */, 0x605, 1, 0}, 2, 32, 0, 0, 1, 8, 2, htonl(0x7F7E0001)};
    return answer_of_call(netlink_request(0, &message, sizeof message), "netlink: address 127.126.0.1 on lo");
}

// Nothing is sent there: TEST-NET-3, unreachable.
static struct answer route(const char *argument)
{
    (void)argument;
    struct { struct header header; uint8_t family, to, from, tos, table, protocol, scope, type; uint32_t flags;
             uint16_t length, kind; uint32_t value; }
        message = {{sizeof message, 24 /* RTM_NEWROUTE */, 0x605, 1, 0}, 2, 32, 0, 0, 254, 4, 0, 7 /* RTN_UNREACHABLE */, 0, 8, 1, htonl(0xCB0071C8)};
    return answer_of_call(netlink_request(0, &message, sizeof message), "netlink: route to 203.0.113.200");
}

// Down, and up again at once where that was possible.
static struct answer link_down(const char *argument)
{
    (void)argument;
    struct { struct header header; uint8_t family, pad; uint16_t type; uint32_t index, flags, change; }
        message = {{sizeof message, 16 /* RTM_NEWLINK */, 5, 1, 0}, 0, 0, 0, 1, 0, 1 /* IFF_UP */};
    long value = netlink_request(0, &message, sizeof message);
    int error = errno;
    if (value == 0) {
        message.flags = 1;
        netlink_request(0, &message, sizeof message);
    }
    errno = error;
    return answer_of_call(value, "netlink: lo down");
}

// A new nftables table of the namespace. A batch needs its begin and end.
static struct answer filters(const char *argument)
{
    (void)argument;
    struct part { struct header header; uint8_t family, version; uint16_t resource; } __attribute__((aligned(4)));
    struct { struct part begin; struct part table; uint16_t length, type; char name[12]; struct part end; }
        message = {{{sizeof(struct part), 16, 1, 1, 0}, 0, 0, htons(10)},
                   {{sizeof(struct part) + 16, 0xA00 /* NFT_MSG_NEWTABLE */, 0x405, 2, 0}, 2, 0, 0},
                   16, 1, "slice-probe",
                   {{sizeof(struct part), 17, 1, 3, 0}, 0, 0, htons(10)}};
    return answer_of_call(netlink_request(12 /* NETLINK_NETFILTER */, &message, sizeof message), "nftables: a new table");
}

static struct answer sysctl_(const char *argument)
{
    (void)argument;
    static const char *const files[] = {
        "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/sys/net/ipv6/conf/all/accept_ra",
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int file = open(files[i], O_WRONLY | O_CLOEXEC);
        if (file >= 0)
            return answer_of_call(file, "open(%s, O_WRONLY)", files[i]);
    }
    return answer_of_call(-1, "open(/proc/sys/net/…, O_WRONLY)");
}

// Bound to a device, a socket would reach past routes and rules; needs CAP_NET_RAW where it is bound already.
static struct answer mark(const char *argument)
{
    (void)argument;
    int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), value = 1;
    if (socket_ < 0)
        return failed("socket(AF_INET)");
    return answer_of_call(setsockopt(socket_, SOL_SOCKET, 36 /* SO_MARK */, &value, sizeof value), "setsockopt(SO_MARK)");
}
static struct answer transparent(const char *argument)
{
    (void)argument;
    int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), value = 1;
    if (socket_ < 0)
        return failed("socket(AF_INET)");
    return answer_of_call(setsockopt(socket_, IPPROTO_IP, 19 /* IP_TRANSPARENT */, &value, sizeof value), "setsockopt(IP_TRANSPARENT)");
}

const struct probe network_probes[] = {
    {"network.raw4", raw4},   {"network.raw6", raw6},       {"network.packet", packet},
    {"network.ring", ring},
    {"network.alg", alg},     {"network.vsock", vsock},     {"network.key", key},
    {"network.xdp", xdp},     {"network.bluetooth", bluetooth}, {"network.address", address},
    {"network.route", route}, {"network.link", link_down},  {"network.filters", filters},
    {"network.sysctl", sysctl_}, {"network.mark", mark},    {"network.transparent", transparent},
    {0},
};
