#include "traffic.h"

#include <stdlib.h>

void jitter_add(struct jitter *jitter, uint64_t sent, uint64_t received)
{
    int64_t transit = (int64_t)(received - sent);
    if (jitter->begun) {
        int64_t difference = transit - jitter->transit;
        double distance = (double)(difference < 0 ? -difference : difference);
        jitter->value += (distance - jitter->value) / 16;
    }
    jitter->begun = true;
    jitter->transit = transit;
}

// xorshift64* (Vigna 2016): the sample need be fair, not secret.
static uint64_t chance(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

void sample_add(struct sample *sample, uint64_t value)
{
    uint64_t seen = sample->seen++;
    if (seen < SAMPLES) {
        sample->values[seen] = value;
        return;
    }
    uint64_t place = chance() % (seen + 1);
    if (place < SAMPLES)
        sample->values[place] = value;
}

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

static size_t count(const struct sample *sample)
{
    return sample->seen < SAMPLES ? (size_t)sample->seen : SAMPLES;
}

void sample_sort(struct sample *sample)
{
    qsort(sample->values, count(sample), sizeof sample->values[0], compare);
}

uint64_t sample_quantile(const struct sample *sample, double quantile)
{
    // The smallest value that so many are not above (nearest rank).
    double rank = quantile * (double)count(sample);
    size_t place = (size_t)rank;
    if ((double)place == rank && place > 0)
        place--;
    return sample->values[place < count(sample) ? place : count(sample) - 1];
}
