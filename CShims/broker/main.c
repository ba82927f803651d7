// slice-broker: gives a slice the raw sockets that its grants allow.
//
//   slice-broker --report FD --listener FD --control FD --requests FD --processes DIRFD --state FD
//
// A slice has no CAP_NET_RAW. Its seccomp filter asks this process whenever a program of it opens a
// raw or packet socket, or sets a filter or a ring; the broker opens the socket, with a filter of the
// grants, and puts it into the program's descriptor table. After that nobody stands between the
// program and its packets. What no call of a program's says it is asked for by a Unix socket: AF_XDP, and many
// sockets at once (slice_request.h).
//
// Where it has to be started:
//   - in the network namespace of the slice: the sockets belong to it;
//   - in a cgroup of the slice: their memory counts there;
//   - in the PID namespace of the slice: what it may look into is then the slice alone;
//   - as the user who owns the slice's user namespace, which is who made it (user_namespaces(7)):
//     so it may read the slice's processes, and no other's, without any capability for that;
//   - with an empty root directory, and CAP_NET_RAW, CAP_IPC_LOCK and CAP_SETPCAP of the initial user
//     namespace.
// It gives up the rest itself (confine.c).
//
//   report     write end of a pipe: end of file says that it works; else one struct slice_report
//   listener   of the slice's filter (seccomp_unotify(2)); those of later filters come by the
//              control socket. Who else holds it has the calls of a slice whose broker was killed
//              wait for the next one; else they fail with ENOSYS
//   control    listening SOCK_SEQPACKET socket (slice_raw.h)
//   requests   listening SOCK_SEQPACKET socket, which the slice's processes can reach
//   processes  directory: a proc file system of the slice's PID namespace
//   state      the BPF map of the slice's raw.bpf.c (struct slice_raw_state), the same for the next
//              broker
//
// Ends with 0 when the slice has no process left that could ask.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker.h"
#include "confine.h"
#include "control.h"
#include "requests.h"
#include "rings.h"
#include "serve.h"
#include "slice_report.h"

struct options {
    int report, listener, control, requests, processes, state;
};

// 0, or -1 with errno. report is set as soon as it is known.
static int parse(char **argv, struct options *options)
{
    const struct {
        const char *name;
        int *value;
    } known[] = {
        {"--report", &options->report},       {"--listener", &options->listener},
        {"--control", &options->control},     {"--processes", &options->processes},
        {"--state", &options->state},         {"--requests", &options->requests},
    };
    enum { KNOWN = sizeof known / sizeof known[0] };
    for (char **word = argv + 1; *word != NULL; word += 2) {
        unsigned i = 0;
        while (i < KNOWN && strcmp(*word, known[i].name) != 0)
            i++;
        if (i == KNOWN || word[1] == NULL)
            goto invalid;
        char *end;
        const long number = strtol(word[1], &end, 10);
        if (*word[1] == '\0' || *end != '\0' || number < 3 || number > 1 << 20)
            goto invalid;
        if (fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
            return -1;
        *known[i].value = (int)number;
    }
    for (unsigned i = 0; i < KNOWN; i++)
        if (*known[i].value < 0)
            goto invalid;
    return 0;
invalid:
    errno = EINVAL;
    return -1;
}

static int map_state(int file, struct slice_raw_state **state)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return -1;
    // A map's file has no type (anon_inodes). A regular file could become shorter, and reading it end
    // the process.
    if ((status.st_mode & S_IFMT) != 0) {
        errno = EINVAL;
        return -1;
    }
    void *mapped = mmap(NULL, sizeof **state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED)
        return -1;
    *state = mapped;
    return 0;
}

static int never_wait(int file)
{
    const int flags = fcntl(file, F_GETFL);
    return flags < 0 ? -1 : fcntl(file, F_SETFL, flags | O_NONBLOCK);
}

static void interrupt(int signal) { (void)signal; }

// Closing what a program of the slice has passed may wait for as long as the program says (SO_LINGER,
// socket(7)). With this each wait of the broker's ends within a second (signal(7), EINTR).
static int prepare_alarm(void)
{
    const struct sigaction action = {.sa_handler = interrupt};
    return sigaction(SIGALRM, &action, NULL);
}

static void bound_waits(bool bounded)
{
    const struct timeval second = {.tv_sec = bounded};
    const struct itimerval timer = {.it_interval = second, .it_value = second};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static int prepare(const struct options *options, struct broker *broker)
{
    *broker = (struct broker){.control = options->control,
                              .client = -1,
                              .requests = options->requests,
                              .xdp_sockets = -1,
                              .link = (int)if_nametoindex("eth0"),
                              .process_files = options->processes};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prepare_alarm() < 0 || serve_prepare() < 0 ||
        serve_add(broker, options->listener) < 0 || map_state(options->state, &broker->state) < 0)
        return -1;
    close(options->state); // mapped; bpf(2) is to reach no map but that of AF_XDP sockets
    broker->rings = rings_watch();
    if (broker->rings < 0)
        return -1;
    if (never_wait(options->control) < 0 || never_wait(options->requests) < 0)
        return -1;
    return confine();
}

// One call of each listener that has one, so that none has to wait for another's flood. False where
// the slice has ended.
static bool serve_all(struct broker *broker, const struct pollfd *entries)
{
    // Backwards: the last takes the place of one that goes.
    for (unsigned i = broker->listener_count; i-- > 0;) {
        const short ready = entries[i].revents;
        const bool useless = (ready & POLLIN) != 0 && serve(broker, broker->listeners[i]) < 0;
        if (!useless && (ready & (POLLIN | POLLHUP)) != POLLHUP)
            continue;
        if (i == 0)
            return false;
        close(broker->listeners[i]);
        broker->listeners[i] = broker->listeners[--broker->listener_count];
    }
    return true;
}

// Until the slice has ended: when nobody is left under the first filter. Returns the exit status.
static int work(struct broker *broker)
{
    serve_recover(broker);
    for (;;) {
        enum { LISTENING = 2 + REQUEST_ENTRIES };
        struct pollfd entries[LISTENING + LISTENERS];
        entries[0] = (struct pollfd){.fd = broker->control, .events = POLLIN};
        entries[1] = (struct pollfd){.fd = broker->client, .events = POLLIN};
        const int wait = requests_wait(broker, entries + 2);
        // POLLHUP comes in any case.
        const short wanted =
            broker->state->granted != 0 && broker->state->unsettled == 0 ? POLLIN : 0;
        for (unsigned i = 0; i < broker->listener_count; i++)
            entries[LISTENING + i] = (struct pollfd){.fd = broker->listeners[i], .events = wanted};
        if (poll(entries, LISTENING + broker->listener_count, wait) < 0) {
            if (errno == EINTR)
                continue;
            return 1;
        }
        bound_waits(true);
        if (!serve_all(broker, entries + LISTENING))
            return 0;
        requests_serve(broker, entries + 2);
        if (entries[1].revents != 0)
            control_read(broker);
        if (entries[0].revents != 0)
            control_accept(broker);
        bound_waits(false);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    struct options options = {-1, -1, -1, -1, -1, -1};
    static struct broker broker;
    if (parse(argv, &options) < 0 || prepare(&options, &broker) < 0) {
        const struct slice_report report = {.stage = SLICE_STAGE_BROKER, .error = errno};
        if (options.report >= 0)
            (void)!write(options.report, &report, sizeof report);
        return 125;
    }
    close(options.report);
    return work(&broker);
}
