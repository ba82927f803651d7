#define _GNU_SOURCE
#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "log.h"
#include "refusals.h"
#include "report.h"
#include "service.h"
#include "signals.h"

#define BACKOFF_MIN (100 * MILLISECOND)
#define BACKOFF_MAX (30 * SECOND)
#define BACKOFF_RESET_AFTER (10 * SECOND) // a run as long as this was a good one
#define DRAIN_TIME (200 * MILLISECOND)
#define KILL_TIME (5 * SECOND) // for killed processes to end; some wait for a disk
#define LOSS_PUBLISH_EVERY SECOND
#define REAP_AT_ONCE 256 // zombies, before everything else has its turn again

// Where the run stands; struct slice_status says the same to the outside, in fewer words.
enum phase {
    PHASE_RUNNING, // STARTING until `executed`
    PHASE_CLEARING, // the main process has failed and the others are being killed
    PHASE_BACKOFF,
    PHASE_STOPPING,
    PHASE_KILLING, // the grace is over
    PHASE_ENDED,
};

struct supervisor {
    const struct options *options;
    struct command command;
    struct slice_status status;
    struct control control;
    struct log log;
    struct refusals refusals;
    enum phase phase;
    enum slice_restart_policy policy;
    int signals;
    int launcher;   // the launcher's report pipe; -1 once it knows
    int run_report; // the run's report pipe; -1 once executed
    int exit_code;  // slice-init's own
    bool first_run_failed; // never executed: not started again
    bool outcome_settled;  // what other processes end with does not count any more
    bool more_to_reap;
    uint64_t run_started; // monotonic
    uint64_t backoff;
    uint64_t phase_ends; // monotonic; NEVER: with an event
    uint64_t loss_published_at;
};

static void publish(struct supervisor *it)
{
    it->status.log_dropped_bytes = it->log.lost_total;
    it->loss_published_at = monotonic_now();
    control_publish(&it->control, &it->status);
}

static void set_state(struct supervisor *it, enum slice_service_state state)
{
    it->status.state = state;
    publish(it);
}

static void tell_launcher(struct supervisor *it, const struct slice_report *failure)
{
    if (it->launcher < 0)
        return;
    if (failure != NULL)
        report_send(it->launcher, failure);
    close(it->launcher);
    it->launcher = -1;
}

static void finish(struct supervisor *it, int exit_code)
{
    it->exit_code = exit_code;
    it->phase = PHASE_ENDED;
    it->phase_ends = NEVER;
    it->status.service_pid = 0;
    it->status.next_start_at = 0;
    set_state(it, SLICE_SERVICE_EXITED);
}

static int status_exit_code(const struct slice_status *status)
{
    if (status->exit_signal != 0)
        return 128 + status->exit_signal;
    return status->exit_code > 0 ? status->exit_code : 0;
}

static bool stops(const struct supervisor *it)
{
    return it->phase == PHASE_STOPPING || it->phase == PHASE_KILLING;
}

static bool idles(const struct supervisor *it)
{
    return it->options->command == NULL;
}

// What a signal to the service goes to: its main process, or all that are left of a service without
// one. The main process is our child and not waited for yet, so its pid is its own.
static pid_t service_target(const struct supervisor *it)
{
    return it->status.service_pid > 0 ? it->status.service_pid : -1;
}

static int signal_service(struct supervisor *it, int signal)
{
    if (idles(it) || it->phase == PHASE_BACKOFF) {
        errno = ESRCH; // there is no service: other processes came in by enter or exec
        return -1;
    }
    return kill(service_target(it), signal);
}

// --- runs

static void start_failed(struct supervisor *it, const struct slice_report *failure);

static void start_run(struct supervisor *it)
{
    struct service_run run;
    struct slice_report failure;
    it->phase = PHASE_RUNNING;
    it->phase_ends = NEVER;
    it->run_started = monotonic_now();
    it->status.started_at = wall_now();
    it->status.exited_at = it->status.next_start_at = 0;
    it->status.exit_code = -1;
    it->status.exit_signal = 0;
    it->outcome_settled = false;
    if (service_start(&it->command, &run, &failure) < 0) {
        start_failed(it, &failure);
        return;
    }
    it->status.service_pid = run.pid;
    it->run_report = run.report;
    log_attach(&it->log, run.output);
    set_state(it, SLICE_SERVICE_STARTING);
}

