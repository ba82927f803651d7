// Reading packets: headers, addresses, numbers.
#ifndef CLASSIFIER_PACKET_H
#define CLASSIFIER_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// sys/socket.h, which bpf's target cannot include.
#define AF_INET 2
#define AF_INET6 10

#define VXLAN_PORT 4789 // RFC 7348

// The first bytes of both families' messages (RFC 792, RFC 4443); linux/icmp.h would bring in glibc.
struct icmp {
    __u8 type, code;
    __be16 checksum;
    __be16 identifier, sequence; // of an echo
};
enum icmp4_type { ECHO_REPLY = 0, UNREACHABLE = 3, REDIRECT = 5, ECHO = 8, ROUTER_ADVERTISEMENT = 9,
                  ROUTER_SOLICITATION = 10, TIME_EXCEEDED = 11, PARAMETER_PROBLEM = 12 };
enum { FRAGMENTATION_NEEDED = 4 }; // a code of UNREACHABLE
enum icmp6_type { UNREACHABLE6 = 1, TIME_EXCEEDED6 = 3, PARAMETER_PROBLEM6 = 4, ECHO6 = 128,
                  ECHO_REPLY6 = 129, ROUTER_SOLICITATION6 = 133, LAST_OF_DISCOVERY6 = 161 };

// Of IPv4: the errors that an end of a connection reports. "Fragmentation needed" is for routers to send.
static __always_inline int is_error(const struct icmp *icmp) {
    return (icmp->type == UNREACHABLE && icmp->code != FRAGMENTATION_NEEDED) ||
           icmp->type == TIME_EXCEEDED || icmp->type == PARAMETER_PROBLEM;
}

// iphdr.frag_off and frag_hdr.frag_off; RFC 791, RFC 8200 section 4.5.
#define IPV4_MORE 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_OFFSET 0xfff8

// linux/ipv6.h keeps it to the kernel.
struct fragment_header {
    __u8 nexthdr;
    __u8 reserved;
    __be16 frag_off;
    __be32 identification;
};

#ifdef __bpf__
// Bounds of the packet's linear part. In assembly, because the compiler otherwise keeps them in 32 bits
// over branches, after which the kernel's verifier doesn't know them for pointers.
#define READ_BOUND(name, field)                                                                    \
    static __always_inline void *name(const struct __sk_buff *skb) {                               \
        void *bound;                                                                               \
        asm volatile("%0 = *(u32 *)(%1 + %2)"                                                      \
                     : "=r"(bound)                                                                 \
                     : "r"(skb), "i"(__builtin_offsetof(struct __sk_buff, field)));                \
        return bound;                                                                              \
    }
#else // Tests/Fuzz, with packets below 4 GiB
#define READ_BOUND(name, field)                                                                    \
    static __always_inline void *name(const struct __sk_buff *skb) {                               \
        return (void *)(unsigned long)skb->field;                                                  \
    }
#endif
READ_BOUND(first_byte, data)
READ_BOUND(after_last_byte, data_end)

// The packet, of which the first `size` bytes may be read and checked; null if it is shorter. What
// was got before must not be used any more.
static __always_inline void *header(struct __sk_buff *skb, __u32 size) {
    void *data = first_byte(skb);
    if (data + size <= after_last_byte(skb)) return data;
    if (bpf_skb_pull_data(skb, size) < 0) return NULL;
    data = first_byte(skb);
    return data + size <= after_last_byte(skb) ? data : NULL;
}

// Compared by words: of what it can't prove to be aligned the compiler reads single bytes.
static __always_inline int same_address(const void *one, const void *other) {
    const __u64 *a = one, *b = other;
    return a[0] == b[0] && a[1] == b[1];
}

static __always_inline int same_ipv4(const __be32 *address, const __u8 mapped[16]) {
    return *address == *(const __be32 *)(mapped + 12);
}

static __always_inline int same_mac(const void *one, const void *other) {
    const __u16 *a = one, *b = other;
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static __always_inline void map_ipv4(__u8 address[16], const __be32 *ipv4) {
    __builtin_memset(address, 0, 10);
    address[10] = address[11] = 0xff;
    __builtin_memcpy(address + 12, ipv4, 4);
}

#endif
