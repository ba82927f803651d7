// The pools on the host: whether they are free, and the host's own part in them.

#include "internal.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

// Of the reject route, so that no route of the admin's can be replaced by it or mistaken for it.
#define REJECT_METRIC 0x736c6943

int cnl_check_pool(const struct cnl_pool *pool, struct cnl_error *error) {
    const char *operation = "check pool";
    if (pool->family != AF_INET && pool->family != AF_INET6)
        return cnl_fail(error, EINVAL, operation, "family %d", pool->family);
    char text[CNL_PREFIX_TEXT_SIZE];
    cnl_prefix_text(text, pool->family, pool->prefix, pool->length);
    unsigned least = pool->family == AF_INET ? 8 : 16;
    if (pool->length < least || pool->length >= cnl_address_size(pool->family) * 8)
        return cnl_fail(error, EINVAL, operation, "%s: prefix length", text);
    if (!cnl_prefix_equal(pool->prefix, pool->gateway, pool->length))
        return cnl_fail(error, EINVAL, operation, "%s: gateway outside", text);
    return 0;
}

// --- Overlap

struct overlap {
    const struct cnl_pool *pool;
    bool found;
    uint8_t address[16];
    unsigned length;
    uint32_t link;
};

static bool reject_route(const struct rtmsg *route) {
    return route->rtm_type == RTN_UNREACHABLE || route->rtm_type == RTN_BLACKHOLE ||
           route->rtm_type == RTN_PROHIBIT || route->rtm_type == RTN_THROW;
}

// Addresses need no look of their own: each is a route in the local table.
static void compare_route(const struct nlmsghdr *reply, void *argument) {
    struct overlap *overlap = argument;
    const struct cnl_pool *pool = overlap->pool;
    struct nlattr *attributes[RTA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWROUTE || overlap->found) return;
    if (nlmsg_parse(header, sizeof(struct rtmsg), attributes, RTA_MAX, NULL) < 0) return;
    const struct rtmsg *route = nlmsg_data(header);
    if (route->rtm_family != pool->family || route->rtm_dst_len == 0 || !attributes[RTA_DST] ||
        route->rtm_protocol == CNL_ROUTE_PROTOCOL || reject_route(route))
        return;

    size_t size = cnl_address_size(pool->family);
    uint8_t address[16] = {0};
    nla_memcpy(address, attributes[RTA_DST], (int)size);
    uint32_t link = cnl_get_u32(attributes[RTA_OIF], 0);
    bool gateway = link == CNL_LOOPBACK_INDEX && memcmp(address, pool->gateway, size) == 0;
    unsigned common = route->rtm_dst_len < pool->length ? route->rtm_dst_len : pool->length;
    if (gateway || !cnl_prefix_equal(address, pool->prefix, common)) return;

    overlap->found = true;
    memcpy(overlap->address, address, sizeof address);
    overlap->length = route->rtm_dst_len;
    overlap->link = link;
}

int cnl_pool_check(
    struct cnl_context *context, const struct cnl_pool *pool, struct cnl_error *error) {
    int result = cnl_check_pool(pool, error);
    if (result < 0) return result;
    struct overlap overlap = {.pool = pool};
    const struct rtmsg header = {.rtm_family = (uint8_t)pool->family}; // all tables
    result = cnl_dump(
        context->rtnetlink, "list routes", RTM_GETROUTE, &header, sizeof header, compare_route,
        NULL, &overlap, error);
    if (result < 0 || !overlap.found) return result;
    char text[CNL_PREFIX_TEXT_SIZE], other[CNL_PREFIX_TEXT_SIZE], link[IF_NAMESIZE] = "?";
    if_indextoname(overlap.link, link);
    cnl_prefix_text(text, pool->family, pool->prefix, pool->length);
    cnl_prefix_text(other, pool->family, overlap.address, overlap.length);
    return cnl_fail(error, EADDRINUSE, "check pool", "%s overlaps %s on %s", text, other, link);
}

struct match {
    struct rtmsg route;
    uint32_t link;
};

static void read_match(const struct nlmsghdr *reply, void *argument) {
    struct match *match = argument;
    struct nlattr *attributes[RTA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(header, sizeof(struct rtmsg), attributes, RTA_MAX, NULL) < 0)
        return;
    match->route = *(struct rtmsg *)nlmsg_data(header);
    match->link = cnl_get_u32(attributes[RTA_OIF], match->link);
}

