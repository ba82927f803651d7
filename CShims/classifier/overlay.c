#include "overlay.h"
#include "cclassifier_overlay.h"
#include "internal.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define FIRST_REASON (OVERLAY_PASS + 1)

// Of each reason, in the order of overlay.h.
static const char *const names[OVERLAY_REASONS] = {
    [OVERLAY_FRAME] = "frame",
    [OVERLAY_MALFORMED] = "malformed",
    [OVERLAY_SOURCE] = "source",
    [OVERLAY_PROTOCOL] = "protocol",
    [OVERLAY_DESTINATION] = "destination",
    [OVERLAY_PEER] = "peer",
    [OVERLAY_RECEIVED] = "received",
    [OVERLAY_ICMP] = "icmp",
};

struct ccl_overlay {
    struct bpf_object *object;
    // All of them the object's.
    int from_member, to_member, from_peer, to_peer;
    int members, peers, dropped;
    _Atomic uint32_t *speakers; // MOST_SPEAKERS, shared with the programs
};

static __u32 mask(unsigned length) { return htonl(~(__u32)0 << (32 - length)); }

static __u32 word(const uint8_t bytes[4]) {
    __u32 value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static int find_parts(struct ccl_overlay *overlay) {
    const struct {
        const char *name;
        int *descriptor;
    } programs[] =
        {
            {"from_member", &overlay->from_member},
            {"to_member", &overlay->to_member},
            {"from_peer", &overlay->from_peer},
            {"to_peer", &overlay->to_peer},
        },
      maps[] = {
          {"members", &overlay->members},
          {"peers", &overlay->peers},
          {"dropped", &overlay->dropped},
      };
    for (size_t index = 0; index < sizeof programs / sizeof programs[0]; index++) {
        const struct bpf_program *program =
            bpf_object__find_program_by_name(overlay->object, programs[index].name);
        *programs[index].descriptor = program ? bpf_program__fd(program) : -1;
        if (*programs[index].descriptor < 0) return -EINVAL;
    }
    for (size_t index = 0; index < sizeof maps / sizeof maps[0]; index++) {
        *maps[index].descriptor = bpf_object__find_map_fd_by_name(overlay->object, maps[index].name);
        if (*maps[index].descriptor < 0) return -EINVAL;
    }
    overlay->speakers = ccl_share(overlay->object, ".data.speakers", sizeof(struct speakers));
    return overlay->speakers ? 0 : -errno;
}

static int load(
    struct ccl_overlay *overlay, const struct ccl_overlay_terms *terms, struct ccl_error *error) {
    const char *operation = "load the programs of an overlay";
    struct bpf_map *data = bpf_object__find_map_by_name(overlay->object, ".data.terms");
    const struct terms initial = {
        .subnet = word(terms->subnet) & mask(terms->subnet_length),
        .subnet_mask = mask(terms->subnet_length),
        .part = word(terms->part) & mask(terms->part_length),
        .part_mask = mask(terms->part_length),
        .gateway = word(terms->gateway),
        .network = terms->network,
        .has_headers = terms->has_headers,
    };
    if (!data || bpf_map__set_initial_value(data, &initial, sizeof initial) < 0)
        return ccl_fail(error, EINVAL, operation, "terms");
    ccl_forget_explanation();
    int result = bpf_object__load(overlay->object);
    if (result < 0)
        return ccl_fail(error, ccl_feature_missing(-result), operation, ccl_explanation());
    result = find_parts(overlay);
    return result < 0 ? ccl_fail(error, -result, operation, "a part is missing") : 0;
}

int ccl_overlay_open(
    const char *path, const struct ccl_overlay_terms *terms, struct ccl_overlay **overlay,
    struct ccl_error *error) {
    const char *operation = "open the programs of an overlay";
    struct ccl_overlay *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return ccl_fail(error, ENOMEM, operation, "out of memory");
    fresh->object = bpf_object__open_file(path, NULL);
    int result =
        fresh->object ? load(fresh, terms, error) : ccl_fail(error, errno, operation, path);
    if (result < 0) {
        ccl_overlay_close(fresh);
        return result;
    }
    *overlay = fresh;
    return 0;
}

void ccl_overlay_close(struct ccl_overlay *overlay) {
    if (!overlay) return;
    if (overlay->speakers) munmap((void *)overlay->speakers, sizeof(struct speakers));
    bpf_object__close(overlay->object);
    free(overlay);
}

int ccl_overlay_from_member(const struct ccl_overlay *overlay) { return overlay->from_member; }
int ccl_overlay_to_member(const struct ccl_overlay *overlay) { return overlay->to_member; }
int ccl_overlay_from_peer(const struct ccl_overlay *overlay) { return overlay->from_peer; }
int ccl_overlay_to_peer(const struct ccl_overlay *overlay) { return overlay->to_peer; }

// --- Members

int ccl_overlay_count(
    const struct ccl_overlay *overlay, uint32_t link, struct ccl_error *error) {
    static const struct overlay_drops none;
    if (ccl_update_entry(overlay->dropped, &link, &none, BPF_NOEXIST) == 0 || errno == EEXIST)
        return 0;
    return ccl_fail(error, errno, "make the counters of a link", "map dropped");
}

// Lists a link among the speakers, or takes it out. -1: there is no place.
static int set_speaker(const struct ccl_overlay *overlay, uint32_t link, bool speaks) {
    _Atomic uint32_t *place = NULL;
    for (size_t each = 0; each < MOST_SPEAKERS; each++) {
        const uint32_t there = overlay->speakers[each];
        if (there == link) {
            if (!speaks) overlay->speakers[each] = 0;
            return 0;
        }
        if (there == 0 && !place) place = &overlay->speakers[each];
    }
    if (!speaks) return 0;
    if (!place) return -1;
    *place = link;
    return 0;
}

static bool speaks(const struct member *member) {
    return (member->protocols[0] | member->protocols[1] | member->protocols[2] |
            member->protocols[3]) != 0;
}

int ccl_overlay_admit(
    const struct ccl_overlay *overlay, uint32_t link, const struct ccl_overlay_member *member,
    struct ccl_error *error) {
    struct member entry = {.address = word(member->address), .class = member->class};
    memcpy(entry.mac, member->mac, sizeof entry.mac);
    memcpy(entry.host_mac, member->host_mac, sizeof entry.host_mac);
    memcpy(entry.protocols, member->protocols, sizeof entry.protocols);
    struct member before;
    const bool known = bpf_map_lookup_elem(overlay->members, &link, &before) == 0;
    int result = ccl_overlay_count(overlay, link, error);
    if (result < 0) return result;
    const char *what = "map members";
    int number = E2BIG;
    if (set_speaker(overlay, link, speaks(&entry)) < 0) {
        what = "too many members with granted protocols";
    } else {
        if (ccl_update_entry(overlay->members, &link, &entry, BPF_ANY) == 0) return 0;
        number = errno;
        set_speaker(overlay, link, known && speaks(&before));
    }
    if (!known) bpf_map_delete_elem(overlay->dropped, &link);
    return ccl_fail(error, number, "admit a link", what);
}

int ccl_overlay_dismiss(
    const struct ccl_overlay *overlay, uint32_t link, struct ccl_error *error) {
    set_speaker(overlay, link, false);
    if (bpf_map_delete_elem(overlay->members, &link) < 0 && errno != ENOENT)
        return ccl_fail(error, errno, "dismiss a link", "map members");
    if (bpf_map_delete_elem(overlay->dropped, &link) < 0 && errno != ENOENT)
        return ccl_fail(error, errno, "dismiss a link", "map dropped");
    return 0;
}

// --- Peers

int ccl_overlay_set_peer(
    const struct ccl_overlay *overlay, const uint8_t part[4], uint8_t length, int family,
    const uint8_t host[16], struct ccl_error *error) {
    const struct part key = {.length = length, .address = word(part)};
    struct peer peer = {.family = (__u32)family};
    if (family == AF_INET) peer.ipv4 = ntohl(word(host));
    else if (family == AF_INET6) memcpy(peer.ipv6, host, sizeof peer.ipv6);
    return ccl_update_entry(overlay->peers, &key, &peer, BPF_ANY) < 0
               ? ccl_fail(error, errno, "set a peer", "map peers")
               : 0;
}

int ccl_overlay_remove_peer(
    const struct ccl_overlay *overlay, const uint8_t part[4], uint8_t length,
    struct ccl_error *error) {
    const struct part key = {.length = length, .address = word(part)};
    return bpf_map_delete_elem(overlay->peers, &key) < 0 && errno != ENOENT
               ? ccl_fail(error, errno, "remove a peer", "map peers")
               : 0;
}

// --- Counters

size_t ccl_overlay_reasons(void) { return OVERLAY_REASONS - FIRST_REASON; }
const char *ccl_overlay_reason_name(size_t reason) { return names[reason + FIRST_REASON]; }

int ccl_overlay_drops(
    const struct ccl_overlay *overlay, uint32_t link, uint64_t *packets, struct ccl_error *error) {
    struct overlay_drops counted;
    if (bpf_map_lookup_elem(overlay->dropped, &link, &counted) < 0)
        return ccl_fail(error, errno, "read the counters of a link", "map dropped");
    memcpy(packets, counted.packets + FIRST_REASON, ccl_overlay_reasons() * sizeof *packets);
    return 0;
}
