// Answers UDP datagrams with what they say, by AF_XDP: no system call for a packet that comes, one for many
// that go. For a slice with raw.allow=xdp,udp:PORT, any number of ports; datagrams to them come here, and to
// no other socket of the slice.
//
//     gcc -O2 -o xdp-echo xdp-echo.c -lsliceraw
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "sliceraw.h"

#define BATCH 64

static void swap(void *one, void *other, size_t size) {
    uint8_t kept[ETH_ALEN];
    memcpy(kept, one, size);
    memcpy(one, other, size);
    memcpy(other, kept, size);
}

// Makes a datagram its own answer. 0: it is none. Without a checksum, which IPv4 allows (RFC 768): what comes
// from the same host has only begun one, since no wire can spoil it, and the sender would miss the rest.
static int turn(uint8_t *data, uint32_t length) {
    struct ethhdr *ethernet = (struct ethhdr *)data;
    struct iphdr *ip = (struct iphdr *)(ethernet + 1);
    struct udphdr *udp = (struct udphdr *)(ip + 1);
    if (length < sizeof *ethernet + sizeof *ip + sizeof *udp || ethernet->h_proto != htons(ETH_P_IP) ||
        ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
        return 0;
    swap(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
    swap(&ip->saddr, &ip->daddr, sizeof ip->saddr);
    swap(&udp->source, &udp->dest, sizeof udp->source);
    udp->check = 0;
    return 1;
}

static void answer(struct sliceraw_xdp *xdp) {
    struct sliceraw_frame came[BATCH], going[BATCH];
    const uint32_t count = sliceraw_xdp_receive(xdp, came, BATCH);
    // As many as there is room for; the others are lost, as datagrams may be.
    const uint32_t room = sliceraw_xdp_reserve(xdp, going, count);
    uint32_t used = 0;
    for (uint32_t each = 0; each < room; each++) {
        memcpy(going[used].data, came[each].data, came[each].length);
        going[used].length = came[each].length;
        if (turn(going[used].data, going[used].length)) used++;
    }
    sliceraw_xdp_give_back(xdp, came, count);
    sliceraw_xdp_cancel(xdp, going + used, room - used);
    if (used > 0 && sliceraw_xdp_send(xdp, going, used) < 0) perror("send");
}

int main(void) {
    const struct sliceraw_xdp_options options = {.frame_size = 2048, .receive = 1024, .send = 1024};
    struct sliceraw_xdp xdp;
    if (sliceraw_xdp_open(sliceraw_connect(), &options, &xdp) < 0) {
        perror("AF_XDP");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd entry = {.fd = xdp.socket, .events = POLLIN};
        if (poll(&entry, 1, -1) > 0) answer(&xdp);
    }
}
