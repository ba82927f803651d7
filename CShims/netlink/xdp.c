// XDP on the slice's own end of its link (rtnetlink(7), IFLA_XDP).

#include "internal.h"

#include <errno.h>
#include <linux/if_link.h>

static const char *const name = "eth0"; // of a slice

int cnl_xdp_attach(
    const struct cnl_namespace *namespace, int program, struct cnl_error *error) {
    int index;
    int result = cnl_slice_device(namespace, name, &index, error);
    if (result < 0) return result;
    const struct ifinfomsg header = {.ifi_index = index};
    struct cnl_batch batch = {0};
    struct nl_msg *message = cnl_batch_add(
        &batch, "attach XDP program", RTM_SETLINK, NLM_F_ACK, &header, sizeof header);
    struct nlattr *nest = cnl_nest_start(&batch, message, IFLA_XDP);
    cnl_put_u32(&batch, message, IFLA_XDP_FD, (uint32_t)program);
    cnl_put_u32(&batch, message, IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE);
    cnl_nest_end(message, nest);
    return cnl_batch_run(namespace->rtnetlink, &batch, name, NULL, NULL, error);
}

static void read_program(const struct nlmsghdr *reply, void *argument) {
    struct nlattr *attributes[IFLA_MAX + 1], *xdp[IFLA_XDP_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWLINK ||
        nlmsg_parse(header, sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) < 0 ||
        !attributes[IFLA_XDP] || nla_parse_nested(xdp, IFLA_XDP_MAX, attributes[IFLA_XDP], NULL) < 0)
        return;
    uint32_t *program = argument;
    *program = cnl_get_u32(xdp[IFLA_XDP_SKB_PROG_ID], *program);
}

int cnl_xdp_find(
    const struct cnl_namespace *namespace, uint32_t *program, struct cnl_error *error) {
    *program = 0;
    int index;
    int result = cnl_slice_device(namespace, name, &index, error);
    if (result < 0) return result;
    const struct ifinfomsg header = {.ifi_index = index};
    struct cnl_batch batch = {0};
    cnl_batch_add(&batch, "find XDP program", RTM_GETLINK, 0, &header, sizeof header);
    return cnl_batch_run(namespace->rtnetlink, &batch, name, read_program, program, error);
}
