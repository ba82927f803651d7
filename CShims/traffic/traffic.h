// What the files of slice-traffic share.
#ifndef SLICE_TRAFFIC_H
#define SLICE_TRAFFIC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum transport { UDP, TCP, ICMP };

struct options {
    bool listens;
    enum transport transport;
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } to; // with the port; unless it listens
    socklen_t to_size;
    uint16_t port;       // where it listens, in the machine's byte order
    uint64_t rate;       // bits a second of payload; 0: as fast as it goes (TCP), or `packets`
    uint64_t packets;    // a second
    uint32_t size;       // bytes of payload, SIZE_MIN or more
    uint64_t duration;   // nanoseconds; 0: until a signal comes
    bool json;
};

#define SIZE_MIN 24
#define SIZE_MAX_UDP 65507 // what a datagram of IPv4 holds

// At the beginning of each payload of UDP and ICMP; integers in network byte order.
struct mark {
    uint32_t magic;
    uint32_t sequence; // from 0
    uint64_t sent;     // by the sender's monotonic clock, nanoseconds
    uint64_t run;      // of one sender, by chance
};
#define MARK_MAGIC 0x736c7472

// What a listener answers to each mark, and at the end of a TCP connection.
struct answer {
    struct mark mark; // as it came, with ANSWER_MAGIC
    uint64_t packets, bytes; // of the run, until now
    uint64_t jitter;         // RFC 3550, nanoseconds
};
#define ANSWER_MAGIC 0x736c616e

// --- clock.c

uint64_t now(void); // nanoseconds of the monotonic clock
// Whether a signal has asked for the end.
bool is_ending(void);
void catch_signals(void);
// Waits until a descriptor is readable, `until`, or a signal; true if it is readable before that.
bool wait_readable(int descriptor, uint64_t until);

// --- measure.c

// The interarrival jitter of RFC 3550, section 6.4.1 and A.8, in nanoseconds.
struct jitter {
    bool begun;
    int64_t transit;
    double value;
};
void jitter_add(struct jitter *jitter, uint64_t sent, uint64_t received);

// Times of which quantiles are wanted: all of them, or of many a fair sample (algorithm R, Vitter 1985).
#define SAMPLES 65536
struct sample {
    uint64_t seen;
    uint64_t values[SAMPLES];
};
void sample_add(struct sample *sample, uint64_t value);
// For sample_quantile(), once, when all are there.
void sample_sort(struct sample *sample);
uint64_t sample_quantile(const struct sample *sample, double quantile);

// --- report.c

struct report {
    const char *protocol;
    uint64_t nanoseconds;
    bool has_packets;                  // else bytes alone are counted: TCP
    uint64_t sent_packets, sent_bytes; // of payload
    bool has_received;                 // the other end has told
    uint64_t received_packets, received_bytes;
    bool has_loss;
    double loss; // 0 to 1
    bool has_jitter;
    double jitter; // nanoseconds
    bool has_retransmissions;
    uint64_t retransmissions; // TCP's segments
    struct sample *round_trips; // null: none
    const char *sender;         // of a listener's run; null: this is the sender
};
void report_print(struct report *report, bool json);

// --- the rest, one each: their exit status

int send_datagrams(const struct options *options); // UDP and ICMP
int send_stream(const struct options *options);
int listen_for_datagrams(const struct options *options);
int listen_for_streams(const struct options *options);

// Says on standard error what has failed; 1.
int fail(const char *operation);

#endif
