#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_nat.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// An element of a map has at most 48 bytes, attribute headers included.
#define LARGE_MESSAGE_SIZE (NFT_ELEMENTS_MAX * 48 + 1024)
// Room for a whole transaction, which must go in one piece.
#define SEND_BUFFER_SIZE (4 << 20)

// --- Transactions

// They are not acknowledged themselves.
static void add_bound(struct cnl_batch *batch, int type) {
    const struct nfgenmsg header = {
        .nfgen_family = NFPROTO_UNSPEC,
        .version = NFNETLINK_V0,
        .res_id = htons(NFNL_SUBSYS_NFTABLES),
    };
    cnl_batch_add(batch, "start nftables transaction", type, 0, &header, sizeof header);
}

void nft_begin(struct cnl_batch *batch) { add_bound(batch, NFNL_MSG_BATCH_BEGIN); }

// ENOENT: an expression or a kind of chain; of what the table holds itself see the callers.
static bool feature_missing(int number) {
    return number == EPROTONOSUPPORT || number == EAFNOSUPPORT || number == EOPNOTSUPP;
}

int nft_commit(struct cnl_batch *batch, const char *table, struct cnl_error *error) {
    add_bound(batch, NFNL_MSG_BATCH_END);
    return nft_ask(batch, table, error);
}

int nft_ask(struct cnl_batch *batch, const char *table, struct cnl_error *error) {
    struct cnl_error failure;
    int socket = cnl_socket(NETLINK_NETFILTER, &failure);
    int result = socket;
    if (socket >= 0) {
        const int size = SEND_BUFFER_SIZE;
        // Refused, it still serves for what fits.
        setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        char subject[64];
        snprintf(subject, sizeof subject, "table inet %s", table);
        result = cnl_batch_run(socket, batch, subject, NULL, NULL, &failure);
        close(socket);
    }
    if (result == 0) return 0;
    if (feature_missing(-result)) failure.error = EOPNOTSUPP;
    if (error) *error = failure;
    return -failure.error;
}

// --- Messages

static const struct nfgenmsg inet = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};

struct nl_msg *nft_add(struct cnl_batch *batch, const char *operation, int type, int flags) {
    return cnl_batch_add(
        batch, operation, NFNL_SUBSYS_NFTABLES << 8 | type, flags | NLM_F_ACK, &inet, sizeof inet);
}

struct nl_msg *
nft_add_large(struct cnl_batch *batch, const char *operation, int type, int flags) {
    return cnl_batch_add_sized(
        batch, operation, NFNL_SUBSYS_NFTABLES << 8 | type, flags | NLM_F_ACK, &inet, sizeof inet,
        LARGE_MESSAGE_SIZE);
}

void nft_put_be32(struct cnl_batch *batch, struct nl_msg *message, int type, uint32_t value) {
    cnl_put_u32(batch, message, type, htonl(value));
}

void nft_put_value(
    struct cnl_batch *batch, struct nl_msg *message, int type, const void *value, size_t size) {
    struct nlattr *nest = cnl_nest_start(batch, message, type);
    cnl_put(batch, message, NFTA_DATA_VALUE, value, size);
    cnl_nest_end(message, nest);
}

// --- Tables, chains, rules

void nft_add_table(
    struct cnl_batch *batch, const char *operation, int type, int flags, const char *table) {
    struct nl_msg *message = nft_add(batch, operation, type, flags);
    cnl_put_string(batch, message, NFTA_TABLE_NAME, table);
}

