#define _GNU_SOURCE
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct world world;

// ---- maps

struct table {
    void *map;
    enum map_kind kind;
    size_t key, value, count, used;
    uint8_t *keys, *values;
};
static struct table tables[32];
static size_t table_count;

void kernel_add_map(void *map, enum map_kind kind, size_t key, size_t value, size_t count)
{
    struct table *table = &tables[table_count++];
    *table = (struct table){map, kind, key, value, count, 0, calloc(count, key), calloc(count, value)};
    if (!table->keys || !table->values || table_count == sizeof tables / sizeof *tables)
        abort();
}

void kernel_reset(void)
{
    for (size_t i = 0; i < table_count; i++) {
        tables[i].used = 0;
        if (tables[i].kind == MAP_ARRAY)
            memset(tables[i].values, 0, tables[i].count * tables[i].value);
    }
}

static struct table *table_of(void *map)
{
    for (size_t i = 0; i < table_count; i++)
        if (tables[i].map == map)
            return &tables[i];
    abort(); // a map that the harness doesn't know
}

// Whether the first `length` bits behind the length are the same.
static bool has_prefix(const uint8_t *key, const uint8_t *prefix, uint32_t length)
{
    key += 4;
    prefix += 4;
    if (memcmp(key, prefix, length / 8) != 0)
        return false;
    const unsigned rest = length % 8;
    return rest == 0 || (key[length / 8] ^ prefix[length / 8]) >> (8 - rest) == 0;
}

static uint8_t *find(struct table *table, const void *key)
{
    uint32_t number;
    uint8_t *found = NULL;
    uint32_t longest = 0;
    if (table->kind == MAP_ARRAY) {
        memcpy(&number, key, sizeof number);
        return number < table->count ? table->values + number * table->value : NULL;
    }
    for (size_t i = 0; i < table->used; i++) {
        const uint8_t *one = table->keys + i * table->key;
        if (table->kind == MAP_HASH && memcmp(one, key, table->key) == 0)
            return table->values + i * table->value;
        if (table->kind != MAP_PREFIX)
            continue;
        uint32_t length;
        memcpy(&length, one, sizeof length);
        if (has_prefix(key, one, length) && (!found || length > longest)) {
            found = table->values + i * table->value;
            longest = length;
        }
    }
    return found;
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
    return find(table_of(map), key);
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
    struct table *table = table_of(map);
    uint8_t *place = table->kind == MAP_PREFIX ? NULL : find(table, key);
    if (place && flags == BPF_NOEXIST)
        return -EEXIST;
    if (!place) {
        if (table->used == table->count)
            return -E2BIG;
        memcpy(table->keys + table->used * table->key, key, table->key);
        place = table->values + table->used++ * table->value;
    }
    memcpy(place, value, table->value);
    return 0;
}

// ---- the packet

static uint8_t *packet; // MOST_PACKET bytes below 4 GiB, at the end of a mapping: what is read behind it ends the run
static size_t packet_size;

uint8_t *kernel_set_packet(struct __sk_buff *skb, const uint8_t *bytes, size_t size, size_t linear)
{
    if (!packet) {
        packet = mmap(NULL, MOST_PACKET * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        if (packet == MAP_FAILED || mprotect(packet + MOST_PACKET * 2, MOST_PACKET * 2, PROT_NONE) < 0)
            abort();
    }
    uint8_t *place = packet + MOST_PACKET * 2 - size;
    memcpy(place, bytes, size);
    packet_size = size;
    skb->len = skb->wire_len = (__u32)size;
    skb->data = (__u32)(uintptr_t)place;
    skb->data_end = (__u32)((uintptr_t)place + (linear < size ? linear : size));
    return place;
}

static uint8_t *at(const struct __sk_buff *skb, uint64_t offset, uint32_t size)
{
    return offset + size <= packet_size ? (uint8_t *)(uintptr_t)skb->data + offset : NULL;
}

long bpf_skb_pull_data(struct __sk_buff *skb, __u32 size)
{
    if (size > packet_size)
        return -ENOMEM;
    if (skb->data_end - skb->data < size)
        skb->data_end = skb->data + size;
    return 0;
}

long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
    const uint8_t *from = at(skb, offset, size);
    if (from)
        memcpy(to, from, size);
    else
        memset(to, 0, size);
    return from ? 0 : -EFAULT;
}

long bpf_skb_load_bytes_relative(const struct __sk_buff *skb, __u32 offset, void *to, __u32 size, __u32 from)
{
    return bpf_skb_load_bytes(skb, offset + (from == BPF_HDR_START_NET ? 14 : 0), to, size);
}

long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from, __u32 size, __u64 flags)
{
    (void)flags;
    uint8_t *to = at(skb, offset, size);
    if (to)
        memcpy(to, from, size);
    return to ? 0 : -EFAULT;
}

long bpf_skb_change_head(struct __sk_buff *skb, __u32 size, __u64 flags)
{
    if (flags || packet_size + size > MOST_PACKET)
        return -EINVAL;
    skb->data -= size;
    skb->len += size;
    packet_size += size;
    memset((uint8_t *)(uintptr_t)skb->data, 0, size);
    return 0;
}

// ---- the rest

__u64 bpf_ktime_get_ns(void) { return world.now; }
__u64 bpf_ktime_get_coarse_ns(void) { return world.now; }
__u64 bpf_jiffies64(void) { return world.now / 4000000; }

long bpf_fib_lookup(void *skb, struct bpf_fib_lookup *route, int size, __u32 flags)
{
    (void)skb, (void)size, (void)flags;
    if (world.route == BPF_FIB_LKUP_RET_SUCCESS || world.route == BPF_FIB_LKUP_RET_NO_NEIGH ||
        world.route == BPF_FIB_LKUP_RET_FRAG_NEEDED)
        route->ifindex = world.route_link;
    return world.route;
}

long bpf_redirect(__u32 link, __u64 flags)
{
    (void)flags;
    world.redirected = link;
    return 7; // TC_ACT_REDIRECT
}

long bpf_clone_redirect(struct __sk_buff *skb, __u32 link, __u64 flags)
{
    (void)skb, (void)flags;
    world.copied |= 1u << link % 32;
    return 0;
}

long bpf_redirect_neigh(__u32 link, struct bpf_redir_neigh *next, int size, __u64 flags)
{
    (void)next, (void)size;
    return bpf_redirect(link, flags);
}

long bpf_skb_get_tunnel_key(struct __sk_buff *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags)
{
    (void)skb, (void)flags;
    if (world.no_tunnel)
        return -EINVAL;
    memcpy(key, &world.tunnel, size);
    return 0;
}

long bpf_skb_set_tunnel_key(struct __sk_buff *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags)
{
    (void)skb, (void)flags;
    memcpy(&world.tunnel, key, size);
    return 0;
}

__u64 bpf_get_netns_cookie(void *context)
{
    (void)context;
    return 0;
}

int bpf_set_retval(int value)
{
    return value;
}
