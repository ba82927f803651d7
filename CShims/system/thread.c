#include "system_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

struct start {
	const char *name;
	void (*body)(void *argument);
	void *argument;
};

static void *run(void *memory)
{
	struct start start = *(struct start *)memory;

	free(memory);
	/* Truncates; fails only on a bad pointer (PR_SET_NAME(2const)). */
	prctl(PR_SET_NAME, start.name, 0, 0, 0);
	start.body(start.argument);
	return NULL;
}

/* Returns the errno, as the pthread functions do. */
static int create(size_t stack_size, struct start *start)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int code = pthread_attr_init(&attributes);

	if (code != 0)
		return code;
	code = pthread_attr_setstacksize(&attributes, stack_size);
	if (code == 0)
		code = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (code == 0) {
		/* The new thread inherits the mask of this one. */
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
		code = pthread_create(&thread, &attributes, run, start);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attributes);
	return code;
}

int system_start_thread(size_t stack_size, const char *name, void (*body)(void *argument),
			void *argument)
{
	struct start *start = malloc(sizeof(*start));
	int code;

	if (!start)
		return -1;
	*start = (struct start){.name = name, .body = body, .argument = argument};
	code = create(stack_size, start);
	if (code != 0) {
		free(start);
		errno = code;
		return -1;
	}
	return 0;
}
