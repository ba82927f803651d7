#include "traffic.h"

#include <stdio.h>

static double seconds(double nanoseconds) { return nanoseconds / 1e9; }

static double rate(uint64_t bytes, uint64_t nanoseconds)
{
    return nanoseconds ? (double)bytes * 8 / seconds((double)nanoseconds) : 0;
}

static const struct {
    const char *name;
    double quantile;
} quantiles[] = {{"min", 0}, {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1}};
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

static void number(const char *key, bool is_known, double value)
{
    if (is_known)
        printf(",\"%s\":%.9g", key, value);
    else
        printf(",\"%s\":null", key);
}

static void count(const char *key, bool is_known, uint64_t value)
{
    if (is_known)
        printf(",\"%s\":%llu", key, (unsigned long long)value);
    else
        printf(",\"%s\":null", key);
}

static void print_json(const struct report *report)
{
    printf("{\"protocol\":\"%s\"", report->protocol);
    number("seconds", true, seconds((double)report->nanoseconds));
    // An address: no character that JSON would have escaped.
    if (report->sender)
        printf(",\"from\":\"%s\"", report->sender);
    bool is_sender = !report->sender;
    count("sentPackets", is_sender && report->has_packets, report->sent_packets);
    count("sentBytes", is_sender, report->sent_bytes);
    number("sentBitsPerSecond", is_sender, rate(report->sent_bytes, report->nanoseconds));
    count("receivedPackets", report->has_received && report->has_packets, report->received_packets);
    count("receivedBytes", report->has_received, report->received_bytes);
    number(
        "receivedBitsPerSecond", report->has_received,
        rate(report->received_bytes, report->nanoseconds));
    number("lossRatio", report->has_loss, report->loss);
    number("jitterSeconds", report->has_jitter, seconds(report->jitter));
    count("retransmittedSegments", report->has_retransmissions, report->retransmissions);
    if (!report->round_trips || report->round_trips->seen == 0) {
        printf(",\"roundTripSeconds\":null}\n");
        return;
    }
    printf(",\"roundTripSeconds\":{");
    for (size_t index = 0; index < QUANTILES; index++)
        printf(
            "%s\"%s\":%.9g", index ? "," : "", quantiles[index].name,
            seconds((double)sample_quantile(report->round_trips, quantiles[index].quantile)));
    printf("}}\n");
}

static void print_rate(const char *word, uint64_t packets, uint64_t bytes, uint64_t nanoseconds)
{
    double bits = rate(bytes, nanoseconds);
    const char *unit = bits >= 1e9 ? "Gbit/s" : bits >= 1e6 ? "Mbit/s" : "kbit/s";
    double scale = bits >= 1e9 ? 1e9 : bits >= 1e6 ? 1e6 : 1e3;
    printf("%s ", word);
    if (packets)
        printf("%llu packets, ", (unsigned long long)packets);
    printf("%llu bytes, %.2f %s\n", (unsigned long long)bytes, bits / scale, unit);
}

static void print_text(const struct report *report)
{
    printf(
        "%s, %.2f s%s%s\n", report->protocol, seconds((double)report->nanoseconds),
        report->sender ? ", from " : "", report->sender ? report->sender : "");
    if (!report->sender)
        print_rate("sent", report->has_packets ? report->sent_packets : 0, report->sent_bytes, report->nanoseconds);
    if (report->has_received)
        print_rate(
            "received", report->has_packets ? report->received_packets : 0, report->received_bytes, report->nanoseconds);
    else
        printf("received: not known, nobody has answered\n");
    if (report->has_loss)
        printf("lost %.3f %%\n", report->loss * 100);
    if (report->has_jitter)
        printf("jitter %.3f ms\n", report->jitter / 1e6);
    if (report->has_retransmissions)
        printf("sent again %llu segments\n", (unsigned long long)report->retransmissions);
    if (!report->round_trips || report->round_trips->seen == 0)
        return;
    printf("round trip");
    for (size_t index = 0; index < QUANTILES; index++)
        printf(
            " %s %.3f", quantiles[index].name,
            (double)sample_quantile(report->round_trips, quantiles[index].quantile) / 1e6);
    printf(" ms\n");
}

void report_print(struct report *report, bool json)
{
    if (report->round_trips)
        sample_sort(report->round_trips);
    if (json)
        print_json(report);
    else
        print_text(report);
    fflush(stdout);
}
