#include "cseccomp.h"

#include <errno.h>
#include <seccomp.h>

static uint32_t action_of(int32_t action) {
    switch (action) {
    case CSECCOMP_ALLOW: return SCMP_ACT_ALLOW;
    case CSECCOMP_ASK: return SCMP_ACT_NOTIFY;
    // Without a tracer, and with one that did not ask to be told of it.
    case CSECCOMP_ABSENT: return SCMP_ACT_TRACE(0);
    default: return SCMP_ACT_ERRNO((uint32_t)action);
    }
}

static int add_rule(scmp_filter_ctx context, const struct cseccomp_rule *rule) {
    int number = seccomp_syscall_resolve_name(rule->call);
    if (number == __NR_SCMP_ERROR || number < 0)
        return EINVAL;
    struct scmp_arg_cmp comparisons[2];
    if (rule->condition_count > 2)
        return EINVAL;
    for (uint32_t i = 0; i < rule->condition_count; i++) {
        const struct cseccomp_condition *condition = &rule->conditions[i];
        comparisons[i] = (struct scmp_arg_cmp){
            .arg = condition->argument,
            .op = SCMP_CMP_MASKED_EQ,
            .datum_a = condition->mask,
            .datum_b = condition->value,
        };
    }
    return -seccomp_rule_add_exact_array(context, action_of(rule->action), number,
                                         rule->condition_count, comparisons);
}

int cseccomp_compile(const struct cseccomp_rule *rules, size_t count, int32_t default_action,
                     int descriptor, size_t *failed_rule) {
    *failed_rule = count;
    scmp_filter_ctx context = seccomp_init(action_of(default_action));
    if (!context)
        return ENOMEM;
    int error = -seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    // Sorts the calls into a binary tree, so that the length of the list hardly matters.
    if (!error)
        error = -seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < count && !error; i++) {
        error = add_rule(context, &rules[i]);
        if (error)
            *failed_rule = i;
    }
    if (!error)
        error = -seccomp_export_bpf(context, descriptor);
    seccomp_release(context);
    return error;
}

int cseccomp_number(const char *call) {
    int number = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, call);
    return number < 0 ? -1 : number; // negative ones stand for calls of other architectures
}

char *cseccomp_name(uint32_t architecture, int number) {
    return seccomp_syscall_resolve_num_arch(architecture, number);
}
