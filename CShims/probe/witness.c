#include "witness.h"
#include "datagram.h"
#include "link.h"
#include "probe.h"

#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ALL = 0x0003 /* ETH_P_ALL */, IPV4 = 0x0800, MOST_TEXTS = 16 };

int witness_open(unsigned link, enum view view)
{
    return link_tap(link, view == PASSING ? IPV4 : ALL);
}

// Of an IPv4 packet in an Ethernet frame.
static int number_in(const uint8_t *frame, size_t length)
{
    const size_t place = frame[23] == 1 /* ICMP */ ? 38 : 34;
    return length >= place + 2 ? frame[place] << 8 | frame[place + 1] : -1;
}

void witness_look(int shown, enum view view, char **texts, struct sight *sights)
{
    uint8_t frame[2048];
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t length;
    while ((length = recvfrom(shown, frame, sizeof frame, 0, (void *)&from, &size)) >= 0) {
        size = sizeof from;
        if ((from.sll_pkttype == PACKET_OUTGOING) != (view == LEAVING))
            continue;
        for (size_t i = 0; texts[i]; i++)
            if (memmem(frame, (size_t)length, texts[i], strlen(texts[i]))) {
                sights[i].count++;
                sights[i].number = number_in(frame, (size_t)length);
            }
    }
}

static void print_sights(bool ended, const struct sight *sights, size_t count)
{
    printf("{\"ended\":%s,\"seen\":[", ended ? "true" : "false");
    for (size_t i = 0; i < count; i++)
        printf("%s%d", i ? "," : "", sights[i].count);
    printf("],\"number\":[");
    for (size_t i = 0; i < count; i++)
        printf("%s%d", i ? "," : "", sights[i].number);
    puts("]}");
}

int run_witness(char **arguments)
{
    static const char *const views[] = {"arriving", "passing", "leaving"};
    enum view view = ARRIVING;
    while (view <= LEAVING && strcmp(arguments[2], views[view]))
        view++;
    struct sight sights[MOST_TEXTS] = {0};
    char **texts = arguments + 4;
    size_t count = 0;
    while (texts[count])
        count++;
    if (view > LEAVING || count == 0 || count > MOST_TEXTS)
        return 2;
    const bool inside = strcmp(arguments[0], "host") != 0;
    unsigned link = !inside || link_enter(arguments[0]) ? if_nametoindex(arguments[1]) : 0;
    int shown = link ? witness_open(link, view) : -1;
    if (shown < 0) {
        fprintf(stderr, "slice-probe: witness: %s: %s\n", arguments[1], strerror(errno));
        return 1;
    }
    static const char begun[] = "{\"finished\":true}\n";
    if (write(1, begun, sizeof begun - 1) < 0)
        return 1;
    // The last text is sent when all others have been.
    for (double end = monotonic_seconds() + atof(arguments[3]); !sights[count - 1].count && monotonic_seconds() < end;) {
        usleep(5000);
        witness_look(shown, view, texts, sights);
    }
    print_sights(sights[count - 1].count > 0, sights, count);
    return 0;
}
