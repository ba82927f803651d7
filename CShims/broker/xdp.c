#define _GNU_SOURCE
#include "xdp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rings.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define PAGE 4096u
static const uint32_t queue = 0;

// ---- what it takes -----------------------------------------------------------------------------

static bool is_ring(uint32_t entries)
{
    return entries > 0 && entries <= SLICE_XDP_RING_MAX && (entries & (entries - 1)) == 0;
}

static uint64_t memory_size(const struct slice_request *request)
{
    return (uint64_t)request->xdp.frame_size * request->xdp.frames;
}

static bool is_valid(const struct slice_request *request)
{
    const uint64_t bytes = memory_size(request);
    return (request->xdp.frame_size == 2048 || request->xdp.frame_size == 4096) && bytes > 0 &&
           bytes <= SLICE_XDP_BYTES_MAX && bytes % PAGE == 0 && request->words[6] == 0 &&
           (request->xdp.rx == 0 || is_ring(request->xdp.rx)) &&
           (request->xdp.tx == 0 || is_ring(request->xdp.tx)) &&
           (request->xdp.rx > 0 || request->xdp.tx > 0) && is_ring(request->xdp.fill) &&
           is_ring(request->xdp.completion);
}

// More than the kernel takes beside the memory itself, which is charged to the slice: of rings an entry
// each and a page, of a frame its struct xdp_buff_xsk, of an entry to be sent one more descriptor.
static uint64_t kernel_size(const struct slice_request *request)
{
    return 4 * PAGE + (uint64_t)request->xdp.rx * 16 + (uint64_t)request->xdp.tx * 32 +
           ((uint64_t)request->xdp.fill + request->xdp.completion) * 8 +
           (uint64_t)request->xdp.frames * 256;
}

uint64_t xdp_reserve(const struct slice_raw_grants *grants)
{
    return (grants->flags & SLICE_RAW_XDP) != 0 ? grants->ring_bytes / 4 : 0;
}

// Rings that were there before the grant may have the part that is the socket's now.
static int check_room(const struct xdp_place *place, const struct slice_raw_grants *grants,
                      const struct slice_request *request)
{
    const uint64_t reserve = xdp_reserve(grants);
    uint64_t rings;
    if (rings_measure(place->rings, &rings) < 0)
        return -1;
    if (memory_size(request) <= grants->ring_bytes && kernel_size(request) <= reserve &&
        rings <= grants->ring_bytes - reserve)
        return 0;
    errno = ENOMEM;
    return -1;
}

// ---- the socket --------------------------------------------------------------------------------

// A file of fixed size. Its pages are charged to who touches them first: the broker, when the kernel pins
// them, in the slice's cgroup.
static int make_memory(size_t size)
{
    int file = memfd_create("xdp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return -1;
    if (ftruncate(file, (off_t)size) == 0 &&
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return file;
    int error = errno;
    close(file);
    errno = error;
    return -1;
}

// The kernel pins the pages, so that nothing has to stay mapped here.
static int register_memory(int socket, int file, const struct slice_request *request)
{
    const size_t size = memory_size(request);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        return -1;
    struct xdp_umem_reg told;
    memset(&told, 0, sizeof told); // with what later kernels have put into the padding
    told.addr = (uintptr_t)memory;
    told.len = size;
    told.chunk_size = request->xdp.frame_size;
    int result = setsockopt(socket, SOL_XDP, XDP_UMEM_REG, &told, sizeof told);
    int error = errno;
    munmap(memory, size);
    errno = error;
    return result;
}

static int make_rings(int socket, const struct slice_request *request)
{
    const struct {
        int option;
        uint32_t entries;
    } rings[] = {
        {XDP_UMEM_FILL_RING, request->xdp.fill},
        {XDP_UMEM_COMPLETION_RING, request->xdp.completion},
        {XDP_RX_RING, request->xdp.rx},
        {XDP_TX_RING, request->xdp.tx},
    };
    for (unsigned i = 0; i < sizeof rings / sizeof rings[0]; i++)
        if (rings[i].entries > 0 && setsockopt(socket, SOL_XDP, rings[i].option, &rings[i].entries,
                                               sizeof rings[i].entries) < 0)
            return -1;
    return 0;
}

// In copy mode, whatever the driver could do: the kernel sends what it has copied, so that nothing changes
// after it was judged.
static int listen_to(int socket, int link)
{
    const struct sockaddr_xdp address = {.sxdp_family = AF_XDP,
                                         .sxdp_flags = XDP_COPY,
                                         .sxdp_ifindex = (uint32_t)link,
                                         .sxdp_queue_id = queue};
    return bind(socket, (const struct sockaddr *)&address, sizeof address);
}

// It goes from the map when its last owner closes it (xsk_delete_from_maps()).
static int enter(int sockets, int socket)
{
    const uint32_t value = (uint32_t)socket;
    union bpf_attr call;
    memset(&call, 0, sizeof call);
    call.map_fd = (uint32_t)sockets;
    call.key = (uintptr_t)&queue;
    call.value = (uintptr_t)&value;
    return (int)syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &call, sizeof call);
}

static int make_socket(const struct xdp_place *place, const struct slice_request *request, int file)
{
    int made = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (made < 0)
        return -1;
    if (register_memory(made, file, request) == 0 && make_rings(made, request) == 0 &&
        listen_to(made, place->link) == 0 && enter(place->sockets, made) == 0)
        return made;
    int error = errno;
    close(made);
    errno = error;
    return -1;
}

int xdp_open(const struct xdp_place *place, const struct slice_raw_grants *grants,
             const struct slice_request *request, int opened[2])
{
    if (!is_valid(request)) {
        errno = EINVAL;
        return -1;
    }
    if (place->sockets < 0) {
        errno = EAGAIN;
        return -1;
    }
    if (check_room(place, grants, request) < 0)
        return -1;
    int file = make_memory(memory_size(request));
    if (file < 0)
        return -1;
    int made = make_socket(place, request, file);
    if (made < 0) {
        int error = errno;
        close(file);
        errno = error;
        return -1;
    }
    opened[0] = made;
    opened[1] = file;
    return 0;
}

void xdp_forget(int sockets)
{
    union bpf_attr call;
    memset(&call, 0, sizeof call);
    call.map_fd = (uint32_t)sockets;
    call.key = (uintptr_t)&queue;
    syscall(SYS_bpf, BPF_MAP_DELETE_ELEM, &call, sizeof call); // ENOENT: nobody is in it
}
