// Which slice has which ports of the node's address (shared.h).

#include "internal.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

static bool in_ranges(uint32_t port, const struct ccl_ports *ranges, size_t count) {
    for (size_t index = 0; index < count; index++)
        if (ranges[index].first <= port && port <= ranges[index].last) return true;
    return false;
}

// Has a link have these ports and no others; what is another's stays so.
static void
give(struct port *ports, uint32_t link, const struct ccl_ports *ranges, size_t count) {
    for (uint32_t port = 1; port < PORTS; port++) {
        const bool wanted = in_ranges(port, ranges, count);
        const uint32_t owner = ports[port].link;
        if (wanted && owner == 0) ports[port].link = link;
        if (!wanted && owner == link) ports[port].link = 0;
    }
}

void ccl_find_block(
    const struct ccl_classifier *classifier, uint32_t link, struct slice *entry) {
    const struct port *ports = ccl_port_table(classifier);
    entry->first_port = entry->port_count = 0;
    if (!entry->shared) return;
    uint16_t length = 0;
    for (uint32_t port = 1; port < PORTS; port++) {
        length = ports[port].link == link ? length + 1 : 0;
        if (length <= entry->port_count) continue;
        entry->port_count = length;
        entry->first_port = (uint16_t)(port - length + 1);
    }
}

int ccl_name_namespace(
    const struct ccl_classifier *classifier, uint32_t link, uint64_t namespace) {
    return ccl_update(classifier, ccl_map(classifier, "namespaces"), &namespace, &link, BPF_ANY);
}

void ccl_release_ports(const struct ccl_classifier *classifier, uint32_t link) {
    struct slice entry;
    // What is not known, of an earlier supervisor with another layout, may have some.
    const bool known = bpf_map_lookup_elem(ccl_map(classifier, "slices"), &link, &entry) == 0;
    if (known && !entry.shared) return;
    give(ccl_port_table(classifier), link, NULL, 0);
    if (known) bpf_map_delete_elem(ccl_map(classifier, "namespaces"), &entry.namespace);
}

int ccl_set_ports(
    const struct ccl_classifier *classifier, uint32_t link, const struct ccl_ports *ranges,
    size_t count, struct ccl_error *error) {
    const char *operation = "give ports to a link";
    struct port *ports = ccl_port_table(classifier);
    const int slices = ccl_map(classifier, "slices");
    struct slice entry;
    if (bpf_map_lookup_elem(slices, &link, &entry) < 0)
        return ccl_fail(error, errno, operation, "map slices");
    for (uint32_t port = 1; port < PORTS; port++) {
        const uint32_t owner = ports[port].link;
        char text[16];
        if (owner == 0 || owner == link || !in_ranges(port, ranges, count)) continue;
        snprintf(text, sizeof text, "port %u", port);
        return ccl_fail(error, EADDRINUSE, operation, text);
    }
    give(ports, link, ranges, count);
    ccl_find_block(classifier, link, &entry);
    return ccl_update(classifier, slices, &link, &entry, BPF_EXIST) < 0
               ? ccl_fail(error, errno, operation, "map slices")
               : 0;
}

int ccl_guard_binds(
    const struct ccl_classifier *classifier, int cgroup, struct ccl_error *error) {
    static const struct {
        const char *program;
        enum bpf_attach_type type;
    } hooks[] = {{"bind_ipv4", BPF_CGROUP_INET4_BIND}, {"bind_ipv6", BPF_CGROUP_INET6_BIND}};
    for (size_t index = 0; index < sizeof hooks / sizeof hooks[0]; index++)
        if (bpf_prog_attach(
                ccl_program(classifier, hooks[index].program), cgroup, hooks[index].type,
                BPF_F_ALLOW_OVERRIDE) < 0)
            return ccl_fail(
                error, errno == EINVAL ? EOPNOTSUPP : errno, "guard bind(2)", "cgroup of all slices");
    return 0;
}
