#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* What terminal_restore goes back to. One terminal a process is enough, and a signal handler
 * can reach nothing else. */
static struct termios former;
static int raw_fd = -1;
static volatile sig_atomic_t is_raw;
static int farewell_fd = -1;
static const char *farewell;
static size_t farewell_length;

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGSYS};

void terminal_restore(void)
{
	int saved = errno;

	if (is_raw) {
		is_raw = 0;
		if (farewell && write(farewell_fd, farewell, farewell_length) == -1)
			errno = saved; /* the terminal has gone: nobody sees it */
		/* At once, not TCSADRAIN: that would wait for ever on a terminal stopped by
		 * Ctrl-S. tcsetattr is async-signal-safe (signal-safety(7)). */
		tcsetattr(raw_fd, TCSANOW, &former);
	}
	errno = saved;
}

void terminal_set_farewell(int fd, const char *text)
{
	farewell_fd = fd;
	farewell_length = strlen(text);
	farewell = strdup(text);
}

/* SA_RESETHAND has put the default action back: raising again kills as if never caught. */
static void restore_and_die(int signal)
{
	terminal_restore();
	raise(signal);
}

static int install_safety_net(void)
{
	static bool installed;
	struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = SA_RESETHAND};

	if (installed)
		return 0;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
		if (sigaction(fatal_signals[i], &action, NULL) == -1)
			return -1;
	}
	if (atexit(terminal_restore) != 0) {
		errno = ENOMEM;
		return -1;
	}
	installed = true;
	return 0;
}

int terminal_enter_raw(int fd)
{
	struct termios raw;

	if (is_raw)
		return 0;
	if (tcgetattr(fd, &former) == -1 || install_safety_net() == -1)
		return -1;
	raw = former;
	cfmakeraw(&raw);
	raw_fd = fd;
	is_raw = 1;
	if (tcsetattr(fd, TCSADRAIN, &raw) == -1) {
		int saved = errno;
		is_raw = 0;
		errno = saved;
		return -1;
	}
	return 0;
}

int terminal_get_size(int fd, unsigned short *rows, unsigned short *columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) == -1)
		return -1;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return 0;
}

int terminal_set_size(int fd, unsigned short rows, unsigned short columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	return ioctl(fd, TIOCSWINSZ, &size);
}

int terminal_signal_descriptor(const int *signals, size_t count)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < count; i++) {
		struct sigaction current;

		if (sigaction(signals[i], NULL, &current) == -1)
			return -1;
		/* A blocked signal is queued even when ignored: leave what nohup(1), or a shell
		 * for its background jobs, has set to be ignored. */
		if (current.sa_handler != SIG_IGN && sigaddset(&set, signals[i]) == -1)
			return -1;
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int terminal_next_signal(int fd)
{
	struct signalfd_siginfo info;
	ssize_t length;

	do
		length = read(fd, &info, sizeof info);
	while (length == -1 && errno == EINTR);
	if (length == -1)
		return errno == EAGAIN ? 0 : -1;
	return (int)info.ssi_signo;
}
