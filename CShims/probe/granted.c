// Raw sockets that a slice was granted: udp:20000-20010 and sniff. What they may not send or receive, and that the
// policy on them stays.
#include "datagram.h"
#include "link.h"
#include "probe.h"
#include "witness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS = 17 /* AF_PACKET */, GRANTED = 20005, OTHER = 30005, TIMES = 8, ETHERNET = 14 };

// ---- what is opened

static struct answer refused(const char *argument)
{
    (void)argument;
    static const struct { int domain, type, protocol; const char *text; } calls[] = {
        {AF_INET, SOCK_RAW, 1, "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)"},
        {AF_INET, SOCK_RAW, 6, "socket(AF_INET, SOCK_RAW, IPPROTO_TCP)"},
        {AF_INET, SOCK_RAW, 89, "socket(AF_INET, SOCK_RAW, 89)"},
        {AF_INET6, SOCK_RAW, 58, "socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int opened = socket(calls[i].domain, calls[i].type | SOCK_CLOEXEC, calls[i].protocol);
        if (opened >= 0)
            return answer_of_call(opened, "%s", calls[i].text);
    }
    return answer_of_call(-1, "socket() of ICMP, TCP, protocol 89 and ICMPv6, none of them granted");
}

// What goes round the place where packets are judged, or has others judge them (packet(7)).
static struct answer options(const char *argument)
{
    (void)argument;
    static const struct { int number; const char *name; } asked[] = {
        {15, "PACKET_VNET_HDR"}, {20, "PACKET_QDISC_BYPASS"}, {18, "PACKET_FANOUT"}, {24, "PACKET_VNET_HDR_SZ"},
    };
    int packet = socket(PACKETS, SOCK_RAW | SOCK_CLOEXEC, htons(0x0800)), value = 1;
    if (packet < 0)
        return failed("socket(AF_PACKET, SOCK_RAW)");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        if (setsockopt(packet, 263 /* SOL_PACKET */, asked[i].number, &value, sizeof value) == 0)
            return answer_of_call(0, "setsockopt(SOL_PACKET, %s)", asked[i].name);
    return answer_of_call(-1, "setsockopt(SOL_PACKET, …) of options that go round the policy");
}

// ---- what is received

static void bring_up_loopback(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int asking = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ioctl(asking, SIOCSIFFLAGS, &up); // where it is down this process may, else it is up
    close(asking);
}

static void send_to_self(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int sending = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sendto(sending, "raw", 3, 0, (void *)&address, sizeof address);
    close(sending);
}

// How many datagrams to a port a raw socket has got by now.
static int received(int raw, int port)
{
    uint8_t packet[256];
    int count = 0;
    ssize_t length;
    while ((length = recv(raw, packet, sizeof packet, MSG_DONTWAIT)) >= 0)
        count += length >= 28 && packet[9] == IPPROTO_UDP && (packet[22] << 8 | packet[23]) == port;
    return count;
}

// A program's own filter, attached and taken off again, doesn't take the policy with it.
static struct answer filter(const char *argument)
{
    (void)argument;
    // BPF_RET | BPF_K with the length of all packets (linux/filter.h).
    struct { uint16_t code; uint8_t on_true, on_false; uint32_t value; } all = {6, 0, 0, UINT32_MAX};
    struct { unsigned short length; void *code; } program = {1, &all};
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP), value = 0;
    if (raw < 0)
        return failed("socket(AF_INET, SOCK_RAW, IPPROTO_UDP)");
    bring_up_loopback();
    int foreign = 0;
    for (int round = 0; round < 3; round++) {
        if (round == 1 && setsockopt(raw, SOL_SOCKET, 26 /* SO_ATTACH_FILTER */, &program, sizeof program) < 0)
            return failed("setsockopt(SO_ATTACH_FILTER)");
        if (round == 2 && setsockopt(raw, SOL_SOCKET, 27 /* SO_DETACH_FILTER */, &value, sizeof value) < 0)
            return failed("setsockopt(SO_DETACH_FILTER)");
        send_to_self(OTHER);
        usleep(20000);
        foreign += received(raw, OTHER);
        send_to_self(GRANTED);
        usleep(20000);
        if (received(raw, GRANTED) == 0) {
            errno = ENODATA;
            return failed("receiving what is granted");
        }
    }
    char detail[64];
    snprintf(detail, sizeof detail, "%d datagrams to port %d received", foreign, OTHER);
    return answer_of(foreign > 0, detail, "SO_ATTACH_FILTER and SO_DETACH_FILTER on a raw socket for UDP");
}

// ---- what is sent

struct sender {
    int raw, packet; // raw: -1 where there are no routes
    unsigned link;
    uint8_t head[ETHERNET];
};

static bool open_packet(struct sender *sender, const char *link)
{
    sender->link = if_nametoindex(link);
    sender->head[12] = 0x08;
    sender->packet = socket(PACKETS, SOCK_RAW | SOCK_CLOEXEC, 0);
    return sender->link && sender->packet >= 0 && link_address(link, sender->head + 6);
}

