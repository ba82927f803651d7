// Network address translation by nftables, as netlink messages. What nft(8) would call:
//
//     table inet slices {
//         chain postrouting {
//             type nat hook postrouting priority srcnat
//             meta nfproto ipv4 ip saddr 10.88.0.0/16 oifname != "sl-*" masquerade
//             meta nfproto ipv6 ip6 saddr fd…::/64 oifname != "sl-*" masquerade
//         }
//     }
//
// Messages and expressions: linux/netfilter/nf_tables.h. Numbers in attributes are big-endian.

#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <unistd.h>

#define TABLE "slices"
#define CHAIN "postrouting"
#define PRIORITY_SRCNAT 100 // NF_IP_PRI_NAT_SRC; the same for IPv6

// --- Messages

static void put_be32(struct cnl_batch *batch, struct nl_msg *message, int type, uint32_t value) {
    cnl_put_u32(batch, message, type, htonl(value));
}

static struct nl_msg *
add_message(struct cnl_batch *batch, const char *operation, int type, int flags) {
    const struct nfgenmsg header = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
    return cnl_batch_add(
        batch, operation, NFNL_SUBSYS_NFTABLES << 8 | type, flags | NLM_F_ACK, &header,
        sizeof header);
}

// Everything between begin and end is one transaction. They are not acknowledged themselves.
static void add_bound(struct cnl_batch *batch, int type) {
    const struct nfgenmsg header = {
        .nfgen_family = NFPROTO_UNSPEC,
        .version = NFNETLINK_V0,
        .res_id = htons(NFNL_SUBSYS_NFTABLES),
    };
    cnl_batch_add(batch, "start nftables transaction", type, 0, &header, sizeof header);
}

static void add_table(struct cnl_batch *batch, const char *operation, int type, int flags) {
    struct nl_msg *message = add_message(batch, operation, type, flags);
    cnl_put_string(batch, message, NFTA_TABLE_NAME, TABLE);
}