static bool succeeded(const struct supervisor *it)
{
    return it->status.exit_signal == 0 && it->status.exit_code == 0;
}

static bool wants_restart(const struct supervisor *it)
{
    switch (it->policy) {
    case SLICE_RESTART_ALWAYS:
        return true;
    case SLICE_RESTART_ON_FAILURE:
        return !succeeded(it);
    case SLICE_RESTART_NO:
        return false;
    }
    return false;
}

static void back_off(struct supervisor *it)
{
    uint64_t now = monotonic_now();
    if (now - it->run_started >= BACKOFF_RESET_AFTER)
        it->backoff = BACKOFF_MIN;
    it->phase = PHASE_BACKOFF;
    it->phase_ends = now + it->backoff;
    it->status.next_start_at = wall_now() + it->backoff;
    it->backoff = earlier(2 * it->backoff, BACKOFF_MAX);
    set_state(it, SLICE_SERVICE_BACKOFF);
}

// The run is over: no process of it is left.
static void end_run(struct supervisor *it)
{
    log_finish_run(&it->log, monotonic_now() + DRAIN_TIME);
    it->status.exited_at = wall_now();
    it->status.service_pid = 0;
    if (stops(it) || it->first_run_failed || !wants_restart(it))
        finish(it, status_exit_code(&it->status));
    else
        back_off(it);
}

// No process came to be (no memory, pids.max): as a run that ended with the code for it.
static void start_failed(struct supervisor *it, const struct slice_report *failure)
{
    it->first_run_failed = it->launcher >= 0;
    tell_launcher(it, failure);
    it->status.exit_code = report_exit_code(failure);
    end_run(it);
}

// Reads what the child says of its exec, if it has said it.
static void check_run_report(struct supervisor *it)
{
    struct slice_report failure;
    if (it->run_report < 0)
        return;
    ssize_t length = read(it->run_report, &failure, sizeof failure);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(it->run_report);
    it->run_report = -1;
    if (length == sizeof failure) {
        // The child ends with the exit status that says the same and is reaped as any run is.
        it->first_run_failed = it->launcher >= 0;
        tell_launcher(it, &failure);
        return;
    }
    tell_launcher(it, NULL);
    if (it->phase == PHASE_RUNNING)
        set_state(it, SLICE_SERVICE_RUNNING);
}

// --- reaping

static void record_end(struct supervisor *it, int wait_status)
{
    it->status.exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    it->status.exit_signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
}

static void child_ended(struct supervisor *it, pid_t pid, int wait_status)
{
    if (pid == it->status.service_pid) {
        it->status.service_pid = 0;
        record_end(it, wait_status);
        it->outcome_settled = stops(it) || !succeeded(it);
        check_run_report(it); // a failed exec is told before the end that it causes
    } else if (it->status.service_pid == 0 && !idles(it) && !it->outcome_settled) {
        // The main process has gone well and left a daemon: the last one to end counts.
        record_end(it, wait_status);
    }
}

// The main process has ended and others are left.
static void main_left_others(struct supervisor *it)
{
    if (it->phase == PHASE_STOPPING) {
        kill(-1, SIGTERM);
        kill(-1, SIGCONT);
    } else if (it->phase == PHASE_RUNNING && !succeeded(it)) {
        it->phase = PHASE_CLEARING;
        it->phase_ends = monotonic_now() + KILL_TIME;
        kill(-1, SIGKILL);
        publish(it);
    } else if (it->phase == PHASE_RUNNING) {
        publish(it);
    }
}

static void none_left(struct supervisor *it)
{
    bool ran = it->phase == PHASE_RUNNING || it->phase == PHASE_CLEARING;
    if (stops(it) || (ran && !idles(it)))
        end_run(it);
}

