// Published ports beside the table of nat.c: connections that are translated already, and the host's
// loopback.

#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ip.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- Connections

// In CTA_FILTER_REPLY_FLAGS: compare the source address (CTA_FILTER_F_CTA_IP_SRC in the kernel's
// net/netfilter/nf_internals.h). Before Linux 5.8 the kernel compares nothing.
#define COMPARE_SOURCE 1

// A tuple's attributes come to under 100 bytes.
#define TUPLE_SIZE 128

// One to be forgotten, as the kernel named it.
struct connection {
    uint8_t tuple[TUPLE_SIZE];
    size_t size;
    uint32_t id;
};

struct search {
    int family;
    const uint8_t *address;
    const struct cnl_published *ports;
    size_t port_count;
    struct connection *found;
    size_t count, capacity;
    bool failed; // no memory
};

static void start_search(void *argument) { ((struct search *)argument)->count = 0; }

static bool parse(struct nlattr **attributes, int last, struct nlattr *nest) {
    return nest && nla_parse_nested(attributes, last, nest, NULL) == 0;
}

// Answered, or translated: then it is on its way already.
static bool is_settled(struct nlattr *status) {
    return !status || ntohl(cnl_get_u32(status, 0)) & (IPS_SEEN_REPLY | IPS_SRC_NAT | IPS_DST_NAT);
}

// Whether the answers of a connection come from what is searched for: those are as the slice sends
// them, whatever was translated.
static bool matches(const struct search *search, struct nlattr *reply) {
    struct nlattr *tuple[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *ports[CTA_PROTO_MAX + 1];
    if (!parse(tuple, CTA_TUPLE_MAX, reply) || !parse(ip, CTA_IP_MAX, tuple[CTA_TUPLE_IP]) ||
        !parse(ports, CTA_PROTO_MAX, tuple[CTA_TUPLE_PROTO]))
        return false;
    struct nlattr *source = ip[search->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC];
    int size = (int)cnl_address_size(search->family);
    if (search->address && (!source || nla_len(source) < size ||
                            memcmp(nla_data(source), search->address, (size_t)size) != 0))
        return false;
    if (!ports[CTA_PROTO_NUM] || !ports[CTA_PROTO_SRC_PORT]) return false;
    uint8_t protocol = cnl_get_u8(ports[CTA_PROTO_NUM], 0);
    uint16_t port = ntohs(cnl_get_u16(ports[CTA_PROTO_SRC_PORT], 0));
    for (size_t index = 0; index < search->port_count; index++) {
        const struct cnl_published *one = &search->ports[index];
        if (one->protocol == protocol && (search->address ? one->port : one->host_port) == port)
            return true;
    }
    return false;
}

static struct connection *add_connection(struct search *search) {
    if (search->count == search->capacity) {
        size_t capacity = search->capacity ? 2 * search->capacity : 64;
        struct connection *grown = reallocarray(search->found, capacity, sizeof *grown);
        if (!grown) {
            search->failed = true;
            return NULL;
        }
        search->found = grown;
        search->capacity = capacity;
    }
    return &search->found[search->count++];
}

static void collect(const struct nlmsghdr *reply, void *argument) {
    struct search *search = argument;
    struct nlattr *attributes[CTA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, sizeof(struct nfgenmsg), attributes, CTA_MAX, NULL) < 0) return;
    struct nlattr *tuple = attributes[CTA_TUPLE_ORIG];
    if (!tuple || !attributes[CTA_ID] || nla_len(tuple) > TUPLE_SIZE ||
        (!search->address && is_settled(attributes[CTA_STATUS])) ||
        !matches(search, attributes[CTA_TUPLE_REPLY]))
        return;
    struct connection *connection = add_connection(search);
    if (!connection) return;
    connection->size = (size_t)nla_len(tuple);
    memcpy(connection->tuple, nla_data(tuple), connection->size);
    connection->id = cnl_get_u32(attributes[CTA_ID], 0);
}

static struct nl_msg *add_request(
    struct cnl_batch *batch, const char *operation, int family, enum cntl_msg_types type,
    int flags) {
    const struct nfgenmsg header = {.nfgen_family = (uint8_t)family, .version = NFNETLINK_V0};
    return cnl_batch_add(
        batch, operation, NFNL_SUBSYS_CTNETLINK << 8 | type, flags, &header, sizeof header);
}

