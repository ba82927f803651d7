// Bandwidth: the tree of HTB classes on a link to the world, and the bucket on a slice's link.
//
//     uplink   root 736c:  htb             packets that no class is named for: the host's own, sent first
//                  └─ 736c:1               all slices
//                        ├─ 736c:2         slice 0     each with a leaf of its own, which bounds what is queued: a
//                        ├─ 736c:3         slice 1     bfifo, or a TBF that never waits to split large packets
//                        …
//     sl-0     root 736c:  tbf             what the slice receives, only where that is bounded
//
// A packet's class is in skb->priority (cclassifier.h, to_uplink). The conventions are cnetlink.h's.
#ifndef CNETLINK_SHAPE_H
#define CNETLINK_SHAPE_H

#include "cnetlink.h"

// Of every qdisc that is made here: what has it is ours. Below 0x8000, where the kernel's own begin.
#define CNL_SHAPE_HANDLE 0x736c0000u

enum cnl_root {
    CNL_ROOT_NONE,    // nothing is queued: the link takes every packet at once
    CNL_ROOT_DEFAULT, // the kernel's choice
    CNL_ROOT_OURS,
    CNL_ROOT_OTHER // somebody has configured it
};

struct cnl_root_qdisc {
    enum cnl_root owner;
    uint32_t handle;
    char kind[CNL_NAME_SIZE];
};

// ENODEV: no such link.
int cnl_root_find(
    struct cnl_context *context, int index, struct cnl_root_qdisc *root, struct cnl_error *error);

// Puts an empty tree on a link in place of the kernel's choice; 0 if one of ours is there.
// EEXIST: somebody else's is there. EOPNOTSUPP: the kernel has no HTB.
int cnl_tree_create(struct cnl_context *context, int index, struct cnl_error *error);
// Takes it away with all its classes. Idempotent; 0 also for a link that is gone.
int cnl_tree_remove(struct cnl_context *context, int index, struct cnl_error *error);

struct cnl_class {
    uint32_t minor;        // of its handle, 1-65535; 1 holds all others and has no leaf
    uint64_t rate, ceil;   // bytes a second, at least 1
    uint64_t burst, cburst; // bytes that may be sent at once beyond each of both
    uint32_t quantum;      // bytes at a turn of what is shared
    uint32_t queue;        // bytes that may wait; 0: the leaf is left as it is
    uint32_t packet;       // a larger packet that was to be split by hardware is split here; 0: it is not
    bool fresh;            // one that is there goes first, with what waits in it
};

// Makes classes, or changes those that are there. A class keeps its debts: where its rate was so low
// that one packet took long, a higher one counts only after that, except for a fresh one. The work for a
// change is constant; to make a class or remove one the kernel walks over all that are there.
// ENOENT: there is no tree of ours. EOPNOTSUPP: the kernel has no TBF.
int cnl_classes_set(
    struct cnl_context *context, int index, const struct cnl_class *classes, size_t count,
    struct cnl_error *error);

struct cnl_bucket {
    uint64_t rate;         // bytes a second, at least 1
    uint32_t burst, queue; // bytes; packets larger than `burst` are split or dropped
};

// Bounds what goes out by a link; null: not any more. EOPNOTSUPP: the kernel has no TBF.
int cnl_bucket_set(
    struct cnl_context *context, int index, const struct cnl_bucket *bucket,
    struct cnl_error *error);

// Whether this kernel can: a tree on the loopback of a namespace that is given up afterwards.
int cnl_shape_try(const struct cnl_namespace *namespace, struct cnl_error *error);

// What the hardware below a link can send, in bits a second; 0 where that is not known, as for links
// that are no hardware.
uint64_t cnl_link_speed(struct cnl_context *context, const char *name);

// --- Watching

// Tells when a link or a default route comes, goes or changes. One thread at a time.
struct cnl_watch;

// *watch is owned by the caller: cnl_watch_close(), which accepts null.
int cnl_watch_open(struct cnl_watch **watch, struct cnl_error *error);
void cnl_watch_close(struct cnl_watch *watch);

// Waits until there is something, or the time is over. Links whose name starts with `prefix` are not
// told of. Returns 1 or 0; after 1 all may have changed.
int cnl_watch_wait(
    struct cnl_watch *watch, const char *prefix, int milliseconds, struct cnl_error *error);

#endif
