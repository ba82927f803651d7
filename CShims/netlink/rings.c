// What packet sockets have for rings, which the kernel charges to nobody (packet(7)).

#include "internal.h"

#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t ring_size(const struct nlattr *attribute) {
    if (!attribute || nla_len(attribute) < (int)sizeof(struct packet_diag_ring)) return 0;
    const struct packet_diag_ring *ring = nla_data(attribute);
    return (uint64_t)ring->pdr_block_size * ring->pdr_block_nr;
}

static void add_rings(const struct nlmsghdr *reply, void *argument) {
    struct nlattr *attributes[PACKET_DIAG_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        nlmsg_parse(header, sizeof(struct packet_diag_msg), attributes, PACKET_DIAG_MAX, NULL) < 0)
        return;
    *(uint64_t *)argument += ring_size(attributes[PACKET_DIAG_RX_RING]) +
                             ring_size(attributes[PACKET_DIAG_TX_RING]);
}

static void begin_again(void *argument) { *(uint64_t *)argument = 0; }

int cnl_ring_bytes(uint64_t *bytes, struct cnl_error *error) {
    *bytes = 0;
    int socket = cnl_socket(NETLINK_SOCK_DIAG, error);
    if (socket < 0) return socket;
    const struct packet_diag_req request = {
        .sdiag_family = AF_PACKET, .pdiag_show = PACKET_SHOW_RING_CFG};
    int result = cnl_dump(
        socket, "list packet sockets", SOCK_DIAG_BY_FAMILY, &request, sizeof request, add_rings,
        begin_again, bytes, error);
    close(socket);
    return result;
}
