// AF_XDP's rings as the kernel describes them (Documentation/networking/af_xdp.rst, linux/if_xdp.h): each has
// one producer and one consumer, whose counters only grow, and wrap.
//
// Frames to receive into are always with the kernel (in the ring `filled`), or received, or the caller's;
// frames to send from free, the caller's, or with the kernel until `completed` has them. So no ring can be
// fuller than it is long.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "request.h"
#include "sliceraw.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

// ---- rings -------------------------------------------------------------------------------------

static uint32_t read_counter(const uint32_t *counter) {
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void advance(uint32_t *counter, uint32_t count) {
    __atomic_store_n(counter, *counter + count, __ATOMIC_RELEASE);
}

// Entries that may be read.
static uint32_t used(const struct sliceraw_ring *ring) {
    return ring->size == 0 ? 0 : read_counter(ring->producer) - *ring->consumer;
}

// Entries that may be written.
static uint32_t room(const struct sliceraw_ring *ring) {
    return ring->size == 0 ? 0 : ring->size - (*ring->producer - read_counter(ring->consumer));
}

static struct xdp_desc *packet_at(const struct sliceraw_ring *ring, uint32_t counter) {
    return (struct xdp_desc *)ring->entries + (counter & (ring->size - 1));
}

static uint64_t *place_at(const struct sliceraw_ring *ring, uint32_t counter) {
    return (uint64_t *)ring->entries + (counter & (ring->size - 1));
}

// ---- opening -----------------------------------------------------------------------------------

static int map_ring(
    struct sliceraw_xdp *xdp, unsigned number, struct sliceraw_ring *ring, uint32_t size,
    size_t entry, const struct xdp_ring_offset *offsets, off_t place) {
    if (size == 0) return 0;
    const size_t length = offsets->desc + size * entry;
    char *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, xdp->socket, place);
    if (map == MAP_FAILED) return -1;
    xdp->maps[number] = map;
    xdp->map_sizes[number] = length;
    *ring = (struct sliceraw_ring){
        .producer = (uint32_t *)(map + offsets->producer),
        .consumer = (uint32_t *)(map + offsets->consumer),
        .entries = map + offsets->desc,
        .size = size,
    };
    return 0;
}

static int map_all(struct sliceraw_xdp *xdp, const struct slice_request *request, int memory) {
    struct xdp_mmap_offsets offsets;
    socklen_t size = sizeof offsets;
    if (getsockopt(xdp->socket, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) < 0) return -1;
    xdp->memory = mmap(NULL, xdp->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);
    if (xdp->memory == MAP_FAILED) {
        xdp->memory = NULL;
        return -1;
    }
    const size_t packet = sizeof(struct xdp_desc), place = sizeof(uint64_t);
    if (map_ring(xdp, 0, &xdp->received, request->xdp.rx, packet, &offsets.rx, XDP_PGOFF_RX_RING) < 0 ||
        map_ring(xdp, 1, &xdp->sent, request->xdp.tx, packet, &offsets.tx, XDP_PGOFF_TX_RING) < 0 ||
        map_ring(xdp, 2, &xdp->filled, request->xdp.fill, place, &offsets.fr,
                 (off_t)XDP_UMEM_PGOFF_FILL_RING) < 0 ||
        map_ring(xdp, 3, &xdp->completed, request->xdp.completion, place, &offsets.cr,
                 (off_t)XDP_UMEM_PGOFF_COMPLETION_RING) < 0)
        return -1;
    return 0;
}

// The first frames are received into, the others sent from.
static int hand_out(struct sliceraw_xdp *xdp, const struct sliceraw_xdp_options *options) {
    xdp->free = calloc(options->send + 1, sizeof *xdp->free);
    if (!xdp->free) return -1;
    for (uint32_t each = 0; each < options->send; each++)
        xdp->free[xdp->free_count++] = (uint64_t)(options->receive + each) * xdp->frame_size;
    for (uint32_t each = 0; each < options->receive; each++)
        *place_at(&xdp->filled, each) = (uint64_t)each * xdp->frame_size;
    if (options->receive > 0) advance(xdp->filled.producer, options->receive);
    return 0;
}

// A closed socket leaves the queue a moment later (xp_put_pool()).
static int ask(int connection, const struct slice_request *request, int opened[2]) {
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int tries = 500;; tries--) {
        if (sliceraw_request(connection, request, opened, 2) == 0) return 0;
        if (errno != EBUSY || tries == 0) return -1;
        nanosleep(&pause, NULL);
    }
}

static uint32_t at_least(uint32_t number, uint32_t least) { return number > least ? number : least; }

