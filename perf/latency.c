/* SPDX-License-Identifier: MIT */
/* How long does a message take there and back, with both sides awake? */
#include "perf/bare.h"
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/roundtrip.h"

static void latency_open(struct run *run)
{
    ends_open(run, 0, 1, run->options->limit);
    ends_open(run, 1, 0, run->options->limit);
}

static void latency_work(struct run *run)
{
    struct rill_end end = ends_keep(run, run->role, run->role);
    if (run->role == 0)
        ask(run, &end, &end, RILL_CALLS);
    else
        answer(run, &end, &end, RILL_CALLS);
}

int bench_latency(const struct options *options)
{
    static const size_t defaults[] = {8, 64, 1 << 10, 4 << 10, 64 << 10, 1 << 20};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[5];
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            struct contestant *it =
                contestant_add(contestants, &contestant_count, "latency", "-", options->transports[t], sizes[i]);
            it->open = latency_open;
            it->work = latency_work;
        }
        if (options->bare) {
            contestant_count += ring_round_trip(sizes[i], &contestants[contestant_count]);
            contestant_count += socket_round_trip(sizes[i], &contestants[contestant_count]);
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
