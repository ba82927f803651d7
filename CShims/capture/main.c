// slice-capture: turns what a packet socket sees into pcapng, inside the slice whose packets they are.
//
//   slice-capture INTERFACE SNAPSHOT BLOCK-SIZE BLOCKS
//     0  a packet socket with a TPACKET_V3 ring, a locked filter, bound (packet(7))
//     1  where pcapng goes: a pipe or a socket
//     2  an end of a pipe: when the other end is closed the capture ends, with its counts
//
// The supervisor opens the socket, in the slice's network namespace, and executes this by descriptor,
// under all that confines a command in the slice. So nothing that is privileged reads a packet, what it
// costs is the slice's, and nobody holds the socket who could do more with it than read: whoever has a
// packet socket can also send, with any header, and ask for checksums to be written where it likes
// (PACKET_VNET_HDR). Not readable by the slice (0711), it is not dumpable: no process of the slice can
// trace it or take its descriptors.
//
// Exit statuses: 0 done; 1 the output has failed; 2 wrong usage, or a socket without a ring.
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pcapng.h"

enum { SOURCE, OUTPUT, STOP };

struct ring {
    uint8_t *blocks;
    size_t block_size, count, next;
};

// What is to be written, so that a packet doesn't take a system call.
static uint8_t buffer[1 << 18];
static size_t filled;

static bool flush(void)
{
    for (size_t done = 0; done < filled;) {
        ssize_t count = write(OUTPUT, buffer + done, filled - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        done += (size_t)count;
    }
    filled = 0;
    return true;
}

// Room for a block with so many bytes of a packet.
static bool make_room(size_t bytes)
{
    if (bytes + PCAPNG_ROOM > sizeof buffer) {
        errno = EMSGSIZE; // the ring's blocks are no larger
        return false;
    }
    return filled + bytes + PCAPNG_ROOM <= sizeof buffer || flush();
}

static struct tpacket_hdr_v1 *header(const struct ring *ring)
{
    struct tpacket_block_desc *block = (void *)(ring->blocks + ring->next * ring->block_size);
    return &block->hdr.bh1;
}

static bool write_block(const struct ring *ring)
{
    const uint8_t *start = ring->blocks + ring->next * ring->block_size;
    const struct tpacket_hdr_v1 *block = header(ring);
    size_t offset = block->offset_to_first_pkt;
    for (uint32_t left = block->num_pkts; left > 0; left--) {
        const struct tpacket3_hdr *packet = (const void *)(start + offset);
        const struct sockaddr_ll *link =
            (const void *)((const uint8_t *)packet + TPACKET_ALIGN(sizeof *packet));
        enum direction direction =
            link->sll_pkttype == PACKET_OUTGOING ? DIRECTION_OUT : DIRECTION_IN;
        uint64_t time = packet->tp_sec * 1000000000ull + packet->tp_nsec;
        if (!make_room(packet->tp_snaplen))
            return false;
        filled += pcapng_packet(
            buffer + filled, time, direction, (const uint8_t *)packet + packet->tp_mac,
            packet->tp_snaplen, packet->tp_len);
        offset += packet->tp_next_offset;
    }
    return flush();
}

// The blocks that the kernel has given, once round at most: so that the end is seen under any load.
static bool drain(struct ring *ring)
{
    for (size_t left = ring->count;
         left > 0 && __atomic_load_n(&header(ring)->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER; left--) {
        if (!write_block(ring))
            return false;
        __atomic_store_n(&header(ring)->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        ring->next = (ring->next + 1) % ring->count;
    }
    return true;
}

static bool write_counts(void)
{
    struct tpacket_stats_v3 counts = {0};
    socklen_t size = sizeof counts;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (getsockopt(SOURCE, SOL_PACKET, PACKET_STATISTICS, &counts, &size) < 0 || !make_room(0))
        return false;
    filled += pcapng_statistics(
        buffer + filled, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
        counts.tp_packets, counts.tp_drops);
    return flush();
}

static int capture(struct ring *ring, const char *interface, uint32_t snapshot)
{
    filled = pcapng_section(buffer);
    filled += pcapng_interface(buffer + filled, interface, snapshot);
    if (!flush())
        return 1;
    struct pollfd watched[] = {
        {.fd = SOURCE, .events = POLLIN}, {.fd = OUTPUT}, {.fd = STOP, .events = POLLIN}};
    while (poll(watched, 3, -1) >= 0 || errno == EINTR) {
        if (watched[OUTPUT].revents != 0 || !drain(ring))
            return 1;
        if (watched[STOP].revents != 0) {
            // What is in a block that is not full yet comes when its time is over (tp_retire_blk_tov).
            poll(NULL, 0, 100);
            return drain(ring) && write_counts() ? 0 : 1;
        }
    }
    return 1;
}

static bool parse(const char *text, unsigned long most, unsigned long *value)
{
    char *rest;
    *value = strtoul(text, &rest, 10);
    return *text >= '0' && *text <= '9' && *rest == 0 && *value > 0 && *value <= most;
}

int main(int argc, char **argv)
{
    unsigned long snapshot, size, count;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || argc != 5 || strlen(argv[1]) > 15 ||
        !parse(argv[2], 1 << 16, &snapshot) || !parse(argv[3], 1 << 24, &size) ||
        !parse(argv[4], 1 << 10, &count))
        return 2;
    struct ring ring = {.block_size = size, .count = count};
    ring.blocks = mmap(NULL, size * count, PROT_READ | PROT_WRITE, MAP_SHARED, SOURCE, 0);
    if (ring.blocks == MAP_FAILED)
        return 2;
    return capture(&ring, argv[1], (uint32_t)snapshot);
}
