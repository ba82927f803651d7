#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int fill(void *argument, struct cnl_error *error) {
    struct cnl_context *context = argument;
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

static int open_context(
    int netns, struct cnl_context **context, struct cnl_error *error) {
    struct cnl_context *fresh = malloc(sizeof *fresh);
    if (!fresh) return cnl_fail(error, ENOMEM, "open context", "out of memory");
    *fresh = (struct cnl_context){
        .rtnetlink = -1,
        .ipv4 = {.directory = -1, .name = CNL_SYSCTL_IPV4},
        .ipv6 = {.directory = -1, .name = CNL_SYSCTL_IPV6},
    };
    int result = netns < 0 ? fill(fresh, error) : cnl_run_inside(netns, fill, fresh, error);
    if (result < 0) {
        cnl_close(fresh);
        return result;
    }
    *context = fresh;
    return 0;
}

int cnl_open(struct cnl_context **context, struct cnl_error *error) {
    return open_context(-1, context, error);
}

int cnl_open_in(int netns, struct cnl_context **context, struct cnl_error *error) {
    if (netns < 0) return cnl_fail(error, EBADF, "open context", "fd %d", netns);
    return open_context(netns, context, error);
}

void cnl_close(struct cnl_context *context) {
    if (!context) return;
    if (context->rtnetlink >= 0) close(context->rtnetlink);
    cnl_sysctl_close(&context->ipv4);
    cnl_sysctl_close(&context->ipv6);
    free(context);
}
