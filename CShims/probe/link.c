#include "link.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// An ioctl about a link (netdevice(7)).
static bool ask(const char *name, unsigned long request, struct ifreq *about)
{
    strncpy(about->ifr_name, name, IFNAMSIZ - 1);
    int asking = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool answered = asking >= 0 && ioctl(asking, request, about) == 0;
    int error = errno;
    close(asking);
    errno = error;
    return answered;
}

unsigned link_only(void)
{
    struct if_nameindex *links = if_nameindex();
    unsigned found = 0, count = 0;
    // Kernels put tunnels into every namespace, which are down.
    for (struct if_nameindex *link = links; link && link->if_index; link++) {
        struct ifreq about = {0};
        if (!ask(link->if_name, SIOCGIFFLAGS, &about) || !(about.ifr_flags & IFF_UP) || about.ifr_flags & IFF_LOOPBACK)
            continue;
        found = link->if_index;
        count++;
    }
    if (links)
        if_freenameindex(links);
    return count == 1 ? found : 0;
}

bool link_address(const char *name, uint8_t mac[6])
{
    struct ifreq about = {0};
    if (!ask(name, SIOCGIFHWADDR, &about))
        return false;
    memcpy(mac, about.ifr_hwaddr.sa_data, 6);
    return true;
}

int link_tap(unsigned link, unsigned protocol)
{
    int shown = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = (int)link};
    int room = 1 << 20;
    if (shown < 0 || bind(shown, (void *)&place, sizeof place) < 0)
        return -1;
    setsockopt(shown, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return shown;
}

bool link_enter(const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    bool entered = namespace >= 0 && setns(namespace, CLONE_NEWNET) == 0;
    int error = errno;
    close(namespace);
    errno = error;
    return entered;
}

bool link_neighbour(const char *name, uint8_t mac[6])
{
    char text[4096], device[32];
    // Of the present namespace (proc(5), /proc/net/arp): address, type, flags, MAC address, mask, device.
    if (read_text("/proc/self/net/arp", text, sizeof text) < 0)
        return false;
    char *rest, *line = strtok_r(text, "\n", &rest);
    while (line && (line = strtok_r(NULL, "\n", &rest)))
        if (sscanf(line, "%*s %*s %*s %hhx:%hhx:%hhx:%hhx:%hhx:%hhx %*s %31s", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5, device) == 7 &&
            !strcmp(device, name))
            return true;
    errno = EHOSTUNREACH;
    return false;
}

// rtnetlink(7). An attribute's length has its own 4 bytes in it and not its padding.
struct attribute { uint16_t length, type; };
enum { NAME = 3 /* IFLA_IFNAME */, INFO = 18 /* IFLA_LINKINFO */, KIND = 1, DATA = 2, PEER = 1 /* VETH_INFO_PEER */ };

bool link_make_pair(const char *one, const char *other)
{
    struct name { struct attribute head; char text[IFNAMSIZ]; };
    struct about { uint8_t family, pad; uint16_t type; uint32_t index, flags, change; };
    struct {
        struct { uint32_t length; uint16_t type, flags; uint32_t sequence, port; } header;
        struct about about;
        struct name name;
        struct {
            struct attribute head;
            struct { struct attribute head; char text[8]; } kind;
            struct { struct attribute head; struct { struct attribute head; struct about about; struct name name; } peer; } data;
        } info;
    } message = {
        .header = {sizeof message, 16 /* RTM_NEWLINK */, 0x605, 1, 0},
        .name = {{sizeof message.name, NAME}, ""},
        .info = {{sizeof message.info, INFO},
                 {{4 + 5, KIND}, "veth"},
                 {{sizeof message.info.data, DATA}, {{sizeof message.info.data.peer, PEER}, {0}, {{sizeof message.name, NAME}, ""}}}},
    };
    strncpy(message.name.text, one, IFNAMSIZ - 1);
    strncpy(message.info.data.peer.name.text, other, IFNAMSIZ - 1);
    if (netlink_request(0, &message, sizeof message) < 0)
        return false;
    struct ifreq up = {.ifr_flags = IFF_UP};
    return ask(one, SIOCSIFFLAGS, &up) && ask(other, SIOCSIFFLAGS, &up);
}
