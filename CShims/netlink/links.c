// Links that exist: deleting, listing, counting.

#include "cnetlink_overlay.h"
#include "internal.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

// Links about to be deleted together (IFLA_GROUP; "del" and a slice's 's').
#define DOOMED_GROUP 0x64656c73

int cnl_check_name(const char *name, struct cnl_error *error) {
    const char *operation = "check link name";
    size_t length = strnlen(name, CNL_NAME_SIZE);
    if (length == CNL_NAME_SIZE)
        return cnl_fail(error, ENAMETOOLONG, operation, "more than 15 characters");
    // dev_valid_name() in the kernel, less what a shell or a terminal could trip over.
    bool valid = length > 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    for (size_t index = 0; index < length; index++) {
        char c = name[index];
        if (c <= ' ' || c >= 0x7f || c == '/' || c == ':' || c == '%') valid = false;
    }
    return valid ? 0 : cnl_fail(error, EINVAL, operation, "empty, or a character not allowed");
}


// --- Finding

static void read_index(const struct nlmsghdr *reply, void *argument) {
    if (reply->nlmsg_type == RTM_NEWLINK && reply->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        *(int *)argument = ((const struct ifinfomsg *)NLMSG_DATA(reply))->ifi_index;
}

int cnl_link_find(
    struct cnl_context *context, const char *name, int *index, struct cnl_error *error) {
    int result = cnl_check_name(name, error);
    if (result < 0) return result;
    struct ifinfomsg header = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "find link", RTM_GETLINK, 0, &header, sizeof header);
    cnl_put_string(&batch, message, IFLA_IFNAME, name);
    *index = 0;
    struct cnl_error failure;
    result = cnl_batch_run(context->rtnetlink, &batch, name, read_index, index, &failure);
    if (result == -ENODEV) return 0;
    if (result < 0 && error) *error = failure;
    return result;
}

// --- Deleting

// A link that is not there is what was wanted.
static int run_unless_gone(
    struct cnl_context *context, struct cnl_batch *batch, const char *object,
    struct cnl_error *error) {
    struct cnl_error failure;
    int result = cnl_batch_run(context->rtnetlink, batch, object, NULL, NULL, &failure);
    if (result == -ENODEV) return 0;
    if (result < 0 && error) *error = failure;
    return result;
}

int cnl_link_delete(struct cnl_context *context, const char *name, struct cnl_error *error) {
    int result = cnl_check_name(name, error);
    if (result < 0) return result;
    struct ifinfomsg header = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "delete link", RTM_DELLINK, NLM_F_ACK, &header, sizeof header);
    cnl_put_string(&batch, message, IFLA_IFNAME, name);
    return run_unless_gone(context, &batch, name, error);
}

static int doom(
    struct cnl_context *context, const char names[][CNL_NAME_SIZE], size_t count,
    struct cnl_error *error) {
    struct ifinfomsg header = {0};
    struct cnl_batch batch = {0};
    for (size_t index = 0; index < count; index++) {
        struct nl_msg *message = cnl_batch_add(
            &batch, "set link group", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
        cnl_put_string(&batch, message, IFLA_IFNAME, names[index]);
        cnl_put_u32(&batch, message, IFLA_GROUP, DOOMED_GROUP);
    }
    return run_unless_gone(context, &batch, names[0], error);
}

// Most of what a deletion takes is waiting for RCU grace periods, once a request. A request can
// name only one link, or a whole group.
int cnl_link_delete_many(
    struct cnl_context *context, const char names[][CNL_NAME_SIZE], size_t count,
    struct cnl_error *error) {
    for (size_t index = 0; index < count; index++) {
        int result = cnl_check_name(names[index], error);
        if (result < 0) return result;
    }
    for (size_t done = 0; done < count; done += CNL_BATCH_MAX) {
        size_t part = count - done < CNL_BATCH_MAX ? count - done : CNL_BATCH_MAX;
        int result = doom(context, names + done, part, error);
        if (result < 0) return result;
    }
    struct ifinfomsg header = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "delete links", RTM_DELLINK, NLM_F_ACK, &header, sizeof header);
    cnl_put_u32(&batch, message, IFLA_GROUP, DOOMED_GROUP);
    return run_unless_gone(context, &batch, "group", error);
}

// --- Listing

struct listing {
    const char *prefix;
    char (*names)[CNL_NAME_SIZE];
    size_t capacity, count;
};

static void start_listing(void *argument) { ((struct listing *)argument)->count = 0; }

static void list_link(const struct nlmsghdr *reply, void *argument) {
    struct listing *listing = argument;
    struct nlattr *attributes[IFLA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) < 0) return;
    const char *name = cnl_get_text(attributes[IFLA_IFNAME]);
    if (!name || strncmp(name, listing->prefix, strlen(listing->prefix)) != 0) return;
    if (listing->count < listing->capacity)
        strncpy(listing->names[listing->count], name, CNL_NAME_SIZE - 1)[CNL_NAME_SIZE - 1] = 0;
    listing->count++;
}

