/* SPDX-License-Identifier: MIT */
/* The benches: one question each, one file each. The result is an exit code. */
#ifndef RILL_PERF_BENCH_H
#define RILL_PERF_BENCH_H

#include "perf/harness.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

int bench_throughput(const struct options *options);
int bench_latency(const struct options *options);
int bench_wakeup(const struct options *options);
int bench_fanin(const struct options *options);
int bench_create(const struct options *options);
int bench_transfer(const struct options *options);
int bench_request(const struct options *options);
int bench_values(const struct options *options);
int bench_burst(const struct options *options);
int bench_syscalls(const struct options *options);
int bench_routes(const struct options *options);
int bench_select(const struct options *options);
int bench_handover(const struct options *options);
int bench_stages(const struct options *options);
int bench_limit(const struct options *options);

#endif
