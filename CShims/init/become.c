#include "become.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "report.h"
#include "signals.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ENVIRONMENT_MAX 2048 // variables

// Large and used only by the process that ends in exec, so not on its stack.
static struct identity identity;
static char *environment[ENVIRONMENT_MAX + 1];

// Where the report pipe is from here on: the first descriptor that the command does not get.
#define REPORT 3

// Before anything of the slice is looked at: no path there, /proc/self/fd/7 as working directory
// say, may lead to a descriptor that the launcher left open (CVE-2024-21626).
static int close_descriptors(int *report, struct slice_report *failure)
{
    if (*report != REPORT && dup3(*report, REPORT, O_CLOEXEC) < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    *report = REPORT;
    if (syscall(SYS_close_range, REPORT + 1, UINT_MAX, 0) < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    return 0;
}

// A session of its own keeps the command out of the process group of whoever launched it.
static int lead_session(bool terminal, struct slice_report *failure)
{
    if (setsid() < 0 && getsid(0) != getpid()) // EPERM where it leads one already
        return failed(failure, SLICE_STAGE_INIT_TERMINAL, errno);
    if (terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        return failed(failure, SLICE_STAGE_INIT_TERMINAL, errno);
    return 0;
}

// So that the user can open /dev/stdout and /dev/tty. A descriptor that came from outside the
// slice's user namespace cannot be given away: EPERM, and it stays as it is.
static int own_descriptors(const struct command *command, struct slice_report *failure)
{
    bool owned[] = {command->terminal, command->owns_output, command->owns_output};
    for (int descriptor = 0; descriptor < 3; descriptor++)
        if (owned[descriptor] && fchown(descriptor, identity.uid, (gid_t)-1) < 0 && errno != EPERM)
            return failed(failure, SLICE_STAGE_INIT_TERMINAL, errno);
    return 0;
}

// The value of `name` in the environment, or NULL.
static const char *variable(const char *name)
{
    size_t length = strlen(name);
    for (char **entry = environment; *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

struct default_variable {
    const char *name;
    const char *value;
    char entry[IDENTITY_TEXT_MAX + 16];
};

static int build_environment(char **given, struct slice_report *failure)
{
    static struct default_variable defaults[] = {
        {.name = "PATH", .value = DEFAULT_PATH},   {.name = "HOME", .value = identity.home},
        {.name = "SHELL", .value = identity.shell}, {.name = "USER", .value = identity.name},
        {.name = "LOGNAME", .value = identity.name},
    };
    enum { DEFAULTS = sizeof defaults / sizeof defaults[0] };
    unsigned count = 0;
    for (; given[count] != NULL; count++) {
        if (count == ENVIRONMENT_MAX - DEFAULTS)
            return failed(failure, SLICE_STAGE_INIT_SETUP, E2BIG);
        environment[count] = given[count];
    }
    environment[count] = NULL;
    for (struct default_variable *it = defaults; it < defaults + DEFAULTS; it++) {
        if (it->value[0] == '\0' || variable(it->name) != NULL)
            continue;
        strcpy(it->entry, it->name);
        strcat(it->entry, "=");
        strcat(it->entry, it->value);
        environment[count++] = it->entry;
        environment[count] = NULL;
    }
    return 0;
}

static int go_to_workdir(const char *workdir, struct slice_report *failure)
{
    char path[PATH_MAX];
    const char *target = workdir != NULL ? workdir : identity.home;
    if (target[0] != '/')
        return failed(failure, SLICE_STAGE_INIT_WORKDIR, EINVAL);
    int result = chdir(target);
    if (result < 0 && workdir == NULL && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        result = chdir("/");
    // The library's getcwd fails with ENOENT where the directory is outside the root.
    if (result < 0 || getcwd(path, sizeof path) == NULL)
        return failed(failure, SLICE_STAGE_INIT_WORKDIR, errno);
    return 0;
}

// Tries one directory of the search path. Returns only if that failed, with errno.
static void execute_in(const char *directory, size_t length, char **arguments)
{
    char path[PATH_MAX];
    size_t name_length = strlen(arguments[0]);
    if (length + name_length + 2 > sizeof path) {
        errno = ENAMETOOLONG;
        return;
    }
    memcpy(path, directory, length);
    if (length > 0) // an empty element is the working directory
        path[length++] = '/';
    memcpy(path + length, arguments[0], name_length + 1);
    execve(path, arguments, environment);
}

// Searches as execvp(3) does, but a file that is no program (ENOEXEC) is not given to a shell.
static int search_and_execute(char **arguments)
{
    bool denied = false;
    if (arguments[0][0] == '\0')
        return ENOENT;
    if (strchr(arguments[0], '/') != NULL) {
        execve(arguments[0], arguments, environment);
        return errno;
    }
    for (const char *element = variable("PATH");; element++) {
        size_t length = strcspn(element, ":");
        execute_in(element, length, arguments);
        if (errno == EACCES)
            denied = true;
        else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
            return errno;
        element += length;
        if (*element == '\0')
            return denied ? EACCES : ENOENT;
    }
}

// Every step in its order; returns only if one failed.
static int prepare(const struct command *command, int *report, struct slice_report *failure)
{
    if (close_descriptors(report, failure) < 0 ||
        lead_session(command->terminal, failure) < 0 ||
        identity_find(command->user, &identity, failure) < 0 ||
        build_environment(command->environment, failure) < 0 ||
        own_descriptors(command, failure) < 0 ||
        identity_assume(&identity, failure) < 0)
        return -1;
    // As the user: a directory that the user may not enter is refused.
    if (go_to_workdir(command->workdir, failure) < 0)
        return -1;
    umask(022);
    if (signals_release() < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    return 0;
}

_Noreturn void become(const struct command *command, int report)
{
    struct slice_report failure = {0};
    if (prepare(command, &report, &failure) == 0)
        failed(&failure, SLICE_STAGE_INIT_EXEC, search_and_execute(command->arguments));
    report_send(report, &failure);
    _exit(report_exit_code(&failure));
}
