// nftables as netlink messages: transactions, and the expressions that rules are made of. Not seen by
// callers of the shim.
//
// Messages and expressions: linux/netfilter/nf_tables.h. Numbers in attributes are big-endian.
#ifndef CNETLINK_NFT_H
#define CNETLINK_NFT_H

#include "internal.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

// What slices need; made anew at each start (nat.c).
#define NFT_TABLE "slices"

// Everything between the two is one transaction.
void nft_begin(struct cnl_batch *batch);
// Runs it. `table` is for errors. EOPNOTSUPP: the kernel lacks a part.
int nft_commit(struct cnl_batch *batch, const char *table, struct cnl_error *error);
// Runs what is no transaction: a question.
int nft_ask(struct cnl_batch *batch, const char *table, struct cnl_error *error);

// A message of family inet, which asks for an acknowledgement.
struct nl_msg *nft_add(struct cnl_batch *batch, const char *operation, int type, int flags);
// The same with room for as many set elements as NFT_ELEMENTS_MAX.
struct nl_msg *nft_add_large(struct cnl_batch *batch, const char *operation, int type, int flags);
#define NFT_ELEMENTS_MAX 512

void nft_put_be32(struct cnl_batch *batch, struct nl_msg *message, int type, uint32_t value);
// Data or a key, of at most 64 bytes.
void nft_put_value(
    struct cnl_batch *batch, struct nl_msg *message, int type, const void *value, size_t size);

// --- Tables, chains, rules

// `type`: NFT_MSG_NEWTABLE and the like.
void nft_add_table(
    struct cnl_batch *batch, const char *operation, int type, int flags, const char *table);
// `kind`: "nat", "filter".
void nft_add_chain(
    struct cnl_batch *batch, const char *table, const char *name, const char *kind,
    enum nf_inet_hooks hook, int priority);

// What lies between the two are its expressions.
struct nft_rule {
    struct nl_msg *message;
    struct nlattr *expressions;
};
struct nft_rule nft_begin_rule(
    struct cnl_batch *batch, const char *operation, const char *table, const char *chain);
void nft_end_rule(struct nft_rule rule);

// --- Expressions. Registers are of 16 bytes from NFT_REG_1, or of 4 from NFT_REG32_00 in the same
// place (enum nft_registers).

void nft_meta(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_meta_keys key,
    enum nft_registers target);
// Of the packet's connection.
void nft_connection(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_ct_keys key,
    enum nft_registers target);
// What the kernel says of the destination address: an RTN_ constant in the machine's byte order.
void nft_destination_type(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_registers target);
void nft_payload(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_payload_bases base, size_t offset,
    size_t size, enum nft_registers target);
void nft_immediate(
    struct cnl_batch *batch, struct nl_msg *message, const void *value, size_t size,
    enum nft_registers target);
// Work on NFT_REG_1.
void nft_mask(struct cnl_batch *batch, struct nl_msg *message, const uint8_t *mask, size_t size);
void nft_compare(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_cmp_ops operator, const void *value,
    size_t size);
// Goes on only if the set has the key in NFT_REG_1; of a map the value goes there too.
void nft_lookup(struct cnl_batch *batch, struct nl_msg *message, const char *set, bool map);
// The address comes from NFT_REG_1; the port from `port`, unless that is 0.
void nft_translate(
    struct cnl_batch *batch, struct nl_msg *message, enum nft_nat_types type, int family,
    enum nft_registers port);
// To ports of a range, unless `last_port` is 0: others of the host's address belong to slices that
// share it.
void nft_masquerade(
    struct cnl_batch *batch, struct nl_msg *message, uint16_t first_port, uint16_t last_port);

void nft_drop(struct cnl_batch *batch, struct nl_msg *message);

// Both families are told apart at the start of a rule.
void nft_family_is(struct cnl_batch *batch, struct nl_msg *message, int family);

#endif
