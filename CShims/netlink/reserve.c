// Ports that the host's own sockets don't get by chance.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESERVED "ip_local_reserved_ports"
// What one read of a sysctl gives at most, a page; and room for one range more.
#define LONGEST_LIST 4096
#define RANGE_SIZE 16

// The list as it is, without its line feed.
static int read_list(
    const struct cnl_sysctls *sysctls, char list[LONGEST_LIST], struct cnl_error *error) {
    const char *operation = "read sysctl";
    ssize_t length = -1;
    int descriptor = openat(sysctls->directory, RESERVED, O_RDONLY | O_CLOEXEC);
    int number = descriptor < 0 ? errno : 0;
    if (descriptor >= 0) {
        length = read(descriptor, list, LONGEST_LIST - 1);
        if (length < 0) number = errno;
        close(descriptor);
    }
    if (number == 0 && length == LONGEST_LIST - 1) number = EOVERFLOW;
    if (number) return cnl_fail(error, number, operation, "%s/" RESERVED, sysctls->name);
    list[length] = '\0';
    list[strcspn(list, "\n")] = '\0';
    return 0;
}

int cnl_reserve_ports(
    struct cnl_context *context, uint16_t first, uint16_t last, struct cnl_error *error) {
    char list[LONGEST_LIST], longer[LONGEST_LIST + RANGE_SIZE];
    int result = read_list(&context->ipv4, list, error);
    if (result < 0) return result;
    // The kernel makes one of what overlaps.
    snprintf(longer, sizeof longer, "%s%s%u-%u", list, list[0] ? "," : "", first, last);
    return cnl_sysctl_write(&context->ipv4, RESERVED, longer, error);
}
