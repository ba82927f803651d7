#include "internal.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_REASON (PASS + 1)

// Of each reason, in the order of maps.h.
static const char *const names[REASONS] = {
    [DROP_SOURCE_MAC] = "sourceMac",
    [DROP_DESTINATION_MAC] = "destinationMac",
    [DROP_VLAN] = "vlan",
    [DROP_ARP] = "arp",
    [DROP_ETHERTYPE] = "etherType",
    [DROP_MALFORMED] = "malformed",
    [DROP_SOURCE_IPV4] = "sourceIpv4",
    [DROP_SOURCE_IPV6] = "sourceIpv6",
    [DROP_OPTIONS] = "options",
    [DROP_FRAGMENT] = "fragment",
    [DROP_PROTOCOL] = "protocol",
    [DROP_NEIGHBOUR_DISCOVERY] = "neighbourDiscovery",
    [DROP_ICMP] = "icmp",
    [DROP_MULTICAST] = "multicast",
    [DROP_TO_HOST] = "host",
    [DROP_TO_OTHER_OWNER] = "otherOwner",
    [DROP_TO_SITE] = "site",
    [DROP_PORT] = "port",
    [DROP_NOT_FOR_SLICE] = "notForSlice",
};

struct ccl_classifier {
    struct bpf_object *object;
    // All of them the object's.
    int from_slice, to_slice, from_uplink, to_uplink;
    int slices, drops, networks, services;
    int allowed_networks, allowed_services, raw_grants;
    int audit_even, audit_odd, senders;
    struct control *control; // shared with the programs
    struct port *ports;      // the map of this name, PORTS long; shared too
};

// --- Errors

// libbpf explains itself by messages alone: the last one of this thread.
static _Thread_local char explanation[CCL_DETAIL_SIZE];

static int keep_explanation(enum libbpf_print_level level, const char *format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    // A log of the verifier would not fit; what comes before and after it names the program.
    char text[CCL_DETAIL_SIZE];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = 0;
    if (!strstr(text, "-- BEGIN")) memcpy(explanation, text, sizeof explanation);
    return 0;
}

const char *ccl_explanation(void) { return explanation; }

void ccl_forget_explanation(void) {
    libbpf_set_print(keep_explanation);
    explanation[0] = 0;
}

int ccl_fail(struct ccl_error *error, int number, const char *operation, const char *detail) {
    if (error) {
        error->error = number;
        error->operation = operation;
        snprintf(error->detail, sizeof error->detail, "%s", detail);
    }
    return -number;
}

// EOPNOTSUPP instead of what a kernel says that cannot: without bpf(2) ENOSYS, without a kind of
// program or map EINVAL, where a container keeps it from root EPERM.
int ccl_feature_missing(int number) {
    return number == ENOSYS || number == EINVAL || number == EPERM ? EOPNOTSUPP : number;
}

// --- Taking over

// The map of this name that a program uses: a descriptor, or -1 where it has none.
static int find_map(const struct bpf_prog_info *program, const __u32 *ids, const char *name) {
    for (__u32 index = 0; index < program->nr_map_ids; index++) {
        int map = bpf_map_get_fd_by_id(ids[index]);
        struct bpf_map_info info = {0};
        __u32 size = sizeof info;
        if (map >= 0 && bpf_obj_get_info_by_fd(map, &info, &size) == 0 &&
            strcmp(info.name, name) == 0)
            return map;
        if (map >= 0) close(map);
    }
    return -1;
}

static bool same_layout(int descriptor, const struct bpf_map *map) {
    struct bpf_map_info info = {0};
    __u32 size = sizeof info;
    return bpf_obj_get_info_by_fd(descriptor, &info, &size) == 0 &&
           info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
           info.value_size == bpf_map__value_size(map) &&
           info.max_entries == bpf_map__max_entries(map) &&
           info.map_flags == bpf_map__map_flags(map);
}

#define MAX_MAPS 32

