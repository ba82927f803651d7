// What the programs of an overlay (overlay.bpf.c) and their loader (overlay.c) share. Addresses are as
// on the wire.
#ifndef CLASSIFIER_OVERLAY_H
#define CLASSIFIER_OVERLAY_H

#include <linux/types.h>

// Why a packet was dropped; the words are in overlay.c.
enum overlay_reason {
    OVERLAY_PASS, // not a reason
    OVERLAY_FRAME,       // MAC addresses, a VLAN tag, anything but IPv4
    OVERLAY_MALFORMED,
    OVERLAY_SOURCE,      // an address that is not the member's, or not of the peer's part
    OVERLAY_PROTOCOL,    // options; not TCP, UDP or ICMP, and not granted to the sender
    OVERLAY_DESTINATION, // outside the subnet; of the gateway, unless it is an echo request
    OVERLAY_PEER,        // the carrier: who sent it is no peer; or nobody has the destination
    OVERLAY_RECEIVED,    // not for the member, or of a protocol that it was not granted
    OVERLAY_ICMP,        // of another kind than echo and errors about the receiver's own packets
    OVERLAY_REASONS
};

// What the loader tells the programs directly: section `.data.terms`.
struct terms {
    __u32 subnet, subnet_mask;
    __u32 part, part_mask; // what this node gives addresses of
    __u32 gateway;         // this node's own, in the part
    __u32 network;         // VXLAN's identifier, in the machine's byte order
    __u32 has_headers;     // the carrier's packets begin with Ethernet's header: VXLAN
};

// Map `members`, by the index of the overlay's end of a member's link.
struct member {
    __u8 mac[6];      // of the slice's end
    __u8 host_mac[6]; // of the overlay's end
    __u32 address;
    __u32 class; // of the uplinks' HTB, with its handle
    __u64 protocols[4]; // a bit for each that it was granted beyond TCP, UDP and ICMP (slice_raw.h)
};

// Section `.data.speakers`: links of members that were granted any of these, in no order; 0: a free place.
// An array, because programs that go through a map by a callback need a JIT compiler.
#define MOST_SPEAKERS 256
struct speakers {
    __u32 links[MOST_SPEAKERS];
};

// Map `peers`: who has which part. `length` counts from the first bit of the address.
struct part {
    __u32 length;
    __u32 address;
};
struct peer {
    __u32 family;   // AF_INET, AF_INET6; 0: the carrier knows the way
    __u32 ipv4;     // in the machine's byte order
    __u8 ipv6[16];
};

// Map `dropped`, by the index of a link. Only added to.
struct overlay_drops {
    __u64 packets[OVERLAY_REASONS];
};

// Ethernet addresses inside VXLAN. Nobody resolves any: the carrier of every node has the second one,
// and what it sends comes from the first.
#define OVERLAY_FROM_MAC {0x02, 0x73, 0x6f, 0, 0, 1}
#define OVERLAY_CARRIER_MAC {0x02, 0x73, 0x6f, 0, 0, 2}

#endif
