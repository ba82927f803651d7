// Other addresses for a slice that runs: of one with the host's own, when the host's have changed.

#include "internal.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <string.h>

#define SLICE_DEVICE "eth0"
// A slice has one address a family; who has more has been given them by the host's root.
#define MOST_ADDRESSES 8

struct found {
    uint32_t link;
    struct {
        int family;
        unsigned char length;
        uint8_t bytes[16];
    } list[MOST_ADDRESSES];
    size_t count;
};

static void read_address(const struct nlmsghdr *reply, void *argument) {
    struct found *found = argument;
    struct nlattr *attributes[IFA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWADDR || found->count == MOST_ADDRESSES ||
        nlmsg_parse(header, sizeof(struct ifaddrmsg), attributes, IFA_MAX, NULL) < 0)
        return;
    const struct ifaddrmsg *address = nlmsg_data(header);
    const struct nlattr *own = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    if (address->ifa_index != found->link || address->ifa_scope != RT_SCOPE_UNIVERSE || !own ||
        nla_len(own) != (int)cnl_address_size(address->ifa_family))
        return;
    found->list[found->count].family = address->ifa_family;
    found->list[found->count].length = address->ifa_prefixlen;
    memcpy(found->list[found->count++].bytes, nla_data(own), (size_t)nla_len(own));
}

static int change(
    const struct cnl_namespace *namespace, int type, int family, unsigned char length,
    const uint8_t *bytes, uint32_t link, struct cnl_error *error) {
    const struct ifaddrmsg header = {
        .ifa_family = (uint8_t)family,
        .ifa_prefixlen = length,
        .ifa_index = link,
        .ifa_flags = family == AF_INET6 && type == RTM_NEWADDR ? IFA_F_NODAD : 0,
    };
    struct cnl_batch batch = {0};
    const int flags = type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK : NLM_F_ACK;
    struct nl_msg *message = cnl_batch_add(
        &batch, type == RTM_NEWADDR ? "add address" : "take away address", type, flags, &header,
        sizeof header);
    cnl_put(&batch, message, IFA_LOCAL, bytes, cnl_address_size(family));
    cnl_put(&batch, message, IFA_ADDRESS, bytes, cnl_address_size(family));
    return cnl_batch_run(namespace->rtnetlink, &batch, SLICE_DEVICE, NULL, NULL, error);
}

static bool has_family(const struct found *found, int family) {
    for (size_t index = 0; index < found->count; index++)
        if (found->list[index].family == family) return true;
    return false;
}

static int exchange(
    const struct cnl_namespace *namespace, const struct found *found, int family,
    const uint8_t *wanted, struct cnl_error *error) {
    // Without one it has no route either.
    if (!has_family(found, family)) return 0;
    const size_t size = cnl_address_size(family);
    // The new first: with the last address of a link its routes go.
    int result = wanted ? change(
                              namespace, RTM_NEWADDR, family, (unsigned char)(size * 8), wanted,
                              found->link, error)
                        : 0;
    for (size_t index = 0; result == 0 && index < found->count; index++) {
        if (found->list[index].family != family ||
            (wanted && memcmp(found->list[index].bytes, wanted, size) == 0))
            continue;
        result = change(
            namespace, RTM_DELADDR, family, found->list[index].length, found->list[index].bytes,
            found->link, error);
    }
    return result;
}

int cnl_namespace_readdress(
    const struct cnl_namespace *namespace, const uint8_t *ipv4, const uint8_t *ipv6,
    struct cnl_error *error) {
    int index = 0;
    int result = cnl_slice_device(namespace, SLICE_DEVICE, &index, error);
    if (result < 0) return result;
    struct found found = {.link = (uint32_t)index};
    const struct ifaddrmsg header = {0};
    result = cnl_dump(
        namespace->rtnetlink, "list addresses", RTM_GETADDR, &header, sizeof header, read_address,
        NULL, &found, error);
    if (result == 0) result = exchange(namespace, &found, AF_INET, ipv4, error);
    return result < 0 ? result : exchange(namespace, &found, AF_INET6, ipv6, error);
}
