// The slice's processes as the proc file system of its PID namespace shows them.
#ifndef SLICE_BROKER_PROCESS_H
#define SLICE_BROKER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

// A number from /proc/THREAD/status; `field` with its colon, as "Tgid:". -1 with errno (ESRCH: the
// thread has gone).
long process_status(int process_files, pid_t thread, const char *field);

// A pidfd of a thread, for its own descriptors, where the kernel can do that (Linux 6.9); else of a
// process by its first thread. -1 with errno: EINVAL where it is another thread and the kernel can't.
int process_open(pid_t thread);

// pidfd_getfd(2). -1 with errno.
int process_descriptor(int pidfd, int number);

#endif
