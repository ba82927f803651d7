// Network address translation. What nft(8) would call:
//
//     table inet slices {
//         map published4 { type inet_proto . inet_service : ipv4_addr . inet_service }
//         set own4 { type ipv4_addr . ipv4_addr }
//         chain prerouting {
//             type nat hook prerouting priority dstnat
//             meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @published4
//         }
//         chain output {
//             type nat hook output priority dstnat
//             meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @published4
//         }
//         chain postrouting {
//             type nat hook postrouting priority srcnat
//             meta nfproto ipv4 ip saddr 10.88.0.0/16 oifname != "sl-*" masquerade to :30000-65534
//             meta nfproto ipv4 ip saddr . ip daddr @own4 snat ip to 10.88.0.1
//             meta nfproto ipv4 ip saddr 127.0.0.0/8 oifname "sl-*" snat ip to 10.88.0.1
//         }
//     }
//
// and the same for IPv6, but for loopback: the kernel lets ::1 leave by no other link (RFC 4291,
// 2.5.3), so the output rule leaves it alone.
//
// A published port is one element of a map, whatever their number. Who comes to it keeps its address,
// but for two: the slice itself, which would take a packet from its own address for a forgery, and
// the host by its loopback, whose address means another host to the slice.

#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

// NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC; the same for IPv6.
#define PRIORITY_DSTNAT (-100)
#define PRIORITY_SRCNAT 100

// Types as nft(8) numbers them, six bits each where they are put together: what a listing shows.
#define TYPE_IPV4 7
#define TYPE_IPV6 8
#define TYPE_PROTOCOL 12
#define TYPE_PORT 13
#define TYPES(first, second) ((first) << 6 | (second))

// Parts of a concatenation begin at multiples of 4 bytes.
struct port_key {
    uint8_t protocol, zero[3];
    uint16_t port, zeros; // network byte order
};

static const char *published_map(int family) {
    return family == AF_INET ? "published4" : "published6";
}

static const char *own_set(int family) { return family == AF_INET ? "own4" : "own6"; }

// --- Table, sets and chains

static void add_table(struct cnl_batch *batch, const char *operation, int type, int flags) {
    nft_add_table(batch, operation, type, flags, NFT_TABLE);
}

// Sets are referred to by name; the kernel wants an id all the same.
static struct nl_msg *
add_set(struct cnl_batch *batch, const char *name, uint32_t type, size_t key_size) {
    struct nl_msg *message =
        nft_add(batch, "add nftables set", NFT_MSG_NEWSET, NLM_F_CREATE);
    cnl_put_string(batch, message, NFTA_SET_TABLE, NFT_TABLE);
    cnl_put_string(batch, message, NFTA_SET_NAME, name);
    nft_put_be32(batch, message, NFTA_SET_ID, batch->count);
    nft_put_be32(batch, message, NFTA_SET_KEY_TYPE, type);
    nft_put_be32(batch, message, NFTA_SET_KEY_LEN, (uint32_t)key_size);
    return message;
}

static void add_sets(struct cnl_batch *batch, int family) {
    uint32_t address = family == AF_INET ? TYPE_IPV4 : TYPE_IPV6;
    size_t size = cnl_address_size(family);
    struct nl_msg *map = add_set(
        batch, published_map(family), TYPES(TYPE_PROTOCOL, TYPE_PORT), sizeof(struct port_key));
    nft_put_be32(batch, map, NFTA_SET_FLAGS, NFT_SET_MAP);
    nft_put_be32(batch, map, NFTA_SET_DATA_TYPE, TYPES(address, TYPE_PORT));
    nft_put_be32(batch, map, NFTA_SET_DATA_LEN, (uint32_t)size + 4);
    add_set(batch, own_set(family), TYPES(address, address), 2 * size);
}

static void
add_chain(struct cnl_batch *batch, const char *name, enum nf_inet_hooks hook, int priority) {
    nft_add_chain(batch, NFT_TABLE, name, "nat", hook, priority);
}

// --- Rules

static struct nft_rule
start_rule(struct cnl_batch *batch, const char *operation, const char *chain, int family) {
    struct nft_rule rule = nft_begin_rule(batch, operation, NFT_TABLE, chain);
    nft_family_is(batch, rule.message, family);
    return rule;
}

