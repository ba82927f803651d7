// Who a process is: ids, groups, and what they are outside.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct answer map(const char *file)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/%s", file);
    if (read_text(path, text, sizeof text) <= 0)
        return failed(path);
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) && *line;) {
        unsigned inside, outside, count;
        if (sscanf(line, "%u %u %u", &inside, &outside, &count) != 3)
            continue;
        // Ids below 65536 are the host's own users (login.defs, systemd's uid ranges).
        if (outside < 65536)
            return answer_of(true, line, "reading %s", path);
    }
    return answer_of(false, "", "reading %s", path);
}
static struct answer users(const char *argument) { (void)argument; return map("uid_map"); }
static struct answer groups_map(const char *argument) { (void)argument; return map("gid_map"); }

static struct answer become_outside(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_setresuid, 70000, 70000, 70000), "setresuid(70000)");
}

// The argument is `UID:GID:GROUP,GROUP…`, all that it must be: prints the difference.
static struct answer is(const char *argument)
{
    char have[1024], *end = have;
    gid_t groups[64];
    int count = getgroups(64, groups);
    if (count < 0)
        return failed("getgroups()");
    end += sprintf(end, "%u:%u:", (unsigned)geteuid(), (unsigned)getegid());
    // Whether the user's own group stands among the supplementary ones means nothing (initgroups(3)).
    for (int i = 0; i < count; i++)
        if (groups[i] != getegid())
            end += sprintf(end, "%s%u", end[-1] == ':' ? "" : ",", (unsigned)groups[i]);
    if (getuid() != geteuid() || getgid() != getegid())
        return answer_of(true, "real and effective ids differ", "getresuid(), getresgid()");
    return answer_of(strcmp(have, argument), have, "getuid(), getgid(), getgroups(), to be %s", argument);
}

// What the slice's root makes must be nobody's on the host; looked at from outside by the suite.
static struct answer give_away(const char *argument)
{
    (void)argument;
    const char *path = "/tmp/slice-probe-owner";
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return failed("open(/tmp/slice-probe-owner)");
    close(file);
    long value = chown(path, 70000, 70000);
    int error = errno;
    unlink(path);
    errno = error;
    return answer_of_call(value, "chown(70000)");
}

const struct probe identity_probes[] = {
    {"identity.users", users},     {"identity.groups", groups_map}, {"identity.become", become_outside},
    {"identity.is", is},           {"identity.give-away", give_away}, {0},
};
