// Time, always in nanoseconds.
#ifndef SLICE_INIT_CLOCK_H
#define SLICE_INIT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MILLISECOND UINT64_C(1000000) // nanoseconds
#define SECOND UINT64_C(1000000000)   // nanoseconds

// A deadline that is not set: later than any other.
#define NEVER UINT64_MAX

static inline uint64_t clock_nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now); // cannot fail for the two clocks used
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

// Since some fixed point; never goes back. For deadlines.
static inline uint64_t monotonic_now(void)
{
    return clock_nanoseconds(CLOCK_MONOTONIC);
}

// Since 1970, UTC. For records that people and other programs read.
static inline uint64_t wall_now(void)
{
    return clock_nanoseconds(CLOCK_REALTIME);
}

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
