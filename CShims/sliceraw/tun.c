#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sliceraw.h"

// Documentation/networking/tuntap.rst. The device is there; a name that it has not would ask for a new
// one, which takes CAP_NET_ADMIN: EPERM.
int sliceraw_tun(const char *name, bool queue) {
    struct ifreq asked = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (queue) asked.ifr_flags |= IFF_MULTI_QUEUE;
    if (strlen(name) >= sizeof asked.ifr_name) {
        errno = EINVAL;
        return -1;
    }
    strcpy(asked.ifr_name, name);
    const int file = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (file < 0) return -1;
    if (ioctl(file, TUNSETIFF, &asked) == 0) return file;
    const int error = errno;
    close(file);
    errno = error;
    return -1;
}
