/* SPDX-License-Identifier: MIT */
/* What can this machine do? None of it is rill. */
#include "perf/limits.h"
#include "perf/bare.h"
#include "perf/bench.h"

/* Ring and socket side by side, at each size. */
static int limit_queues(const struct options *options)
{
    static const size_t defaults[] = {8, 64, 1 << 10, 4 << 10, 64 << 10, 1 << 20};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[4];
        size_t contestant_count = 0;
        if (options_variant(options, "ring")) {
            contestant_count += ring_one_way(sizes[i], &contestants[contestant_count]);
            contestant_count += ring_round_trip(sizes[i], &contestants[contestant_count]);
        }
        if (options_variant(options, "socket")) {
            contestant_count += socket_one_way(sizes[i], &contestants[contestant_count]);
            contestant_count += socket_round_trip(sizes[i], &contestants[contestant_count]);
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}

static int limit_wakes(const struct options *options)
{
    struct contestant contestants[3];
    size_t count = 0;
    if (options_variant(options, "socket_wake"))
        socket_wake(&contestants[count++]);
    if (options_variant(options, "eventfd_wake"))
        eventfd_wake(&contestants[count++]);
    if (options_variant(options, "futex_wake"))
        futex_wake(&contestants[count++]);
    return measure(options, contestants, count);
}

static int limit_memory(const struct options *options)
{
    static const size_t defaults[] = {64 << 10, 1 << 20, 256 << 20};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[2];
        size_t contestant_count = 0;
        if (options_variant(options, "memcpy") && sizes[i])
            memory_copy(sizes[i], &contestants[contestant_count++]);
        if (options_variant(options, "read") && sizes[i])
            memory_read(sizes[i], &contestants[contestant_count++]);
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}

int bench_limit(const struct options *options)
{
    int result = 0;
    if (options->placement == PLACE_SPLIT && options_variant(options, "cacheline")) {
        struct contestant contestant;
        cacheline(&contestant);
        result |= measure(options, &contestant, 1);
    }
    return result | limit_queues(options) | limit_wakes(options) | limit_memory(options);
}