// Takes over what one program uses.
static int take_over(struct bpf_object *object, __u32 running, struct ccl_error *error) {
    static const char *const kept[] = {
        "slices",  "drops",      "flows",     "visits", "senders",
        "audit_even", "audit_odd", "ports",  "echoes", "fragments",
    };
    const char *operation = "take over the running classifier";
    int program = bpf_prog_get_fd_by_id(running);
    if (program < 0) return errno == ENOENT ? 0 : ccl_fail(error, errno, operation, "program");
    __u32 ids[MAX_MAPS];
    struct bpf_prog_info info = {.nr_map_ids = MAX_MAPS, .map_ids = (uintptr_t)ids};
    __u32 size = sizeof info;
    int result = bpf_obj_get_info_by_fd(program, &info, &size);
    if (result < 0) result = ccl_fail(error, errno, operation, "program");
    if (info.nr_map_ids > MAX_MAPS) info.nr_map_ids = MAX_MAPS;
    for (size_t index = 0; result == 0 && index < sizeof kept / sizeof kept[0]; index++) {
        struct bpf_map *map = bpf_object__find_map_by_name(object, kept[index]);
        int descriptor = map ? find_map(&info, ids, kept[index]) : -1;
        // libbpf duplicates the descriptor.
        if (descriptor >= 0 && same_layout(descriptor, map) &&
            bpf_map__reuse_fd(map, descriptor) < 0)
            result = ccl_fail(error, errno, operation, kept[index]);
        if (descriptor >= 0) close(descriptor);
    }
    close(program);
    return result;
}

// --- Loading

static int find_parts(struct ccl_classifier *classifier) {
    const struct {
        const char *name;
        int *descriptor;
    } programs[] =
        {
            {"from_slice", &classifier->from_slice},
            {"to_slice", &classifier->to_slice},
            {"from_uplink", &classifier->from_uplink},
            {"to_uplink", &classifier->to_uplink},
        },
      maps[] = {
          {"slices", &classifier->slices},
          {"drops", &classifier->drops},
          {"networks", &classifier->networks},
          {"services", &classifier->services},
          {"allowed_networks", &classifier->allowed_networks},
          {"allowed_services", &classifier->allowed_services},
          {"raw_grants", &classifier->raw_grants},
          {"audit_even", &classifier->audit_even},
          {"audit_odd", &classifier->audit_odd},
          {"senders", &classifier->senders},
      };
    int result = 0;
    for (size_t index = 0; index < sizeof programs / sizeof programs[0]; index++) {
        const struct bpf_program *program =
            bpf_object__find_program_by_name(classifier->object, programs[index].name);
        *programs[index].descriptor = program ? bpf_program__fd(program) : -1;
        if (*programs[index].descriptor < 0) result = -EINVAL;
    }
    for (size_t index = 0; index < sizeof maps / sizeof maps[0]; index++) {
        *maps[index].descriptor =
            bpf_object__find_map_fd_by_name(classifier->object, maps[index].name);
        if (*maps[index].descriptor < 0) result = -EINVAL;
    }
    if (result < 0) return result;
    classifier->control =
        ccl_share(classifier->object, ".data.control", sizeof *classifier->control);
    return classifier->control ? 0 : -errno;
}

static int load(
    struct ccl_classifier *classifier, const uint32_t *running, size_t count,
    struct ccl_error *error) {
    int result = 0;
    for (size_t index = 0; result == 0 && index < count; index++)
        result = take_over(classifier->object, running[index], error);
    if (result < 0) return result;
    ccl_forget_explanation();
    result = bpf_object__load(classifier->object);
    if (result < 0)
        return ccl_fail(error, ccl_feature_missing(-result), "load the classifier", explanation);
    result = find_parts(classifier);
    if (result < 0) return ccl_fail(error, -result, "load the classifier", "a part is missing");
    void *ports = mmap(
        NULL, PORTS * sizeof(struct port), PROT_READ | PROT_WRITE, MAP_SHARED,
        bpf_object__find_map_fd_by_name(classifier->object, "ports"), 0);
    if (ports == MAP_FAILED) return ccl_fail(error, errno, "load the classifier", "map ports");
    classifier->ports = ports;
    return 0;
}

int ccl_open(
    const char *path, const uint32_t *running, size_t count, struct ccl_classifier **classifier,
    struct ccl_error *error) {
    struct ccl_classifier *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return ccl_fail(error, ENOMEM, "open the classifier", "out of memory");
    ccl_forget_explanation();
    fresh->object = bpf_object__open_file(path, NULL);
    int result = fresh->object ? load(fresh, running, count, error)
                               : ccl_fail(error, errno, "open the classifier", path);
    if (result < 0) {
        ccl_close(fresh);
        return result;
    }
    *classifier = fresh;
    return 0;
}

