// The classifier's programs on a link of a slice, and on an uplink: the clsact qdisc and a filter in
// each direction (tc-bpf(8)).

#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <stdio.h>
#include <string.h>

// Where a filter hangs, and what tells it from others'.
struct place {
    uint16_t priority; // lower is earlier
    uint32_t handle;
};
// The first to see a packet; another's filter would have to be put before it on purpose.
static const struct place on_link = {1, 1};
// Beside those of others, which come first and whose numbers are not likely these.
static const struct place on_uplink = {0x736c, 0x736c};

// One that is there already stays, with its filters.
static void add_qdisc(struct cnl_batch *batch, int index) {
    const struct tcmsg header = {
        .tcm_ifindex = index,
        .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
        .tcm_parent = TC_H_CLSACT,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, "add clsact qdisc", RTM_NEWQDISC, NLM_F_CREATE | NLM_F_ACK, &header, sizeof header);
    cnl_put_string(batch, message, TCA_KIND, "clsact");
}

static struct tcmsg filter_header(int index, struct place place, uint32_t direction) {
    return (struct tcmsg){
        .tcm_ifindex = index,
        .tcm_handle = place.handle,
        .tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction),
        .tcm_info = TC_H_MAKE((uint32_t)place.priority << 16, htons(ETH_P_ALL)),
    };
}

