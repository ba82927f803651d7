// Loads the classifier (classifier.bpf.c), fills its maps and reads its counters.
//
//     sl-7 ── ingress ── from_slice ──┐                      kept alive by the filters on the links:
//          └─ egress ─── to_slice ────┼── maps               nothing is pinned, nothing to mount
//     eth0 ── egress ─── to_uplink ───┤
//          └─ ingress ── from_uplink ─┘
//
// The filters are cnetlink.h's. They hold the programs, the programs hold the maps, and so all of it
// outlives the supervisor; the next one finds the maps through a program on any link
// (cnl_classifier_find()), loads its own program with them, and replaces the old one link by link.
//
// Conventions, for every function unless it says otherwise:
//   - returns 0 or -errno; `error` may be null, else it is filled on failure;
//   - needs CAP_SYS_ADMIN in the initial user namespace, as bpf(2) does;
//   - may be called by any thread at any time.
// Addresses and ports are as on the wire; IPv4 addresses are mapped to IPv6 (::ffff:a.b.c.d).
#ifndef CCLASSIFIER_H
#define CCLASSIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CCL_DETAIL_SIZE 192

struct ccl_error {
    int error; // errno, positive
    const char *operation;
    char detail[CCL_DETAIL_SIZE];
};

struct ccl_classifier;

// Loads the programs from an object file. `running` are the ids of programs of an earlier one, whose
// slices, counters and flows are taken over where their layout is still the same; a program that is
// gone meanwhile is passed over. The destinations are always new. *classifier is owned by the caller:
// ccl_close().
// ENOENT: no such file. EOPNOTSUPP: this kernel cannot run it.
int ccl_open(
    const char *path, const uint32_t *running, size_t count, struct ccl_classifier **classifier,
    struct ccl_error *error);
// Accepts null. Programs that hang on a link stay there, with their maps.
void ccl_close(struct ccl_classifier *classifier);

// Descriptors for struct cnl_classifier; the classifier keeps them.
int ccl_from_slice(const struct ccl_classifier *classifier);
int ccl_to_slice(const struct ccl_classifier *classifier);
int ccl_from_uplink(const struct ccl_classifier *classifier);
int ccl_to_uplink(const struct ccl_classifier *classifier);

// --- Slices. `link` is the index of the host's end.

struct ccl_slice {
    uint8_t mac[6], host_mac[6];
    uint32_t owner;
    uint32_t class; // of the uplinks' HTB, as TC_H_MAKE() makes it; 0: none
    bool has_ipv6; // false: the two IPv6 addresses are ignored
    bool shared;   // the addresses are the node's, and only ports of ccl_set_ports() the slice's
    uint64_t namespace; // where shared: SO_NETNS_COOKIE (socket(7)) of a socket inside
    uint8_t ipv4[16], gateway4[16], ipv6[16], gateway6[16];
};

// Lets a slice's packets pass; before, all are dropped. Counters of the link are kept, else begin at
// zero. E2BIG: the maps are full.
int ccl_admit(
    const struct ccl_classifier *classifier, uint32_t link, const struct ccl_slice *slice,
    struct ccl_error *error);
// The opposite, and forgets the counters. Idempotent.
int ccl_dismiss(
    const struct ccl_classifier *classifier, uint32_t link, struct ccl_error *error);
// Dismisses all links that are not in the list.
int ccl_retain(
    const struct ccl_classifier *classifier, const uint32_t *links, size_t count,
    struct ccl_error *error);

// What a slice may send beyond TCP, UDP and ICMP.
struct ccl_raw_ports {
    uint16_t count;      // of ranges, at most 16
    uint16_t ranges[32]; // first and last of each
};
struct ccl_raw {
    uint64_t ipv4[4], ipv6[4]; // a bit for each protocol number
    uint16_t ethertypes[16];   // 0: none
    struct ccl_raw_ports udp, tcp; // source ports, for what went round the slice's own end
    bool asks_for_address;     // by DHCP, where the host's port 67 is open to it
    bool marks; // a program on the slice's own end marks what it lets pass (SLICE_RAW_JUDGED)
    bool bypasses; // where it does: what has no such mark, as from AF_XDP, passes where it is granted
};
// Replaces what it may, at once; null: nothing. Idempotent. Goes with ccl_dismiss().
int ccl_set_raw(
    const struct ccl_classifier *classifier, uint32_t link, const struct ccl_raw *raw,
    struct ccl_error *error);

// --- Ports of the node's address, and identifiers of ICMP echoes

struct ccl_ports {
    uint16_t first, last; // 1 or more
};