static void put_source(
    struct cnl_batch *batch, struct nl_msg *message, int family, size_t size) {
    size_t offset =
        family == AF_INET ? offsetof(struct iphdr, saddr) : offsetof(struct ip6_hdr, ip6_src);
    nft_payload(batch, message, NFT_PAYLOAD_NETWORK_HEADER, offset, size, NFT_REG_1);
}

static void put_destination(
    struct cnl_batch *batch, struct nl_msg *message, int family, enum nft_registers target) {
    size_t offset =
        family == AF_INET ? offsetof(struct iphdr, daddr) : offsetof(struct ip6_hdr, ip6_dst);
    nft_payload(
        batch, message, NFT_PAYLOAD_NETWORK_HEADER, offset, cnl_address_size(family), target);
}

// Without its terminating zero: a comparison of the name's start.
static void put_output(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_cmp_ops operator,
    const char *link_prefix) {
    nft_meta(batch, message, NFT_META_OIFNAME, NFT_REG_1);
    nft_compare(batch, message, operator, link_prefix, strlen(link_prefix));
}

static void
add_masquerade(struct cnl_batch *batch, const struct cnl_pool *pool, const char *link_prefix) {
    struct nft_rule rule = start_rule(batch, "add masquerade rule", "postrouting", pool->family);
    size_t size = cnl_address_size(pool->family);
    uint8_t mask[16], network[16];
    cnl_prefix_mask(mask, pool->length);
    for (size_t index = 0; index < size; index++)
        network[index] = pool->prefix[index] & mask[index];
    put_source(batch, rule.message, pool->family, size);
    nft_mask(batch, rule.message, mask, size);
    nft_compare(batch, rule.message, NFT_CMP_EQ, network, size);
    put_output(batch, rule.message, NFT_CMP_NEQ, link_prefix);
    nft_masquerade(batch, rule.message, pool->first_port, pool->last_port);
    nft_end_rule(rule);
}

static void add_redirect(struct cnl_batch *batch, const char *chain, int family, bool local) {
    struct nft_rule rule = start_rule(batch, "add rule for published ports", chain, family);
    struct nl_msg *message = rule.message;
    if (local && family == AF_INET6) {
        put_destination(batch, message, family, NFT_REG_1);
        nft_compare(batch, message, NFT_CMP_NEQ, &in6addr_loopback, sizeof in6addr_loopback);
    }
    const uint32_t own = RTN_LOCAL;
    nft_destination_type(batch, message, NFT_REG_1);
    nft_compare(batch, message, NFT_CMP_EQ, &own, sizeof own);
    // The key, as struct port_key has it. Both protocols have the destination's port after the
    // source's.
    nft_meta(batch, message, NFT_META_L4PROTO, NFT_REG_1);
    nft_payload(batch, message, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_01);
    nft_lookup(batch, message, published_map(family), true);
    // The port follows the address.
    nft_translate(
        batch, message, NFT_NAT_DNAT, family, family == AF_INET ? NFT_REG32_01 : NFT_REG_2);
    nft_end_rule(rule);
}

static void put_gateway(
    struct cnl_batch *batch, struct nft_rule rule, const struct cnl_pool *pool) {
    nft_immediate(
        batch, rule.message, pool->gateway, cnl_address_size(pool->family), NFT_REG_1);
    nft_translate(batch, rule.message, NFT_NAT_SNAT, pool->family, 0);
    nft_end_rule(rule);
}

static void add_own(struct cnl_batch *batch, const struct cnl_pool *pool) {
    struct nft_rule rule =
        start_rule(batch, "add rule for a slice's own ports", "postrouting", pool->family);
    put_source(batch, rule.message, pool->family, cnl_address_size(pool->family));
    put_destination(
        batch, rule.message, pool->family, pool->family == AF_INET ? NFT_REG32_01 : NFT_REG_2);
    nft_lookup(batch, rule.message, own_set(pool->family), false);
    put_gateway(batch, rule, pool);
}

