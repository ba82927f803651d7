// What a program in a slice with `raw.allow` can ask for beyond socket(2): many sockets at once, AF_XDP,
// and queues of its TUN devices (slice.toml(5), Raw sockets). Programs that open one raw socket need none of
// this.
//
//     gcc program.c -lsliceraw
//
// Conventions: -1 with errno, or what is said. A connection of -1 fails with the errno that is there, so that
// sliceraw_connect() can stand in place of one. What is opened is close-on-exec, and the caller's. A connection
// and a struct sliceraw_xdp are one thread's at a time; different ones are independent.
#ifndef SLICERAW_H
#define SLICERAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Connects to the slice's broker. ENOENT: the slice was started without raw.allow. ECONNREFUSED, and
// ECONNRESET or EPIPE of a later request: the broker has just been lost; the next one is there in a moment,
// and a new connection reaches it. What was opened goes on meanwhile.
int sliceraw_connect(void);

// Opens `count` sockets at once, 1 to 64, each as by socket(2): raw ones of AF_INET and AF_INET6, and those
// of AF_PACKET. All or none. EPERM: no grant allows them. EINVAL: `count`.
int sliceraw_sockets(int connection, int domain, int type, int protocol, int *sockets, unsigned count);

// Attaches to a TUN device of the slice's (tun0 and so on), packets without a header in front (IFF_NO_PI):
// reads and writes are one packet each. `queue`: to one more of its queues, of a device that was granted with
// `queues`; packets of a connection come by the same one. No connection is needed.
// EPERM: not the slice's root, or no such device. EBUSY: it has a user already, and no queues. EINVAL: it is
// said to have queues and has not, or the other way round.
int sliceraw_tun(const char *name, bool queue);

// ---- AF_XDP --------------------------------------------------------------------------------------
//
// Frames of `eth0`, with their Ethernet headers, by memory that is shared with the kernel. Checksums of TCP
// and UDP in what other slices of the host, or the host, have sent are not complete (CHECKSUM_PARTIAL). Received are
// packets of the protocols, destination ports and ethertypes that raw.allow has beside `xdp`, and no other
// socket of the slice receives these meanwhile; sent what raw.allow lets raw sockets send. The slice has one
// such socket at a time.

struct sliceraw_xdp_options {
    uint32_t frame_size; // bytes of a frame: 2048 or 4096
    uint32_t receive;    // frames to receive into: a power of two, 8192 at most; 0: the socket only sends
    uint32_t send;       // frames to send from: likewise
};

// One direction's ring.
struct sliceraw_ring {
    uint32_t *producer, *consumer; // shared with the kernel
    void *entries;
    uint32_t size; // entries
};

// Opaque but for what the functions below say.
struct sliceraw_xdp {
    int socket; // for poll(2): readable when something was received, writable when there is room
    uint8_t *memory;
    size_t memory_size;
    uint32_t frame_size;
    struct sliceraw_ring received, filled, sent, completed;
    void *maps[4];
    size_t map_sizes[4];
    uint64_t *free; // places of frames to send from
    uint32_t free_count;
};

struct sliceraw_frame {
    uint8_t *data;
    uint32_t length; // bytes; of a frame to be sent at most frame_size
};

// Opens the socket. Where the slice's last one has just been closed, which the kernel takes some time for,
// it is waited for, a second at most. EPERM: xdp is not granted. EBUSY: there is one in use. ENOMEM: more
// than the slice may have. EINVAL: the options.
int sliceraw_xdp_open(
    int connection, const struct sliceraw_xdp_options *options, struct sliceraw_xdp *xdp);
// Gives all of it back. The frames are no more.
void sliceraw_xdp_close(struct sliceraw_xdp *xdp);

// Takes up to `count` received frames. Returns how many; never waits. They are the caller's until given
// back, in any order; while all are, what comes is lost.
uint32_t sliceraw_xdp_receive(struct sliceraw_xdp *xdp, struct sliceraw_frame *frames, uint32_t count);
void sliceraw_xdp_give_back(
    struct sliceraw_xdp *xdp, const struct sliceraw_frame *frames, uint32_t count);

// Takes up to `count` frames to be filled; `length` is what there is room for. Returns how many: fewer
// where earlier ones have not left yet.
uint32_t sliceraw_xdp_reserve(struct sliceraw_xdp *xdp, struct sliceraw_frame *frames, uint32_t count);
// Gives frames back that were reserved and are not to be sent.
void sliceraw_xdp_cancel(
    struct sliceraw_xdp *xdp, const struct sliceraw_frame *frames, uint32_t count);
// Sends reserved frames, in this order, and has the kernel begin. 0, or -1 with errno of that: EAGAIN,
// ENOBUFS: it could not take all for now; they leave with what is sent next, or by sliceraw_xdp_flush().
// ENETDOWN, ENXIO: the link has gone. What raw.allow does not allow is lost without an error, as on a wire.
int sliceraw_xdp_send(struct sliceraw_xdp *xdp, const struct sliceraw_frame *frames, uint32_t count);
// Has the kernel go on with what was given to it. As above.
int sliceraw_xdp_flush(struct sliceraw_xdp *xdp);
// How many frames were given to the kernel and have not left.
uint32_t sliceraw_xdp_pending(struct sliceraw_xdp *xdp);

#ifdef __cplusplus
}
#endif
#endif
