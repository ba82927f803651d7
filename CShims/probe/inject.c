// Packets that root of the host sends from a slice's network namespace, past whatever keeps the slice's own processes
// from it; and datagrams as anybody sends them.
#include "datagram.h"
#include "link.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMES = 8, ETHERNET = 14 };

static int fail(const char *what)
{
    fprintf(stderr, "slice-probe: inject: %s: %s\n", what, strerror(errno));
    return 1;
}

int run_inject(char **arguments)
{
    const char *link = arguments[1];
    char word[16];
    unsigned number = 0;
    struct datagram datagram = {.text = arguments[5]};
    if (sscanf(arguments[2], "%15[a-z]:%u", word, &number) < 1 || number > 0xFFFF)
        return 2;
    // A foreign MAC address before an honest datagram.
    const bool foreign = !strcmp(word, "mac");
    int kind = foreign ? DATAGRAM_UDP : datagram_kind_of(word);
    if (kind < 0 || inet_pton(AF_INET, arguments[3], datagram.from) != 1 || inet_pton(AF_INET, arguments[4], datagram.to) != 1)
        return 2;
    datagram.kind = (enum datagram_kind)kind;
    datagram.number = (uint16_t)number;

    uint8_t frame[ETHERNET + MOST_DATAGRAM] = {[12] = 0x08};
    int sending = -1;
    if (!link_enter(arguments[0]) || !link_neighbour(link, frame) || !link_address(link, frame + 6) ||
        (sending = link_tap(if_nametoindex(link), 0)) < 0)
        return fail(link);
    if (foreign)
        memcpy(frame + 6, (uint8_t[]){0x02, 0x5C, 0x1C, 0xE5, 0x00, 0x02}, 6);
    const size_t size = ETHERNET + datagram_build(frame + ETHERNET, &datagram);
    for (int i = 0; i < TIMES; i++)
        if (send(sending, frame, size, 0) < 0 && errno != ENOBUFS)
            return fail(arguments[2]);
    return 0;
}

int run_say(char **arguments)
{
    for (char **to = arguments + 2; *to; to++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
        int sending = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (sending < 0 || inet_pton(AF_INET, *to, &address.sin_addr) != 1)
            return 2;
        // What comes back as an error, or is refused, is seen by who looks for the packets.
        for (int i = 0; i < TIMES; i++)
            sendto(sending, arguments[0], strlen(arguments[0]), 0, (void *)&address, sizeof address);
        close(sending);
    }
    return 0;
}
