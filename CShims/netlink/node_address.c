// The address that the host itself has towards the world: that of its default route, or else the first
// of the link that this goes by. Read from the host's tables, which say it even while the link is down,
// and without naming a destination that a route of the host's might mean.

#include "internal.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <string.h>

struct route_search {
    uint32_t link, metric;
    bool has_source;
    uint8_t source[16];
    size_t size; // of an address
};

// linux/rtnetlink.h: the metric of a route without one is 0 for IPv4, 1024 is filled in for IPv6.
static void read_route(const struct nlmsghdr *reply, void *argument) {
    struct route_search *search = argument;
    struct nlattr *attributes[RTA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(header, sizeof(struct rtmsg), attributes, RTA_MAX, NULL) < 0)
        return;
    const struct rtmsg *route = nlmsg_data(header);
    if (route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST) return;
    uint32_t link = cnl_get_u32(attributes[RTA_OIF], 0);
    if (link == 0 && attributes[RTA_MULTIPATH] &&
        nla_len(attributes[RTA_MULTIPATH]) >= (int)sizeof(struct rtnexthop))
        link = (uint32_t)((struct rtnexthop *)nla_data(attributes[RTA_MULTIPATH]))->rtnh_ifindex;
    uint32_t metric = cnl_get_u32(attributes[RTA_PRIORITY], 0);
    if (link == 0 || (search->link != 0 && metric >= search->metric)) return;
    search->link = link;
    search->metric = metric;
    const struct nlattr *source = attributes[RTA_PREFSRC];
    search->has_source = source && nla_len(source) == (int)search->size;
    if (search->has_source) memcpy(search->source, nla_data(source), search->size);
}

struct address_search {
    uint32_t link;
    bool found;
    uint8_t address[16];
    size_t size;
};

static void read_address(const struct nlmsghdr *reply, void *argument) {
    struct address_search *search = argument;
    struct nlattr *attributes[IFA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWADDR || search->found ||
        nlmsg_parse(header, sizeof(struct ifaddrmsg), attributes, IFA_MAX, NULL) < 0)
        return;
    const struct ifaddrmsg *address = nlmsg_data(header);
    const uint32_t flags =
        cnl_get_u32(attributes[IFA_FLAGS], address->ifa_flags);
    // IFA_F_SECONDARY and IFA_F_TEMPORARY (RFC 8981) are the same bit.
    const uint32_t unfit =
        IFA_F_SECONDARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED;
    if (address->ifa_index != search->link || address->ifa_scope != RT_SCOPE_UNIVERSE ||
        flags & unfit)
        return;
    // Of a link between two points IFA_ADDRESS is the other end's.
    const struct nlattr *own = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    if (!own || nla_len(own) != (int)search->size) return;
    memcpy(search->address, nla_data(own), search->size);
    search->found = true;
}

static void read_link(const struct nlmsghdr *reply, void *argument) {
    struct cnl_node_address *node = argument;
    struct nlattr *attributes[IFLA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWLINK ||
        nlmsg_parse(header, sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) < 0)
        return;
    node->is_ethernet = ((struct ifinfomsg *)nlmsg_data(header))->ifi_type == ARPHRD_ETHER;
    node->mtu = cnl_get_u32(attributes[IFLA_MTU], node->mtu);
}

static int look_at_link(
    struct cnl_context *context, struct cnl_node_address *node, struct cnl_error *error) {
    const struct ifinfomsg header = {.ifi_index = node->link};
    struct cnl_batch batch = {0};
    cnl_batch_add(&batch, "look up uplink", RTM_GETLINK, 0, &header, sizeof header);
    return cnl_batch_run(context->rtnetlink, &batch, "uplink", read_link, node, error);
}

int cnl_node_address(
    struct cnl_context *context, int family, struct cnl_node_address *node,
    struct cnl_error *error) {
    *node = (struct cnl_node_address){0};
    if (family == AF_INET6 && context->ipv6.directory < 0) return 0;
    struct route_search routes = {.size = cnl_address_size(family)};
    const struct rtmsg route = {.rtm_family = (uint8_t)family, .rtm_table = RT_TABLE_MAIN};
    struct cnl_error failure;
    int result = cnl_dump(
        context->rtnetlink, "list routes", RTM_GETROUTE, &route, sizeof route, read_route, NULL,
        &routes, &failure);
    if (result < 0 && result != -ENOENT) { // ENOENT: no route yet, so no table yet
        if (error) *error = failure;
        return result;
    }
    if (routes.link == 0) return 0;
    struct address_search addresses = {.link = routes.link, .size = routes.size};
    const struct ifaddrmsg address = {.ifa_family = (uint8_t)family};
    result = routes.has_source ? 0
                               : cnl_dump(
                                     context->rtnetlink, "list addresses", RTM_GETADDR, &address,
                                     sizeof address, read_address, NULL, &addresses, error);
    if (result < 0) return result;
    if (!routes.has_source && !addresses.found) return 0;
    node->link = (int)routes.link;
    memcpy(
        node->address, routes.has_source ? routes.source : addresses.address, sizeof node->address);
    result = look_at_link(context, node, error);
    node->present = result == 0;
    return result;
}
