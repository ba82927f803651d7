// Compiles a list of rules to a classic BPF program with libseccomp.
//
// libseccomp allocates: this runs in the parent, never between clone and exec. Thread-safe: every
// call uses a context of its own.
#ifndef CSECCOMP_H
#define CSECCOMP_H

#include <stddef.h>
#include <stdint.h>

enum cseccomp_action {
    CSECCOMP_ALLOW = 0,
    // Whoever holds the filter's listener answers the call (seccomp_unotify(2)); without a listener it
    // fails with ENOSYS.
    CSECCOMP_ASK = -1,
    // The call fails with ENOSYS, unless another filter refuses it or asks: every other action but
    // allowing comes before this one (seccomp(2)).
    CSECCOMP_ABSENT = -2,
    // Any positive number: the call fails with that errno.
};

// Matches when (argument & mask) == value, compared in all 64 bits. Where the kernel reads only
// the lower 32 bits of an argument the mask must not cover the upper ones, or setting them would
// slip past the rule (CVE-2019-10063).
struct cseccomp_condition {
    uint32_t argument; // 0-5
    uint64_t mask;
    uint64_t value;
};

struct cseccomp_rule {
    const char *call; // name of the system call
    int32_t action;   // enum cseccomp_action or an errno
    uint32_t condition_count; // all must match; 0: every use of the call
    struct cseccomp_condition conditions[2];
};

// Writes the program for x86-64 to the file `descriptor`. Every call that no rule names gets
// `default_action`; calls by the i386 or x32 entry fail with ENOSYS.
// Returns 0 or a positive errno; `failed_rule` is then the rule's index, or `count`.
// A rule naming a system call that libseccomp does not know is an error (EINVAL): a profile that
// silently lost a rule would not be the profile.
int cseccomp_compile(const struct cseccomp_rule *rules, size_t count, int32_t default_action,
                     int descriptor, size_t *failed_rule);

// The number of a call of x86-64; -1: libseccomp knows none of this name there.
int cseccomp_number(const char *call);

// The name of a call of an architecture (AUDIT_ARCH_*), the caller's to free(3); NULL: unknown.
char *cseccomp_name(uint32_t architecture, int number);

#endif
