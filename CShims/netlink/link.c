// Making one slice's link. Four requests to the kernel, whatever the number of links:
//   host:  make the pair, which tells the two indices (before Linux 6.2 they are asked for)
//   host:  settings, classifier, up, neighbours and routes
//   slice: up, addresses, neighbours, default routes; is it usable?
//   host:  is it usable?
// The last are repeated until the answer is yes. Each but the first relies on the one before, and
// route netlink goes on after a failure: one batch for all would go on with the link of another where
// the name is taken. Nothing passes before the third, whatever became of the second: an end that is up
// carries nothing while the other is down.
//
// The host's end comes up first, because of IPv6: when it gets its carrier the kernel goes through all
// its routes once, and a second time if it was usable at once (addrconf_notify() in net/ipv6/addrconf.c).

#include "internal.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <linux/if.h>
#include <string.h>
#include <time.h>

#define SLICE_DEVICE "eth0"

static const char *inner_name(const struct cnl_link *link) {
    return link->device[0] ? link->device : SLICE_DEVICE;
}

// How long a link may take to become usable: 3 s at least. It is usually there within the first tries,
// which follow each other quickly.
#define READY_TRIES 3100
#define READY_QUICK_TRIES 100
#define READY_QUICK_PAUSE_NS 50000
#define READY_PAUSE_NS 1000000

// One address family of a link.
struct side {
    int family;
    const char *name;
    const struct cnl_address_pair *addresses;
    size_t size;
};

struct sides {
    struct side list[2];
    unsigned count;
};

// What a link's RTM_GETLINK says.
struct state {
    int index, peer_index;
    uint8_t operstate;
};

// --- Checks

static bool usable_mac(const uint8_t mac[CNL_MAC_SIZE]) {
    static const uint8_t zero[CNL_MAC_SIZE];
    return memcmp(mac, zero, CNL_MAC_SIZE) != 0 && (mac[0] & 1) == 0;
}

static int check(const struct cnl_link *link, struct cnl_error *error) {
    int result = cnl_check_name(link->name, error);
    if (result == 0) result = cnl_check_name(inner_name(link), error);
    if (result < 0) return result;
    const char *operation = "check link";
    if (!link->ipv4.present && !link->ipv6.present)
        return cnl_fail(error, EINVAL, operation, "%s: no address", link->name);
    if (!usable_mac(link->slice_mac) || !usable_mac(link->host_mac))
        return cnl_fail(error, EINVAL, operation, "%s: MAC zero or multicast", link->name);
    // ETH_MIN_MTU, IPV6_MIN_MTU, ETH_MAX_MTU
    uint32_t least = link->ipv6.present ? 1280 : 68;
    if (link->mtu < least || link->mtu > 65535)
        return cnl_fail(error, EINVAL, operation, "%s: MTU %u", link->name, link->mtu);
    return 0;
}

static struct sides present_sides(const struct cnl_link *link) {
    struct sides sides = {.count = 0};
    if (link->ipv4.present)
        sides.list[sides.count++] = (struct side){AF_INET, "IPv4", &link->ipv4, 4};
    if (link->ipv6.present)
        sides.list[sides.count++] = (struct side){AF_INET6, "IPv6", &link->ipv6, 16};
    return sides;
}

// --- Making the pair

// One queue each way: the kernel would make one for every possible CPU, which for thousands of
// links on a large machine is gigabytes. veth's transmit takes no lock, so that more queues
// bring nothing without XDP.
static void put_device(
    struct cnl_batch *batch, struct nl_msg *message, const char *name, uint32_t mtu,
    const uint8_t mac[CNL_MAC_SIZE]) {
    cnl_put_string(batch, message, IFLA_IFNAME, name);
    cnl_put_u32(batch, message, IFLA_MTU, mtu);
    cnl_put(batch, message, IFLA_ADDRESS, mac, CNL_MAC_SIZE);
    cnl_put_u32(batch, message, IFLA_NUM_TX_QUEUES, 1);
    cnl_put_u32(batch, message, IFLA_NUM_RX_QUEUES, 1);
}

static void put_peer(
    struct cnl_batch *batch, struct nl_msg *message, const struct cnl_link *link, int netns) {
    struct ifinfomsg header = {0}; // veth does not allow a peer that is up from the start
    struct nlattr *nest = cnl_nest_start(batch, message, VETH_INFO_PEER);
    if (!nest || nlmsg_append(message, &header, sizeof header, NLMSG_ALIGNTO) < 0)
        batch->failed = true;
    put_device(batch, message, inner_name(link), link->mtu, link->slice_mac);
    cnl_put_u32(batch, message, IFLA_NET_NS_FD, (uint32_t)netns);
    cnl_nest_end(message, nest);
}