void ccl_close(struct ccl_classifier *classifier) {
    if (!classifier) return;
    if (classifier->control) munmap(classifier->control, sizeof *classifier->control);
    if (classifier->ports) munmap(classifier->ports, PORTS * sizeof(struct port));
    bpf_object__close(classifier->object);
    free(classifier);
}

int ccl_map(const struct ccl_classifier *classifier, const char *name) {
    return bpf_object__find_map_fd_by_name(classifier->object, name);
}

struct control *ccl_control(const struct ccl_classifier *classifier) { return classifier->control; }

struct port *ccl_port_table(const struct ccl_classifier *classifier) { return classifier->ports; }

int ccl_program(const struct ccl_classifier *classifier, const char *name) {
    return bpf_program__fd(bpf_object__find_program_by_name(classifier->object, name));
}

int ccl_from_slice(const struct ccl_classifier *classifier) { return classifier->from_slice; }
int ccl_to_slice(const struct ccl_classifier *classifier) { return classifier->to_slice; }
int ccl_from_uplink(const struct ccl_classifier *classifier) { return classifier->from_uplink; }
int ccl_to_uplink(const struct ccl_classifier *classifier) { return classifier->to_uplink; }

// --- Maps

// Memory for an entry comes from a small stock of the processor's (kernel/bpf/memalloc.c), which is
// filled up from an interrupt's work: a moment later where that comes with the clock's tick alone.
#define UPDATE_TRIES 200
#define UPDATE_PAUSE_NS 5000000

// Nothing counts any more that was found out before the change just made (verdicts.h).
static void forget_verdicts(const struct ccl_classifier *classifier) {
    __atomic_add_fetch(&classifier->control->generation, 1, __ATOMIC_SEQ_CST);
}

// 0 or -1 with errno, as bpf_map_update_elem().
int ccl_update_entry(int map, const void *key, const void *value, __u64 flags) {
    for (int tries = 1;; tries++) {
        int result = bpf_map_update_elem(map, key, value, flags);
        if (result == 0 || errno != ENOMEM || tries == UPDATE_TRIES) return result;
        nanosleep(&(struct timespec){.tv_nsec = UPDATE_PAUSE_NS}, NULL);
    }
}

// The same for all maps that packets are judged by.
int ccl_update(
    const struct ccl_classifier *classifier, int map, const void *key, const void *value,
    __u64 flags) {
    int result = ccl_update_entry(map, key, value, flags);
    if (result == 0) forget_verdicts(classifier);
    return result;
}

// The same for bpf_map_delete_elem(); what is not there is fine.
static int forget(const struct ccl_classifier *classifier, int map, const void *key) {
    int result = bpf_map_delete_elem(map, key);
    if (result < 0 && errno != ENOENT) return result;
    forget_verdicts(classifier);
    return 0;
}

// --- Slices

int ccl_admit(
    const struct ccl_classifier *classifier, uint32_t link, const struct ccl_slice *slice,
    struct ccl_error *error) {
    static const struct drops none;
    struct slice entry = {
        .owner = slice->owner,
        .class = slice->class,
        .has_ipv6 = slice->has_ipv6,
        .shared = slice->shared,
        .namespace = slice->namespace,
    };
    memcpy(entry.mac, slice->mac, sizeof entry.mac);
    memcpy(entry.host_mac, slice->host_mac, sizeof entry.host_mac);
    memcpy(entry.ipv4, slice->ipv4, sizeof entry.ipv4);
    memcpy(entry.gateway4, slice->gateway4, sizeof entry.gateway4);
    if (slice->has_ipv6) {
        memcpy(entry.ipv6, slice->ipv6, sizeof entry.ipv6);
        memcpy(entry.gateway6, slice->gateway6, sizeof entry.gateway6);
    }
    static const struct sender silent;
    ccl_find_block(classifier, link, &entry);
    if (slice->shared && ccl_name_namespace(classifier, link, slice->namespace) < 0)
        return ccl_fail(error, errno, "admit a link", "map namespaces");
    if (ccl_update(classifier, classifier->drops, &link, &none, BPF_NOEXIST) < 0 && errno != EEXIST)
        return ccl_fail(error, errno, "make the counters of a link", "map drops");
    if (ccl_update(classifier, classifier->senders, &link, &silent, BPF_NOEXIST) < 0 && errno != EEXIST) {
        int number = errno;
        bpf_map_delete_elem(classifier->drops, &link);
        return ccl_fail(error, number, "make the counters of a link", "map senders");
    }
    if (ccl_update(classifier, classifier->slices, &link, &entry, BPF_ANY) == 0) return 0;
    int number = errno;
    bpf_map_delete_elem(classifier->senders, &link);
    bpf_map_delete_elem(classifier->drops, &link);
    return ccl_fail(error, number, "admit a link", "map slices");
}

