#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int fill(struct cnl_context *context, struct cnl_error *error) {
    context->rtnetlink = cnl_socket(NETLINK_ROUTE, error);
    if (context->rtnetlink < 0) return context->rtnetlink;
    int result = cnl_sysctl_open(&context->ipv4, -1, CNL_SYSCTL_IPV4, error);
    if (result < 0) return result;
    struct cnl_error failure;
    result = cnl_sysctl_open(&context->ipv6, -1, CNL_SYSCTL_IPV6, &failure);
    if (result == -ENOENT) return 0;
    if (result < 0 && error) *error = failure;
    return result;
}

int cnl_open(struct cnl_context **context, struct cnl_error *error) {
    struct cnl_context *fresh = malloc(sizeof *fresh);
    if (!fresh) return cnl_fail(error, ENOMEM, "open context", "out of memory");
    *fresh = (struct cnl_context){
        .rtnetlink = -1,
        .ipv4 = {.directory = -1, .name = CNL_SYSCTL_IPV4},
        .ipv6 = {.directory = -1, .name = CNL_SYSCTL_IPV6},
    };
    int result = fill(fresh, error);
    if (result < 0) {
        cnl_close(fresh);
        return result;
    }
    *context = fresh;
    return 0;
}

void cnl_close(struct cnl_context *context) {
    if (!context) return;
    if (context->rtnetlink >= 0) close(context->rtnetlink);
    cnl_sysctl_close(&context->ipv4);
    cnl_sysctl_close(&context->ipv6);
    free(context);
}