// The host's end ignores and never sends ARP (IFF_NOARP): a slice can neither answer for others'
// addresses nor fill the host's neighbour table, which all interfaces share.
static void add_pair(struct cnl_batch *batch, const struct cnl_link *link, int netns) {
    struct ifinfomsg header = {.ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
    struct nl_msg *message = cnl_batch_add(
        batch, "create link pair", RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK | NLM_F_ECHO, &header, sizeof header);
    put_device(batch, message, link->name, link->mtu, link->host_mac);
    struct nlattr *info = cnl_nest_start(batch, message, IFLA_LINKINFO);
    cnl_put_string(batch, message, IFLA_INFO_KIND, "veth");
    struct nlattr *data = cnl_nest_start(batch, message, IFLA_INFO_DATA);
    put_peer(batch, message, link, netns);
    cnl_nest_end(message, data);
    cnl_nest_end(message, info);
}

static void read_state(const struct nlmsghdr *reply, void *argument) {
    struct state *state = argument;
    if (reply->nlmsg_type != RTM_NEWLINK) return;
    struct nlattr *attributes[IFLA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) < 0) return;
    state->index = ((struct ifinfomsg *)nlmsg_data(header))->ifi_index;
    state->peer_index = (int)cnl_get_u32(attributes[IFLA_LINK], (uint32_t)state->peer_index);
    state->operstate = cnl_get_u8(attributes[IFLA_OPERSTATE], state->operstate);
}

// Answered with a state. A link with an index needs no name.
static void add_look(struct cnl_batch *batch, int index, const char *name) {
    struct ifinfomsg header = {.ifi_index = index};
    struct nl_msg *message =
        cnl_batch_add(batch, "look up link", RTM_GETLINK, 0, &header, sizeof header);
    if (index == 0) cnl_put_string(batch, message, IFLA_IFNAME, name);
}

// Fills in both indices.
static int create_pair(
    struct cnl_context *context, const struct cnl_namespace *namespace,
    const struct cnl_link *link, struct state *state, struct cnl_error *error) {
    *state = (struct state){0};
    struct cnl_batch batch = {0};
    add_pair(&batch, link, namespace->netns);
    return cnl_batch_run(context->rtnetlink, &batch, link->name, read_state, state, error);
}

static int find_indices(
    struct cnl_context *context, const struct cnl_link *link, struct state *state,
    struct cnl_error *error) {
    if (state->index != 0 && state->peer_index != 0) return 0;
    struct cnl_batch batch = {0};
    add_look(&batch, 0, link->name);
    int result = cnl_batch_run(context->rtnetlink, &batch, link->name, read_state, state, error);
    if (result < 0) return result;
    if (state->index != 0 && state->peer_index != 0) return 0;
    return cnl_fail(error, EPROTO, "look up link", "%s: no index in the reply", link->name);
}

// --- The host's side

// Per-interface IPv4 settings by netlink (IFLA_INET_CONF), which saves a file each. Only
// ipv4/conf/all can weaken them (route_localnet and rp_filter combine with it).
void cnl_put_ipv4_settings(struct cnl_batch *batch, struct nl_msg *message) {
    static const struct {
        int setting;
        uint32_t value;
    } settings[] = {
        {IPV4_DEVCONF_FORWARDING, 1},
        {IPV4_DEVCONF_RP_FILTER, 1}, // strict (RFC 3704): only the slice's own address comes in
        {IPV4_DEVCONF_ROUTE_LOCALNET, 0},
        {IPV4_DEVCONF_PROXY_ARP, 0},
        {IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0},
        {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0},
        {IPV4_DEVCONF_SEND_REDIRECTS, 0},
    };
    struct nlattr *family = cnl_nest_start(batch, message, AF_INET);
    struct nlattr *values = cnl_nest_start(batch, message, IFLA_INET_CONF);
    for (size_t index = 0; index < sizeof settings / sizeof settings[0]; index++)
        cnl_put_u32(batch, message, settings[index].setting, settings[index].value);
    cnl_nest_end(message, values);
    cnl_nest_end(message, family);
}

