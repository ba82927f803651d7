// The network of a slice: a namespace, one routed veth pair, one address a family.
//
//     slice's namespace                     host's namespace
//     eth0 10.88.0.7/32  ------veth------   sl-web            10.88.0.7/32 dev sl-web
//     default via 10.88.0.1 onlink          (no address)      lo: 10.88.0.1/32 (the pool's gateway)
//     neighbour 10.88.0.1 permanent         neighbour 10.88.0.7 permanent, NOARP
//
// There is no bridge and nothing is resolved: both ends know each other's MAC address, so neither
// ARP nor neighbour discovery is ever needed. IPv6 is the same, with /128.
//
// Conventions, for every function unless it says otherwise:
//   - returns 0 or -errno; `error` may be null, else it is filled on failure and untouched on
//     success;
//   - must be called by a thread in the host's network namespace, with CAP_NET_ADMIN there and
//     (namespaces, sysctls) CAP_SYS_ADMIN; the thread's own namespace never changes;
//   - either does all it says or leaves what was there before;
//   - safe in any number of threads, except that one context is for one thread at a time;
//   - blocks only inside the kernel (the RTNL mutex), never on a peer.
// Addresses are in network byte order; an IPv4 address fills the first 4 of 16 bytes.
#ifndef CNETLINK_H
#define CNETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CNL_NAME_SIZE 16     // IFNAMSIZ: 15 characters and the terminating zero
#define CNL_MAC_SIZE 6       // ETH_ALEN
#define CNL_DETAIL_SIZE 128
#define CNL_MAX_UPLINKS 8

// Which step failed. `operation` is a static string in the imperative ("create link pair");
// `detail` names the object, followed by the kernel's own explanation where it gave one.
struct cnl_error {
    int error; // errno, positive
    const char *operation;
    char detail[CNL_DETAIL_SIZE];
};

// --- Context ----------------------------------------------------------------------------------

// The host's network namespace: a route-netlink socket and its sysctls. One thread at a time.
struct cnl_context;

// *context is owned by the caller: cnl_close().
int cnl_open(struct cnl_context **context, struct cnl_error *error);
// Of the network namespace of a handle instead: what is said of the host below is then said of that.
int cnl_open_in(int netns, struct cnl_context **context, struct cnl_error *error);
// Accepts null.
void cnl_close(struct cnl_context *context);

// --- Namespaces -------------------------------------------------------------------------------

// Both descriptors are close-on-exec, owned by the holder of the struct, and each of them keeps
// the namespace, and with it the veth pair, alive: cnl_namespace_close() gives up both.
struct cnl_namespace {
    int netns;     // for setns(2) and launch plans
    int rtnetlink; // socket inside, for cnl_link_create()
};

// A new network namespace owned by the caller's user namespace, with `lo` up and the sysctls of
// namespace.c; without `ipv6` the protocol is disabled inside. It is made by a short-lived thread
// of its own, so that no thread of the caller's can be left in the wrong one. `procfs` is the root of
// one in which nobody has looked up sysctls of other namespaces, which would make it the slower the
// more of them there are; -1: /proc.
// EAFNOSUPPORT: `ipv6` asked for on a kernel without it. ENOSPC: user.max_net_namespaces reached.
int cnl_namespace_create(
    int procfs, bool ipv6, struct cnl_namespace *namespace, struct cnl_error *error);

// The same handle for a namespace that exists (`/proc/PID/ns/net`). `netns` stays the caller's:
// the handle holds a duplicate.
int cnl_namespace_adopt(int netns, struct cnl_namespace *namespace, struct cnl_error *error);

// Identifies the namespace (SO_NETNS_COOKIE, socket(7)) as long as the host runs.
int cnl_namespace_cookie(
    const struct cnl_namespace *namespace, uint64_t *cookie, struct cnl_error *error);

