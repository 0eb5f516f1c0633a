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
