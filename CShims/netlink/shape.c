// Bandwidth: HTB on uplinks, TBF on slices' links (tc-htb(8), tc-tbf(8)).

#include "cnetlink_shape.h"
#include "internal.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define ALL 1 // the minor of the class of all slices
#define HOST_QUEUE 1000 // packets; the usual txqueuelen, which virtual links may have as 0
#define NAME_SIZE 32

// Bytes a second with which a TBF never waits: a packet takes less than the kernel's nanosecond.
#define AT_ONCE 1000000000000000ull

static const char *name_of(char name[NAME_SIZE], int index) {
    snprintf(name, NAME_SIZE, "link %d", index);
    return name;
}

static struct tcmsg header_of(int index, uint32_t handle, uint32_t parent) {
    return (struct tcmsg){.tcm_ifindex = index, .tcm_handle = handle, .tcm_parent = parent};
}

// The kernel looks for the module of a kind that it does not know, and has no better word than this
// (qdisc_create() in net/sched/sch_api.c).
static int unsupported(int result, struct cnl_error *error, const struct cnl_error *failure) {
    if (result == 0) return 0;
    if (error) *error = *failure;
    if (result != -ENOENT) return result;
    if (error) error->error = EOPNOTSUPP;
    return -EOPNOTSUPP;
}

// --- Units

// The time that `bytes` take at a rate, in the units of 64 ns that tc's messages have
// (PSCHED_TICKS2NS() in net/pkt_sched.h).
static uint32_t ticks(uint64_t bytes, uint64_t rate) {
    double time = (double)bytes / (double)rate * 1e9 / 64;
    return time < 1 ? 1 : time > UINT32_MAX ? UINT32_MAX : (uint32_t)time;
}

// Without a rate table, which the kernel wants only where it does not know the link's layer.
static struct tc_ratespec ratespec(uint64_t rate) {
    return (struct tc_ratespec){
        .linklayer = TC_LINKLAYER_ETHERNET, .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate};
}

static void put_u64(struct cnl_batch *batch, struct nl_msg *message, int type, uint64_t value) {
    cnl_put(batch, message, type, &value, sizeof value);
}

// --- The root

static void read_root(const struct nlmsghdr *reply, void *argument) {
    struct cnl_root_qdisc *root = argument;
    struct nlattr *attributes[TCA_MAX + 1];
    struct nlmsghdr *header = (struct nlmsghdr *)reply;
    if (reply->nlmsg_type != RTM_NEWQDISC ||
        nlmsg_parse(header, sizeof(struct tcmsg), attributes, TCA_MAX, NULL) < 0)
        return;
    root->handle = ((struct tcmsg *)nlmsg_data(header))->tcm_handle;
    const char *kind = cnl_get_text(attributes[TCA_KIND]);
    if (kind) snprintf(root->kind, sizeof root->kind, "%s", kind);
    if (root->handle == 0)
        root->owner = strcmp(root->kind, "noqueue") == 0 ? CNL_ROOT_NONE : CNL_ROOT_DEFAULT;
    else if (root->handle == CNL_SHAPE_HANDLE && strcmp(root->kind, "htb") == 0)
        root->owner = CNL_ROOT_OURS;
    else
        root->owner = CNL_ROOT_OTHER;
}

// Without NLM_F_ECHO the kernel answers a request for a qdisc to those alone who listen to all changes
// (qdisc_notify() in sch_api.c).
int cnl_root_find(
    struct cnl_context *context, int index, struct cnl_root_qdisc *root, struct cnl_error *error) {
    char name[NAME_SIZE];
    const struct tcmsg header = header_of(index, 0, TC_H_ROOT);
    struct cnl_batch batch = {0};
    *root = (struct cnl_root_qdisc){.owner = CNL_ROOT_NONE};
    cnl_batch_add(
        &batch, "find root qdisc", RTM_GETQDISC, NLM_F_ACK | NLM_F_ECHO, &header, sizeof header);
    return cnl_batch_run(
        context->rtnetlink, &batch, name_of(name, index), read_root, root, error);
}

static void add_tree(struct cnl_batch *batch, int index) {
    const struct tcmsg header = header_of(index, CNL_SHAPE_HANDLE, TC_H_ROOT);
    // No default class: what belongs to no slice is the host's.
    const struct tc_htb_glob settings = {.version = TC_HTB_PROTOVER, .rate2quantum = 10};
    struct nl_msg *message = cnl_batch_add(
        batch, "add root qdisc", RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &header,
        sizeof header);
    cnl_put_string(batch, message, TCA_KIND, "htb");
    struct nlattr *options = cnl_nest_start(batch, message, TCA_OPTIONS);
    cnl_put(batch, message, TCA_HTB_INIT, &settings, sizeof settings);
    cnl_put_u32(batch, message, TCA_HTB_DIRECT_QLEN, HOST_QUEUE);
    cnl_nest_end(message, options);
}