// The automatic ports inside: from `first` to `last`, without those that `reserved` lists (in the form
// of net.ipv4.ip_local_reserved_ports, see ip-sysctl.rst; it may be empty). Sockets keep what they have.
int cnl_namespace_set_ports(
    int netns, uint16_t first, uint16_t last, const char *reserved, struct cnl_error *error);

// Gives `eth0` inside these addresses instead of those that it has; null: none of that family. A family
// that it has no address of stays without. Routes and neighbours are not touched.
int cnl_namespace_readdress(
    const struct cnl_namespace *namespace, const uint8_t *ipv4, const uint8_t *ipv6,
    struct cnl_error *error);

// Closes both descriptors and sets them to -1; may be called again. Once nobody else holds the
// namespace the kernel removes it, its links and their host ends in the background; namespaces
// given up together are removed together, which costs far less than one by one.
void cnl_namespace_close(struct cnl_namespace *namespace);

// --- Links ------------------------------------------------------------------------------------

struct cnl_address_pair {
    bool present;        // false: the family is not used and the rest ignored
    uint8_t slice[16];   // the slice's own, /32 or /128
    uint8_t gateway[16]; // of the pool (struct cnl_pool), which must be installed
};

// Programs of type BPF_PROG_TYPE_SCHED_CLS, as descriptors: what sees the packets of a slice on the
// host's end, and those of all on an uplink. The filters hold them, the descriptors may be closed.
struct cnl_classifier {
    int from_slice, to_slice;
    int from_uplink, to_uplink;
};

struct cnl_link {
    char name[CNL_NAME_SIZE];        // of the host's end, unique on the host
    uint32_t mtu;                    // bytes, 68-65535, at least 1280 with IPv6
    uint8_t slice_mac[CNL_MAC_SIZE]; // unicast, not zero
    uint8_t host_mac[CNL_MAC_SIZE];  // unicast, not zero; may be the same for all links
    struct cnl_address_pair ipv4;
    struct cnl_address_pair ipv6; // at least one of the two present
    const struct cnl_classifier *classifier; // null: none
    // The addresses are the host's own too. No route or neighbour of the host's leads to the slice: a
    // classifier brings it its packets.
    bool shared;
    // Of the end inside, "" for `eth0`; and the IPv4 network that the slice's address is in and the gateway
    // is the way to; 0 bits: the address is in none, and the gateway is the way to all.
    char device[CNL_NAME_SIZE];
    uint8_t network[4], network_length;
};

// Makes the veth pair, `eth0` inside the namespace, with addresses, routes and neighbours on both
// sides, and waits until both ends carry packets. The classifier is there before the link is up.
// Fills *index, of the host's end, unless it is null. Constant work, whatever the number of links.
// EEXIST: the name, `eth0` inside, or the slice's address (then `detail` says which) is in use.
// EINVAL, ENAMETOOLONG: a field out of the ranges above; EINVAL also for a gateway whose pool is
// not installed. EOPNOTSUPP: no veth in this kernel. ETIMEDOUT: still not usable after 0.2 s.
int cnl_link_create(
    struct cnl_context *context, const struct cnl_namespace *namespace,
    const struct cnl_link *link, int *index, struct cnl_error *error);

// Deletes the pair, whose end on the host has this name, with all that hangs on it; 0 if there is
// none. The kernel takes about 20 ms.
int cnl_link_delete(struct cnl_context *context, const char *name, struct cnl_error *error);

// Deletes many for about the price of one. Names that do not exist are passed over.
int cnl_link_delete_many(
    struct cnl_context *context, const char names[][CNL_NAME_SIZE], size_t count,
    struct cnl_error *error);

// The host's ends whose name starts with `prefix`, in the kernel's order: fills `names` up to
// `capacity` and sets *count to how many there are, which may be more. Walks all veth links.
int cnl_link_list(
    struct cnl_context *context, const char *prefix, char names[][CNL_NAME_SIZE],
    size_t capacity, size_t *count, struct cnl_error *error);

