// The carrier of an overlay: one link, in the overlay's network namespace, that takes packets to other
// nodes and brings theirs. Its socket is the host's, where it was made.
//
//     overlay's namespace                          host's namespace
//     carrier (VXLAN or WireGuard) ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ UDP socket ─── uplink ─── peers
//     10.64.0.0/16 dev carrier
//
// The conventions are cnetlink.h's.
#ifndef CNETLINK_OVERLAY_H
#define CNETLINK_OVERLAY_H

#include "cnetlink.h"

#define CNL_WG_KEY_SIZE 32

enum cnl_carrier_kind {
    CNL_VXLAN,     // who is who is said by the programs (struct cnl_classifier), packet by packet
    CNL_WIREGUARD, // by cnl_wireguard_set_peer()
};

struct cnl_carrier {
    enum cnl_carrier_kind kind;
    char name[CNL_NAME_SIZE];
    uint32_t mtu;      // bytes
    uint16_t udp_port; // of the host, in the machine's byte order
    uint32_t network;  // VXLAN's identifier, 24 bits
    uint8_t mac[CNL_MAC_SIZE];           // VXLAN's own
    uint8_t private_key[CNL_WG_KEY_SIZE]; // WireGuard's
    uint8_t subnet[4], subnet_length;    // what is routed to it
    int from_peer, to_peer;              // programs of the type that struct cnl_classifier has
};

// Makes it, down: it has no socket yet. `host` is of the host's namespace, `overlay` of the overlay's, and
// `netns` the latter's descriptor. Fills *index, in the overlay's namespace. EEXIST: it is there, or another
// overlay of the host has the identifier. EOPNOTSUPP: the kernel has no VXLAN with such filters (Linux
// 5.18), or no WireGuard.
int cnl_carrier_create(
    struct cnl_context *host, struct cnl_context *overlay, int netns,
    const struct cnl_carrier *carrier, int *index, struct cnl_error *error);

// Brings it up, with its route: from then on it has the host's UDP port. Idempotent. EADDRINUSE: another
// program has the port.
int cnl_carrier_open(
    struct cnl_context *overlay, int index, const struct cnl_carrier *carrier,
    struct cnl_error *error);
// The opposite. Idempotent.
int cnl_carrier_close(struct cnl_context *overlay, int index, struct cnl_error *error);

// Puts other programs on one that exists, each in place of the former between two packets.
int cnl_carrier_attach(
    struct cnl_context *overlay, int index, int from_peer, int to_peer, struct cnl_error *error);

// Has nobody but the host's kernel and its root send to VXLAN's UDP port by the host's addresses: neither
// other users' programs nor what the host translates for others. Or ends that. Idempotent, without a gap.
// For the network namespace of the calling thread. EOPNOTSUPP: the kernel has no such rules.
int cnl_carrier_guard(bool wanted, struct cnl_error *error);

// The index of a link; 0: there is none of this name.
int cnl_link_find(
    struct cnl_context *context, const char *name, int *index, struct cnl_error *error);

// Whether this kernel has such a kind of link: tried in the namespace of the handle.
int cnl_carrier_try(
    const struct cnl_namespace *namespace, enum cnl_carrier_kind kind, struct cnl_error *error);

struct cnl_wg_peer {
    uint8_t public_key[CNL_WG_KEY_SIZE];
    int family;        // AF_INET, AF_INET6: of the endpoint
    uint8_t host[16];  // its address
    uint16_t udp_port; // in the machine's byte order
    uint8_t part[4], part_length; // what may come from it, and goes to it
};

// Adds a peer of a carrier, or changes it.
int cnl_wireguard_set_peer(
    int netns, int index, const struct cnl_wg_peer *peer, struct cnl_error *error);
// Idempotent.
int cnl_wireguard_remove_peer(
    int netns, int index, const uint8_t public_key[CNL_WG_KEY_SIZE], struct cnl_error *error);
// The public key that the kernel has computed of the private one.
int cnl_wireguard_public_key(
    int netns, int index, uint8_t public_key[CNL_WG_KEY_SIZE], struct cnl_error *error);

#endif