static void
add_loopback(struct cnl_batch *batch, const struct cnl_pool *pool, const char *link_prefix) {
    const uint8_t network = 127;
    struct nft_rule rule =
        start_rule(batch, "add rule for the host's loopback", "postrouting", pool->family);
    put_source(batch, rule.message, pool->family, sizeof network);
    nft_compare(batch, rule.message, NFT_CMP_EQ, &network, sizeof network);
    put_output(batch, rule.message, NFT_CMP_EQ, link_prefix);
    put_gateway(batch, rule, pool);
}

// --- Elements

// A message for elements of one set, and how many there are in it.
struct elements {
    struct nl_msg *message;
    struct nlattr *list;
    size_t count;
};

static void end_elements(struct elements *elements) {
    if (elements->message) cnl_nest_end(elements->message, elements->list);
    *elements = (struct elements){0};
}

static void put_element(
    struct cnl_batch *batch, struct elements *elements, const char *set, int type,
    const void *key, size_t key_size, const void *data, size_t data_size) {
    if (elements->count == NFT_ELEMENTS_MAX) end_elements(elements);
    if (elements->count++ == 0) {
        bool adds = type == NFT_MSG_NEWSETELEM;
        elements->message = nft_add_large(
            batch, adds ? "publish ports" : "withdraw ports", type, adds ? NLM_F_CREATE : 0);
        cnl_put_string(batch, elements->message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
        cnl_put_string(batch, elements->message, NFTA_SET_ELEM_LIST_SET, set);
        elements->list =
            cnl_nest_start(batch, elements->message, NFTA_SET_ELEM_LIST_ELEMENTS);
    }
    struct nl_msg *message = elements->message;
    struct nlattr *element = cnl_nest_start(batch, message, NFTA_LIST_ELEM);
    nft_put_value(batch, message, NFTA_SET_ELEM_KEY, key, key_size);
    if (data) nft_put_value(batch, message, NFTA_SET_ELEM_DATA, data, data_size);
    cnl_nest_end(message, element);
}

static void add_ports(
    struct cnl_batch *batch, int family, int type, const struct cnl_publisher *publishers,
    size_t count) {
    size_t size = cnl_address_size(family);
    struct elements elements = {0};
    for (size_t i = 0; i < count; i++) {
        const struct cnl_publisher *publisher = &publishers[i];
        if (family == AF_INET6 && !publisher->has_ipv6) continue;
        for (size_t j = 0; j < publisher->count; j++) {
            const struct cnl_published *port = &publisher->ports[j];
            const struct port_key key = {
                .protocol = port->protocol, .port = htons(port->host_port)};
            uint8_t data[20] = {0};
            const uint16_t target = htons(port->port);
            memcpy(data, family == AF_INET ? publisher->ipv4 : publisher->ipv6, size);
            memcpy(data + size, &target, sizeof target);
            put_element(
                batch, &elements, published_map(family), type, &key, sizeof key, data, size + 4);
        }
    }
    end_elements(&elements);
}

static void add_pairs(
    struct cnl_batch *batch, int family, int type, const struct cnl_publisher *publishers,
    size_t count) {
    size_t size = cnl_address_size(family);
    struct elements elements = {0};
    for (size_t i = 0; i < count; i++) {
        const struct cnl_publisher *publisher = &publishers[i];
        if (publisher->count == 0 || (family == AF_INET6 && !publisher->has_ipv6)) continue;
        uint8_t pair[32];
        const uint8_t *address = family == AF_INET ? publisher->ipv4 : publisher->ipv6;
        memcpy(pair, address, size);
        memcpy(pair + size, address, size);
        put_element(batch, &elements, own_set(family), type, pair, 2 * size, NULL, 0);
    }
    end_elements(&elements);
}

static void add_elements(
    struct cnl_batch *batch, int family, int type, const struct cnl_publisher *publishers,
    size_t count) {
    add_ports(batch, family, type, publishers, count);
    add_pairs(batch, family, type, publishers, count);
}

// --- Interface

static void add_publishing(
    struct cnl_batch *batch, const struct cnl_pool *pools, size_t count, const char *link_prefix,
    const struct cnl_publisher *publishers, size_t publisher_count) {
    add_chain(batch, "prerouting", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT);
    add_chain(batch, "output", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT);
    for (size_t index = 0; index < count; index++) {
        const struct cnl_pool *pool = &pools[index];
        add_sets(batch, pool->family);
        add_redirect(batch, "prerouting", pool->family, false);
        add_redirect(batch, "output", pool->family, true);
        add_own(batch, pool);
        if (pool->family == AF_INET) add_loopback(batch, pool, link_prefix);
        add_elements(batch, pool->family, NFT_MSG_NEWSETELEM, publishers, publisher_count);
    }
}

static size_t port_count(const struct cnl_publisher *publishers, size_t count) {
    size_t sum = 0;
    for (size_t index = 0; index < count; index++) sum += publishers[index].count;
    return sum;
}

int cnl_nat_install(
    const struct cnl_pool *pools, size_t count, const char *link_prefix,
    const struct cnl_publisher *publishers, size_t publisher_count, bool publishing,
    struct cnl_error *error) {
    const char *operation = "check NAT";
    if (count == 0 || count > 2) return cnl_fail(error, EINVAL, operation, "%zu pools", count);
    if (publisher_count > CNL_MAX_PUBLISHED ||
        port_count(publishers, publisher_count) > CNL_MAX_PUBLISHED)
        return cnl_fail(error, E2BIG, operation, "more than %d ports", CNL_MAX_PUBLISHED);
    int result = cnl_check_name(link_prefix, error);
    for (size_t index = 0; result == 0 && index < count; index++)
        result = cnl_check_pool(&pools[index], error);
    if (result < 0) return result;

    struct cnl_batch batch = {0};
    nft_begin(&batch);
    // Created first, so that there is one to delete.
    add_table(&batch, "add nftables table", NFT_MSG_NEWTABLE, NLM_F_CREATE);
    add_table(&batch, "delete nftables table", NFT_MSG_DELTABLE, 0);
    add_table(&batch, "add nftables table", NFT_MSG_NEWTABLE, NLM_F_CREATE);
    add_chain(&batch, "postrouting", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
    for (size_t index = 0; index < count; index++)
        add_masquerade(&batch, &pools[index], link_prefix);
    if (publishing)
        add_publishing(&batch, pools, count, link_prefix, publishers, publisher_count);
    struct cnl_error failure;
    result = nft_commit(&batch, NFT_TABLE, &failure);
    if (result == 0) return 0;
    // A kind of chain or expression: the table itself is there.
    if (result == -ENOENT) failure.error = EOPNOTSUPP;
    if (error) *error = failure;
    return -failure.error;
}

int cnl_nat_publish(
    const struct cnl_publisher *before, const struct cnl_publisher *after,
    struct cnl_error *error) {
    static const int families[] = {AF_INET, AF_INET6};
    struct cnl_batch batch = {0};
    nft_begin(&batch);
    for (size_t index = 0; index < 2; index++) {
        if (before) add_elements(&batch, families[index], NFT_MSG_DELSETELEM, before, 1);
        if (after) add_elements(&batch, families[index], NFT_MSG_NEWSETELEM, after, 1);
    }
    struct cnl_error failure;
    int result = nft_commit(&batch, NFT_TABLE, &failure);
    // Somebody has taken the table away, and what was published with it.
    if (result == 0 || (result == -ENOENT && !after)) return 0;
    // Which of the two depends on the kernel, where the port leads elsewhere.
    if (result == -EBUSY) failure.error = EEXIST;
    if (error) *error = failure;
    return -failure.error;
}

int cnl_nat_find(bool *found, struct cnl_error *error) {
    struct cnl_batch batch = {0};
    add_table(&batch, "find nftables table", NFT_MSG_GETTABLE, 0);
    struct cnl_error failure;
    int result = nft_ask(&batch, NFT_TABLE, &failure);
    *found = result == 0;
    if (result == 0 || result == -ENOENT) return 0;
    if (error) *error = failure;
    return result;
}

int cnl_nat_remove(struct cnl_error *error) {
    struct cnl_batch batch = {0};
    nft_begin(&batch);
    add_table(&batch, "delete nftables table", NFT_MSG_DELTABLE, 0);
    struct cnl_error failure;
    int result = nft_commit(&batch, NFT_TABLE, &failure);
    if (result == 0 || result == -ENOENT || result == -EOPNOTSUPP) return 0;
    if (error) *error = failure;
    return result;
}