// No link-local address, and none of the traffic that announces it. Takes effect when the link
// comes up, hence a message of its own before that.
void cnl_put_ipv6_settings(struct cnl_batch *batch, struct nl_msg *message) {
    struct nlattr *family = cnl_nest_start(batch, message, AF_INET6);
    cnl_put_u8(batch, message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    cnl_nest_end(message, family);
}

void cnl_add_up(struct cnl_batch *batch, int index) {
    struct ifinfomsg header = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    cnl_batch_add(batch, "bring link up", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
}

static void add_host_settings(struct cnl_batch *batch, const struct cnl_link *link, int index) {
    struct ifinfomsg header = {.ifi_index = index};
    struct nl_msg *message = cnl_batch_add(
        batch, "set link options", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
    struct nlattr *nest = cnl_nest_start(batch, message, IFLA_AF_SPEC);
    cnl_put_ipv4_settings(batch, message);
    if (link->ipv6.present) cnl_put_ipv6_settings(batch, message);
    cnl_nest_end(message, nest);
}

static void add_neighbour(
    struct cnl_batch *batch, const struct side *side, int index, const uint8_t *address,
    const uint8_t mac[CNL_MAC_SIZE]) {
    struct ndmsg header = {
        .ndm_family = (uint8_t)side->family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
    struct nl_msg *message = cnl_batch_add(
        batch, side->family == AF_INET ? "add IPv4 neighbour" : "add IPv6 neighbour", RTM_NEWNEIGH,
        NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &header, sizeof header);
    cnl_put(batch, message, NDA_DST, address, side->size);
    cnl_put(batch, message, NDA_LLADDR, mac, CNL_MAC_SIZE);
}

// Exclusive: an address that is already routed somewhere stays there. The gateway's address,
// which is on lo, is what a slice sees of the host.
static void add_host_route(struct cnl_batch *batch, const struct side *side, int index) {
    struct rtmsg header = {
        .rtm_family = (uint8_t)side->family,
        .rtm_dst_len = (uint8_t)(side->size * 8),
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = CNL_ROUTE_PROTOCOL,
        .rtm_scope = RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, side->family == AF_INET ? "add IPv4 route to slice" : "add IPv6 route to slice",
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header, sizeof header);
    cnl_put(batch, message, RTA_DST, side->addresses->slice, side->size);
    cnl_put(batch, message, RTA_PREFSRC, side->addresses->gateway, side->size);
    cnl_put_u32(batch, message, RTA_OIF, (uint32_t)index);
}

static int forbid_autoconfiguration(
    struct cnl_context *context, const struct cnl_link *link, struct cnl_error *error) {
    if (!link->ipv6.present) return 0;
    if (context->ipv6.directory < 0)
        return cnl_fail(error, EAFNOSUPPORT, "configure link", "the kernel has no IPv6");
    // Not settable by netlink. With forwarding both are off already; this holds without.
    int result = cnl_sysctl_write_interface(&context->ipv6, link->name, "accept_ra", "0", error);
    if (result < 0) return result;
    return cnl_sysctl_write_interface(
        &context->ipv6, link->name, "accept_redirects", "0", error);
}

static int configure_host(
    struct cnl_context *context, const struct cnl_link *link, int index,
    struct cnl_error *error) {
    int result = forbid_autoconfiguration(context, link, error);
    if (result < 0) return result;
    struct cnl_batch batch = {0};
    add_host_settings(&batch, link, index);
    if (link->classifier) cnl_classifier_add(&batch, index, link->classifier);
    cnl_add_up(&batch, index);
    struct sides sides = present_sides(link);
    for (unsigned i = 0; !link->shared && i < sides.count; i++) {
        const struct side *side = &sides.list[i];
        add_neighbour(&batch, side, index, side->addresses->slice, link->slice_mac);
        add_host_route(&batch, side, index);
    }
    return cnl_classifier_run(context->rtnetlink, &batch, link->name, error);
}

// --- The slice's side

// An address in a network makes programs take the link for one with neighbours; the way to them is by the
// gateway all the same.
static void add_slice_address(
    struct cnl_batch *batch, const struct side *side, const struct cnl_link *link, int index) {
    const bool has_network = side->family == AF_INET && link->network_length != 0;
    struct ifaddrmsg header = {
        .ifa_family = (uint8_t)side->family,
        .ifa_prefixlen = has_network ? link->network_length : (uint8_t)(side->size * 8),
        .ifa_index = (uint32_t)index,
    };
    // Usable at once: nobody else on the link could have it (RFC 4862, 5.4).
    const uint32_t flags =
        side->family == AF_INET6 ? IFA_F_NODAD : has_network ? IFA_F_NOPREFIXROUTE : 0;
    struct nl_msg *message = cnl_batch_add(
        batch, side->family == AF_INET ? "add IPv4 address" : "add IPv6 address", RTM_NEWADDR,
        NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header, sizeof header);
    cnl_put(batch, message, IFA_LOCAL, side->addresses->slice, side->size);
    cnl_put(batch, message, IFA_ADDRESS, side->addresses->slice, side->size);
    cnl_put_u32(batch, message, IFA_FLAGS, flags);
}

// Onlink: the gateway need not be, and is not, inside a network of the link's.
static void add_default_route(
    struct cnl_batch *batch, const struct side *side, const struct cnl_link *link, int index) {
    const uint8_t length = side->family == AF_INET ? link->network_length : 0;
    struct rtmsg header = {
        .rtm_family = (uint8_t)side->family,
        .rtm_dst_len = length,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST,
        .rtm_flags = RTNH_F_ONLINK,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, side->family == AF_INET ? "add IPv4 default route" : "add IPv6 default route",
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header, sizeof header);
    if (length) cnl_put(batch, message, RTA_DST, link->network, side->size);
    cnl_put(batch, message, RTA_GATEWAY, side->addresses->gateway, side->size);
    cnl_put_u32(batch, message, RTA_OIF, (uint32_t)index);
}

// --- Waiting

// What an end says of whether it is usable.
struct answer {
    struct state state;
    unsigned char route_type;
};

static void read_answer(const struct nlmsghdr *reply, void *argument) {
    struct answer *answer = argument;
    if (reply->nlmsg_type == RTM_NEWROUTE && reply->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)))
        answer->route_type = ((struct rtmsg *)NLMSG_DATA(reply))->rtm_type;
    read_state(reply, &answer->state);
}

// The local route of an IPv6 address is added from a work queue, even without duplicate address
// detection (addrconf_dad_work()). Until then packets to it are dropped.
static void add_look_for_ipv6(struct cnl_batch *batch, const struct cnl_link *link) {
    const struct rtmsg header = {.rtm_family = AF_INET6, .rtm_dst_len = 128};
    struct nl_msg *message =
        cnl_batch_add(batch, "look up IPv6 address", RTM_GETROUTE, 0, &header, sizeof header);
    cnl_put(batch, message, RTA_DST, link->ipv6.slice, sizeof link->ipv6.slice);
}

// Runs a batch, with a look at one end of the link at its end, and looks again until the end is usable.
//
// An end sends nothing until the kernel's link watch has seen that the other is up, and what is
// sent before is lost. Since Linux 6.8 asking for the link makes it look. Before, it takes a moment,
// and where both ends happen to have the same index up to a second, because the kernel then doesn't
// take the matter for urgent (linkwatch_urgent_event()).
static int run_until_usable(
    int rtnetlink, struct cnl_batch *batch, int index, const char *name,
    const struct cnl_link *ipv6, struct cnl_error *error) {
    for (int tries = 0; tries < READY_TRIES; tries++) {
        add_look(batch, index, name);
        if (ipv6) add_look_for_ipv6(batch, ipv6);
        struct answer answer = {0};
        int result = cnl_batch_run(rtnetlink, batch, name, read_answer, &answer, error);
        bool is_there = !ipv6 || answer.route_type == RTN_LOCAL;
        if (result < 0 || (answer.state.operstate == IF_OPER_UP && is_there)) return result;
        const long pause = tries < READY_QUICK_TRIES ? READY_QUICK_PAUSE_NS : READY_PAUSE_NS;
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
    return cnl_fail(error, ETIMEDOUT, "wait for link", "%s", name);
}

static int open_slice(
    const struct cnl_namespace *namespace, const struct cnl_link *link, int index,
    struct cnl_error *error) {
    struct cnl_batch batch = {0};
    cnl_add_up(&batch, index);
    struct sides sides = present_sides(link);
    for (unsigned i = 0; i < sides.count; i++) {
        const struct side *side = &sides.list[i];
        add_slice_address(&batch, side, link, index);
        add_neighbour(&batch, side, index, side->addresses->gateway, link->host_mac);
        add_default_route(&batch, side, link, index);
    }
    return run_until_usable(
        namespace->rtnetlink, &batch, index, inner_name(link), link->ipv6.present ? link : NULL, error);
}

static int await_host(
    struct cnl_context *context, const struct cnl_link *link, int index,
    struct cnl_error *error) {
    struct cnl_batch batch = {0};
    return run_until_usable(context->rtnetlink, &batch, index, link->name, NULL, error);
}

// --- Interface

int cnl_link_create(
    struct cnl_context *context, const struct cnl_namespace *namespace,
    const struct cnl_link *link, int *index, struct cnl_error *error) {
    int result = check(link, error);
    if (result < 0) return result;
    struct state state;
    result = create_pair(context, namespace, link, &state, error);
    if (result < 0) return result;
    result = find_indices(context, link, &state, error);
    if (result == 0) result = configure_host(context, link, state.index, error);
    if (result == 0) result = open_slice(namespace, link, state.peer_index, error);
    if (result == 0) result = await_host(context, link, state.index, error);
    // The name is ours since the pair was made, and all that was made hangs on it.
    if (result < 0) cnl_link_delete(context, link->name, NULL);
    else if (index) *index = state.index;
    return result;
}
