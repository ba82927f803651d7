// Loads for measuring what a slice gets beside others.
#include "load.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char begun[] = "{\"finished\":true}\n";

// Runs `body` in so many processes, which end by themselves or with this one. Says when all have begun, and
// returns when all have ended.
static bool run_many(long count, void body(long number, double end, void *context), double end, void *context)
{
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0)
            return false;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            body(i, end, context);
            _exit(0);
        }
    }
    if (write(1, begun, sizeof begun - 1) < 0)
        return false;
    while (wait(NULL) > 0 || errno == EINTR) {
    }
    return true;
}

// A look at the clock costs a system call where it is virtual: not after each round.
static void spin(long number, double end, void *context)
{
    (void)number, (void)context;
    while (monotonic_seconds() < end)
        for (volatile int round = 0; round < 1000000; round++) {
        }
}

int run_spin(const char *seconds, const char *processes)
{
    long count = atol(processes);
    double begin = monotonic_seconds(), end = begin + atof(seconds);
    if (count < 1 || count > 256)
        return 2;
    if (!run_many(count, spin, end, NULL))
        return 1;
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    double used = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    return printf("{\"used\":%.3f,\"elapsed\":%.3f}\n", used, monotonic_seconds() - begin) < 0;
}

struct target { struct sockaddr_in address; unsigned long long *sent; };

static void send_for_ever(long number, double end, void *context)
{
    const struct target *to = context;
    static char bytes[1400];
    int sending = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    // Refusals (ICMP) and full queues are no reason to stop.
    while (monotonic_seconds() < end)
        for (int i = 0; i < 16; i++) {
            ssize_t count = sendto(sending, bytes, sizeof bytes, 0, (const void *)&to->address, sizeof to->address);
            to->sent[number] += count > 0 ? (unsigned long long)count : 0;
        }
}

int run_flood(const char *address, const char *port, const char *seconds, const char *processes)
{
    long count = atol(processes);
    struct target to = {.address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))}};
    if (count < 1 || count > 256 || inet_pton(AF_INET, address, &to.address.sin_addr) != 1)
        return 2;
    to.sent = mmap(NULL, (size_t)count * sizeof *to.sent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (to.sent == MAP_FAILED || !run_many(count, send_for_ever, monotonic_seconds() + atof(seconds), &to))
        return 1;
    unsigned long long sum = 0;
    for (long i = 0; i < count; i++)
        sum += to.sent[i];
    return printf("{\"sent\":%llu}\n", sum) < 0;
}

// Past the page cache, into a file of its own, 16 MiB long; again and again.
static void write_for_ever(long number, double end, void *context)
{
    enum { PART = 1 << 18, LENGTH = 16 << 20 };
    unsigned long long *written = context;
    char name[32];
    snprintf(name, sizeof name, "/load-%ld-%d", number, getpid());
    int file = open(name, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    void *bytes = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (file >= 0 && bytes != MAP_FAILED && monotonic_seconds() < end) {
        ssize_t count = pwrite(file, bytes, PART, (off_t)(written[number] % LENGTH));
        if (count != PART)
            break;
        written[number] += PART;
    }
    unlink(name);
}

int run_write(const char *seconds, const char *processes)
{
    long count = atol(processes);
    if (count < 1 || count > 256)
        return 2;
    unsigned long long sum = 0, *written = mmap(NULL, (size_t)count * sizeof *written, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (written == MAP_FAILED || !run_many(count, write_for_ever, monotonic_seconds() + atof(seconds), written))
        return 1;
    for (long i = 0; i < count; i++)
        sum += written[i];
    return printf("{\"written\":%llu}\n", sum) < 0;
}
