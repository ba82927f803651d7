#define _GNU_SOURCE
#include "rings.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int rings_watch(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

static uint64_t ring_size(const struct rtattr *attribute)
{
    struct packet_diag_ring ring;
    if (RTA_PAYLOAD(attribute) < sizeof ring)
        return 0;
    memcpy(&ring, RTA_DATA(attribute), sizeof ring);
    return (uint64_t)ring.pdr_block_size * ring.pdr_block_nr;
}

// Bytes of the rings that one message tells of, less the one that is to be replaced.
static uint64_t sizes_in(const struct nlmsghdr *message, ino_t replaced, int option)
{
    const struct packet_diag_msg *told = NLMSG_DATA(message);
    const int skipped = told->pdiag_ino != replaced       ? -1
                        : option == PACKET_RX_RING ? PACKET_DIAG_RX_RING
                                                   : PACKET_DIAG_TX_RING;
    size_t left = NLMSG_PAYLOAD(message, sizeof *told);
    uint64_t sum = 0;
    for (const struct rtattr *attribute = (const void *)(told + 1); RTA_OK(attribute, left);
         attribute = RTA_NEXT(attribute, left))
        if (attribute->rta_type != skipped && (attribute->rta_type == PACKET_DIAG_RX_RING ||
                                               attribute->rta_type == PACKET_DIAG_TX_RING))
            sum += ring_size(attribute);
    return sum;
}

static int ask(int watch, uint32_t sequence)
{
    struct {
        struct nlmsghdr header;
        struct packet_diag_req request;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = sequence},
        .request = {.sdiag_family = AF_PACKET, .pdiag_show = PACKET_SHOW_RING_CFG},
    };
    return send(watch, &message, sizeof message, 0) < 0 ? -1 : 0;
}

// What the datagrams of one dump have told so far.
struct sum {
    uint32_t sequence;
    ino_t replaced; // the socket whose ring `option` does not count
    int option;
    uint64_t bytes;
    unsigned parts; // datagrams that told of sockets
};

// 1: this was the last datagram, 0: more follow, -1 with errno.
static int add_up(struct sum *sum, const void *datagram, size_t length)
{
    bool told = false;
    for (const struct nlmsghdr *message = datagram; NLMSG_OK(message, length);
         message = NLMSG_NEXT(message, length)) {
        if (message->nlmsg_seq != sum->sequence)
            continue; // of an earlier question, which failed half way
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
            const int *error = NLMSG_DATA(message); // both begin with it
            if (message->nlmsg_type == NLMSG_DONE && *error == 0)
                return 1;
            errno = *error < 0 ? -*error : EIO;
            return -1;
        }
        if (message->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
            sum->bytes += sizes_in(message, sum->replaced, sum->option);
            sum->parts += told ? 0 : 1;
            told = true;
        }
    }
    return 0;
}

static int measure_once(int watch, struct sum *sum)
{
    static uint32_t sequence;
    static _Alignas(struct nlmsghdr) char datagram[32768]; // as large as the kernel makes them
    sum->sequence = ++sequence;
    sum->bytes = sum->parts = 0;
    if (ask(watch, sum->sequence) < 0)
        return -1;
    int result = 0;
    while (result == 0) {
        ssize_t length = recv(watch, datagram, sizeof datagram, 0);
        if (length >= 0)
            result = add_up(sum, datagram, (size_t)length);
        else if (errno != EINTR)
            return -1;
    }
    return result < 0 ? -1 : 0;
}

// Bytes of all rings. The kernel takes up a list in a second datagram by counting, and so passes
// over a socket where one in front was closed meanwhile: only what fits into one datagram counts,
// 32 KiB, which is some 300 sockets. The first may be smaller; the kernel sees then what we can take.
static int measure(int watch, struct sum *sum)
{
    for (int i = 0; i < 3; i++) {
        if (measure_once(watch, sum) < 0)
            return -1;
        if (sum->parts <= 1)
            return 0;
    }
    errno = ENOMEM;
    return -1;
}

int rings_measure(int watch, uint64_t *bytes)
{
    struct sum all = {.replaced = 0};
    if (measure(watch, &all) < 0)
        return -1;
    *bytes = all.bytes;
    return 0;
}

int rings_set(int watch, int socket, int option, const union tpacket_req_u *request, size_t size,
              uint64_t limit)
{
    struct stat file;
    // The first two fields are the same in every version.
    const uint64_t asked = (uint64_t)request->req.tp_block_size * request->req.tp_block_nr;
    if (fstat(socket, &file) < 0)
        return -1;
    if (asked > 0) { // taking a ring away is always possible
        struct sum others = {.replaced = file.st_ino, .option = option};
        if (measure(watch, &others) < 0)
            return -1;
        if (asked > limit || others.bytes > limit - asked) {
            errno = ENOMEM;
            return -1;
        }
    }
    return setsockopt(socket, SOL_PACKET, option, request, (socklen_t)size);
}
