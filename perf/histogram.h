/* SPDX-License-Identifier: MIT */
/* Times in ns, counted in buckets that are never wider than a five-hundredth of their value. */
#ifndef RILL_PERF_HISTOGRAM_H
#define RILL_PERF_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 9
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS) << HISTOGRAM_BITS)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, int64_t time)
{
    uint64_t value = time > 0 ? (uint64_t)time : 0;
    unsigned width = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned shift = width > HISTOGRAM_BITS + 1 ? width - HISTOGRAM_BITS - 1 : 0;
    histogram->buckets[((uint64_t)shift << HISTOGRAM_BITS) + (value >> shift)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

/* The lower edge of the bucket that holds the value below which `share` of all lie. */
static inline double histogram_value(const struct histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)((double)histogram->count * share), seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > rank) {
            uint64_t shift = i >> HISTOGRAM_BITS ? (i >> HISTOGRAM_BITS) - 1 : 0;
            return (double)((i - (shift << HISTOGRAM_BITS)) << shift);
        }
    }
    return (double)histogram->max;
}

#endif