static void reap(struct supervisor *it)
{
    pid_t main_before = it->status.service_pid, pid = 0;
    it->more_to_reap = true;
    for (unsigned i = 0; i < REAP_AT_ONCE; i++) {
        int wait_status;
        pid = waitpid(-1, &wait_status, WNOHANG);
        if (pid <= 0) {
            it->more_to_reap = false;
            break;
        }
        child_ended(it, pid, wait_status);
    }
    if (pid < 0 && errno == ECHILD)
        none_left(it);
    else if (main_before > 0 && it->status.service_pid == 0)
        main_left_others(it);
}

// --- what the outside asks for

static void stop(struct supervisor *it, uint64_t grace)
{
    uint64_t deadline = monotonic_now() + grace;
    switch (it->phase) {
    case PHASE_RUNNING:
    case PHASE_CLEARING:
        it->phase_ends = deadline;
        it->phase = PHASE_STOPPING;
        kill(service_target(it), SIGTERM);
        kill(service_target(it), SIGCONT); // a stopped process would not see SIGTERM
        set_state(it, SLICE_SERVICE_STOPPING);
        it->more_to_reap = true; // an idle slice may have no process at all, and no SIGCHLD
        break;
    case PHASE_BACKOFF:
        finish(it, status_exit_code(&it->status));
        break;
    case PHASE_STOPPING:
        it->phase_ends = earlier(it->phase_ends, deadline);
        break;
    case PHASE_KILLING:
    case PHASE_ENDED:
        break;
    }
}

static int set_policy(struct supervisor *it, uint32_t policy)
{
    if (policy > SLICE_RESTART_ALWAYS)
        return EINVAL;
    it->policy = (enum slice_restart_policy)policy;
    if (it->phase == PHASE_BACKOFF && !wants_restart(it))
        finish(it, status_exit_code(&it->status));
    return 0;
}

static int handle_command(const struct slice_command *command, void *context)
{
    struct supervisor *it = context;
    if (it->phase == PHASE_ENDED)
        return ESRCH;
    switch ((enum slice_command_kind)command->kind) {
    case SLICE_COMMAND_STOP:
        stop(it, command->argument * MILLISECOND);
        return 0;
    case SLICE_COMMAND_SIGNAL:
        if (command->argument < 1 || command->argument > SIGNALS_COUNT)
            return EINVAL;
        return signal_service(it, (int)command->argument) < 0 ? errno : 0;
    case SLICE_COMMAND_RESTART_POLICY:
        return set_policy(it, command->argument);
    }
    return EINVAL;
}

static void handle_signals(struct supervisor *it)
{
    int signal;
    for (unsigned i = 0; i < SIGNALS_COUNT && (signal = signals_next(it->signals)) != 0; i++) {
        if (signal == SIGTERM || signal == SIGINT)
            stop(it, it->options->stop_timeout * MILLISECOND);
        else if (signals_forwarded(signal))
            signal_service(it, signal);
    }
}

// --- the loop

static void phase_over(struct supervisor *it)
{
    switch (it->phase) {
    case PHASE_BACKOFF:
        it->status.restarts++;
        start_run(it);
        break;
    case PHASE_STOPPING:
        it->phase = PHASE_KILLING;
        it->phase_ends = monotonic_now() + KILL_TIME;
        kill(-1, SIGKILL);
        break;
    case PHASE_CLEARING: // not yet gone: a process in the kernel's hands, or one that came since
        it->phase_ends = monotonic_now() + KILL_TIME;
        kill(-1, SIGKILL);
        break;
    case PHASE_KILLING: // they hold on in the kernel, which ends them with us
        if (it->status.service_pid > 0)
            it->status.exit_signal = SIGKILL;
        end_run(it);
        break;
    case PHASE_RUNNING:
    case PHASE_ENDED:
        it->phase_ends = NEVER;
        break;
    }
}

static void do_what_is_due(struct supervisor *it)
{
    uint64_t now = monotonic_now();
    if (it->phase_ends <= now)
        phase_over(it);
    log_tick(&it->log, now);
    if (it->status.log_dropped_bytes != it->log.lost_total &&
        it->loss_published_at + LOSS_PUBLISH_EVERY <= now)
        publish(it);
}

