// Sends frames at full rate, as a slice would that has raw sockets.
// usage: blast INTERFACE MODE SECONDS     frames in hexadecimal on standard input, one a line
// MODE: packet (AF_PACKET), bypass (the same past the qdisc), ring (PACKET_TX_RING: the kernel sends the
// sender's own pages), raw (IPPROTO_RAW with the header included; IPv4 alone, without the Ethernet header),
// udp (an ordinary socket that sends the UDP payload of an IPv4 or IPv6 frame to where that goes).
// Prints for each line how many the kernel took; 0 where it took none.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FRAME 2048
#define SLOTS 64

enum mode { PACKET, BYPASS, RING, RAW, UDP, MODES };
static const char *const names[MODES] = {"packet", "bypass", "ring", "raw", "udp"};

struct sender {
    enum mode mode;
    int socket;
    char *ring; // SLOTS slots of MAX_FRAME
};

static void fail(const char *operation) {
    perror(operation);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void make_ring(struct sender *sender) {
    int version = TPACKET_V2;
    struct tpacket_req request = {
        .tp_block_size = SLOTS * MAX_FRAME, .tp_block_nr = 1, .tp_frame_size = MAX_FRAME,
        .tp_frame_nr = SLOTS};
    if (setsockopt(sender->socket, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(sender->socket, SOL_PACKET, PACKET_TX_RING, &request, sizeof request) < 0)
        fail("PACKET_TX_RING");
    sender->ring = mmap(NULL, SLOTS * MAX_FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, sender->socket, 0);
    if (sender->ring == MAP_FAILED) fail("mmap");
}

static struct sender open_sender(enum mode mode, const char *interface) {
    struct sender sender = {.mode = mode, .socket = -1};
    if (mode == UDP) return sender;
    sender.socket = mode == RAW ? socket(AF_INET, SOCK_RAW, IPPROTO_RAW) : socket(AF_PACKET, SOCK_RAW, 0);
    if (sender.socket < 0) fail("socket");
    if (mode == RAW) return sender;
    int on = 1;
    if (mode == BYPASS && setsockopt(sender.socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0)
        fail("PACKET_QDISC_BYPASS");
    if (mode == RING) make_ring(&sender);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    if (bind(sender.socket, (void *)&address, sizeof address) < 0) fail("bind");
    return sender;
}

static int connect_udp(const unsigned char *frame, bool is_ipv6) {
    struct sockaddr_in to4 = {.sin_family = AF_INET};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
    memcpy(&to4.sin_addr, frame + ETH_HLEN + 16, 4);
    memcpy(&to4.sin_port, frame + ETH_HLEN + 22, 2);
    memcpy(&to6.sin6_addr, frame + ETH_HLEN + 24, 16);
    memcpy(&to6.sin6_port, frame + ETH_HLEN + 42, 2);
    int made = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    if (made < 0 || (is_ipv6 ? connect(made, (void *)&to6, sizeof to6)
                             : connect(made, (void *)&to4, sizeof to4)) < 0)
        fail("connect");
    return made;
}

static long send_many(const struct sender *sender, const unsigned char *frame, size_t size) {
    if (sender->mode == UDP) {
        size_t headers = ETH_HLEN + (frame[12] == 0x86 ? 40 : 20) + 8;
        frame += headers;
        size -= headers;
    }
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (sender->mode == RAW) {
        memcpy(&to.sin_addr, frame + ETH_HLEN + 16, 4);
        frame += ETH_HLEN;
        size -= ETH_HLEN;
    }
    struct iovec part = {(void *)frame, size};
    struct mmsghdr messages[SLOTS] = {0};
    for (int index = 0; index < SLOTS; index++) {
        messages[index].msg_hdr.msg_iov = &part;
        messages[index].msg_hdr.msg_iovlen = 1;
        if (sender->mode != RAW) continue;
        messages[index].msg_hdr.msg_name = &to;
        messages[index].msg_hdr.msg_namelen = sizeof to;
    }
    int taken = sendmmsg(sender->socket, messages, SLOTS, 0);
    return taken < 0 ? 0 : taken;
}

// One after the other, each awaited: what was taken is known.
static long send_ring(const struct sender *sender, const unsigned char *frame, size_t size) {
    long taken = 0;
    for (int index = 0; index < SLOTS; index++) {
        struct tpacket2_hdr *slot = (void *)(sender->ring + index * MAX_FRAME);
        memcpy((char *)slot + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), frame, size);
        slot->tp_len = (unsigned)size;
        slot->tp_status = TP_STATUS_SEND_REQUEST;
    }
    for (int rounds = 0; rounds < SLOTS; rounds++)
        if (send(sender->socket, NULL, 0, 0) <= 0) break;
    for (int index = 0; index < SLOTS; index++) {
        struct tpacket2_hdr *slot = (void *)(sender->ring + index * MAX_FRAME);
        if (slot->tp_status == TP_STATUS_AVAILABLE) taken++;
        slot->tp_status = TP_STATUS_AVAILABLE;
    }
    return taken;
}

static size_t read_frame(const char *line, unsigned char frame[MAX_FRAME / 2]) {
    size_t size = 0;
    unsigned byte;
    while (size < MAX_FRAME / 2 && sscanf(line + 2 * size, "%2x", &byte) == 1)
        frame[size++] = (unsigned char)byte;
    return size;
}

int main(int count, char **arguments) {
    int mode = 0;
    while (count == 4 && mode < MODES && strcmp(arguments[2], names[mode]) != 0) mode++;
    if (count != 4 || mode == MODES) {
        fprintf(stderr, "usage: blast INTERFACE packet|bypass|ring|raw|udp SECONDS <FRAMES\n");
        return 2;
    }
    struct sender sender = open_sender((enum mode)mode, arguments[1]);
    char line[MAX_FRAME + 2];
    while (fgets(line, sizeof line, stdin)) {
        unsigned char frame[MAX_FRAME / 2];
        size_t size = read_frame(line, frame);
        if (size < ETH_HLEN) continue;
        if (mode == UDP) sender.socket = connect_udp(frame, frame[12] == 0x86); // one a line
        long taken = 0;
        double end = now() + atof(arguments[3]);
        do {
            taken += mode == RING ? send_ring(&sender, frame, size) : send_many(&sender, frame, size);
        } while (now() < end);
        printf("%ld\n", taken);
        fflush(stdout);
    }
    return 0;
}
