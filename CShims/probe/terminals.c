// Terminals: what types into one, and whose the controlling one is.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// A terminal of this process's own, in a session of its own.
static int own_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -1;
    const char *name = ptsname(master);
    setsid();
    return name ? open(name, O_RDWR) : -1;
}

// On Linux 6.2 and later the host may have turned it off (dev.tty.legacy_tiocsti).
static struct answer push(unsigned long request, const char *name)
{
    int terminal = own_terminal();
    if (terminal < 0)
        return inapplicable("no terminals are mounted here");
    char byte = request == TIOCSTI ? '\n' : 6; // TIOCLINUX 6: shift state, harmless
    return answer_of_call(ioctl(terminal, (int)request, &byte), "ioctl(a terminal, %s)", name);
}
static struct answer type(const char *argument) { (void)argument; return push(TIOCSTI, "TIOCSTI"); }

static struct answer line_discipline(const char *argument)
{
    (void)argument;
    int terminal = own_terminal(), plain = 0;
    if (terminal < 0)
        return inapplicable("no terminals are mounted here");
    return answer_of_call(ioctl(terminal, 0x5423 /* TIOCSETD */, &plain), "ioctl(a terminal, TIOCSETD)");
}

// A terminal that is not of the slice's devpts is the caller's, or the supervisor's. With `control` there is one.
static struct answer foreign(const char *argument)
{
    if (!strcmp(argument, "control")) {
        int terminal = own_terminal();
        if (terminal < 0 || mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666") < 0)
            return inapplicable("no terminals are mounted here");
        dup2(terminal, 0);
    }
    struct stat terminals;
    if (stat("/dev/pts", &terminals) < 0)
        return failed("stat(/dev/pts)");
    for (int fd = 0; fd < 3; fd++) {
        struct stat info;
        if (isatty(fd) && fstat(fd, &info) == 0 && info.st_dev != terminals.st_dev) {
            char detail[64];
            snprintf(detail, sizeof detail, "descriptor %d is a terminal of another devpts", fd);
            return answer_of(true, detail, "fstat() of 0, 1 and 2");
        }
    }
    return answer_of(false, "", "fstat() of 0, 1 and 2");
}

const struct probe terminal_probes[] = {
    {"terminal.type", type}, {"terminal.line-discipline", line_discipline}, {"terminal.foreign", foreign}, {0},
};
