/* eventfd(2), whose header Swift's C library module leaves out. */
#ifndef SYSTEM_EVENT_H
#define SYSTEM_EVENT_H

/* A close-on-exec descriptor, the caller's to close, that is not readable yet; -1 and errno. */
int system_event(void);

/* Makes it readable for good. */
void system_raise_event(int fd);

#endif
