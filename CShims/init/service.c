#define _GNU_SOURCE
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "report.h"

enum { OUTPUT, ERROR, REPORT, PIPES };

// Only the read end is ours, and so non-blocking: a service is owed ordinary pipes.
static int make_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    int flags = fcntl(ends[0], F_GETFL);
    return flags < 0 ? -1 : fcntl(ends[0], F_SETFL, flags | O_NONBLOCK);
}

static void close_end(int pipes[PIPES][2], unsigned end)
{
    for (unsigned i = 0; i < PIPES; i++)
        if (pipes[i][end] >= 0)
            close(pipes[i][end]);
}

_Noreturn static void run_child(const struct command *command, int pipes[PIPES][2])
{
    // Descriptors 0-2 are open in slice-init (/dev/null), so the pipes are none of them.
    if (dup2(pipes[OUTPUT][1], STDOUT_FILENO) < 0 || dup2(pipes[ERROR][1], STDERR_FILENO) < 0) {
        struct slice_report failure;
        failed(&failure, SLICE_STAGE_INIT_SETUP, errno);
        report_send(pipes[REPORT][1], &failure);
        _exit(report_exit_code(&failure));
    }
    become(command, pipes[REPORT][1]);
}

int service_start(const struct command *command, struct service_run *run,
                  struct slice_report *failure)
{
    int pipes[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    enum slice_stage stage = SLICE_STAGE_INIT_SETUP;
    for (unsigned i = 0; i < PIPES; i++)
        if (make_pipe(pipes[i]) < 0)
            goto fail;

    // fork(2) without the library's handlers; clone3 is not in every seccomp profile.
    stage = SLICE_STAGE_INIT_FORK;
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        goto fail;
    if (pid == 0)
        run_child(command, pipes);

    close_end(pipes, 1);
    run->pid = pid;
    run->output[0] = pipes[OUTPUT][0];
    run->output[1] = pipes[ERROR][0];
    run->report = pipes[REPORT][0];
    return 0;
fail:;
    int error = errno;
    close_end(pipes, 0);
    close_end(pipes, 1);
    return failed(failure, stage, error);
}
