// Packets: what a slice could send and see if it had got past its filter and its capabilities. The sockets are
// root's of the host, in the slice's network namespace: so the attack gets as far as the host's end of the link,
// and what is judged is that end.
//
// What stands between a link and the host (clsact, tc-bpf(8)) comes between two places at which the kernel shows
// packets (packet(7)): a socket for all protocols gets what has arrived, one for a single protocol what goes on
// from there. So frames that were sent, arrived and did not pass are told from those that were never there.
#include "frames.h"
#include "link.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ALL = 0x0003 /* ETH_P_ALL */, EACH = 16 /* frames, of each kind and way */ };
static const double PATIENCE = 1.0; // seconds until what was sent must have arrived

static int fail(const char *what)
{
    fprintf(stderr, "slice-probe: packets: %s: %s\n", what, strerror(errno));
    return 1;
}

// How many frames with the cookie in them it shows by now. What leaves is not counted.
static int count(int shown, const uint8_t *cookie)
{
    uint8_t frame[2048];
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    int seen = 0;
    ssize_t length;
    while ((length = recvfrom(shown, frame, sizeof frame, 0, (void *)&from, &size)) >= 0) {
        seen += from.sll_pkttype != PACKET_OUTGOING && memmem(frame, (size_t)length, cookie, COOKIE);
        size = sizeof from;
    }
    return seen;
}

// ---- forging

struct wire {
    struct ends ends;
    unsigned host, own;  // the links at both ends, each in its namespace
    int arrived;         // shows what comes to the host's end
    int senders[2];      // through the queueing discipline, and past it
};

// A sending socket at the present namespace's end.
static int sender(unsigned link, bool past)
{
    int sending = link_tap(link, 0), on = 1;
    if (sending >= 0 && past && setsockopt(sending, 263 /* SOL_PACKET */, 20 /* PACKET_QDISC_BYPASS */, &on, sizeof on) < 0)
        return -1;
    return sending;
}

// Sends a kind of frame and says how many arrived, and how many passed.
static bool send_all(const struct wire *wire, const struct forgery *kind, int passing, int *arrived, int *passed)
{
    uint8_t cookie[COOKIE], frame[MOST_FRAME];
    if (getrandom(cookie, sizeof cookie, 0) != sizeof cookie)
        return false;
    size_t size = kind->build(frame, &wire->ends, cookie);
    for (size_t way = 0; way < 2; way++)
        for (int i = 0; i < EACH; i++)
            if (send(wire->senders[way], frame, size, 0) < 0 && errno != ENOBUFS)
                return false;
    *arrived = *passed = 0;
    double end = monotonic_seconds() + PATIENCE;
    do {
        usleep(2000);
        *arrived += count(wire->arrived, cookie);
    } while (*arrived < 2 * EACH && monotonic_seconds() < end);
    // It is shown there before it is judged.
    usleep(10000);
    *passed = count(passing, cookie);
    return true;
}

static struct answer try_forgery(const struct wire *wire, const struct forgery *kind, int passing)
{
    int arrived, passed;
    if (passing < 0)
        return failed("a packet socket at the host's end");
    if (!send_all(wire, kind, passing, &arrived, &passed))
        return failed(kind->tried);
    char detail[128];
    snprintf(detail, sizeof detail, "%d frames sent, %d arrived at the host's end, %d passed", 2 * EACH, arrived, passed);
    struct answer answer = answer_of(passed > 0, detail, "%s", kind->tried);
    if (!arrived)
        answer.outcome = ERROR;
    return answer;
}

// An answer for each kind; `passing` are sockets at the host's end, in the order of the list, the honest one last.
static int forge_all(const struct wire *wire, const int *passing, size_t count)
{
    struct answer answer = try_forgery(wire, &honest, passing[count]);
    // Where nothing passes at all, nothing is learnt.
    bool honest_passes = answer.outcome == BROKEN;
    probe_print("packet.own", "", &answer);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "packet.%s", forgeries[i].name);
        answer = try_forgery(wire, &forgeries[i], passing[i]);
        if (!honest_passes && answer.outcome == HELD) {
            answer.outcome = ERROR;
            snprintf(answer.detail, sizeof answer.detail, "honest packets don't pass either");
        }
        probe_print(name, "", &answer);
    }
    return 0;
}

static bool read_addresses(struct ends *ends, char **texts)
{
    return inet_pton(AF_INET, texts[0], ends->ipv4) == 1 && inet_pton(AF_INET6, texts[1], ends->ipv6) == 1 &&
           inet_pton(AF_INET, texts[2], ends->other4) == 1 && inet_pton(AF_INET6, texts[3], ends->other6) == 1;
}