// As the slice sees it: sent by it, received by it. Counted since the link was made.
struct cnl_statistics {
    uint64_t sent_bytes, sent_packets;
    uint64_t received_bytes, received_packets;
    uint64_t dropped_packets; // at the host's end, either direction
};

// ENODEV: no such link.
int cnl_link_statistics(
    struct cnl_context *context, const char *name, struct cnl_statistics *statistics,
    struct cnl_error *error);

struct cnl_link_counters {
    char name[CNL_NAME_SIZE]; // of the host's end
    struct cnl_statistics statistics;
};

// Those of all links whose name starts with `prefix`, in one request; otherwise like
// cnl_link_list().
int cnl_link_statistics_list(
    struct cnl_context *context, const char *prefix, struct cnl_link_counters *links,
    size_t capacity, size_t *count, struct cnl_error *error);
// Puts a classifier on a link that exists, by the index of the host's end; one that is there is
// replaced between two packets. EOPNOTSUPP: the kernel has no clsact qdisc or no BPF filter.
int cnl_classifier_attach(
    struct cnl_context *context, int index, const struct cnl_classifier *classifier,
    struct cnl_error *error);

// A TUN device of a slice, in its network namespace (IFF_TUN, IFF_NO_PI), up; it stays until deleted.
struct cnl_tun {
    char name[CNL_NAME_SIZE];
    uint32_t owner;     // host's user id of who may attach to it
    bool queues;        // of several; who attaches must say so too (IFF_MULTI_QUEUE)
    uint8_t family;     // AF_INET, AF_INET6; 0: without an address
    uint8_t prefix;     // length
    uint8_t address[16];
};
// EOPNOTSUPP: this kernel has none. EBUSY: there is such a link.
int cnl_tun_create(
    const struct cnl_namespace *namespace, const struct cnl_tun *tun, struct cnl_error *error);
// Whoever is attached to it has nothing more of it. 0 if there is none.
int cnl_tun_delete(
    const struct cnl_namespace *namespace, const char *name, struct cnl_error *error);

// Puts the program that judges packets of raw sockets on a link of the slice's own, in its namespace, in
// the direction out; one that is there is replaced. EOPNOTSUPP as above. ENODEV: no such link.
int cnl_raw_attach(
    const struct cnl_namespace *namespace, const char *device, int program,
    struct cnl_error *error);
// The id of the one that is there; 0: there is none, or no such link.
int cnl_raw_find(
    const struct cnl_namespace *namespace, const char *device, uint32_t *program,
    struct cnl_error *error);

// Has a generic XDP program see what comes to the slice, on `eth0` of its namespace, in place of one that
// is there; -1: none any more. EOPNOTSUPP: this kernel cannot. ENODEV: no such link.
int cnl_xdp_attach(
    const struct cnl_namespace *namespace, int program, struct cnl_error *error);
// The id of the one that is there, 0: none.
int cnl_xdp_find(
    const struct cnl_namespace *namespace, uint32_t *program, struct cnl_error *error);

// Whether this kernel can: the same on the loopback of a namespace that is given up afterwards.
int cnl_classifier_try(
    const struct cnl_namespace *namespace, const struct cnl_classifier *classifier,
    struct cnl_error *error);

// The id (bpf(2), BPF_PROG_GET_FD_BY_ID) of the program that sees what comes from the slice; 0 if
// there is none.
int cnl_classifier_find(
    struct cnl_context *context, int index, uint32_t *program, struct cnl_error *error);

// The same three for an uplink. Filters of others stay, and are asked first.
int cnl_uplink_attach(
    struct cnl_context *context, int index, const struct cnl_classifier *classifier,
    struct cnl_error *error);
// Idempotent; 0 also for a link that is gone. The clsact qdisc stays: others may use it.
int cnl_uplink_detach(struct cnl_context *context, int index, struct cnl_error *error);
int cnl_uplink_find(
    struct cnl_context *context, int index, uint32_t *program, struct cnl_error *error);
// The same for to_uplink, which has other maps.
int cnl_uplink_find_leaving(
    struct cnl_context *context, int index, uint32_t *program, struct cnl_error *error);

