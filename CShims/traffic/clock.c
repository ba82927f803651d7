#include "traffic.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

static volatile sig_atomic_t ending;

static void note(int number)
{
    (void)number;
    ending = 1;
}

bool is_ending(void) { return ending != 0; }

void catch_signals(void)
{
    // Without SA_RESTART: what waits is interrupted.
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

bool wait_readable(int descriptor, uint64_t until)
{
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    // The time first: what is always readable must not make it longer.
    for (uint64_t present; !is_ending() && (present = now()) < until;) {
        uint64_t left = until - present;
        struct timespec wait = {
            .tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
        int ready = ppoll(&entry, 1, &wait, NULL);
        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
    return false;
}
