// What a slice may do with raw sockets, and how slice-broker is told.
//
// The control socket is a listening SOCK_SEQPACKET socket. One client is served, the newest. It
// sends `struct slice_raw_command`; each is answered by one `struct slice_raw_answer`. Between
// answers come `struct slice_raw_event`s. All begin with their kind, and have different lengths.
#ifndef SLICE_RAW_H
#define SLICE_RAW_H

#include <stdint.h>

#define SLICE_RAW_RANGES 16
#define SLICE_RAW_ETHERTYPES 16

// Bits of struct slice_raw_grants.flags.
enum slice_raw_flag {
    SLICE_RAW_SNIFF = 1, // packet sockets that receive every frame of the slice's own links
    SLICE_RAW_XDP = 2,   // AF_XDP sockets on `eth0`, by request alone (slice_request.h)
};

// Both ends belong to it; first <= last.
struct slice_raw_range {
    uint16_t first, last;
};

// All zeroes: nothing is granted. Numbers are in the machine's byte order.
struct slice_raw_grants {
    uint32_t flags; // enum slice_raw_flag
    uint16_t udp_count, tcp_count; // at most SLICE_RAW_RANGES each
    struct slice_raw_range udp[SLICE_RAW_RANGES]; // the slice's own ports
    struct slice_raw_range tcp[SLICE_RAW_RANGES];
    uint16_t ethertype_count; // at most SLICE_RAW_ETHERTYPES
    uint16_t ethertypes[SLICE_RAW_ETHERTYPES]; // 0x0600 or more
    uint16_t reserved[3]; // 0
    // A bit for each protocol number, whole, whatever ports it has: protocol n is bit n % 64 of word
    // n / 64. `icmp` is 1 of IPv4, `icmp6` 58 of IPv6. Bit 255 means nothing (IPPROTO_RAW).
    uint64_t ipv4[4], ipv6[4];
    // The most that the slice's packet rings, and what the kernel keeps for its AF_XDP socket, may take
    // together, in bytes; and the most that the memory of that socket may have.
    uint64_t ring_bytes;
};

enum slice_raw_command_kind {
    // Replaces the grants. Sockets that the earlier ones allowed and these don't are taken out of
    // use: they receive nothing more, for good, and send nothing that the new ones don't allow. Until the first of these nothing is answered.
    // Where something is taken away the slice's processes should be frozen meanwhile (not the
    // broker), else one that hands a socket round fast enough makes it EBUSY.
    SLICE_RAW_GRANT = 1,
    // One more listener, of the filter of a command that entered the slice: one descriptor beside
    // the message (SCM_RIGHTS), `grants` all zeroes. EMFILE: there are too many. Listeners go when
    // nobody is left under their filter, and with the broker.
    SLICE_RAW_LISTEN = 2,
    // Where AF_XDP sockets are to be entered: the map `sockets` of the slice's xdp.bpf.c, one descriptor
    // beside the message, `grants` all zeroes. It takes the place of an earlier one, and is forgotten
    // with the grant. Who asks before it has come gets EAGAIN.
    SLICE_RAW_DELIVER = 3,
};

struct slice_raw_command {
    uint32_t kind; // enum slice_raw_command_kind
    uint32_t reserved; // 0
    struct slice_raw_grants grants;
};

// The kinds of what the broker sends.
enum slice_raw_told {
    SLICE_RAW_ANSWER = 1,
    SLICE_RAW_EVENT = 2,
};

struct slice_raw_answer {
    uint32_t kind; // SLICE_RAW_ANSWER
    // 0: done, and every socket that had to go is out of use. EINVAL: not a command; nothing was
    // changed. EBUSY: the grants are in force for new sockets, but `hidden` open ones could not be
    // found in any process: the slice's processes must be ended. Any other errno: the same, without
    // a number.
    int32_t error;
    uint32_t closed; // sockets that were taken out of use
    uint32_t hidden;
};

// A call that was refused for want of a grant, or a request (slice_request.h). Told at most SLICE_RAW_EVENTS times a second.
struct slice_raw_event {
    uint32_t kind; // SLICE_RAW_EVENT
    int32_t pid;   // thread id in the slice
    int32_t domain, type, protocol; // of socket(2), protocol of AF_PACKET as an ethertype
    uint32_t untold; // refusals since the last event that were not told
};

#define SLICE_RAW_EVENTS 10

// The only element of a BPF array (BPF_F_MMAPABLE), shared by the brokers that a slice has one after
// another and by the program that judges what raw sockets send (raw.bpf.c). All zeroes at first. Only
// brokers write it.
struct slice_raw_state {
    uint64_t serving; // id of the notification that is being answered, 0: none
    // Not 0: the grants are changing, or there may be sockets in use that they don't allow; no raw
    // socket sends meanwhile.
    uint32_t unsettled;
    uint32_t granted; // not 0: `grants` hold
    struct slice_raw_grants grants;
};

// The mark (SO_MARK) of the broker's sockets; the lower half is its own. Only CAP_NET_RAW can change
// it, so that a socket says for itself what it is, whoever holds it.
//
// The mark does not leave the slice's network namespace with a packet. What tells its other end that
// raw.bpf.c has seen a packet is skb->tc_index: no socket can set it, and what goes round the program,
// as AF_XDP does (__dev_direct_xmit()), has 0 there.
#define SLICE_RAW_JUDGED 0x51ce
#define SLICE_RAW_MARK 0x51ce0000u
#define SLICE_RAW_MARK_MASK 0xffff0000u

#endif
