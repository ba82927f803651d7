// A packet socket that only captures, for slice-capture.

#include "cnetlink_capture.h"
#include "internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETIRE_MS 50 // of a block that isn't full

struct capture {
    const char *interface;
    const struct cnl_filter *filter;
    size_t count;
    uint64_t most; // bytes of all rings
    unsigned blocks;
    int descriptor;
};

static int set(int descriptor, int level, int option, const void *value, size_t size) {
    return setsockopt(descriptor, level, option, value, (socklen_t)size) < 0 ? -errno : 0;
}

static int too_large(const struct capture *capture, struct cnl_error *error) {
    return cnl_fail(
        error, ENOMEM, "make packet ring", "%s: all rings of the slice have %llu KiB at most",
        capture->interface, (unsigned long long)capture->most >> 10);
}

// As many blocks as there is room for.
static int size_ring(struct capture *capture, struct cnl_error *error) {
    uint64_t others;
    int result = cnl_ring_bytes(&others, error);
    if (result < 0) return result;
    uint64_t left = others < capture->most ? capture->most - others : 0;
    uint64_t blocks = left / CNL_CAPTURE_BLOCK_SIZE;
    if (blocks < CNL_CAPTURE_LEAST_BLOCKS) return too_large(capture, error);
    capture->blocks = blocks < CNL_CAPTURE_MOST_BLOCKS ? (unsigned)blocks : CNL_CAPTURE_MOST_BLOCKS;
    return 0;
}

// A program of the slice's may have got a ring since they were counted.
static int check_rings(const struct capture *capture, struct cnl_error *error) {
    uint64_t all;
    int result = cnl_ring_bytes(&all, error);
    if (result < 0) return result;
    return all > capture->most ? too_large(capture, error) : 0;
}

static int prepare(int descriptor, const struct capture *capture, struct cnl_error *error) {
    const int version = TPACKET_V3, on = 1;
    const struct tpacket_req3 ring = {
        .tp_block_size = CNL_CAPTURE_BLOCK_SIZE,
        .tp_block_nr = capture->blocks,
        .tp_frame_size = TPACKET_ALIGNMENT << 7,
        .tp_frame_nr = CNL_CAPTURE_BLOCK_SIZE / (TPACKET_ALIGNMENT << 7) * capture->blocks,
        .tp_retire_blk_tov = RETIRE_MS,
    };
    _Static_assert(sizeof(struct cnl_filter) == sizeof(struct sock_filter), "one instruction");
    const struct sock_fprog program = {
        .len = (unsigned short)capture->count, .filter = (struct sock_filter *)capture->filter};
    int result = set(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    if (result < 0) return cnl_fail(error, -result, "attach filter", "%s", capture->interface);
    result = set(descriptor, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on);
    if (result == 0) result = set(descriptor, SOL_PACKET, PACKET_VERSION, &version, sizeof version);
    if (result == 0) result = set(descriptor, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring);
    if (result < 0) return cnl_fail(error, -result, "make packet ring", "%s", capture->interface);
    result = check_rings(capture, error);
    if (result < 0) return result;
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(capture->interface),
    };
    if (address.sll_ifindex == 0)
        return cnl_fail(error, ENODEV, "bind packet socket", "%s", capture->interface);
    // Last: before, it receives nothing.
    if (bind(descriptor, (const struct sockaddr *)&address, sizeof address) < 0)
        return cnl_fail(error, errno, "bind packet socket", "%s", capture->interface);
    return 0;
}

static int open_inside(void *argument, struct cnl_error *error) {
    struct capture *capture = argument;
    int result = size_ring(capture, error);
    if (result < 0) return result;
    int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return cnl_fail(error, errno, "open packet socket", "%s", capture->interface);
    result = prepare(descriptor, capture, error);
    if (result < 0) close(descriptor);
    else capture->descriptor = descriptor;
    return result;
}

int cnl_capture_open(
    int netns, const char *interface, const struct cnl_filter *filter, size_t count, uint64_t most,
    int *descriptor, unsigned *blocks, struct cnl_error *error) {
    int result = cnl_check_name(interface, error);
    if (result < 0) return result;
    if (count == 0 || count > BPF_MAXINSNS)
        return cnl_fail(error, EINVAL, "attach filter", "%zu instructions", count);
    struct capture capture = {
        .interface = interface, .filter = filter, .count = count, .most = most, .descriptor = -1};
    result = cnl_run_inside(netns, open_inside, &capture, error);
    *descriptor = capture.descriptor;
    *blocks = capture.blocks;
    return result;
}
