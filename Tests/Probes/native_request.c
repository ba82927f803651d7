// In place of CShims/sliceraw/request.c, for root of the host without a broker: what the broker does, so that
// the rest of the library is the same on both sides of a comparison. `eth0` needs an XDP program that hands out
// packets for what receives; then descriptor 3 is its map of sockets.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../CShims/sliceraw/request.h"

static int ring(int made, int option, uint32_t entries) {
    return entries == 0 ? 0 : setsockopt(made, SOL_XDP, option, &entries, sizeof entries);
}

int sliceraw_request(int connection, const struct slice_request *request, int *opened, unsigned count) {
    (void)connection;
    (void)count;
    const size_t size = (size_t)request->xdp.frame_size * request->xdp.frames;
    const int file = memfd_create("xdp", 0), made = socket(AF_XDP, SOCK_RAW, 0);
    if (file < 0 || made < 0 || ftruncate(file, (off_t)size) < 0) return -1;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    struct xdp_umem_reg told = {
        .addr = (uintptr_t)memory, .len = size, .chunk_size = request->xdp.frame_size};
    const struct sockaddr_xdp address = {
        .sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY, .sxdp_ifindex = if_nametoindex("eth0")};
    if (setsockopt(made, SOL_XDP, XDP_UMEM_REG, &told, sizeof told) < 0 ||
        ring(made, XDP_UMEM_FILL_RING, request->xdp.fill) < 0 ||
        ring(made, XDP_UMEM_COMPLETION_RING, request->xdp.completion) < 0 ||
        ring(made, XDP_RX_RING, request->xdp.rx) < 0 || ring(made, XDP_TX_RING, request->xdp.tx) < 0 ||
        bind(made, (const struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    const uint32_t queue = 0, value = (uint32_t)made;
    union bpf_attr call;
    memset(&call, 0, sizeof call);
    call.map_fd = 3;
    call.key = (uintptr_t)&queue;
    call.value = (uintptr_t)&value;
    syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &call, sizeof call); // without one it only sends
    opened[0] = made;
    opened[1] = file;
    return 0;
}
