// The host's ways to the world, and forwarding to them.

#include "internal.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#define FORWARD_IPV4 "ip_forward"
#define FORWARD_IPV6 "conf/all/forwarding"

// --- Uplinks

struct search {
    struct cnl_uplink *uplinks;
    size_t count;
};

static void add_uplink(struct search *search, uint32_t link, int family) {
    char name[IF_NAMESIZE];
    if (link == 0 || !if_indextoname(link, name)) return; // gone meanwhile
    size_t index = 0;
    while (index < search->count && strcmp(search->uplinks[index].name, name) != 0) index++;
    if (index == CNL_MAX_UPLINKS) return;
    struct cnl_uplink *uplink = &search->uplinks[index];
    if (index == search->count) {
        memcpy(uplink->name, name, sizeof uplink->name);
        search->count++;
    }
    if (family == AF_INET) uplink->ipv4 = true;
    if (family == AF_INET6) uplink->ipv6 = true;
}

static void read_default_route(const struct nlmsghdr *reply, void *argument) {
    struct search *search = argument;
    struct nlattr *attributes[RTA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(header, sizeof(struct rtmsg), attributes, RTA_MAX, NULL) < 0)
        return;
    const struct rtmsg *route = nlmsg_data(header);
    if (route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST) return;
    if (attributes[RTA_OIF])
        add_uplink(search, cnl_get_u32(attributes[RTA_OIF], 0), route->rtm_family);
    if (!attributes[RTA_MULTIPATH]) return;
    int left = nla_len(attributes[RTA_MULTIPATH]);
    for (struct rtnexthop *hop = nla_data(attributes[RTA_MULTIPATH]);
         left >= (int)sizeof *hop && RTNH_OK(hop, left);
         left -= (int)NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
        add_uplink(search, (uint32_t)hop->rtnh_ifindex, route->rtm_family);
}

static int search_family(
    struct cnl_context *context, int family, struct search *search, struct cnl_error *error) {
    const struct rtmsg header = {.rtm_family = (uint8_t)family, .rtm_table = RT_TABLE_MAIN};
    struct cnl_error failure;
    int result = cnl_dump(
        context->rtnetlink, "list routes", RTM_GETROUTE, &header, sizeof header,
        read_default_route, NULL, search, &failure);
    if (result == -ENOENT) return 0; // no route yet, so no table yet
    if (result < 0 && error) *error = failure;
    return result;
}

int cnl_uplinks(
    struct cnl_context *context, struct cnl_uplink uplinks[CNL_MAX_UPLINKS], size_t *count,
    struct cnl_error *error) {
    struct search search = {.uplinks = uplinks};
    memset(uplinks, 0, sizeof *uplinks * CNL_MAX_UPLINKS);
    int result = search_family(context, AF_INET, &search, error);
    if (result == 0 && context->ipv6.directory >= 0)
        result = search_family(context, AF_INET6, &search, error);
    if (result == 0) *count = search.count;
    return result;
}

// --- Forwarding

// Keeps the default routes that were learned by router advertisement, and the learning.
static int keep_accepting_ra(
    struct cnl_context *context, struct cnl_forwarding *previous, struct cnl_error *error) {
    struct cnl_uplink uplinks[CNL_MAX_UPLINKS];
    size_t count;
    int result = cnl_uplinks(context, uplinks, &count, error);
    for (size_t index = 0; result == 0 && index < count; index++) {
        int value;
        result = cnl_sysctl_read_interface(
            &context->ipv6, uplinks[index].name, "accept_ra", &value, error);
        if (result == -ENOENT) result = 0; // an interface without IPv6
        else if (result == 0 && value == 1) {
            result = cnl_sysctl_write_interface(
                &context->ipv6, uplinks[index].name, "accept_ra", "2", error);
            if (result == 0)
                memcpy(
                    previous->accept_ra[previous->accept_ra_count++], uplinks[index].name,
                    CNL_NAME_SIZE);
        }
    }
    return result;
}

static int enable_ipv6(
    struct cnl_context *context, struct cnl_forwarding *previous, struct cnl_error *error) {
    int value;
    int result = cnl_sysctl_read(&context->ipv6, FORWARD_IPV6, &value, error);
    if (result < 0) return result;
    previous->ipv6 = value != 0;
    if (previous->ipv6) return 0; // accept_ra is as the admin of a router wants it
    result = keep_accepting_ra(context, previous, error);
    return result < 0 ? result : cnl_sysctl_write(&context->ipv6, FORWARD_IPV6, "1", error);
}

int cnl_forwarding_enable(
    struct cnl_context *context, bool ipv6, struct cnl_forwarding *previous,
    struct cnl_error *error) {
    *previous = (struct cnl_forwarding){0};
    // Recorded as forwarding already, so that restore() leaves IPv6 alone.
    previous->ipv6 = true;
    int value;
    int result = cnl_sysctl_read(&context->ipv4, FORWARD_IPV4, &value, error);
    if (result < 0) return result;
    previous->ipv4 = value != 0;
    if (!previous->ipv4) result = cnl_sysctl_write(&context->ipv4, FORWARD_IPV4, "1", error);
    if (result == 0 && ipv6 && context->ipv6.directory < 0)
        result = cnl_fail(error, EAFNOSUPPORT, "enable forwarding", "the kernel has no IPv6");
    else if (result == 0 && ipv6) result = enable_ipv6(context, previous, error);
    if (result < 0) cnl_forwarding_restore(context, previous, NULL);
    return result;
}

int cnl_forwarding_restore(
    struct cnl_context *context, const struct cnl_forwarding *previous, struct cnl_error *error) {
    int result = previous->ipv4 ? 0 : cnl_sysctl_write(&context->ipv4, FORWARD_IPV4, "0", error);
    if (!previous->ipv6) {
        int second =
            cnl_sysctl_write(&context->ipv6, FORWARD_IPV6, "0", result == 0 ? error : NULL);
        if (result == 0) result = second;
    }
    for (size_t index = 0; index < previous->accept_ra_count; index++) {
        struct cnl_error failure;
        int third = cnl_sysctl_write_interface(
            &context->ipv6, previous->accept_ra[index], "accept_ra", "1", &failure);
        if (third == 0 || third == -ENOENT || result < 0) continue;
        result = third;
        if (error) *error = failure;
    }
    return result;
}
