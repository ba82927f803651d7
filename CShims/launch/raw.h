// System calls without libc: no errno, no locks, no cancellation points.
#ifndef SLICE_RAW_H
#define SLICE_RAW_H

#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "the launch path knows the system call convention of x86-64 alone"
#endif

// Returns what the kernel returns: a negative errno on failure.
static inline long raw6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define RAW_PICK(number, a, b, c, d, e, f, ...)                                                    \
    raw6((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
// raw(SYS_name, arguments…): up to six arguments, the missing ones are 0.
#define raw(number, ...) RAW_PICK((number), ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)

#endif
