// Receives by TPACKET_V3 on eth0 for some seconds. usage: ring_receive SECONDS; prints packets a second, and
// how many the kernel had no room for.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    const double seconds = count == 2 ? atof(arguments[1]) : 1;
    const int version = TPACKET_V3, made = socket(AF_PACKET, SOCK_RAW, 0);
    const unsigned blocks = 64, size = 65536;
    struct tpacket_req3 asked = {.tp_block_size = size, .tp_block_nr = blocks, .tp_frame_size = 2048,
                                 .tp_frame_nr = blocks * size / 2048, .tp_retire_blk_tov = 10};
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                                .sll_ifindex = (int)if_nametoindex("eth0")};
    if (setsockopt(made, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(made, SOL_PACKET, PACKET_RX_RING, &asked, sizeof asked) < 0 ||
        bind(made, (struct sockaddr *)&place, sizeof place) < 0) {
        perror("ring");
        return 1;
    }
    char *ring = mmap(NULL, (size_t)blocks * size, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
    uint64_t packets = 0;
    const double began = now();
    for (unsigned at = 0; now() - began < seconds;) {
        struct tpacket_block_desc *block = (void *)(ring + (size_t)at * size);
        if ((__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
            struct pollfd entry = {.fd = made, .events = POLLIN};
            poll(&entry, 1, 100);
            continue;
        }
        packets += block->hdr.bh1.num_pkts;
        __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        at = (at + 1) % blocks;
    }
    struct tpacket_stats_v3 lost = {0};
    socklen_t length = sizeof lost;
    getsockopt(made, SOL_PACKET, PACKET_STATISTICS, &lost, &length);
    printf("%.0f %u\n", (double)packets / seconds, lost.tp_drops);
}
