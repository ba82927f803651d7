/*
 * The caller's terminal: raw mode that never outlives the process, sizes, and signals as a
 * descriptor (signalfd(2)), which Swift can't import.
 *
 * Functions that return int: -1 and errno when they fail. Single-threaded use.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stddef.h>

/*
 * Puts the terminal fd (not owned; must stay open) into raw mode, where every byte passes
 * unchanged in both directions. The former settings come back with terminal_restore, at exit(3),
 * and when a fatal signal (SEGV, BUS, ILL, TRAP, FPE, ABRT, SYS) kills the process.
 */
int terminal_enter_raw(int fd);

/*
 * What terminal_restore writes to fd (not owned) besides, to take back what was written to change
 * the terminal. To be set before terminal_enter_raw.
 */
void terminal_set_farewell(int fd, const char *text);

/* Gives the terminal its former settings. Does nothing when they are in force. Signal-safe. */
void terminal_restore(void);

/* The size in character cells; 0 where the terminal doesn't know it. */
int terminal_get_size(int fd, unsigned short *rows, unsigned short *columns);
int terminal_set_size(int fd, unsigned short rows, unsigned short columns);

/*
 * Blocks these signals and returns a descriptor, close-on-exec and non-blocking, that is readable
 * when one is pending. Signals that the process was started to ignore stay ignored. The caller
 * owns the descriptor.
 */
int terminal_signal_descriptor(const int *signals, size_t count);

/* The next signal's number; 0 when none is pending. */
int terminal_next_signal(int fd);

#endif
