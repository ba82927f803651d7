// The kernel's keyrings, which no namespace but the user namespace divides (keyrings(7)).
#include "probe.h"

#include <errno.h>
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

const struct probe key_probes[] = {{"key.add", add}, {"key.keyring", session}, {"key.request", request}, {0}};
