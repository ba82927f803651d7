// The kernel's keyrings, which no namespace but the user namespace divides (keyrings(7)).
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct answer add(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_add_key, "user", "slice-probe", "x", 1l, -1 /* of the thread */),
                          "add_key(user, KEY_SPEC_THREAD_KEYRING)");
}
static struct answer session(const char *argument)
{
    (void)argument;
    return answer_of_call(syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -1, 1), "keyctl(KEYCTL_GET_KEYRING_ID)");
}
// With the permission: ENOKEY, for there is no such key.
static struct answer request(const char *argument)
{
    (void)argument;
    long value = syscall(SYS_request_key, "user", "slice-probe-none", NULL, -1);
    return answer_of(value >= 0 || errno == ENOKEY, value < 0 ? error_name(errno) : "", "request_key(user)");
}

// The keys that this user has, by the kernel's count (keyrings(7), /proc/key-users); -1 where it can't be read.
static long owned(void)
{
    char text[65536], *line, *rest = text;
    if (read_text("/proc/key-users", text, sizeof text) <= 0)
        return -1;
    while ((line = strsep(&rest, "\n"))) {
        unsigned user;
        long keys;
        if (sscanf(line, "%u: %*d %*d/%*d %ld/", &user, &keys) == 2 && user == geteuid())
            return keys;
    }
    return 0;
}
// What counts towards the user's quota, which is one for the host: a key of the thread's own, so it goes with it.
static struct answer quota(const char *argument)
{
    (void)argument;
    long before = owned();
    long key = syscall(SYS_add_key, "user", "slice-probe-quota", "x", 1l, -1 /* of the thread */);
    int error = errno;
    long after = owned();
    char detail[64];
    snprintf(detail, sizeof detail, "%ld keys before, %ld after", before, after);
    struct answer answer = answer_of(key >= 0 || after > before, detail, "add_key(user), counted in /proc/key-users");
    answer.error = key < 0 ? error : 0;
    return answer;
}

const struct probe key_probes[] = {
    {"key.add", add}, {"key.keyring", session}, {"key.request", request}, {"key.quota", quota}, {0},
};