// --- The host ---------------------------------------------------------------------------------

// Addresses that slices get theirs from.
struct cnl_pool {
    int family;          // AF_INET or AF_INET6
    uint8_t prefix[16];  // bits beyond `length` are ignored
    uint8_t length;      // 8-31 for IPv4, 16-127 for IPv6
    uint8_t gateway[16]; // inside the prefix; the host's own address towards slices
    // Of the host's address, for connections that are translated to it (cnl_nat_install()), and for
    // identifiers of ICMP echoes; 0: any.
    uint16_t first_port, last_port;
};

// Refuses a pool that overlaps with an address or a route the host has, except default routes,
// reject routes, and what cnl_pool_install() and cnl_link_create() have made.
// EADDRINUSE: it overlaps, `detail` says with what. EINVAL: not a pool as described above.
int cnl_pool_check(
    struct cnl_context *context, const struct cnl_pool *pool, struct cnl_error *error);

// Refuses an address of an installed pool that the host has itself, or routes elsewhere than to a link
// of cnl_link_create()'s. Constant work. EADDRINUSE: `detail` says by what.
int cnl_pool_check_address(
    struct cnl_context *context, int family, const uint8_t address[16], struct cnl_error *error);

// Claims the calling thread's network namespace for one supervisor: a descriptor, close-on-exec and
// owned by the caller, to be kept open. EADDRINUSE: another one has it. The claim is an abstract Unix
// socket (unix(7)), of which each network namespace has its own names; anybody could take that one, so
// a holder other than root counts for nothing, and the descriptor is then of a socket without a name.
int cnl_host_claim(struct cnl_error *error);

// Gives the gateway address to `lo` and makes the rest of the pool unreachable, so that packets
// for a slice that is gone never leave by the uplink. Idempotent.
int cnl_pool_install(
    struct cnl_context *context, const struct cnl_pool *pool, struct cnl_error *error);
// Takes both away again. Idempotent.
int cnl_pool_remove(
    struct cnl_context *context, const struct cnl_pool *pool, struct cnl_error *error);

struct cnl_uplink {
    char name[CNL_NAME_SIZE];
    bool ipv4, ipv6; // which families have a default route by it in the main table
};

// Fills `uplinks` up to CNL_MAX_UPLINKS, first found first; more are not reported.
int cnl_uplinks(
    struct cnl_context *context, struct cnl_uplink uplinks[CNL_MAX_UPLINKS], size_t *count,
    struct cnl_error *error);

// The host's own address towards the world, of one family.
struct cnl_node_address {
    bool present;       // false: it has none, and the rest says nothing
    uint8_t address[16];
    int link;           // index of the one that the default route goes by
    uint32_t mtu;       // of that link, in bytes
    bool is_ethernet;   // whether it has Ethernet's header
};

// By the best default route of the main table; the source that it names, else the link's first address
// that is global, and neither secondary, temporary, deprecated nor tentative.
int cnl_node_address(
    struct cnl_context *context, int family, struct cnl_node_address *node,
    struct cnl_error *error);

// What cnl_forwarding_enable() found, to be kept until cnl_forwarding_restore().
struct cnl_forwarding {
    bool ipv4, ipv6;              // net.ipv4.ip_forward, net.ipv6.conf.all.forwarding
    size_t accept_ra_count;       // uplinks whose accept_ra was raised from 1 to 2
    char accept_ra[CNL_MAX_UPLINKS][CNL_NAME_SIZE];
};

// Makes the host forward IPv4, and IPv6 if asked. A host that forwards ignores router
// advertisements where accept_ra is 1, and drops the default routes it had learned from them; so
// uplinks with 1 get 2 first. Writes only what differs. EROFS: /proc/sys is read-only.
// EAFNOSUPPORT: no IPv6 in this kernel.
int cnl_forwarding_enable(
    struct cnl_context *context, bool ipv6, struct cnl_forwarding *previous,
    struct cnl_error *error);
