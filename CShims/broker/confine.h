// What the broker takes away from itself before it looks at anything of the slice's.
#ifndef SLICE_BROKER_CONFINE_H
#define SLICE_BROKER_CONFINE_H

// Leaves CAP_NET_RAW and CAP_IPC_LOCK alone, no way to get more, and the system calls that the work takes; any other
// ends the process. 0, or -1 with errno.
int confine(void);

#endif
