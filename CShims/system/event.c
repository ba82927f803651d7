#include "system_event.h"

#include <sys/eventfd.h>

int system_event(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void system_raise_event(int fd)
{
	/* Fails only when the counter is full, and then the event is readable already. */
	eventfd_write(fd, 1);
}
