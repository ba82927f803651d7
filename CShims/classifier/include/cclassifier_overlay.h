// Loads the programs of one overlay (overlay.bpf.c) and fills their maps. The conventions are those of
// cclassifier.h; IPv4 addresses here are 4 bytes, as on the wire.
//
// Each overlay has programs and maps of its own, because links are numbered by network namespace. What
// hangs on a link outlives the supervisor; the next one loads anew, fills the maps, and replaces the
// filters, each between two packets. Counters then begin at zero.
#ifndef CCLASSIFIER_OVERLAY_H
#define CCLASSIFIER_OVERLAY_H

#include "cclassifier.h"

struct ccl_overlay;

struct ccl_overlay_terms {
    uint8_t subnet[4], part[4];
    uint8_t subnet_length, part_length; // 1 to 31 bits
    uint8_t gateway[4];                 // the node's own address in its part
    uint32_t network;                   // VXLAN's identifier, 24 bits
    bool has_headers;                   // the carrier is VXLAN's, else WireGuard's
};

// *overlay is owned by the caller: ccl_overlay_close(). ENOENT: no such file. EOPNOTSUPP: this kernel
// cannot run it.
int ccl_overlay_open(
    const char *path, const struct ccl_overlay_terms *terms, struct ccl_overlay **overlay,
    struct ccl_error *error);
// Accepts null. Programs that hang on a link stay there, with their maps.
void ccl_overlay_close(struct ccl_overlay *overlay);

// Descriptors for struct cnl_classifier: what sees packets from, and to, a member or a peer.
int ccl_overlay_from_member(const struct ccl_overlay *overlay);
int ccl_overlay_to_member(const struct ccl_overlay *overlay);
int ccl_overlay_from_peer(const struct ccl_overlay *overlay);
int ccl_overlay_to_peer(const struct ccl_overlay *overlay);

struct ccl_overlay_member {
    uint8_t mac[6], host_mac[6];
    uint8_t address[4];
    uint32_t class; // of the uplinks' HTB, as TC_H_MAKE() makes it
    uint64_t protocols[4]; // a bit for each IPv4 protocol that it was granted beyond TCP, UDP and ICMP
};

// Lets the packets of a member's link pass; before, all are dropped. One that passes already is held to
// the new terms from the next packet on. E2BIG: the maps are full, or 256 members have protocols. These
// calls, and those of ccl_overlay_dismiss(), must follow one another.
int ccl_overlay_admit(
    const struct ccl_overlay *overlay, uint32_t link, const struct ccl_overlay_member *member,
    struct ccl_error *error);
// The opposite, and forgets the counters. Idempotent.
int ccl_overlay_dismiss(
    const struct ccl_overlay *overlay, uint32_t link, struct ccl_error *error);

// Begins to count what is dropped on the carrier. Idempotent.
int ccl_overlay_count(
    const struct ccl_overlay *overlay, uint32_t link, struct ccl_error *error);

// Has a peer with this part; one that has it already is replaced. `host` is 16 bytes, of which an IPv4
// address fills the first 4; a family of 0 leaves the way to the carrier (WireGuard).
int ccl_overlay_set_peer(
    const struct ccl_overlay *overlay, const uint8_t part[4], uint8_t length, int family,
    const uint8_t host[16], struct ccl_error *error);
// The opposite. Idempotent.
int ccl_overlay_remove_peer(
    const struct ccl_overlay *overlay, const uint8_t part[4], uint8_t length,
    struct ccl_error *error);

// How many reasons there are to drop a packet, from 0, and their names in camel case.
size_t ccl_overlay_reasons(void);
const char *ccl_overlay_reason_name(size_t reason);
// Packets dropped on a link since it was admitted; `packets` has ccl_overlay_reasons() elements.
// ENOENT: no such link.
int ccl_overlay_drops(
    const struct ccl_overlay *overlay, uint32_t link, uint64_t *packets, struct ccl_error *error);

#endif