// Spares the copies of all others.
static void
put_filter(struct cnl_batch *batch, struct nl_msg *message, const struct search *search) {
    struct nlattr *tuple = cnl_nest_start(batch, message, CTA_TUPLE_REPLY | NLA_F_NESTED);
    struct nlattr *ip = cnl_nest_start(batch, message, CTA_TUPLE_IP | NLA_F_NESTED);
    cnl_put(
        batch, message, search->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC,
        search->address, cnl_address_size(search->family));
    cnl_nest_end(message, ip);
    cnl_nest_end(message, tuple);
    struct nlattr *filter = cnl_nest_start(batch, message, CTA_FILTER | NLA_F_NESTED);
    cnl_put_u32(batch, message, CTA_FILTER_ORIG_FLAGS, 0);
    cnl_put_u32(batch, message, CTA_FILTER_REPLY_FLAGS, COMPARE_SOURCE);
    cnl_nest_end(message, filter);
}

static int find(int socket, struct search *search, struct cnl_error *error) {
    struct cnl_batch batch = {0};
    struct nl_msg *message = add_request(
        &batch, "list connections", search->family, IPCTNL_MSG_CT_GET, NLM_F_DUMP | NLM_F_ACK);
    if (search->address) put_filter(&batch, message, search);
    start_search(search);
    int result = cnl_batch_run(socket, &batch, "conntrack", collect, search, error);
    if (result == 0 && search->failed)
        return cnl_fail(error, ENOMEM, "list connections", "conntrack");
    // A table that changes meanwhile may be listed with gaps, and is seldom at rest: what has begun
    // since the port was withdrawn comes to nobody.
    return result == -EINTR ? 0 : result;
}

static int forget(
    int socket, const struct search *search, const struct connection *connection,
    struct cnl_error *error) {
    struct cnl_batch batch = {0};
    struct nl_msg *message = add_request(
        &batch, "forget a connection", search->family, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
    cnl_put(
        &batch, message, CTA_TUPLE_ORIG | NLA_F_NESTED, connection->tuple, connection->size);
    cnl_put_u32(&batch, message, CTA_ID, connection->id);
    struct cnl_error failure;
    int result = cnl_batch_run(socket, &batch, "conntrack", NULL, NULL, &failure);
    if (result == 0 || result == -ENOENT) return 0; // it has ended meanwhile
    if (error) *error = failure;
    return result;
}

int cnl_connections_forget(
    int family, const uint8_t address[16], const struct cnl_published *ports, size_t count,
    struct cnl_error *error) {
    if (count == 0) return 0;
    struct cnl_error failure;
    int socket = cnl_socket(NETLINK_NETFILTER, &failure);
    int result = socket;
    if (socket >= 0) {
        struct search search = {
            .family = family, .address = address, .ports = ports, .port_count = count};
        result = find(socket, &search, &failure);
        for (size_t index = 0; result == 0 && index < search.count; index++)
            result = forget(socket, &search, &search.found[index], &failure);
        free(search.found);
        close(socket);
    }
    if (result == 0) return 0;
    // What nfnetlink says of a part that the kernel does not have.
    if (result == -EINVAL || result == -EPROTONOSUPPORT) failure.error = EOPNOTSUPP;
    if (error) *error = failure;
    return -failure.error;
}

// --- Loopback

int cnl_link_set_loopback(
    struct cnl_context *context, int index, bool allowed, struct cnl_error *error) {
    struct ifinfomsg header = {.ifi_index = index};
    struct cnl_batch batch = {0};
    struct nl_msg *message = cnl_batch_add(
        &batch, "set route_localnet", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
    struct nlattr *families = cnl_nest_start(&batch, message, IFLA_AF_SPEC);
    struct nlattr *family = cnl_nest_start(&batch, message, AF_INET);
    struct nlattr *settings = cnl_nest_start(&batch, message, IFLA_INET_CONF);
    cnl_put_u32(&batch, message, IPV4_DEVCONF_ROUTE_LOCALNET, allowed);
    cnl_nest_end(message, settings);
    cnl_nest_end(message, family);
    cnl_nest_end(message, families);
    return cnl_batch_run(context->rtnetlink, &batch, "link", NULL, NULL, error);
}