// Puts back what enable() changed. Interfaces gone since are passed over.
int cnl_forwarding_restore(
    struct cnl_context *context, const struct cnl_forwarding *previous, struct cnl_error *error);

// Keeps ports from the host's own automatic ones (net.ipv4.ip_local_reserved_ports), beside those that
// are kept already. Idempotent.
int cnl_reserve_ports(
    struct cnl_context *context, uint16_t first, uint16_t last, struct cnl_error *error);

// Whether nothing of the host's uses a port, of TCP or UDP, at any address. EADDRINUSE: `detail` names
// it. For a thread in the host's network namespace.
int cnl_port_check(uint16_t port, struct cnl_error *error);

// --- Network address translation ---------------------------------------------------------------

// A port of the host at which a port of a slice is reached, at all of the host's addresses.
struct cnl_published {
    uint8_t protocol;        // IPPROTO_TCP or IPPROTO_UDP
    uint16_t host_port, port; // in the machine's byte order, not 0
};

// A slice that publishes.
struct cnl_publisher {
    uint8_t ipv4[16], ipv6[16]; // its addresses
    bool has_ipv6;              // false: `ipv6` is ignored
    const struct cnl_published *ports;
    size_t count;
};

// Over all publishers.
#define CNL_MAX_PUBLISHED 8192

// The nftables table `inet slices`: what comes from the pools and leaves by a link whose name does
// not start with `link_prefix` is masqueraded, what comes to a published port of the host goes to its
// slice. One transaction that replaces the table as a whole, during which the earlier one serves;
// connections that are translated already stay so. Idempotent. One or two pools; `publishers` may
// be null where the count is 0. Without `publishing` the table is for masquerading alone.
// EOPNOTSUPP: the kernel lacks a part, which `detail` names: slices then reach the host and each
// other but not the world. E2BIG: too many ports.
int cnl_nat_install(
    const struct cnl_pool *pools, size_t count, const char *link_prefix,
    const struct cnl_publisher *publishers, size_t publisher_count, bool publishing,
    struct cnl_error *error);

// In one transaction: withdraws what `before` says, which must be published, and publishes `after`.
// Either may be null. Constant work for each port, whatever the number of those that there are.
// EEXIST: the host's port is published already. ENOENT: the table is gone (with a null `after`
// that is fine).
int cnl_nat_publish(
    const struct cnl_publisher *before, const struct cnl_publisher *after,
    struct cnl_error *error);

// Whether the table is there: who flushes nftables' ruleset takes it away.
int cnl_nat_find(bool *found, struct cnl_error *error);
// Idempotent; 0 also on a kernel without nftables.
int cnl_nat_remove(struct cnl_error *error);

// A socket that is bound to a port of the host, at all addresses, and takes nothing: as long as it is
// open no program of the host can have the port. Returns the descriptor, close-on-exec and owned by the
// caller, or -errno. EADDRINUSE: somebody has the port, at any address, or a connection of it has ended
// less than a minute ago.
int cnl_port_hold(uint8_t protocol, uint16_t port, bool ipv6, struct cnl_error *error);

// Has the kernel forget the connections that come to these ports of a slice, whichever way. What goes
// on of them is judged anew: a port that is no longer published gets no more packets, and whoever gets
// the slice's address next none that were meant for the last. Without an address: those to the host's
// ports that were never answered, which else go on as they began when the ports were not published yet.
// Works through the whole table of connections, once. `address` is the slice's, of `family`.
// EOPNOTSUPP: no conntrack in this kernel.
int cnl_connections_forget(
    int family, const uint8_t address[16], const struct cnl_published *ports, size_t count,
    struct cnl_error *error);

// Whether packets to and from 127.0.0.0/8 may pass a link, by the index of the host's end, so that
// the host reaches published ports at its loopback. ENODEV: no such link.
int cnl_link_set_loopback(
    struct cnl_context *context, int index, bool allowed, struct cnl_error *error);

#endif