static void add_chain(struct cnl_batch *batch) {
    struct nl_msg *message = add_message(batch, "add NAT chain", NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    cnl_put_string(batch, message, NFTA_CHAIN_TABLE, TABLE);
    cnl_put_string(batch, message, NFTA_CHAIN_NAME, CHAIN);
    cnl_put_string(batch, message, NFTA_CHAIN_TYPE, "nat");
    struct nlattr *hook = cnl_nest_start(batch, message, NFTA_CHAIN_HOOK);
    put_be32(batch, message, NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
    put_be32(batch, message, NFTA_HOOK_PRIORITY, PRIORITY_SRCNAT);
    cnl_nest_end(message, hook);
}

// --- Expressions. All of them work on one register.

struct expression {
    struct nlattr *element, *data;
};

static struct expression
start_expression(struct cnl_batch *batch, struct nl_msg *message, const char *name) {
    struct expression expression;
    expression.element = cnl_nest_start(batch, message, NFTA_LIST_ELEM);
    cnl_put_string(batch, message, NFTA_EXPR_NAME, name);
    expression.data = cnl_nest_start(batch, message, NFTA_EXPR_DATA);
    return expression;
}

static void end_expression(struct nl_msg *message, struct expression expression) {
    cnl_nest_end(message, expression.data);
    cnl_nest_end(message, expression.element);
}

static void put_value(
    struct cnl_batch *batch, struct nl_msg *message, int type, const void *value, size_t size) {
    struct nlattr *nest = cnl_nest_start(batch, message, type);
    cnl_put(batch, message, NFTA_DATA_VALUE, value, size);
    cnl_nest_end(message, nest);
}

static void put_meta(struct cnl_batch *batch, struct nl_msg *message, enum nft_meta_keys key) {
    struct expression meta = start_expression(batch, message, "meta");
    put_be32(batch, message, NFTA_META_KEY, key);
    put_be32(batch, message, NFTA_META_DREG, NFT_REG_1);
    end_expression(message, meta);
}

static void put_compare(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_cmp_ops operator, const void *value,
    size_t size) {
    struct expression compare = start_expression(batch, message, "cmp");
    put_be32(batch, message, NFTA_CMP_SREG, NFT_REG_1);
    put_be32(batch, message, NFTA_CMP_OP, operator);
    put_value(batch, message, NFTA_CMP_DATA, value, size);
    end_expression(message, compare);
}

static void
put_source_address(struct cnl_batch *batch, struct nl_msg *message, const struct cnl_pool *pool) {
    struct expression payload = start_expression(batch, message, "payload");
    size_t offset = pool->family == AF_INET ? offsetof(struct iphdr, saddr)
                                            : offsetof(struct ip6_hdr, ip6_src);
    put_be32(batch, message, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_be32(batch, message, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    put_be32(batch, message, NFTA_PAYLOAD_OFFSET, (uint32_t)offset);
    put_be32(batch, message, NFTA_PAYLOAD_LEN, (uint32_t)cnl_address_size(pool->family));
    end_expression(message, payload);
}

static void put_mask(
    struct cnl_batch *batch, struct nl_msg *message, const uint8_t *mask, size_t size) {
    static const uint8_t zero[16];
    struct expression bitwise = start_expression(batch, message, "bitwise");
    put_be32(batch, message, NFTA_BITWISE_SREG, NFT_REG_1);
    put_be32(batch, message, NFTA_BITWISE_DREG, NFT_REG_1);
    put_be32(batch, message, NFTA_BITWISE_LEN, (uint32_t)size);
    put_value(batch, message, NFTA_BITWISE_MASK, mask, size);
    put_value(batch, message, NFTA_BITWISE_XOR, zero, size);
    end_expression(message, bitwise);
}

static void put_in_pool(
    struct cnl_batch *batch, struct nl_msg *message, const struct cnl_pool *pool) {
    const uint8_t protocol = pool->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
    put_meta(batch, message, NFT_META_NFPROTO);
    put_compare(batch, message, NFT_CMP_EQ, &protocol, sizeof protocol);

    size_t size = cnl_address_size(pool->family);
    uint8_t mask[16], network[16];
    cnl_prefix_mask(mask, pool->length);
    for (size_t index = 0; index < size; index++)
        network[index] = pool->prefix[index] & mask[index];
    put_source_address(batch, message, pool);
    put_mask(batch, message, mask, size);
    put_compare(batch, message, NFT_CMP_EQ, network, size);
}

static void
add_rule(struct cnl_batch *batch, const struct cnl_pool *pool, const char *link_prefix) {
    struct nl_msg *message =
        add_message(batch, "add masquerade rule", NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    cnl_put_string(batch, message, NFTA_RULE_TABLE, TABLE);
    cnl_put_string(batch, message, NFTA_RULE_CHAIN, CHAIN);
    struct nlattr *expressions = cnl_nest_start(batch, message, NFTA_RULE_EXPRESSIONS);
    put_in_pool(batch, message, pool);
    // Without its terminating zero: a comparison of the name's start.
    put_meta(batch, message, NFT_META_OIFNAME);
    put_compare(batch, message, NFT_CMP_NEQ, link_prefix, strlen(link_prefix));
    end_expression(message, start_expression(batch, message, "masq"));
    cnl_nest_end(message, expressions);
}

// --- Interface

static bool feature_missing(int number) {
    return number == EPROTONOSUPPORT || number == EAFNOSUPPORT || number == EOPNOTSUPP ||
           number == ENOENT;
}

static int run(struct cnl_batch *batch, struct cnl_error *error) {
    int socket = cnl_socket(NETLINK_NETFILTER, error);
    if (socket < 0) return socket;
    int result = cnl_batch_run(socket, batch, "table inet " TABLE, NULL, NULL, error);
    close(socket);
    return result;
}

int cnl_nat_install(
    const struct cnl_pool *pools, size_t count, const char *link_prefix,
    struct cnl_error *error) {
    const char *operation = "check NAT";
    if (count == 0 || count > 2) return cnl_fail(error, EINVAL, operation, "%zu pools", count);
    int result = cnl_check_name(link_prefix, error);
    for (size_t index = 0; result == 0 && index < count; index++)
        result = cnl_check_pool(&pools[index], error);
    if (result < 0) return result;

    struct cnl_batch batch = {0};
    add_bound(&batch, NFNL_MSG_BATCH_BEGIN);
    // Created first, so that there is one to delete.
    add_table(&batch, "add nftables table", NFT_MSG_NEWTABLE, NLM_F_CREATE);
    add_table(&batch, "delete nftables table", NFT_MSG_DELTABLE, 0);
    add_table(&batch, "add nftables table", NFT_MSG_NEWTABLE, NLM_F_CREATE);
    add_chain(&batch);
    for (size_t index = 0; index < count; index++) add_rule(&batch, &pools[index], link_prefix);
    add_bound(&batch, NFNL_MSG_BATCH_END);

    struct cnl_error failure;
    result = run(&batch, &failure);
    if (result == 0) return 0;
    if (feature_missing(-result)) failure.error = EOPNOTSUPP;
    if (error) *error = failure;
    return -failure.error;
}

int cnl_nat_remove(struct cnl_error *error) {
    struct cnl_batch batch = {0};
    add_bound(&batch, NFNL_MSG_BATCH_BEGIN);
    add_table(&batch, "delete nftables table", NFT_MSG_DELTABLE, 0);
    add_bound(&batch, NFNL_MSG_BATCH_END);
    struct cnl_error failure;
    int result = run(&batch, &failure);
    if (result == 0 || feature_missing(-result)) return 0;
    if (error) *error = failure;
    return result;
}
