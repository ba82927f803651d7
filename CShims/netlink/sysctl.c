#define _GNU_SOURCE // O_PATH

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROC "/proc/"
#define ROOT PROC "sys/"
#define PATH_SIZE 128

int cnl_sysctl_open(
    struct cnl_sysctls *sysctls, int procfs, const char *name, struct cnl_error *error) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, ROOT "%s", name);
    sysctls->name = name;
    // With an absolute path the directory doesn't count.
    sysctls->directory = openat(
        procfs, procfs < 0 ? path : path + strlen(PROC), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return sysctls->directory < 0 ? cnl_fail(error, errno, "open sysctls", "%s", path) : 0;
}

void cnl_sysctl_close(struct cnl_sysctls *sysctls) {
    if (sysctls->directory >= 0) close(sysctls->directory);
    sysctls->directory = -1;
}

int cnl_sysctl_write(
    const struct cnl_sysctls *sysctls, const char *path, const char *value,
    struct cnl_error *error) {
    const char *operation = "write sysctl";
    int descriptor = openat(sysctls->directory, path, O_WRONLY | O_CLOEXEC);
    int number = descriptor < 0 ? errno : 0;
    if (descriptor >= 0) {
        if (write(descriptor, value, strlen(value)) < 0) number = errno;
        close(descriptor);
    }
    if (number == 0) return 0;
    return cnl_fail(error, number, operation, ROOT "%s/%s = %s", sysctls->name, path, value);
}

int cnl_sysctl_read(
    const struct cnl_sysctls *sysctls, const char *path, int *value, struct cnl_error *error) {
    char text[32];
    ssize_t length = -1;
    int descriptor = openat(sysctls->directory, path, O_RDONLY | O_CLOEXEC);
    int number = descriptor < 0 ? errno : 0;
    if (descriptor >= 0) {
        length = read(descriptor, text, sizeof text - 1);
        if (length < 0) number = errno;
        close(descriptor);
    }
    if (number) return cnl_fail(error, number, "read sysctl", ROOT "%s/%s", sysctls->name, path);
    text[length] = '\0';
    *value = (int)strtol(text, NULL, 10);
    return 0;
}

// An interface's name is 15 characters at most, so that the path always fits.
static const char *interface_path(char path[PATH_SIZE], const char *interface, const char *name) {
    snprintf(path, PATH_SIZE, "conf/%s/%s", interface, name);
    return path;
}

int cnl_sysctl_write_interface(
    const struct cnl_sysctls *sysctls, const char *interface, const char *name, const char *value,
    struct cnl_error *error) {
    char path[PATH_SIZE];
    return cnl_sysctl_write(sysctls, interface_path(path, interface, name), value, error);
}

int cnl_sysctl_read_interface(
    const struct cnl_sysctls *sysctls, const char *interface, const char *name, int *value,
    struct cnl_error *error) {
    char path[PATH_SIZE];
    return cnl_sysctl_read(sysctls, interface_path(path, interface, name), value, error);
}
