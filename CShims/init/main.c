// slice-init: PID 1 of a slice (`start`) and the last step of every exec and enter (`run`).
//
//   slice-init start --report FD --control FD --log DIRFD --status FD --log-size BYTES
//                    --log-files N --restart no|on-failure|always --stop-timeout MS
//                    [--listener FD (--refusals FD | --raw-state FD)]
//                    [--user U] [--workdir D] [-- COMMAND ARG…]
//   slice-init run --report FD [--user U] [--workdir D] [--terminal] -- COMMAND ARG…
//
// It starts inside the slice: namespaces, capabilities, no_new_privs and the seccomp filter are in
// force, and its environment is the command's. It is executed by descriptor from a file that the
// slice cannot read, hence not dumpable and out of reach of the slice's root (CVE-2019-5736).
//
// System calls after its start, all that a seccomp profile must allow it (x86_64 names; as strace
// shows them):
//   both modes  arch_prctl set_tid_address (C library) prctl(SET_DUMPABLE, CAP_AMBIENT)
//               rt_sigaction rt_sigprocmask fcntl(GETFD, SETFD) open dup2 dup3 close close_range
//               setsid getsid getpid ioctl(TIOCSCTTY) fstat read write fchown setgroups setresgid
//               setresuid capget capset chdir getcwd umask execve exit_group
//   start only  fcntl(GETFL, SETFL) pipe2 clone(SIGCHLD) signalfd4 ppoll wait4 kill accept4 sendto
//               recvfrom pread64 pwrite64 seccomp(GET_NOTIF_SIZES) openat renameat unlinkat ftruncate, clock_gettime (where the vDSO
//               has none)
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "become.h"
#include "options.h"
#include "report.h"
#include "signals.h"
#include "supervise.h"

// Makes descriptors 0-2 what the mode needs: all /dev/null for PID 1; for a command what the
// launcher gave, and /dev/null where it gave nothing, so that no file of the command's can take
// that place.
static int prepare_standard_descriptors(enum mode mode)
{
    for (int descriptor = 0; descriptor < 3; descriptor++) {
        if (mode == MODE_RUN && fcntl(descriptor, F_GETFD) >= 0)
            continue;
        int null = open("/dev/null", O_RDWR | O_NOCTTY);
        if (null < 0)
            return -1;
        if (null == descriptor)
            continue;
        int result = dup2(null, descriptor);
        int error = errno;
        close(null);
        if (result < 0) {
            errno = error;
            return -1;
        }
    }
    return 0;
}

static int prepare(char **argv, struct options *options, struct slice_report *failure)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || signals_default() < 0 ||
        options_parse(argv, options) < 0 || prepare_standard_descriptors(options->mode) < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    return 0;
}

int main(int argc, char **argv, char **environment)
{
    (void)argc;
    static struct options options;
    struct slice_report failure;
    int report = options_find_report(argv);
    if (prepare(argv, &options, &failure) < 0) {
        if (report >= 0)
            report_send(report, &failure);
        return report_exit_code(&failure);
    }
    if (options.mode == MODE_START)
        return supervise(&options, environment);
    struct command command = {
        .arguments = options.command,
        .environment = environment,
        .user = options.user,
        .workdir = options.workdir,
        .terminal = options.terminal,
    };
    become(&command, report);
}
