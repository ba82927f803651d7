// What the files of this shim share. Nothing here is seen by callers.
//
// Of libnl this uses the messages and attributes. Its sockets are not used: they send one message
// at a time, fold errno into a smaller set of codes, and drop the kernel's explanation.
#ifndef CNETLINK_INTERNAL_H
#define CNETLINK_INTERNAL_H

#include "cnetlink.h"

#include <netlink/attr.h>
#include <netlink/msg.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

// rtm_protocol of every route made here (0-4 are the kernel's; unassigned in rt_protos).
#define CNL_ROUTE_PROTOCOL 115

// The loopback interface has index 1 in every network namespace (LOOPBACK_IFINDEX).
#define CNL_LOOPBACK_INDEX 1

// --- error.c

// Fills `error` unless it is null. `number` is a positive errno. Returns -number.
__attribute__((format(printf, 4, 5))) int
cnl_fail(struct cnl_error *error, int number, const char *operation, const char *format, ...);

// --- batch.c

#define CNL_BATCH_MAX 96

// Messages that go to the kernel in one sendmsg(2), which carries them out in order. Route netlink
// goes on after a message that failed: what must not follow a failure belongs into the next batch.
// Filling needs no checks: running out of memory is remembered and reported by cnl_batch_run().
struct cnl_batch {
    struct nl_msg *messages[CNL_BATCH_MAX];
    const char *operations[CNL_BATCH_MAX];
    unsigned count;
    bool failed;
};

// Adds a message with a fixed header (ifinfomsg and the like). The result is null without memory,
// which the cnl_put functions accept.
struct nl_msg *cnl_batch_add(
    struct cnl_batch *batch, const char *operation, int type, int flags, const void *header,
    size_t size);
// The same for a message that may come to `room` bytes; at least 1024 otherwise.
struct nl_msg *cnl_batch_add_sized(
    struct cnl_batch *batch, const char *operation, int type, int flags, const void *header,
    size_t size, size_t room);
void cnl_put(
    struct cnl_batch *batch, struct nl_msg *message, int type, const void *data, size_t size);
void cnl_put_u8(struct cnl_batch *batch, struct nl_msg *message, int type, uint8_t value);
void cnl_put_u32(struct cnl_batch *batch, struct nl_msg *message, int type, uint32_t value);
void cnl_put_string(
    struct cnl_batch *batch, struct nl_msg *message, int type, const char *value);
struct nlattr *cnl_nest_start(struct cnl_batch *batch, struct nl_msg *message, int type);
void cnl_nest_end(struct nl_msg *message, struct nlattr *nest);

// Called for each message that is neither acknowledgement nor error.
typedef void (*cnl_reply_handler)(const struct nlmsghdr *reply, void *argument);

// Sends, collects every reply, frees the messages. Reports the first error; `object` is what its
// detail is about. EINTR: a dump changed under way and is inconsistent; start it again.
int cnl_batch_run(
    int socket, struct cnl_batch *batch, const char *object, cnl_reply_handler handler,
    void *argument, struct cnl_error *error);

// A socket of this netlink family in the calling thread's network namespace, or -errno.
int cnl_socket(int protocol, struct cnl_error *error);

// One dump request with this header, begun again while it comes out inconsistent. `reset` is
// called before each try, unless it is null.
int cnl_dump(
    int socket, const char *operation, int type, const void *header, size_t size,
    cnl_reply_handler handler, void (*reset)(void *argument), void *argument,
    struct cnl_error *error);

// --- sysctl.c

#define CNL_SYSCTL_IPV4 "net/ipv4"
#define CNL_SYSCTL_IPV6 "net/ipv6"

// A directory below /proc/sys. One below net/ stays with the network namespace of the thread that
// opened it. Finding that one is where a path gets slow with many namespaces: each has its own
// entry under the same name, which the kernel searches one by one (proc_sys_compare() in its
// fs/proc/proc_sysctl.c). So it is done once, and for a new namespace through a procfs of its own.
struct cnl_sysctls {
    int directory;
    const char *name;
};