// Has a link that is admitted as shared have these ports and no others. What it had and has no more is
// the host's at once. Calls, and those of ccl_dismiss() and ccl_retain(), must follow one another.
// EADDRINUSE: one is another link's; nothing is changed. ENOENT: no such link.
int ccl_set_ports(
    const struct ccl_classifier *classifier, uint32_t link, const struct ccl_ports *ranges,
    size_t count, struct ccl_error *error);

// Has bind(2) fail for ports that are not the slice's, in all cgroups below this one (a descriptor of a
// directory of cgroup v2), with EADDRINUSE where they are another slice's, else EACCES. Replaces the
// programs of an earlier classifier; so the links must be admitted before. They go with the cgroup.
// EOPNOTSUPP: a kernel without CONFIG_CGROUP_BPF.
int ccl_guard_binds(
    const struct ccl_classifier *classifier, int cgroup, struct ccl_error *error);

// --- Destinations

// What slices may reach beyond the host and each other. The longest prefix wins; what is in none is
// allowed.
int ccl_set_network(
    const struct ccl_classifier *classifier, const uint8_t address[16], uint32_t length,
    bool allowed, struct ccl_error *error);
// One port that slices may use wherever it is. The address :: means all of the host's. From an address
// of a slice, it also answers whoever comes to it.
// `protocol`: IPPROTO_TCP or IPPROTO_UDP. `port` is in the machine's byte order.
int ccl_add_service(
    const struct ccl_classifier *classifier, const uint8_t address[16], uint16_t port,
    uint8_t protocol, struct ccl_error *error);
// The opposite; idempotent.
int ccl_remove_service(
    const struct ccl_classifier *classifier, const uint8_t address[16], uint16_t port,
    uint8_t protocol, struct ccl_error *error);

// What one slice may reach beyond that: networks that are refused to others, and ports of the host's
// own. `allowed` false takes it back, at once; idempotent both ways. All of it must be taken back
// before the link goes: nothing else does.
int ccl_allow_network(
    const struct ccl_classifier *classifier, uint32_t link, const uint8_t address[16],
    uint32_t length, bool allowed, struct ccl_error *error);
int ccl_allow_service(
    const struct ccl_classifier *classifier, uint32_t link, uint16_t port, uint8_t protocol,
    bool allowed, struct ccl_error *error);

// --- Counters

// How many reasons there are to drop a packet, from 0; those from ccl_received_reasons() on are of
// packets to the slice, the others of packets from it.
size_t ccl_reasons(void);
size_t ccl_received_reasons(void);
// In camel case, for keys of JSON.
const char *ccl_reason_name(size_t reason);

// Packets and bytes (with their Ethernet headers) dropped since the link was made; a packet that was
// to be split by hardware counts as one. Both arrays have ccl_reasons() elements.
// ENOENT: no such link.
int ccl_drops(
    const struct ccl_classifier *classifier, uint32_t link, uint64_t *packets, uint64_t *bytes,
    struct ccl_error *error);

// The same for all links with one look: those of element i of `links` are from element
// i * ccl_reasons() on. Nothing is written beyond `capacity` links; *count is how many there are.
int ccl_drops_list(
    const struct ccl_classifier *classifier, uint32_t *links, uint64_t *packets, uint64_t *bytes,
    size_t capacity, size_t *count, struct ccl_error *error);

// --- Departures: what left by an uplink, by whom and to whom.

enum ccl_detail {
    CCL_DETAILED,
    CCL_BY_ADDRESS, // without ports and protocol
    CCL_REST,       // of a link's all, ever, that found no room elsewhere; `first` is 0
};

struct ccl_departure {
    uint32_t link;
    enum ccl_detail detail;
    uint8_t address[16];
    uint16_t port;        // of an ICMP message its type
    uint16_t source_port; // as it is outside; of an ICMP echo its identifier
    uint8_t protocol;     // IANA's number
    uint64_t packets, bytes; // bytes with the link's headers
    uint64_t first, last;    // nanoseconds of the monotonic clock
};

// Takes away what was counted since the last call; of each link that was ever admitted and not yet
// forgotten the rest comes with it. *departures is the caller's: free(3). One thread at a time.
// Takes some milliseconds.
int ccl_take_departures(
    const struct ccl_classifier *classifier, struct ccl_departure **departures, size_t *count,
    struct ccl_error *error);
// Forgets the rest of a link that was dismissed. Idempotent.
int ccl_forget_sender(
    const struct ccl_classifier *classifier, uint32_t link, struct ccl_error *error);

// --- Trying

// A descriptor of a program that lets everything pass, owned by the caller: whether it can be
// attached says what the kernel can do. Negative: -errno; EOPNOTSUPP: it runs none.
int ccl_trial_program(struct ccl_error *error);

#endif