static uint64_t next_deadline(const struct supervisor *it)
{
    uint64_t deadline = earlier(it->phase_ends, log_deadline(&it->log));
    if (it->status.log_dropped_bytes != it->log.lost_total)
        deadline = earlier(deadline, it->loss_published_at + LOSS_PUBLISH_EVERY);
    return it->more_to_reap ? 0 : deadline;
}

static void wait_until(struct pollfd *entries, unsigned count, uint64_t deadline)
{
    uint64_t now = monotonic_now();
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec timeout = {
        .tv_sec = (time_t)(left / SECOND), .tv_nsec = (long)(left % SECOND)};
    if (ppoll(entries, count, deadline == NEVER ? NULL : &timeout, NULL) < 0)
        for (unsigned i = 0; i < count; i++)
            entries[i].revents = 0;
}

enum { ENTRY_SIGNALS, ENTRY_REPORT, ENTRY_REFUSALS, ENTRY_LOG, ENTRY_CONTROL = ENTRY_LOG + LOG_STREAMS,
       ENTRIES = ENTRY_CONTROL + CONTROL_ENTRIES };

// One turn: wait for something, then do everything that has come.
static void turn(struct supervisor *it)
{
    struct pollfd entries[ENTRIES];
    entries[ENTRY_SIGNALS] = (struct pollfd){.fd = it->signals, .events = POLLIN};
    entries[ENTRY_REPORT] = (struct pollfd){.fd = it->run_report, .events = POLLIN};
    refusals_watch(&it->refusals, &entries[ENTRY_REFUSALS]);
    log_watch(&it->log, entries + ENTRY_LOG);
    control_watch(&it->control, entries + ENTRY_CONTROL);
    wait_until(entries, ENTRIES, next_deadline(it));

    // First: who is refused a call waits for us.
    refusals_serve(&it->refusals, &entries[ENTRY_REFUSALS]);
    if (entries[ENTRY_REPORT].revents != 0)
        check_run_report(it);
    if (entries[ENTRY_SIGNALS].revents != 0 || it->more_to_reap) {
        handle_signals(it);
        reap(it);
    }
    control_serve(&it->control, entries + ENTRY_CONTROL, &it->status, handle_command, it);
    log_pump(&it->log, entries + ENTRY_LOG);
    do_what_is_due(it);
}

static int prepare(struct supervisor *it, struct slice_report *failure)
{
    if (getpid() != 1)
        return failed(failure, SLICE_STAGE_INIT_SETUP, EPERM);
    if (control_init(&it->control, it->options->control, it->options->status) < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    if (refusals_init(&it->refusals, it->options->listener, it->options->refusals) < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    it->signals = signals_take();
    if (it->signals < 0)
        return failed(failure, SLICE_STAGE_INIT_SETUP, errno);
    return 0;
}

static void begin(struct supervisor *it)
{
    if (!idles(it)) {
        start_run(it);
        return;
    }
    it->run_started = monotonic_now();
    it->status.started_at = wall_now();
    set_state(it, SLICE_SERVICE_RUNNING);
    tell_launcher(it, NULL);
}

int supervise(const struct options *options, char **environment)
{
    static struct supervisor it; // large
    struct slice_report failure;
    it.options = options;
    it.command = (struct command){
        .arguments = options->command,
        .environment = environment,
        .user = options->user,
        .workdir = options->workdir,
        .owns_output = true,
    };
    it.status = (struct slice_status){.version = SLICE_STATUS_VERSION, .exit_code = -1};
    it.policy = options->restart;
    it.launcher = options->report;
    it.run_report = -1;
    it.backoff = BACKOFF_MIN;
    it.phase_ends = NEVER;
    log_init(&it.log, options->log, options->log_size, (unsigned)options->log_files);
    if (prepare(&it, &failure) < 0) {
        tell_launcher(&it, &failure);
        return report_exit_code(&failure);
    }
    begin(&it);
    while (it.phase != PHASE_ENDED)
        turn(&it);
    return it.exit_code;
}