int ccl_dismiss(
    const struct ccl_classifier *classifier, uint32_t link, struct ccl_error *error) {
    ccl_release_ports(classifier, link);
    if (forget(classifier, classifier->slices, &link) < 0)
        return ccl_fail(error, errno, "dismiss a link", "map slices");
    if (forget(classifier, classifier->raw_grants, &link) < 0)
        return ccl_fail(error, errno, "dismiss a link", "map raw_grants");
    if (forget(classifier, classifier->drops, &link) < 0)
        return ccl_fail(error, errno, "dismiss a link", "map drops");
    return 0;
}

static void copy_ports(struct raw_ports *to, const struct ccl_raw_ports *from) {
    to->count = from->count < RAW_RANGES ? from->count : RAW_RANGES;
    for (size_t index = 0; index < to->count; index++) {
        to->ranges[index].first = from->ranges[2 * index];
        to->ranges[index].last = from->ranges[2 * index + 1];
    }
}

int ccl_set_raw(
    const struct ccl_classifier *classifier, uint32_t link, const struct ccl_raw *raw,
    struct ccl_error *error) {
    int result;
    if (raw) {
        struct raw_grant entry = {
            .asks_for_address = raw->asks_for_address,
            .marks = raw->marks,
            .bypasses = raw->bypasses,
        };
        copy_ports(&entry.udp, &raw->udp);
        copy_ports(&entry.tcp, &raw->tcp);
        memcpy(entry.ipv4, raw->ipv4, sizeof entry.ipv4);
        memcpy(entry.ipv6, raw->ipv6, sizeof entry.ipv6);
        for (size_t index = 0; index < sizeof entry.ethertypes / sizeof entry.ethertypes[0]; index++)
            entry.ethertypes[index] = htons(raw->ethertypes[index]);
        result = ccl_update(classifier, classifier->raw_grants, &link, &entry, BPF_ANY);
    } else {
        result = forget(classifier, classifier->raw_grants, &link);
    }
    return result < 0 ? ccl_fail(error, errno, "grant raw packets", "map raw_grants") : 0;
}

int ccl_forget_sender(
    const struct ccl_classifier *classifier, uint32_t link, struct ccl_error *error) {
    return forget(classifier, classifier->senders, &link) < 0
               ? ccl_fail(error, errno, "forget a link", "map senders")
               : 0;
}

static bool contains(const uint32_t *links, size_t count, uint32_t link) {
    for (size_t index = 0; index < count; index++)
        if (links[index] == link) return true;
    return false;
}

// Those that are keys of a map.
static int retain(
    const struct ccl_classifier *classifier, int map, const uint32_t *links, size_t count,
    struct ccl_error *error) {
    // The walk goes by keys, and begins anew where its present one is gone: the next is got first.
    __u32 link, next;
    bool more = bpf_map_get_next_key(map, NULL, &next) == 0;
    while (more) {
        link = next;
        more = bpf_map_get_next_key(map, &link, &next) == 0;
        if (contains(links, count, link)) continue;
        int result = ccl_dismiss(classifier, link, error);
        if (result < 0) return result;
    }
    return 0;
}

int ccl_retain(
    const struct ccl_classifier *classifier, const uint32_t *links, size_t count,
    struct ccl_error *error) {
    // One of both may be new, where its layout has changed.
    int result = retain(classifier, classifier->slices, links, count, error);
    return result < 0 ? result : retain(classifier, classifier->drops, links, count, error);
}

// --- Destinations

