// Reads packets from all queues of a TUN device, a thread for each, and answers pings of the addresses behind
// it. For a slice with raw.allow=tun:10.9.0.1/24:queues; then `ping 10.9.0.2` inside is answered.
//
//     gcc -O2 -pthread -o tun-queues tun-queues.c -lsliceraw
#include <linux/icmp.h>
#include <linux/ip.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "sliceraw.h"

#define QUEUES 4

// Makes an echo request its own answer: the type falls by 8 in the upper byte of a word, so the checksum
// grows by as much (RFC 1624). 0: it is none.
static int turn(uint8_t *packet, ssize_t length) {
    struct iphdr *ip = (struct iphdr *)packet;
    struct icmphdr *icmp = (struct icmphdr *)(ip + 1);
    if (length < (ssize_t)(sizeof *ip + sizeof *icmp) || ip->version != 4 || ip->ihl != 5 ||
        ip->protocol != IPPROTO_ICMP || icmp->type != ICMP_ECHO)
        return 0;
    const uint32_t address = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = address;
    icmp->type = ICMP_ECHOREPLY;
    const uint32_t sum = (uint32_t)ntohs(icmp->checksum) + (ICMP_ECHO << 8);
    icmp->checksum = htons((uint16_t)(sum + (sum >> 16)));
    return 1;
}

static void *serve(void *queue) {
    uint8_t packet[65536];
    ssize_t length;
    while ((length = read(*(int *)queue, packet, sizeof packet)) > 0)
        if (turn(packet, length) && write(*(int *)queue, packet, (size_t)length) < 0) perror("write");
    perror("read"); // EBADFD: the device has been taken away
    return NULL;
}

int main(void) {
    int queues[QUEUES];
    pthread_t threads[QUEUES];
    for (int each = 0; each < QUEUES; each++)
        if ((queues[each] = sliceraw_tun("tun0", true)) < 0) {
            perror("tun0");
            return 1;
        }
    for (int each = 0; each < QUEUES; each++)
        pthread_create(&threads[each], NULL, serve, &queues[each]);
    puts("ready");
    fflush(stdout);
    for (int each = 0; each < QUEUES; each++) pthread_join(threads[each], NULL);
}
