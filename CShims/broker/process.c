#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIDFD_THREAD O_EXCL // linux/pidfd.h of Linux 6.9

long process_status(int process_files, pid_t thread, const char *field)
{
    char path[32], text[1024]; // what is looked for stands at the beginning
    snprintf(path, sizeof path, "%d/status", thread);
    int file = openat(process_files, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, text, sizeof text - 1);
    int error = errno;
    close(file);
    if (length < 0) {
        errno = error;
        return -1;
    }
    text[length] = '\0';
    // The name, which the slice chooses and which comes first, has no line feed of its own: it is
    // written as \n (proc_pid_status(5)).
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, field, strlen(field)) == 0)
            return strtol(line + strlen(field), NULL, 10);
    }
    errno = ESRCH;
    return -1;
}

int process_open(pid_t thread)
{
    int pidfd = (int)syscall(SYS_pidfd_open, thread, PIDFD_THREAD);
    if (pidfd >= 0 || errno != EINVAL)
        return pidfd;
    return (int)syscall(SYS_pidfd_open, thread, 0);
}

int process_descriptor(int pidfd, int number)
{
    return (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
}
