// What may pass, said once more and in another way than by the programs: bytes at places, no shared declarations.
#ifndef FUZZ_JUDGE_H
#define FUZZ_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A slice as the harness has set it up.
struct party {
    uint8_t mac[6], host_mac[6], ipv4[4], ipv6[16];
    unsigned first_port, port_count; // of the node's address; 0: it has addresses of its own
    bool gre;                        // granted IPv4 protocol 47, and frames of type 0x88b5
    bool ospf;                       // granted IPv4 protocol 89 in overlays
};

// A frame that is let through from a slice's link: NULL, or what is wrong with that.
const char *judge_sent(const struct party *party, const uint8_t *frame, size_t size, bool tagged);
// One that is let through to a slice.
const char *judge_received(const struct party *party, const uint8_t *frame, size_t size, bool tagged);
// One that a raw socket of a slice sends, granted: ICMP, protocol 89, UDP ports 20000 to 20010, frames of type 0x88b5.
const char *judge_raw(const uint8_t *frame, size_t size, bool tagged);
// One of IPv4 that a member of the overlay 10.64.0.0/16 sends, from its own address to its own host MAC address, or to a
// group of the link.
const char *judge_member(const struct party *party, const uint8_t *frame, size_t size, bool tagged);

#endif
