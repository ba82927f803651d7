// IPv4 packets as a slice could write them itself, each with a text by which it is found again.
#ifndef PROBE_DATAGRAM_H
#define PROBE_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

enum datagram_kind { DATAGRAM_UDP, DATAGRAM_TCP, DATAGRAM_ECHO, DATAGRAM_GRE };

struct datagram {
    enum datagram_kind kind;
    uint8_t from[4], to[4];
    uint16_t number;  // source port, or identifier of the echo request
    const char *text; // of which TEXT bytes are sent, the rest being zeroes
};

enum { TEXT = 16, MOST_DATAGRAM = 64 };

// Writes it, from the IPv4 header on. To port 9, discard (RFC 863); of TCP an opening segment. Returns its length.
size_t datagram_build(uint8_t bytes[MOST_DATAGRAM], const struct datagram *datagram);

// The kind of a word: udp, tcp, echo, gre. -1 for another.
int datagram_kind_of(const char *word);

#endif