void nft_add_chain(
    struct cnl_batch *batch, const char *table, const char *name, const char *kind,
    enum nf_inet_hooks hook, int priority) {
    struct nl_msg *message =
        nft_add(batch, "add nftables chain", NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    cnl_put_string(batch, message, NFTA_CHAIN_TABLE, table);
    cnl_put_string(batch, message, NFTA_CHAIN_NAME, name);
    cnl_put_string(batch, message, NFTA_CHAIN_TYPE, kind);
    struct nlattr *nest = cnl_nest_start(batch, message, NFTA_CHAIN_HOOK);
    nft_put_be32(batch, message, NFTA_HOOK_HOOKNUM, hook);
    nft_put_be32(batch, message, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    cnl_nest_end(message, nest);
}

struct nft_rule nft_begin_rule(
    struct cnl_batch *batch, const char *operation, const char *table, const char *chain) {
    struct nft_rule rule;
    rule.message = nft_add(batch, operation, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    cnl_put_string(batch, rule.message, NFTA_RULE_TABLE, table);
    cnl_put_string(batch, rule.message, NFTA_RULE_CHAIN, chain);
    rule.expressions = cnl_nest_start(batch, rule.message, NFTA_RULE_EXPRESSIONS);
    return rule;
}

void nft_end_rule(struct nft_rule rule) { cnl_nest_end(rule.message, rule.expressions); }

// --- Expressions

struct expression {
    struct nlattr *element, *data;
};

static struct expression
start(struct cnl_batch *batch, struct nl_msg *message, const char *name) {
    struct expression expression;
    expression.element = cnl_nest_start(batch, message, NFTA_LIST_ELEM);
    cnl_put_string(batch, message, NFTA_EXPR_NAME, name);
    expression.data = cnl_nest_start(batch, message, NFTA_EXPR_DATA);
    return expression;
}

static void end(struct nl_msg *message, struct expression expression) {
    cnl_nest_end(message, expression.data);
    cnl_nest_end(message, expression.element);
}

void nft_meta(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_meta_keys key,
    enum nft_registers target) {
    struct expression meta = start(batch, message, "meta");
    nft_put_be32(batch, message, NFTA_META_KEY, key);
    nft_put_be32(batch, message, NFTA_META_DREG, target);
    end(message, meta);
}

void nft_connection(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_ct_keys key,
    enum nft_registers target) {
    struct expression connection = start(batch, message, "ct");
    nft_put_be32(batch, message, NFTA_CT_KEY, key);
    nft_put_be32(batch, message, NFTA_CT_DREG, target);
    end(message, connection);
}

void nft_destination_type(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_registers target) {
    struct expression fib = start(batch, message, "fib");
    nft_put_be32(batch, message, NFTA_FIB_DREG, target);
    nft_put_be32(batch, message, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nft_put_be32(batch, message, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    end(message, fib);
}

void nft_payload(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_payload_bases base, size_t offset,
    size_t size, enum nft_registers target) {
    struct expression payload = start(batch, message, "payload");
    nft_put_be32(batch, message, NFTA_PAYLOAD_DREG, target);
    nft_put_be32(batch, message, NFTA_PAYLOAD_BASE, base);
    nft_put_be32(batch, message, NFTA_PAYLOAD_OFFSET, (uint32_t)offset);
    nft_put_be32(batch, message, NFTA_PAYLOAD_LEN, (uint32_t)size);
    end(message, payload);
}

void nft_immediate(
    struct cnl_batch *batch, struct nl_msg *message, const void *value, size_t size,
    enum nft_registers target) {
    struct expression immediate = start(batch, message, "immediate");
    nft_put_be32(batch, message, NFTA_IMMEDIATE_DREG, target);
    nft_put_value(batch, message, NFTA_IMMEDIATE_DATA, value, size);
    end(message, immediate);
}

void nft_mask(struct cnl_batch *batch, struct nl_msg *message, const uint8_t *mask, size_t size) {
    static const uint8_t zero[16];
    struct expression bitwise = start(batch, message, "bitwise");
    nft_put_be32(batch, message, NFTA_BITWISE_SREG, NFT_REG_1);
    nft_put_be32(batch, message, NFTA_BITWISE_DREG, NFT_REG_1);
    nft_put_be32(batch, message, NFTA_BITWISE_LEN, (uint32_t)size);
    nft_put_value(batch, message, NFTA_BITWISE_MASK, mask, size);
    nft_put_value(batch, message, NFTA_BITWISE_XOR, zero, size);
    end(message, bitwise);
}

void nft_compare(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_cmp_ops operator, const void *value,
    size_t size) {
    struct expression compare = start(batch, message, "cmp");
    nft_put_be32(batch, message, NFTA_CMP_SREG, NFT_REG_1);
    nft_put_be32(batch, message, NFTA_CMP_OP, operator);
    nft_put_value(batch, message, NFTA_CMP_DATA, value, size);
    end(message, compare);
}

void nft_lookup(struct cnl_batch *batch, struct nl_msg *message, const char *set, bool map) {
    struct expression lookup = start(batch, message, "lookup");
    cnl_put_string(batch, message, NFTA_LOOKUP_SET, set);
    nft_put_be32(batch, message, NFTA_LOOKUP_SREG, NFT_REG_1);
    if (map) nft_put_be32(batch, message, NFTA_LOOKUP_DREG, NFT_REG_1);
    end(message, lookup);
}

void nft_translate(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_nat_types type, int family,
    enum nft_registers port) {
    struct expression nat = start(batch, message, "nat");
    nft_put_be32(batch, message, NFTA_NAT_TYPE, type);
    nft_put_be32(
        batch, message, NFTA_NAT_FAMILY, family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
    nft_put_be32(batch, message, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
    if (port) nft_put_be32(batch, message, NFTA_NAT_REG_PROTO_MIN, port);
    end(message, nat);
}

void nft_masquerade(
    struct cnl_batch *batch, struct nl_msg *message, uint16_t first_port, uint16_t last_port) {
    const uint16_t ports[] = {htons(first_port), htons(last_port)};
    static const enum nft_registers registers[] = {NFT_REG_1, NFT_REG_2};
    for (size_t index = 0; last_port && index < 2; index++)
        nft_immediate(batch, message, &ports[index], sizeof ports[index], registers[index]);
    struct expression masquerade = start(batch, message, "masq");
    if (last_port) {
        nft_put_be32(batch, message, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
        nft_put_be32(batch, message, NFTA_MASQ_REG_PROTO_MIN, registers[0]);
        nft_put_be32(batch, message, NFTA_MASQ_REG_PROTO_MAX, registers[1]);
    }
    end(message, masquerade);
}

void nft_drop(struct cnl_batch *batch, struct nl_msg *message) {
    struct expression immediate = start(batch, message, "immediate");
    nft_put_be32(batch, message, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    struct nlattr *data = cnl_nest_start(batch, message, NFTA_IMMEDIATE_DATA);
    struct nlattr *verdict = cnl_nest_start(batch, message, NFTA_DATA_VERDICT);
    nft_put_be32(batch, message, NFTA_VERDICT_CODE, NF_DROP);
    cnl_nest_end(message, verdict);
    cnl_nest_end(message, data);
    end(message, immediate);
}

void nft_family_is(struct cnl_batch *batch, struct nl_msg *message, int family) {
    const uint8_t protocol = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
    nft_meta(batch, message, NFT_META_NFPROTO, NFT_REG_1);
    nft_compare(batch, message, NFT_CMP_EQ, &protocol, sizeof protocol);
}