int cnl_pool_check_address(
    struct cnl_context *context, int family, const uint8_t address[16], struct cnl_error *error) {
    const char *operation = "check address";
    size_t size = cnl_address_size(family);
    char text[CNL_PREFIX_TEXT_SIZE], link[IF_NAMESIZE] = "?";
    cnl_prefix_text(text, family, address, (unsigned)size * 8);
    // The route itself, not what the kernel would say of a packet: that is an error here.
    const struct rtmsg header = {
        .rtm_family = (uint8_t)family,
        .rtm_dst_len = (uint8_t)(size * 8),
        .rtm_flags = RTM_F_FIB_MATCH,
    };
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, operation, RTM_GETROUTE, 0, &header, sizeof header);
    cnl_put(&batch, message, RTA_DST, address, size);
    struct match match = {0};
    struct cnl_error failure;
    int result =
        cnl_batch_run(context->rtnetlink, &batch, text, read_match, &match, &failure);
    // Linux 6.1 says of an IPv6 reject route only that it rejects.
    if (result == -EHOSTUNREACH || result == -ENETUNREACH) return 0;
    if (result < 0) {
        if (error) *error = failure;
        return result;
    }
    if (reject_route(&match.route) || match.route.rtm_protocol == CNL_ROUTE_PROTOCOL) return 0;
    if_indextoname(match.link, link);
    return cnl_fail(
        error, EADDRINUSE, operation, "%s %s %s", text,
        match.route.rtm_type == RTN_LOCAL ? "is the host's own, on" : "is routed to", link);
}

// --- The host's part

// Scope link, and deprecated (RFC 4862, 5.5.4): the host uses it as source towards slices, whose
// routes say so, and never towards the world.
static void add_gateway(
    struct cnl_batch *batch, const struct cnl_pool *pool, int type, int flags) {
    size_t size = cnl_address_size(pool->family);
    struct ifaddrmsg header = {
        .ifa_family = (uint8_t)pool->family,
        .ifa_prefixlen = (uint8_t)(size * 8),
        .ifa_flags = pool->family == AF_INET6 ? IFA_F_NODAD : 0,
        .ifa_scope = RT_SCOPE_LINK,
        .ifa_index = CNL_LOOPBACK_INDEX,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, type == RTM_NEWADDR ? "add gateway address" : "remove gateway address", type,
        flags | NLM_F_ACK, &header, sizeof header);
    cnl_put(batch, message, IFA_LOCAL, pool->gateway, size);
    cnl_put(batch, message, IFA_ADDRESS, pool->gateway, size);
    if (type != RTM_NEWADDR || pool->family != AF_INET6) return;
    // No prefix route: it would say the same as the local one, and Linux 7.3 takes the local one away
    // with it when the address is replaced. Flags above 8 bits need the attribute.
    cnl_put_u32(batch, message, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    const struct ifa_cacheinfo lifetime = {.ifa_prefered = 0, .ifa_valid = UINT32_MAX};
    cnl_put(batch, message, IFA_CACHEINFO, &lifetime, sizeof lifetime);
}

static void add_reject_route(
    struct cnl_batch *batch, const struct cnl_pool *pool, int type, int flags) {
    struct rtmsg header = {
        .rtm_family = (uint8_t)pool->family,
        .rtm_dst_len = pool->length,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = CNL_ROUTE_PROTOCOL,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNREACHABLE,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, type == RTM_NEWROUTE ? "add pool route" : "remove pool route", type,
        flags | NLM_F_ACK, &header, sizeof header);
    // The kernel refuses bits beyond the prefix.
    size_t size = cnl_address_size(pool->family);
    uint8_t network[16];
    cnl_prefix_mask(network, pool->length);
    for (size_t index = 0; index < size; index++) network[index] &= pool->prefix[index];
    cnl_put(batch, message, RTA_DST, network, size);
    cnl_put_u32(batch, message, RTA_PRIORITY, REJECT_METRIC);
}

int cnl_pool_install(
    struct cnl_context *context, const struct cnl_pool *pool, struct cnl_error *error) {
    int result = cnl_check_pool(pool, error);
    if (result < 0) return result;
    char text[CNL_PREFIX_TEXT_SIZE];
    cnl_prefix_text(text, pool->family, pool->prefix, pool->length);
    struct cnl_batch batch = {0};
    add_gateway(&batch, pool, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    add_reject_route(&batch, pool, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    result = cnl_batch_run(context->rtnetlink, &batch, text, NULL, NULL, error);
    if (result < 0) cnl_pool_remove(context, pool, NULL);
    return result;
}

static int remove_one(
    struct cnl_context *context, struct cnl_batch *batch, const char *object,
    struct cnl_error *error) {
    struct cnl_error failure;
    int result = cnl_batch_run(context->rtnetlink, batch, object, NULL, NULL, &failure);
    if (result == -EADDRNOTAVAIL || result == -ESRCH) return 0; // gone already
    if (result < 0 && error) *error = failure;
    return result;
}

int cnl_pool_remove(
    struct cnl_context *context, const struct cnl_pool *pool, struct cnl_error *error) {
    int result = cnl_check_pool(pool, error);
    if (result < 0) return result;
    char text[CNL_PREFIX_TEXT_SIZE];
    cnl_prefix_text(text, pool->family, pool->prefix, pool->length);
    struct cnl_batch address = {0}, route = {0};
    add_gateway(&address, pool, RTM_DELADDR, 0);
    add_reject_route(&route, pool, RTM_DELROUTE, 0);
    result = remove_one(context, &address, text, error);
    int second = remove_one(context, &route, text, result == 0 ? error : NULL);
    return result < 0 ? result : second;
}
