/* Plain POSIX threads. */
#ifndef SYSTEM_THREAD_H
#define SYSTEM_THREAD_H

#include <stddef.h>

/*
 * Runs body(argument) on a new detached thread with every signal blocked, so that signals go to
 * the threads that expect them. stack_size: bytes, a multiple of the page size, at least
 * PTHREAD_STACK_MIN. name: for debuggers and /proc, the kernel keeps its first 15 bytes; it must
 * stay valid while the thread runs. Returns 0, or -1 and errno: then body is not called.
 */
int system_start_thread(size_t stack_size, const char *name, void (*body)(void *argument),
			void *argument);

#endif
