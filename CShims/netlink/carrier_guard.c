// Who may send what a node takes for another node's part of an overlay. What nft(8) would call:
//
//     table inet slices-carriers {
//         chain postrouting {
//             type filter hook postrouting priority 300
//             meta l4proto udp th dport 4789 meta skuid != 0 drop
//             meta l4proto udp th dport 4789 ct status snat drop
//         }
//     }
//
// A node believes VXLAN's outer source address. With that of this node send: its kernel, for carriers, by
// no socket that has a user; programs in its network namespace, whose user is known; and whoever it
// translates addresses for, machines and containers, once that is done (NF_IP_PRI_NAT_SRC is 100). Of
// these the first remain, and root.
//
// A table of its own: that of nat.c is made anew at each start, and this one has to hold meanwhile.

#include "cnetlink_overlay.h"
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>

#define TABLE "slices-carriers"
#define CHAIN "postrouting"
#define AFTER_TRANSLATION 300
#define VXLAN_PORT 4789 // RFC 7348

static struct nft_rule begin_rule(struct cnl_batch *batch) {
    static const uint8_t protocol = IPPROTO_UDP;
    const uint16_t port = htons(VXLAN_PORT);
    struct nft_rule rule = nft_begin_rule(batch, "guard carriers", TABLE, CHAIN);
    nft_meta(batch, rule.message, NFT_META_L4PROTO, NFT_REG_1);
    nft_compare(batch, rule.message, NFT_CMP_EQ, &protocol, sizeof protocol);
    nft_payload(batch, rule.message, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof port, NFT_REG_1);
    nft_compare(batch, rule.message, NFT_CMP_EQ, &port, sizeof port);
    return rule;
}

static void end_rule(struct cnl_batch *batch, struct nft_rule rule) {
    nft_drop(batch, rule.message);
    nft_end_rule(rule);
}

static void refuse_users(struct cnl_batch *batch) {
    static const uint32_t root = 0;
    struct nft_rule rule = begin_rule(batch);
    nft_meta(batch, rule.message, NFT_META_SKUID, NFT_REG_1);
    nft_compare(batch, rule.message, NFT_CMP_NEQ, &root, sizeof root);
    end_rule(batch, rule);
}

static void refuse_translated(struct cnl_batch *batch) {
    static const uint32_t status = IPS_SRC_NAT, none = 0;
    struct nft_rule rule = begin_rule(batch);
    nft_connection(batch, rule.message, NFT_CT_STATUS, NFT_REG_1);
    nft_mask(batch, rule.message, (const uint8_t *)&status, sizeof status);
    nft_compare(batch, rule.message, NFT_CMP_NEQ, &none, sizeof none);
    end_rule(batch, rule);
}

int cnl_carrier_guard(bool wanted, struct cnl_error *error) {
    struct cnl_batch batch = {0};
    nft_begin(&batch);
    // Created first, so that there is one to delete.
    nft_add_table(&batch, "guard carriers", NFT_MSG_NEWTABLE, NLM_F_CREATE, TABLE);
    nft_add_table(&batch, "guard carriers", NFT_MSG_DELTABLE, 0, TABLE);
    if (wanted) {
        nft_add_table(&batch, "guard carriers", NFT_MSG_NEWTABLE, NLM_F_CREATE, TABLE);
        nft_add_chain(&batch, TABLE, CHAIN, "filter", NF_INET_POST_ROUTING, AFTER_TRANSLATION);
        refuse_users(&batch);
        refuse_translated(&batch);
    }
    struct cnl_error failure;
    int result = nft_commit(&batch, TABLE, &failure);
    // Nothing can be left of it where there never was any.
    if (result == 0 || (result == -EOPNOTSUPP && !wanted)) return 0;
    // A kind of expression: the table itself is there.
    if (result == -ENOENT) failure.error = EOPNOTSUPP;
    if (error) *error = failure;
    return -failure.error;
}
