// Signals as the kernel has them: all 64, with none kept back by the C library.
#ifndef SLICE_INIT_SIGNALS_H
#define SLICE_INIT_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#define SIGNALS_COUNT 64

// Undoes what was inherited: dispositions back to the default. A SIGCHLD that is ignored would have
// the kernel reap, and every exit status be lost. exec keeps SIG_IGN, so this serves the command
// too. 0, or -1 with errno.
int signals_default(void);

// Blocks every signal and returns a signalfd for them (close-on-exec, non-blocking), or -1 with
// errno. Blocked signals reach PID 1 although their disposition is the default one
// (kernel/signal.c, sig_ignored), and no handler means no interrupted system call.
int signals_take(void);

// The next signal's number, or 0 when none is left.
int signals_next(int descriptor);

// Unblocks every signal, for the program that is executed next. 0, or -1 with errno.
int signals_release(void);

// Whether a signal to PID 1 is meant for the service: not those that tell of a fault, a limit or
// slice-init's own work, nor SIGTERM and SIGINT, which end the slice.
bool signals_forwarded(int signal);

#endif
