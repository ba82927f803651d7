#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int cnl_open(struct cnl_context **context, struct cnl_error *error) {
    struct cnl_context *fresh = malloc(sizeof *fresh);
    if (!fresh) return cnl_fail(error, ENOMEM, "open context", "out of memory");
    fresh->rtnetlink = cnl_socket(NETLINK_ROUTE, error);
    if (fresh->rtnetlink < 0) {
        int result = fresh->rtnetlink;
        free(fresh);
        return result;
    }
    *context = fresh;
    return 0;
}

void cnl_close(struct cnl_context *context) {
    if (!context) return;
    close(context->rtnetlink);
    free(context);
}