int cnl_tree_create(struct cnl_context *context, int index, struct cnl_error *error) {
    char name[NAME_SIZE];
    struct cnl_root_qdisc root;
    int result = cnl_root_find(context, index, &root, error);
    if (result < 0 || root.owner == CNL_ROOT_OURS) return result;
    struct cnl_batch batch = {0};
    struct cnl_error failure;
    add_tree(&batch, index);
    result = cnl_batch_run(
        context->rtnetlink, &batch, name_of(name, index), NULL, NULL, &failure);
    return unsupported(result, error, &failure);
}

static int remove_root(struct cnl_context *context, int index, struct cnl_error *error) {
    char name[NAME_SIZE];
    const struct tcmsg header = header_of(index, CNL_SHAPE_HANDLE, TC_H_ROOT);
    struct cnl_batch batch = {0};
    cnl_batch_add(&batch, "delete root qdisc", RTM_DELQDISC, NLM_F_ACK, &header, sizeof header);
    struct cnl_error failure;
    int result = cnl_batch_run(
        context->rtnetlink, &batch, name_of(name, index), NULL, NULL, &failure);
    // No such link, no qdisc, another's: tc_get_qdisc().
    if (result == 0 || result == -ENODEV || result == -ENOENT || result == -EINVAL) return 0;
    if (error) *error = failure;
    return result;
}

int cnl_tree_remove(struct cnl_context *context, int index, struct cnl_error *error) {
    return remove_root(context, index, error);
}

// --- Classes

static void add_class(struct cnl_batch *batch, int index, const struct cnl_class *class) {
    const struct tcmsg header = header_of(
        index, CNL_SHAPE_HANDLE | class->minor,
        class->minor == ALL ? CNL_SHAPE_HANDLE : CNL_SHAPE_HANDLE | ALL);
    if (class->fresh)
        cnl_batch_add(batch, "delete class", RTM_DELTCLASS, NLM_F_ACK, &header, sizeof header);
    const struct tc_htb_opt settings = {
        .rate = ratespec(class->rate),
        .ceil = ratespec(class->ceil),
        .buffer = ticks(class->burst, class->rate),
        .cbuffer = ticks(class->cburst, class->ceil),
        .quantum = class->quantum,
    };
    struct nl_msg *message = cnl_batch_add(
        batch, "set class", RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_ACK, &header, sizeof header);
    cnl_put_string(batch, message, TCA_KIND, "htb");
    struct nlattr *options = cnl_nest_start(batch, message, TCA_OPTIONS);
    cnl_put(batch, message, TCA_HTB_PARMS, &settings, sizeof settings);
    put_u64(batch, message, TCA_HTB_RATE64, class->rate);
    put_u64(batch, message, TCA_HTB_CEIL64, class->ceil);
    cnl_nest_end(message, options);
}

static const char SET_BUCKET[] = "set TBF qdisc";

static void add_fifo(struct cnl_batch *batch, int index, uint32_t parent, uint32_t queue) {
    const struct tcmsg header = header_of(index, 0, parent);
    const struct tc_fifo_qopt settings = {.limit = queue};
    struct nl_msg *message = cnl_batch_add(
        batch, "set bfifo qdisc", RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &header,
        sizeof header);
    cnl_put_string(batch, message, TCA_KIND, "bfifo");
    cnl_put(batch, message, TCA_OPTIONS, &settings, sizeof settings);
}

// One that is there is changed, whatever handle the kernel has given it.
static void add_bucket(
    struct cnl_batch *batch, int index, uint32_t handle, uint32_t parent, uint64_t rate,
    uint32_t burst, uint32_t queue) {
    const struct tcmsg header = header_of(index, handle, parent);
    const struct tc_tbf_qopt settings = {
        .rate = ratespec(rate), .limit = queue, .buffer = ticks(burst, rate)};
    struct nl_msg *message = cnl_batch_add(
        batch, SET_BUCKET, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &header,
        sizeof header);
    cnl_put_string(batch, message, TCA_KIND, "tbf");
    struct nlattr *options = cnl_nest_start(batch, message, TCA_OPTIONS);
    cnl_put(batch, message, TCA_TBF_PARMS, &settings, sizeof settings);
    put_u64(batch, message, TCA_TBF_RATE64, rate);
    cnl_put_u32(batch, message, TCA_TBF_BURST, burst);
    cnl_nest_end(message, options);
}

