#include "datagram.h"
#include "frames.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
    const char *word;
    uint8_t protocol; // IANA's number
    size_t header;
} kinds[] = {
    [DATAGRAM_UDP] = {"udp", 17, 8},
    [DATAGRAM_TCP] = {"tcp", 6, 20},
    [DATAGRAM_ECHO] = {"echo", 1, 8},
    [DATAGRAM_GRE] = {"gre", 47, 4},
};

int datagram_kind_of(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(word, kinds[i].word))
            return (int)i;
    return -1;
}

static void put16(uint8_t *place, unsigned value)
{
    place[0] = (uint8_t)(value >> 8);
    place[1] = (uint8_t)value;
}

// A receiver that passes it on looks at no checksum but that of the IP header; a stack at the end does. UDP may
// have none over IPv4, GRE has none.
static void put_transport(uint8_t *header, const struct datagram *datagram, size_t size)
{
    static const uint8_t segment[] = {[12] = 0x50, [13] = 2 /* SYN */, [14] = 1};
    switch (datagram->kind) {
    case DATAGRAM_TCP:
        memcpy(header, segment, sizeof segment);
        put16(header, datagram->number);
        put16(header + 2, 9);
        break;
    case DATAGRAM_UDP:
        put16(header, datagram->number);
        put16(header + 2, 9);
        put16(header + 4, (unsigned)size);
        break;
    case DATAGRAM_ECHO:
        header[0] = 8;
        put16(header + 4, datagram->number);
        put16(header + 2, checksum(header, size, 0));
        break;
    case DATAGRAM_GRE:
        break;
    }
}

size_t datagram_build(uint8_t bytes[MOST_DATAGRAM], const struct datagram *datagram)
{
    const size_t header = kinds[datagram->kind].header, transport = header + TEXT, size = 20 + transport;
    memset(bytes, 0, MOST_DATAGRAM);
    bytes[0] = 0x45;
    put16(bytes + 2, (unsigned)size);
    bytes[8] = 64;
    bytes[9] = kinds[datagram->kind].protocol;
    memcpy(bytes + 12, datagram->from, 4);
    memcpy(bytes + 16, datagram->to, 4);
    put16(bytes + 10, checksum(bytes, 20, 0));
    strncpy((char *)bytes + 20 + header, datagram->text, TEXT);
    put_transport(bytes + 20, datagram, transport);
    return size;
}