// With a header of its own (raw(7)), and as a frame.
static void send_datagram(const struct sender *sender, const struct datagram *datagram)
{
    uint8_t frame[ETHERNET + MOST_DATAGRAM];
    memcpy(frame, sender->head, ETHERNET);
    const size_t size = datagram_build(frame + ETHERNET, datagram);
    struct sockaddr_in to = {.sin_family = AF_INET};
    memcpy(&to.sin_addr, datagram->to, 4);
    struct sockaddr_ll place = {.sll_family = PACKETS, .sll_protocol = htons(0x0800), .sll_ifindex = (int)sender->link, .sll_halen = 6};
    for (int i = 0; i < TIMES; i++) {
        // What is refused on the way may be an error here; what passes is seen elsewhere.
        if (sender->raw >= 0)
            sendto(sender->raw, frame + ETHERNET, size, 0, (void *)&to, sizeof to);
        sendto(sender->packet, frame, ETHERNET + size, 0, (void *)&place, sizeof place);
    }
}

static void send_all(const struct sender *sender, const uint8_t own[4], const uint8_t other[4])
{
    static const struct { const char *text; enum datagram_kind kind; uint16_t number; bool forged; } list[] = {
        {"raw.own", DATAGRAM_UDP, GRANTED, false},
        {"raw.source", DATAGRAM_UDP, GRANTED, true},
        {"raw.port", DATAGRAM_UDP, OTHER, false},
        {"raw.protocol", DATAGRAM_TCP, GRANTED, false},
        {"raw.end", DATAGRAM_UDP, GRANTED, false},
    };
    static const uint8_t nobody[4] = {192, 0, 2, 77}; // TEST-NET-1, RFC 5737
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct datagram datagram = {.kind = list[i].kind, .number = list[i].number, .text = list[i].text};
        memcpy(datagram.from, list[i].forged ? nobody : own, 4);
        memcpy(datagram.to, other, 4);
        send_datagram(sender, &datagram);
    }
}

static int fail(const char *what)
{
    fprintf(stderr, "slice-probe: granted: %s: %s\n", what, strerror(errno));
    return 1;
}

static bool open_in_slice(struct sender *sender)
{
    sender->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    return sender->raw >= 0 && open_packet(sender, "eth0") && link_neighbour("eth0", sender->head);
}

int run_granted(char **arguments)
{
    uint8_t own[4], other[4];
    struct sender sender;
    if (inet_pton(AF_INET, arguments[0], own) != 1 || inet_pton(AF_INET, arguments[1], other) != 1)
        return 2;
    if (!open_in_slice(&sender))
        return fail("raw sockets");
    send_all(&sender, own, other);
    return 0;
}

int run_granted_bare(void)
{
    static char *texts[] = {"raw.own", "raw.source", "raw.port", "raw.protocol", "raw.end", NULL};
    static const uint8_t own[4] = {198, 51, 100, 2}, other[4] = {198, 51, 100, 3}; // TEST-NET-2
    struct sight sights[5] = {0};
    struct sender sender = {.raw = -1};
    if (unshare(CLONE_NEWNET) < 0 || !link_make_pair("probe-host", "probe-own") || !open_packet(&sender, "probe-own") ||
        !link_address("probe-host", sender.head))
        return fail("a pair of links in a network namespace of their own");
    int shown = witness_open(if_nametoindex("probe-host"), PASSING);
    if (shown < 0)
        return fail("socket(AF_PACKET)");
    send_all(&sender, own, other);
    for (double end = monotonic_seconds() + 2; !sights[4].count && monotonic_seconds() < end; usleep(2000))
        witness_look(shown, PASSING, texts, sights);
    printf("{\"seen\":[%d,%d,%d,%d,%d]}\n", sights[0].count, sights[1].count, sights[2].count, sights[3].count, sights[4].count);
    return 0;
}

// ---- grants withdrawn

// Sends and receives with what it has opened, for ever, and says every 50 ms how much it has received since.
int run_hold(char **arguments)
{
    uint8_t own[4], other[4];
    struct sender sender;
    if (inet_pton(AF_INET, arguments[0], own) != 1 || inet_pton(AF_INET, arguments[1], other) != 1)
        return 2;
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
    if (raw < 0 || !open_in_slice(&sender))
        return fail("raw sockets");
    struct datagram datagram = {.kind = DATAGRAM_UDP, .number = GRANTED, .text = "raw.withdrawn"};
    memcpy(datagram.from, own, 4);
    memcpy(datagram.to, other, 4);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int tick = 0; puts(tick ? "" : "{\"finished\":true}") >= 0; tick++) {
        send_datagram(&sender, &datagram);
        send_to_self(GRANTED);
        usleep(50000);
        printf("{\"tick\":%d,\"received\":%d}\n", tick, received(raw, GRANTED));
    }
    return 1;
}

// ---- the node's address, shared

static struct answer bind_foreign(const char *argument)
{
    unsigned port;
    if (sscanf(argument, "%u", &port) != 1 || port > 0xFFFF) {
        errno = EINVAL;
        return failed("reading a port");
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int binding = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return answer_of_call(bind(binding, (void *)&address, sizeof address), "bind(port %u)", port);
}

const struct probe raw_probes[] = {
    {"raw.refused", refused}, {"raw.options", options}, {"raw.filter", filter}, {"shared.bind", bind_foreign}, {0},
};