// `procfs`: the root of one, or -1 for /proc. ENOENT for IPv6: the kernel has none.
int cnl_sysctl_open(
    struct cnl_sysctls *sysctls, int procfs, const char *name, struct cnl_error *error);
void cnl_sysctl_close(struct cnl_sysctls *sysctls);
int cnl_sysctl_write(
    const struct cnl_sysctls *sysctls, const char *path, const char *value,
    struct cnl_error *error);
int cnl_sysctl_read(
    const struct cnl_sysctls *sysctls, const char *path, int *value, struct cnl_error *error);
// Of conf/INTERFACE/.
int cnl_sysctl_write_interface(
    const struct cnl_sysctls *sysctls, const char *interface, const char *name, const char *value,
    struct cnl_error *error);
int cnl_sysctl_read_interface(
    const struct cnl_sysctls *sysctls, const char *interface, const char *name, int *value,
    struct cnl_error *error);

// --- context.c

struct cnl_context {
    int rtnetlink;
    struct cnl_sysctls ipv4, ipv6; // of the host; ipv6 is closed on a kernel without it
};

// --- attribute.c

// What an attribute of a reply holds; `otherwise`, or null, where it is absent or too short, or text without
// an end. Numbers as they are: of conntrack in network byte order.
const char *cnl_get_text(const struct nlattr *attribute);
uint8_t cnl_get_u8(const struct nlattr *attribute, uint8_t otherwise);
uint16_t cnl_get_u16(const struct nlattr *attribute, uint16_t otherwise);
uint32_t cnl_get_u32(const struct nlattr *attribute, uint32_t otherwise);

// --- address.c

size_t cnl_address_size(int family);
// Room for any address with its prefix length and the terminating zero.
#define CNL_PREFIX_TEXT_SIZE 56
const char *cnl_prefix_text(
    char text[CNL_PREFIX_TEXT_SIZE], int family, const uint8_t *address, unsigned length);
// Whether the first `length` bits are the same.
bool cnl_prefix_equal(const uint8_t *one, const uint8_t *other, unsigned length);

void cnl_prefix_mask(uint8_t mask[16], unsigned length);

// --- link.c

// What the host's end of a link has to do with IPv4 and IPv6, into IFLA_AF_SPEC.
void cnl_put_ipv4_settings(struct cnl_batch *batch, struct nl_msg *message);
void cnl_put_ipv6_settings(struct cnl_batch *batch, struct nl_msg *message);
void cnl_add_up(struct cnl_batch *batch, int index);

// --- namespace.c

// Calls `body` on a thread of its own in a network namespace; its result.
int cnl_run_inside(
    int netns, int (*body)(void *argument, struct cnl_error *error), void *argument,
    struct cnl_error *error);

// --- rings.c

// What all packet sockets of the calling thread's network namespace have for rings, in bytes. ENOENT: the
// kernel has no CONFIG_PACKET_DIAG.
int cnl_ring_bytes(uint64_t *bytes, struct cnl_error *error);

// --- pool.c

// EINVAL unless it is a pool as struct cnl_pool describes.
int cnl_check_pool(const struct cnl_pool *pool, struct cnl_error *error);

// --- classify.c

// The index of a link in a slice's namespace, by its name. ENODEV: there is none.
int cnl_slice_device(
    const struct cnl_namespace *namespace, const char *device, int *index, struct cnl_error *error);

// Puts the qdisc and both filters of a slice's link into a batch.
void cnl_classifier_add(
    struct cnl_batch *batch, int index, const struct cnl_classifier *classifier);
// The same for two programs, in the order of ingress and egress.
void cnl_filters_add(struct cnl_batch *batch, int index, const int programs[2]);
// Runs a batch with filters in it: EOPNOTSUPP where the kernel has no clsact or no BPF filter.
int cnl_classifier_run(
    int rtnetlink, struct cnl_batch *batch, const char *name, struct cnl_error *error);

// --- links.c

// ENAMETOOLONG or EINVAL unless it can be a link's name.
int cnl_check_name(const char *name, struct cnl_error *error);

#endif
