// Forged frames of Ethernet: what the host's side of a slice's link must drop.
#ifndef PROBE_FRAMES_H
#define PROBE_FRAMES_H

#include <stdint.h>
#include <stddef.h>

// Both ends of the link that is attacked, and another slice's addresses, to which whatever is not forged about a
// frame would pass: so it is dropped for what is forged.
struct ends {
    uint8_t mac[6], peer_mac[6]; // of the sender's end, of the host's
    uint8_t ipv4[4], other4[4];
    uint8_t ipv6[16], other6[16];
};

// The sum of RFC 1071 over bytes and an earlier sum, as a number.
uint16_t checksum(const uint8_t *bytes, size_t count, uint32_t sum);

enum { MOST_FRAME = 256, COOKIE = 16 };

struct forgery {
    const char *name; // of the case: packet.NAME
    const char *tried;
    uint16_t protocol; // as the kernel sorts it, host byte order: ETH_P_* of linux/if_ether.h
    // Returns the frame's length. It carries the cookie somewhere.
    size_t (*build)(uint8_t frame[MOST_FRAME], const struct ends *ends, const uint8_t cookie[COOKIE]);
};

// Nothing is forged about this one: it must pass.
extern const struct forgery honest;
// Ended by one without a name.
extern const struct forgery forgeries[];

#endif
