/* SPDX-License-Identifier: MIT */
/* How many messages go from several processes to one receiver? */
#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/stream.h"

#include <stdio.h>

/* Each producer has a clone: in processes they could share one, but threads have to close theirs one by one. */
static void fanin_open(struct run *run)
{
    ends_open(run, 1, 0, run->options->limit_given ? run->options->limit : RILL_PIPELINE_LIMIT);
    struct ends *ends = ends_of(run);
    for (unsigned i = 2; i < run->contestant->roles; i++)
        check(run, "rill_sender_clone", rill_sender_clone(ends->senders[1], &ends->senders[i]));
}

static void fanin_work(struct run *run)
{
    bool receiving = run->role == 0;
    struct rill_end end = ends_keep(run, receiving ? NO_END : run->role, receiving ? 0 : NO_END);
    if (receiving)
        rill_end_stream(run, &end);
    else
        stream_send(run, &end, RILL_CALLS);
}

int bench_fanin(const struct options *options)
{
    static const size_t defaults[] = {64};
    const size_t *sizes, count = options_sizes(options, defaults, COUNT_OF(defaults), &sizes);
    char variant[32];
    int result = 0;
    snprintf(variant, sizeof variant, "producers=%u", options->producers);
    for (size_t i = 0; i < count; i++) {
        struct contestant contestants[3];
        size_t contestant_count = 0;
        for (size_t t = 0; t < options->transport_count; t++) {
            struct contestant *it =
                contestant_add(contestants, &contestant_count, "fanin", variant, options->transports[t], sizes[i]);
            it->open = fanin_open;
            it->work = fanin_work;
            it->roles = 1 + options->producers;
        }
        result |= measure(options, contestants, contestant_count);
    }
    return result;
}