// Only veth links, and without the bulk of what the kernel would tell of each.
struct veth_dump {
    struct ifinfomsg header;
    struct nlattr mask_header;
    uint32_t mask;
    struct nlattr info_header, kind_header;
    char kind[8];
};

int cnl_link_list(
    struct cnl_context *context, const char *prefix, char names[][CNL_NAME_SIZE],
    size_t capacity, size_t *count, struct cnl_error *error) {
    const struct veth_dump request = {
        .mask_header = {sizeof(struct nlattr) + sizeof(uint32_t), IFLA_EXT_MASK},
        .mask = RTEXT_FILTER_SKIP_STATS,
        .info_header = {2 * sizeof(struct nlattr) + sizeof "veth", IFLA_LINKINFO | NLA_F_NESTED},
        .kind_header = {sizeof(struct nlattr) + sizeof "veth", IFLA_INFO_KIND},
        .kind = "veth",
    };
    struct listing listing = {.prefix = prefix, .names = names, .capacity = capacity};
    int result = cnl_dump(
        context->rtnetlink, "list links", RTM_GETLINK, &request, sizeof request, list_link,
        start_listing, &listing, error);
    if (result < 0) return result;
    *count = listing.count;
    return 0;
}

// --- Counting

// The host's end: what it receives, the slice has sent.
static struct cnl_statistics counted(struct nlattr *attribute) {
    struct rtnl_link_stats64 counters = {0};
    nla_memcpy(&counters, attribute, sizeof counters);
    return (struct cnl_statistics){
        .sent_bytes = counters.rx_bytes,
        .sent_packets = counters.rx_packets,
        .received_bytes = counters.tx_bytes,
        .received_packets = counters.tx_packets,
        .dropped_packets = counters.rx_dropped + counters.tx_dropped,
    };
}

static void read_statistics(const struct nlmsghdr *reply, void *argument) {
    struct nlattr *attributes[IFLA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) < 0) return;
    if (attributes[IFLA_STATS64])
        *(struct cnl_statistics *)argument = counted(attributes[IFLA_STATS64]);
}

struct counting {
    int socket;
    const char *prefix;
    struct cnl_link_counters *links;
    size_t capacity, count;
};

static void start_counting(void *argument) { ((struct counting *)argument)->count = 0; }

// The kernel gives the index alone here. A whole RTM_GETLINK would give the name, and search all
// network namespaces for the one of each link's other end: with a thousand slices a million steps.
static void count_link(const struct nlmsghdr *reply, void *argument) {
    struct counting *counting = argument;
    struct nlattr *attributes[IFLA_STATS_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (nlmsg_parse(header, sizeof(struct if_stats_msg), attributes, IFLA_STATS_MAX, NULL) < 0)
        return;
    const struct if_stats_msg *message = nlmsg_data(header);
    struct ifreq link_name = {.ifr_ifindex = (int)message->ifindex}; // netdevice(7)
    // Without a name: it has gone since.
    if (!attributes[IFLA_STATS_LINK_64] || ioctl(counting->socket, SIOCGIFNAME, &link_name) < 0)
        return;
    const char *name = link_name.ifr_name;
    if (strncmp(name, counting->prefix, strlen(counting->prefix)) != 0) return;
    if (counting->count < counting->capacity) {
        struct cnl_link_counters *link = &counting->links[counting->count];
        _Static_assert(sizeof link->name == IFNAMSIZ, "a name as the kernel has it");
        memcpy(link->name, name, sizeof link->name);
        link->statistics = counted(attributes[IFLA_STATS_LINK_64]);
    }
    counting->count++;
}

int cnl_link_statistics_list(
    struct cnl_context *context, const char *prefix, struct cnl_link_counters *links,
    size_t capacity, size_t *count, struct cnl_error *error) {
    const struct if_stats_msg request = {
        .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)};
    struct counting counting = {
        .socket = context->rtnetlink, .prefix = prefix, .links = links, .capacity = capacity};
    int result = cnl_dump(
        context->rtnetlink, "count what links carried", RTM_GETSTATS, &request, sizeof request,
        count_link, start_counting, &counting, error);
    if (result < 0) return result;
    *count = counting.count;
    return 0;
}

int cnl_link_statistics(
    struct cnl_context *context, const char *name, struct cnl_statistics *statistics,
    struct cnl_error *error) {
    int result = cnl_check_name(name, error);
    if (result < 0) return result;
    struct ifinfomsg header = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "read statistics", RTM_GETLINK, 0, &header, sizeof header);
    cnl_put_string(&batch, message, IFLA_IFNAME, name);
    *statistics = (struct cnl_statistics){0};
    return cnl_batch_run(
        context->rtnetlink, &batch, name, read_statistics, statistics, error);
}