int run_forge(char **arguments)
{
    // Those of a slice's, RFC 5737 and RFC 3849, where there is none.
    static char *const documented[] = {"198.51.100.2", "2001:db8:1::2", "198.51.100.3", "2001:db8:1::3"};
    bool bare = !strcmp(arguments[0], "bare");
    for (int i = 1; i < 6 && !bare; i++)
        if (!arguments[i])
            return 2;
    struct wire wire = {0};
    char **addresses = bare ? (char **)documented : arguments + 2;
    if (!read_addresses(&wire.ends, addresses)) {
        errno = EINVAL;
        return fail("addresses");
    }
    if (bare && (unshare(CLONE_NEWNET) < 0 || !link_make_pair("probe-host", "probe-own")))
        return fail("a pair of links in a network namespace of their own");
    const char *host = bare ? "probe-host" : arguments[1];
    wire.host = if_nametoindex(host);
    if (!wire.host || !link_address(host, wire.ends.peer_mac))
        return fail(host);
    wire.arrived = link_tap(wire.host, ALL);
    size_t count = 0;
    while (forgeries[count].name)
        count++;
    int passing[count + 1];
    for (size_t i = 0; i < count; i++)
        passing[i] = link_tap(wire.host, forgeries[i].protocol);
    passing[count] = link_tap(wire.host, honest.protocol);
    if (!bare && !link_enter(arguments[0]))
        return fail("the slice's network namespace");
    char own[IFNAMSIZ] = "probe-own";
    wire.own = bare ? if_nametoindex(own) : link_only();
    errno = wire.own ? 0 : ENODEV;
    if (!wire.own || !if_indextoname(wire.own, own) || !link_address(own, wire.ends.mac))
        return fail("the slice's link");
    wire.senders[0] = sender(wire.own, false);
    wire.senders[1] = sender(wire.own, true);
    if (wire.arrived < 0 || wire.senders[0] < 0 || wire.senders[1] < 0)
        return fail("socket(AF_PACKET)");
    return forge_all(&wire, passing, count);
}

// ---- sniffing

// Sends datagrams with the cookie in them, from the host, to an address; port 9, discard.
static bool send_datagrams(const char *address, const uint8_t *cookie)
{
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    bool is4 = inet_pton(AF_INET, address, &to4.sin_addr) == 1;
    if (!is4 && inet_pton(AF_INET6, address, &to6.sin6_addr) != 1)
        return false;
    int sending = socket(is4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < 500; i++) // refusals (ICMP) come back as errors and don't matter
        sendto(sending, cookie, COOKIE, 0, is4 ? (void *)&to4 : (void *)&to6, is4 ? sizeof to4 : sizeof to6);
    close(sending);
    return sending >= 0;
}

// A socket for all that is to be seen in the namespace of PID, while the host sends to the others' addresses and to
// itself.
int run_sniff(char **arguments)
{
    if (!arguments[0] || !arguments[1] || !arguments[2])
        return 2;
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (here < 0 || !link_enter(arguments[0]))
        return fail("the slice's network namespace");
    int shown = link_tap(0, ALL);
    if (shown < 0)
        return fail("socket(AF_PACKET)");
    if (setns(here, CLONE_NEWNET) < 0)
        return fail("back to the host's network namespace");
    uint8_t cookie[COOKIE];
    if (getrandom(cookie, sizeof cookie, 0) != sizeof cookie)
        return fail("getrandom");
    int seen = 0, sent = 0;
    for (char **to = arguments + 1; *to; to++, sent++) {
        if (!send_datagrams(*to, cookie))
            return fail(*to);
        seen += count(shown, cookie);
    }
    usleep(200000);
    seen += count(shown, cookie);
    char detail[128];
    snprintf(detail, sizeof detail, "%d of %d datagrams seen", seen, sent * 500);
    struct answer answer = answer_of(seen > 0, detail, "a packet socket for all protocols, while the host sends to others and itself");
    probe_print("packet.sniff", "", &answer);
    return 0;
}

// ---- counting

// What of UDP over IPv4 leaves by a link, behind its queueing discipline, to two ports: {"bytes": [1000, 2000]}.
int run_leaving(char **arguments)
{
    if (!arguments[0] || !arguments[1] || !arguments[2] || !arguments[3])
        return 2;
    int ports[2] = {atoi(arguments[2]), atoi(arguments[3])};
    unsigned link = if_nametoindex(arguments[0]);
    int shown = link ? link_tap(link, ALL) : -1;
    if (shown < 0)
        return fail(arguments[0]);
    unsigned long long bytes[2] = {0};
    for (double end = monotonic_seconds() + atof(arguments[1]); monotonic_seconds() < end; usleep(500)) {
        uint8_t frame[2048];
        struct sockaddr_ll from;
        socklen_t size = sizeof from;
        ssize_t length;
        while ((length = recvfrom(shown, frame, sizeof frame, MSG_TRUNC, (void *)&from, &size)) >= 0) {
            size = sizeof from;
            // Ethernet, an IPv4 header without options, UDP.
            if (length < 42 || from.sll_pkttype != PACKET_OUTGOING || from.sll_protocol != htons(0x0800) || frame[14] != 0x45 || frame[23] != 17)
                continue;
            for (int i = 0; i < 2; i++)
                if ((frame[36] << 8 | frame[37]) == ports[i])
                    bytes[i] += (unsigned long long)length;
        }
    }
    return printf("{\"bytes\":[%llu,%llu]}\n", bytes[0], bytes[1]) < 0;
}
