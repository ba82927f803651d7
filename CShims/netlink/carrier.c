// Carriers of overlays: the link, its settings, its route.

#include "cnetlink_overlay.h"
#include "internal.h"
#include "wireguard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <string.h>

static const char *const kinds[] = {[CNL_VXLAN] = "vxlan", [CNL_WIREGUARD] = "wireguard"};

// Packets name their destination themselves (bpf_skb_set_tunnel_key()), nothing is learned, and of what
// comes only this overlay's identifier is taken, so that many share the UDP port.
static void put_vxlan(
    struct cnl_batch *batch, struct nl_msg *message, uint16_t port) {
    const uint16_t big_endian = htons(port);
    struct nlattr *data = cnl_nest_start(batch, message, IFLA_INFO_DATA);
    cnl_put_u8(batch, message, IFLA_VXLAN_COLLECT_METADATA, 1);
    cnl_put_u8(batch, message, IFLA_VXLAN_VNIFILTER, 1);
    cnl_put_u8(batch, message, IFLA_VXLAN_LEARNING, 0);
    cnl_put(batch, message, IFLA_VXLAN_PORT, &big_endian, sizeof big_endian);
    cnl_nest_end(message, data);
}

static int add_link(
    struct cnl_context *host, int netns, const struct cnl_carrier *carrier,
    struct cnl_error *error) {
    // VXLAN's neighbours are none, see OVERLAY_CARRIER_MAC.
    struct ifinfomsg header = {.ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
    struct cnl_batch batch = {0};
    struct nl_msg *message = cnl_batch_add(
        &batch, "create carrier", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header,
        sizeof header);
    cnl_put_string(&batch, message, IFLA_IFNAME, carrier->name);
    cnl_put_u32(&batch, message, IFLA_MTU, carrier->mtu);
    cnl_put_u32(&batch, message, IFLA_NET_NS_FD, (uint32_t)netns);
    if (carrier->kind == CNL_VXLAN)
        cnl_put(&batch, message, IFLA_ADDRESS, carrier->mac, sizeof carrier->mac);
    struct nlattr *info = cnl_nest_start(&batch, message, IFLA_LINKINFO);
    cnl_put_string(&batch, message, IFLA_INFO_KIND, kinds[carrier->kind]);
    if (carrier->kind == CNL_VXLAN) put_vxlan(&batch, message, carrier->udp_port);
    cnl_nest_end(message, info);
    return cnl_batch_run(host->rtnetlink, &batch, carrier->name, NULL, NULL, error);
}

static void add_identifier(
    struct cnl_batch *batch, int index, uint32_t network) {
    const struct tunnel_msg header = {.family = PF_BRIDGE, .ifindex = (uint32_t)index};
    struct nl_msg *message = cnl_batch_add(
        batch, "claim VXLAN identifier", RTM_NEWTUNNEL, NLM_F_CREATE | NLM_F_ACK, &header,
        sizeof header);
    struct nlattr *entry = cnl_nest_start(batch, message, VXLAN_VNIFILTER_ENTRY);
    cnl_put_u32(batch, message, VXLAN_VNIFILTER_ENTRY_START, network);
    cnl_nest_end(message, entry);
}

static void add_settings(struct cnl_batch *batch, int index) {
    struct ifinfomsg header = {.ifi_index = index};
    struct nl_msg *message = cnl_batch_add(
        batch, "set carrier options", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
    struct nlattr *nest = cnl_nest_start(batch, message, IFLA_AF_SPEC);
    cnl_put_ipv4_settings(batch, message);
    cnl_nest_end(message, nest);
}

static void add_route(struct cnl_batch *batch, int index, const struct cnl_carrier *carrier) {
    struct rtmsg header = {
        .rtm_family = AF_INET,
        .rtm_dst_len = carrier->subnet_length,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = CNL_ROUTE_PROTOCOL,
        .rtm_scope = RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, "add route to peers", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK,
        &header, sizeof header);
    cnl_put(batch, message, RTA_DST, carrier->subnet, sizeof carrier->subnet);
    cnl_put_u32(batch, message, RTA_OIF, (uint32_t)index);
}

// Route netlink goes on after a failure: the identifier, and what a wrong one would let in, by itself.
static int configure(
    struct cnl_context *overlay, int netns, int index, const struct cnl_carrier *carrier,
    struct cnl_error *error) {
    int result = 0;
    if (carrier->kind == CNL_VXLAN) {
        struct cnl_batch claim = {0};
        add_identifier(&claim, index, carrier->network);
        result = cnl_batch_run(overlay->rtnetlink, &claim, carrier->name, NULL, NULL, error);
    } else {
        result = cnl_wireguard_set_own(
            netns, index, carrier->private_key, carrier->udp_port, error);
    }
    if (result < 0) return result;
    struct cnl_batch batch = {0};
    add_settings(&batch, index);
    cnl_filters_add(&batch, index, (const int[]){carrier->from_peer, carrier->to_peer});
    return cnl_classifier_run(overlay->rtnetlink, &batch, carrier->name, error);
}

int cnl_carrier_create(
    struct cnl_context *host, struct cnl_context *overlay, int netns,
    const struct cnl_carrier *carrier, int *index, struct cnl_error *error) {
    int result = cnl_check_name(carrier->name, error);
    if (result == 0) result = add_link(host, netns, carrier, error);
    if (result < 0) return result;
    result = cnl_link_find(overlay, carrier->name, index, error);
    if (result == 0 && *index == 0)
        result = cnl_fail(error, ENODEV, "look up carrier", "%s", carrier->name);
    if (result == 0) result = configure(overlay, netns, *index, carrier, error);
    if (result < 0) cnl_link_delete(overlay, carrier->name, NULL);
    return result;
}

int cnl_carrier_open(
    struct cnl_context *overlay, int index, const struct cnl_carrier *carrier,
    struct cnl_error *error) {
    struct cnl_batch up = {0};
    cnl_add_up(&up, index);
    int result = cnl_batch_run(overlay->rtnetlink, &up, carrier->name, NULL, NULL, error);
    if (result < 0) return result;
    struct cnl_batch route = {0};
    add_route(&route, index, carrier);
    return cnl_batch_run(overlay->rtnetlink, &route, carrier->name, NULL, NULL, error);
}

int cnl_carrier_close(struct cnl_context *overlay, int index, struct cnl_error *error) {
    struct ifinfomsg header = {.ifi_index = index, .ifi_change = IFF_UP};
    struct cnl_batch batch = {0};
    cnl_batch_add(&batch, "take carrier down", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
    return cnl_batch_run(overlay->rtnetlink, &batch, "carrier", NULL, NULL, error);
}

int cnl_carrier_attach(
    struct cnl_context *overlay, int index, int from_peer, int to_peer, struct cnl_error *error) {
    struct cnl_batch batch = {0};
    cnl_filters_add(&batch, index, (const int[]){from_peer, to_peer});
    return cnl_classifier_run(overlay->rtnetlink, &batch, "carrier", error);
}

int cnl_carrier_try(
    const struct cnl_namespace *namespace, enum cnl_carrier_kind kind, struct cnl_error *error) {
    struct ifinfomsg header = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message = cnl_batch_add(
        &batch, "make a trial link", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header,
        sizeof header);
    cnl_put_string(&batch, message, IFLA_IFNAME, "trial");
    struct nlattr *info = cnl_nest_start(&batch, message, IFLA_LINKINFO);
    cnl_put_string(&batch, message, IFLA_INFO_KIND, kinds[kind]);
    if (kind == CNL_VXLAN) put_vxlan(&batch, message, 4789);
    cnl_nest_end(message, info);
    int result = cnl_batch_run(namespace->rtnetlink, &batch, kinds[kind], NULL, NULL, error);
    if (result < 0) return result;
    struct ifinfomsg none = {0};
    struct cnl_batch end = {0};
    message = cnl_batch_add(
        &end, "delete a trial link", RTM_DELLINK, NLM_F_ACK, &none, sizeof none);
    cnl_put_string(&end, message, IFLA_IFNAME, "trial");
    return cnl_batch_run(namespace->rtnetlink, &end, kinds[kind], NULL, NULL, error);
}