// Messages for one class at most.
#define CLASS_MESSAGES 3

static int set_classes(
    int rtnetlink, int index, const struct cnl_class *classes, size_t count,
    struct cnl_error *error) {
    char name[NAME_SIZE];
    for (size_t done = 0; done < count;) {
        struct cnl_batch batch = {0};
        for (; done < count && batch.count + CLASS_MESSAGES <= CNL_BATCH_MAX; done++) {
            const struct cnl_class *class = &classes[done];
            if (class->minor == 0 || class->minor > 0xffff || class->rate == 0 || class->ceil == 0) {
                for (unsigned each = 0; each < batch.count; each++) nlmsg_free(batch.messages[each]);
                return cnl_fail(error, EINVAL, "check class", "%u", class->minor);
            }
            add_class(&batch, index, class);
            const uint32_t leaf = CNL_SHAPE_HANDLE | class->minor;
            if (class->queue && class->packet)
                add_bucket(&batch, index, 0, leaf, AT_ONCE, class->packet, class->queue);
            else if (class->queue)
                add_fifo(&batch, index, leaf, class->queue);
        }
        struct cnl_error failure;
        int result =
            cnl_batch_run(rtnetlink, &batch, name_of(name, index), NULL, NULL, &failure);
        // Without the tree it is ENOENT too, for the class.
        if (result < 0 && strcmp(failure.operation, SET_BUCKET) == 0)
            return unsupported(result, error, &failure);
        if (result < 0 && error) *error = failure;
        if (result < 0) return result;
    }
    return 0;
}

int cnl_classes_set(
    struct cnl_context *context, int index, const struct cnl_class *classes, size_t count,
    struct cnl_error *error) {
    return set_classes(context->rtnetlink, index, classes, count, error);
}

// --- Slices' links

int cnl_bucket_set(
    struct cnl_context *context, int index, const struct cnl_bucket *bucket,
    struct cnl_error *error) {
    if (!bucket) return remove_root(context, index, error);
    char name[NAME_SIZE];
    struct cnl_batch batch = {0};
    add_bucket(
        &batch, index, CNL_SHAPE_HANDLE, TC_H_ROOT, bucket->rate, bucket->burst, bucket->queue);
    struct cnl_error failure;
    int result = cnl_batch_run(
        context->rtnetlink, &batch, name_of(name, index), NULL, NULL, &failure);
    return unsupported(result, error, &failure);
}

// --- Trying

int cnl_shape_try(const struct cnl_namespace *namespace, struct cnl_error *error) {
    static const struct cnl_class classes[] = {
        {.minor = ALL, .rate = 1000, .ceil = 1000, .burst = 3000, .cburst = 3000},
        {.minor = ALL + 1, .rate = 1, .ceil = 1000, .burst = 3000, .cburst = 3000, .quantum = 1600,
         .queue = 3000, .packet = 1514},
    };
    struct cnl_batch batch = {0};
    struct cnl_error failure;
    add_tree(&batch, CNL_LOOPBACK_INDEX);
    int result = cnl_batch_run(
        namespace->rtnetlink, &batch, "lo of a namespace", NULL, NULL, &failure);
    if (result < 0) return unsupported(result, error, &failure);
    return set_classes(namespace->rtnetlink, CNL_LOOPBACK_INDEX, classes, 2, error);
}

// --- Speed

// Drivers that tell of a speed and have none (drivers/net/veth.c, tun.c).
static bool invents_speed(const char *driver) {
    return strcmp(driver, "veth") == 0 || strcmp(driver, "tun") == 0;
}

uint64_t cnl_link_speed(struct cnl_context *context, const char *name) {
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ethtool_cmd settings = {.cmd = ETHTOOL_GSET};
    struct ifreq request = {.ifr_data = (void *)&driver};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(context->rtnetlink, SIOCETHTOOL, &request) < 0 || invents_speed(driver.driver))
        return 0;
    request.ifr_data = (void *)&settings;
    if (ioctl(context->rtnetlink, SIOCETHTOOL, &request) < 0) return 0;
    uint32_t megabits = ethtool_cmd_speed(&settings);
    return megabits == (uint32_t)SPEED_UNKNOWN ? 0 : (uint64_t)megabits * 1000000;
}