int ccl_set_network(
    const struct ccl_classifier *classifier, const uint8_t address[16], uint32_t length,
    bool allowed, struct ccl_error *error) {
    struct network network = {.length = length};
    memcpy(network.address, address, sizeof network.address);
    __u32 verdict = allowed ? NETWORK_ALLOWED : NETWORK_REFUSED;
    return ccl_update(classifier, classifier->networks, &network, &verdict, BPF_ANY) < 0
               ? ccl_fail(error, errno, "set the policy for a network", "map networks")
               : 0;
}

static struct service
service_key(const uint8_t address[16], uint16_t port, uint8_t protocol) {
    struct service service = {.port = htons(port), .protocol = protocol};
    memcpy(service.address, address, sizeof service.address);
    return service;
}

int ccl_add_service(
    const struct ccl_classifier *classifier, const uint8_t address[16], uint16_t port,
    uint8_t protocol, struct ccl_error *error) {
    const struct service service = service_key(address, port, protocol);
    __u32 allowed = 1;
    return ccl_update(classifier, classifier->services, &service, &allowed, BPF_ANY) < 0
               ? ccl_fail(error, errno, "allow a service", "map services")
               : 0;
}

int ccl_remove_service(
    const struct ccl_classifier *classifier, const uint8_t address[16], uint16_t port,
    uint8_t protocol, struct ccl_error *error) {
    const struct service service = service_key(address, port, protocol);
    return forget(classifier, classifier->services, &service) < 0
               ? ccl_fail(error, errno, "withdraw a service", "map services")
               : 0;
}

// --- Destinations of one slice

int ccl_allow_network(
    const struct ccl_classifier *classifier, uint32_t link, const uint8_t address[16],
    uint32_t length, bool allowed, struct ccl_error *error) {
    static const __u32 set = 1;
    static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
    const bool is_ipv4 = length >= 96 && memcmp(address, mapped, sizeof mapped) == 0;
    struct allowed_network network = {
        .length = 8 * (sizeof network.link + sizeof network.family) + length, .link = link,
        .family = is_ipv4 ? AF_INET : AF_INET6};
    memcpy(network.address, address, sizeof network.address);
    int result = allowed ? ccl_update(classifier, classifier->allowed_networks, &network, &set, BPF_ANY)
                         : forget(classifier, classifier->allowed_networks, &network);
    return result < 0 ? ccl_fail(error, errno, "allow a network", "map allowed_networks") : 0;
}

int ccl_allow_service(
    const struct ccl_classifier *classifier, uint32_t link, uint16_t port, uint8_t protocol,
    bool allowed, struct ccl_error *error) {
    static const __u32 set = 1;
    struct allowed_service service = {.link = link, .port = htons(port), .protocol = protocol};
    int result = allowed ? ccl_update(classifier, classifier->allowed_services, &service, &set, BPF_ANY)
                         : forget(classifier, classifier->allowed_services, &service);
    return result < 0 ? ccl_fail(error, errno, "allow a port", "map allowed_services") : 0;
}

// --- Counters

size_t ccl_reasons(void) { return REASONS - FIRST_REASON; }
size_t ccl_received_reasons(void) { return DROP_NOT_FOR_SLICE - FIRST_REASON; }
const char *ccl_reason_name(size_t reason) { return names[reason + FIRST_REASON]; }

int ccl_drops(
    const struct ccl_classifier *classifier, uint32_t link, uint64_t *packets, uint64_t *bytes,
    struct ccl_error *error) {
    struct drops counted;
    if (bpf_map_lookup_elem(classifier->drops, &link, &counted) < 0)
        return ccl_fail(error, errno, "read the counters of a link", "map drops");
    for (size_t reason = 0; reason < ccl_reasons(); reason++) {
        packets[reason] = counted.packets[reason + FIRST_REASON];
        bytes[reason] = counted.bytes[reason + FIRST_REASON];
    }
    return 0;
}

// --- Trying

int ccl_trial_program(struct ccl_error *error) {
    // return TC_ACT_OK
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int program = bpf_prog_load(
        BPF_PROG_TYPE_SCHED_CLS, "trial", "GPL", pass, sizeof pass / sizeof pass[0], NULL);
    return program < 0 ? ccl_fail(error, ccl_feature_missing(errno), "load a BPF program", "bpf(2)") : program;
}
