#include "pcapng.h"

#include <string.h>

enum { SECTION = 0x0A0D0D0A, INTERFACE = 1, STATISTICS = 5, PACKET = 6 };
enum { ETHERNET = 1 }; // LINKTYPE_ETHERNET
enum { END_OF_OPTIONS = 0, EPB_FLAGS = 2, IF_NAME = 2, IF_TSRESOL = 9, ISB_IFRECV = 4, ISB_IFDROP = 5 };

struct cursor {
    uint8_t *start, *next;
};

static void put(struct cursor *at, const void *bytes, size_t count)
{
    memcpy(at->next, bytes, count);
    at->next += count;
}

static void put_u16(struct cursor *at, uint16_t value) { put(at, &value, sizeof value); }
static void put_u32(struct cursor *at, uint32_t value) { put(at, &value, sizeof value); }

// Up to the next multiple of four bytes.
static void pad(struct cursor *at)
{
    while ((at->next - at->start) % 4 != 0)
        *at->next++ = 0;
}

static struct cursor begin(uint8_t *to, uint32_t type)
{
    struct cursor at = {to, to};
    put_u32(&at, type);
    put_u32(&at, 0); // the length, when it is known
    return at;
}

static size_t end(struct cursor *at)
{
    uint32_t length = (uint32_t)(at->next - at->start) + sizeof length;
    put_u32(at, length);
    memcpy(at->start + 4, &length, sizeof length);
    return length;
}

static void option(struct cursor *at, uint16_t code, const void *value, uint16_t size)
{
    put_u16(at, code);
    put_u16(at, size);
    put(at, value, size);
    pad(at);
}

static void end_options(struct cursor *at)
{
    put_u16(at, END_OF_OPTIONS);
    put_u16(at, 0);
}

static void put_time(struct cursor *at, uint64_t time)
{
    put_u32(at, (uint32_t)(time >> 32));
    put_u32(at, (uint32_t)time);
}

size_t pcapng_section(uint8_t *to)
{
    struct cursor at = begin(to, SECTION);
    uint64_t unknown_length = UINT64_MAX;
    put_u32(&at, 0x1A2B3C4D);
    put_u16(&at, 1);
    put_u16(&at, 0);
    put(&at, &unknown_length, sizeof unknown_length);
    return end(&at);
}

size_t pcapng_interface(uint8_t *to, const char *name, uint32_t snapshot)
{
    struct cursor at = begin(to, INTERFACE);
    uint8_t nanoseconds = 9;
    put_u16(&at, ETHERNET);
    put_u16(&at, 0);
    put_u32(&at, snapshot);
    option(&at, IF_NAME, name, (uint16_t)strlen(name));
    option(&at, IF_TSRESOL, &nanoseconds, sizeof nanoseconds);
    end_options(&at);
    return end(&at);
}

size_t pcapng_packet(
    uint8_t *to, uint64_t time, enum direction direction, const uint8_t *bytes, uint32_t captured,
    uint32_t original)
{
    struct cursor at = begin(to, PACKET);
    uint32_t flags = direction;
    put_u32(&at, 0); // the interface
    put_time(&at, time);
    put_u32(&at, captured);
    put_u32(&at, original);
    put(&at, bytes, captured);
    pad(&at);
    option(&at, EPB_FLAGS, &flags, sizeof flags);
    end_options(&at);
    return end(&at);
}

size_t pcapng_statistics(uint8_t *to, uint64_t time, uint64_t received, uint64_t dropped)
{
    struct cursor at = begin(to, STATISTICS);
    put_u32(&at, 0);
    put_time(&at, time);
    option(&at, ISB_IFRECV, &received, sizeof received);
    option(&at, ISB_IFDROP, &dropped, sizeof dropped);
    end_options(&at);
    return end(&at);
}