int sliceraw_xdp_open(
    int connection, const struct sliceraw_xdp_options *options, struct sliceraw_xdp *xdp) {
    *xdp = (struct sliceraw_xdp){.socket = -1, .frame_size = options->frame_size};
    if (options->frame_size == 0 || options->receive > SLICE_XDP_RING_MAX ||
        options->send > SLICE_XDP_RING_MAX) {
        errno = EINVAL;
        return -1;
    }
    // Whole pages: of one frame of 2048 bytes there are two.
    const uint32_t frames = at_least(options->receive + options->send, 2);
    const struct slice_request request = {
        .kind = SLICE_REQUEST_XDP,
        .xdp = {.frame_size = options->frame_size,
                .frames = frames + frames % 2,
                .rx = options->receive,
                .tx = options->send,
                // The kernel wants both in any case.
                .fill = at_least(options->receive, 1),
                .completion = at_least(options->send, 1)},
    };
    xdp->memory_size = (size_t)request.xdp.frames * options->frame_size;
    int opened[2];
    if (ask(connection, &request, opened) < 0) return -1;
    xdp->socket = opened[0];
    int result = map_all(xdp, &request, opened[1]);
    int error = errno;
    close(opened[1]);
    if (result == 0) {
        result = hand_out(xdp, options);
        error = errno;
    }
    if (result < 0) {
        sliceraw_xdp_close(xdp);
        errno = error;
    }
    return result;
}

void sliceraw_xdp_close(struct sliceraw_xdp *xdp) {
    for (unsigned each = 0; each < 4; each++)
        if (xdp->maps[each]) munmap(xdp->maps[each], xdp->map_sizes[each]);
    if (xdp->memory) munmap(xdp->memory, xdp->memory_size);
    if (xdp->socket >= 0) close(xdp->socket);
    free(xdp->free);
    *xdp = (struct sliceraw_xdp){.socket = -1};
}

// ---- receiving ---------------------------------------------------------------------------------

uint32_t sliceraw_xdp_receive(struct sliceraw_xdp *xdp, struct sliceraw_frame *frames, uint32_t count) {
    const uint32_t there = used(&xdp->received), taken = there < count ? there : count;
    for (uint32_t each = 0; each < taken; each++) {
        const struct xdp_desc *packet = packet_at(&xdp->received, *xdp->received.consumer + each);
        frames[each] = (struct sliceraw_frame){.data = xdp->memory + packet->addr, .length = packet->len};
    }
    if (taken > 0) advance(xdp->received.consumer, taken);
    return taken;
}

void sliceraw_xdp_give_back(
    struct sliceraw_xdp *xdp, const struct sliceraw_frame *frames, uint32_t count) {
    for (uint32_t each = 0; each < count; each++) {
        const uint64_t place = (uint64_t)(frames[each].data - xdp->memory);
        // The kernel leaves room in front of a packet.
        *place_at(&xdp->filled, *xdp->filled.producer + each) = place - place % xdp->frame_size;
    }
    if (count > 0) advance(xdp->filled.producer, count);
}

// ---- sending -----------------------------------------------------------------------------------

static void set_free(struct sliceraw_xdp *xdp, uint64_t place) {
    xdp->free[xdp->free_count++] = place - place % xdp->frame_size;
}

static void take_completed(struct sliceraw_xdp *xdp) {
    const uint32_t there = used(&xdp->completed);
    for (uint32_t each = 0; each < there; each++)
        set_free(xdp, *place_at(&xdp->completed, *xdp->completed.consumer + each));
    if (there > 0) advance(xdp->completed.consumer, there);
}

uint32_t sliceraw_xdp_reserve(struct sliceraw_xdp *xdp, struct sliceraw_frame *frames, uint32_t count) {
    if (xdp->free_count < count) take_completed(xdp);
    uint32_t taken = 0;
    while (taken < count && xdp->free_count > 0)
        frames[taken++] = (struct sliceraw_frame){
            .data = xdp->memory + xdp->free[--xdp->free_count], .length = xdp->frame_size};
    return taken;
}

void sliceraw_xdp_cancel(
    struct sliceraw_xdp *xdp, const struct sliceraw_frame *frames, uint32_t count) {
    for (uint32_t each = 0; each < count; each++) set_free(xdp, (uint64_t)(frames[each].data - xdp->memory));
}

int sliceraw_xdp_send(struct sliceraw_xdp *xdp, const struct sliceraw_frame *frames, uint32_t count) {
    for (uint32_t each = 0; each < count; each++)
        *packet_at(&xdp->sent, *xdp->sent.producer + each) = (struct xdp_desc){
            .addr = (uint64_t)(frames[each].data - xdp->memory), .len = frames[each].length};
    if (count > 0) advance(xdp->sent.producer, count);
    return sliceraw_xdp_flush(xdp);
}

// The kernel sends some for each call (TX_BATCH_SIZE), and says EAGAIN while there are more.
int sliceraw_xdp_flush(struct sliceraw_xdp *xdp) {
    uint32_t before = room(&xdp->sent);
    while (before < xdp->sent.size) {
        if (sendto(xdp->socket, NULL, 0, MSG_DONTWAIT, NULL, 0) == 0) return 0;
        if (errno != EAGAIN && errno != EBUSY && errno != EINTR) return -1;
        const uint32_t now = room(&xdp->sent);
        if (now == before) {
            errno = EAGAIN;
            return -1;
        }
        before = now;
    }
    return 0;
}

uint32_t sliceraw_xdp_pending(struct sliceraw_xdp *xdp) {
    take_completed(xdp);
    return xdp->sent.size - room(&xdp->sent);
}
