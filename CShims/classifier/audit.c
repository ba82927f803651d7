// Takes away what audit.h has counted, and reads the counters of all links at once.

#include "internal.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 1024

// Until no program runs any more that was running before (membarrier(2): synchronize_rcu()). Where the
// kernel doesn't do it, because of nohz_full, longer than one takes.
static void await_programs(void) {
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

// Passes on all elements of a hash map, some hundreds at a time, and deletes them if asked to. 0 or -errno.
static int read_map(
    int map, size_t key_size, size_t value_size, bool delete,
    void (*take)(const void *key, const void *value, void *argument), void *argument) {
    char *keys = calloc(BATCH, key_size), *values = calloc(BATCH, value_size);
    uint32_t position = 0; // of a hash map the number of a bucket
    int result = keys && values ? 0 : -ENOMEM;
    for (bool begun = false; result == 0; begun = true) {
        uint32_t count = BATCH;
        void *from = begun ? &position : NULL;
        if ((delete ? bpf_map_lookup_and_delete_batch(map, from, &position, keys, values, &count, NULL)
                    : bpf_map_lookup_batch(map, from, &position, keys, values, &count, NULL)) < 0)
            result = -errno;
        // At the end there is ENOENT, and what is left; at another error nothing.
        if (result < 0 && result != -ENOENT) break;
        for (uint32_t index = 0; index < count; index++)
            take(keys + index * key_size, values + index * value_size, argument);
    }
    free(keys);
    free(values);
    return result == -ENOENT ? 0 : result;
}

// --- Departures

struct list {
    struct ccl_departure *entries;
    size_t count, capacity;
    bool is_short; // of memory: some are missing
};

static struct ccl_departure *next(struct list *list) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 256;
        struct ccl_departure *larger = realloc(list->entries, capacity * sizeof *larger);
        if (!larger) {
            list->is_short = true;
            return NULL;
        }
        list->entries = larger;
        list->capacity = capacity;
    }
    return &list->entries[list->count++];
}

static void take_departure(const void *key, const void *value, void *argument) {
    const struct departure *departure = key;
    const struct traffic *traffic = value;
    struct ccl_departure *entry = next(argument);
    if (!entry) return;
    *entry = (struct ccl_departure){
        .link = departure->link,
        .port = ntohs(departure->port),
        .source_port = ntohs(departure->source_port),
        .protocol = departure->protocol,
        .detail = departure->by_address ? CCL_BY_ADDRESS : CCL_DETAILED,
        .packets = traffic->packets,
        .bytes = traffic->bytes,
        .first = traffic->first,
        .last = traffic->last,
    };
    memcpy(entry->address, departure->address, sizeof entry->address);
}

static void take_sender(const void *key, const void *value, void *argument) {
    const struct sender *sender = value;
    struct ccl_departure *entry = next(argument);
    if (!entry) return;
    *entry = (struct ccl_departure){
        .detail = CCL_REST, .packets = sender->packets, .bytes = sender->bytes, .last = sender->last};
    memcpy(&entry->link, key, sizeof entry->link);
}

int ccl_take_departures(
    const struct ccl_classifier *classifier, struct ccl_departure **departures, size_t *count,
    struct ccl_error *error) {
    static const char *const maps[] = {"audit_even", "audit_odd"};
    struct control *control = ccl_control(classifier);
    struct list list = {0};
    const uint32_t turn = control->turn;
    // Of the map that is filled from now on nothing is in use.
    control->common_used[(turn + 1) & 1] = 0;
    __atomic_store_n(&control->turn, turn + 1, __ATOMIC_SEQ_CST);
    await_programs();
    int result = read_map(
        ccl_map(classifier, maps[turn & 1]), sizeof(struct departure), sizeof(struct traffic), true,
        take_departure, &list);
    const size_t departed = list.count;
    if (result == 0)
        result = read_map(
            ccl_map(classifier, "senders"), sizeof(uint32_t), sizeof(struct sender), false,
            take_sender, &list);
    if (list.is_short) result = -ENOMEM;
    if (result < 0) {
        free(list.entries);
        return ccl_fail(error, -result, "take away what was counted", maps[turn & 1]);
    }
    const size_t links = list.count - departed;
    control->reserved = AUDIT_ENTRIES / 2 / (links ? links : 1);
    *departures = list.entries;
    *count = list.count;
    return 0;
}

// --- Drops

struct counters {
    uint32_t *links;
    uint64_t *packets, *bytes;
    size_t capacity, count;
};

static void take_drops(const void *key, const void *value, void *argument) {
    const struct drops *drops = value;
    struct counters *found = argument;
    const size_t reasons = ccl_reasons();
    if (found->count < found->capacity) {
        const size_t first = found->count * reasons;
        memcpy(&found->links[found->count], key, sizeof(uint32_t));
        memcpy(&found->packets[first], &drops->packets[REASONS - reasons], reasons * sizeof(uint64_t));
        memcpy(&found->bytes[first], &drops->bytes[REASONS - reasons], reasons * sizeof(uint64_t));
    }
    found->count++;
}

int ccl_drops_list(
    const struct ccl_classifier *classifier, uint32_t *links, uint64_t *packets, uint64_t *bytes,
    size_t capacity, size_t *count, struct ccl_error *error) {
    struct counters found = {
        .links = links, .packets = packets, .bytes = bytes, .capacity = capacity};
    int result = read_map(
        ccl_map(classifier, "drops"), sizeof(uint32_t), sizeof(struct drops), false, take_drops,
        &found);
    if (result < 0) return ccl_fail(error, -result, "read the counters of links", "map drops");
    *count = found.count;
    return 0;
}
