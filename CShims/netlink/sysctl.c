// /proc/sys/net shows the network namespace of the thread that opens a file in it.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/proc/sys/"
#define PATH_SIZE 160

static int open_sysctl(const char *path, int flags) {
    char full[PATH_SIZE];
    int length = snprintf(full, sizeof full, ROOT "%s", path);
    if (length < 0 || (size_t)length >= sizeof full) return -ENAMETOOLONG;
    int descriptor = open(full, flags | O_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int cnl_sysctl_write(const char *path, const char *value, struct cnl_error *error) {
    int descriptor = open_sysctl(path, O_WRONLY);
    if (descriptor < 0)
        return cnl_fail(error, -descriptor, "open sysctl", ROOT "%s for writing", path);
    ssize_t written = write(descriptor, value, strlen(value));
    int number = written < 0 ? errno : 0;
    close(descriptor);
    if (number) return cnl_fail(error, number, "write sysctl", ROOT "%s = %s", path, value);
    return 0;
}

int cnl_sysctl_read(const char *path, int *value, struct cnl_error *error) {
    int descriptor = open_sysctl(path, O_RDONLY);
    if (descriptor < 0) return cnl_fail(error, -descriptor, "open sysctl", ROOT "%s", path);
    char text[32];
    ssize_t length = read(descriptor, text, sizeof text - 1);
    int number = length < 0 ? errno : 0;
    close(descriptor);
    if (number) return cnl_fail(error, number, "read sysctl", ROOT "%s", path);
    text[length] = '\0';
    *value = (int)strtol(text, NULL, 10);
    return 0;
}

int cnl_sysctl_write_interface(
    const char *family, const char *interface, const char *name, const char *value,
    struct cnl_error *error) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "net/%s/conf/%s/%s", family, interface, name);
    return cnl_sysctl_write(path, value, error);
}

int cnl_sysctl_read_interface(
    const char *family, const char *interface, const char *name, int *value,
    struct cnl_error *error) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "net/%s/conf/%s/%s", family, interface, name);
    return cnl_sysctl_read(path, value, error);
}

bool cnl_ipv6_available(void) { return access(ROOT "net/ipv6", F_OK) == 0; }