// One with the same handle is replaced, between two packets.
static void add_filter(
    struct cnl_batch *batch, int index, struct place place, uint32_t direction, int program,
    const char *name) {
    const struct tcmsg header = filter_header(index, place, direction);
    struct nl_msg *message = cnl_batch_add(
        batch, "attach classifier", RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK,
        &header, sizeof header);
    cnl_put_string(batch, message, TCA_KIND, "bpf");
    struct nlattr *options = cnl_nest_start(batch, message, TCA_OPTIONS);
    cnl_put_u32(batch, message, TCA_BPF_FD, (uint32_t)program);
    cnl_put_string(batch, message, TCA_BPF_NAME, name);
    cnl_put_u32(batch, message, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
    cnl_nest_end(message, options);
}

// No qdisc, no filter, no link.
static bool is_absent(int result) {
    return result == -EINVAL || result == -ENOENT || result == -ENODEV;
}

int cnl_classifier_run(
    int rtnetlink, struct cnl_batch *batch, const char *name, struct cnl_error *error) {
    struct cnl_error failure;
    int result = cnl_batch_run(rtnetlink, batch, name, NULL, NULL, &failure);
    if (result == 0) return 0;
    // No such qdisc, no such filter: tc_new_tfilter() in the kernel's net/sched/cls_api.c.
    if (result == -ENOENT) failure.error = EOPNOTSUPP;
    if (error) *error = failure;
    return -failure.error;
}

void cnl_classifier_add(
    struct cnl_batch *batch, int index, const struct cnl_classifier *classifier) {
    cnl_filters_add(batch, index, (const int[]){classifier->from_slice, classifier->to_slice});
}

void cnl_filters_add(struct cnl_batch *batch, int index, const int programs[2]) {
    add_qdisc(batch, index);
    add_filter(batch, index, on_link, TC_H_MIN_INGRESS, programs[0], "from_slice");
    add_filter(batch, index, on_link, TC_H_MIN_EGRESS, programs[1], "to_slice");
}

static int attach_to_link(
    int rtnetlink, int index, const char *name, const struct cnl_classifier *classifier,
    struct cnl_error *error) {
    struct cnl_batch batch = {0};
    cnl_classifier_add(&batch, index, classifier);
    return cnl_classifier_run(rtnetlink, &batch, name, error);
}

int cnl_classifier_attach(
    struct cnl_context *context, int index, const struct cnl_classifier *classifier,
    struct cnl_error *error) {
    char name[32];
    snprintf(name, sizeof name, "link %d", index);
    return attach_to_link(context->rtnetlink, index, name, classifier, error);
}

int cnl_classifier_try(
    const struct cnl_namespace *namespace, const struct cnl_classifier *classifier,
    struct cnl_error *error) {
    return attach_to_link(
        namespace->rtnetlink, CNL_LOOPBACK_INDEX, "lo of a namespace", classifier, error);
}

static void read_index(const struct nlmsghdr *reply, void *argument) {
    if (reply->nlmsg_type == RTM_NEWLINK && reply->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        *(int *)argument = ((const struct ifinfomsg *)NLMSG_DATA(reply))->ifi_index;
}

int cnl_slice_device(
    const struct cnl_namespace *namespace, const char *device, int *index,
    struct cnl_error *error) {
    const struct ifinfomsg any = {0};
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "look up link", RTM_GETLINK, 0, &any, sizeof any);
    cnl_put_string(&batch, message, IFLA_IFNAME, device);
    *index = 0;
    int result = cnl_check_name(device, error);
    if (result == 0)
        result =
            cnl_batch_run(namespace->rtnetlink, &batch, device, read_index, index, error);
    if (result == 0 && *index == 0)
        result = cnl_fail(error, ENODEV, "look up link", "%s of a slice", device);
    return result;
}

int cnl_raw_attach(
    const struct cnl_namespace *namespace, const char *device, int program,
    struct cnl_error *error) {
    int index;
    int result = cnl_slice_device(namespace, device, &index, error);
    if (result < 0) return result;
    struct cnl_batch batch = {0};
    add_qdisc(&batch, index);
    add_filter(&batch, index, on_link, TC_H_MIN_EGRESS, program, "from_raw_socket");
    return cnl_classifier_run(namespace->rtnetlink, &batch, device, error);
}

int cnl_uplink_attach(
    struct cnl_context *context, int index, const struct cnl_classifier *classifier,
    struct cnl_error *error) {
    char name[32];
    snprintf(name, sizeof name, "uplink %d", index);
    struct cnl_batch batch = {0};
    add_qdisc(&batch, index);
    add_filter(&batch, index, on_uplink, TC_H_MIN_INGRESS, classifier->from_uplink, "from_uplink");
    add_filter(&batch, index, on_uplink, TC_H_MIN_EGRESS, classifier->to_uplink, "to_uplink");
    return cnl_classifier_run(context->rtnetlink, &batch, name, error);
}

int cnl_uplink_detach(struct cnl_context *context, int index, struct cnl_error *error) {
    static const uint32_t directions[] = {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS};
    for (size_t each = 0; each < 2; each++) {
        const struct tcmsg header = filter_header(index, on_uplink, directions[each]);
        struct cnl_batch batch = {0};
        struct nl_msg *message = cnl_batch_add(
            &batch, "detach classifier", RTM_DELTFILTER, NLM_F_ACK, &header, sizeof header);
        cnl_put_string(&batch, message, TCA_KIND, "bpf");
        struct cnl_error failure;
        int result =
            cnl_batch_run(context->rtnetlink, &batch, "uplink", NULL, NULL, &failure);
        if (result == 0 || is_absent(result)) continue;
        if (error) *error = failure;
        return result;
    }
    return 0;
}

static void read_program(const struct nlmsghdr *reply, void *argument) {
    struct nlattr *attributes[TCA_MAX + 1], *options[TCA_BPF_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWTFILTER ||
        nlmsg_parse(header, sizeof(struct tcmsg), attributes, TCA_MAX, NULL) < 0)
        return;
    const char *kind = cnl_get_text(attributes[TCA_KIND]);
    if (!kind || strcmp(kind, "bpf") != 0 || !attributes[TCA_OPTIONS] ||
        nla_parse_nested(options, TCA_BPF_MAX, attributes[TCA_OPTIONS], NULL) < 0)
        return;
    uint32_t *program = argument;
    *program = cnl_get_u32(options[TCA_BPF_ID], *program);
}

static int find_program(
    int rtnetlink, int index, struct place place, uint32_t direction, uint32_t *program,
    struct cnl_error *error) {
    const struct tcmsg header = filter_header(index, place, direction);
    struct cnl_batch batch = {0};
    struct nl_msg *message =
        cnl_batch_add(&batch, "find classifier", RTM_GETTFILTER, 0, &header, sizeof header);
    cnl_put_string(&batch, message, TCA_KIND, "bpf");
    *program = 0;
    struct cnl_error failure;
    int result = cnl_batch_run(rtnetlink, &batch, "filter", read_program, program, &failure);
    if (result == 0 || is_absent(result)) return 0;
    if (error) *error = failure;
    return result;
}

int cnl_classifier_find(
    struct cnl_context *context, int index, uint32_t *program, struct cnl_error *error) {
    return find_program(context->rtnetlink, index, on_link, TC_H_MIN_INGRESS, program, error);
}

int cnl_raw_find(
    const struct cnl_namespace *namespace, const char *device, uint32_t *program,
    struct cnl_error *error) {
    int index;
    *program = 0;
    struct cnl_error failure;
    int result = cnl_slice_device(namespace, device, &index, &failure);
    if (result == 0)
        return find_program(
            namespace->rtnetlink, index, on_link, TC_H_MIN_EGRESS, program, error);
    if (is_absent(result)) return 0;
    if (error) *error = failure;
    return result;
}

int cnl_uplink_find(
    struct cnl_context *context, int index, uint32_t *program, struct cnl_error *error) {
    return find_program(context->rtnetlink, index, on_uplink, TC_H_MIN_INGRESS, program, error);
}

int cnl_uplink_find_leaving(
    struct cnl_context *context, int index, uint32_t *program, struct cnl_error *error) {
    return find_program(context->rtnetlink, index, on_uplink, TC_H_MIN_EGRESS, program, error);
}
