/* SPDX-License-Identifier: MIT */
#include "perf/roundtrip.h"

#include <stdlib.h>
#include <string.h>

/* Every page is touched here, not while times are taken. */
struct histogram *new_histogram(const struct run *run)
{
    struct histogram *times = malloc(sizeof *times);
    if (!times)
        fail(run, "no memory");
    memset(times, 0, sizeof *times);
    return times;
}

void report_times(struct run *run, const struct histogram *times)
{
    if (times->count == 0)
        fail(run, "not one message within the time; give it more --seconds");
    figure(run, P50_NS, histogram_value(times, 0.5));
    figure(run, P99_NS, histogram_value(times, 0.99));
    figure(run, MAX_NS, (double)times->max);
}

void time_steps(struct run *run, void (*step)(struct run *run, void *state, uint64_t number), void *state)
{
    uint64_t number = 0, budget = run->options->messages ? run->options->messages : UINT64_MAX;
    struct histogram *times = new_histogram(run);
    int64_t cost = now_cost();
    meet_before(run);
    int64_t time = now(), begin = time + (run->options->messages ? 0 : warm_up_time(run));
    int64_t end = begin + (int64_t)(run->options->seconds * SECOND);
    for (; number < budget && (time < end || run->options->messages); number++) {
        int64_t before = time;
        step(run, state, number);
        time = now();
        if (before >= begin)
            histogram_add(times, time - before - cost);
    }
    figure(run, PER_S, (double)times->count * (double)SECOND / (double)(time - begin));
    report_times(run, times);
}
