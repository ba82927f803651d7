// What the program (classifier.bpf.c) and its loader (classifier.c) share: keys, values, reasons.
// Addresses, ports and MAC addresses are as on the wire. An IPv4 address is written as an IPv6
// one, ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that one map serves both families.
//
// A change of a layout here makes the next sliced begin with an empty map in place of the old one:
// counters start at zero and answers to what the host asked before are dropped.
#ifndef CLASSIFIER_MAPS_H
#define CLASSIFIER_MAPS_H

#include <linux/types.h>

// Why a packet was dropped. Appended to, never reordered: an older sliced's counters are adopted.
// The words are in classifier.c.
enum reason {
    PASS, // not a reason: nothing is counted under it

    // What the slice sent.
    DROP_SOURCE_MAC,
    DROP_DESTINATION_MAC,
    DROP_VLAN,
    DROP_ARP,
    DROP_ETHERTYPE,
    DROP_MALFORMED,
    DROP_SOURCE_IPV4,
    DROP_SOURCE_IPV6,
    DROP_OPTIONS, // IPv4 options, source routes among them; IPv6 extension headers
    DROP_FRAGMENT,
    DROP_PROTOCOL,
    DROP_NEIGHBOUR_DISCOVERY, // and router discovery, and redirects
    DROP_ICMP,
    DROP_MULTICAST, // and broadcast
    DROP_TO_HOST,
    DROP_TO_OTHER_OWNER,
    DROP_TO_SITE,
    DROP_PORT, // of the node's address, and not the slice's; or not granted to what sent it (raw_out.h)

    // What was sent to the slice.
    DROP_NOT_FOR_SLICE,

    REASONS
};

// What the loader tells the programs directly: section `.data.control`, which it has in its memory.
struct control {
    __u32 generation; // other after every change of a map that packets are judged by; see verdicts.h
    // audit.h
    __u32 turn;           // whether it is odd says which map is filled
    __u32 reserved;       // entries of a turn that are set aside for each slice
    __u32 common_used[2]; // of the others, by turn; an even one's first
};

// Map `slices`, by the index of the host's end of the link.
struct slice {
    __u8 mac[6];      // of the slice's end
    __u8 host_mac[6]; // of the host's end
    __u32 owner;      // user id
    __u32 has_ipv6;
    __u32 class; // of the uplinks' HTB, with its handle; 0: none
    __u8 ipv4[16] __attribute__((aligned(8))), gateway4[16];
    __u8 ipv6[16], gateway6[16];
    __u32 shared;                 // the addresses are the node's, too
    __u16 first_port, port_count; // where shared: ports that follow each other, of its own
    __u64 namespace;              // where shared: cookie of its network namespace (socket(7))
};

// Map `drops`, by the same index. Only added to.
struct drops {
    __u64 packets[REASONS], bytes[REASONS];
};

// Map `networks`: longest prefix wins; what is in none is the world, and allowed. `length` counts
// from the first of 128 bits.
struct network {
    __u32 length;
    __u8 address[16];
};

#define NETWORK_REFUSED 0
#define NETWORK_ALLOWED 1

// Map `services`: what slices may use although its address is refused: ports that the policy opens, and
// published ones, at the host and at the slice's own addresses. The address :: stands for every address
// of the host.
struct service {
    __u8 address[16];
    __u16 port;
    __u8 protocol;
    __u8 zero;
};

// Maps `allowed_networks` and `allowed_services`: what the slice of one link may reach beside that.
// `length` counts from the first bit of `link`. With a family, or ::/0 would mean IPv4 too.
struct allowed_network {
    __u32 length;
    __u32 link;
    __u32 family; // AF_INET, AF_INET6
    __u8 address[16];
};
struct allowed_service { // of the host
    __u32 link;
    __u16 port;
    __u8 protocol;
    __u8 zero;
};

// Map `raw_grants`, by link: what a slice may send beyond TCP, UDP and ICMP, because its raw sockets were
// granted it (slice_raw.h). That it is a raw socket that sends is seen to on the slice's own end; what
// went round that, by AF_XDP, is held to the same grants here.
#define RAW_RANGES 16
struct raw_ports {
    __u16 count, zero;
    struct {
        __u16 first, last; // in the machine's byte order
    } ranges[RAW_RANGES];
};
struct raw_grant {
    __u64 ipv4[4], ipv6[4]; // a bit for each protocol number
    __u16 ethertypes[16];   // 0: none
    struct raw_ports udp, tcp; // source ports
    __u8 asks_for_address; // 1: DHCP, from UDP port 68
    __u8 marks;            // 1: what the slice's own end has judged says so (SLICE_RAW_JUDGED)
    __u8 bypasses;         // 1: what it has not may pass, where it is granted; else nothing of it does
    __u8 zero[5];
};

// Maps `audit_even`, `audit_odd`: what left by an uplink in one turn.
#define AUDIT_ENTRIES 131072
struct departure {
    __u32 link;        // that it came in by, of the slice
    __u8 address[16];  // destination
    __u16 port;        // of an ICMP message its type
    __u16 source_port; // as translated; of an ICMP echo its identifier
    __u8 protocol;     // IANA's number
    __u8 by_address;   // 1: of the address alone, ports and protocol are 0
    __u16 zero;
};
struct traffic {
    __u64 packets, bytes;
    __u64 first, last; // nanoseconds of the monotonic clock, some milliseconds exact
};

// Map `senders`, by link: what found no room there, ever, and when last; then of the present turn how
// many entries the slice has.
struct sender {
    __u64 packets, bytes, last;
    __u32 turn, detailed, by_address, zero;
};

// Map `flows`: what the host has sent to slices, and so may be answered. The value is when it did
// last, in nanoseconds of the monotonic clock. Map `visits`: the same of others at published ports.
struct flow {
    __u32 link; // index of the host's end
    __u8 address[16]; // of the host, or who else is answered
    __u16 port;       // theirs; for ICMP the identifier of the echo
    __u16 slice_port; // for ICMP 0
    __u32 protocol;
};

// Map `ports`, by a port's number: index of the host's end of the link of the slice that it belongs
// to, on the node's address; 0: of none. Map `echoes`, by an echo's identifier there: what it is in
// the slice, as on the wire. Map `namespaces`, by the cookie of a slice's network namespace: its link.
#define PORTS 65536

// Map `fragments`: where the parts of a datagram go, on the node's address.
struct fragment {
    __u8 address[16]; // of the other end
    __u32 identification;
    __u8 protocol;
    __u8 leaves; // else it arrives
    __u16 zero;
};
struct claim {
    __u64 since; // nanoseconds of the monotonic clock
    __u32 link;  // of the slice; 0: the host's
    __u32 zero;
};

// Map `host_echoes`: when the host has sent an echo request with an identifier that is a slice's.
struct host_echo {
    __u8 address[16];
    __u16 identifier;
    __u16 zero;
};

#endif
