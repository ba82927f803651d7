// What the files of the loader share.
#ifndef CCLASSIFIER_INTERNAL_H
#define CCLASSIFIER_INTERNAL_H

#include "cclassifier.h"
#include "maps.h"

#include <bpf/libbpf.h>

// Fills `error`, if it is not null, and returns -number.
int ccl_fail(struct ccl_error *error, int number, const char *operation, const char *detail);

// What libbpf last said of a failure in this thread; empty after ccl_forget_explanation().
const char *ccl_explanation(void);
void ccl_forget_explanation(void);

// EOPNOTSUPP for what kernels say that cannot.
int ccl_feature_missing(int number);

// `size` bytes of a section of a loaded object, shared with its programs; the caller's: munmap(2). Null with
// errno.
void *ccl_share(const struct bpf_object *object, const char *section, size_t size);

// As bpf_map_update_elem(); waits where memory is short for a moment.
int ccl_update_entry(int map, const void *key, const void *value, __u64 flags);

// The descriptor of a map that find_parts() has found; the classifier's.
int ccl_map(const struct ccl_classifier *classifier, const char *name);

// What is shared with the programs.
struct control *ccl_control(const struct ccl_classifier *classifier);

int ccl_program(const struct ccl_classifier *classifier, const char *name);

// As ccl_update_entry(), and has verdicts forgotten.
int ccl_update(
    const struct ccl_classifier *classifier, int map, const void *key, const void *value,
    __u64 flags);

// --- ports.c

// The kernel keeps each element of an array at a multiple of 8 bytes.
struct port {
    _Alignas(8) _Atomic uint32_t link;
};

// Map `ports`, PORTS long, shared with the programs.
struct port *ccl_port_table(const struct ccl_classifier *classifier);

// The longest run of ports of a link, for echoes that leave.
void ccl_find_block(
    const struct ccl_classifier *classifier, uint32_t link, struct slice *entry);

// Knows a network namespace for the slice's; 0 or -1 with errno.
int ccl_name_namespace(
    const struct ccl_classifier *classifier, uint32_t link, uint64_t namespace);

// Takes back all that a link has of the node's address.
void ccl_release_ports(const struct ccl_classifier *classifier, uint32_t link);

#endif
