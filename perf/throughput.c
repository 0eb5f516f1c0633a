/* SPDX-License-Identifier: MIT */
/*
 * How many messages, and how many bytes, go one way in a second?
 *
 * Messages of up to 256 bytes are received into memory of the receiver's own, as from a socket; larger ones are read where they lie.
 */
#include "perf/bare.h"
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/stream.h"

#include <stdio.h>

static void throughput_open(struct run *run)
{
    ends_open(run, 1, 0, run->options->limit_given ? run->options->limit : RILL_PIPELINE_LIMIT);
}

static void throughput_work(struct run *run)
{
    bool receiving = run->role == 0;
    struct rill_end end = ends_keep(run, receiving ? NO_END : 1, receiving ? 0 : NO_END);
    if (receiving)
        rill_end_stream(run, &end);
    else
        stream_send(run, &end, RILL_CALLS);
}

static void throughput_work_in_batches(struct run *run)
{
    bool receiving = run->role == 0;
    struct rill_end end = ends_keep(run, receiving ? NO_END : 1, receiving ? 0 : NO_END);
    rill_end_batch(run, &end);
    if (receiving)
        stream_receive(run, &end, RILL_BATCH_CALLS);
    else
        stream_send(run, &end, RILL_BATCH_CALLS);
}

int bench_throughput(const struct options *options)
{
    static const size_t defaults[] = {8, 64, 1 << 10, 4 << 10, 64 << 10, 1 << 20};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    char variant[32] = "-";
    int result = 0;
    if (options->batch)
        snprintf(variant, sizeof variant, "batch=%u", options->batch);
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[5];
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            struct contestant *it =
                contestant_add(contestants, &contestant_count, "throughput", variant, options->transports[t], sizes[i]);
            it->open = throughput_open;
            it->work = options->batch ? throughput_work_in_batches : throughput_work;
        }
        if (options->bare) {
            contestant_count += ring_one_way(sizes[i], &contestants[contestant_count]);
            contestant_count += socket_one_way(sizes[i], &contestants[contestant_count]);
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
