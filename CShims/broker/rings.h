// Packet rings. The kernel charges their memory to nobody (net/packet/af_packet.c,
// alloc_one_pg_vec_page()), so the broker adds up those of the slice and sets none beyond the bound.
#ifndef SLICE_BROKER_RINGS_H
#define SLICE_BROKER_RINGS_H

#include <linux/if_packet.h>
#include <stddef.h>
#include <stdint.h>

// A netlink socket that tells of the packet sockets of the current network namespace, those too
// that no process has open any more but has mapped or sent away. -1 with errno.
int rings_watch(void);

// Bytes of all packet rings of the slice. -1 with errno.
int rings_measure(int watch, uint64_t *bytes);

// Sets a ring of `socket` to what `request`, of `size` bytes, says, where all rings of the slice
// together then have at most `limit` bytes. `option` is PACKET_RX_RING or PACKET_TX_RING.
// 0, or -1 with errno: ENOMEM beyond the limit, which libpcap takes as a wish for a smaller one.
int rings_set(int watch, int socket, int option, const union tpacket_req_u *request, size_t size,
              uint64_t limit);

#endif
