#include "filter.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

// Never more than 2 + 2 * SLICE_RAW_RANGES instructions behind each other are jumped over, and a
// jump reaches 255.
struct program {
    struct sock_filter code[BPF_MAXINSNS];
    unsigned length;
};

static void add(struct program *program, uint16_t code, uint32_t value)
{
    program->code[program->length++] = (struct sock_filter)BPF_STMT(code, value);
}

// Goes on `on_true` or `on_false` instructions further than the next one.
static void branch(struct program *program, uint16_t code, uint32_t value, unsigned on_true,
                   unsigned on_false)
{
    program->code[program->length++] = (struct sock_filter)BPF_JUMP(
        BPF_JMP | BPF_K | code, value, (uint8_t)on_true, (uint8_t)on_false);
}

static void refuse(struct program *program)
{
    add(program, BPF_RET | BPF_K, 0);
}

// Loads the destination port of TCP or UDP. The kernel gives a raw socket whole packets only, put
// together again (ip_local_deliver(), ip6_protocol_deliver_rcu()), so that there always is one; a
// packet that is too short ends the program with a refusal.
static void load_port(struct program *program, int domain)
{
    if (domain == AF_INET6) { // a raw socket's data begin behind the headers of IPv6 (raw(7))
        add(program, BPF_LD | BPF_H | BPF_ABS, 2);
        return;
    }
    add(program, BPF_LDX | BPF_B | BPF_MSH, 0); // X: length of the header of IPv4
    add(program, BPF_LD | BPF_H | BPF_IND, 2);
}

// Refuses what has a port outside the ranges.
static void check_port(struct program *program, int domain, const struct slice_raw_range *ranges,
                       unsigned count)
{
    load_port(program, domain);
    for (unsigned i = 0; i < count; i++) {
        const unsigned left = 2 * (count - 1 - i); // instructions of the ranges that follow
        branch(program, BPF_JGE, ranges[i].first, 0, 1);
        branch(program, BPF_JGT, ranges[i].last, 0, left + 1);
    }
    refuse(program);
}

static void check_ethertype(struct program *program, const struct slice_raw_grants *grants)
{
    const unsigned count = grants->ethertype_count;
    add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
    for (unsigned i = 0; i < count; i++)
        branch(program, BPF_JEQ, grants->ethertypes[i], count - i, 0);
    refuse(program);
}

static void add_policy(struct program *program, const struct slice_raw_grants *grants,
                       enum raw_class class, int domain)
{
    switch (class) {
    case CLASS_PROTOCOL: // the kernel gives the socket that protocol alone (raw(7))
    case CLASS_SNIFF:    // the slice's network namespace holds nothing but the slice's own
        return;
    case CLASS_UDP:
        check_port(program, domain, grants->udp, grants->udp_count);
        return;
    case CLASS_TCP:
        check_port(program, domain, grants->tcp, grants->tcp_count);
        return;
    case CLASS_ETHERTYPES:
        check_ethertype(program, grants);
        return;
    case CLASS_SEND:
    case CLASS_NONE:
        refuse(program);
    }
}

static int attach(int socket, const struct sock_filter *code, size_t length)
{
    struct sock_fprog filter = {.len = (uint16_t)length, .filter = (struct sock_filter *)code};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

int filter_attach_own(int socket, const struct sock_filter *own, size_t count)
{
    if (count == 0 || count > BPF_MAXINSNS) {
        errno = EINVAL;
        return -1;
    }
    return attach(socket, own, count);
}

int filter_attach(int socket, const struct slice_raw_grants *grants, enum raw_class class,
                  int domain, const struct sock_filter *own, size_t count)
{
    static struct program program; // too large for the stack; one thread
    program.length = 0;
    add_policy(&program, grants, class, domain);
    if (count == 0) {
        add(&program, BPF_RET | BPF_K, UINT32_MAX);
        return attach(socket, program.code, program.length);
    }
    // As the kernel has them when a program begins.
    add(&program, BPF_LDX | BPF_IMM, 0);
    add(&program, BPF_LD | BPF_IMM, 0);
    if (count > BPF_MAXINSNS - program.length) {
        errno = count > BPF_MAXINSNS ? EINVAL : ENOMEM;
        return -1;
    }
    memcpy(program.code + program.length, own, count * sizeof *own);
    return attach(socket, program.code, program.length + count);
}

int filter_close(int socket)
{
    const struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const int locked = 1;
    if (attach(socket, &nothing, 1) < 0)
        return -1;
    return setsockopt(socket, SOL_SOCKET, SO_LOCK_FILTER, &locked, sizeof locked);
}
